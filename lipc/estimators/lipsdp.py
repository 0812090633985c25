"""LipSDP: one matrix inequality for the slopes of all neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lipc.bounds.blas import one_thread
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, question_of
from lipc.estimators.derivatives import by_size, chain_rows_of, largest_over_ball, late_note, rows_of
from lipc.estimators.gradients import joined
from lipc.estimators.operator_norms import from_euclidean
from lipc.ir import Program

NOT_NETWORK = (
    "multipliers of pairs of neurons, as published for mode network, prove nothing (Pauli et al. 2021): "
    "computed in mode neuron, which is what is sound of it"
)


@dataclass(frozen=True)
class LipSdp(Estimator):
    """The SDP bound of LipSDP in l_2, by its closed form, for every output.

    Parameters
    ----------
    mode
        ``neuron``: a multiplier for each neuron, any network. ``layer``: one for each layer, for chains of layers;
        looser. ``network``: what is sound of the published mode of that name, which is ``neuron``: its multipliers of
        pairs of neurons give numbers below the Lipschitz constant (Pauli et al., "Training robust neural networks using
        Lipschitz bounds", IEEE Control Systems Letters 6, 2021).
    """

    name: ClassVar[str] = "lipsdp"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = (
        "Fazlyab et al., Efficient and accurate estimation of Lipschitz constants, NeurIPS 2019, (8)"
    )

    mode: Literal["neuron", "layer", "network"] = "neuron"

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the bound."""
        norm = question_of(program).norm
        layer = self.mode == "layer"
        with one_thread():
            rows = chain_rows_of(program) if layer else rows_of(program)
            value = largest_over_ball(rows, by_size, limits, tied=layer)
        value, factor = from_euclidean(value, norm, program.network_input()[1].size)
        note = joined(NOT_NETWORK if self.mode == "network" else "", late_note(limits))
        return Estimate(value, "l_2", "everywhere", factor, note=note)
