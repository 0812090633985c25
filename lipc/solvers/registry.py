"""The solvers there are, by the names that `--solver` takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lipc.errors import QueryError, SolverError
from lipc.mip import Formulation
from lipc.solvers.base import LogLine, Solver
from lipc.solvers.cbc import Cbc
from lipc.solvers.glpk import Glpk
from lipc.solvers.gurobi import Gurobi
from lipc.solvers.highs import Highs
from lipc.solvers.scip import Scip

SOLVERS: tuple[type[Solver], ...] = (Scip, Highs, Gurobi, Cbc, Glpk)
NAMES = tuple(solver.name for solver in SOLVERS)


def solver_named(name: str, log: LogLine | None = None) -> Solver:
    """Return a solver.

    Raises
    ------
    QueryError
        If none has the name.
    """
    for solver in SOLVERS:
        if solver.name == name:
            return solver(log)
    raise QueryError(f"there is no solver '{name}'", hint=f"one of: {', '.join(NAMES)}; or --solver-cmd")


@dataclass(frozen=True)
class Found:
    """A solver, and whether it is there.

    Parameters
    ----------
    version
        `None` if it is missing.
    problem
        Why it is missing.
    """

    solver: type[Solver]
    version: str | None
    problem: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "name": self.solver.name,
            "title": self.solver.title,
            "found": self.version is not None,
            "version": self.version,
            "problem": self.problem,
            "install": self.solver.install,
            **asdict(self.solver.capabilities),
        }


def found_solvers() -> tuple[Found, ...]:
    """Return all solvers, and which of them are there."""
    return tuple(_found(solver) for solver in SOLVERS)


def _found(solver: type[Solver]) -> Found:
    try:
        return Found(solver, solver().version())
    except SolverError as error:
        return Found(solver, None, error.message)


def readers_of(formulation: Formulation) -> tuple[str, ...]:
    """Return the solvers that take a formulation, by the names people call them."""
    return tuple(solver.title for solver in SOLVERS if formulation in solver.capabilities.formulations)
