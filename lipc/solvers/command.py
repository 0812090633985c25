"""Solvers that are commands: files are handed over and read back, and nothing but files and words on the way."""

from __future__ import annotations

import os
import signal
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from time import monotonic

from lipc.errors import SolutionError, SolverError, SolverFailedError
from lipc.formats.lp import lp_chunks
from lipc.formats.mps import mps_chunks
from lipc.formats.solutions import SolutionFile, read_solution
from lipc.ir import Floats
from lipc.mip import Formulation
from lipc.solvers.base import Ending, Outcome, Progress, Solver, Task
from lipc.solvers.handover import Handover
from lipc.solvers.judge import Claim, ending_of, judge
from lipc.solvers.logs import BoundPattern, bound_in
from lipc.solvers.process import Finished, Patience, Stopped, run_command

LONGEST = 1_000_000_000
"""Seconds that stand for no limit: a whole number that every solver takes."""

ENTRY_BYTES, FREE_BYTES = 1000, 1 << 20
"""A solution file may have so many bytes for each column and row, and so many besides."""

FINEST_GAP = 1e-9
"""Below this a relative gap is next to the rounding of a log."""


@dataclass(frozen=True)
class Job:
    """What a command is told: files, which it finds in a folder of its own, and limits.

    Parameters
    ----------
    model
        The program, in the format of its ending.
    solution
        Where the solution is to be written.
    start
        A start solution in the solver's own format; `None` if there is none.
    seconds
        A whole number, at least 1.
    gap
        Relative.
    """

    model: Path
    solution: Path
    start: Path | None
    seconds: int
    gap: float
    threads: int
    seed: int
    formulation: Formulation = "bigm"


class CommandSolver(Solver):
    """A solver that is a command: a program in a file, a solution in another one."""

    ending = ".mps"
    """Of the file that it is handed."""

    patterns: tuple[BoundPattern, ...] = ()
    """Where its log states a dual bound."""

    grace = 2.0
    """Seconds beyond its time limit after which it is ended."""

    @abstractmethod
    def command(self, job: Job) -> Sequence[str]:
        """Return the words of the command.

        Raises
        ------
        SolverError
            If the solver is missing.
        """

    def folder(self, own: Path) -> Path | None:
        """Return where the command runs; `own` is removed afterwards."""
        return own

    def start_text(self, names: Sequence[str], columns: Floats) -> str:
        """Return a start solution in a format that the solver reads."""
        return "".join(f"{name} {value!r}\n" for name, value in zip(names, columns.tolist(), strict=True))

    def says_infeasible(self, line: str) -> bool:  # noqa: ARG002 - for those whose files do not say it
        """Return whether a line of the log says that there is no solution."""
        return False

    def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
        """Solve a program, handed over as a file; a command that does not end in time is ended."""
        self.capabilities.check_formulation(task.program.formulation, self.title)
        began = monotonic()
        handover = Handover.of(task)
        try:
            with TemporaryDirectory(prefix="lipc-") as name:
                folder = Path(name)
                job = self._write(handover, folder, began)
                listener = _Listener(self, handover)
                finished = run_command(
                    self.command(job),
                    Patience(inf if job.seconds == LONGEST else job.seconds, self.grace),
                    on_line=listener.take,
                    on_poll=lambda: listener.tell(on_progress),
                    folder=self.folder(folder),
                )
                listener.tell(on_progress)
                content = _content(job.solution, handover, self.title)
        except OSError as error:
            reason = error.strerror or str(error)
            raise SolverError(f"files for {self.title} cannot be made: {reason}", where=gettempdir()) from error
        return self._outcome(handover, job, finished, content, listener)

    def _write(self, handover: Handover, folder: Path, began: float) -> Job:
        """Write the files of a job."""
        task = handover.task
        model = folder / f"model{self.ending}"
        chunks = lp_chunks if self.ending == ".lp" else mps_chunks
        with model.open("wb") as handle:
            handle.writelines(chunks(handover.program))
        columns = handover.start() if self.capabilities.start else None
        start = None
        if columns is not None:
            start = folder / "start.sol"
            start.write_text(self.start_text(handover.program.column_names(), columns), encoding="ascii")
        left = task.time_limit - (monotonic() - began)
        seconds = min(max(ceil(left), 1), LONGEST) if isfinite(left) else LONGEST
        gap = max(task.gap / 2, FINEST_GAP)
        limits = (seconds, gap, task.threads, task.seed)
        return Job(model, folder / "model.sol", start, *limits, task.program.formulation)

    def _outcome(
        self, handover: Handover, job: Job, finished: Finished, content: bytes | None, listener: _Listener
    ) -> Outcome:
        """Return what a finished command amounts to.

        Raises
        ------
        SolverFailedError
            If it left nothing that can be read, and was not stopped.
        """
        faults: tuple[str, ...] = ()
        if finished.stopped is Stopped.ITSELF and finished.code < 0:
            raise self._failed(f"was ended by the signal {_signal_name(-finished.code)}", finished)
        if finished.stopped is Stopped.LIMIT:
            faults = (f"{self.title} went on for {self.grace:g} s after its time limit, and was ended",)
        solution = None
        if finished.stopped is Stopped.ITSELF:
            solution = self._read(handover, finished, content)
            if finished.code:
                faults += (f"{self.title} ended with exit code {finished.code}, but left a solution",)
        elif content:
            try:
                solution = self._read(handover, finished, content)
            except SolverFailedError:
                solution = None  # cut off while it was written
        ending = ending_of(None if solution is None else solution.status)
        if listener.infeasible and (solution is None or solution.values is None):
            ending = Ending.INFEASIBLE
        if finished.stopped is not Stopped.ITSELF and ending is not Ending.OPTIMAL:
            ending = Ending.TIME_LIMIT if finished.stopped is Stopped.LIMIT else Ending.INTERRUPTED
        elif ending is Ending.UNPROVEN and listener.seconds >= job.seconds:
            ending = Ending.TIME_LIMIT
        stated = [listener.bound, None if solution is None else solution.bound]
        bounds = [bound for bound in stated if bound is not None]
        claim = Claim(ending, max(bounds, default=None), solution, job.gap, 0)
        return judge(handover, claim, self.title, faults)

    def _read(self, handover: Handover, finished: Finished, content: bytes | None) -> SolutionFile:
        """Return what a solution file says.

        Raises
        ------
        SolverFailedError
            If there is none, or it is no solution of the program.
        """
        if not content:
            what = "wrote no solution file" if content is None else "wrote an empty solution file"
            raise self._failed(f"{what} (exit code {finished.code})", finished)
        program = handover.program
        rows = program.matrix.shape[0]
        if self.ending == ".lp":
            two = program.row_lower < program.row_upper
            rows = max(rows + int((two & (program.row_lower > -inf) & (program.row_upper < inf)).sum()), 1)
        try:
            return read_solution(content, columns=program.column_names(), rows=rows)
        except SolutionError as error:
            raise self._failed(f"wrote a solution file that cannot be read: {error}", finished) from error

    def _failed(self, what: str, finished: Finished) -> SolverFailedError:
        said = f"; it printed last: {' / '.join(line.strip()[:200] for line in finished.last[-2:])}"
        return SolverFailedError(f"{self.title} {what}{said if finished.last else ''}")


