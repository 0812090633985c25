"""``lipc graph MODEL -o net.svg``: a picture of a program."""

from __future__ import annotations

import click

from lipc.cli.completion import FILE
from lipc.cli.options import DROP_SOFTMAX
from lipc.cli.streams import say

ENDINGS = (".svg", ".dot")


@click.command("graph", short_help="Draw a network.")
@click.argument("model", type=FILE, metavar="MODEL")
@click.option(
    "-o", "destination", type=FILE, metavar="FILE", default="-", help="An .svg or .dot file; '-' for SVG on stdout."
)
@click.option(
    "--passes",
    metavar="PIPELINE",
    help="Draw what these passes make of it, like 'bounds,prune-stable' ('lipc opt --list' shows them).",
)
@DROP_SOFTMAX
def command(model: str, destination: str, passes: str | None, drop_softmax: bool) -> None:
    """Draw a network as lipc has it: affine maps, conditionals (bits) and switches, from the input down.

    Solid lines carry reals, dashed ones bits; the box with the thick line is the result. A pass that needs a question
    gets that of the file, or the Lipschitz constant over 0 <= x <= 1.
    """
    from lipc.compiler import ask
    from lipc.errors import OutputError
    from lipc.formats.output import is_stdout, write_atomically, write_stdout
    from lipc.models import read_model
    from lipc.passes.pipeline import parse_pipeline
    from lipc.passes.run import run_passes
    from lipc.reports.graph import MOST_OPS, dot, svg

    if not is_stdout(destination) and not destination.endswith(ENDINGS):
        raise OutputError("the ending names no picture", where=destination, hint=f"use {' or '.join(ENDINGS)}")
    network = read_model(model, drop_softmax=drop_softmax)
    program = network.program
    if passes is not None:
        program = run_passes(ask(network)[1], parse_pipeline(passes)).program
    if len(program.ops) > MOST_OPS:
        message = f"the program has {len(program.ops)} operations; more than {MOST_OPS} make no picture"
        raise OutputError(message, where=model, hint="'lipc opt MODEL --elide 8' prints it")
    draw = dot if destination.endswith(".dot") else svg
    text = [draw(program, network.source).encode()]
    if is_stdout(destination):
        write_stdout(text)
    else:
        write_atomically(destination, text)
        say(f"lipc: wrote {destination}")
