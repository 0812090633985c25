"""Proven upper bounds of operator norms, and their products along the graph of a program.

Power iteration, and every other computation of a singular value from a vector, gives a number *below* the norm. Here it
is a guess t: a Cholesky factorization that runs to its end proves that ``t^2 I - M M'`` is positive semidefinite (Rump,
"Verification of positive definiteness", BIT 46, 2006).
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.linalg import eigh, lapack
from scipy.sparse.linalg import eigsh

from lipc.bounds.rounding import UNDERFLOW, UNIT
from lipc.bounds.unrolled import derivative_slack
from lipc.estimators.base import RefusedError
from lipc.ir import Affine, Floats, Input, Kind, Norm, Program, Switch
from lipc.ir.matrix import Matrix, as_dense, as_matrix
from lipc.passes.fuse import Fuse

MOST_ROWS = 3000
"""Of the smaller side of a matrix whose spectral norm is proven by factorization: 72 MB, some seconds."""

FEW_ROWS = 100
"""Up to so many all eigenvalues are cheap."""

POWER_STEPS = 30
"""Of the iteration that bounds larger matrices."""

GROWTHS = (1.0, 10.0, 1e3, 1e5, 1e7)
"""By how much more than rounding a guess is raised, until the factorization proves it."""


def up_sum(numbers: Floats, axis: int = -1) -> Floats:
    """Return sums of nonnegative numbers, rounded up."""
    total = numbers.sum(axis=axis)
    return np.asarray(total * (1 + (numbers.shape[axis] + 4) * UNIT))


def length(numbers: Floats) -> Floats:
    """Return the l_2 norms of rows, shape ``(..., n)``, rounded up."""
    magnitudes = np.abs(numbers)
    largest = magnitudes.max(axis=-1, initial=0.0)
    scale = np.where(largest > 0, largest, 1.0)
    squares = up_sum((magnitudes / scale[..., None]) ** 2) + UNDERFLOW
    return np.asarray(np.where(largest > 0, scale * np.sqrt(squares) * (1 + 8 * UNIT) + UNDERFLOW, 0.0))


def dual_length(rows: Floats, norm: Norm) -> Floats:
    """Return the dual norms of rows, shape ``(m, n)``, rounded up: how far each can change along the unit ball."""
    if norm is Norm.L2:
        return length(rows)
    if norm is Norm.LINF:
        return up_sum(np.abs(rows))
    return np.asarray(np.abs(rows).max(axis=-1, initial=0.0))


def operator_norm(matrix: Matrix, norm: Norm) -> float:
    """Return a proven upper bound of the norm of a matrix as a map from a norm to the same norm."""
    if norm is Norm.L2:
        return spectral_norm(matrix)
    axis = 1 if norm is Norm.LINF else 0
    sums = np.asarray(abs(matrix).sum(axis=axis)).reshape(-1)
    return float(sums.max(initial=0.0) * (1 + (int(matrix.shape[axis]) + 4) * UNIT))


def spectral_norm(matrix: Matrix) -> float:
    """Return a proven upper bound of the largest singular value: near to it, or looser beyond `MOST_ROWS`."""
    largest = float(abs(matrix).max()) if min(matrix.shape) else 0.0
    if largest == 0:
        return 0.0
    if min(matrix.shape) == 1:
        return float(length(as_dense(matrix).reshape(-1)))
    exponent = int(np.clip(np.frexp(largest)[1], -1000, 1000))
    scaled = matrix * np.ldexp(1.0, -exponent)  # so that no square over- or underflows
    scaled = as_matrix(scaled if scaled.shape[0] <= scaled.shape[1] else scaled.T)
    found = _proven(scaled) if scaled.shape[0] <= MOST_ROWS else _loose(scaled)
    return float(np.nextafter(np.ldexp(found + UNDERFLOW, exponent), np.inf))


def _proven(matrix: Matrix) -> float:
    """Return a bound by a factorization of the Gram matrix, which has no more rows than columns of the matrix."""
    rows, columns = matrix.shape
    gram = as_dense(as_matrix(matrix @ matrix.T))
    squares = float(gram.trace())
    # Gram entries err by (columns + 2) u |M| |M|', and the spectral norm of that is at most the sum of all squares.
    error = 2 * (columns + 4) * UNIT * squares
    guess = _largest_eigenvalue(gram)
    # A factorization of C that runs to its end proves that C's least eigenvalue is above -(rows + 1) u trace(C).
    rounding = (rows + 16) * UNIT * rows * guess + error
    for growth in GROWTHS:
        square = guess + growth * rounding
        below = -gram
        below.flat[:: rows + 1] += square
        _, failed = lapack.dpotrf(below, lower=1, clean=0, overwrite_a=1)
        if not failed:
            return sqrt(square + 2 * (rows + 16) * UNIT * rows * square + error) * (1 + 4 * UNIT)
    return _loose(matrix)


def _largest_eigenvalue(gram: Floats) -> float:
    """Return a guess of the largest eigenvalue."""
    rows = len(gram)
    if rows <= FEW_ROWS:
        return float(eigh(gram, eigvals_only=True, subset_by_index=(rows - 1, rows - 1))[0])
    found = eigsh(gram, k=1, v0=np.ones(rows) + 1e-3 * np.arange(rows) / rows, return_eigenvectors=False, tol=1e-12)
    return float(found[0])


def _loose(matrix: Matrix) -> float:
    """Return the least of what sums of magnitudes bound; it takes products with vectors only.

    The matrix of the magnitudes has no smaller norm, and for a nonnegative matrix ``max_i (M'M x)_i / x_i`` is no less
    than its square for every positive x (Collatz 1942, Wielandt 1950).
    """
    size = abs(matrix)
    rows, columns = matrix.shape
    unit = (rows + columns + 8) * UNIT
    squares = float((size**2).sum())
    vector, best = np.ones(columns), np.inf
    for _ in range(POWER_STEPS):
        image = size.T @ (size @ vector)
        best = min(best, float((image / vector).max()))
        vector = image / image.max() + 1e-9
    return sqrt(min(best, squares) * (1 + 4 * unit)) * (1 + 4 * UNIT)


def product_of_norms(program: Program, norm: Norm) -> float:
    """Return what products of operator norms along a program prove about its result, any number of outputs.

    Of a sum the norms add up, so that residual connections are no obstacle; a switch passes on no more than it is given
    (Virmaux & Scaman 2018, Algorithm 1). Affine maps that follow one another are multiplied out where they stay sparse;
    what that rounds away is added.

    Parameters
    ----------
    program
        A network with a Lipschitz question as its objective.
    norm
        Of the inputs, and of all values between.

    Raises
    ------
    RefusedError
        If the product exceeds what double precision holds.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        value = _product_of_norms(program, norm)
    if not np.isfinite(value):
        raise RefusedError("the product of the norms exceeds what double precision holds")
    return value


def _product_of_norms(program: Program, norm: Norm) -> float:
    assert program.objective is not None and program.objective.lipschitz is not None
    summed = program.objective.lipschitz.output_norm is Norm.L1
    fused = Fuse().apply(program).program
    sizes: dict[int, float] = {}
    for value, op in enumerate(fused.ops):
        if isinstance(op, Input):
            sizes[value] = 1.0
        elif isinstance(op, Switch):
            sizes[value] = sizes[op.operand]
        elif isinstance(op, Affine) and value != fused.result:
            sizes[value] = _sum_up([operator_norm(matrix, norm) * size for matrix, size in _read(fused, op, sizes)])
    result = fused.ops[fused.result]
    if isinstance(result, Affine):
        changes: Floats = np.zeros(result.size)
        for matrix, size in _read(fused, result, sizes):
            changes = (changes + dual_length(as_dense(matrix), norm) * size) * (1 + 4 * UNIT)
    else:  # an entry is no larger than the norm of all
        changes = np.full(result.size, sizes[fused.result])
    changes = np.asarray(np.nextafter(changes + derivative_slack(program), np.inf))
    return float(up_sum(changes)) if summed else float(changes.max(initial=0.0))


def _read(program: Program, op: Affine, sizes: dict[int, float]) -> list[tuple[Matrix, float]]:
    """Return the matrices of an affine map and the norms of what they are multiplied with; bits do not change."""
    terms = [term for term in op.terms if program.ops[term.operand].kind is not Kind.BIT]
    return [(term.matrix, sizes[term.operand]) for term in terms]


def _sum_up(numbers: list[float]) -> float:
    return float(up_sum(np.array(numbers))) if numbers else 0.0


def from_euclidean(value: float, norm: Norm, inputs: int) -> tuple[float, str]:
    """Return an upper bound in a norm from one in l_2, and the factor in words.

    The ball of l_inf lies in that of l_2 times ``sqrt(n)``, and that of l_1 within that of l_2.
    """
    if norm is Norm.L2:
        return value, ""
    if norm is Norm.L1:
        return value, "1, l_2 to l_1"
    return float(np.nextafter(value * np.nextafter(sqrt(inputs), np.inf), np.inf)), f"sqrt({inputs}), l_2 to l_inf"
