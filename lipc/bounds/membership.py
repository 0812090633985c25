"""Domains in rational arithmetic: whether a point lies within, and linear functions maximized over them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lipc.bounds.rounding import UNDERFLOW, UNIT
from lipc.ir import Floats, Polytope


def contains(domain: Polytope, x: Floats) -> bool:
    """Return whether a point of shape ``(n,)`` lies within a domain, decided exactly."""
    if not np.isfinite(x).all() or not bool((domain.lower <= x).all() and (x <= domain.upper).all()):
        return False
    return _within_rows(domain, x) and _within_ball(domain, x)


def _within_rows(domain: Polytope, x: Floats) -> bool:
    rows = domain.rows
    if not rows.shape[0]:
        return True
    sums = rows @ x
    error = (rows.shape[1] + 2) * UNIT * (abs(rows) @ np.abs(x)) + UNDERFLOW
    if (sums + error < domain.row_lower).any() or (sums - error > domain.row_upper).any():
        return False
    # Only the rows that rounding leaves open are worth rational arithmetic.
    for row in np.flatnonzero((sums - error < domain.row_lower) | (sums + error > domain.row_upper)).tolist():
        part = slice(rows.indptr[row], rows.indptr[row + 1])
        entries = zip(rows.data[part].tolist(), x[rows.indices[part]].tolist(), strict=True)
        total = sum((Fraction(a) * Fraction(b) for a, b in entries), Fraction(0))
        if not _above(total, domain.row_lower[row]) or not _above(-total, -domain.row_upper[row]):
            return False
    return True


def _above(total: Fraction, limit: float) -> bool:
    return limit == -np.inf or (limit != np.inf and total >= Fraction(float(limit)))


def _within_ball(domain: Polytope, x: Floats) -> bool:
    if domain.l1 is None:
        return True
    away = float(np.abs(x - domain.l1.center).sum())
    error = (len(x) + 4) * UNIT * away + UNDERFLOW
    if away + error <= domain.l1.radius:
        return True
    if away - error > domain.l1.radius:
        return False
    pairs = zip(x.tolist(), domain.l1.center.tolist(), strict=True)
    return sum((abs(Fraction(a) - Fraction(b)) for a, b in pairs), Fraction(0)) <= Fraction(domain.l1.radius)


def exact_support(domain: Polytope, gradient: Sequence[Fraction], multipliers: Sequence[Fraction]) -> Fraction | None:
    """Return an upper bound of ``gradient @ x`` over a domain, exactly the largest value if it has no rows.

    Parameters
    ----------
    gradient
        ``n`` numbers.
    multipliers
        One for each row of the domain, of any sign: positive for its upper side, negative for its lower one. The bound
        is ``max (gradient - multipliers @ rows) x`` over box and ball, plus multipliers times sides.

    Returns
    -------
    Fraction or None
        `None` if the box has no point in the ball, so that the domain is empty.

    Raises
    ------
    ValueError
        If a multiplier stands for an infinite side.
    """
    left = list(gradient)
    total = Fraction(0)
    rows = domain.rows
    for row, multiplier in enumerate(multipliers):
        if not multiplier:
            continue
        side = float(domain.row_upper[row] if multiplier > 0 else domain.row_lower[row])
        if not np.isfinite(side):
            raise ValueError("a multiplier stands for a side that is infinite")
        total += multiplier * Fraction(side)
        part = slice(rows.indptr[row], rows.indptr[row + 1])
        for column, slope in zip(rows.indices[part].tolist(), rows.data[part].tolist(), strict=True):
            left[column] -= multiplier * Fraction(slope)
    if domain.l1 is None:
        bounds = zip(left, domain.lower.tolist(), domain.upper.tolist(), strict=True)
        return sum((g * Fraction(high if g > 0 else low) for g, low, high in bounds if g), total)
    return _knapsack(domain, left, total)


def _knapsack(domain: Polytope, gradient: list[Fraction], total: Fraction) -> Fraction | None:
    """Add the largest value over box and ball: from the point of the box nearest to the center, steepest first."""
    assert domain.l1 is not None
    nearest = domain.clip(domain.l1.center)
    left = Fraction(domain.l1.radius)
    for a, b in zip(nearest.tolist(), domain.l1.center.tolist(), strict=True):
        left -= abs(Fraction(a) - Fraction(b))
    if left < 0:
        return None
    start = [Fraction(entry) for entry in nearest.tolist()]
    total += sum((g * x for g, x in zip(gradient, start, strict=True) if g), Fraction(0))
    for column in sorted(range(len(gradient)), key=lambda column: -abs(gradient[column])):
        slope = gradient[column]
        if not slope or not left:
            break
        bound = Fraction(float(domain.upper[column] if slope > 0 else domain.lower[column]))
        step = min(abs(bound - start[column]), left)
        total += abs(slope) * step
        left -= step
    return total
