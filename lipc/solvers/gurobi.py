"""Gurobi, in process through gurobipy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from time import monotonic
from typing import Any, ClassVar

import numpy as np

from lipc.errors import SolverError, SolverFailedError
from lipc.formats.mps import mps_chunks
from lipc.formats.solutions import SolutionFile
from lipc.solvers.base import Capabilities, Ending, LogLine, Outcome, Progress, Solver, Task
from lipc.solvers.beside import LogTail, run_beside
from lipc.solvers.command import FINEST_GAP
from lipc.solvers.handover import Handover
from lipc.solvers.judge import Claim, judge

_ENDINGS = {2: Ending.OPTIMAL, 3: Ending.INFEASIBLE, 9: Ending.TIME_LIMIT, 11: Ending.INTERRUPTED}
_TOO_LARGE = 10010
_NO_LICENSE = 10009
_INFINITY = 1e100


class Gurobi(Solver):
    """Gurobi, if it is installed: without a licence of one's own it takes small programs only."""

    name: ClassVar[str] = "gurobi"
    title: str = "Gurobi"
    install: ClassVar[str] = "pip install gurobipy (free for small programs; a licence for others: gurobi.com)"
    capabilities: ClassVar[Capabilities] = Capabilities(
        formulations=("bigm", "indicator", "sos1"), start=True, bound="api", threads=True, seed=True
    )
    dual_tolerance: ClassVar[float] = 1e-9

    def version(self) -> str:
        """Return ``Gurobi`` and its version."""
        return "Gurobi " + ".".join(map(str, _import().gurobi.version()))

    def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
        """Solve a program, handed over as an MPS file."""
        began = monotonic()
        gurobi = _import()
        handover = Handover.of(task)
        try:
            with TemporaryDirectory(prefix="lipc-") as folder, _Session(gurobi, handover, Path(folder)) as session:
                if np.isfinite(task.time_limit):
                    session.model.Params.TimeLimit = max(task.time_limit - (monotonic() - began), 0.0)
                tail = session.log_to(self.log) if self.log else None

                def poll() -> None:
                    if tail is not None:
                        tail.poll()
                    if session.latest is not None:
                        bound, nodes = session.latest
                        on_progress(Progress(handover.bound(bound), nodes))

                interrupted = run_beside(session.run, on_poll=poll, interrupt=session.model.terminate, title=self.title)
                if tail is not None:
                    tail.poll(last=True)
                return session.outcome(interrupted)
        except gurobi.GurobiError as error:
            raise _failure(error, handover) from error
        except SolverFailedError as error:
            if isinstance(error.__cause__, gurobi.GurobiError):
                raise _failure(error.__cause__, handover) from error
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise SolverError(f"the program cannot be handed to Gurobi: {reason}", where=gettempdir()) from error


def _import() -> Any:
    try:
        import gurobipy
    except ImportError as error:
        raise SolverError("Gurobi is not installed", where="gurobipy", hint=Gurobi.install) from error
    return gurobipy


def _failure(error: Any, handover: Handover) -> SolverError:
    """Return what an error of Gurobi means for its user."""
    if error.errno == _TOO_LARGE:
        rows, columns = handover.program.matrix.shape
        message = f"Gurobi's free licence does not take {columns} variables and {rows} rows (at most 2000 of each)"
        return SolverError(message, hint="use --solver scip or highs, or install a licence of your own")
    if error.errno == _NO_LICENSE:
        return SolverError(f"Gurobi finds no licence: {error}", hint="use --solver scip or highs, or install a licence")
    return SolverFailedError(f"Gurobi failed: {error}")


class _Session:
    """One run of Gurobi."""

    def __init__(self, gurobi: Any, handover: Handover, folder: Path) -> None:
        self.handover, self.folder = handover, folder
        self.gap = max(handover.task.gap / 2, FINEST_GAP)
        self.latest: tuple[float, int] | None = None
        path = folder / "model.mps"
        with path.open("wb") as handle:
            handle.writelines(mps_chunks(handover.program))
        self.env = gurobi.Env(params={"OutputFlag": 0})
        self.model = gurobi.read(str(path), self.env)
        parameters = self.model.Params
        parameters.MIPGap, parameters.MIPGapAbs = self.gap, 0.0
        parameters.OptimalityTol = Gurobi.dual_tolerance
        parameters.Threads, parameters.Seed = handover.task.threads, handover.task.seed
        # Its reader makes columns of its own for rows with two sides.
        self.variables = [self.model.getVarByName(name) for name in handover.program.column_names()]
        start = handover.start()
        if start is not None:
            for variable, value in zip(self.variables, start.tolist(), strict=True):
                variable.Start = value

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.model.dispose()
        self.env.dispose()

    def log_to(self, log: LogLine) -> LogTail:
        """Write a log, and hand it on."""
        path = self.folder / "gurobi.log"
        self.model.Params.OutputFlag, self.model.Params.LogToConsole = 1, 0
        self.model.Params.LogFile = str(path)
        return LogTail(path, log)

    def run(self) -> None:
        """Solve."""
        self.model.optimize(self._on_callback)

    def _on_callback(self, model: Any, where: int) -> None:
        """Note where Gurobi is; called by Gurobi, in its thread."""
        if where == 3:  # GRB.Callback.MIP: MIP_OBJBND, MIP_NODCNT
            bound = model.cbGet(3001)
            if abs(bound) < _INFINITY:
                self.latest = bound, int(model.cbGet(3002))

    def outcome(self, interrupted: bool) -> Outcome:
        """Return what Gurobi says."""
        model = self.model
        ending = _ENDINGS.get(model.Status, Ending.UNPROVEN)
        if model.Status == 4 and np.isfinite(self.handover.program.column_lower).all():
            ending = Ending.INFEASIBLE  # or unbounded, which a program within bounds is not
        if interrupted and ending is not Ending.OPTIMAL:
            ending = Ending.INTERRUPTED
        found = model.SolCount > 0
        values = np.array([variable.X for variable in self.variables]) if found else None
        solution = SolutionFile("gurobi", None, model.ObjVal if found else None, None, values)
        bound = model.ObjBound if model.IsMIP and abs(model.ObjBound) < _INFINITY else None
        return judge(self.handover, Claim(ending, bound, solution, self.gap, int(model.NodeCount)), Gurobi.title)
