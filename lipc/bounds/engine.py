"""A linear program that is solved again and again, each time a little changed: HiGHS goes on from its last basis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir import Floats


@dataclass(frozen=True, eq=False)
class Proposal:
    """What the solver claims: a value, the point, and a multiplier per row (positive for lower sides)."""

    value: float
    point: Floats
    multipliers: Floats


class Engine:
    """Minimizes one column at a time over ``row_lower <= matrix @ x <= row_upper`` and ``lower <= x <= upper``."""

    def __init__(self, matrix: csr_array, row_lower: Floats, row_upper: Floats, lower: Floats, upper: Floats) -> None:
        import highspy

        model = highspy.HighsLp()
        model.num_row_, model.num_col_ = matrix.shape
        model.col_cost_ = np.zeros(matrix.shape[1])
        model.col_lower_, model.col_upper_ = lower, upper
        model.row_lower_, model.row_upper_ = row_lower, row_upper
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = matrix.indptr.astype(np.int32)
        model.a_matrix_.index_ = matrix.indices.astype(np.int32)
        model.a_matrix_.value_ = matrix.data
        self._highs = highspy.Highs()
        self._highs.silent()
        # Presolve would throw the basis away; the primal simplex was 20 times as slow as the dual one; with scaling the
        # dual one takes up to twice the iterations.
        self._highs.setOptionValue("presolve", "off")
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("simplex_scale_strategy", 0)
        self._highs.passModel(model)
        self._minimized = 0

    def set_column(self, column: int, lower: float, upper: float) -> None:
        """Change the bounds of a column."""
        self._highs.changeColBounds(column, float(lower), float(upper))

    def set_coefficient(self, row: int, column: int, coefficient: float, lower: float, upper: float) -> None:
        """Change one coefficient, and the sides of its row."""
        self._highs.changeCoeff(row, column, coefficient)
        self._highs.changeRowBounds(row, lower, upper)

    def minimize(self, column: int, sign: int, seconds: float = np.inf) -> Proposal | None:
        """Return what minimizes ``sign * x[column]``, or None if the solver found no optimum in time."""
        self._highs.changeColCost(self._minimized, 0.0)
        self._highs.changeColCost(column, float(sign))
        self._minimized = column
        return self._optimum(seconds)

    def _optimum(self, seconds: float) -> Proposal | None:
        import highspy

        if np.isfinite(seconds):
            # HiGHS counts from the start of the object.
            self._highs.setOptionValue("time_limit", self._highs.getRunTime() + max(seconds, 0.0))
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        solution = self._highs.getSolution()
        value = float(self._highs.getInfo().objective_function_value)
        return Proposal(value, np.array(solution.col_value), np.array(solution.row_dual))

    def minimize_sum(self, columns: NDArray[np.int64], costs: Floats, seconds: float = np.inf) -> Proposal | None:
        """Return what minimizes ``costs @ x[columns]``, or None if the solver found no optimum in time."""
        indices = columns.astype(np.int32)
        self._highs.changeColCost(self._minimized, 0.0)
        self._highs.changeColsCost(len(indices), indices, costs)
        try:
            return self._optimum(seconds)
        finally:
            self._highs.changeColsCost(len(indices), indices, np.zeros(len(indices)))

    def ray(self) -> Floats | None:
        """Return multipliers that are to prove the last program infeasible; None if the solver has none."""
        import highspy

        if self._highs.getModelStatus() != highspy.HighsModelStatus.kInfeasible:
            return None
        _, found, ray = self._highs.getDualRay()
        return np.array(ray) if found else None
