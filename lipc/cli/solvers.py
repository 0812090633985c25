"""``lipc solvers``: which solvers are there, and what they can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lipc.cli.options import AS_JSON
from lipc.cli.streams import put

if TYPE_CHECKING:
    from lipc.solvers.registry import Found

FILE_WIDTH = 200
"""Columns where no terminal says how many there are."""


@click.command("solvers", short_help="Which solvers are there, and what they can do.")
@AS_JSON
def command(as_json: bool) -> None:
    """Show which solvers 'lipc solve --solver' finds, what they can do, and how to install the others.

    Any other solver is asked by 'lipc solve --solver-cmd'.
    """
    import json

    from lipc.solvers.registry import found_solvers

    found = found_solvers()
    if as_json:
        put(json.dumps({"solvers": [each.to_dict() for each in found]}))
        return
    show(found)


def show(solvers: tuple[Found, ...]) -> None:
    """Print a table of solvers on stdout."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=FILE_WIDTH)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("--solver", "found", "formulations", "start", "threads", "dual bound", "exact numbers", "to install"):
        table.add_column(name, overflow="fold")
    for each in solvers:
        can = each.solver.capabilities
        words = ["yes" if value else "no" for value in (can.start, can.threads)]
        bound = "in process" if can.bound == "api" else "from its log"
        install = each.solver.install if each.version is None else ""
        version = each.version or "no"
        table.add_row(
            each.solver.name, version, ", ".join(can.formulations), *words, bound, "yes" if can.exact else "no", install
        )
    with console.capture() as printed:
        console.print(table)
    put("\n".join(line.rstrip() for line in printed.get().strip("\n").splitlines()))
