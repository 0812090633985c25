"""What every solver takes and gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Literal

import numpy as np

from lipc.errors import QueryError
from lipc.ir import Floats
from lipc.mip import Formulation, MixedIntegerProgram

BoundSource = Literal["api", "log", "none"]
"""Where a dual bound comes from when a solver stops early."""


class Ending(Enum):
    """Why a solver stopped."""

    OPTIMAL = "optimal"
    TIME_LIMIT = "time_limit"
    INTERRUPTED = "interrupted"
    INFEASIBLE = "infeasible"
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class Capabilities:
    """What a solver can do, as far as lipc makes use of it.

    Parameters
    ----------
    formulations
        The forms of a program that it takes: ``bigm``, ``indicator``, ``sos1``.
    reads
        The formats of files that its own reader takes: ``mps``, ``lp``, ``mps.gz``.
    start
        Whether it begins with a solution it is given.
    bound
        Where its dual bound is from when it stops early: asked for in process (``api``), or read in its log.
    threads, seed
        Whether it can be told how many threads to use, and a seed.
    stdin
        Whether its command reads a program from a pipe.
    exact
        Whether every number arrives to the last bit, in the form in which lipc hands it over.
    """

    formulations: tuple[Formulation, ...] = ("bigm",)
    reads: tuple[str, ...] = ("mps", "lp", "mps.gz")
    start: bool = False
    bound: BoundSource = "none"
    threads: bool = False
    seed: bool = False
    stdin: bool = False
    exact: bool = True

    def check_formulation(self, formulation: Formulation, name: str) -> None:
        """Refuse a formulation that the solver called `name` does not take.

        Raises
        ------
        QueryError
            With those that it takes.
        """
        if formulation not in self.formulations:
            known = " or ".join(f"--formulation {each}" for each in self.formulations)
            raise QueryError(f"{name} takes no programs with {WORDS[formulation]}", hint=f"use {known}")


WORDS: dict[Formulation, str] = {
    "bigm": "big-M rows",
    "indicator": "indicator constraints",
    "sos1": "special ordered sets",
}
"""What messages call what is particular to a formulation."""

LogLine = Callable[[str], None]
"""Takes a line of a solver's own log."""


class SecondInterruptError(KeyboardInterrupt):
    """A second interrupt, while a solver was still stopping after the first: give up."""


@dataclass(frozen=True)
class Progress:
    """How far a solver is: its dual bound in the program's own sense, `None` if it has none yet, and its nodes."""

    bound: float | None
    nodes: int


@dataclass(frozen=True, eq=False)
class Task:
    """A program to solve.

    Parameters
    ----------
    program
        The mixed-integer program.
    start
        Shape ``(columns,)``: a solution to begin with.
    cutoff
        An objective value that is known to be attained: only better solutions are of interest.
    time_limit
        In seconds.
    gap
        The relative gap at which to stop.
    threads
        How many threads the solver may use.
    seed
        Of the solver's random decisions.
    """

    program: MixedIntegerProgram
    start: Floats | None = None
    cutoff: float | None = None
    time_limit: float = float("inf")
    gap: float = 1e-6
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a solver says; nothing of it is believed before it is re-computed.

    Parameters
    ----------
    ending
        Why it stopped. `Ending.INFEASIBLE`: no solution, or none better than the cutoff. `Ending.UNPROVEN`: numerical
        trouble; there may be a bound and solutions.
    bound
        Its dual bound, in the program's sense and with the program's constant; infinite if it has none.
    solutions
        The solutions it kept, best first, each of shape ``(columns,)``.
    nodes
        Branch-and-bound nodes.
    faults
        In what the solver contradicts itself, or did not do what it was told.
    """

    ending: Ending
    bound: float
    solutions: tuple[Floats, ...]
    nodes: int
    faults: tuple[str, ...] = ()


class Solver(ABC):
    """A mixed-integer programming solver.

    Parameters
    ----------
    log
        Takes the lines of its own log, as they come; `None`: it is not asked to write one for people.
    """

    name: ClassVar[str]
    """What `--solver` calls it."""

    title: str = ""
    """What people call it."""

    capabilities: ClassVar[Capabilities] = Capabilities()

    install: ClassVar[str] = ""
    """How it is installed."""

    def __init__(self, log: LogLine | None = None) -> None:
        self.log = log

    dual_tolerance: ClassVar[float] = 1e-7
    """How far a reduced cost may be on the wrong side of 0 in what the solver takes for a dual solution."""

    pruning_tolerance: ClassVar[float] = 1e-9
    """How far a node may be beyond what is known, relatively, and be dropped."""

    def slack(self, program: MixedIntegerProgram) -> float:
        """Return by how much a dual bound may be wrong although the solver keeps its tolerances.

        A reduced cost that is wrong by the dual tolerance is worth that times the width of its column; all columns
        are added up. (Violated rows make a bound no worse: a point outside them is a relaxation.)
        """
        if not program.cost.any():
            return 0.0
        widths = program.column_upper - program.column_lower
        dual = self.dual_tolerance * float(widths[np.isfinite(widths)].sum())
        return program.objective_scale * (dual + self.pruning_tolerance)

    @abstractmethod
    def version(self) -> str:
        """Return name and version for people, like ``SCIP 10.0.2``.

        Raises
        ------
        SolverError
            If the solver is missing.
        """

    @abstractmethod
    def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
        """Solve a program; an interrupt (Ctrl-C) while it runs stops it and gives what there is.

        Raises
        ------
        SecondInterruptError
            On another interrupt before it has stopped.
        SolverError
            If the solver is missing or fails.
        """
