"""``lipc compare CASES ...``: methods against the exact values, as a table and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipc.cli.options import QUIET, shared_question_options
from lipc.cli.solve import SECONDS, SEED
from lipc.cli.streams import say

if TYPE_CHECKING:
    from lipc.comparisons import Case, Comparison
    from lipc.estimators.run import Estimated
    from lipc.frontends import Network
    from lipc.query import Query

ENDINGS = (".md", ".csv", ".html", ".png")


@click.command("compare", short_help="Hold methods against the exact values.")
@click.argument("inputs", metavar="MODEL|CASES...", nargs=-1, required=True)
@shared_question_options
@click.option("--methods", metavar="NAMES", help="By commas; 'lipc estimate --list' shows them.  [default: all]")
@click.option(
    "--out",
    "destinations",
    multiple=True,
    metavar="FILE",
    help="A .md or .html file with the table, .csv with every answer, .png with the pictures; several by --out again. "
    " [default: the table on stdout]",
)
@click.option(
    "--time-limit", type=SECONDS, metavar="S", default=60, show_default=True, help="For each method and case."
)
@click.option("--seed", type=SEED, metavar="N", default=0, show_default=True, help="Of random points.")
@QUIET
def command(
    inputs: tuple[str, ...],
    methods: str | None,
    destinations: tuple[str, ...],
    time_limit: float,
    seed: int,
    drop_softmax: bool,
    quiet: bool,
    **question: Any,
) -> None:
    """Hold methods against the exact values: time and relative error, mean and spread, a column for each file.

    CASES are .csv or .jsonl files of jobs (a model and a question a line, as for 'lipc batch'; their key 'group' makes
    other columns); options of the question are for a MODEL that is named itself. Where the names of the cases end in a
    number like 'epoch=10', values are drawn against it.
    """
    from lipc.comparisons import cases_of, compare
    from lipc.errors import OutputError, QueryError
    from lipc.estimators.catalogue import ESTIMATORS
    from lipc.formats.output import check_writable
    from lipc.jobs.stated import Words
    from lipc.reports.figures import need_matplotlib

    for destination in destinations:
        if not destination.endswith(ENDINGS):
            raise OutputError("the ending names no table", where=destination, hint=f"use one of {', '.join(ENDINGS)}")
        if destination.endswith(".png"):
            need_matplotlib()
        check_writable(destination)
    chosen = None if methods is None else ESTIMATORS.parse(methods, "--methods")
    if chosen == ():
        raise QueryError("no method is named", hint="'lipc estimate --list' shows them")
    stated = Words(**question).understood()

    def query_of(network: Network) -> Query | None:
        return stated.of(network)

    cases = [case for each in inputs for case in cases_of(each, query_of, drop_softmax=drop_softmax)]

    def tell(case: Case, answer: Estimated) -> None:
        if not quiet:
            say(f"lipc: {case.group}, {case.name}: {answer.method}: {answer.refusal or f'{answer.seconds:.2f} s'}")

    found = compare(cases, chosen, time_limit=time_limit, seed=seed, on_row=tell)
    for destination in destinations:
        _write(found, destination)
    if not destinations:
        _show(found)


def _show(found: Comparison) -> None:
    """Print the table on stdout."""
    from rich.table import Table
    from rich.text import Text

    from lipc.cli.show import put_rich
    from lipc.comparisons.tables import summary

    head, rows = summary(found)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column, name in enumerate(head):
        table.add_column(name, justify="left" if column < 2 else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    put_rich(table)


def _write(found: Comparison, destination: str) -> None:
    from lipc.comparisons.page import comparison_page
    from lipc.comparisons.pictures import comparison_pictures
    from lipc.comparisons.tables import csv_text, markdown
    from lipc.formats.output import write_atomically

    if destination.endswith(".png"):
        pictures = comparison_pictures(found)
        names = [_numbered(destination, number, len(pictures)) for number in range(len(pictures))]
        for name, picture in zip(names, pictures, strict=True):
            write_atomically(name, [picture.png()])
            say(f"lipc: wrote {name}")
        return
    make = {".md": markdown, ".csv": csv_text, ".html": comparison_page}[Path(destination).suffix]
    write_atomically(destination, [make(found).encode()])
    say(f"lipc: wrote {destination}")


def _numbered(destination: str, number: int, count: int) -> str:
    """Return the name of one of several pictures: ``table-2.png``."""
    path = Path(destination)
    return destination if count == 1 else str(path.with_name(f"{path.stem}-{number + 1}{path.suffix}"))
