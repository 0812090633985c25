"""Processes that work for this one: started, asked, and ended for sure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Thread
from typing import Any

from lipc.engine.base import Service
from lipc.engine.messages import Answer, Ready, read_message, write_message

LAST_WORDS = 4000
"""Characters of what a process printed that are looked at for why it ended."""

ENDING_SECONDS = 0.5
"""A process that hangs up has so long to say why."""

SINGLE = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Processes share the cores already."""


def start_command() -> list[str]:
    """Return the command that starts a worker; its modules are found where this process finds its own.

    Raises
    ------
    OSError
        If nothing is known that could run it.
    """
    from multiprocessing.spawn import get_executable  # what `multiprocessing.set_executable` set, for embedded Pythons

    executable = get_executable()
    if not executable or getattr(sys, "frozen", False):
        raise OSError("no Python interpreter to start is known (multiprocessing.set_executable)")
    # Without this the folder that the process is started in would come first, whatever modules it has.
    home = str(Path(__file__).resolve().parents[2])
    paths = [os.path.abspath(path) for path in sys.path if isinstance(path, str)]  # noqa: PTH100 - keeps links
    paths += [] if home in paths else [home]
    code = f"import sys; sys.path[:] = {paths!r}; from lipc.engine.worker import main; main()"
    return [os.fsdecode(executable), "-c", code]


@dataclass(frozen=True)
class Processes:
    """An engine of processes on this machine.

    Parameters
    ----------
    size
        How many at a time.
    """

    size: int

    def hire(self, service: Service, on_answer: Callable[[], None] = lambda: None) -> Worker:
        """Start a process.

        Raises
        ------
        OSError
            If it cannot be started.
        """
        return Worker(service, on_answer)

    def close(self) -> None:
        """Do nothing: the processes are all there is."""


class Worker:
    """A process that answers requests: a `Seat`.

    Parameters
    ----------
    service
        What it is told first; it is ready when it has answered.
    on_answer
        Called when it is ready, has answered, or is lost; from another thread.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self, service: Service, on_answer: Callable[[], None] = lambda: None) -> None:
        command = start_command()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        try:
            self.process = self._start(command)
        except BaseException:
            self.log.close()
            raise
        self.reason = ""
        self._on_answer = on_answer
        self._is_over = False
        self._tasks: SimpleQueue[Any] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        # Pipes block; waiting for a thread ends with an interrupt, or in time.
        self._talker = Thread(target=self._talk, daemon=True)
        self._talker.start()
        self._tasks.put(service)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C is for the one who asks. (Windows calls that a process group.)
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**dict.fromkeys(SINGLE, "1"), **os.environ},
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )

    def _talk(self) -> None:
        source, sink = self.process.stdout, self.process.stdin
        assert source is not None and sink is not None
        try:
            while (task := self._tasks.get()) is not None:
                write_message(sink, task)
                self._answers.put(read_message(source))
                self._on_answer()
        except (EOFError, OSError):
            pass
        except Exception:  # unpickling fails in many ways
            self.reason = "it answered something else"
        self._is_over = True
        self._answers.put(None)
        self._on_answer()

    @property
    def is_lost(self) -> bool:
        """Whether the process hung up, and all that it said was heard."""
        return self._is_over and self._answers.qsize() <= 1  # the last thing heard is that there is no more

    def is_ready(self, seconds: float) -> bool:
        """Wait until the process can be asked; return whether that came in time."""
        return isinstance(self._next(seconds), Ready)

    def ask(self, request: object) -> None:
        """Give it something to answer."""
        self._tasks.put(request)

    def answer(self, seconds: float) -> Any | None:
        """Wait for the answer; `None` if the process is gone, or does not answer in time."""
        found = self._next(seconds)
        return found.content if isinstance(found, Answer) else None

    def _next(self, seconds: float) -> Any:
        try:
            return self._answers.get(timeout=min(max(seconds, 0.0), TIMEOUT_MAX))
        except Empty:
            if seconds > 0:
                self.reason = "it did not answer in time"
            return None

    def stop(self) -> None:
        """End the process, whatever it is at."""
        if self.log.closed:
            return
        with suppress(subprocess.TimeoutExpired):  # its pipes are closed a little before it is gone
            self.process.wait(ENDING_SECONDS if self._is_over else 0.0)
        self.reason = self.reason or self._last_words()
        self._kill()
        self._tasks.put(None)
        self._talker.join()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            with suppress(OSError):  # what was not read is lost with its reader
                if stream is not None:
                    stream.close()

    def _kill(self) -> None:
        """End the process, and what a wrapper of the interpreter may have started."""
        if self.process.poll() is None:
            with suppress(OSError):
                if sys.platform == "win32":
                    self.process.kill()
                else:
                    os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _last_words(self) -> str:
        """Return why the process ended, as far as it said."""
        code = self.process.poll()
        if code is None:
            return ""
        if code < 0:
            with suppress(ValueError):
                return f"ended by {signal.Signals(-code).name}"
        self.log.seek(0)
        lines = self.log.read()[-LAST_WORDS:].decode("utf-8", "replace").split("\n")
        words = [line.strip() for line in lines if line.strip()]
        return words[-1] if words else f"exit code {code}"
