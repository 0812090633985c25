"""Commands end with whoever asked, whatever ends that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import lipc

ASKING = """
import sys
from math import inf
from lipc.solvers.process import Patience, run_command
command = ["/bin/sh", "-c", "sleep 1000 & echo $$; wait"]
run_command(command, Patience(inf), on_line=lambda line: print(line, flush=True))
"""


def is_there(group: int) -> bool:
    """Return whether a process group has a process that is no zombie."""
    states = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in states.splitlines()]
    return any(int(number) == group and not state.startswith("Z") for number, state in rows)


def test_a_command_ends_with_a_process_that_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(lipc.__file__).parents[1])}
    words = [sys.executable, "-c", ASKING]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment, text=True) as asking:
        assert asking.stdout is not None
        group = int(asking.stdout.readline())
        assert is_there(group)
        asking.kill()
    until = monotonic() + 10
    while is_there(group) and monotonic() < until:
        sleep(0.02)
    survived = is_there(group)
    if survived:
        os.killpg(group, signal.SIGKILL)
    assert not survived
