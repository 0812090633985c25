"""Polytopes: where a program's inputs live."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse, vstack

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class L1Ball:
    """``{x : sum(|x - center|) <= radius}``; the center has shape ``(n,)``."""

    center: Floats
    radius: float


@dataclass(frozen=True, eq=False)
class Polytope:
    """``{x : lower <= x <= upper, row_lower <= rows @ x <= row_upper}``, and within an l_1 ball if there is one.

    Parameters
    ----------
    lower, upper
        Shape ``(n,)``; entries may be infinite in a network that has no question yet.
    rows
        Shape ``(m, n)``; ``m`` may be 0.
    row_lower, row_upper
        Shape ``(m,)``; one of the two may be infinite.
    l1
        A further constraint. As rows it would be ``2^n`` of them.
    """

    lower: Floats
    upper: Floats
    rows: csr_array
    row_lower: Floats
    row_upper: Floats
    l1: L1Ball | None = None

    @property
    def size(self) -> int:
        """The dimension ``n`` of the space."""
        return len(self.lower)

    @property
    def is_box(self) -> bool:
        """Whether there is nothing but bounds of single coordinates."""
        return self.rows.shape[0] == 0 and self.l1 is None

    @property
    def is_bounded_box(self) -> bool:
        """Whether every coordinate has two finite bounds and there is nothing else."""
        return self.is_box and bool(np.isfinite(self.lower).all() and np.isfinite(self.upper).all())

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

    def with_rows(self, rows: ArrayLike | csr_array, row_lower: ArrayLike, row_upper: ArrayLike) -> Polytope:
        """Return the part between further half-spaces, ``row_lower <= rows @ x <= row_upper``.

        Parameters
        ----------
        rows
            Shape ``(k, n)``, dense or sparse; one row may have shape ``(n,)``.
        row_lower, row_upper
            Numbers or shape ``(k,)``; infinite where a side is open.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        added = csr_array(rows if issparse(rows) else np.atleast_2d(np.asarray(rows, np.float64)), dtype=np.float64)
        added = added.copy()
        added.sum_duplicates()
        added.eliminate_zeros()
        count = added.shape[0]
        if added.shape[1] != self.size:
            raise ValueError(f"the rows have {added.shape[1]} entries, the polytope {self.size}")
        low = np.array(np.broadcast_to(np.asarray(row_lower, np.float64), (count,)))
        high = np.array(np.broadcast_to(np.asarray(row_upper, np.float64), (count,)))
        return replace(
            self,
            rows=csr_array(vstack([self.rows, added], format="csr")),
            row_lower=np.concatenate([self.row_lower, low]),
            row_upper=np.concatenate([self.row_upper, high]),
        )

    def clip(self, points: Floats) -> Floats:
        """Return points of shape ``(..., n)`` moved into the bounds; rows and ball are not looked at."""
        return np.clip(points, self.lower, self.upper)
