"""Powers of two move from one side of a neuron to the other, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

import lipc
from lipc import Query, box, from_weights
from lipc.ir import Builder, Conditional, Input, Polytope, Program
from lipc.passes.bounds import Bounds
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.pipeline import parse_pipeline
from lipc.passes.run import run_passes
from lipc.passes.scale import Scale, coefficient_range
from tests.ir.sample_programs import dense, rational_values, residual
from tests.nets import Network, random_network
from tests.oracle import lipschitz
from tests.passes.rewriting import check_pass, points_of, random_program, text


def unbalanced(seed: int, widths: list[int], spread: int = 20) -> Network:
    """Return a network whose neurons were multiplied by powers of two, and divided again by what reads them."""
    rng = np.random.default_rng(seed)
    network = random_network(seed, widths)
    weights, biases = [w.copy() for w in network.weights], [b.copy() for b in network.biases]
    for layer in range(len(weights) - 1):
        factors = 2.0 ** rng.integers(-spread, spread + 1, len(biases[layer]))
        weights[layer] *= factors[:, None]
        biases[layer] *= factors
        weights[layer + 1] /= factors
    return Network(weights, biases)


def ratio(program: Program) -> float:
    smallest, largest = coefficient_range(program)
    return largest / smallest


def test_coefficient_range() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, -1.0], [1.0, 1.0]))
    assert coefficient_range(builder.program(x)) == (1.0, 1.0)
    z = builder.affine({x: [[0.0, -8.0], [0.25, 1.0]]}, [1e9, 1e-9])
    assert coefficient_range(builder.program(z)) == (0.25, 8.0)
    assert coefficient_range(builder.program(builder.affine({z: csr_array([[0.0, -1e-3]])}))) == (1e-3, 8.0)
    assert coefficient_range(builder.program(builder.affine({z: np.zeros((1, 2))}))) == (1e-3, 8.0)


def test_one_neuron() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0], [1.0]))
    hidden = builder.relu(builder.affine({x: [[2.0**20], [1.0]]}, [2.0**19, 3.0]))
    program = Bounds("interval").apply(builder.program(builder.affine({hidden: [[2.0**-20, 1.0]]}))).program
    done = Scale().apply(program).program
    assert coefficient_range(done) == (1.0, 1.0)
    first = done.ops[1]
    np.testing.assert_array_equal(first.bias, [0.5, 3.0])  # type: ignore[union-attr]
    for value, factor in ((1, [2.0**-20, 1.0]), (3, [2.0**-20, 1.0]), (2, [1.0, 1.0]), (4, [1.0])):
        np.testing.assert_array_equal(done.bounds[value].upper, program.bounds[value].upper * factor)
    assert text(Scale().apply(done).program) == text(done)


@pytest.mark.parametrize("seed", range(6))
def test_hidden_factors_are_found(seed: int) -> None:
    plain, spread = dense(random_network(seed, [3, 6, 5, 1])).program, dense(unbalanced(seed, [3, 6, 5, 1])).program
    done = check_pass(spread, Scale(), points_of(seed)).program
    assert ratio(spread) > 1e4 * ratio(plain)
    assert ratio(done) <= 4 * ratio(plain)


@pytest.mark.parametrize("seed", range(12))
def test_never_worse_and_every_value_is_a_power_of_two_away(seed: int) -> None:
    program = residual(seed).program if seed % 2 else dense(unbalanced(seed, [2, 5, 4, 2], seed)).program
    done = Scale().apply(program).program
    assert ratio(done) <= ratio(program)
    again = Scale().apply(done).program
    assert ratio(again) <= ratio(done)
    for point in np.random.default_rng(seed).uniform(-1, 1, (4, program.ops[0].size)):
        old, new = (rational_values(each, {0: point.tolist()}) for each in (program, done))
        assert new[program.result] == old[program.result]
        for value, op in enumerate(program.ops):
            if isinstance(op, Input | Conditional):
                assert new[value] == old[value]
            for before, after in zip(old[value], new[value], strict=True):
                share = after / before if before else 1
                assert share.numerator & (share.numerator - 1) == 0 == share.denominator & (share.denominator - 1)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_the_jacobian_is_scaled_too(mode: Mode) -> None:
    program = run_passes(dense(unbalanced(1, [3, 6, 5, 2])).program, [Jacobian(mode), Bounds("interval")]).program
    trail = run_passes(program, [Scale()], validate=16)
    assert ratio(trail.program) < 1e-3 * ratio(program)
    assert trail.program.bounds[trail.program.result].upper == program.bounds[program.result].upper


@pytest.mark.parametrize("numbers", [[1e-300, 1e300], [5e-324, 1.0]])
def test_numbers_that_would_leave_double_precision_stay(numbers: list[float]) -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0], [1.0]))
    hidden = builder.relu(builder.affine({x: [[1e-300], [numbers[0]]]}, [1e-320, 1e300]))
    program = builder.program(builder.affine({hidden: [[1e300, numbers[1]]]}))
    done = Scale().apply(program).program
    for point in ([0.5], [-0.25]):
        assert rational_values(done, {0: point})[-1] == rational_values(program, {0: point})[-1]


def test_what_cannot_be_improved_is_left_alone() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, -1.0], [1.0, 1.0]))
    program = builder.program(builder.switch(builder.affine({x: [[1e-3, 1e3], [1.0, 0.0]]}), builder.conditional(x)))
    assert Scale().apply(program).program is program
    nothing = builder.program(builder.relu(x))
    assert Scale().apply(nothing).program is nothing


@pytest.mark.parametrize("seed", range(25))
def test_random_programs(seed: int) -> None:
    continuous = seed % 3 > 0
    program = random_program(seed, continuous=continuous)
    done = check_pass(program, Scale(), points_of(seed), continuous=continuous).program
    assert ratio(done) <= ratio(program)


@pytest.mark.parametrize(
    "passes", ["scale,bounds,prune-stable,jacobian,bounds,fuse", "bounds,jacobian,bounds,fuse,scale"]
)
def test_the_constant(passes: str) -> None:
    network = unbalanced(2, [2, 5, 4, 1], 6)
    exact = lipschitz(*network, [-1.0, -1.0], [1.0, 1.0])
    compiled = lipc.compile(from_weights(*network), Query(box(-1.0, [1.0, 1.0])), passes=parse_pipeline(passes))
    assert compiled.bound >= exact.value
    result = lipc.solve(compiled)
    assert result.status == "optimal"
    assert result.lower == pytest.approx(exact.value, rel=1e-7)


@pytest.mark.parametrize("relu", [False, True])
def test_a_result_that_something_reads_keeps_its_scale(relu: bool) -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0], [1.0]))
    z = builder.affine({x: [[2.0**10]]})
    result = builder.relu(z) if relu else z
    builder.affine({result: [[2.0**-10]]})  # after the result, so nobody needs it
    program = builder.program(result)
    done = Scale().apply(program).program
    assert rational_values(done, {0: [0.5]})[result] == rational_values(program, {0: [0.5]})[result]
