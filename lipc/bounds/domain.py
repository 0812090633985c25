"""Domains of inputs: a tight box around each, and linear functions maximized over them, rounding counted.

A bound of a maximum needs multipliers only, and any multipliers give a sound one (weak duality): those of the rows
are found greedily, that of an l_1 ball exactly, by a continuous knapsack.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from lipc.bounds.rounding import UNDERFLOW, UNIT, down, up
from lipc.ir import Floats, Interval, L1Ball, Matrix, Polytope

ROUNDS = 10
"""How often the rows may tighten the box in turn."""

WORTH = 1e-3
"""Rounds go on while some side moves by this part of its width."""

BLOCK_ENTRIES = 4_000_000
"""Coefficients that are made dense at a time."""

MOST_ROWS = 64
"""Up to so many rows multipliers are looked for; each costs a sort of the coefficients of every function."""


def tight_box(domain: Polytope) -> Interval:
    """Return a box that holds the domain: its own, tightened by its rows and its ball.

    Where the two sides would cross, the domain is empty and the box is that of `crossed_box`.
    """
    low, high = _tightened(domain)
    return Interval(domain.lower, domain.upper) if (low > high).any() else Interval(low, high)


def crossed_box(domain: Polytope) -> bool:
    """Return whether the rows or the ball contradict the box: a proof that the domain is empty."""
    low, high = _tightened(domain)
    return bool((low > high).any())


def _tightened(domain: Polytope) -> tuple[Floats, Floats]:
    low, high = domain.lower, domain.upper
    if domain.is_box or is_simplex(domain) or not bool((low <= high).all()):
        return low, high
    for _ in range(ROUNDS):
        before = low, high
        if domain.l1 is not None:
            center, radius = centered(domain.l1, Interval(low, high))
            if radius < 0:
                return high + 1.0, high
            low = np.maximum(low, down(center - radius, UNIT * np.abs(center - radius)))
            high = np.minimum(high, up(center + radius, UNIT * np.abs(center + radius)))
        low, high = _within_rows(domain, low, high)
        width = before[1] - before[0]
        if (low > high).any() or not (width - (high - low) > WORTH * width).any():
            break
    return low, high


def _within_rows(domain: Polytope, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the box after each row has bounded each entry, given the bounds of the others."""
    rows = domain.rows
    if not rows.nnz:
        return low, high
    slopes, columns = rows.data, rows.indices
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    low, high = low.copy(), high.copy()
    for sign, limits in ((1.0, domain.row_upper), (-1.0, -domain.row_lower)):
        signed = sign * slopes
        least = signed * np.where(signed > 0, low[columns], high[columns])
        total = np.bincount(owner, least, rows.shape[0])[owner]
        absolute = np.bincount(owner, np.abs(least), rows.shape[0])[owner]
        limit = limits[owner]
        error = (rows.shape[1] + 8) * UNIT * (absolute + np.abs(limit)) + UNDERFLOW
        with np.errstate(over="ignore", invalid="ignore"):
            room = limit - (total - least) + error  # signed * x is at most this
            side = room / signed
        known = np.isfinite(side)
        side = np.where(known, side, 0.0)
        slack = 2 * UNIT * np.abs(side) + UNDERFLOW
        above, below = known & (signed > 0), known & (signed < 0)
        np.minimum.at(high, columns[above], up(side, slack)[above])
        np.maximum.at(low, columns[below], down(side, slack)[below])
    return low, high


def centered(ball: L1Ball, box: Interval) -> tuple[Floats, float]:
    """Return center and radius of an l_1 ball that has the same part within a box, its center in the box.

    The way to the box is spent by every point of it; the radius left is rounded up, and negative if none is left.
    """
    center = np.clip(ball.center, box.lower, box.upper)
    way = np.abs(ball.center - center)
    if not way.any():
        return center, ball.radius
    total = float(way.sum())
    error = (len(way) + 4) * UNIT * (total + ball.radius)
    return center, ball.radius - total + error


def support(domain: Polytope, rows: Matrix, box: Interval | None = None) -> tuple[Floats, Floats]:
    """Return the largest value of ``rows @ x`` over a polytope, or a bound of it, and its rounding error.

    Exact up to rounding for boxes, for simplices (choices of one of n), and for a box with one further row or an
    l_1 ball; with more rows a bound.

    Parameters
    ----------
    rows
        Shape ``(k, n)``.
    box
        A box that holds the domain; default: the domain's own.

    Returns
    -------
    two arrays of shape ``(k,)``
    """
    if isinstance(rows, csr_array) and not domain.is_box:
        return _support_in_blocks(domain, rows, box)
    if is_simplex(domain):
        largest = rows.max(axis=1, initial=-np.inf)
        if domain.row_lower[0] < 1:
            largest = np.maximum(largest, 0.0)
        return largest, np.zeros(len(rows))
    box = box or Interval(domain.lower, domain.upper)
    if domain.is_box:
        return support_box(box, rows)
    best = _support_ball(domain, box, rows)
    if 0 < domain.rows.shape[0] <= MOST_ROWS and np.isfinite(box.magnitude).all():
        left, constant, error = _without_rows(domain, box, rows)
        value, further = _support_ball(domain, box, left)
        total = value + constant
        best = _least(best, (total, error + further + UNIT * np.abs(total)))
    return best


