"""Further rows: constraints of one's own on the values of a program that has been lowered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, hstack, vstack

from lipc.errors import QueryError
from lipc.ir import Floats, as_matrix
from lipc.mip.program import Block, MixedIntegerProgram, Namer
from lipc.mip.tiny import absorb_tiny_coefficients


def add_rows(
    program: MixedIntegerProgram,
    terms: Mapping[str, ArrayLike | csr_array],
    lower: ArrayLike = -np.inf,
    upper: ArrayLike = np.inf,
    *,
    name: str = "row",
) -> MixedIntegerProgram:
    """Return the program with the rows ``lower <= sum(matrix @ block) <= upper``.

    Coefficients of at most 1e-9, which solvers read as 0, widen the sides instead (`lipc.mip.tiny`).

    Parameters
    ----------
    terms
        For blocks of columns, by name (``x``, ``a_relu1``; `MixedIntegerProgram.columns` lists them), matrices of
        shape ``(rows, entries of the block)``. They multiply entries of values, in the network's own units: how columns
        are scaled is seen to here.
    lower, upper
        Shape ``(rows,)``, or one number for all.
    name
        The block of rows is named so, or nearly so if the name is taken.

    Raises
    ------
    QueryError
        If there is no such block, a shape does not fit, or a number is not finite.
    """
    blocks = {block.name: block for block in program.columns}
    unknown = [each for each in terms if each not in blocks]
    if unknown or not terms:
        wrong = f"there is no block of columns '{unknown[0]}'" if unknown else "rows need a block of columns"
        raise QueryError(wrong, hint=f"the blocks are: {', '.join(blocks)}")
    matrices = {each: as_matrix(matrix) for each, matrix in terms.items()}
    rows = max(matrix.shape[0] for matrix in matrices.values())
    for each, matrix in matrices.items():
        fitting = (rows, len(blocks[each].entries))
        if matrix.shape != fitting:
            raise QueryError(f"the matrix of '{each}' has shape {matrix.shape}, not {fitting}")
        if not np.isfinite(matrix.data if isinstance(matrix, csr_array) else matrix).all():
            raise QueryError(f"the matrix of '{each}' holds NaN or infinite numbers")
    low, high = _sides(lower, upper, rows)
    parts = [
        matrices.get(block.name, csr_array((rows, len(block.entries)))) * program.column_scale[block.columns]
        for block in program.columns
    ]
    whole = csr_array(hstack([csr_array(part) for part in parts], format="csr"))
    return absorb_tiny_coefficients(append_rows(program, whole, low, high, name, "added"))


def _sides(lower: ArrayLike, upper: ArrayLike, rows: int) -> tuple[Floats, Floats]:
    try:
        low, high = (np.array(np.broadcast_to(np.asarray(side, np.float64), (rows,))) for side in (lower, upper))
    except ValueError:
        raise QueryError(f"the sides of {rows} rows are {rows} numbers, or one for all") from None
    if not (low <= high).all():
        raise QueryError("a row has its lower side above its upper one, or one that is no number")
    if not (np.isfinite(low) | np.isfinite(high)).all():
        raise QueryError("a row has no finite side")
    return low, high


def append_rows(
    program: MixedIntegerProgram, rows: csr_array, lower: Floats, upper: Floats, name: str, source: str
) -> MixedIntegerProgram:
    """Return the program with rows over its columns, shape ``(rows, columns)``, as one more block."""
    namer = Namer()
    for block in program.rows:
        namer.name(block.name)
    rows.eliminate_zeros()
    rows.sort_indices()
    start = program.matrix.shape[0]
    block = Block(namer.name(name), start, np.arange(rows.shape[0]), -1, None, source)
    return replace(
        program,
        matrix=csr_array(vstack([program.matrix, rows], format="csr")),
        row_lower=np.concatenate([program.row_lower, lower]),
        row_upper=np.concatenate([program.row_upper, upper]),
        rows=(*program.rows, block),
    )
