"""A bar on stderr for work that takes longer than two seconds, if stderr is a terminal."""

from __future__ import annotations

import sys
from threading import Lock, Timer
from types import TracebackType

SHOWN_AFTER = 2.0
"""Seconds."""


class Stages:
    """Shows which of several stages of the work is being done; a context manager.

    Nothing is printed in the first seconds, nor anything at all where stderr is no terminal; the bar goes at the end.
    What else goes to a stream has to wait until then.

    Parameters
    ----------
    count
        How many stages there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.done = -1
        self.name = ""
        self._lock = Lock()
        self._over = False
        self._timer: Timer | None = None
        self._bar: Bar | None = None

    def __enter__(self) -> Stages:
        if sys.stderr is not None and sys.stderr.isatty():
            self._timer = Timer(SHOWN_AFTER, self._show)
            self._timer.daemon = True  # Ctrl-C does not wait for it
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._over = True
            if self._bar is not None:
                self._bar.stop()

    def next(self, name: str) -> None:
        """Say that the next stage begins."""
        with self._lock:
            self.done, self.name = self.done + 1, name
            if self._bar is not None:
                self._bar.update(self.done, name)

    def _show(self) -> None:
        with self._lock:
            if not self._over:
                self._bar = Bar(self.count)
                self._bar.update(max(self.done, 0), self.name)


class Bar:
    """The bar itself, by rich."""

    def __init__(self, count: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description:18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
        self._task = self._progress.add_task("", total=count)
        self._progress.start()

    def update(self, done: int, name: str) -> None:
        """Show how many stages are done, and the name of the next."""
        self._progress.update(self._task, completed=done, description=name)

    def stop(self) -> None:
        """Take the bar away."""
        self._progress.stop()
