"""A derivative written out: against rational arithmetic along the program itself, for any bits, and its slack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from lipc.bounds.quadratic import FREE, restrict
from lipc.bounds.unrolled import Unrolled, unroll
from lipc.errors import QueryError
from lipc.ir import Builder, Conditional, Floats, Norm, Polytope, Program, evaluate, pushforward
from tests.ir.sample_programs import Sample, dense, max_pool, mixed, rational_values, residual
from tests.nets import KINDS, Network, random_network


def shared_bits(seed: int) -> Program:
    """Return a network in which several switches read one bit, and one reads the input."""
    rng = np.random.default_rng(seed)
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(3), np.ones(3)))
    first = builder.affine({x: rng.normal(size=(4, 3))}, rng.normal(size=4))
    bits = builder.conditional(first)
    on, other = builder.switch(first, bits), builder.switch(builder.affine({x: rng.normal(size=(4, 3))}), bits)
    both = builder.affine({on: rng.normal(size=(4, 4)), other: rng.normal(size=(4, 4)), x: rng.normal(size=(4, 3))})
    again = builder.switch(both, bits)  # and by a later layer
    bent = builder.leaky_relu(again, 0.2)
    return builder.program(builder.affine({bent: rng.normal(size=(2, 4)), bits: rng.normal(size=(2, 4))}))


def cancelling(seed: int) -> Program:
    """Return a network of two affine maps in a row whose product loses most of its digits."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2, 3))
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(3), np.ones(3)))
    twins = builder.affine({x: np.concatenate([rows, rows * (1 + 1e-9)])})
    difference = builder.affine({twins: np.hstack([np.eye(2), -np.eye(2)]) * rng.normal(size=(2, 1)) * 1e7})
    return builder.program(builder.affine({builder.relu(difference): rng.normal(size=(1, 2))}))


def scaled(seed: int, scale: float) -> Program:
    """Return a network whose layers are far from 1, each in its own way."""
    net = random_network(seed, (3, 4, 4, 4, 2))
    for weight, factor in zip(net.weights, (scale, 1 / scale, scale**0.5, 1.0), strict=True):
        weight *= factor
    return dense(net).program


PROGRAMS: dict[str, Callable[[int], Program]] = {
    "residual": lambda seed: residual(seed, outputs=2).program,
    "convolution and max-pool": lambda seed: max_pool(seed, outputs=2).program,
    "clip, abs, leaky relu, minimum": lambda seed: mixed(seed).program,
    "shared bits": shared_bits,
    "cancelling": cancelling,
    "tiny weights": lambda seed: scaled(seed, 1e-9),
    "huge weights": lambda seed: scaled(seed, 1e9),
    **{kind: lambda seed, kind=kind: dense(random_network(seed, (3, 5, 4, 2), kind)).program for kind in KINDS},  # type: ignore[misc]
}


def random_bits(program: Program, rng: np.random.Generator) -> dict[int, Floats]:
    """Return any bits at all, whether a point has them or not."""
    chosen = {value: rng.integers(0, 2, program.ops[value].size) for value in program.find(Conditional)}
    return {value: bits.astype(np.float64) for value, bits in chosen.items()}


def random_direction(inputs: int, rng: np.random.Generator) -> Floats:
    return rng.choice([rng.uniform(-1, 1, inputs), rng.choice([-1.0, 1.0], inputs)])


def exact_derivative(program: Program, bits: dict[int, Floats], direction: Floats) -> list[Fraction]:
    """Return the derivative of the result along a direction in rational arithmetic; for given bits it is affine."""
    source, domain = program.network_input()
    choices = {value: chosen.tolist() for value, chosen in bits.items()}
    ends = [rational_values(program, {**choices, source: v}) for v in (direction.tolist(), [0.0] * domain.size)]
    return [there - here for there, here in zip(ends[0][program.result], ends[1][program.result], strict=True)]


def dot(coefficients: Floats, values: Sequence[Fraction]) -> Fraction:
    return sum((Fraction(float(c)) * x for c, x in zip(coefficients, values, strict=True) if c), Fraction(0))


def along(unrolled: Unrolled, states: NDArray[np.int64], direction: Floats) -> list[Fraction]:
    """Return the derivative along a direction from the coefficients, in rational arithmetic."""
    values = [Fraction(float(entry)) for entry in direction]
    for switch in range(unrolled.switches):
        row = np.concatenate([unrolled.direct[switch], unrolled.through[switch, :switch]])
        values.append(dot(row, values) if states[unrolled.bits[switch]] else Fraction(0))
    return [dot(row, values) for row in unrolled.outputs]


