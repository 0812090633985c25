"""Polytopes: where a program's inputs live."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Polytope:
    """``{x : lower <= x <= upper, row_lower <= rows @ x <= row_upper}``.

    Parameters
    ----------
    lower, upper
        Shape ``(n,)``; entries may be infinite in a network that has no question yet.
    rows
        Shape ``(m, n)``; ``m`` may be 0.
    row_lower, row_upper
        Shape ``(m,)``.
    """

    lower: Floats
    upper: Floats
    rows: csr_array
    row_lower: Floats
    row_upper: Floats

    @property
    def size(self) -> int:
        """The dimension ``n`` of the space."""
        return len(self.lower)

    @property
    def is_bounded_box(self) -> bool:
        """Whether every coordinate has two finite bounds and there is no further row."""
        return self.rows.shape[0] == 0 and bool(np.isfinite(self.lower).all() and np.isfinite(self.upper).all())

    @staticmethod
    def box(lower: ArrayLike, upper: ArrayLike) -> Polytope:
        """Return the box ``lower <= x <= upper``, two arrays of shape ``(n,)``."""
        low, high = np.array(lower, np.float64), np.array(upper, np.float64)
        return Polytope(low, high, csr_array((0, len(low))), np.zeros(0), np.zeros(0))

    @staticmethod
    def space(size: int) -> Polytope:
        """Return all of R^size: the domain of a network before a question is asked of it."""
        return Polytope.box(np.full(size, -np.inf), np.full(size, np.inf))

    @staticmethod
    def one_of(size: int) -> Polytope:
        """Return the polytope of ``size`` bits of which exactly one is set."""
        ones = csr_array(np.ones((1, size)))
        return Polytope(np.zeros(size), np.ones(size), ones, np.ones(1), np.ones(1))

    @staticmethod
    def simplex(size: int) -> Polytope:
        """Return the points of nonnegative entries whose sum is at most 1."""
        ones = csr_array(np.ones((1, size)))
        return Polytope(np.zeros(size), np.ones(size), ones, np.zeros(1), np.ones(1))

    def clip(self, points: Floats) -> Floats:
        """Return points of shape ``(..., n)`` moved into the bounds; the rows are not looked at."""
        return np.clip(points, self.lower, self.upper)
