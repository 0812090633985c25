"""Solve one compiled question: start from a good pattern, solve, certify, and go on until the pair is proven.

The solver's optimum is a claim about a pattern. The pattern counts only if its region has an interior; then the
gradient there, re-computed exactly, is the lower bound. A pattern that has none is excluded by a cut and the solve
goes on; one of which neither can be proven stays in the upper bound.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import numpy as np

from lipc.certify import Conflict, Regions, Witness
from lipc.compiler import Compiled
from lipc.correspondence import Correspondence
from lipc.errors import QueryError, SolverFailedError
from lipc.ir import Floats, Norm
from lipc.mip import MixedIntegerProgram, NoGood, exclude
from lipc.options import Options, Report
from lipc.pair import NEARLY_ZERO, Pair
from lipc.passes.jacobian import FEW_INPUTS
from lipc.passes.prune_stable import PruneStable
from lipc.passes.tighten import Tighten
from lipc.result import Result, Size
from lipc.safe import SafeSearch
from lipc.search.branching import BranchAndBound
from lipc.search.parallel import ParallelSearch
from lipc.solvers.base import Ending, Outcome, Progress, SecondInterruptError, Solver, Task
from lipc.witnesses import Witnesses

FINEST = 1e-9
"""The smallest relative gap that is worth a proof of the upper side."""

EASY_NODES = 50
"""A proof that takes more nodes than this begins again with tighter bounds."""

NEARLY_CLOSED = 1e-3
"""A gap that the solver's tolerances may leave where they are magnified by the bounds of the program."""

PROOF_SECONDS = 1.0
"""Time beyond the limit for certifying what the solver left."""

START_SECONDS = 2.0
"""Time for the local search; with a time limit at most a tenth of it."""

TIGHTEN_SECONDS, TIGHTEN_SHARE = 5.0, 0.05
"""Time for tightening the network, and again for its Jacobian: seconds, and at most this part of the time limit."""

MANY_NEURONS = 30
"""Programs of fewer unstable neurons are solved faster than tightened (measured: PERFORMANCE.md, "Tightening")."""

BELOW_ATTAINED = 1e-7
"""Bounds are tightened for values down to this part below what is attained: passes round coefficients."""


SEARCH = "branch and bound on the SDP bound"
"""What a result names as its solver where our own search was one."""


