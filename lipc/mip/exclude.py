"""Cuts that exclude combinations of bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.mip.program import MixedIntegerProgram
from lipc.mip.rows import append_rows


@dataclass(frozen=True, eq=False)
class NoGood:
    """Integral columns that may not all have the given values at once; shapes ``(k,)``."""

    columns: NDArray[np.int64]
    ones: NDArray[np.bool_]


def exclude(program: MixedIntegerProgram, cuts: Sequence[NoGood]) -> MixedIntegerProgram:
    """Return the program with a row per cut: ``sum(1 - x over ones) + sum(x over zeros) >= 1``.

    A cut without columns makes the program infeasible: nothing is left.
    """
    if not cuts:
        return program
    signs = [np.where(cut.ones, -1.0, 1.0) for cut in cuts]
    pointers = np.cumsum([0, *[len(sign) for sign in signs]])
    rows = csr_array(
        (np.concatenate(signs), np.concatenate([cut.columns for cut in cuts]), pointers),
        shape=(len(cuts), program.matrix.shape[1]),
    )
    lower = np.array([1.0 - int(cut.ones.sum()) for cut in cuts])
    return append_rows(program, rows, lower, np.full(len(cuts), np.inf), "exclude", "patterns without interior")
