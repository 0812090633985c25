"""``lipc solve MODEL``: the answer, proven."""

from __future__ import annotations

import os
from math import isfinite
from typing import TYPE_CHECKING, Any, get_args

import click

from lipc.cli.options import (
    AS_JSON,
    FORMULATION,
    QUIET,
    TRUST_BOUNDS,
    Question,
    pass_options,
    question_options,
)
from lipc.cli.streams import NOT_FOUND, put, say
from lipc.options import Search

if TYPE_CHECKING:
    from lipc.mip import Formulation
    from lipc.passes.pipeline import Level
    from lipc.solvers.base import Solver


class Finite(click.FloatRange):
    """A finite number that is not negative: click lets NaN through, which is below no minimum."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


NOT_NEGATIVE = Finite(min=0)
SECONDS = Finite(min=0, max=1e20)
THREADS = click.IntRange(1, 64)
JOBS = click.IntRange(1, 256)
SEED = click.IntRange(0, 2**31 - 1)
"""What SCIP takes; it answers anything else with lines of its own on stderr."""


SOLVER_NAMES = ("scip", "highs", "gurobi", "cbc", "glpk")
SCHEDULER = click.option(
    "--scheduler", metavar="ADDRESS", help="Search on a Dask cluster: tcp://host:8786. Needs lipc[cluster]."
)


def cores() -> int:
    """Return how many cores this process may use, as far as that is known."""
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(known, int(JOBS.max or known))


def solver_from(name: str | None, words: str | None, log: bool) -> Solver | None:
    """Return the solver that the options name, `None` if they name none.

    Raises
    ------
    QueryError, SolverError
        If they name two, or what is not there.
    """
    from lipc.errors import QueryError, printable

    if name is not None and words is not None:
        raise QueryError("--solver and --solver-cmd are two solvers", hint="give one of them")
    if name is None and words is None and not log:
        return None
    from lipc.solvers.custom import CustomSolver
    from lipc.solvers.registry import solver_named

    def show(line: str) -> None:
        say(printable(line))

    sink = show if log else None
    found = solver_named(name or "scip", sink) if words is None else CustomSolver(words, sink)
    found.version()  # before the work: a solver that is missing costs nothing
    return found


@click.command("solve", short_help="Solve a question and certify the answer.")
@question_options
@pass_options
@TRUST_BOUNDS
@FORMULATION
@click.option(
    "--solver", type=click.Choice(SOLVER_NAMES), help="Ask this solver ('lipc solvers').  [default: scip, if any]"
)
@click.option(
    "--solver-cmd",
    metavar="COMMAND",
    help="Ask any other, as 'mysolver {mps} {sol} {time_limit}'; also {lp}, {gap}, {threads}, {seed}, {start}.",
)
@click.option("--log", is_flag=True, help="The solver's own log on stderr.")
@click.option("--time-limit", type=SECONDS, metavar="S", help="Stop after S seconds with a valid pair.")
@click.option(
    "--gap", type=NOT_NEGATIVE, metavar="G", default=1e-6, show_default=True, help="The relative gap to close."
)
@click.option("--threads", type=THREADS, metavar="N", default=1, show_default=True, help="Of the solver.")
@click.option("--seed", type=SEED, metavar="N", default=0, show_default=True, help="Of the solver.")
@click.option(
    "--search",
    type=click.Choice(get_args(Search)),
    default="auto",
    show_default=True,
    help="mip: by a solver. bab: by branch and bound on the SDP bound, proven without one. auto: bab where it can.",
)
@click.option("--split", is_flag=True, help="Cut the question into pieces, searched by a process for each core.")
@click.option("--jobs", type=JOBS, metavar="N", help="That many processes; implies --split.  [default: one per core]")
@SCHEDULER
@click.option(
    "--handoff",
    type=click.IntRange(0, 1000),
    metavar="N",
    default=0,
    show_default=True,
    help="Nodes of bab with N signs and neurons left, or fewer, are solved by the solver; rarely pays.",
)
@click.option("--safe-upper", is_flag=True, help="Prove the upper bound without trusting a solver; takes longer.")
@AS_JSON
@QUIET
def command(
    model: str,
    level: Level | None,
    passes: str | None,
    mode: Any,
    bounds: Any,
    trust_bounds: bool,
    formulation: Formulation,
    solver: str | None,
    solver_cmd: str | None,
    log: bool,
    time_limit: float | None,
    gap: float,
    threads: int,
    seed: int,
    search: Search,
    split: bool,
    jobs: int | None,
    scheduler: str | None,
    handoff: int,
    safe_upper: bool,
    as_json: bool,
    quiet: bool,
    **question: Any,
) -> int:
    """Solve a question and certify the answer.

    The lower bound is the gradient at a witness, re-computed in exact arithmetic. A time limit or Ctrl-C gives the
    pair reached so far; Ctrl-C twice gives up. The exit code is 1 where the pair is not closed.
    """
    from lipc.cli.show import ProgressLog, show_result
    from lipc.driver import Options, solve
    from lipc.errors import QueryError
    from lipc.jobs.stated import PassWords

    asked = solver_from(solver, solver_cmd, log)
    given = [
        name
        for name, value in (
            ("--solver", solver),
            ("--solver-cmd", solver_cmd),
            ("--formulation", formulation != "bigm"),
            ("--search mip", search == "mip"),
        )
        if value
    ]
    if given and (split or jobs is not None or scheduler is not None):
        raise QueryError("pieces are searched by the branch and bound", hint=f"leave out {given[0]}")
    if given and search == "bab":
        raise QueryError("the branch and bound asks no solver", hint=f"leave out --search bab, or {given[0]}")
    if scheduler is not None and jobs is not None:
        raise QueryError("--jobs counts processes here, and --scheduler has its own", hint="leave one out")
    count = jobs or (cores() if split and scheduler is None else 1)
    limit = float("inf") if time_limit is None else time_limit
    options = Options(limit, gap, threads, seed, safe_upper, search, count, scheduler or "", handoff)
    chosen = PassWords(level, passes, mode, bounds).understood()
    network, query = Question.of(**question).read(model)
    result = solve(
        network,
        query,
        passes=chosen,
        options=options,
        solver=asked,
        on_report=ProgressLog(quiet or log).report,
        trust_bounds=trust_bounds,
        formulation=formulation,
    )
    if as_json:
        put(result.to_json())
    else:
        show_result(result)
    return 0 if result.certified else NOT_FOUND
