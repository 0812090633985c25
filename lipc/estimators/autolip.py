"""AutoLip: products of spectral norms along the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lipc.bounds.blas import one_thread
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, question_of
from lipc.estimators.operator_norms import from_euclidean, product_of_norms
from lipc.ir import Norm, Program


@dataclass(frozen=True)
class AutoLip(Estimator):
    """The product of spectral norms, summed where values are added, each proven to be no less than the norm.

    The norm that power iteration gives is below the true one, so it is only the guess that a factorization proves.
    Activations that lipc writes as sums, such as ``|x| = 2 relu(x) - x``, count as sums: 3 instead of 1.
    """

    name: ClassVar[str] = "autolip"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = "Virmaux & Scaman, Lipschitz regularity of deep neural networks, NeurIPS 2018, Algorithm 1"

    def estimate(self, program: Program, limits: Limits) -> Estimate:  # noqa: ARG002 - it cannot be cut short
        """Return the product."""
        norm = question_of(program).norm
        with one_thread():
            value = product_of_norms(program, Norm.L2)
        value, factor = from_euclidean(value, norm, program.network_input()[1].size)
        return Estimate(value, "l_2", "everywhere", factor)
