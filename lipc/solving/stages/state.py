"""What a run knows: the best witness, the bound so far, and what the answer was worked on by."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import numpy as np

from lipc.certify import Conflict, Regions, Witness
from lipc.compiler import Compiled
from lipc.history import History, Moment
from lipc.ir import Norm
from lipc.options import Options, Report
from lipc.solvers.base import Ending, Solver
from lipc.solving.correspondence import Correspondence
from lipc.solving.pair import Pair, with_gap
from lipc.solving.witnesses import Witnesses

PROOF_SECONDS = 1.0
"""Time beyond the limit for certifying what the solver left."""


class State:
    """What is known of one question, and what every stage of a run works on.

    Values are kept in the sense of a maximization: `sign` turns them.

    Parameters
    ----------
    started
        The time of `time.monotonic` from which the limit counts.
    known
        A value that is attained elsewhere (by another part of a union), in the sense of a maximization: only more is of
        interest.
    """

    def __init__(
        self,
        compiled: Compiled,
        solver: Solver,
        options: Options,
        on_report: Callable[[Report], None],
        started: float,
        known: float = -np.inf,
    ) -> None:
        self.compiled, self.solver, self.options = compiled, solver, options
        self.on_report, self.started = on_report, started
        self.correspondence = Correspondence(compiled)
        # Proofs may take a little longer than the run: what the solver found last is worth it.
        deadline = started + options.time_limit + PROOF_SECONDS
        self.regions = Regions(compiled.asked, self.correspondence.relevant, deadline=deadline)
        self.witnesses = Witnesses(compiled, self.regions, options.gap, options.seed, self._on_best)
        self.sign = self.witnesses.sign
        self.is_lipschitz = self.witnesses.objective.lipschitz is not None
        self.mip = compiled.mip
        self.pair = Pair(
            attained=0.0 if self.is_lipschitz else -np.inf,  # norms are never below 0
            known=known,
            rigorous=self.sign * compiled.bound,
            magnitude=compiled.mip.magnitude,
            slack=solver.slack(compiled.mip),
            tolerance=solver.pruning_tolerance,
        )
        self.conflicts: list[Conflict] = []
        self.engines: list[str] = []  # what the answer was worked on by
        self.nodes = self.proof_nodes = 0
        self.note = ""
        self.history = History()
        self.seconds = {**compiled.seconds, "solve": 0.0}
        self.ending = Ending.UNPROVEN

    @property
    def engine(self) -> str:
        """What the answer was worked on by; without a word of that, the solver that would have been asked."""
        return " and ".join(self.engines) or self.solver.version()

    @property
    def best(self) -> Witness | None:
        """The best witness."""
        return self.witnesses.best

    def _on_best(self, value: float) -> None:
        self.pair.attained = value

    def is_closed(self) -> bool:
        """Return whether the pair is as close as was asked, but for the tolerances of the solver."""
        return self.pair.is_closed(self.options.gap)

    def take_compiled(self, compiled: Compiled) -> None:
        """Go on with another program of the same question."""
        if compiled is not self.compiled:
            self.correspondence, self.mip = Correspondence(compiled), compiled.mip

    def target(self) -> float:
        """Return what an upper side need not be below: what is attained, and the gap that was asked for."""
        if self.pair.lower == -np.inf:
            return -np.inf
        goal = self.pair.lower
        if self.witnesses.norm is Norm.L2 and self.pair.trusted and np.isfinite(self.pair.claimed):
            goal = max(goal, self.pair.claimed)  # the program's ball is larger than that of l_2, and so is its optimum
        return with_gap(goal, self.options.gap, self.pair.magnitude)

    @property
    def has_value(self) -> bool:
        """Whether a value is attained: norms are never below 0, but without a gradient there is none."""
        return self.best is not None or self.pair.known > -np.inf

    def goal(self) -> float:
        """Return the target of a search that is to find a witness, or to refute every pattern."""
        return self.target() if self.has_value else -np.inf

    def closed_ending(self, *, void: bool = False) -> Ending:
        """Return what a closed pair means: without a value, that there is no gradient anywhere, if that was proven."""
        if self.has_value:
            return Ending.OPTIMAL
        return Ending.INFEASIBLE if void and self.pair.excluded == -np.inf else Ending.UNPROVEN

    @property
    def sides(self) -> tuple[float, float]:
        """Lower and upper in the sense of the question."""
        low, high = self.pair.lower, self.pair.bound
        return (low, high) if self.sign > 0 else (-high, -low)

    def report(self, stage: str, nodes: int = 0) -> None:
        """Tell where the run is; `nodes` are those that are not counted yet."""
        report = Report(stage, monotonic() - self.started, *self.sides, self.nodes + nodes)
        self.history.add(Moment(report.elapsed, report.lower, report.upper, report.nodes))
        self.on_report(report)
