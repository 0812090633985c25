"""The product of the operator norms of all layers, in the norm that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lipc.bounds.blas import one_thread
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, question_of
from lipc.estimators.operator_norms import product_of_norms
from lipc.ir import Program


@dataclass(frozen=True)
class Naive(Estimator):
    """The product of operator norms from the norm of the question to the same norm.

    Over any graph: where values are added the norms are too. The last map, with the functional multiplied in, counts
    with the dual norm of its row: for l_inf the sum of magnitudes.
    """

    name: ClassVar[str] = "naive"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = "Szegedy et al., Intriguing properties of neural networks, ICLR 2014, section 4.3"

    def estimate(self, program: Program, limits: Limits) -> Estimate:  # noqa: ARG002 - it takes no time to speak of
        """Return the product."""
        norm = question_of(program).norm
        with one_thread():
            value = product_of_norms(program, norm)
        return Estimate(value, norm.symbol, "everywhere")
