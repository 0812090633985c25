"""Bounds contain what a program computes: decided with rational numbers, so that no tolerance hides an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from spread import spread

from lipc.bounds import interval_bounds, linear_bounds
from lipc.ir import Conditional, Floats, Input, Interval, Kind, Lipschitz, Norm, Objective, Program, Sense
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.run import run_passes
from tests.ir.sample_programs import Sample, dense, max_pool, mixed, rational_values, residual
from tests.nets import KINDS, random_network
from tests.oracle import lipschitz, output_range, regions

Method = Callable[[Program], dict[int, Interval]]
METHODS: dict[str, Method] = {"interval": interval_bounds, "linear": linear_bounds}
SAMPLES: dict[str, Sample] = {
    "dense": dense(random_network(0, [3, 5, 4, 1])),
    "dense, small box": dense(random_network(1, [3, 6, 5, 2]), 0.3, 0.7),
    "residual": residual(2),
    "max pool": max_pool(3),
    "mixed": mixed(4),
    **{kind: dense(random_network(5, [2, 4, 3, 1], kind)) for kind in KINDS},
}


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    return METHODS[request.param]


def assert_inside(program: Program, bounds: Mapping[int, Interval], choices: Mapping[int, Floats]) -> None:
    """Check one point exactly; bits are taken as decided, and at random where an undecided operand is 0."""
    rng = np.random.default_rng(0)
    known: dict[int, list[float]] = {value: np.asarray(entries).tolist() for value, entries in choices.items()}
    for value in program.find(Conditional):
        before = rational_values(program, known)[program.ops[value].operands[0]]
        free = rng.integers(0, 2, len(before)).tolist()
        bits = [float(x > 0) if x != 0 else float(bit) for x, bit in zip(before, free, strict=True)]
        zero = np.array([x == 0 for x in before])
        known[value] = np.where(zero, np.clip(bits, bounds[value].lower, bounds[value].upper), bits).tolist()
    values = rational_values(program, known)
    for value, interval in bounds.items():
        for entry, low, high in zip(values[value], interval.lower.tolist(), interval.upper.tolist(), strict=True):
            assert Fraction(low) <= entry <= Fraction(high), (value, float(entry), low, high)


def random_choices(program: Program, point: Floats, rng: np.random.Generator) -> dict[int, Floats]:
    """Return choices of a Jacobian program: v among the corners of its ball or inside, c among the outputs."""
    choices = {0: point}
    for value in program.find(Input):
        op = program.ops[value]
        assert isinstance(op, Input)
        if value and op.kind is Kind.REAL and op.domain.is_bounded_box:
            inside = rng.integers(-4, 5, op.size) / 4
            choices[value] = inside if rng.random() < 0.5 else np.where(inside < 0, -1.0, 1.0)
        elif value:
            choices[value] = np.eye(op.size)[rng.integers(op.size)]
    return choices


@pytest.mark.parametrize("name", SAMPLES)
def test_values_of_networks(name: str, method: Method) -> None:
    sample = SAMPLES[name]
    bounds = method(sample.program)
    for point in [*sample.points(10), np.clip(0.0, sample.domain.lower, sample.domain.upper)]:
        assert_inside(sample.program, bounds, {0: point})


@pytest.mark.parametrize(
    ("name", "mode", "norm"), spread(list(SAMPLES), ["reverse", "forward"], [Norm.LINF, Norm.L1], every=3)
)
def test_values_of_jacobians(name: str, mode: Mode, norm: Norm, method: Method) -> None:
    sample = SAMPLES[name]
    program = run_passes(with_norm(sample.program, norm), [Fuse(), Jacobian(mode)]).program
    bounds = method(program)
    rng = np.random.default_rng(1)
    for point in [*sample.points(4), np.clip(0.0, sample.domain.lower, sample.domain.upper)]:
        assert_inside(program, bounds, random_choices(program, point, rng))


def with_norm(program: Program, norm: Norm) -> Program:
    return replace(program, objective=Objective(Sense.MAXIMIZE, Lipschitz(norm)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_values_at_the_corners_of_all_regions(kind: str, seed: int, method: Method) -> None:
    network = random_network(seed, [2, 5, 3, 2], kind)  # type: ignore[arg-type]
    sample = dense(network)
    low, high = sample.domain.lower, sample.domain.upper
    corners = np.unique(np.concatenate([region.vertices for region in regions(*network, low, high)[0]]), axis=0)
    bounds = method(sample.program)
    for corner in corners[:: max(1, len(corners) // 25)]:
        assert_inside(sample.program, bounds, {0: corner})


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
def test_the_bound_of_the_objective_is_above_the_exact_constant(seed: int, mode: Mode, norm: Norm) -> None:
    network = random_network(seed, [3, 6, 5, 1 + seed % 2])
    sample = dense(network)
    exact = lipschitz(*network, sample.domain.lower, sample.domain.upper, None, norm.value).value
    program = run_passes(with_norm(sample.program, norm), [Jacobian(mode)]).program
    wide, narrow = (float(found(program)[program.result].upper[0]) for found in (interval_bounds, linear_bounds))
    assert exact <= narrow <= wide
    # Loose, but not useless: the two are within a factor of the exact constant.
    assert narrow < 20 * exact


@pytest.mark.parametrize("seed", range(6))
def test_the_bounds_of_an_output_are_around_its_range(seed: int) -> None:
    network = random_network(seed, [3, 6, 5, 1])
    sample = dense(network)
    exact = output_range(*network, sample.domain.lower, sample.domain.upper, [1.0])
    wide, narrow = (found(sample.program)[sample.program.result] for found in (interval_bounds, linear_bounds))
    # The oracle rounds to nearest, and a bound may be exact: where every product is 0 it is the bias.
    assert wide.lower[0] <= narrow.lower[0] <= exact.minimum + 1e-15
    assert exact.maximum - 1e-15 <= narrow.upper[0] <= wide.upper[0]
    assert narrow.upper[0] - narrow.lower[0] < 0.9 * (wide.upper[0] - wide.lower[0])


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_linear_is_never_looser_than_interval(name: str, mode: Mode) -> None:
    program = run_passes(SAMPLES[name].program, [Jacobian(mode)]).program
    wide, narrow = interval_bounds(program), linear_bounds(program)
    assert wide.keys() == narrow.keys() == set(range(len(program.ops)))
    for value, interval in wide.items():
        slack = 1e-13 * (1 + interval.magnitude)
        assert (narrow[value].lower >= interval.lower - slack).all()
        assert (narrow[value].upper <= interval.upper + slack).all()
        assert (narrow[value].lower <= narrow[value].upper).all()
