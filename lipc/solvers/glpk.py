"""GLPK, by its command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from lipc.solvers.base import Capabilities
from lipc.solvers.command import CommandSolver, Job
from lipc.solvers.found import executable, first_words
from lipc.solvers.logs import GLPK


class Glpk(CommandSolver):
    """GLPK: `glpsol`, which takes no start and runs one thread."""

    name: ClassVar[str] = "glpk"
    title: str = "GLPK"
    install: ClassVar[str] = "apt install glpk-utils, or conda install -c conda-forge glpk"
    capabilities: ClassVar[Capabilities] = Capabilities(bound="log", stdin=True)
    dual_tolerance: ClassVar[float] = 1e-6
    pruning_tolerance: ClassVar[float] = 1e-7
    """`tol_obj`: of a node next to the best solution, relative to 1 plus its value."""

    ending = ".mps"
    patterns = GLPK

    @cached_property
    def _version(self) -> str:
        found = first_words([executable(self, "glpsol"), "--version"], re.compile(r"Solver(?: v|,)?\s+(\d\S*)"))
        return f"GLPK {found}".strip()

    def version(self) -> str:
        """Return ``GLPK`` and its version."""
        return self._version

    def command(self, job: Job) -> Sequence[str]:
        """Return the words of the command."""
        words = [executable(self, "glpsol"), "--freemps", job.model.name, "--tmlim", str(job.seconds)]
        return [*words, "--mipgap", repr(job.gap), "-w", job.solution.name]

    def says_infeasible(self, line: str) -> bool:
        """Return whether a line says that there is no solution: the file calls it undefined."""
        return line.strip() in (
            "PROBLEM HAS NO PRIMAL FEASIBLE SOLUTION",
            "PROBLEM HAS NO INTEGER FEASIBLE SOLUTION",
            "LP HAS NO PRIMAL FEASIBLE SOLUTION",
        )
