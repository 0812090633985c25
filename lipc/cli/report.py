"""``lipc report RESULTS -o report.html``: a page about a result, or a batch."""

from __future__ import annotations

from pathlib import Path

import click

from lipc.cli.completion import FILE
from lipc.cli.streams import say


def _shape(_: click.Context, __: click.Parameter, given: str | None) -> tuple[int, int] | None:
    """Return rows and columns, of a text like ``28x28``."""
    if given is None:
        return None
    rows, cross, columns = given.partition("x")
    if not (cross and rows.isdecimal() and columns.isdecimal() and int(rows) and int(columns)):
        raise click.BadParameter(f"'{given}' is no shape; write rows and columns like 28x28")
    return int(rows), int(columns)


@click.command("report", short_help="Write a page about results.")
@click.argument("results", type=FILE, metavar="RESULTS")
@click.option("-o", "destination", type=FILE, metavar="FILE", help="An .html file; '-' for stdout.")
@click.option("--png", "folder", type=FILE, metavar="DIR", help="Write the pictures as PNG files into a folder.")
@click.option(
    "--image",
    "shape",
    callback=_shape,
    metavar="HxW",
    help="Draw inputs as an image of that shape.",
)
def command(results: str, destination: str | None, folder: str | None, shape: tuple[int, int] | None) -> None:
    """Write a page about a result, or about all results of a batch.

    RESULTS is what 'lipc solve --json' or 'lipc batch' wrote; '-' is standard input. The page stands alone: no scripts,
    nothing from the network. Pictures need matplotlib (pip install 'lipc[plot]').
    """
    from lipc.errors import QueryError
    from lipc.formats.output import is_stdout, write_atomically, write_stdout
    from lipc.reports import open_report
    from lipc.reports.figures import need_matplotlib

    if destination is None and folder is None:
        raise QueryError("there is nothing to write", hint="name a page by -o FILE.html, or a folder by --png DIR")
    report = open_report(results, shape)
    if folder is not None:
        need_matplotlib()
        Path(folder).mkdir(parents=True, exist_ok=True)
        for picture in report.pictures():
            write_atomically(Path(folder) / f"{picture.name}.png", [picture.png()])
    if destination is not None:
        text = [report.html().encode()]
        if is_stdout(destination):
            write_stdout(text)
        else:
            write_atomically(destination, text)
            say(f"lipc: wrote {destination}")
