"""Bounds proven by multipliers: any multipliers, exact arithmetic, a solver that lies."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

from lipc.bounds import interval_bounds
from lipc.bounds.engine import Engine, Proposal
from lipc.bounds.relaxation import Relaxation
from lipc.ir import Builder, Floats, Interval, Norm, Origin, Program, evaluate
from lipc.passes.bounds import Bounds
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.run import run_passes
from lipc.query import ball
from tests.ir.sample_programs import dense
from tests.nets import random_network

MODES: tuple[Mode, ...] = ("forward", "reverse")


def program(seed: int, mode: Mode = "reverse", norm: Norm = Norm.LINF) -> Program:
    sample = dense(random_network(seed, (3, 5, 4, 1)), norm=norm).program
    return run_passes(sample, [Bounds(), Jacobian(mode), Bounds(only_new=True)]).program


def relaxation(of: Program) -> Relaxation:
    return Relaxation(of, interval_bounds(of))


def exact_bound(of: Relaxation, column: int, sign: int, multipliers: Floats) -> Fraction:
    """Return what multipliers prove, in rational arithmetic; those that point at no side count as 0."""
    rows = of.matrix.toarray()
    reduced = [Fraction(0)] * rows.shape[1]
    reduced[column] += sign
    total = Fraction(0)
    for row, y, low, high in zip(rows, multipliers, of.row_lower, of.row_upper, strict=True):
        side = low if y > 0 else high
        if y == 0 or not np.isfinite(side):
            continue
        total += Fraction(y) * Fraction(side)
        for entry in np.flatnonzero(row):
            reduced[entry] -= Fraction(y) * Fraction(row[entry])
    for d, low, high in zip(reduced, of.lower, of.upper, strict=True):
        total += d * (Fraction(low) if d > 0 else Fraction(high))
    return total


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(3))
def test_any_multipliers_prove_no_more_than_they_do(seed: int, mode: Mode) -> None:
    of = relaxation(program(seed, mode))
    random = np.random.default_rng(seed)
    for trial in range(12):
        column, sign = int(random.integers(len(of.lower))), int(random.choice([-1, 1]))
        proposal = of.engine.minimize(column, sign)
        assert proposal is not None
        noise = [0.0, 1e-12, 1e-3, 10.0][trial % 4]
        multipliers = proposal.multipliers + noise * random.normal(size=len(of.row_lower))
        exact, proven = exact_bound(of, column, sign, multipliers), of.proven(column, sign, multipliers)
        assert Fraction(proven) <= exact
        assert float(exact) - proven <= 1e-9 * (1 + sum(abs(multipliers)))


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
@pytest.mark.parametrize("mode", MODES)
def test_extremes_are_those_of_another_solver(mode: Mode, norm: Norm) -> None:
    of = relaxation(program(5, mode, norm))
    matrix = of.matrix.toarray()
    upper, lower = np.isfinite(of.row_upper), np.isfinite(of.row_lower)
    rows = np.vstack([matrix[upper], -matrix[lower]])
    sides = np.concatenate([of.row_upper[upper], -of.row_lower[lower]])
    for value in range(len(of.program.ops)):
        for sign in (1, -1):
            cost = np.zeros(matrix.shape[1])
            cost[of.first[value]] = sign
            limits = np.stack([of.lower, of.upper], axis=1)
            best = sign * linprog(cost, rows, sides, bounds=limits, method="highs").fun
            found, point = of.extreme(value, 0, sign)
            assert point is not None
            assert sign * found <= sign * best + 1e-12
            assert found == pytest.approx(best, abs=1e-7)
    assert of.refuted == 0


@pytest.mark.parametrize("mode", MODES)
def test_every_point_of_the_program_keeps_every_row(mode: Mode) -> None:
    of = relaxation(program(7, mode))
    random = np.random.default_rng(7)
    inputs = {
        value: random.uniform(op.domain.lower, op.domain.upper, (200, op.size))
        for value, op in enumerate(of.program.ops)
        if hasattr(op, "domain")
    }
    columns = np.concatenate(evaluate(of.program, inputs), axis=1)
    product = columns @ of.matrix.T.toarray()
    assert (product >= of.row_lower - 1e-9).all()
    assert (product <= of.row_upper + 1e-9).all()


def test_an_l1_ball_and_half_spaces_are_in_the_relaxation() -> None:
    builder = Builder()
    domain = ball([0.25, -0.5], 1.0, norm=Norm.L1).with_rows([[1.0, 1.0]], [-np.inf], [0.5])
    x = builder.input(domain, origin=Origin("x"))
    both = builder.affine({x: [[1.0, 1.0], [1.0, -1.0]]})
    of = relaxation(builder.program(both))
    # x0 + x1 <= 1/2 by the half-space; x0 - x1 <= 3/4 + 1 by the ball, whose center has the difference 3/4.
    assert of.extreme(both, 0, -1)[0] == pytest.approx(0.5)
    assert of.extreme(both, 1, -1)[0] == pytest.approx(1.75)
    assert of.extreme(both, 1, 1)[0] == pytest.approx(-0.25)


@pytest.mark.parametrize("mode", MODES)
def test_tightened_it_is_the_relaxation_of_the_tighter_bounds(mode: Mode) -> None:
    of = relaxation(program(3, mode))
    bounds = interval_bounds(of.program)
    for value, known in list(bounds.items()):
        width = known.upper - known.lower
        bounds[value] = Interval(known.lower + 0.125 * width, known.upper - 0.25 * width)
        of.tighten(value, bounds[value])
    fresh = Relaxation(of.program, bounds)
    assert (of.matrix.toarray() == fresh.matrix.toarray()).all()
    for name in ("row_lower", "row_upper", "lower", "upper"):
        assert (getattr(of, name) == getattr(fresh, name)).all()
    for value in bounds:
        for sign in (1, -1):
            assert of.extreme(value, 0, sign)[0] == pytest.approx(fresh.extreme(value, 0, sign)[0], abs=1e-7)


def test_a_solver_that_claims_too_much_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = relaxation(program(4))
    result = honest.program.result
    truth = honest.extreme(result, 0, -1)[0]
    of = relaxation(honest.program)
    honestly = Engine.minimize

    def claim(engine: Engine, column: int, sign: int, seconds: float = np.inf) -> Proposal:
        del engine, seconds
        found = honestly(honest.engine, column, sign)
        assert found is not None
        random = np.random.default_rng(column)
        return Proposal(
            found.value + 1.0, found.point, found.multipliers * random.uniform(0.5, 1.5, len(found.multipliers))
        )

    monkeypatch.setattr(Engine, "minimize", claim)
    bound, _ = of.extreme(result, 0, -1)
    assert bound >= truth
    assert of.refuted == 1
    assert bound <= of.upper[of.first[result]]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300])
def test_multipliers_that_are_no_use_prove_nothing_wrong(wrong: float) -> None:
    of = relaxation(program(4))
    with np.errstate(all="ignore"):
        proven = of.proven(0, 1, np.full(len(of.row_lower), wrong))
    assert proven <= of.lower[0]
    assert not np.isnan(proven)
