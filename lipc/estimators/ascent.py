"""Local search over activation patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lipc.certify import Certifier
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, question_of
from lipc.estimators.gradients import best_witness
from lipc.ir import Program


@dataclass(frozen=True)
class Ascent(Estimator):
    """Walks from kink to kink, then flips of one neuron at a time: the start of the exact search, certified.

    Any network, norm and domain.
    """

    name: ClassVar[str] = "ascent"
    kind: ClassVar[Kind] = Kind.LOWER
    source: ClassVar[str] = "lipc (docs/architecture.md, search/ascent.py)"

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the norm of the gradient at the point found, in exact arithmetic and rounded down.

        Raises
        ------
        RefusedError
            If no point near it has a gradient.
        """
        from lipc.search.ascent import ascend

        question = question_of(program)
        found = ascend(program, question.norm, deadline=limits.deadline, output_norm=question.output_norm)
        certifier = Certifier(program)
        moves = certifier.inside.sample(np.random.default_rng(limits.seed), 4) - found.x
        near = found.x + 2.0 ** -np.array([[8.0], [16.0], [24.0], [32.0]]) * moves
        points = np.vstack([found.x[None], near])
        witness = best_witness(certifier, points, np.array([found.value, *[0.0] * len(near)]))
        return Estimate(witness.value, question.norm.symbol, witness=witness)
