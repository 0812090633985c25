"""SeqLip: consecutive layers by their singular vectors, and the worst slopes between each two."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.blas import one_thread
from lipc.bounds.rounding import UNIT
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.estimators.layers import Layers, layers_of
from lipc.estimators.operator_norms import from_euclidean, spectral_norm
from lipc.ir import Floats, Norm, Program
from lipc.ir.norms import sign_rows

MOST_OPEN = 20_000
"""Choices of slopes that an exact search holds at a time; where more are open their bound is what is proven."""

MOST_OUTPUTS = 64
"""Functions of the outputs, each of which is a chain of its own."""

MARGIN = 1e-9
"""A norm is said to be no more than another one if it is less by this part: rounding of both is far below."""


@dataclass(frozen=True)
class SeqLip(Estimator):
    """Products of ``max over D of |S_{i+1}^{1/2} V_{i+1}' D U_i S_i^{1/2}|`` for ``W_i = U_i S_i V_i'``, D within 0 and 1.

    Parameters
    ----------
    search
        ``greedy``: slopes are changed one by one while that makes the norm larger, as published; the maximum may be
        missed, so the product is *no* bound. ``exact``: the maximum by branch and bound, an upper bound; where a layer
        is too wide for that, an upper bound of the maximum.
    """

    name: ClassVar[str] = "seqlip"
    kind: ClassVar[Kind] = Kind.HEURISTIC
    source: ClassVar[str] = "Virmaux & Scaman, Lipschitz regularity of deep neural networks, NeurIPS 2018, section 5"

    search: Literal["greedy", "exact"] = "greedy"

    def estimate(self, program: Program, limits: Limits) -> Estimate:  # noqa: ARG002 - its work is limited
        """Return the product."""
        question = question_of(program)
        layers = layers_of(program)
        *inner, last = layers.dense()
        signed = question.output_norm is Norm.L1 and len(last) > 1
        if len(last) > (7 if signed else MOST_OUTPUTS):
            raise RefusedError(f"{len(last)} outputs are too many for a product of each", hint="ask for a function")
        signs = sign_rows(len(last)) if signed else np.eye(len(last))
        exact = self.search == "exact"
        with one_thread():
            halves = [_halves(weight) for weight in inner]
            values = [_product([*inner, row @ last], halves, sign_slack) for row, sign_slack in []] if False else []
            for row in signs:
                values.append(_chain(inner, halves, row[None] @ last, exact=exact))
            value = max(values)
            if exact:
                rounding = (len(last) + 4) * UNIT * float(np.abs(last).sum()) * prod(map(spectral_norm, inner))
                value = float(np.nextafter(value + rounding + _slack(layers, signed=signed), np.inf))
        value, factor = from_euclidean(value, question.norm, program.network_input()[1].size)
        return Estimate(value, "l_2", "everywhere", factor, kind=Kind.UPPER if exact else None)
