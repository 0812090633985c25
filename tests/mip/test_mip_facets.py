"""Facets of switches: no integral point is lost, and the relaxation gets tighter."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from mip_solving import optimum, violation
from nets import random_network
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

import lipc
from lipc import Query, box, from_weights
from lipc.ir import Builder, Floats, Objective, Origin, Polytope, Sense, evaluate
from lipc.mip import MixedIntegerProgram, add_facets, columns_of, lower
from lipc.mip.facets import violated_facets

MAXIMIZE = Objective(Sense.MAXIMIZE)


def relaxation(program: MixedIntegerProgram) -> Floats:
    """Return an optimal point of the linear relaxation, by the solver inside SciPy."""
    sign = -1.0 if program.sense is Sense.MAXIMIZE else 1.0
    rows = [LinearConstraint(program.matrix, program.row_lower, program.row_upper)]
    found = milp(sign * program.cost, bounds=Bounds(program.column_lower, program.column_upper), constraints=rows)
    assert found.status == 0
    return np.asarray(found.x)


def compiled(seed: int, mode: str) -> lipc.Compiled:
    net = random_network(seed, (3, 5, 5, 1))
    return lipc.compile(from_weights(*net), Query(box(-np.ones(3), np.ones(3))), mode=mode)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_stays_and_the_relaxation_gets_tighter(seed: int, mode: str) -> None:
    mip = compiled(seed, mode).mip
    tighter = add_facets(mip, relaxation)
    before, after = optimum(mip), optimum(tighter)
    assert before is not None and after is not None
    assert after[0] == pytest.approx(before[0], rel=1e-6)
    roots = [each.objective(relaxation(each)) for each in (mip, tighter)]
    assert roots[1] <= roots[0] * (1 + 1e-9)
    if mode == "forward":
        assert tighter.matrix.shape[0] > mip.matrix.shape[0]
        assert roots[1] < roots[0] * (1 - 1e-3)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_no_point_of_the_network_violates_a_facet(mode: str) -> None:
    """Facets that are made at arbitrary points, however wrong."""
    question = compiled(1, mode)
    rng = np.random.default_rng(0)
    mip, program = question.mip, question.program
    rows = []
    for _ in range(20):
        point = mip.column_lower + rng.random(len(mip.cost)) * (mip.column_upper - mip.column_lower)
        rows.append(violated_facets(mip, point, -np.inf))
    assert sum(len(each.upper) for each in rows) >= 20 * 2 * len(mip.splits.row) > 0
    for x in rng.uniform(-1, 1, (50, 3)):
        inside = question.trail.extend({question.asked.network_input()[0]: x, **_bits(question, x)})
        columns = columns_of(mip, program, evaluate(program, inside))
        assert violation(mip, columns) < 1e-9
        for facets in rows:
            assert (facets.rows @ columns <= facets.upper + 1e-9).all()


def _bits(question: lipc.Compiled, x: Floats) -> dict[int, Floats]:
    from lipc.ir import Conditional

    values = evaluate(question.asked, {question.asked.network_input()[0]: x[None, :]})
    return {value: values[value][0] for value in question.asked.find(Conditional)}


def one_switch(weights: Floats, bias: float) -> MixedIntegerProgram:
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(len(weights)), np.full(len(weights), 2.0)), origin=Origin("x"))
    builder.origin = Origin("relu")
    return lower(builder.program(builder.relu(builder.affine({x: weights[None, :]}, [bias])), MAXIMIZE))


def test_the_facets_of_one_relu_are_its_convex_hull() -> None:
    """At any x, the largest value of the relu in the relaxation with all facets is that of the concave envelope.

    The envelope of p = a (w x + b), a in {0, 1}, wx + b of the bit's sign, is what a linear program over the vertices
    of both pieces says.
    """
    rng = np.random.default_rng(3)
    weights, bias = rng.normal(size=3), 0.1
    mip = one_switch(weights, bias)
    x = next(block for block in mip.columns if block.name == "x").columns
    (on, bit) = int(mip.splits.on[0]), int(mip.splits.bit[0])
    for _ in range(10):
        at = rng.uniform(-1, 2, 3)
        fixed = mip.column_lower.copy(), mip.column_upper.copy()
        fixed[0][x] = fixed[1][x] = at
        rows, upper = mip.matrix.toarray(), mip.row_upper
        lower_sides = mip.row_lower
        cost = np.zeros(len(mip.cost))
        cost[on] = -1.0
        value = np.inf
        for _ in range(50):
            found = milp(cost, bounds=Bounds(*fixed), constraints=[LinearConstraint(rows, lower_sides, upper)])
            value = found.x[on]
            facets = violated_facets(mip, found.x, 1e-9)
            if not len(facets.upper):
                break
            rows = np.vstack([rows, facets.rows.toarray()])
            upper = np.concatenate([upper, facets.upper])
            lower_sides = np.concatenate([lower_sides, np.full(len(facets.upper), -np.inf)])
        assert bit != on
        assert value == pytest.approx(envelope(weights, bias, at), abs=1e-7)


def envelope(weights: Floats, bias: float, at: Floats) -> float:
    """Return the largest value at a point of the hull of ``(x, a, a (w x + b))`` over the corners of the box."""
    corners = np.array(list(product([-1.0, 2.0], repeat=len(weights))))
    points = np.vstack([corners, corners])
    values = np.concatenate([corners @ weights + bias, np.zeros(len(corners))])
    equal = np.vstack([points.T, np.ones(len(points))])
    found = linprog(-values, A_eq=equal, b_eq=np.append(at, 1.0), bounds=(0, None))
    return float(-found.fun)


def test_facets_are_rounded_outward() -> None:
    """In exact arithmetic, at corners where they are tight."""
    rng = np.random.default_rng(5)
    weights = rng.normal(size=6) / 3.0
    mip = one_switch(weights, 1.0 / 3.0)
    split = next(mip.splits.each())
    row, on, off, bit = split
    entries = slice(mip.matrix.indptr[row], mip.matrix.indptr[row + 1])
    coefficients = dict(zip(mip.matrix.indices[entries].tolist(), mip.matrix.data[entries].tolist(), strict=True))
    x = sorted(set(coefficients) - {on, off})
    for _ in range(20):
        point = mip.column_lower + rng.random(len(mip.cost)) * (mip.column_upper - mip.column_lower)
        facets = violated_facets(mip, point, -np.inf)
        for corner, a in product(product([-1.0, 2.0], repeat=len(x)), (0, 1)):
            exact = {column: Fraction(value) for column, value in zip(x, corner, strict=True)}
            operand = sum((Fraction(coefficients[c]) * exact[c] for c in x), Fraction(0)) - Fraction(mip.row_lower[row])
            exact[on] = -a * operand / Fraction(coefficients[on])
            exact[bit] = Fraction(a)
            for cut, side in zip(facets.rows.toarray(), facets.upper.tolist(), strict=True):
                left = sum((Fraction(float(cut[c])) * exact[c] for c in exact), Fraction(0))
                assert left <= Fraction(side)


def test_without_a_point_the_program_stays() -> None:
    mip = one_switch(np.ones(2), 0.0)
    assert add_facets(mip, lambda _: None) is mip
