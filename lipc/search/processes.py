"""Processes that search for this one: started, asked, and ended for sure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Thread

from lipc.ir import Program
from lipc.search.worker import Batch, Left, Message, Ready, read_message, write_message

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
    code = f"import sys; sys.path[:] = {paths!r}; from lipc.search.worker import main; main()"
    return [os.fsdecode(executable), "-c", code]


class Worker:
    """A process that searches nodes of a program.

    Parameters
    ----------
    program
        What it is told first; it is `ready` when it has answered.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self, program: Program) -> None:
        command = start_command()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        try:
            self.process = self._start(command)
        except BaseException:
            self.log.close()
            raise
        self.reason = ""
        self._is_over = False
        self._tasks: SimpleQueue[Message | None] = SimpleQueue()
        self._answers: SimpleQueue[Message | None] = SimpleQueue()
        # Pipes block; waiting for a thread ends with an interrupt, or in time.
        self._talker = Thread(target=self._talk, daemon=True)
        self._talker.start()
        self._tasks.put(program)

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
        except (EOFError, OSError):
            pass
        except Exception:  # unpickling fails in many ways
            self.reason = "it answered something else"
        self._is_over = True
        self._answers.put(None)

    def is_ready(self, seconds: float) -> bool:
        """Wait until the process can be asked; return whether that came in time."""
        return isinstance(self._answer(seconds), Ready)

    def ask(self, batch: Batch) -> None:
        """Begin to search nodes."""
        self._tasks.put(batch)

    def left(self, seconds: float) -> Left | None:
        """Wait for what is left of a batch; `None` if the process is gone, or does not answer in time."""
        answer = self._answer(seconds)
        return answer if isinstance(answer, Left) else None

    def _answer(self, seconds: float) -> Message | None:
        try:
            return self._answers.get(timeout=min(max(seconds, 0.0), TIMEOUT_MAX))
        except Empty:
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
