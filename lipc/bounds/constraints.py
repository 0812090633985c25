"""The rows and the ball of a domain as rows of a linear program, scaled so that every side is about 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_array, csr_array

from lipc.ir import Floats, Polytope, identity


@dataclass(frozen=True, eq=False)
class Constraints:
    """``matrix @ (z, d) >= sides`` where ``x = start + width * z``, and d are the distances from a ball's center.

    Parameters
    ----------
    matrix
        Shape ``(k, n)``, with a ball ``(k, 2n)``: d counts in radii.
    sides
        Shape ``(k,)``.
    lower_rows, upper_rows
        Which rows of the domain the first rows of the matrix stand for, by the side they keep.
    scale
        By what each row of the domain was divided.
    """

    matrix: csr_array
    sides: Floats
    lower_rows: NDArray[np.int64]
    upper_rows: NDArray[np.int64]
    scale: Floats
    radius: float

    @staticmethod
    def of(domain: Polytope, start: Floats, width: Floats, equations: Mapping[int, float] | None = None) -> Constraints:
        """Return the constraints besides bounds of a domain.

        Parameters
        ----------
        equations
            Rows to take for equations, and their sides.
        """
        size, ball = domain.size, domain.l1
        scaled = csr_array(domain.rows @ identity(size, width))
        reach = abs(scaled) @ np.ones(size)
        scale: Floats = np.where(reach > 0, reach, 1.0)
        rows = csr_array(identity(len(scale), 1.0 / scale) @ scaled)
        low, high = domain.row_lower.copy(), domain.row_upper.copy()
        for row, side in (equations or {}).items():
            low[row] = high[row] = side
        offset = domain.rows @ start
        lower_rows, upper_rows = np.flatnonzero(np.isfinite(low)), np.flatnonzero(np.isfinite(high))
        blocks: list[list[csr_array | None]] = [[rows[lower_rows], None], [-rows[upper_rows], None]]
        sides = [((low - offset) / scale)[lower_rows], ((offset - high) / scale)[upper_rows]]
        radius = 0.0
        if ball is None:
            blocks = [block[:1] for block in blocks]
        else:
            radius = max(ball.radius, 1e-300)
            share, unit, away = identity(size, width / radius), identity(size), (start - ball.center) / radius
            blocks += [[share, unit], [-share, unit], [None, csr_array(-np.ones((1, size)))]]
            sides += [-away, away, -np.ones(1)]
        matrix = csr_array(block_array(blocks, format="csr"))
        return Constraints(matrix, np.concatenate(sides), lower_rows, upper_rows, scale, radius)

    def multipliers(self, duals: Floats) -> Floats:
        """Return a multiplier for each row of the domain, positive for its upper side.

        Parameters
        ----------
        duals
            Shape ``(k,)``, those of these rows in a linear program.
        """
        lower, upper = len(self.lower_rows), len(self.upper_rows)
        multipliers = np.zeros(len(self.scale))
        multipliers[self.lower_rows] -= duals[:lower]
        multipliers[self.upper_rows] += duals[lower : lower + upper]
        return multipliers / self.scale

    def ball_multiplier(self, duals: Floats) -> float:
        """Return the multiplier of the ball, 0 if there is none."""
        return float(duals[len(self.sides) - 1]) / self.radius if self.radius else 0.0
