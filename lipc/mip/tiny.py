"""Coefficients so small that readers drop them: moved into the right-hand sides, soundly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.bounds.rounding import UNIT, SplitMatrix, down, up
from lipc.ir import Floats, Sense
from lipc.mip.program import MixedIntegerProgram

TINY = 1e-9
"""SCIP and HiGHS read matrix entries of at most this size as 0; other readers keep them."""


def absorb_tiny_coefficients(program: MixedIntegerProgram) -> MixedIntegerProgram:
    """Return a relaxation without coefficients of at most 1e-9.

    Each such product is replaced by the range it has over the bounds of its column, so no solution is lost and the
    optimum can only move outward, by at most 1e-9 times the width of the column. Columns without two finite bounds
    keep theirs.
    """
    bounded = np.isfinite(program.column_lower) & np.isfinite(program.column_upper)
    low, high = np.where(bounded, program.column_lower, 0.0), np.where(bounded, program.column_upper, 0.0)
    matrix = program.matrix
    tiny = (np.abs(matrix.data) <= TINY) & bounded[matrix.indices]
    if tiny.any():
        # Copies: eliminate_zeros works in place, and csr_array shares the index arrays it is given.
        dropped, kept = matrix.copy(), matrix.copy()
        dropped.data[~tiny] = 0.0
        kept.data[tiny] = 0.0
        kept.eliminate_zeros()
        dropped.eliminate_zeros()
        touched = np.diff(dropped.indptr) > 0
        least, most = _range(dropped, low, high)
        program = replace(
            program,
            matrix=kept,
            row_lower=np.where(
                touched, down(program.row_lower - most, UNIT * np.abs(program.row_lower)), program.row_lower
            ),
            row_upper=np.where(
                touched, up(program.row_upper - least, UNIT * np.abs(program.row_upper)), program.row_upper
            ),
        )
    return _absorb_cost(program, low, high, bounded)


def _absorb_cost(
    program: MixedIntegerProgram, low: Floats, high: Floats, bounded: NDArray[np.bool_]
) -> MixedIntegerProgram:
    tiny = (np.abs(program.cost) <= TINY) & (program.cost != 0) & bounded
    if not tiny.any():
        return program
    row = csr_array(np.where(tiny, program.cost, 0.0)[None, :])
    least, most = (side * program.objective_scale for side in _range(row, low, high))
    outward = np.inf if program.sense is Sense.MAXIMIZE else -np.inf
    extreme = most[0] if program.sense is Sense.MAXIMIZE else least[0]
    constant = float(np.nextafter(program.constant + extreme, outward)) if extreme else program.constant
    return replace(program, cost=np.where(tiny, 0.0, program.cost), constant=constant)


def _range(matrix: csr_array, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the least and the largest value of ``matrix @ x`` within bounds, rounded outward."""
    split = SplitMatrix.of(matrix)
    least, least_slack = split.lower(low, high)
    negated, most_slack = split.lower(-high, -low)
    return down(least, least_slack), up(-negated, most_slack)
