"""Solve one compiled question: start from a good pattern, solve, certify, and go on until the pair is proven.

The solver's optimum is a claim about a pattern. The pattern counts only if its region has an interior; then the
gradient there, re-computed exactly, is the lower bound. A pattern that has none is excluded by a cut and the solve
goes on; one of which neither can be proven stays in the upper bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import numpy as np

from lipc.certify import Certifier, Conflict, Regions, Witness
from lipc.compiler import Compiled
from lipc.correspondence import Correspondence
from lipc.errors import QueryError, SolverFailedError
from lipc.ir import Conditional, Floats, Norm, Sense, evaluate, pullback
from lipc.mip import MixedIntegerProgram, NoGood, exclude
from lipc.passes.jacobian import FEW_INPUTS
from lipc.passes.prune_stable import PruneStable
from lipc.passes.tighten import Tighten
from lipc.result import Result, Size
from lipc.safe import SafeSearch
from lipc.search.ascent import LARGEST_LP, ascend
from lipc.solvers.base import Ending, Outcome, Progress, SecondInterruptError, Solver, Task

SOLVER_TOLERANCE = 1e-6
"""A solver's bound this far, relatively, below a certified value is refuted; nearer, it is within its tolerances."""

NEARLY_ZERO = 1e-6
"""An answer this small next to the sum of the absolute terms of the objective is as good as 0: rounding is its size."""

NUDGES = (8, 16, 24, 32)
"""A point on a kink is moved by these powers of 1/2 of the way towards a random one."""

FINEST = 1e-9
"""The smallest relative gap that is worth a proof of the upper side."""

EASY_NODES = 50
"""A proof that takes more nodes than this begins again with tighter bounds."""

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

SAMPLES = 256
"""Points of the domain among which a large value is looked for."""

CLIMBS = 20
"""Linear pieces that a climb to a large value may cross."""

BEYOND = 1e-6
"""How far a climb goes beyond the end of a piece, as a part of the way to it."""


@dataclass(frozen=True)
class Report:
    """Where a run is: the stage, seconds since its start, the pair so far, and nodes."""

    stage: str
    elapsed: float
    lower: float
    upper: float
    nodes: int


