"""ECLipsE: the matrix inequality of LipSDP taken apart, one layer after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.linalg import lapack, solve_triangular

from lipc.bounds.blas import one_thread
from lipc.bounds.cone import ConeSolverMissingError, steepest_multipliers
from lipc.bounds.unrolled import Unrolled
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.estimators.derivatives import Rows, chain_rows_of, largest_over_ball
from lipc.estimators.operator_norms import from_euclidean
from lipc.estimators.tied import TiedSdp
from lipc.ir import Floats, Program

LEAST = 1e-9
"""Multipliers are at least so large a part of the largest of their layer."""

MOST_GROWTH = 100.0
"""A multiplier is no more than this times the largest of the layer before. Entries are near 1 in the units of
`chain_rows_of`, so that only layers of zeros would have larger ones; smaller ones are valid, too."""

SHRINKING = (1e-7, 1e-5, 1e-3, 0.1, 0.5)
"""A solver's multipliers are made smaller by so much until the next matrix is positive definite."""


@dataclass(frozen=True)
class Eclipse(Estimator):
    """The bound of a chain of layers in l_2 from multipliers that are chosen layer by layer.

    Parameters
    ----------
    variant
        ``fast``: one multiplier for each layer, in closed form (ECLipsE-Fast). ``sdp``: one for each neuron, from a
        small SDP for each layer (ECLipsE); it needs ``pip install 'lipc[sdp]'``.

    The multipliers are only a choice: what is returned is proven from them by one factorization.
    """

    name: ClassVar[str] = "eclipse"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = "Xu & Sivaranjani, ECLipsE, NeurIPS 2024, Algorithm 1"

    variant: Literal["fast", "sdp"] = "fast"

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the bound."""
        norm = question_of(program).norm
        with one_thread():
            rows = chain_rows_of(program)
            chosen = _by_layer(rows) if self.variant == "fast" else _by_neuron(rows, limits)

            def search(sdp: TiedSdp, _unrolled: Unrolled, _limits: Limits) -> Floats:
                switches = sdp.quadratic.switches
                numbers = np.ones(sdp.tied.count)
                numbers[sdp.tied.groups[sdp.quadratic.free_signs :]] = chosen[switches]
                return sdp.best_scale(numbers)

            value = largest_over_ball(rows, search, limits)
        value, factor = from_euclidean(value, norm, program.network_input()[1].size)
        return Estimate(value, "l_2", "everywhere", factor)


def _blocks(rows: Rows) -> list[Floats]:
    """Return what each layer reads of the one before."""
    unrolled, blocks, before = rows.unrolled, [], None
    for level in unrolled.levels:
        blocks.append(unrolled.direct[level] if before is None else unrolled.through[np.ix_(level, before)])
        before = level
    return blocks


def _turned(weight: Floats, factor: Floats) -> Floats:
    """Return B with ``B B' = W M^{-1} W'`` and no more columns than rows, from the Cholesky factor of M."""
    half = np.asarray(solve_triangular(factor, weight.T, lower=True))
    return half.T if half.shape[0] <= half.shape[1] else np.asarray(np.linalg.qr(half, mode="r")).T


def _by_layer(rows: Rows) -> Floats:
    """Return the multiplier of each switch in closed form: ``2 / |W M^{-1} W'|``, one for each layer."""
    chosen = []
    factor: Floats = np.eye(rows.unrolled.inputs)
    multiplier = 1.0
    for weight in _blocks(rows):
        half = _turned(weight, factor)
        multiplier = _safe(half, multiplier)
        matrix = multiplier * np.eye(len(weight)) - 0.25 * multiplier**2 * half @ half.T
        factor = np.asarray(np.linalg.cholesky(matrix))
        chosen.append(np.full(len(weight), multiplier))
    return np.concatenate([np.zeros(0), *chosen])


def _by_neuron(rows: Rows, limits: Limits) -> Floats:
    """Return the multipliers of small SDPs, made smaller where the solver left the cone."""
    blocks = _blocks(rows)
    if not blocks:
        return np.zeros(0)
    last = rows.objectives[:, rows.unrolled.inputs :][:, rows.unrolled.levels[-1]]
    chosen = []
    factor: Floats = np.eye(rows.unrolled.inputs)
    most = 1.0
    for at, weight in enumerate(blocks):
        half = _turned(weight, factor)
        after = blocks[at + 1] if at + 1 < len(blocks) else last
        try:
            found = steepest_multipliers(half, after, limits.deadline)
        except ConeSolverMissingError as error:
            raise RefusedError(error.message, hint=error.hint) from None
        multipliers, factor = _repaired(found, half, _safe(half, most))
        most = float(multipliers.max())
        chosen.append(multipliers)
    return np.concatenate(chosen)


def _safe(half: Floats, before: float) -> float:
    """Return ``2 / |B|^2``: half of the largest l for which ``l - l^2 B B' / 4`` is positive semidefinite."""
    return float(min(2 / max(float(np.linalg.norm(half, 2)) ** 2, 1e-300), MOST_GROWTH * before))


def _repaired(multipliers: Floats | None, half: Floats, safe: float) -> tuple[Floats, Floats]:
    """Return multipliers with which ``L - L B B' L / 4`` is positive definite, and its Cholesky factor.

    The solver is not believed; equal ones that the norm of B allows are right in any case.
    """
    equal = np.full(len(half), safe)
    found = equal if multipliers is None or not np.isfinite(multipliers).all() else multipliers
    found = np.maximum(found, LEAST * max(float(found.max()), safe))
    for less in SHRINKING:
        tried = found * (1 - less)
        product = tried[:, None] * half
        factor, failed = lapack.dpotrf(np.diag(tried) - 0.25 * product @ product.T, lower=1, clean=1)
        if not failed:
            return tried, factor
    return _repaired(None, half, safe)
