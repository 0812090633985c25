"""SeqLip: consecutive layers by their singular vectors, and the worst slopes between each two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from lipc.bounds.blas import one_thread
from lipc.bounds.rounding import UNIT
from lipc.bounds.unrolled import derivative_slack
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.estimators.layers import layers_of
from lipc.estimators.operator_norms import from_euclidean, length, spectral_norm
from lipc.estimators.slopes import greedy_norm, largest_norm
from lipc.ir import Floats, Norm, Program
from lipc.ir.norms import sign_rows

MOST_OUTPUTS = 64
"""Functions of the outputs, each of which is a chain of its own."""

Search: TypeAlias = Callable[[Floats, Floats], tuple[float, bool]]
"""Seeks the largest ``|A diag(s) B|``: returns a norm, and whether it came to its end."""


@dataclass(frozen=True)
class SeqLip(Estimator):
    """The product over layers of ``max_D |S_{i+1}^{1/2} V_{i+1}' D U_i S_i^{1/2}|``, where ``W_i = U_i S_i V_i'``.

    Parameters
    ----------
    search
        ``greedy``: slopes are changed one by one while that makes the norm larger, as published; the maximum may be
        missed, so the product is *no* bound. ``exact``: the maximum by branch and bound, which makes the product an
        upper bound; where a layer is too wide for that, an upper bound of the maximum.
    """

    name: ClassVar[str] = "seqlip"
    kind: ClassVar[Kind] = Kind.HEURISTIC
    source: ClassVar[str] = "Virmaux & Scaman, Lipschitz regularity of deep neural networks, NeurIPS 2018, section 5"

    search: Literal["greedy", "exact"] = "greedy"

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the product, the largest over the functions of the outputs."""
        question = question_of(program)
        *inner, last = layers_of(program).dense()
        signed = question.output_norm is Norm.L1 and len(last) > 1
        if len(last) > MOST_OUTPUTS or (signed and 2 ** (len(last) - 1) > MOST_OUTPUTS):
            raise RefusedError(f"{len(last)} outputs are too many for a product of each", hint="ask for a function")
        rows = (sign_rows(len(last)) if signed else np.eye(len(last))) @ last
        with one_thread():
            search = partial(largest_norm if self.search == "exact" else greedy_norm, deadline=limits.deadline)
            known: dict[int, tuple[float, bool]] = {}
            products = [_product([*inner, row[None]], search, known, exact=self.search == "exact") for row in rows]
        value, complete = max(products)[0], all(complete for _, complete in products)
        if self.search == "exact":
            slack = derivative_slack(program, len(last))
            value = float(np.nextafter(value + (slack.sum() if signed else slack.max()) * (1 + 1e-9), np.inf))
        value, factor = from_euclidean(value, question.norm, program.network_input()[1].size)
        if self.search == "greedy":
            late = "" if complete else "; time was up before all slopes were tried"
            note = f"no bound: the search may miss the worst slopes{late}"
            return Estimate(value, "l_2", "everywhere", factor, note=note)
        note = "" if complete else "bounds of the worst slopes where there are too many to search, or too little time"
        return Estimate(value, "l_2", "everywhere", factor, kind=Kind.UPPER, note=note)


def _product(
    weights: list[Floats], search: Search, known: dict[int, tuple[float, bool]], *, exact: bool
) -> tuple[float, bool]:
    """Return the product for a chain, with `exact` a proven bound, and whether all searches came to their end.

    Parameters
    ----------
    known
        What was found of pairs of layers that all outputs share; new ones are added.
    """
    if len(weights) == 1:
        return float(length(weights[0][0])), True
    parts = [np.linalg.svd(weight, full_matrices=False) for weight in weights]
    final = len(weights) - 1
    roots = [values if at in (0, final) else np.sqrt(values) for at, (_, values, _) in enumerate(parts)]
    lefts = [u * root for (u, _, _), root in zip(parts, roots, strict=True)]
    rights = [root[:, None] * v for (_, _, v), root in zip(parts, roots, strict=True)]
    pairs = [(rights[at + 1], lefts[at]) for at in range(final)]
    for at, pair in enumerate(pairs[:-1]):
        if at not in known:
            known[at] = search(*pair)
    found = [*(known[at] for at in range(final - 1)), search(*pairs[-1])]
    complete = all(ended for _, ended in found)
    if not exact:
        return prod(norm for norm, _ in found), complete
    first, last = parts[0][2], parts[-1][0]
    factored = [lefts[0] @ first, *(lefts[at] @ rights[at] for at in range(1, final)), last @ rights[-1]]
    value = prod(norm for norm, _ in found) * spectral_norm(first) * spectral_norm(last)
    return (value + _lost(weights, factored)) * (1 + 8 * (final + 2) * UNIT), complete


def _lost(weights: list[Floats], factored: list[Floats]) -> float:
    """Return a bound of what the products of computed singular vectors miss of a chain's derivative."""
    missed, sizes = [], []
    for weight, product in zip(weights, factored, strict=True):
        # The product has rank r and columns of V of length 1, so that each entry errs by (r + 2) u times the sizes.
        rounding = 4 * (min(weight.shape) + 4) ** 1.5 * UNIT * float(np.linalg.norm(weight))
        missed.append(float(length((weight - product).reshape(-1))) + rounding)
        sizes.append(spectral_norm(weight) + 2 * missed[-1])
    return float(sum(error * prod(sizes[:at] + sizes[at + 1 :]) for at, error in enumerate(missed))) * (1 + 1e-9)
