"""Points that show, without a linear program, that states of neurons are possible.

A point of the relaxation says of each bit whether it may be 0 there, and whether it may be 1: whether the rows in which
it occurs hold. That goes for all bits at once, so a point that was found at one node shows of many others that a
program would not refute them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from lipc.bounds.relaxation import Relaxation
from lipc.ir import Floats
from lipc.search.conflicts import States, packed, words_of

MOST = 8192
"""Points that are kept besides the samples; the oldest make room."""

TOLERANCE = 1e-7
"""By how much a point may miss a row, as the solver sees it: a wrong yes costs a refutation and nothing else."""


class Shown:
    """Points of a relaxation, and what bits may be there.

    Parameters
    ----------
    relaxation
        It is not tightened any more.
    columns
        Of the bits.
    patterns
        Shape ``(k, bits)``: the states at sampled points of the domain.
    """

    def __init__(self, relaxation: Relaxation, columns: NDArray[np.int64], patterns: States) -> None:
        self.relaxation, self.columns = relaxation, columns
        self._samples = len(patterns)
        self._refused = np.zeros((words_of(len(columns)), self._samples + 64), np.uint64)
        self._refused[:, : self._samples] = packed(patterns == 1, patterns == 0)
        self._added = 0
        # Not those of the relaxation, which are changed for every program.
        self._low, self._high = relaxation.lower[columns], relaxation.upper[columns]
        by_column = csc_array(relaxation.matrix)[:, columns].tocoo()
        self._rows, self._bits, self._weights = by_column.row, by_column.col, by_column.data
        # A row of several bits may miss what each of them alone allows.
        shared = np.bincount(self._rows, minlength=relaxation.matrix.shape[0])[self._rows] > 1
        self._alone = np.bincount(self._bits[shared], minlength=len(columns)) == 0

    def add(self, point: Floats) -> None:
        """Take a point of the relaxation, with all its columns."""
        value = point[self.columns]
        activity = (self.relaxation.matrix @ point)[self._rows]
        low, high = self.relaxation.row_lower[self._rows], self.relaxation.row_upper[self._rows]
        refused = []
        for state in (0.0, 1.0):
            moved = activity + self._weights * (state - value[self._bits])
            missed = (moved < low - TOLERANCE) | (moved > high + TOLERANCE)
            wrong = np.bincount(self._bits[missed], minlength=len(value)) > 0
            wrong |= (state < self._low) | (state > self._high)
            refused.append(np.where(self._alone, wrong, np.abs(value - state) > TOLERANCE))
        place = self._samples + self._added % MOST
        if place == self._refused.shape[1]:
            self._refused = np.concatenate([self._refused, np.zeros_like(self._refused)], axis=1)
        self._refused[:, place] = packed(refused[0][None], refused[1][None])[:, 0]
        self._added += 1

    def allows(self, states: States) -> bool:
        """Return whether some point has these states."""
        wanted = packed((states == 0)[None], (states == 1)[None])
        missed = self._refused[:, : self._samples + min(self._added, MOST)] & wanted
        return not np.bitwise_or.reduce(missed, axis=0).all()
