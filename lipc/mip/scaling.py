"""Scaling by powers of two: solvers' tolerances are absolute, so columns, rows and the objective should be near 1.

A hidden value of 1e-7 is within SCIP's feasibility tolerance of 0, and an objective of that size within its tolerance
on reduced costs: the answer would be wrong. Powers of two change exponents only, so nothing is rounded.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from lipc.ir import Floats
from lipc.mip.program import MixedIntegerProgram

SANE = (2.0**-10, 2.0**20)
"""Magnitudes that a model file keeps as they are, for people to recognize their numbers."""


def scale(
    program: MixedIntegerProgram, sane: tuple[float, float] = SANE, like: MixedIntegerProgram | None = None
) -> MixedIntegerProgram:
    """Return an equivalent program whose magnitudes lie within `sane`, or were brought near 1.

    Parameters
    ----------
    sane
        Columns (by their larger bound), rows and the cost (by their largest coefficient) within these limits stay.
        ``(1, 1)`` brings all of them near 1. Integral columns always stay.
    like
        A program with the same columns: they and the objective get its scales, only rows are brought near 1. `program`
        must not be scaled yet.

    Returns
    -------
    MixedIntegerProgram
        With `column_scale` and `objective_scale` that lead back.
    """
    magnitude = np.maximum(np.abs(program.column_lower), np.abs(program.column_upper))
    columns = np.where(program.integer, 1.0, _powers(magnitude, sane)) if like is None else like.column_scale
    matrix = program.matrix
    data = matrix.data * columns[matrix.indices]
    rows = _powers(_largest_in_rows(matrix, data), sane)
    data = data / np.repeat(rows, np.diff(matrix.indptr))
    cost = program.cost * columns
    largest = np.abs(cost).max(initial=0.0, keepdims=True)
    objective = float(_powers(largest, sane)[0]) if like is None else like.objective_scale
    return replace(
        program,
        matrix=csr_array((data, matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape),
        row_lower=program.row_lower / rows,
        row_upper=program.row_upper / rows,
        column_lower=program.column_lower / columns,
        column_upper=program.column_upper / columns,
        cost=cost / objective,
        column_scale=program.column_scale * columns,
        objective_scale=program.objective_scale * objective,
    )


def _powers(magnitudes: Floats, sane: tuple[float, float]) -> Floats:
    """Return the powers of two nearest to magnitudes that are not sane; 1 for the others, for 0 and for infinity."""
    usable = np.isfinite(magnitudes) & (magnitudes > 0) & ((magnitudes < sane[0]) | (magnitudes > sane[1]))
    powers: Floats = np.exp2(np.round(np.log2(np.where(usable, magnitudes, 1.0))))
    return powers


def _largest_in_rows(matrix: csr_array, data: Floats) -> Floats:
    """Return the largest absolute coefficient of each row, 0 for an empty one."""
    padded = np.append(np.abs(data), 0.0)
    largest = np.maximum.reduceat(padded, matrix.indptr[:-1]) if matrix.shape[0] else padded[:0]
    return np.where(np.diff(matrix.indptr) > 0, largest, 0.0)
