"""LipOpt: linear programs of products."""

from __future__ import annotations

from itertools import combinations_with_replacement, product
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

from lipc.bounds import handelman
from lipc.bounds.lp import LinearSolution
from lipc.estimators.base import Limits, RefusedError
from lipc.estimators.lipopt import LipOpt
from tests.estimators.estimator_cases import ask, estimate, random_case, reference_cases
from tests.nets import Floats, random_network


def derivative(weights: list[Floats], point: Floats) -> float:
    """Return ``c' W D .. D W v`` at a point of the unit cube: ``v = 2 t - 1``, then the slopes."""
    inputs = weights[0].shape[1]
    passed, at = weights[0] @ (2 * point[:inputs] - 1), inputs
    for weight in weights[1:]:
        passed, at = weight @ (point[at : at + len(passed)] * passed), at + len(passed)
    return float(passed[0])


def by_collocation(weights: list[Floats], degree: int) -> float:
    """Return the optimum from values at random points instead of coefficients: as many as polynomials have."""
    variables = weights[0].shape[1] + sum(map(len, weights[:-1]))
    chosen = list(combinations_with_replacement(range(2 * variables), degree))
    count = len(list(combinations_with_replacement(range(variables + 1), degree)))
    points = np.random.default_rng(0).random((count + 20, variables))
    factors = np.concatenate([points, 1 - points], axis=1)
    products = np.array([factors[:, list(each)].prod(axis=1) for each in chosen]).T
    matrix = np.concatenate([np.ones((len(points), 1)), -products], axis=1)
    values = np.array([derivative(weights, point) for point in points])
    cost = np.eye(1, 1 + len(chosen))[0]
    found = linprog(cost, A_eq=matrix, b_eq=values, bounds=[(None, None)] + [(0, None)] * len(chosen))
    assert found.status == 0
    return float(found.fun)


@pytest.mark.parametrize(("widths", "degree"), [((2, 3, 1), 2), ((1, 2, 2, 1), 3), ((2, 2, 1), 3), ((2, 3, 1), 4)])
def test_the_bound_is_the_optimum_of_the_hierarchy(widths: tuple[int, ...], degree: int) -> None:
    network = random_network(5, widths)
    expected = by_collocation(network.weights, degree)
    assert estimate(LipOpt(degree), ask(network)).value == pytest.approx(expected, rel=1e-5)


def test_a_higher_degree_is_no_worse_and_the_least_is_that_of_one_factor_of_each_layer() -> None:
    for seed in (0, 1, 3):
        network = random_network(seed, (2, 3, 2, 1))
        least, three, four = (estimate(LipOpt(degree), ask(network)).value for degree in (0, 3, 4))
        worst = max(
            derivative(network.weights, np.array(corner, float)) for corner in product((0, 1), repeat=2 + 3 + 2)
        )
        assert worst <= four <= three * (1 + 1e-6)
        assert three == pytest.approx(least, rel=1e-6)


def test_multipliers_that_are_wrong_cost_but_prove(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(2, (2, 3, 1))
    solve = handelman.solve_linear_program
    best = estimate(LipOpt(), ask(network)).value

    def disturbed(*given: object) -> LinearSolution | None:
        found = solve(*given)  # type: ignore[arg-type]
        assert found is not None
        noise = 1 + 1e-3 * np.random.default_rng(0).normal(size=len(found.multipliers))
        return LinearSolution(found.value, found.point, found.multipliers * noise)

    monkeypatch.setattr(handelman, "solve_linear_program", disturbed)
    found = estimate(LipOpt(), ask(network)).value
    assert best < found < 1.2 * best


def test_refusals_say_what_is_too_much(shared: Path) -> None:
    (program,) = (case.program for case in reference_cases(shared, sizes="trained") if case.norm == "linf")
    with pytest.raises(RefusedError, match="products, and linear programs take up to"):
        estimate(LipOpt(), program)
    with pytest.raises(RefusedError, match="the polynomial has degree 3, more than 2"):
        estimate(LipOpt(2), ask(random_network(0, (2, 2, 2, 1))))
    with pytest.raises(RefusedError, match="within the time limit"):
        LipOpt().estimate(ask(random_case(0)), Limits(deadline=0.0))
