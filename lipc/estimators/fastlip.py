"""Fast-Lip: intervals of the pre-activations say which neurons may switch, intervals of the gradient go backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lipc.bounds import interval_bounds, linear_bounds
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, question_of
from lipc.estimators.gradients import bound_gradients, box_note, joined, upper_of
from lipc.ir import Program
from lipc.passes.bounds import Method


@dataclass(frozen=True)
class FastLip(Estimator):
    """Interval bounds of every entry of the gradient.

    Any network, input norm and domain; of a domain that is no box, intervals know the bounding box.

    Parameters
    ----------
    bounds
        Of the pre-activations. ``interval``, or ``linear``: by backward linear relaxation, as in the paper (Fast-Lin).
    """

    name: ClassVar[str] = "fastlip"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = (
        "Weng et al., Towards Fast Computation of Certified Robustness for ReLU Networks, ICML 2018, section 3.4"
    )
    bounds: Method = "interval"

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the dual norm of the largest magnitudes of the gradient's entries.

        Raises
        ------
        RefusedError
            If time is up before every output has its bound.
        """
        norm = question_of(program).norm
        known = linear_bounds(program) if self.bounds == "linear" else interval_bounds(program)

        def bound(gradient: Program) -> float:
            return upper_of(interval_bounds(gradient)[gradient.result], norm)

        value, note = bound_gradients(program.with_bounds(known), limits, bound)
        return Estimate(value, norm.symbol, note=joined(note, "" if self.bounds == "linear" else box_note(program)))
