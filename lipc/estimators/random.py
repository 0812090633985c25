"""Gradients at random points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lipc.certify import Certifier
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.estimators.gradients import best_witness, gradient_norms
from lipc.ir import Program


@dataclass(frozen=True)
class Random(Estimator):
    """The largest gradient at random points, certified.

    Any network, norm and domain. Half of the points are drawn from near the corners or the boundary of the domain. A
    point at a kink has no gradient, and does not count.

    Parameters
    ----------
    samples
        Points.
    """

    name: ClassVar[str] = "random"
    kind: ClassVar[Kind] = Kind.LOWER
    source: ClassVar[str] = "folklore; as in Jordan, Dimakis, NeurIPS 2020, section 5 (RandomLB)"
    samples: int = 10_000

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise RefusedError(f"random cannot draw {self.samples} points", hint="1, or more")

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the norm of the gradient at the best point, in exact arithmetic and rounded down.

        Raises
        ------
        RefusedError
            If no point has a gradient: the domain has no interior, or none of them was proven to be no kink.
        """
        norm = question_of(program).norm
        certifier = Certifier(program)
        points = certifier.inside.sample(np.random.default_rng(limits.seed), self.samples)
        norms, done = gradient_norms(program, points, limits.deadline)
        witness = best_witness(certifier, points[:done], norms)
        note = "" if done == self.samples else f"time was up after {done} points"
        return Estimate(witness.value, norm.symbol, witness=witness, note=note)
