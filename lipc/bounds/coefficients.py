"""Coefficients of one value in many linear functions: sparse as long as few neurons are read, then dense."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from lipc.ir import Floats, Matrix

DENSE = 1 / 8
"""With a larger share of nonzeros, coefficients are held as a dense array."""


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Functions ``row @ value`` of a value of size ``n``.

    Parameters
    ----------
    held
        CSR of shape ``(rows, n)``, or a dense array of shape ``(n, rows)``: turned round, products take half the time.
    """

    held: Matrix

    @property
    def rows(self) -> Matrix:
        """The coefficients as a matrix of shape ``(rows, n)``."""
        return self.held if isinstance(self.held, csr_array) else self.held.T

    @property
    def values(self) -> Floats:
        """The numbers that are held, in an order of their own: of any shape."""
        values: Floats = self.held.data if isinstance(self.held, csr_array) else self.held
        return values

    def with_values(self, values: Floats) -> Coefficients:
        """Return other numbers in the same places."""
        if isinstance(self.held, csr_array):
            return Coefficients(csr_array((values, self.held.indices, self.held.indptr), shape=self.held.shape))
        return Coefficients(values)

    def spread(self, numbers: Floats) -> Floats:
        """Return numbers of the entries, shape ``(n,)``, so that `values` may be multiplied by them."""
        return numbers[self.held.indices] if isinstance(self.held, csr_array) else numbers[:, None]

    def dot(self, numbers: Floats) -> Floats:
        """Return each function at a point of shape ``(n,)``, shape ``(rows,)``, or at several, of shape ``(k, n)``."""
        products: Floats = (self.held @ numbers.T).T if isinstance(self.held, csr_array) else numbers @ self.held
        return products

    def through(self, matrix: Matrix) -> Coefficients:
        """Return ``rows @ matrix``."""
        if not isinstance(self.held, csr_array):
            return Coefficients(matrix.T @ self.held)
        return _stored(self.held @ matrix)

    def plus(self, other: Coefficients) -> Coefficients:
        """Return the sum."""
        if isinstance(self.held, csr_array) and isinstance(other.held, csr_array):
            return _stored(self.held + other.held)
        left, right = (
            np.asarray(each.toarray()) if isinstance(each, csr_array) else each for each in (self.rows, other.rows)
        )
        return _stored(left + right)

    def without_zeros(self) -> Coefficients:
        """Return the same functions without the zeros that may be held; takes the place of these."""
        if isinstance(self.held, csr_array) and not self.held.data.all():
            kept = self.held.copy()
            kept.eliminate_zeros()
            return Coefficients(kept)
        return self


def _stored(rows: Matrix) -> Coefficients:
    """Return the coefficients of a matrix of shape ``(rows, n)``, stored as is cheapest."""
    if isinstance(rows, csr_array):
        if rows.nnz <= DENSE * rows.shape[0] * rows.shape[1]:
            return Coefficients(rows)
        rows = rows.toarray()
    return Coefficients(np.ascontiguousarray(rows.T))
