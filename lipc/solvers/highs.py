"""HiGHS, in process through highspy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

import numpy as np

from lipc.errors import SolverError, SolverFailedError
from lipc.formats.solutions import SolutionFile
from lipc.solvers.base import Capabilities, Ending, Outcome, Progress, Solver, Task
from lipc.solvers.beside import run_beside, tailed
from lipc.solvers.command import FINEST_GAP
from lipc.solvers.handover import Handover
from lipc.solvers.judge import Claim, judge

_ENDINGS = {
    "kOptimal": Ending.OPTIMAL,
    "kInfeasible": Ending.INFEASIBLE,
    "kTimeLimit": Ending.TIME_LIMIT,
    "kInterrupt": Ending.INTERRUPTED,
}


class Highs(Solver):
    """HiGHS; the program is handed over as arrays, so no number is rounded."""

    name: ClassVar[str] = "highs"
    title: str = "HiGHS"
    install: ClassVar[str] = "pip install highspy"
    capabilities: ClassVar[Capabilities] = Capabilities(start=True, bound="api", threads=True, seed=True)
    dual_tolerance: ClassVar[float] = 1e-9

    def version(self) -> str:
        """Return ``HiGHS`` and its version."""
        return f"HiGHS {_import().Highs().version()}"

    def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
        """Solve a program."""
        self.capabilities.check_formulation(task.program.formulation, self.title)
        began = monotonic()
        handover = Handover.of(task)
        with tailed(self.log) as tail:
            session = _Session(_import(), handover, None if tail is None else tail.path)
            if np.isfinite(task.time_limit):
                session.set("time_limit", max(task.time_limit - (monotonic() - began), 0.0))

            def poll() -> None:
                if tail is not None:
                    tail.poll()
                if session.latest is not None:
                    bound, nodes = session.latest
                    on_progress(Progress(handover.bound(bound), nodes))

            interrupted = run_beside(session.run, on_poll=poll, interrupt=session.interrupt, title=self.title)
        return session.outcome(interrupted)


def _import() -> Any:
    try:
        import highspy
    except ImportError as error:
        raise SolverError("HiGHS cannot be loaded", where="highspy", hint=Highs.install) from error
    return highspy


class _Session:
    """One run of HiGHS."""

    def __init__(self, highspy: Any, handover: Handover, log: Path | None) -> None:
        self.highspy, self.handover = highspy, handover
        self.gap = max(handover.task.gap / 2, FINEST_GAP)
        self.model = highspy.Highs()
        self.model.silent()
        if log is not None:
            self.set("log_file", str(log))
            self.set("output_flag", True)
            self.set("log_to_console", False)
        self.latest: tuple[float, int] | None = None
        self._stop = False
        for name, value in (
            ("mip_rel_gap", self.gap),
            ("mip_abs_gap", 0.0),
            ("dual_feasibility_tolerance", Highs.dual_tolerance),
            ("threads", handover.task.threads),
            ("random_seed", handover.task.seed),
        ):
            self.set(name, value)
        self._pass_program()
        start = handover.start()
        if start is not None:
            solution = highspy.HighsSolution()
            solution.col_value = start.tolist()
            self.model.setSolution(solution)
        self.model.cbMipInterrupt += self._on_callback
        self.model.cbSimplexInterrupt += self._on_callback

    def set(self, name: str, value: object) -> None:
        """Set an option."""
        if self.model.setOptionValue(name, value) != self.highspy.HighsStatus.kOk:
            raise SolverFailedError(f"HiGHS does not take {name} = {value}")

    def _pass_program(self) -> None:
        highspy, program = self.highspy, self.handover.program
        model = highspy.HighsLp()
        model.num_row_, model.num_col_ = program.matrix.shape
        model.col_cost_ = self.handover.cost + 0.0
        model.col_lower_, model.col_upper_ = program.column_lower, program.column_upper
        model.row_lower_, model.row_upper_ = program.row_lower, program.row_upper
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = program.matrix.indptr.astype(np.int32)
        model.a_matrix_.index_ = program.matrix.indices.astype(np.int32)
        model.a_matrix_.value_ = program.matrix.data
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        model.integrality_ = [kinds[int(whole)] for whole in program.integer.tolist()]
        # A warning says that HiGHS leaves coefficients out, which would be another program.
        if self.model.passModel(model) != highspy.HighsStatus.kOk:
            raise SolverFailedError("HiGHS does not take the program as it is: its coefficients span too far")

    def _on_callback(self, event: Any) -> None:
        """Note where HiGHS is; called by HiGHS, in its thread."""
        if event.callback_type == self.highspy.cb.HighsCallbackType.kCallbackMipInterrupt:
            self.latest = event.data_out.mip_dual_bound, int(event.data_out.mip_node_count)
        if self._stop:
            event.interrupt()

    def run(self) -> None:
        """Solve."""
        self.model.run()

    def interrupt(self) -> None:
        """Stop at the next callback."""
        self._stop = True

    def outcome(self, interrupted: bool) -> Outcome:
        """Return what HiGHS says."""
        ending = _ENDINGS.get(self.model.getModelStatus().name, Ending.UNPROVEN)
        if interrupted and ending is not Ending.OPTIMAL:
            ending = Ending.INTERRUPTED
        info = self.model.getInfo()
        found = info.primal_solution_status == 2
        values = np.array(self.model.getSolution().col_value) if found else None
        stated = info.objective_function_value if found else None
        solution = SolutionFile("highs", None, stated, None, values)
        nodes = max(int(info.mip_node_count), 0)
        # Without integral columns HiGHS solves a linear program, and states no dual bound.
        bound = info.mip_dual_bound if self.handover.program.binaries else None
        claim = Claim(ending, bound, solution, self.gap, nodes)
        return judge(self.handover, claim, Highs.title)
