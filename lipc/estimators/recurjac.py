"""RecurJac: each bound of a gradient's entries from those of the layers behind it, by substitution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lipc.bounds import linear_bounds
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, question_of
from lipc.estimators.gradients import bound_gradients, upper_of
from lipc.ir import Program


@dataclass(frozen=True)
class RecurJac(Estimator):
    """Recursive bounds of the Jacobian.

    The gradient at a layer is a linear function of that at the next one, whose bounds are known: where they have a
    sign, the worst bit of an undecided neuron follows from the sign of its coefficient, and the substitution goes on
    through it; where they have none, the product is bounded by its interval. Pre-activations are bounded by backward
    linear relaxation. Any network, input norm and domain.
    """

    name: ClassVar[str] = "recurjac"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = (
        "Zhang, Zhang, Hsieh, RecurJac: An Efficient Recursive Algorithm for Bounding Jacobian Matrix of Neural "
        "Networks, AAAI 2019, section 3.2"
    )

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the dual norm of the largest magnitudes of the gradient's entries.

        Raises
        ------
        RefusedError
            If time is up before every output has its bound.
        """
        norm = question_of(program).norm
        program = program.with_bounds(linear_bounds(program))

        def bound(gradient: Program) -> float:
            found = linear_bounds(gradient, only_new=True, switches="worst")
            return upper_of(found[gradient.result], norm)

        value, note = bound_gradients(program, limits, bound)
        return Estimate(value, norm.symbol, note=note)
