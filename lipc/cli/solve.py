"""``lipc solve MODEL``: the answer, proven."""

from __future__ import annotations

import os
from math import isfinite
from typing import Any, get_args

import click

from lipc.cli.options import TRUST_BOUNDS, Question, pass_options, passes_from, question_options
from lipc.cli.streams import NOT_FOUND, put
from lipc.options import Search


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


SCHEDULER = click.option(
    "--scheduler", metavar="ADDRESS", help="Search on a Dask cluster: tcp://host:8786. Needs lipc[cluster]."
)


def cores() -> int:
    """Return how many cores this process may use, as far as that is known."""
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(known, int(JOBS.max or known))


@click.command("solve", short_help="Solve a question and certify the answer.")
@question_options
@pass_options
@TRUST_BOUNDS
@click.option("--time-limit", type=SECONDS, metavar="S", help="Stop after S seconds with a valid pair.")
@click.option(
    "--gap", type=NOT_NEGATIVE, metavar="G", default=1e-6, show_default=True, help="The relative gap to close."
)
@click.option("--threads", type=THREADS, metavar="N", default=1, show_default=True, help="For SCIP's LPs.")
@click.option("--seed", type=SEED, metavar="N", default=0, show_default=True, help="SCIP's random seed.")
@click.option(
    "--search",
    type=click.Choice(get_args(Search)),
    default="auto",
    show_default=True,
    help="mip: by SCIP. bab: by branch and bound on the SDP bound, proven without a solver. auto: bab where it can.",
)
@click.option("--split", is_flag=True, help="Cut the question into pieces, searched by a process for each core.")
@click.option("--jobs", type=JOBS, metavar="N", help="That many processes; implies --split.  [default: one per core]")
@SCHEDULER
@click.option("--safe-upper", is_flag=True, help="Prove the upper bound without trusting a solver; takes longer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def command(
    model: str,
    level: int | None,
    passes: str | None,
    mode: Any,
    bounds: Any,
    trust_bounds: bool,
    time_limit: float | None,
    gap: float,
    threads: int,
    seed: int,
    search: Search,
    split: bool,
    jobs: int | None,
    scheduler: str | None,
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

    if search == "mip" and (split or jobs is not None or scheduler is not None):
        raise QueryError("pieces are searched by the branch and bound", hint="leave out --search mip")
    if scheduler is not None and jobs is not None:
        raise QueryError("--jobs counts processes here, and --scheduler has its own", hint="leave one out")
    count = jobs or (cores() if split and scheduler is None else 1)
    limit = float("inf") if time_limit is None else time_limit
    options = Options(limit, gap, threads, seed, safe_upper, search, count, scheduler or "")
    chosen = passes_from(level, passes, mode, bounds, 2)
    network, query = Question.of(**question).read(model)
    log = ProgressLog(quiet)
    result = solve(network, query, passes=chosen, options=options, on_report=log.report, trust_bounds=trust_bounds)
    if as_json:
        put(result.to_json())
    else:
        show_result(result)
    return 0 if result.certified else NOT_FOUND
