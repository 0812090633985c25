"""Norms of Jacobians against all signs; the polytope around the ball of l_2 against points of it."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from lipc.certify.witness import exact_norm, jacobian_bound
from lipc.ir import Norm
from lipc.ir.euclidean import SIDES, euclidean_ball, euclidean_factor, euclidean_point
from lipc.ir.exact import Dyadic, round_down
from lipc.ir.norms import MOST_SIGNED, climb_signs, sign_rows, steepest


def by_signs(jacobian: np.ndarray, norm: Norm) -> float:
    order = {Norm.LINF: 1, Norm.L1: np.inf, Norm.L2: 2}[norm]
    signs = product((1.0, -1.0), repeat=len(jacobian))
    return max(float(np.linalg.norm(np.array(each) @ jacobian, order)) for each in signs)


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("seed", range(20))
def test_signs(seed: int, norm: Norm) -> None:
    rng = np.random.default_rng(seed)
    jacobian = rng.integers(-3, 4, (int(rng.integers(1, 7)), int(rng.integers(1, 7)))).astype(float)
    exact = by_signs(jacobian, norm)
    found = steepest(jacobian, norm, Norm.L1)
    assert set(np.abs(found)) == {1.0}
    assert found[0] == 1.0
    assert norm.dual_of(found @ jacobian) == pytest.approx(exact, rel=1e-14)
    climbed = norm.dual_of(climb_signs(jacobian[None], norm)[0] @ jacobian)
    assert 0.3 * exact <= climbed <= exact * (1 + 1e-14)
    bound = jacobian_bound([Dyadic.of(row) for row in jacobian], norm, Norm.L1)
    assert exact * (1 - 1e-15) <= bound <= exact * (1 + 1e-12) + 1e-290


@pytest.mark.parametrize("norm", list(Norm))
def test_many_outputs_are_bounded_by_the_sum(norm: Norm) -> None:
    jacobian = np.random.default_rng(0).normal(size=(MOST_SIGNED + 1, 3))
    bound = jacobian_bound([Dyadic.of(row) for row in jacobian], norm, Norm.L1)
    exact = norm.dual_of(sign_rows(len(jacobian)) @ jacobian).max()
    assert exact <= bound <= (exact * (1 + 1e-14) if norm is Norm.L1 else norm.dual_of(jacobian).sum() * (1 + 1e-14))


@pytest.mark.parametrize(
    "entries", [[3.0, 4.0], [1.0, 1.0], [1e-200, 1e-200], [1e200, 3.0], [0.1] * 7, [0.0, 0.0], [5e-324]]
)
def test_the_length_of_a_gradient_is_bracketed(entries: list[float]) -> None:
    square = sum((Fraction(entry) ** 2 for entry in entries), Fraction(0))
    low, high = (exact_norm(Dyadic.of(np.array(entries)), Norm.L2, up=up) for up in (False, True))
    assert low**2 <= square <= high**2
    assert high - low <= low / 2**60
    if square:
        assert round_down(low) == pytest.approx(float(Norm.L2.dual_of(np.array(entries))), rel=1e-14)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_the_polytope_lies_close_around_the_ball(size: int) -> None:
    around = euclidean_ball(size)
    rng = np.random.default_rng(size)
    for scale in (1.0, 0.7):
        for _ in range(200):
            point = rng.normal(size=size)
            point[rng.random(size) < 0.3] = 0.0
            point *= scale / max(float(np.linalg.norm(point)), 1e-9)
            lifted = euclidean_point(point)
            assert lifted[:size].tolist() == point.tolist()
            assert (around.rows @ lifted <= around.row_upper + 1e-15).all()
            assert (lifted >= around.lower).all()
            assert (lifted <= around.upper).all()


@pytest.mark.parametrize("size", [2, 3, 5, 8])
def test_the_largest_value_over_the_polytope_is_at_most_the_factor(size: int) -> None:
    from scipy.optimize import linprog

    around = euclidean_ball(size)
    rng = np.random.default_rng(size)
    factor = euclidean_factor(size)
    assert factor < 1.001 * (1 / np.cos(np.pi / SIDES)) ** np.ceil(np.log2(size))
    for _ in range(5):
        slope = rng.normal(size=size)
        cost = np.concatenate([-slope, np.zeros(around.size - size)])
        bounds = list(zip(around.lower, around.upper, strict=True))
        found = linprog(cost, around.rows.toarray(), around.row_upper, bounds=bounds)
        length = float(np.linalg.norm(slope))
        assert length * (1 - 1e-9) <= -found.fun <= length * factor * (1 + 1e-9)
