"""``lipc batch JOBS``: many questions, solved by many processes."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, get_args

import click

from lipc.cli.completion import FILE
from lipc.cli.options import QUIET, TRUST_BOUNDS, batch_question_options, pass_options
from lipc.cli.radius import RADIUS, TOLERANCE
from lipc.cli.solve import JOBS, NOT_NEGATIVE, SCHEDULER, SECONDS, SEED, THREADS, cores
from lipc.cli.streams import NOT_FOUND, say
from lipc.options import Search

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from lipc.batches.run import Progress
    from lipc.engine import Engine
    from lipc.jobs import Job
    from lipc.passes.pipeline import Level

SECONDS_BETWEEN_LINES = 5.0


@click.command("batch", short_help="Solve many questions.")
@click.argument("jobs_file", type=FILE, metavar="[JOBS]", required=False)
@click.option(
    "--out", type=FILE, metavar="FILE", required=True, help="Takes a line of JSON for each result; '-' for stdout."
)
@click.option("--model", type=FILE, metavar="MODEL", help="One model at many places, instead of a file of jobs.")
@click.option(
    "--points", type=FILE, metavar="FILE", help="Its centers: the rows of a .npy array, or the lines of a .csv file."
)
@click.option("--vnnlib-dir", type=FILE, metavar="DIR", help="Its domains: all .vnnlib files in a folder.")
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="KEY=VALUES",
    help="Values to take in turn: radius=0.01:0.1:10 (first:last:count), norm=linf,l1. Several: all combinations.",
)
@batch_question_options
@click.option("--label", type=click.IntRange(min=0), metavar="K", help="Of radii: the class, not that at the center.")
@click.option("--max-radius", type=RADIUS, metavar="R", help="Of radii: look no farther.")
@click.option("--tolerance", type=TOLERANCE, metavar="T", help="Of radii: how close to come.  [default: 0.001]")
@pass_options
@TRUST_BOUNDS
@click.option("--time-limit", type=SECONDS, metavar="S", help="For each job.")
@click.option("--memory", metavar="SIZE", help="The most that each job may use, like 2G.")
@click.option("--gap", type=NOT_NEGATIVE, metavar="G", help="The relative gap to close.  [default: 1e-06]")
@click.option("--threads", type=THREADS, metavar="N", default=1, show_default=True, help="For SCIP's LPs.")
@click.option("--seed", type=SEED, metavar="N", default=0, show_default=True, help="SCIP's random seed.")
@click.option(
    "--search", type=click.Choice(get_args(Search)), default="auto", show_default=True, help="As for 'lipc solve'."
)
@click.option("--safe-upper", is_flag=True, help="Prove upper bounds without trusting a solver.")
@click.option("--jobs", "workers", type=JOBS, metavar="N", help="That many processes.  [default: one per core]")
@SCHEDULER
@click.option("--retry", is_flag=True, help="Do jobs again that failed before.")
@QUIET
def command(
    jobs_file: str | None,
    out: str,
    level: Level | None,
    passes: str | None,
    mode: Any,
    bounds: Any,
    time_limit: float | None,
    memory: str | None,
    gap: float | None,
    threads: int,
    seed: int,
    search: Search,
    safe_upper: bool,
    workers: int | None,
    scheduler: str | None,
    retry: bool,
    quiet: bool,
    **question: Any,
) -> int:
    """Solve many questions; a job that fails is a result with its error.

    JOBS is a .csv or .jsonl file with a model and a question on each line: the keys are the options of 'lipc solve'
    without their hyphens, and 'id'. The objective 'radius' asks how far an input may move before its class can change,
    as 'lipc certify-radius' does. What FILE holds already is not done again, so the same call goes on after Ctrl-C or a
    crash. The exit code is 1 where a pair is not closed, or a job failed.
    """
    from lipc.batches.results import line_of
    from lipc.batches.run import batch
    from lipc.errors import QueryError
    from lipc.formats.output import is_stdout, write_stdout
    from lipc.jobs.stated import PassWords
    from lipc.options import Options

    if scheduler is not None and workers is not None:
        raise QueryError("--jobs counts processes here, and --scheduler has its own", hint="leave one out")
    unfit = [name for name, given in (("--safe-upper", safe_upper), ("--gap", gap is not None)) if given]
    if question["objective"] == "radius" and unfit:
        raise QueryError(f"{unfit[0]} says nothing of a certified radius", hint="leave it out")
    limit = float("inf") if time_limit is None else time_limit
    gap = Options.gap if gap is None else gap
    options = Options(limit, gap, threads, seed, safe_upper, search)
    listed = _jobs(jobs_file, PassWords(level, passes, mode, bounds), **question)
    bytes_ = None if memory is None else _bytes(memory)
    engine: Engine | None = None
    if scheduler is not None:
        from lipc.engine.cluster import Cluster

        engine = Cluster(scheduler)
    piped = is_stdout(out)
    log = BatchLog(quiet, "" if piped else out)
    try:
        answers = batch(
            listed,
            out=None if piped else out,
            options=options,
            workers=workers or cores(),
            engine=engine,
            memory=bytes_,
            retry=retry,
            on_progress=log.report,
        )
        for answer in answers:
            if piped and not write_stdout([line_of(answer.record)]):
                break  # nobody reads any longer
    finally:
        log.close()
        if engine is not None:
            engine.close()
    last = log.last
    return 0 if last is None or last.closed == last.jobs else NOT_FOUND


def _jobs(
    jobs_file: str | None,
    passes: Any,
    model: str | None,
    points: str | None,
    vnnlib_dir: str | None,
    sweeps: tuple[str, ...],
    drop_softmax: bool,
    trust_bounds: bool,
    **words: Any,
) -> tuple[Job, ...]:
    """Return the jobs of a file, or of one model at many places.

    Raises
    ------
    QueryError
        If both are named, or none.
    """
    from lipc.batches.grid import Grid, Sweep, points_in, properties_in
    from lipc.errors import QueryError
    from lipc.jobs import read_jobs
    from lipc.jobs.stated import PassWords, Words

    if (jobs_file is None) == (model is None):
        what = "a file of jobs and --model are two batches" if model is not None else "no jobs are named"
        raise QueryError(what, hint="lipc batch JOBS --out FILE, or lipc batch --model MODEL --points FILE --out FILE")
    if jobs_file is not None:
        own = {**words, "points": points, "vnnlib_dir": vnnlib_dir, "sweep": sweeps or None}
        own |= {"drop_softmax": drop_softmax or None, "trust_bounds": trust_bounds or None}
        given = [name for name, value in own.items() if value is not None]
        if given or passes != PassWords():
            name = f"--{given[0].replace('_', '-')}" if given else "the choice of passes"
            raise QueryError(f"{name} belongs to --model", hint="a file of jobs has its own questions")
        return read_jobs(jobs_file)
    assert model is not None
    if points is not None and vnnlib_dir is not None:
        raise QueryError("--points and --vnnlib-dir are two kinds of places", hint="give one of them")
    passes.understood()
    return Grid(
        model,
        Words(**words),
        None if points is None else points_in(points),
        None if vnnlib_dir is None else properties_in(vnnlib_dir),
        tuple(map(Sweep.of, sweeps)),
        {"passes": passes, "drop_softmax": drop_softmax, "trust_bounds": trust_bounds},
    ).jobs()


def _bytes(text: str) -> int:
    from lipc.errors import QueryError
    from lipc.jobs.values import memory

    try:
        return memory(text, str)
    except ValueError as error:
        raise QueryError(f"--memory is '{text}', but takes {error}") from None


class BatchLog:
    """Shows where a batch is, on stderr: a bar on a terminal, else a line now and then; at the end a summary."""

    def __init__(self, quiet: bool, out: str) -> None:
        self.quiet, self.out = quiet, out
        self.last: Progress | None = None
        self.printed = monotonic()
        self.bar: Bar | None = None

    def report(self, progress: Progress) -> None:
        """Show what has changed."""
        first, self.last = self.last is None, progress
        if self.quiet:
            return
        if first:
            self.bar = _bar(progress.jobs)
        if self.bar is not None:
            left = f"{duration(progress.remaining)} left"
            self.bar.update(self.bar.task_ids[0], completed=progress.done, state=f"{_counts(progress)}, {left}")
        elif monotonic() >= self.printed + SECONDS_BETWEEN_LINES and progress.done < progress.jobs:
            self.printed = monotonic()
            left = f"{duration(progress.remaining)} left"
            say(f"{progress.seconds:8.1f} s: {progress.done} of {progress.jobs} jobs, {_counts(progress)}, {left}")

    def close(self) -> None:
        """Take the bar away and say what has come of it all."""
        if self.bar is not None:
            self.bar.stop()
        progress = self.last
        if progress is None or self.quiet:
            return
        fresh = progress.done - progress.resumed
        speed = f" ({fresh / progress.seconds:.3g} per second)" if fresh and progress.seconds else ""
        before = f", {progress.resumed} were there" if progress.resumed else ""
        where = f"; {self.out}" if self.out else ""
        done = f"{_counted(fresh, 'job')} in {duration(progress.seconds)}{speed}{before}"
        say(f"lipc: {done}: {_counts(progress)}{where}")
        left = progress.jobs - progress.done
        if left:
            verb, them = ("is", "it") if left == 1 else ("are", "them")
            rest = f"; the same call goes on with {them}" if self.out else ""
            say(f"lipc: {_counted(left, 'job')} {verb} left{rest}")
        if progress.aside:
            verb = "is" if progress.aside == 1 else "are"
            lines = f"{_counted(progress.aside, 'line')} of other jobs or changed models"
            say(f"lipc: note: {lines} {verb} in {self.out}.old")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _bar(jobs: int) -> Bar | None:
    """Return a bar that is shown; `None` where stderr is no terminal."""
    import sys

    if sys.stderr is None or not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"))
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task("jobs", total=jobs, state="")
    bar.start()
    return bar


def _counts(progress: Progress) -> str:
    open_ = progress.done - progress.closed - progress.failed
    parts = [f"{progress.closed} closed"]
    parts += [f"{open_} open"] if open_ else []
    parts += [f"{progress.failed} failed"] if progress.failed else []
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return seconds as a person says them: ``4.2 s``, ``3 min``, ``2 h 5 min``."""
    if seconds == float("inf"):
        return "unknown time"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
