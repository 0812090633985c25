"""Outward rounding: how far a computed sum may be from the true one.

Any order of summation of ``n`` products errs by at most ``n u / (1 - n u)`` times the sum of the absolute products,
``u = 2^-53`` (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). The absolute sums are computed
in floating point themselves; taking twice ``u`` covers that for every ``n`` below 2^50.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir import Floats, Matrix

UNIT = float(np.finfo(np.float64).eps)
"""2^-52, twice the unit roundoff."""

UNDERFLOW = 1e-300
"""More than all products below the normal range can add up to."""


def summands(matrix: Matrix) -> NDArray[np.int64]:
    """Return the number of nonzeros of each row, shape ``(rows,)``."""
    counts = np.diff(matrix.indptr) if isinstance(matrix, csr_array) else np.count_nonzero(matrix, axis=1)
    return np.asarray(counts, np.int64)


def down(values: Floats, slack: Floats | float = 0.0) -> Floats:
    """Return numbers at or below ``values - slack``."""
    slack = np.asarray(slack, np.float64)
    lower: Floats = np.where(slack > 0, np.nextafter(values - slack, -np.inf), values)
    return lower


def up(values: Floats, slack: Floats | float = 0.0) -> Floats:
    """Return numbers at or above ``values + slack``."""
    return -down(-values, slack)


def _nonzero(numbers: Matrix) -> Matrix:
    """Return 1 where a number is not 0."""
    return (numbers != 0).astype(np.float64)


@dataclass(frozen=True, eq=False)
class SplitMatrix:
    """The positive and the negative part of a matrix, both of its shape, and its entries per row."""

    positive: Matrix
    negative: Matrix
    count: NDArray[np.int64]

    @staticmethod
    def of(matrix: Matrix) -> SplitMatrix:
        """Split a matrix."""
        if isinstance(matrix, csr_array):
            return SplitMatrix(matrix.maximum(0), matrix.minimum(0), summands(matrix))
        return SplitMatrix(np.maximum(matrix, 0.0), np.minimum(matrix, 0.0), summands(matrix))

    def lower(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Return the least value of ``matrix @ x`` over ``low <= x <= high``, and a bound of its rounding error.

        Where no product is of two nonzero numbers the value is 0 and so is the error, however small the numbers: it is
        told by which are nonzero, for products may underflow.
        """
        value = self.positive @ low + self.negative @ high
        size = self.positive @ np.abs(low) - self.negative @ np.abs(high)
        products = _nonzero(self.positive) @ _nonzero(low) + _nonzero(self.negative) @ _nonzero(high)
        slack: Floats = np.where(products > 0, (self.count + 2) * UNIT * size + UNDERFLOW, 0.0)
        return value, slack
