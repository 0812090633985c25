"""Matrices of affine maps: dense float64 arrays, or CSR where most entries are zero (convolutions, selections)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse

from lipc.ir.polytope import Floats

Matrix: TypeAlias = Floats | csr_array
"""A dense array or a `scipy.sparse.csr_array` of shape ``(rows, columns)``."""


def as_matrix(matrix: ArrayLike | csr_array) -> Matrix:
    """Return a float64 matrix, dense or canonical CSR without stored zeros; what is given is not changed."""
    if issparse(matrix):
        if isinstance(matrix, csr_array) and _is_canonical(matrix):
            return matrix
        canonical = csr_array(matrix, dtype=np.float64, copy=True)
        canonical.sum_duplicates()
        canonical.eliminate_zeros()
        return canonical
    return np.atleast_2d(np.asarray(matrix, np.float64))


def _is_canonical(matrix: csr_array) -> bool:
    return bool(matrix.dtype == np.float64 and matrix.has_canonical_format and matrix.data.all())


def as_dense(matrix: Matrix) -> Floats:
    """Return a matrix as a dense array."""
    return matrix.toarray() if isinstance(matrix, csr_array) else matrix


def entries(matrix: Matrix) -> int:
    """Return how many nonzero numbers a matrix holds."""
    return int(matrix.nnz) if isinstance(matrix, csr_array) else int(np.count_nonzero(matrix))


def nonzero_columns(matrix: Matrix) -> NDArray[np.bool_]:
    """Return which columns of a matrix have an entry, shape ``(columns,)``."""
    if isinstance(matrix, csr_array):
        nonzero = np.zeros(matrix.shape[1], bool)
        nonzero[matrix.indices] = True
        return nonzero
    return np.asarray((matrix != 0).any(axis=0))


def selection(columns: ArrayLike, size: int, scale: ArrayLike = 1.0) -> csr_array:
    """Return the matrix whose row ``i`` picks entry ``columns[i]`` times ``scale``; a negative entry picks nothing.

    Parameters
    ----------
    columns
        Shape ``(rows,)``, integers below `size`.
    size
        The number of columns.
    scale
        One number, or shape ``(rows,)``.
    """
    chosen = np.asarray(columns, np.int64)
    kept = chosen >= 0
    data = np.broadcast_to(np.asarray(scale, np.float64), chosen.shape)[kept]
    pointers = np.concatenate([[0], np.cumsum(kept)])
    return csr_array((data, chosen[kept], pointers), shape=(len(chosen), size))


def identity(size: int, scale: ArrayLike = 1.0) -> csr_array:
    """Return the diagonal matrix of one number or of shape ``(size,)``."""
    return selection(np.arange(size), size, scale)


def scatter(rows: NDArray[np.int64], size: int) -> csr_array:
    """Return the matrix of `size` rows that puts entry ``i`` into row ``rows[i]``; no row is named twice."""
    return csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(size, len(rows)))


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """Return ``outer @ inner``, sparse only if both are."""
    if issparse(outer) and issparse(inner):
        return as_matrix(outer @ inner)
    return as_matrix((inner.T @ outer.T).T if issparse(inner) else outer @ inner)


def add(left: Matrix, right: Matrix) -> Matrix:
    """Return the sum of two matrices, sparse only if both are."""
    if issparse(left) and issparse(right):
        return as_matrix(left + right)
    return as_matrix(as_dense(left) + as_dense(right))


def transpose(matrix: Matrix) -> Matrix:
    """Return the transpose, sparse if the matrix is."""
    return as_matrix(matrix.T)
