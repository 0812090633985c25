"""The unit ball of l_2 as a polytope around it, with few rows.

The length of n entries is built up two by two, as a tree: each node is at least the length of its two children, which
`SIDES` half-planes say up to a factor of ``1 / cos(pi / SIDES)`` (Ben-Tal & Nemirovski 2001, section 2, use the same
tree). Nodes are further coordinates of the polytope; its first n coordinates are the point.
"""

from __future__ import annotations

from math import ceil, cos, log2, pi

import numpy as np
from scipy.sparse import csr_array

from lipc.ir.polytope import Floats, Polytope

SIDES = 32
"""Of the regular polygon around each circle; a multiple of 4."""

OUTWARD = 1 + 2.0**-50
"""Sines and cosines are rounded; no point of the ball is lost for it."""


def euclidean_factor(size: int) -> float:
    """Return how much longer than 1 a point of `euclidean_ball` may be."""
    depth = ceil(log2(size)) if size > 1 else 0
    return float((OUTWARD**2 / cos(pi / SIDES)) ** depth)


def euclidean_ball(size: int) -> Polytope:
    """Return a polytope whose first `size` coordinates range over the unit ball of l_2, or a little more.

    Every point of the ball is there, rounding included; lengths are at most `euclidean_factor`.
    """
    pairs = _tree(size)
    total = size + len(pairs)
    half, whole = np.arange(SIDES // 4 + 1), np.arange(SIDES)
    columns, numbers, starts = [], [], [0]
    for node, (left, right) in enumerate(pairs, start=size):
        angles = 2 * pi / SIDES * (whole if min(left, right) < size else half)  # lengths are not negative
        for angle in angles.tolist():
            slopes = {left: cos(angle), right: float(np.sin(angle)), node: -OUTWARD}
            columns += list(slopes)
            numbers += list(slopes.values())
            starts.append(len(columns))
    lower = np.concatenate([-np.ones(size), np.zeros(len(pairs))])
    ball = Polytope.box(lower, np.ones(total))
    if not pairs:
        return ball
    rows = csr_array((np.array(numbers), np.array(columns), np.array(starts)), shape=(len(starts) - 1, total))
    return ball.with_rows(rows, -np.inf, 0.0)


def euclidean_point(point: Floats) -> Floats:
    """Return the coordinates in `euclidean_ball` of a point of length at most 1, shape ``(n,)``."""
    entries = [float(entry) for entry in point]
    for left, right in _tree(len(point)):
        entries.append(float(np.hypot(entries[left], entries[right])))
    return np.asarray(np.minimum(np.array(entries), 1.0))


def _tree(size: int) -> list[tuple[int, int]]:
    """Return the children of nodes ``size``, ``size + 1``, ..; the last is the root. Inputs stand before lengths."""
    level = list(range(size))
    pairs: list[tuple[int, int]] = []
    while len(level) > 1:
        above = []
        for at in range(0, len(level) - 1, 2):
            above.append(size + len(pairs))
            pairs.append((level[at], level[at + 1]))
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return pairs
