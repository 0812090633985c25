"""Bound tightening: sound at every point, at least as tight as before, and decided bits stay decided."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from spread import spread

import lipc
from lipc import from_weights
from lipc.bounds import interval_bounds
from lipc.errors import QueryError
from lipc.ir import Builder, Conditional, Interval, Norm, Objective, Origin, Polytope, Program, Sense, evaluate
from lipc.passes.bounds import Bounds
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.pipeline import named_pipeline
from lipc.passes.run import run_passes
from lipc.passes.tighten import Tighten
from tests.ir.sample_programs import dense
from tests.nets import random_network

MODES: tuple[Mode, ...] = ("forward", "reverse")


def lowered(seed: int, mode: Mode, norm: Norm = Norm.LINF, outputs: int = 2) -> Program:
    program = dense(random_network(seed, (3, 6, 5, outputs)), norm=norm).program
    return run_passes(program, [Bounds(), Jacobian(mode), Bounds(only_new=True)]).program


def points_of(program: Program, count: int = 500) -> list[np.ndarray]:  # type: ignore[type-arg]
    random = np.random.default_rng(1)
    inputs = {}
    for value, op in enumerate(program.ops):
        if not hasattr(op, "domain"):
            continue
        domain = op.domain
        if op.kind.name == "BIT":
            inputs[value] = np.eye(op.size)[random.integers(0, op.size, count)]
        elif domain.rows.shape[0]:  # the simplex
            inputs[value] = random.dirichlet(np.ones(op.size + 1), count)[:, :-1]
        else:
            inputs[value] = random.uniform(domain.lower, domain.upper, (count, op.size))
    return evaluate(program, inputs)


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(4))
def test_bounds_hold_and_are_tighter(seed: int, mode: Mode, norm: Norm) -> None:
    program = lowered(seed, mode, norm)
    tightened = Tighten().apply(program).program
    narrower = 0
    for value, points in enumerate(points_of(program)):
        before, after = program.bounds[value], tightened.bounds[value]
        assert (after.lower >= before.lower).all()
        assert (after.upper <= before.upper).all()
        slack = 1e-12 * (1 + np.abs(points).max())
        assert (points >= after.lower - slack).all()
        assert (points <= after.upper + slack).all()
        narrower += int((after.upper - after.lower < 0.99 * (before.upper - before.lower)).sum())
    assert narrower > 0


def test_a_bit_that_intervals_leave_open_is_decided() -> None:
    """Intervals forget that relu(x) stands in |x| - relu(x) - 1.25 twice."""
    builder = Builder()
    x = builder.input(Polytope.box([-1.0], [1.0]), origin=Origin("x"))
    h = builder.relu(builder.affine({x: [[1.0], [-1.0], [1.0]]}, [0.0, 0.0, 0.0]))
    # At most -0.25, for intervals at most 0.75.
    z = builder.affine({h: [[1.0, 1.0, -1.0]]}, -1.25)
    result = builder.relu(z)
    program = builder.program(result, Objective(Sense.MAXIMIZE))
    program = program.with_bounds(interval_bounds(program))
    bit = max(program.find(Conditional))
    assert program.bounds[bit].upper[0] == 1
    tightened = Tighten().apply(program).program
    assert tightened.bounds[z].upper[0] == pytest.approx(-0.25)
    assert tightened.bounds[bit].upper[0] == 0
    assert tightened.bounds[result].upper[0] == 0


def test_values_may_be_chosen() -> None:
    program = lowered(1, "forward")
    pre_activations = {program.ops[value].operands[0] for value in program.find(Conditional)}
    last = max(pre_activations)

    def changed(passes: Tighten) -> set[int]:
        bounds = passes.apply(program).program.bounds
        return {
            v
            for v in bounds
            if (bounds[v].upper - bounds[v].lower < program.bounds[v].upper - program.bounds[v].lower).any()
        }

    assert last in changed(Tighten("network"))
    assert not changed(Tighten("jacobian")) & pre_activations
    assert changed(Tighten("jacobian"))


def test_without_time_nothing_changes() -> None:
    program = lowered(2, "reverse")
    after = Tighten(seconds=0.0).apply(program).program
    for value, known in interval_bounds(program).items():
        assert (after.bounds[value].lower == known.lower).all()
        assert (after.bounds[value].upper == known.upper).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
def test_the_optimum_stays_with_a_cutoff_below_it(mode: Mode, norm: Norm) -> None:
    net = random_network(6, (3, 6, 5, 1))
    domain = lipc.box(-1.0, [1.0, 1.0, 1.0])
    exact = oracle.lipschitz(*net, domain.lower, domain.upper, None, norm.value)
    query = lipc.Query(domain, norm=norm)
    passes = [*named_pipeline(2, mode)]
    for share in (0.5, 1 - 1e-9):
        cut = [*passes[:-2], Tighten(cutoff=share * exact.value), *passes[-2:]]
        result = lipc.solve(from_weights(*net), query, passes=cut)
        assert result.lower == pytest.approx(exact.value, rel=1e-9)
        assert result.certified
    free = run_passes(query.ask(from_weights(*net).program), passes[:-2]).program
    cutoff = exact.value * (1 - 1e-9)
    plain, cut_off = (Tighten(cutoff=c).apply(free).program.bounds[free.result] for c in (float("-inf"), cutoff))
    assert cut_off.lower[0] == cutoff
    # Two linear programs end at multipliers that prove bounds apart by rounding.
    assert cutoff <= cut_off.upper[0] <= plain.upper[0] * (1 + 1e-12)


def test_a_cutoff_of_a_minimum_is_an_upper_one() -> None:
    net = from_weights([np.array([[1.0], [-1.0]]), np.array([[1.0, 1.0]])])
    query = lipc.Query(lipc.box([-1.0], [1.0]), goal="min")
    program = query.ask(net.program)
    bounds = Tighten(cutoff=0.25).apply(program.with_bounds(interval_bounds(program))).program.bounds
    assert bounds[program.result].upper[0] == 0.25
    # |x| <= 1/4 leaves both pre-activations within [-1/4, 1/4]: by the relaxation at most 5/8.
    assert bounds[1].upper.max() < 1.0


def test_a_cutoff_that_nothing_reaches_is_no_contradiction() -> None:
    program = lowered(3, "reverse", outputs=1)
    known = program.bounds[program.result]
    for cutoff in (known.upper[0] * 0.999, known.upper[0] + 1.0):
        after = Tighten(cutoff=float(cutoff)).apply(program).program
        assert all((each.lower <= each.upper).all() for each in after.bounds.values())


@pytest.mark.parametrize("seconds", [float("nan"), -1.0])
def test_a_budget_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(QueryError, match="cannot take"):
        Tighten(seconds=seconds)


def test_a_cutoff_needs_one_value() -> None:
    program = dense(random_network(0, (2, 3, 1)), norm=Norm.LINF).program
    with pytest.raises(QueryError, match="run the pass jacobian first"):
        Tighten(cutoff=1.0).apply(program)
    assert Tighten().apply(program).program.bounds


@pytest.mark.parametrize(("seed", "mode", "level"), spread(range(3), MODES, range(4), every=5))
def test_every_level_gives_the_exact_answer(seed: int, mode: Mode, level: int) -> None:
    net = random_network(seed, (3, 5, 5, 2))
    domain = lipc.box([-1.0, 0.0, -0.5], [1.0, 1.0, 0.5])
    exact = oracle.lipschitz(*net, domain.lower, domain.upper)
    result = lipc.solve(from_weights(*net), lipc.Query(domain), mode=mode, level=level)  # type: ignore[arg-type]
    assert not exact.thin
    assert result.lower == pytest.approx(exact.value, rel=1e-9)
    assert result.certified


def test_bounds_of_a_known_point_are_that_point() -> None:
    """An interval that is one number is left alone."""
    program = lowered(0, "forward")
    (value, known) = next(iter(program.bounds.items()))
    fixed = program.with_bounds({**program.bounds, value: Interval(known.lower, known.lower.copy())})
    after = Tighten().apply(fixed).program.bounds[value]
    assert (after.lower == after.upper).all()
