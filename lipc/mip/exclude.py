"""Cuts that exclude combinations of bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from lipc.mip.program import Block, MixedIntegerProgram


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
    rows.sort_indices()
    lower = np.array([1.0 - int(cut.ones.sum()) for cut in cuts])
    start = program.matrix.shape[0]
    names = {block.name for block in program.rows}
    name = next(f"exclude.{k}" for k in range(len(names) + 1) if f"exclude.{k}" not in names)
    block = Block(name, start, np.arange(len(cuts)), -1, None, "patterns without interior")
    return replace(
        program,
        matrix=csr_array(vstack([program.matrix, rows], format="csr")),
        row_lower=np.concatenate([program.row_lower, lower]),
        row_upper=np.concatenate([program.row_upper, np.full(len(cuts), np.inf)]),
        rows=(*program.rows, block),
    )
