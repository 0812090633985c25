"""Multipliers made exact: gradients that cancel in floating point, to cancel in rational arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from lipc.ir import Floats


@dataclass(frozen=True, eq=False)
class Balance:
    """Which entries of a weighted sum of gradients are to be 0, or plus or minus the multiplier of the ball.

    The others are left over: the bounds of the box take them in, or the ball where they are below its multiplier.
    """

    equations: NDArray[np.bool_]
    signs: NDArray[np.int64]

    @staticmethod
    def of(terms: Floats, price: float) -> Balance:
        """Read it from the summands, shape ``(k, n)``, and the multiplier of the ball."""
        left, size = terms.sum(axis=0), np.abs(terms).sum(axis=0)
        if price <= 1e-9 * np.abs(left).max(initial=0.0):
            return Balance(np.abs(left) <= 1e-7 * size, np.zeros(len(left), np.int64))
        paid = np.abs(np.abs(left) - price) <= 1e-7 * price
        return Balance(paid, np.where(paid, np.sign(left), 0.0).astype(np.int64))


def independent(equations: list[list[Fraction]]) -> list[list[Fraction]]:
    """Return as many equations as there are unknowns, the most independent ones by a pivoted QR in floats.

    Leaving some out cannot make a wrong proof: whatever comes of it is checked.
    """
    unknowns = len(equations[0]) if equations else 0
    if len(equations) <= unknowns:
        return equations
    numbers = np.array([[float(entry) for entry in equation] for equation in equations])
    _, _, order = qr(numbers.T, mode="economic", pivoting=True)
    return [equations[row] for row in order[:unknowns]]


def kernel_vector(equations: list[list[Fraction]], unknowns: int, deadline: float) -> list[Fraction] | None:
    """Return a vector that spans the kernel of a rational matrix; `None` if that is not a line, or too late."""
    pivots: list[int] = []
    rows = [row for row in equations if any(row)]
    for column in range(unknowns):
        if monotonic() > deadline:
            return None
        rank = len(pivots)
        found = next((k for k in range(rank, len(rows)) if rows[k][column]), None)
        if found is None:
            continue
        rows[rank], rows[found] = rows[found], rows[rank]
        lead = rows[rank][column]
        rows[rank] = [entry / lead for entry in rows[rank]]
        for k, row in enumerate(rows):
            if k != rank and row[column]:
                factor = row[column]
                rows[k] = [a - factor * b for a, b in zip(row, rows[rank], strict=True)]
        pivots.append(column)
    free = [column for column in range(unknowns) if column not in pivots]
    if len(free) != 1:
        return None
    vector = [Fraction(0)] * unknowns
    vector[free[0]] = Fraction(1)
    for rank, column in enumerate(pivots):
        vector[column] = -rows[rank][free[0]]
    return vector
