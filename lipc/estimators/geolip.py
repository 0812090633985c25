"""GeoLIP: the SDP relaxation of the largest derivative, in l_inf and in l_2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lipc.bounds.blas import one_thread
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, question_of
from lipc.estimators.derivatives import (
    MOST_BY_NEWTON,
    by_size,
    largest_over_ball,
    largest_over_corners,
    largest_over_cube,
    late_note,
    rows_of,
)
from lipc.estimators.gradients import joined
from lipc.ir import Norm, Program

MOST_CORNERS_WORK = 2e9
"""In l_1 there are two bounds for every input; where they would take more than some seconds, that in l_2 is given."""


@dataclass(frozen=True)
class GeoLip(Estimator):
    """The natural SDP relaxation of ``max c' J v`` over the slopes of all neurons, by its closed form.

    In l_inf and l_2 as published; in l_1, whose ball has two corners for every input, for each of these while they are
    few. Beyond 200 directions and neurons multipliers are sought in the eigenvalue form first (LipDiff, Wang et al.,
    ICLR 2024, "On the scalability and memory efficiency of semidefinite programs for Lipschitz constant estimation of
    neural networks"), and beyond 900 by first-order methods only: the bound holds all the same, but is some per cent
    larger than the best one, for networks of many layers more.
    """

    name: ClassVar[str] = "geolip"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = "Wang et al., A quantitative geometric approach to neural-network smoothness, NeurIPS 2022"

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the bound."""
        norm = question_of(program).norm
        with one_thread():
            rows = rows_of(program)
            directions = (
                rows.unrolled.inputs if norm is Norm.LINF else min(rows.unrolled.inputs, rows.unrolled.switches)
            )
            large = directions + rows.unrolled.switches > MOST_BY_NEWTON
            note = "multipliers of first-order methods" if large else ""
            if norm is Norm.L1 and not large and 2 * rows.unrolled.inputs * rows.work <= MOST_CORNERS_WORK:
                return Estimate(largest_over_corners(rows, limits), "l_1", "everywhere", note=late_note(limits))
            if norm is Norm.LINF:
                value = largest_over_cube(rows, by_size, limits)
                return Estimate(value, "l_inf", "everywhere", note=joined(note, late_note(limits)))
            value = largest_over_ball(rows, by_size, limits)
            note = joined(note, late_note(limits))
        return Estimate(value, "l_2", "everywhere", "" if norm is Norm.L2 else "1, l_2 to l_1", note=note)
