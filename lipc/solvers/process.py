"""Run a command that is not trusted to end: it is read, limited, and nothing of it is left behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from pathlib import Path
from time import monotonic

from lipc.errors import SolverError, SolverFailedError
from lipc.solvers.base import LogLine, SecondInterruptError

POLL_SECONDS = 0.02
LONGEST_LINE = 4096
KEPT_LINES = 5
DRAIN_SECONDS = 1.0
"""For what a command has printed before it ended; children of its own may hold the pipe for ever."""


class Stopped(Enum):
    """How a command came to its end."""

    ITSELF = "itself"
    LIMIT = "limit"
    INTERRUPT = "interrupt"


@dataclass(frozen=True)
class Finished:
    """A command that is gone.

    Parameters
    ----------
    code
        Its exit code; negative: the signal that ended it.
    stopped
        By whom.
    last
        The last lines that it printed.
    """

    code: int
    stopped: Stopped
    last: tuple[str, ...]


@dataclass(frozen=True)
class Patience:
    """How long a command may take.

    Parameters
    ----------
    seconds
        After which it should have ended; infinite: as long as it likes.
    grace
        How much longer it gets before it is told to end, and how long it gets to stop after an interrupt.
    last
        How long it gets after that before it is killed.
    """

    seconds: float
    grace: float = 2.0
    last: float = 1.0


def run_command(
    command: Sequence[str],
    patience: Patience,
    *,
    on_line: LogLine,
    on_poll: Callable[[], None] = lambda: None,
    folder: Path | None = None,
) -> Finished:
    """Run a command in a process group of its own until it ends or is ended; its children end with it.

    Parameters
    ----------
    on_line
        Called with every line that it prints on stdout or stderr, in another thread; long lines come in pieces.
    on_poll
        Called in the main thread all the time.
    folder
        Where it runs; default: here.

    Raises
    ------
    SolverError
        If it cannot be started.
    SolverFailedError
        If `on_line` fails.
    SecondInterruptError
        On an interrupt while it is stopping after another one.
    """
    with contextlib.ExitStack() as stack:
        with _uninterrupted():
            child, reader = _start(command, folder, on_line, stack)
        stopped = _wait(child, patience, on_poll)
    if reader.failure is not None:
        raise SolverFailedError(f"the log of {command[0]} cannot be read: {reader.failure}") from reader.failure
    return Finished(child.returncode, stopped, tuple(reader.last))


def _start(
    command: Sequence[str], folder: Path | None, on_line: LogLine, stack: contextlib.ExitStack
) -> tuple[subprocess.Popen[bytes], _Reader]:
    """Start a command and a reader of what it prints; the stack ends both."""
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    try:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            cwd=folder,
            start_new_session=True,  # Ctrl-C in a terminal reaches us alone, and we decide what it means
        )
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SolverError(f"cannot be started: {reason}", where=command[0]) from error
    finally:
        os.close(writing)
    reader = _Reader(reading, on_line)
    stack.enter_context(_survived_by_none(child))
    stack.callback(_end, child, reader)
    return child, reader


@contextlib.contextmanager
def _survived_by_none(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """See to it that a command and its children end with this process, even if that is killed in the block.

    Nobody can catch SIGKILL. A shell reads from a pipe whose other end is held here alone, and so hears of it.
    """
    words = ["/bin/sh", "-c", 'read -r _; kill -s KILL -- "-$1"', "sh", str(child.pid)]
    try:
        watcher = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError:  # no shell, or no process more: the command may survive, and that is all
        yield
        return
    try:
        yield
    finally:
        watcher.kill()
        watcher.wait()
        assert watcher.stdin is not None
        watcher.stdin.close()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and a polite kill until the block is done: half-started is neither started nor gone."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    if threading.current_thread() is not threading.main_thread() or not all(map(callable, handlers[:1])):
        yield
        return
    caught: list[int] = []
    for number in numbers:
        signal.signal(number, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
        for code in caught:
            signal.raise_signal(code)


def _wait(child: subprocess.Popen[bytes], patience: Patience, on_poll: Callable[[], None]) -> Stopped:
    """Wait until a command ends or its time is up; the first interrupt is handed on to it."""
    started = monotonic()
    deadline = started + patience.seconds + patience.grace
    stopped = Stopped.ITSELF
    while True:
        try:
            if not isfinite(deadline) or monotonic() < deadline:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(POLL_SECONDS)
                    return stopped
                on_poll()
                continue
            stopped = Stopped.LIMIT if stopped is Stopped.ITSELF else stopped
            _signal(child, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(patience.last)
            return stopped
        except KeyboardInterrupt:
            if stopped is not Stopped.ITSELF:
                raise SecondInterruptError from None
            stopped = Stopped.INTERRUPT
            deadline = monotonic() + patience.grace
            _signal(child, signal.SIGINT)


def _end(child: subprocess.Popen[bytes], reader: _Reader) -> None:
    """Kill what is left of a command and its children, and take its exit code: no zombie remains."""
    with _uninterrupted():
        _signal(child, signal.SIGKILL)
        child.wait()
        reader.finish()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the process group: where its leader is gone, to the children it has left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


class _Reader:
    """Reads what a command prints, in a thread of its own; keeps the last lines."""

    def __init__(self, descriptor: int, on_line: LogLine) -> None:
        self.descriptor, self.on_line = descriptor, on_line
        self.last: deque[str] = deque(maxlen=KEPT_LINES)
        self.failure: Exception | None = None
        self._deadline = float("inf")
        self._done = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def finish(self) -> None:
        """Read what is there, and stop: the command has ended."""
        self._deadline = monotonic() + DRAIN_SECONDS
        self._done.wait()

    def _run(self) -> None:
        try:
            self._read()
        finally:
            self._done.set()

    def _read(self) -> None:
        rest = b""
        while monotonic() < self._deadline:
            ready, _, _ = select.select([self.descriptor], [], [], POLL_SECONDS)
            if not ready:
                if self._deadline < float("inf"):
                    break
                continue
            new = os.read(self.descriptor, 1 << 16)
            if not new:
                break
            *lines, rest = (rest + new).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._take(line)
        if rest:
            self._take(rest)

    def _take(self, line: bytes) -> None:
        text = line[:LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")
        if text.strip():
            self.last.append(text)
        if self.failure is None:
            try:
                self.on_line(text)
            except Exception as error:  # told by `run_command`; the command must not wait for a reader
                self.failure = error
