"""Solvers in process work beside the main thread, which goes on receiving signals and reads their log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from lipc.errors import SolverFailedError
from lipc.solvers.base import LogLine, SecondInterruptError

POLL_SECONDS = 0.05


def run_beside(
    work: Callable[[], None], *, on_poll: Callable[[], None], interrupt: Callable[[], None], title: str
) -> bool:
    """Run a solver in a thread until it ends; return whether it was interrupted.

    Parameters
    ----------
    work
        Solves; in C, without Python's lock.
    on_poll
        Called in the main thread every `POLL_SECONDS`.
    interrupt
        Asks the solver to stop; called again and again once there was an interrupt (one that comes before a solver has
        begun may be forgotten).
    title
        What errors call the solver.

    Raises
    ------
    SecondInterruptError
        On another interrupt before the solver has stopped; its thread goes on.
    SolverFailedError
        If the work raises.
    """
    done = Event()
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            done.set()

    interrupted = False
    Thread(target=guarded, daemon=True).start()
    # Not Thread.join: an interrupt inside it makes Python 3.11 take the thread for finished.
    while not done.is_set():
        try:
            done.wait(POLL_SECONDS)
            if interrupted:
                interrupt()
            on_poll()
        except KeyboardInterrupt:
            if interrupted:
                raise SecondInterruptError from None
            interrupted = True
    if failures:
        raise SolverFailedError(f"{title} failed: {failures[0]}") from failures[0]
    return interrupted


class LogTail:
    """Hands on the lines of a log file that a solver in process writes: its own standard output is not ours to take."""

    def __init__(self, path: Path, log: LogLine) -> None:
        self.path, self.log = path, log
        self._read = 0
        self._rest = b""

    def poll(self, *, last: bool = False) -> None:
        """Hand on what is new, line by line; at last a line without an end, too."""
        with contextlib.suppress(OSError), self.path.open("rb") as handle:
            handle.seek(self._read)
            new = handle.read()
            self._read += len(new)
            *lines, self._rest = (self._rest + new).split(b"\n")
            for line in lines:
                self.log(line.decode("utf-8", "replace").rstrip("\r"))
        if last and self._rest:
            self.log(self._rest.decode("utf-8", "replace"))
            self._rest = b""
