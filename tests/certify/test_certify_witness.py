"""Witnesses against rational arithmetic: exact values, exact gradients as exact differences, exact kinks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.sparse import csr_array

from lipc.bounds.membership import contains
from lipc.certify import Certifier
from lipc.ir import Builder, Conditional, Floats, Lipschitz, Norm, Objective, Polytope, Program, Sense
from tests.ir.sample_programs import Sample, dense, max_pool, mixed, question, rational_values, residual
from tests.nets import ABSOLUTE, IDENTITY, KINDS, ZERO, Network, random_network

SAMPLES: dict[str, Sample] = {
    "dense": dense(random_network(0, [3, 6, 5, 1])),
    "three outputs": dense(random_network(1, [3, 6, 5, 3])),
    "residual": residual(2, outputs=2),
    "max pool": max_pool(3),
    "mixed": mixed(4),
    **{kind: dense(random_network(5, [2, 5, 3, 1], kind)) for kind in KINDS},
}


def exact_rows(program: Program, point: Floats, value: int) -> list[list[Fraction]]:
    """Return the Jacobian of a value with the bits at a point held, by exact differences; one row per entry."""
    held = {bit: rational_values(program, {0: point.tolist()})[bit] for bit in program.find(Conditional)}
    bits = {bit: [float(entry) for entry in entries] for bit, entries in held.items()}
    before = rational_values(program, {0: point.tolist(), **bits})[value]
    columns = []
    for entry in range(len(point)):
        moved = point.copy()
        moved[entry] += 1.0
        step = Fraction(float(moved[entry])) - Fraction(float(point[entry]))
        after = rational_values(program, {0: moved.tolist(), **bits})[value]
        columns.append([(a - b) / step for a, b in zip(after, before, strict=True)])
    return [list(row) for row in zip(*columns, strict=True)]


def is_kink(program: Program, point: Floats) -> bool:
    values = rational_values(program, {0: point.tolist()})
    for value in program.find(Conditional):
        operand = program.ops[value].operands[0]
        rows = exact_rows(program, point, operand)
        if any(entry == 0 and any(row) for entry, row in zip(values[operand], rows, strict=True)):
            return True
    return False


def with_norm(program: Program, norm: Norm) -> Program:
    return replace(program, objective=question(norm))


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
@pytest.mark.parametrize("name", SAMPLES)
def test_gradients(name: str, norm: Norm) -> None:
    sample = SAMPLES[name]
    program = with_norm(sample.program, norm)
    certifier = Certifier(program)
    middle = np.clip(0.0, sample.domain.lower, sample.domain.upper)
    for point in [*sample.points(6), middle]:
        found = certifier.witness(point)
        assert (found is None) == is_kink(program, point)
        if found is None:
            continue
        np.testing.assert_array_equal(found.x, point)
        rows = exact_rows(program, point, program.result)
        sizes = [sum(map(abs, row), Fraction(0)) if norm is Norm.LINF else max(map(abs, row)) for row in rows]
        size = sizes[found.output]
        assert Fraction(found.value) <= size < Fraction(float(np.nextafter(found.value, np.inf)))
        assert found.gradient.tolist() == [float(slope) for slope in rows[found.output]]
        # Any output would prove a bound; it is the best one but for rounding.
        assert float(size) >= float(max(sizes)) * (1 - 1e-12)


@pytest.mark.parametrize("sense", Sense)
@pytest.mark.parametrize("name", ["dense", "max pool", "integer weights"])
def test_values(name: str, sense: Sense) -> None:
    sample = SAMPLES[name]
    certifier = Certifier(replace(sample.program, objective=Objective(sense)))
    inexact = 0
    for point in [*sample.points(8), np.clip(0.0, sample.domain.lower, sample.domain.upper)]:
        found = certifier.witness(point)
        assert found is not None  # a kink has a value
        exact = rational_values(sample.program, {0: point.tolist()})[sample.program.result][0]
        if sense is Sense.MAXIMIZE:
            assert Fraction(found.value) <= exact < Fraction(float(np.nextafter(found.value, np.inf)))
        else:
            assert Fraction(float(np.nextafter(found.value, -np.inf))) < exact <= Fraction(found.value)
        inexact += Fraction(found.value) != exact
    assert inexact or name == "integer weights"


def chain(*layers: tuple[list[list[float]], list[float]]) -> Network:
    """Return a network of weights and biases layer by layer."""
    return Network([np.array(weight) for weight, _ in layers], [np.array(bias) for _, bias in layers])


DIFFERENCE: tuple[list[list[float]], list[float]] = ([[1.0, -1.0]], [0.0])
SAME: tuple[list[list[float]], list[float]] = ([[1.0]], [0.0])


@pytest.mark.parametrize(
    ("network", "point", "value"),
    [
        (IDENTITY, 0.0, None),
        (IDENTITY, 5e-324, 1.0),
        (IDENTITY, -5e-324, 1.0),
        (ZERO, 0.0, None),
        (ZERO, 0.5, 0.0),
        (ABSOLUTE, 0.0, None),
        (ABSOLUTE, -1.0, 1.0),
        # Dead neurons: their pre-activation is 0 all around, so there is a gradient.
        (chain(([[0.0], [0.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])), 0.0, 0.0),
        (chain(([[1.0]], [-2.0]), SAME, SAME), 0.5, 0.0),
        # A difference of two neurons that are on: zero by cancellation, with weights that are not.
        (chain(([[1.0], [1.0]], [5.0, 5.0]), DIFFERENCE, SAME), 0.5, 0.0),
        # The same where the two have their kink.
        (chain(([[1.0], [1.0]], [-0.5, -0.5]), DIFFERENCE, SAME), 0.5, None),
        # 0.1 x + 0.2 x - 0.3 x is 0 or not, depending on the order in floats; the exact slope is 2^-55.
        (chain(([[0.1], [0.2], [-0.3]], [1.0] * 3), ([[1.0] * 3], [-3.0]), SAME), 1.0, 2.0**-55),
    ],
)
def test_kinks_and_dead_neurons(network: Network, point: float, value: float | None) -> None:
    found = Certifier(dense(network).program).witness(np.array([point]))
    if value is None:
        assert found is None
    else:
        assert found is not None
        assert found.value == value


def test_points_outside_are_moved_into_the_box() -> None:
    certifier = Certifier(SAMPLES["dense"].program)
    found = certifier.witness(np.array([[7.0, -9.0, 0.25]]))
    assert found is not None
    assert found.x.tolist() == [1.0, -1.0, 0.25]


def polytope_program(objective: Objective) -> Program:
    builder = Builder()
    domain = replace(Polytope.box([0.0, 0.0], [1.0, 1.0]), rows=csr_array(np.array([[0.1, 0.2], [1.0, -1.0]])))
    domain = replace(domain, row_lower=np.array([-np.inf, 0.0]), row_upper=np.array([0.3, np.inf]))
    x = builder.input(domain)
    return builder.program(builder.affine({x: [[1.0, 1.0]]}), objective)


@pytest.mark.parametrize("objective", [Objective(Sense.MAXIMIZE), Objective(Sense.MAXIMIZE, Lipschitz())])
@pytest.mark.parametrize(
    ("point", "inside"),
    [
        ((0.5, 0.5), True),
        ((0.5, np.nextafter(0.5, 1)), False),
        ((0.0, 0.0), True),
        ((0.0, 0.5), False),
        # In floats 0.1 + 0.2 > 0.3, but the numbers 0.1 and 0.2 stand for are more than 0.3 stands for, too.
        ((1.0, 1.0), Fraction(0.1) + Fraction(0.2) <= Fraction(0.3)),
        ((1.0, 0.9999), True),
    ],
)
def test_rows_of_the_domain_are_kept_exactly(point: tuple[float, float], inside: bool, objective: Objective) -> None:
    program = polytope_program(objective)
    assert contains(program.network_input()[1], np.array(point)) == inside
    found = Certifier(program).witness(np.array(point))
    if point == (0.0, 0.5):  # far outside
        assert found is None
        return
    assert found is not None
    assert (found.x.tolist() == list(point)) == inside
    np.testing.assert_allclose(found.x, point, rtol=0, atol=1e-12)
    x = [Fraction(entry) for entry in found.x.tolist()]
    assert all(0 <= entry <= 1 for entry in x)
    assert Fraction(0.1) * x[0] + Fraction(0.2) * x[1] <= Fraction(0.3)
    assert x[0] >= x[1]


def test_a_question_is_needed() -> None:
    with pytest.raises(ValueError, match="asks nothing"):
        Certifier(dense(IDENTITY, norm=None).program)


def test_a_gradient_beyond_the_largest_float() -> None:
    network = Network([np.full((1, 1), 1e150)] * 3, [np.zeros(1)] * 3)
    found = Certifier(dense(network).program).witness(np.array([0.5]))
    assert found is not None
    assert found.value == np.finfo(float).max
