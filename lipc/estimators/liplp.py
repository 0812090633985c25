"""LipLP: the mixed-integer program of the constant with its bits between 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from lipc.bounds import interval_bounds
from lipc.bounds.relaxation import Relaxation
from lipc.errors import QueryError
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.ir import Norm, Program
from lipc.ir.euclidean import euclidean_factor
from lipc.passes.base import Pass
from lipc.passes.bounds import Method
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.pipeline import Level, named_pipeline
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import run_passes
from lipc.passes.tighten import Tighten

TIGHTEN_SECONDS, TIGHTEN_SHARE = 10.0, 0.5
"""Time for tightening: seconds, and at most this part of what is left."""


@dataclass(frozen=True)
class LipLp(Estimator):
    """The linear relaxation of the program that `lipc` makes of the question.

    HiGHS proposes multipliers, and the bound they prove is computed with outward rounding: passes that round
    coefficients are left out. Any network and domain; in l_2 v ranges over a polytope around the ball.

    Parameters
    ----------
    mode, bounds, level
        As for `lipc.compile`: how the Jacobian is written, how values are bounded, and which passes are run. With
        ``mode=reverse`` and ``level=1`` it is the relaxation of the authors' program.
    tighten
        Tighten bounds by linear programs over the whole relaxation first, for some seconds; level 3 does so, too.
    """

    name: ClassVar[str] = "liplp"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = (
        "Jordan, Dimakis, Exactly Computing the Local Lipschitz Constant of ReLU Networks, NeurIPS 2020, section 5"
    )
    mode: Mode = "auto"
    bounds: Method = "linear"
    level: Level = 2
    tighten: bool = False

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the optimum of the relaxation, as its multipliers prove it.

        Raises
        ------
        RefusedError
            For reverse mode and l_2, or a network whose output jumps.
        """
        norm = question_of(program).norm
        try:
            scalar = run_passes(program.with_bounds({}), self._passes(limits.deadline - monotonic())).program
        except QueryError as error:
            raise RefusedError(error.message, where=error.where, hint=error.hint) from error
        relaxation = Relaxation(scalar, interval_bounds(scalar))
        value, point = relaxation.extreme(scalar.result, 0, -1, limits.deadline - monotonic())
        notes = ["the solver found no optimum in time: bounds of values alone"] if point is None else []
        if norm is Norm.L2:
            size = program.network_input()[1].size
            notes.append(f"over a polytope around the ball that reaches {euclidean_factor(size):.7g} times as far")
        return Estimate(value, norm.symbol, note="; ".join(notes))

    def _passes(self, seconds: float) -> list[Pass]:
        """Return the passes that compute no number anew, and those that tighten bounds."""
        passes = [each for each in named_pipeline(self.level, self.mode, self.bounds) if each.exact]
        if self.tighten and self.level < 3:
            share = max(0.0, min(TIGHTEN_SECONDS, TIGHTEN_SHARE * seconds))
            at = next(place for place, each in enumerate(passes) if isinstance(each, Jacobian))
            passes[at:at] = [Tighten("network", share), PruneStable()]
            passes += [Tighten("jacobian", share), PruneStable()]
        return passes
