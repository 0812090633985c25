"""Small semidefinite programs, solved through cvxpy. What comes back is a guess: whoever uses it proves it."""

from __future__ import annotations

from time import monotonic

import numpy as np

from lipc.errors import QueryError
from lipc.ir import Floats

MOST_BY_INTERIOR_POINT = 120
"""Rows of a matrix inequality up to which Clarabel solves it; beyond, SCS, a first-order method."""


class ConeSolverMissingError(QueryError):
    """The solvers of semidefinite programs are not installed."""


def steepest_multipliers(half: Floats, after: Floats, deadline: float = np.inf) -> Floats | None:
    """Return diagonal L for which ``W (L - L B B' L / 4)^{-1} W'`` has a small largest eigenvalue.

    With c its inverse: maximize c subject to ``[[L - c W'W, L B / 2], [B'L / 2, I]] >= 0``.

    Parameters
    ----------
    half
        B, shape ``(n, k)``.
    after
        W, shape ``(m, n)``.
    deadline
        Of `time.monotonic`.

    Returns
    -------
    array of shape ``(n,)``, or None if the solver found nothing

    Raises
    ------
    ConeSolverMissingError
        If cvxpy, or a solver it needs, is missing.
    """
    try:
        import cvxpy
    except ImportError:
        message = "semidefinite programs need cvxpy with Clarabel and SCS"
        raise ConeSolverMissingError(message, hint="pip install 'lipc[sdp]'") from None
    size, inner = half.shape
    multipliers, steepness = cvxpy.Variable(size, nonneg=True), cvxpy.Variable()
    scale = max(float(np.linalg.norm(after, 2)), 1e-100)
    gram = (after / scale).T @ (after / scale)
    weighted = cvxpy.diag(multipliers)
    corner = 0.5 * weighted @ half
    matrix = cvxpy.bmat([[weighted - steepness * gram, corner], [corner.T, np.eye(inner)]])
    problem = cvxpy.Problem(cvxpy.Maximize(steepness), [0.5 * (matrix + matrix.T) >> 0])
    seconds = max(deadline - monotonic(), 0.01)
    small = size + inner <= MOST_BY_INTERIOR_POINT
    options: dict[str, object] = {"time_limit": min(seconds, 1e6)} if small else {"time_limit_secs": min(seconds, 1e6)}
    try:
        problem.solve(solver=cvxpy.CLARABEL if small else cvxpy.SCS, **options)
    except cvxpy.SolverError:
        return None
    return None if multipliers.value is None else np.asarray(multipliers.value, np.float64)