@dataclass(frozen=True)
class Options:
    """How to solve.

    Parameters
    ----------
    time_limit
        Seconds for the whole run; compiling is not cut short.
    gap
        The relative gap to close.
    threads
        Of the solver.
    seed
        Of the solver, and of the moves away from kinks.
    safe_upper
        Prove the upper side by a branch and bound of our own when the solver has ended, so that it rests on nobody's
        word. With a time limit the solver gets half of it.
    """

    time_limit: float = float("inf")
    gap: float = 1e-6
    threads: int = 1
    seed: int = 0
    safe_upper: bool = False

    def __post_init__(self) -> None:
        if not (self.time_limit >= 0 and self.gap >= 0 and self.threads >= 1 and self.seed >= 0):
            raise QueryError("time limit, gap and seed may not be negative, and there is at least one thread")


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
        self.on_report, self.started, self.known = on_report, started, known
        self.certifier = Certifier(compiled.asked)
        self.objective = self.certifier.objective
        self.sign = 1.0 if self.objective.sense is Sense.MAXIMIZE else -1.0
        self.correspondence = Correspondence(compiled)
        # Proofs may take a little longer than the run: what the solver found last is worth it.
        deadline = started + options.time_limit + PROOF_SECONDS
        self.regions = Regions(compiled.asked, self.correspondence.relevant, deadline=deadline)
        self.mip = compiled.mip
        self.best: Witness | None = None
        self.rigorous = self.sign * compiled.bound
        self.claimed = np.inf  # by the solver
        self.believes = True  # what the solver claims
        self.conflicts: list[Conflict] = []
        self.proof_nodes = 0
        self.magnitude = compiled.mip.magnitude
        self.slack = solver.slack(compiled.mip)
        self.note = ""
        self.random = np.random.default_rng(options.seed)
        self.excluded = -np.inf  # the largest value of a pattern that was cut off without a proof against it
        self.nodes = 0
        self.seconds = {**compiled.seconds, "solve": 0.0}
        self.ending = Ending.UNPROVEN

    @property
    def norm(self) -> Norm:
        """The norm of a Lipschitz question."""
        return self.objective.lipschitz.norm if self.objective.lipschitz else Norm.LINF

    @property
    def output_norm(self) -> Norm:
        """The norm of the outputs of a Lipschitz question."""
        return self.objective.lipschitz.output_norm if self.objective.lipschitz else Norm.LINF

    @property
    def attained(self) -> float:
        """The value of the best witness; norms are never below 0."""
        if self.best is not None:
            return self.sign * self.best.value
        return 0.0 if self.objective.lipschitz is not None else -np.inf

    @property
    def lower(self) -> float:
        """The largest value known to be attained, here or elsewhere."""
        return max(self.attained, self.known)

    @property
    def trusted(self) -> bool:
        """Whether the solver's bound stands; one that a witness refutes is worth nothing."""
        slack = SOLVER_TOLERANCE * max(abs(self.attained), NEARLY_ZERO * self.magnitude)
        return self.claimed >= self.attained - slack or self.attained == -np.inf

    @property
    def bound(self) -> float:
        """The least upper bound known: our own, or the solver's, widened by its tolerances."""
        return self._bound(self.slack + self.solver.pruning_tolerance * abs(self.claimed))

    @property
    def claimed_bound(self) -> float:
        """The least upper bound with the solver's as it claims it: whether the pair is closed goes by this."""
        return self._bound(0.0)

    def _bound(self, slack: float) -> float:
        """Return the least upper bound, never below what is attained, with so much added to what the solver claims."""
        claimed = self.claimed + slack if self.trusted and self.believes and np.isfinite(self.claimed) else np.inf
        return max(min(self.rigorous, claimed), self.lower) + 0.0

    @property
    def pair(self) -> tuple[float, float]:
        """Lower and upper in the sense of the question."""
        return (self.lower, self.bound) if self.sign > 0 else (-self.bound, -self.lower)

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
            self._tighten()
            ending = self._solve()
            return self._prove(ending) if self.options.safe_upper else ending
        except SecondInterruptError:
            raise
        except KeyboardInterrupt:
            return Ending.INTERRUPTED
        finally:
            self.believes = not self.options.safe_upper

    def _start(self) -> None:
        """Find the first witness by local search."""
        self._report("start")
        begun = monotonic()
        limit = min(START_SECONDS, self.options.time_limit / 10)
        point = self._start_point(begun + limit)
        self._try_witness(point)
        if self.objective.lipschitz is None:
            self._polish(point, begun + limit)
        self.seconds["lower"] += monotonic() - begun
        self._report("start")

    def _tighten(self) -> None:
        """Decide bits by trees and tighten the Jacobian's bounds, and lower the program anew.

        Where no bit is decided, and for a range, bounds are tightened where the objective is at least what is attained.
        The regions stay those of the whole domain: what is proven of patterns holds without the cutoff.
        """
        many = self.regions.domain.size > FEW_INPUTS and self.compiled.neurons.unstable >= MANY_NEURONS
        if self.best is None or self.is_closed() or not many:
            return
        self._report("tighten")
        begun = monotonic()
        seconds = min(TIGHTEN_SECONDS, TIGHTEN_SHARE * self.options.time_limit)
        cutoff = self.best.value - self.sign * BELOW_ATTAINED * abs(self.best.value)
        # Under the cutoff, every program of a tree would carry the whole Jacobian.
        compiled = self.compiled
        if self.objective.lipschitz is not None:
            compiled = compiled.with_passes([Tighten("network", seconds, method="mip"), PruneStable()])
        if compiled.neurons.unstable < self.compiled.neurons.unstable:
            compiled = compiled.with_passes([Tighten("jacobian", seconds), PruneStable()])
        else:
            compiled = self.compiled.with_passes([Tighten("all", seconds, cutoff), PruneStable()])
        self.correspondence, self.mip = Correspondence(compiled), compiled.mip
        self.seconds["bounds"] += monotonic() - begun

    def _solve(self) -> Ending:
        """Run the solver until the pair is closed, or something else ends the run."""
        begun = monotonic()
        ending = None
        try:
            while ending is None:
                ending = self._round()
        finally:
            self.seconds["solve"] = monotonic() - begun
        return ending

    def _prove(self, ending: Ending) -> Ending:
        """Prove the upper side without the solver; return what the run has come to."""
        self.believes = False
        if ending is Ending.INTERRUPTED or (self.is_closed() and self.best is not None):
            return ending if ending is Ending.INTERRUPTED else Ending.OPTIMAL
        begun = monotonic()
        self._report("prove")
        deadline = self.started + self.options.time_limit
        parts = (self.compiled, self._target, self._try_witness, self.conflicts, deadline)
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
            nothing = self.best is None and self.known == -np.inf
            return self._closed_ending() if not nothing or search.is_void else Ending.UNPROVEN
        return Ending.UNPROVEN if search.is_complete else Ending.TIME_LIMIT

    def _on_node(self, search: SafeSearch) -> None:
        self.rigorous = min(self.rigorous, search.upper)
        self._report("prove", self.proof_nodes + search.nodes.count)

    def _take_proof(self, search: SafeSearch) -> None:
        self.rigorous = min(self.rigorous, search.upper)
        self.proof_nodes += search.nodes.count

    def _target(self) -> float:
        """Return what an upper side need not be below: what is attained, and the gap that was asked for."""
        if self.lower == -np.inf:
            return -np.inf
        # A hair less than the gap, for rounding; and proofs in floating point do not come closer than `FINEST`.
        gap = max(self.options.gap * (1 - 1e-6), FINEST)
        goal = self.lower
        if self.norm is Norm.L2 and self.trusted and np.isfinite(self.claimed):
            goal = max(goal, self.claimed)  # the program's ball is larger than that of l_2, and so is its optimum
        return goal + gap * max(abs(goal), NEARLY_ZERO * self.magnitude)

    def _start_point(self, deadline: float) -> Floats:
        """Return a point with a large gradient, or a large value."""
        if self.objective.lipschitz is not None:
            return ascend(self.compiled.reduced, self.norm, deadline=deadline, output_norm=self.output_norm).x
        points = self.certifier.inside.sample(np.random.default_rng(0), SAMPLES)
        values = evaluate(self.compiled.asked, {self.certifier.input: points})[self.compiled.asked.result][:, 0]
        return np.asarray(points[int(np.argmax(self.sign * values))])

    def _try_witness(self, x: Floats) -> None:
        """Certify a point, or one near it if it is a kink, and keep it if it is the best."""
        witness = self.certifier.witness(x)
        for power in NUDGES if witness is None else ():
            target = self.certifier.inside.sample(self.random, 1)[0]
            witness = witness or self.certifier.witness(x + 2.0**-power * (target - x))
        if witness is not None and (self.best is None or self.sign * witness.value > self.sign * self.best.value):
            self.best = witness

    def _polish(self, x: Floats, deadline: float) -> None:
        """Climb from one linear piece of the output to the next, by a linear program over the region of each."""
        program = self.compiled.asked
        conditionals = list(program.find(Conditional))
        if sum(program.ops[value].size for value in conditionals) * len(x) > LARGEST_LP:
            return
        reached = -np.inf
        for _ in range(CLIMBS):
            values = evaluate(program, {self.certifier.input: x[None, :]})
            value = self.sign * float(values[program.result][0, 0])
            if value <= reached + self.options.gap * abs(reached) or monotonic() > deadline:
                return
            reached = value
            gradient = self.sign * pullback(program, values, np.ones((1, 1)), self.certifier.input)[0]
            point = self.regions.steepest({bits: values[bits][0] > 0 for bits in conditionals}, gradient)
            if point is None:
                return
            self._try_witness(point)
            # A little beyond the region, where the next piece begins.
            x = self.regions.domain.clip(point + BEYOND * (point - x))

    def _round(self) -> Ending | None:
        """Run the solver once and examine its solutions; return why the run is over, or `None` to go on."""
        if self.is_closed():
            return self._closed_ending()
        share = 0.5 if self.options.safe_upper else 1.0
        remaining = share * self.options.time_limit - (monotonic() - self.started)
        if remaining <= 0:
            return Ending.TIME_LIMIT
        here = self.best if self.best is not None and self.attained >= self.known else None
        task = Task(
            self.mip,
            start=None if here is None else self.correspondence.columns_at(here.x),
            cutoff=self.sign * self.lower if self.best is not None or self.known > -np.inf else None,
            time_limit=remaining,
            gap=self.options.gap,
            threads=self.options.threads,
            seed=self.options.seed,
        )
        try:
            outcome = self.solver.solve(task, self._on_progress)
        except SolverFailedError as error:
            self.note = str(error)
            return Ending.UNPROVEN
        self.nodes += outcome.nodes
        self._take_bound(outcome.bound)
        cuts = self._examine(outcome)
        self._report("solve")
        if outcome.ending in (Ending.TIME_LIMIT, Ending.INTERRUPTED):
            return outcome.ending
        nothing = self.best is None and self.known == -np.inf and self.excluded == -np.inf
        if nothing and outcome.ending is Ending.INFEASIBLE:
            return Ending.INFEASIBLE
        if self.is_closed():
            return self._closed_ending()
        if not cuts or not self.trusted:
            return Ending.UNPROVEN
        self.mip = exclude(self.mip, cuts)
        return None

    def _closed_ending(self) -> Ending:
        """Return what a closed pair means: without a witness, that there is no gradient anywhere."""
        if self.best is not None or self.known > -np.inf:
            return Ending.OPTIMAL
        return Ending.INFEASIBLE if self.excluded == -np.inf else Ending.UNPROVEN

    def _take_bound(self, bound: float) -> None:
        """Take a bound of the solver, of the program without the patterns that were cut off."""
        bound = max(self.sign * bound, self.excluded)
        if not np.isnan(bound):
            self.claimed = min(self.claimed, bound)

    def is_closed(self) -> bool:
        """Return whether the pair is as close as was asked, but for the tolerances of the solver."""
        return self._gap(self.claimed_bound) <= self.options.gap

    @property
    def gap(self) -> float:
        """The gap relative to the larger side, or to what counts as 0 where that is more."""
        return self._gap(self.bound)

    def _gap(self, bound: float) -> float:
        scale = max(abs(bound), abs(self.lower), NEARLY_ZERO * self.magnitude)
        return (bound - self.lower) / scale if 0 < scale < np.inf else 0.0 if scale == 0 else np.inf

    def _examine(self, outcome: Outcome) -> list[NoGood]:
        """Certify the solver's solutions; return cuts that exclude those patterns which are dealt with."""
        cuts: list[NoGood] = []
        for columns in outcome.solutions:
            if not np.isfinite(columns).all():
                continue
            choices = self.correspondence.choices(columns)
            if self.objective.lipschitz is None:
                self._try_witness(choices[self.regions.input])
                if not self.is_closed():
                    self._polish(choices[self.regions.input], np.inf)
                continue
            claimed = self.mip.objective(columns)
            if (self.best is not None or self.known > 0) and claimed <= self.lower * (1 + self.options.gap):
                continue
            cut = self._examine_pattern(choices)
            if cut is not None:
                cuts.append(cut)
        return cuts

    def _examine_pattern(self, choices: dict[int, Floats]) -> NoGood | None:
        """Look for an interior point of one pattern; return the cut that excludes it from the next round."""
        bits = self.correspondence.bits(choices)
        region = self.regions.widest(bits, prove=True)
        if region.conflict is not None:
            self.conflicts.append(region.conflict)
            return self.correspondence.conflict_cut(region.conflict)
        if region.point is not None:
            self._try_witness(region.point)
        # Whether or not a point of this very pattern was certified: what is excluded stays in the upper bound.
        bound = self.regions.norm_bound(bits, self.norm, self.output_norm)
        if self.output_norm is Norm.L1:  # a loose bound for many outputs; the solver's covers the pattern too
            bound = min(bound, self.claimed)
        self.excluded = max(self.excluded, bound)
        return self.correspondence.pattern_cut(choices)

    def _on_progress(self, progress: Progress) -> None:
        if progress.bound is not None:
            self._take_bound(progress.bound)
        self._report("solve", progress.nodes)

    def _report(self, stage: str, nodes: int = 0) -> None:
        low, high = self.pair
        self.on_report(Report(stage, monotonic() - self.started, low, high, self.nodes + nodes))

    @property
    def upper_kind(self) -> str:
        """Where `bound` is from."""
        return "solver" if self.bound < self.rigorous and self.believes and self.trusted else "rigorous"

    def summary(self) -> Result:
        """Return the answer; an interrupt while it is put together changes nothing."""
        try:
            return self._summary()
        except KeyboardInterrupt:
            return self._summary()

    def _summary(self) -> Result:
        low, high = self.pair
        ending = self.ending
        witness_kind = "witness" if self.best is not None else "rigorous"
        kinds = (witness_kind, self.upper_kind) if self.sign > 0 else (self.upper_kind, witness_kind)
        if ending is Ending.INFEASIBLE:
            low = high = 0.0
        return Result(
            status=ending.value,
            lower=low,
            upper=high,
            gap=0.0 if ending is Ending.INFEASIBLE else self.gap,
            lower_kind=kinds[0],
            upper_kind=kinds[1],
            certified=self.best is not None and self.is_closed(),
            witness=self.best,
            solver=self.solver.version(),
            nodes=self.nodes,
            proof_nodes=self.proof_nodes,
            size=self.size(),
            time={**self.seconds, "total": sum(self.seconds.values())},
            query=self.compiled.describe(),
            note=self.note or self._remark(),
        )

    def _remark(self) -> str:
        """Return what a reader should know of a run without a witness."""
        if self.best is None and self.ending is not Ending.INFEASIBLE and self.certifier.inside.flat.rows:
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
