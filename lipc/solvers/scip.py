"""SCIP, in process through PySCIPOpt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from time import monotonic
from typing import Any, ClassVar

import numpy as np

from lipc.errors import SolverError
from lipc.formats.mps import mps_chunks
from lipc.ir import Floats
from lipc.mip import MixedIntegerProgram, scale
from lipc.solvers.base import Capabilities, Ending, Outcome, Progress, Solver, Task
from lipc.solvers.beside import LogTail, run_beside, tailed
from lipc.solvers.guidance import SCIP_SETTINGS, branching_priorities
from lipc.solvers.handover import Handover

KEPT_SOLUTIONS = 20

_ENDINGS = {
    "optimal": Ending.OPTIMAL,
    "gaplimit": Ending.OPTIMAL,
    "timelimit": Ending.TIME_LIMIT,
    "userinterrupt": Ending.INTERRUPTED,
    "infeasible": Ending.INFEASIBLE,
}


class Scip(Solver):
    """SCIP with settings that win on these programs (`lipc.solvers.guidance`)."""

    name: ClassVar[str] = "scip"
    title: str = "SCIP"
    install: ClassVar[str] = "pip install pyscipopt"
    capabilities: ClassVar[Capabilities] = Capabilities(
        formulations=("bigm", "indicator", "sos1"), start=True, bound="api", threads=True, seed=True
    )
    dual_tolerance: ClassVar[float] = 1e-9

    def slack(self, program: MixedIntegerProgram) -> float:
        """Return by how much a dual bound may be wrong: of the program as it is handed over."""
        return super().slack(scale(program, (1.0, 1.0)))

    def version(self) -> str:
        """Return ``SCIP`` and its version."""
        model = _import().Model()
        return f"SCIP {model.getMajorVersion()}.{model.getMinorVersion()}.{model.getTechVersion()}"

    def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
        """Solve a program, handed over as an MPS file, all of it scaled to magnitudes near 1."""
        started = monotonic()
        scip = _import()
        model = scip.Model()
        model.hideOutput()
        handover = Handover.of(task)
        try:
            with TemporaryDirectory(prefix="lipc-") as folder:
                path = Path(folder) / "model.mps"
                path.write_bytes(b"".join(mps_chunks(handover.program)))
                model.readProblem(str(path))
        except OSError as error:
            reason = error.strerror or str(error)
            raise SolverError(f"the program cannot be handed to SCIP: {reason}", where=gettempdir()) from error
        session = _Session(scip, model, handover)
        session.configure()
        with tailed(self.log) as tail:
            if tail is not None:
                model.setLogfile(str(tail.path))
            if np.isfinite(task.time_limit):
                model.setParam("limits/time", max(task.time_limit - (monotonic() - started), 0.0))
            session.run(on_progress, tail)
            model.setLogfile(None)
        return session.outcome()


def _import() -> Any:
    try:
        import pyscipopt
    except ImportError as error:
        raise SolverError("SCIP cannot be loaded", where="pyscipopt", hint="pip install pyscipopt") from error
    return pyscipopt


class _Session:
    """One run of SCIP. The file minimizes, so values change their sign for a maximization."""

    def __init__(self, scip: Any, model: Any, handover: Handover) -> None:
        self.scip, self.model, self.handover = scip, model, handover
        self.task, self.program, self.sign = handover.task, handover.program, handover.sign
        by_name = {variable.name: variable for variable in model.getVars()}
        self.variables = [by_name[name] for name in self.program.column_names()]
        self.latest: Progress | None = None
        self.interrupted = False

    def configure(self) -> None:
        """Set limits, settings and the start solution."""
        task, model = self.task, self.model
        model.addObjoffset(self._in_file(self.program.constant))
        parameters = {
            **SCIP_SETTINGS,
            "limits/gap": max(task.gap, 0.0),
            "misc/catchctrlc": False,
            "numerics/dualfeastol": Scip.dual_tolerance,  # as many nodes and as fast as with SCIP's 1e-7
            "lp/threads": max(1, task.threads),
            "randomization/randomseedshift": task.seed,
        }
        model.setParams(parameters)
        start = self.handover.start()
        accepted = start is not None and self._add_start(start)
        for variable, priority in zip(self.variables, branching_priorities(self.program).tolist(), strict=True):
            if priority:
                model.chgVarBranchPriority(variable, priority)
        if task.cutoff is not None and not accepted:
            # A hair below the known value: SCIP reads the limit as strict.
            limit = self._in_file(task.cutoff)
            model.setObjlimit(limit + 1e-9 * max(1.0, abs(limit)))
        model.includeEventhdlr(_watcher(self.scip, self), "lipc", "reports progress")

    def _add_start(self, start: Floats) -> bool:
        solution = self.model.createSol()
        for variable, value in zip(self.variables, start.tolist(), strict=True):
            self.model.setSolVal(solution, variable, value)
        if not self.model.checkSol(solution, original=True):
            self.model.freeSol(solution)
            return False
        self.model.addSol(solution)
        return True

    def run(self, on_progress: Callable[[Progress], None], tail: LogTail | None) -> None:
        """Run SCIP beside the main thread."""

        def poll() -> None:
            if tail is not None:
                tail.poll()
            if self.latest is not None:
                on_progress(self.latest)

        # Again and again: an interrupt before SCIP began to solve is forgotten.
        stop = self.model.interruptSolve
        self.interrupted = run_beside(self._optimize, on_poll=poll, interrupt=stop, title="SCIP")

    def _optimize(self) -> None:
        self.model.optimizeNogil()

    def note_progress(self) -> None:
        """Keep where SCIP is; called by SCIP, in its thread."""
        self.latest = Progress(self._in_own_sense(self.model.getDualbound()), self.model.getNNodes())

    def _in_own_sense(self, value: float) -> float | None:
        return self.sign * self.program.objective_scale * value if abs(value) < self.model.infinity() else None

    def _in_file(self, value: float) -> float:
        """Return what SCIP sees for a value of the program's objective."""
        return self.sign * value / self.program.objective_scale

    def outcome(self) -> Outcome:
        """Return what SCIP says."""
        ending = _ENDINGS.get(self.model.getStatus(), Ending.UNPROVEN)
        if self.interrupted and ending is not Ending.OPTIMAL:
            ending = Ending.INTERRUPTED
        kept = self.model.getSols()[:KEPT_SOLUTIONS]
        solutions = [
            self.handover.back(np.array([self.model.getSolVal(each, variable) for variable in self.variables]))
            for each in kept
        ]
        bound = self._in_own_sense(self.model.getDualbound())
        if ending is Ending.INFEASIBLE:
            # Nothing is left, or nothing better than what is known.
            bound = self.sign * np.inf if self.task.cutoff is None else self.task.cutoff
        elif bound is None:
            bound = -self.sign * np.inf
        return Outcome(ending, bound, tuple(solutions), self.model.getNTotalNodes())


def _watcher(scip: Any, session: _Session) -> Any:
    """Return an event handler that keeps the session's progress up to date."""

    class Watcher(scip.Eventhdlr):  # type: ignore[misc]
        def eventinit(self) -> None:
            for event in (scip.SCIP_EVENTTYPE.BESTSOLFOUND, scip.SCIP_EVENTTYPE.NODESOLVED):
                self.model.catchEvent(event, self)

        def eventexit(self) -> None:
            for event in (scip.SCIP_EVENTTYPE.BESTSOLFOUND, scip.SCIP_EVENTTYPE.NODESOLVED):
                self.model.dropEvent(event, self)

        def eventexec(self, event: Any) -> dict[str, Any]:  # noqa: ARG002 - SCIP's signature
            session.note_progress()
            return {}

    return Watcher()