class Run:
    """The state of one solve: the best witness, the bound so far, and the cuts.

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

    @staticmethod
    def of(
        compiled: Compiled,
        solver: Solver,
        options: Options,
        on_report: Callable[[Report], None],
        started: float,
        known: float = -np.inf,
    ) -> Run:
        """Return a run that has ended; the first interrupt ends it with a valid pair, wherever it comes."""
        parts = (compiled, solver, options, on_report, started, known)
        try:
            run = Run(*parts)
        except KeyboardInterrupt:
            # Setting up takes milliseconds, and the bounds of the compiled program are a valid pair already.
            run = Run(*parts)
            run.ending = Ending.INTERRUPTED
            return run
        run.ending = run._search()
        return run

    def _search(self) -> Ending:
        try:
            self._start()
            ending = self._branch()
            if ending is not None:
                return ending
            self._tighten()
            ending = self._solve()
            return self._prove(ending) if self.options.safe_upper else self._settle(ending)
        except SecondInterruptError:
            raise
        except KeyboardInterrupt:
            return Ending.INTERRUPTED
        finally:
            self.pair.believes = not self.options.safe_upper

    def _start(self) -> None:
        """Find the first witness by local search."""
        self._report("start")
        begun = monotonic()
        self.witnesses.start(begun + min(START_SECONDS, self.options.time_limit / 10))
        self.seconds["lower"] += monotonic() - begun
        self._report("start")

    def _branch(self) -> Ending | None:
        """Search on the SDP bound; return `None` where a solver is to go on, with that bound for a start."""
        begun = monotonic()
        deadline = self.started + self.options.time_limit
        own = self.options.search != "mip"
        try:
            parts = (self.compiled.reduced_exactly, self._goal, self.witnesses.offer, deadline)
            jobs = self.options.jobs
            tree = BranchAndBound(*parts) if jobs == 1 else ParallelSearch(*parts, jobs=jobs)
        except QueryError:
            if self.options.search == "bab":
                raise
            return None
        if own:
            self.engines.append(SEARCH)
        try:
            tree.relax(np.inf if own else begun + START_SECONDS)
            self._on_tree(tree)
            if own:
                tree.run(lambda: self._on_tree(tree))
        except QueryError:  # numbers too far apart for its factorizations
            if self.options.search == "bab":
                raise
            return None
        finally:
            self.pair.take_proof(tree.upper)
            self.nodes += tree.nodes
            self.note = tree.trouble
            self.seconds["solve"] += monotonic() - begun
        if self.is_closed() and (self._has_value or tree.is_void):
            self.engines = [SEARCH]
            return self._closed_ending(void=tree.is_void)
        if own and not tree.is_complete:
            return Ending.TIME_LIMIT
        if self.options.search == "bab":
            self.note = "the search ended at patterns that it could neither reach nor refute"
            return Ending.UNPROVEN
        return None

    def _on_tree(self, tree: BranchAndBound) -> None:
        self.pair.take_proof(tree.upper)
        self._report("search", tree.nodes)

    def _tighten(self) -> None:
        """Add the SDP bound, or decide bits by trees and tighten the Jacobian's bounds, and lower the program anew.

        Where no bit is decided, and for a range, bounds are tightened where the objective is at least what is attained.
        The regions stay those of the whole domain: what is proven of patterns holds without the cutoff.
        """
        if self.best is None or self.is_closed():
            return
        self._report("tighten")
        begun = monotonic()
        many = self.regions.domain.size > FEW_INPUTS and self.compiled.neurons.unstable >= MANY_NEURONS
        self._take_compiled(self._tightened(self.best.value) if many else self.compiled.limited())
        self.seconds["bounds"] += monotonic() - begun

    def _tightened(self, attained: float) -> Compiled:
        """Return the question with bits decided by trees, or bounds tightened above what is attained."""
        seconds = min(TIGHTEN_SECONDS, TIGHTEN_SHARE * self.options.time_limit)
        compiled = self.compiled
        if self.is_lipschitz:
            # Under the cutoff, every program of a tree would carry the whole Jacobian.
            compiled = compiled.with_passes([Tighten("network", seconds, method="mip"), PruneStable()])
        if compiled.neurons.unstable < self.compiled.neurons.unstable:
            return compiled.with_passes([Tighten("jacobian", seconds), PruneStable()])
        cutoff = attained - self.sign * BELOW_ATTAINED * abs(attained)
        return self.compiled.with_passes([Tighten("all", seconds, cutoff), PruneStable()])

    def _take_compiled(self, compiled: Compiled) -> None:
        """Go on with another program of the same question."""
        if compiled is not self.compiled:
            self.correspondence, self.mip = Correspondence(compiled), compiled.mip

    def _solve(self) -> Ending:
        """Run the solver until the pair is closed, or something else ends the run."""
        begun = monotonic()
        ending = None
        try:
            while ending is None:
                ending = self._round()
        finally:
            self.seconds["solve"] += monotonic() - begun
        return ending

    def _settle(self, ending: Ending) -> Ending:
        """Prove what a solver's tolerances keep it from: its optimum violates rows a little, and is a little too large.

        Next to values that cancel in the objective that may be more than the gap, and there is nothing to exclude.
        """
        if ending is not Ending.UNPROVEN or self.best is None or not self.pair.claimed_gap <= NEARLY_CLOSED:
            return ending
        begun = monotonic()
        deadline = self.started + self.options.time_limit
        search = SafeSearch(self.compiled, self._target, self.witnesses.offer, self.conflicts, deadline)
        try:
            search.run(lambda: self._on_node(search), EASY_NODES)
        finally:
            self._take_proof(search)
            self.seconds["solve"] += monotonic() - begun
        return self._closed_ending() if self.is_closed() else ending

    def _prove(self, ending: Ending) -> Ending:
        """Prove the upper side without the solver; return what the run has come to."""
        self.pair.believes = False
        if ending is Ending.INTERRUPTED or (self.is_closed() and self.best is not None):
            return ending if ending is Ending.INTERRUPTED else Ending.OPTIMAL
        begun = monotonic()
        self._report("prove")
        deadline = self.started + self.options.time_limit
        parts = (self.compiled, self._target, self.witnesses.offer, self.conflicts, deadline)
        try:
            search = SafeSearch(*parts)
            search.run(lambda: self._on_node(search), EASY_NODES)
            self._take_proof(search)
            if not search.is_complete:
                search = SafeSearch(*parts, tighten=True)
                search.run(lambda: self._on_node(search))
                self._take_proof(search)
        finally:
            self.seconds["solve"] += monotonic() - begun
        if self.is_closed():
            return self._closed_ending(void=search.is_void)
        return Ending.UNPROVEN if search.is_complete else Ending.TIME_LIMIT

    def _on_node(self, search: SafeSearch) -> None:
        self.pair.take_proof(search.upper)
        self._report("prove", self.proof_nodes + search.nodes.count)

    def _take_proof(self, search: SafeSearch) -> None:
        self.pair.take_proof(search.upper)
        self.proof_nodes += search.nodes.count

    def _target(self) -> float:
        """Return what an upper side need not be below: what is attained, and the gap that was asked for."""
        if self.pair.lower == -np.inf:
            return -np.inf
        # A hair less than the gap, for rounding; and proofs in floating point do not come closer than `FINEST`.
        gap = max(self.options.gap * (1 - 1e-6), FINEST)
        goal = self.pair.lower
        if self.witnesses.norm is Norm.L2 and self.pair.trusted and np.isfinite(self.pair.claimed):
            goal = max(goal, self.pair.claimed)  # the program's ball is larger than that of l_2, and so is its optimum
        return goal + gap * max(abs(goal), NEARLY_ZERO * self.pair.magnitude)

    @property
    def _has_value(self) -> bool:
        """Whether a value is attained: norms are never below 0, but without a gradient there is none."""
        return self.best is not None or self.pair.known > -np.inf

    def _goal(self) -> float:
        """Return the target of a search that is to find a witness, or to refute every pattern."""
        return self._target() if self._has_value else -np.inf

    def _round(self) -> Ending | None:
        """Run the solver once and examine its solutions; return why the run is over, or `None` to go on."""
        if self.is_closed() and self._has_value:
            return Ending.OPTIMAL
        share = 0.5 if self.options.safe_upper else 1.0
        remaining = share * self.options.time_limit - (monotonic() - self.started)
        if remaining <= 0:
            return Ending.TIME_LIMIT
        if self.solver.version() not in self.engines:
            self.engines.append(self.solver.version())
        try:
            outcome = self.solver.solve(self._task(remaining), self._on_progress)
        except SolverFailedError as error:
            self.note = str(error)
            return Ending.UNPROVEN
        self.nodes += outcome.nodes
        self.pair.take_claim(self.sign * outcome.bound)
        cuts = self._examine(outcome)
        self._report("solve")
        if outcome.ending in (Ending.TIME_LIMIT, Ending.INTERRUPTED):
            return outcome.ending
        if outcome.ending is Ending.INFEASIBLE and not self._has_value and self.pair.excluded == -np.inf:
            return Ending.INFEASIBLE
        if self.is_closed():
            return self._closed_ending()
        if not cuts or not self.pair.trusted:
            return Ending.UNPROVEN
        self.mip = exclude(self.mip, cuts)
        return None

    def _task(self, seconds: float) -> Task:
        """Return what the solver has to do: find more than what is known to be attained."""
        pair = self.pair
        here = self.best if self.best is not None and pair.attained >= pair.known else None
        return Task(
            self.mip,
            start=None if here is None else self.correspondence.columns_at(here.x),
            cutoff=self.sign * pair.lower if self._has_value else None,
            time_limit=seconds,
            gap=self.options.gap,
            threads=self.options.threads,
            seed=self.options.seed,
        )

    def _closed_ending(self, *, void: bool = False) -> Ending:
        """Return what a closed pair means: without a value, that there is no gradient anywhere, if that was proven."""
        if self._has_value:
            return Ending.OPTIMAL
        return Ending.INFEASIBLE if void and self.pair.excluded == -np.inf else Ending.UNPROVEN

    def _examine(self, outcome: Outcome) -> list[NoGood]:
        """Certify the solver's solutions; return cuts that exclude those patterns which are dealt with."""
        cuts: list[NoGood] = []
        for columns in outcome.solutions:
            if not np.isfinite(columns).all():
                continue
            choices = self.correspondence.choices(columns)
            if not self.is_lipschitz:
                self.witnesses.offer(choices[self.regions.input])
                if not self.is_closed():
                    self.witnesses.polish(choices[self.regions.input])
                continue
            claimed = self.mip.objective(columns)
            bar = self.pair.lower * (1 + self.options.gap)
            if (self.best is not None or self.pair.known > 0) and claimed <= bar:
                continue
            cuts += self._examine_pattern(choices)
        return cuts

    def _examine_pattern(self, choices: dict[int, Floats]) -> list[NoGood]:
        """Look for an interior point of one pattern; return cuts that exclude it from the next round."""
        bits = self.correspondence.bits(choices)
        region = self.regions.widest(bits, prove=True)
        if region.conflicts:
            self.conflicts += region.conflicts
            return [cut for cut in map(self.correspondence.conflict_cut, region.conflicts) if cut is not None]
        if region.point is not None:
            self.witnesses.offer(region.point)
        # Whether or not a point of this very pattern was certified: what is excluded stays in the upper bound.
        bound = self.regions.norm_bound(bits, self.witnesses.norm, self.witnesses.output_norm)
        if self.witnesses.output_norm is Norm.L1:  # loose for many outputs; the solver's covers the pattern too
            bound = min(bound, self.pair.claimed)
        self.pair.excluded = max(self.pair.excluded, bound)
        return [self.correspondence.pattern_cut(choices)]

    def _on_progress(self, progress: Progress) -> None:
        if progress.bound is not None:
            self.pair.take_claim(self.sign * progress.bound)
        self._report("solve", progress.nodes)

    @property
    def sides(self) -> tuple[float, float]:
        """Lower and upper in the sense of the question."""
        low, high = self.pair.lower, self.pair.bound
        return (low, high) if self.sign > 0 else (-high, -low)

    def _report(self, stage: str, nodes: int = 0) -> None:
        self.on_report(Report(stage, monotonic() - self.started, *self.sides, self.nodes + nodes))

    def summary(self) -> Result:
        """Return the answer; an interrupt while it is put together changes nothing."""
        try:
            return self._summary()
        except KeyboardInterrupt:
            return self._summary()

    def _summary(self) -> Result:
        low, high = self.sides
        ending = self.ending
        witness_kind = "witness" if self.best is not None else "rigorous"
        kinds = (witness_kind, self.pair.upper_kind) if self.sign > 0 else (self.pair.upper_kind, witness_kind)
        if ending is Ending.INFEASIBLE:
            low = high = 0.0
        return Result(
            status=ending.value,
            lower=low,
            upper=high,
            gap=0.0 if ending is Ending.INFEASIBLE else self.pair.gap,
            lower_kind=kinds[0],
            upper_kind=kinds[1],
            certified=self.best is not None and self.is_closed(),
            witness=self.best,
            solver=self.engine,
            nodes=self.nodes,
            proof_nodes=self.proof_nodes,
            size=self.size(),
            time={**self.seconds, "total": sum(self.seconds.values())},
            query=self.compiled.describe(),
            note=self.note or self._remark(),
        )

    def _remark(self) -> str:
        """Return what a reader should know of a run without a witness."""
        flat = self.witnesses.certifier.inside.flat.rows
        if self.best is None and self.ending is not Ending.INFEASIBLE and flat:
            return "the domain is flat, and no point of it was found whose numbers keep its equations exactly"
        return ""

    def size(self) -> Size:
        """Return the size of the program, with the cuts."""
        return self.size_of(self.compiled, self.mip)

    @staticmethod
    def size_of(compiled: Compiled, mip: MixedIntegerProgram) -> Size:
        """Return the size of a program made from a network."""
        return Size(
            variables=len(mip.cost),
            binaries=mip.binaries,
            rows=mip.matrix.shape[0],
            nonzeros=int(mip.matrix.nnz),
            neurons=compiled.neurons,
        )
