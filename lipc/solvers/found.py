"""Where the command of a solver is, and what it says of itself."""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from lipc.errors import SolverError
from lipc.solvers.base import Solver
from lipc.solvers.process import Patience, run_command

VERSION_SECONDS = 5.0
"""A command that takes longer to say its version says none."""


def executable(solver: Solver, command: str = "") -> str:
    """Return the path of a solver's command.

    Raises
    ------
    SolverError
        If it is not on the PATH.
    """
    command = command or solver.name
    found = shutil.which(command)
    if found is None:
        raise SolverError(f"{solver.title} is not installed: there is no command '{command}'", hint=solver.install)
    return str(Path(found).resolve()) if not Path(found).is_absolute() else found


def first_words(command: Sequence[str], pattern: re.Pattern[str]) -> str:
    """Return what the group of a pattern finds in what a command prints; empty if it does not say.

    Raises
    ------
    SolverError
        If it cannot be started.
    """
    lines: deque[str] = deque(maxlen=100)
    run_command(command, Patience(VERSION_SECONDS, grace=0.0), on_line=lines.append)
    found = pattern.search("\n".join(lines))
    return found[1].rstrip(",") if found else ""
