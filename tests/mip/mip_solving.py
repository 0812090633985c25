"""Solve a mixed-integer program as it stands, with the solver inside SciPy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from lipc.ir import Floats, Sense
from lipc.mip import MixedIntegerProgram


def optimum(program: MixedIntegerProgram, fixed: dict[int, float] | None = None) -> tuple[float, Floats] | None:
    """Return the optimal value and the columns; `None` if there is no feasible point."""
    sign = -1.0 if program.sense is Sense.MAXIMIZE else 1.0
    low, high = program.column_lower.copy(), program.column_upper.copy()
    for column, value in (fixed or {}).items():
        low[column] = high[column] = value
    rows = [LinearConstraint(program.matrix, program.row_lower, program.row_upper)] if program.matrix.shape[0] else []
    found = milp(
        sign * program.cost,
        integrality=program.integer.astype(int),
        bounds=Bounds(low, high),
        constraints=rows,
        options={"mip_rel_gap": 1e-9},
    )
    if found.status == 2:
        return None
    assert found.status == 0, found.message
    return float(program.cost @ found.x + program.constant), found.x


def violation(program: MixedIntegerProgram, columns: Floats) -> float:
    """Return by how much a point violates a row, a bound or integrality."""
    activity = program.matrix @ columns
    parts = [
        program.row_lower - activity,
        activity - program.row_upper,
        program.column_lower - columns,
        columns - program.column_upper,
        np.abs(columns - np.round(columns))[program.integer],
    ]
    return float(np.concatenate([np.zeros(1), *parts]).max())


def exact_extremes(row: Floats, low: Floats, high: Floats) -> tuple[Fraction, Fraction]:
    """Return the least and the largest value of a row over a box."""
    triples = zip(row.tolist(), low.tolist(), high.tolist(), strict=True)
    ends = [sorted((Fraction(w) * Fraction(a), Fraction(w) * Fraction(b))) for w, a, b in triples if w]
    return sum((a for a, _ in ends), Fraction(0)), sum((b for _, b in ends), Fraction(0))
