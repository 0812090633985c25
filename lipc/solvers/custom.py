"""Any other solver, by a command that its user writes."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from lipc.errors import QueryError, SolverError
from lipc.solvers.base import Capabilities, LogLine
from lipc.solvers.command import CommandSolver, Job
from lipc.solvers.logs import ANY

PLACES = ("mps", "lp", "sol", "start", "time_limit", "gap", "threads", "seed")
"""What a command may say in braces."""

_PLACE = re.compile(r"\{(\w*)\}")
_EXAMPLE = "for example 'mysolver {mps} --time {time_limit} --output {sol}'"


class CustomSolver(CommandSolver):
    """A command with places in braces for its files and limits; it runs in the folder of its user.

    Parameters
    ----------
    words
        The command as one would type it; quotes group, but there is no shell. ``{mps}`` or ``{lp}`` is the program,
        ``{sol}`` where the solution goes, in any format that `lipc.formats.solutions` reads; ``{time_limit}`` in whole
        seconds, ``{gap}`` relative, ``{threads}``, ``{seed}``; ``{start}`` a file with a line ``name value`` for each
        column, empty if there is no start solution.

    Raises
    ------
    QueryError
        If the words make no such command.
    """

    name: ClassVar[str] = "command"
    patterns = ANY
    # What the command can read is its user's business.
    capabilities: ClassVar[Capabilities] = Capabilities(
        formulations=("bigm", "indicator", "sos1"), start=True, bound="log", threads=True, seed=True
    )
    dual_tolerance: ClassVar[float] = 1e-6
    pruning_tolerance: ClassVar[float] = 1e-7

    def __init__(self, words: str, log: LogLine | None = None) -> None:
        super().__init__(log)
        try:
            self.words = shlex.split(words)
        except ValueError as error:
            raise QueryError(f"the command cannot be read: {error}", where="--solver-cmd") from None
        if not self.words:
            raise QueryError("the command is empty", where="--solver-cmd", hint=_EXAMPLE)
        places = {place for word in self.words for place in _PLACE.findall(word)}
        unknown = sorted(places - set(PLACES))
        if unknown:
            known = ", ".join(f"{{{place}}}" for place in PLACES)
            raise QueryError(f"{{{unknown[0]}}} is nothing that is known", where="--solver-cmd", hint=f"use {known}")
        if len(places & {"mps", "lp"}) != 1:
            raise QueryError("the command needs {mps} or {lp}, one of them", where="--solver-cmd", hint=_EXAMPLE)
        if "sol" not in places:
            raise QueryError("the command needs {sol}, a file for the solution", where="--solver-cmd", hint=_EXAMPLE)
        self.places = places
        self.ending = ".lp" if "lp" in places else ".mps"
        self.title = Path(self.words[0]).name

    def version(self) -> str:
        """Return the name of the command.

        Raises
        ------
        SolverError
            If there is no such command.
        """
        if shutil.which(self.words[0]) is None:
            message = "there is no such command, or it may not be run"
            raise SolverError(message, where=f"--solver-cmd {self.words[0]}")
        return self.title

    def folder(self, own: Path) -> None:  # noqa: ARG002 - relative paths are those of its user
        """Return nothing: the command runs where lipc was called."""
        return

    def command(self, job: Job) -> Sequence[str]:
        """Return the words of the command."""
        self.version()
        start = job.start
        if start is None and "start" in self.places:
            start = job.solution.with_name("start.sol")
            start.touch()
        values = {
            "mps": str(job.model),
            "lp": str(job.model),
            "sol": str(job.solution),
            "start": str(start),
            "time_limit": str(job.seconds),
            "gap": repr(job.gap),
            "threads": str(job.threads),
            "seed": str(job.seed),
        }
        return [_PLACE.sub(lambda found: values[found[1]], word) for word in self.words]