def states_of(unrolled: Unrolled, bits: dict[int, Floats]) -> NDArray[np.int64]:
    return np.array([int(bits[value][entry]) for value, entry in unrolled.places], np.int64)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_coefficients_make_the_derivative_but_for_the_slack(name: str) -> None:
    for seed in range(3):
        program, rng = PROGRAMS[name](seed), np.random.default_rng(seed)
        unrolled = unroll(program)
        for _ in range(6):
            bits, direction = random_bits(program, rng), random_direction(unrolled.inputs, rng)
            exact = exact_derivative(program, bits, direction)
            written = along(unrolled, states_of(unrolled, bits), direction)
            for one, other, slack in zip(exact, written, unrolled.slack, strict=True):
                assert abs(one - other) <= Fraction(float(slack))


@pytest.mark.parametrize("name", ["residual", "convolution and max-pool", "clip, abs, leaky relu, minimum", "generic"])
def test_the_slack_is_rounding_only(name: str) -> None:
    unrolled = unroll(PROGRAMS[name](0))
    assert (unrolled.slack > 0).all()
    assert (unrolled.slack < 1e-10).all()


def test_it_is_the_derivative_at_points() -> None:
    for seed, sample in enumerate([residual(1, 2), max_pool(2, 2), mixed(3), dense(random_network(4, (3, 6, 5, 2)))]):
        program = sample.program
        unrolled, source = unroll(program), program.network_input()[0]
        points = sample.points(3, seed)
        for point in points[:, None, :]:
            values = evaluate(program, {source: point})
            jacobian = pushforward(program, values, np.eye(unrolled.inputs), source)[program.result].T
            states = states_of(unrolled, {value: values[value][0] for value in program.find(Conditional)})
            columns = [along(unrolled, states, unit) for unit in np.eye(unrolled.inputs)]
            np.testing.assert_allclose(np.array(columns, float).T, jacobian, atol=1e-12)
            np.testing.assert_allclose(jacobian, finite_differences(sample, point[0]), atol=1e-6)


def finite_differences(sample: Sample, point: Floats, step: float = 1e-7) -> Floats:
    moves = step * np.eye(len(point))
    columns = [(sample.function((point + m)[None]) - sample.function((point - m)[None]))[0] for m in moves]
    return np.stack(columns, axis=1) / (2 * step)


@pytest.mark.parametrize("name", ["shared bits", "clip, abs, leaky relu, minimum", "residual", "huge weights"])
def test_levels_hold_no_two_switches_of_which_one_reads_the_other(name: str) -> None:
    unrolled = unroll(PROGRAMS[name](0))
    assert sorted(np.concatenate(unrolled.levels).tolist()) == list(range(unrolled.switches))
    seen: list[int] = []
    for level in unrolled.levels:
        read = np.flatnonzero((unrolled.through[level] != 0).any(axis=0))
        assert set(read.tolist()) <= set(seen)
        seen += level.tolist()
    assert not np.triu(unrolled.through).any()


def test_scales_of_layers_leave_the_coefficients_near_one() -> None:
    for scale in (1e-12, 1e12):
        unrolled = unroll(scaled(1, scale))
        rows = np.abs(np.concatenate([unrolled.direct, unrolled.through], axis=1)).max(axis=1)
        assert ((rows >= 0.5) & (rows < 1)).all()


@pytest.mark.parametrize("name", PROGRAMS)
def test_decisions_substituted_leave_the_same_derivative(name: str) -> None:
    """For any decisions, and any direction and bits that keep them; the slack covers what restricting rounds."""
    for seed in range(3):
        program, rng = PROGRAMS[name](seed), np.random.default_rng([7, seed])
        unrolled = unroll(program)
        for output in range(len(unrolled.slack)):
            bits, direction = random_bits(program, rng), random_direction(unrolled.inputs, rng)
            states = states_of(unrolled, bits)
            kept = np.where(rng.random(len(states)) < rng.random(), states, FREE).astype(np.int8)
            known = np.where(rng.random(len(direction)) < rng.random(), direction, np.nan)
            slack = float(unrolled.slack[output])
            quadratic = restrict(unrolled, unrolled.outputs[output], slack, known, kept)
            y = [Fraction(float(direction[sign])) for sign in quadratic.signs]
            for place, switch in enumerate(quadratic.switches.tolist(), quadratic.free_signs):
                read = Fraction(float(quadratic.shifts[place])) - dot(quadratic.links[:place, place], y)
                y.append(read if states[unrolled.bits[switch]] else Fraction(0))
            written = Fraction(quadratic.constant) + dot(quadratic.weights, y)
            exact = exact_derivative(program, bits, direction)[output]
            assert abs(written - exact) <= Fraction(quadratic.slack)
            assert not np.tril(quadratic.links, -1).any()
            assert (np.diag(quadratic.links) == 1).all()


def test_what_cannot_be_written_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QueryError, match="too large to write out"):
        net = random_network(0, (3, 4, 4, 4, 2))
        unroll(dense(Network([1e150 * weight for weight in net.weights], net.biases)).program)
    monkeypatch.setattr("lipc.bounds.unrolled.MOST_NUMBERS", 20)
    with pytest.raises(QueryError, match="the network is too large"):
        unroll(dense(random_network(0, (3, 5, 1)), norm=Norm.L1).program)