def _support_in_blocks(domain: Polytope, rows: csr_array, box: Interval | None) -> tuple[Floats, Floats]:
    """Return what `support` does, with so many rows dense at a time as fit."""
    step = max(1, BLOCK_ENTRIES // domain.size)
    blocks = [support(domain, rows[at : at + step].toarray(), box) for at in range(0, rows.shape[0], step)]
    value, error = (np.concatenate([np.zeros(0), *parts]) for parts in zip(*blocks, strict=True))
    return value, error


def is_simplex(domain: Polytope) -> bool:
    """Return whether a polytope is ``{x >= 0, sum(x) <= 1}`` or its face ``sum(x) = 1``."""
    if domain.l1 is not None or domain.rows.shape[0] != 1:
        return False
    if domain.row_upper[0] != 1 or domain.row_lower[0] not in (0, 1):
        return False
    full = domain.rows.nnz == domain.size and bool((domain.rows.data == 1).all())
    return full and not domain.lower.any() and bool((domain.upper == 1).all())


def _least(left: tuple[Floats, Floats], right: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return the smaller of two bounds, row by row."""
    smaller = right[0] + right[1] < left[0] + left[1]
    return np.where(smaller, right[0], left[0]), np.where(smaller, right[1], left[1])


def support_box(box: Interval, rows: Matrix) -> tuple[Floats, Floats]:
    """Return the largest value of ``rows @ x`` over a box, and its rounding error."""
    if isinstance(rows, csr_array):
        value = rows.maximum(0) @ box.upper + rows.minimum(0) @ box.lower
    else:
        value = np.maximum(rows, 0.0) @ box.upper + np.minimum(rows, 0.0) @ box.lower
    return value, (rows.shape[1] + 2) * UNIT * (abs(rows) @ box.magnitude) + UNDERFLOW


def _support_ball(domain: Polytope, box: Interval, rows: Floats) -> tuple[Floats, Floats]:
    """Return the largest value of ``rows @ x`` over the box and the ball, if there is one, and its rounding error.

    With the center c in the box, and w the room from it to the bound that a coefficient g points at, it is ``g c`` plus
    the least of ``lambda r + sum(max(|g| - lambda, 0) w)`` over lambda >= 0: a continuous knapsack, which takes the
    steepest entries until the radius is spent.
    """
    best = support_box(box, rows)
    if domain.l1 is None:
        return best
    center, radius = centered(domain.l1, box)
    radius = max(radius, 0.0)
    slopes = np.abs(rows)
    room = np.where(rows > 0, box.upper - center, center - box.lower)
    order = np.argsort(-slopes, axis=1)
    spent = np.cumsum(np.take_along_axis(room, order, axis=1), axis=1)
    steps = (spent < radius).sum(axis=1)
    steepest_first = np.take_along_axis(slopes, order, axis=1)
    price = np.append(steepest_first, np.zeros((len(rows), 1)), axis=1)[np.arange(len(rows)), steps]
    beyond = (np.maximum(slopes - price[:, None], 0.0) * room).sum(axis=1)
    value = rows @ center + price * radius + beyond
    size = slopes @ np.abs(center) + price * radius + (slopes * room).sum(axis=1)
    return _least(best, (value, (rows.shape[1] + 8) * UNIT * size + UNDERFLOW))


def _without_rows(domain: Polytope, box: Interval, functions: Floats) -> tuple[Floats, Floats, Floats]:
    """Return functions and constants that bound the given ones over the domain, and their rounding errors.

    For multipliers y >= 0 of ``a x <= b`` it is ``g x <= (g - y a) x + y b``; each row in turn gets the y at which the
    right side is least over the box.
    """
    left = functions
    constant = np.zeros(len(functions))
    error = np.zeros(len(functions))
    for row, low, high in zip(domain.rows.toarray(), domain.row_lower, domain.row_upper, strict=True):
        for slopes, limit in ((row, high), (-row, -low)):
            if not np.isfinite(limit):
                continue
            price = _row_price(slopes, float(limit), box, left)
            if not price.any():
                continue
            taken = price[:, None] * slopes
            error += 2 * UNIT * ((np.abs(left) + 2 * np.abs(taken)) @ box.magnitude) + UNDERFLOW
            left = left - taken
            constant = constant + price * limit
            error += 2 * UNIT * (np.abs(constant) + np.abs(price * limit)) + UNDERFLOW
    return left, constant, error


def _row_price(slopes: Floats, limit: float, box: Interval, functions: Floats) -> Floats:
    """Return, for each function g, the y >= 0 that makes ``y limit + max (g - y slopes) x`` over the box least.

    The derivative in y is ``limit - slopes x`` at the maximizing x, whose entries change sides at ``g / slopes``.
    """
    used = np.flatnonzero(slopes)
    if not len(used):
        return np.zeros(len(functions))
    low, high, a, g = box.lower[used], box.upper[used], slopes[used], functions[:, used]
    at_zero = np.where(g > 0, high, np.where(g < 0, low, np.where(a > 0, low, high))) @ a
    with np.errstate(over="ignore", divide="ignore"):
        turns = np.where(g * a > 0, g / a, np.inf)
    order = np.argsort(turns, axis=1)
    turns = np.take_along_axis(turns, order, axis=1)
    drops = np.where(np.isfinite(turns), (np.abs(a) * (high - low))[order], 0.0)
    after = at_zero[:, None] - np.cumsum(drops, axis=1)
    needed = at_zero > limit
    steps = np.minimum((after > limit).sum(axis=1), len(used) - 1)
    price = turns[np.arange(len(functions)), steps]
    return np.where(needed & np.isfinite(price), price, 0.0)