class _Listener:
    """Listens to the log of a command: for its dual bound, and for whoever wants to see it."""

    def __init__(self, solver: CommandSolver, handover: Handover) -> None:
        self.solver, self.handover = solver, handover
        self.bound: float | None = None
        self.infeasible = False
        self._told: float | None = None
        self._began = monotonic()

    @property
    def seconds(self) -> float:
        """How long it has listened."""
        return monotonic() - self._began

    def take(self, line: str) -> None:
        """Take a line; in the thread of the reader."""
        bound = bound_in(line, self.solver.patterns)
        if bound is not None:
            self.bound = bound
        self.infeasible |= self.solver.says_infeasible(line)
        if self.solver.log is not None:
            self.solver.log(line)

    def tell(self, on_progress: Callable[[Progress], None]) -> None:
        """Report a new bound; in the main thread."""
        if self.bound != self._told and self.bound is not None:
            self._told = self.bound
            on_progress(Progress(self.handover.bound(self.bound), 0))


def _content(path: Path, handover: Handover, title: str) -> bytes | None:
    """Return what a solution file holds; `None` if there is none.

    Raises
    ------
    SolverFailedError
        If it is no file, or far too large for a solution.
    """
    if not os.path.lexists(path):
        return None
    most = FREE_BYTES + ENTRY_BYTES * (len(handover.program.cost) + handover.program.matrix.shape[0])
    if not path.is_file():
        raise SolverFailedError(f"{title} left something else than a file where its solution should be")
    with path.open("rb") as handle:
        content = handle.read(most + 1)
    if len(content) > most:
        raise SolverFailedError(f"{title} wrote {path.stat().st_size} bytes where a solution has at most {most}")
    return content


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
