"""Linear programs, solved by HiGHS. What it returns is a guess: whoever uses it proves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from lipc.ir import Floats, Matrix


@dataclass(frozen=True, eq=False)
class LinearProgram:
    """Maximize ``cost @ x`` subject to ``matrix @ x >= row_lower`` and ``lower <= x <= upper``.

    Parameters
    ----------
    matrix
        Shape ``(rows, columns)``, dense or CSR.
    """

    cost: Floats
    matrix: Matrix
    row_lower: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, eq=False)
class LinearSolution:
    """A solution: the point, and for each row the nonnegative multiplier that bounds the objective."""

    value: float
    point: Floats
    multipliers: Floats


def solve_linear_program(program: LinearProgram, seconds: float = np.inf) -> LinearSolution | None:
    """Return an optimal solution as HiGHS sees it; `None` if it finds none within the seconds."""
    import highspy

    rows, columns = program.matrix.shape
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = columns, rows
    model.col_cost_, model.sense_ = program.cost, highspy.ObjSense.kMaximize
    model.col_lower_, model.col_upper_ = program.lower, program.upper
    model.row_lower_, model.row_upper_ = program.row_lower, np.full(rows, np.inf)
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    if isinstance(program.matrix, csr_array):
        model.a_matrix_.start_ = program.matrix.indptr.astype(np.int32)
        model.a_matrix_.index_ = program.matrix.indices.astype(np.int32)
        model.a_matrix_.value_ = program.matrix.data
    else:
        model.a_matrix_.start_ = np.arange(0, rows * columns + 1, columns, dtype=np.int32)
        model.a_matrix_.index_ = np.tile(np.arange(columns, dtype=np.int32), rows)
        model.a_matrix_.value_ = program.matrix.reshape(-1)
    engine = highspy.Highs()
    engine.silent()
    if np.isfinite(seconds):
        engine.setOptionValue("time_limit", max(seconds, 0.0))
    engine.passModel(model)
    engine.run()
    if engine.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = engine.getSolution()
    multipliers = np.abs(np.array(solution.row_dual))
    return LinearSolution(engine.getInfo().objective_function_value, np.array(solution.col_value), multipliers)
