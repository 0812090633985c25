"""Solve one compiled question: start from a good pattern, solve, certify, and go on until the pair is proven.

The solver's optimum is a claim about a pattern. The pattern counts only if its region has an interior; then the
gradient there, re-computed exactly, is the lower bound. A pattern that has none is excluded by a cut and the solve
goes on; one of which neither can be proven stays in the upper bound.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import numpy as np

from lipc.compiler import Compiled
from lipc.history import Moment
from lipc.mip import MixedIntegerProgram
from lipc.options import Options, Report
from lipc.passes.history import history
from lipc.result import Result, Size
from lipc.solvers.base import Ending, SecondInterruptError, Solver
from lipc.solving.stages.proof import prove, settle
from lipc.solving.stages.rounds import solve
from lipc.solving.stages.state import State
from lipc.solving.stages.tighten import tighten
from lipc.solving.stages.tree import branch

START_SECONDS = 2.0
"""Time for the local search; with a time limit at most a tenth of it."""


class Run(State):
    """One solve, stage by stage, and its answer."""

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
            ending = branch(self)
            if ending is not None:
                return ending
            tighten(self)
            ending = solve(self)
            return prove(self, ending) if self.options.safe_upper else settle(self, ending)
        except SecondInterruptError:
            raise
        except KeyboardInterrupt:
            return Ending.INTERRUPTED
        finally:
            self.pair.believes = not self.options.safe_upper

    def _start(self) -> None:
        """Find the first witness by local search."""
        self.report("start")
        begun = monotonic()
        self.witnesses.start(begun + min(START_SECONDS, self.options.time_limit / 10))
        self.seconds["lower"] += monotonic() - begun
        self.report("start")

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
        self.history.add(Moment(monotonic() - self.started, low, high, self.nodes))
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
            history=self.history.thinned(),
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
            passes=history(compiled.trail),
        )
