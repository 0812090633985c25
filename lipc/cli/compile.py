"""``lipc MODEL -o model.mps``: write the mixed-integer program."""

from __future__ import annotations

from typing import Any

import click

from lipc.cli.options import note_default_domain, query_from, question_options


@click.command("compile", short_help="Write the program as MPS or LP (what `lipc MODEL` does).")
@question_options
@click.option("-o", "destination", default="-", metavar="FILE", help="A .mps or .lp file, also .gz; '-' for stdout.")
@click.option("--format", "format_name", type=click.Choice(["mps", "lp"]), help="The format on stdout.  [default: mps]")
@click.option("--map", "map_file", metavar="FILE", help="The sidecar.  [default: model.map.json beside FILE]")
def command(
    model: str,
    destination: str,
    format_name: str | None,
    map_file: str | None,
    mode: Any,
    bounds: Any,
    drop_softmax: bool,
    **question: Any,
) -> None:
    """Write the mixed-integer program of a question as a file that any solver reads.

    Its optimum is the answer. The file minimizes: a constant to be maximized stands in it negated. The sidecar
    model.map.json says so, and what each variable is.
    """
    from lipc.compiler import compile as compile_model
    from lipc.errors import OutputError
    from lipc.formats.output import Format, check_destination, is_stdout, write_model

    check_destination(destination, map_file)  # before the work: a mistake costs nothing
    if format_name is not None and not is_stdout(destination):
        raise OutputError("--format is for standard output", hint="the ending of -o says the format")
    query = query_from(**question)
    compiled = compile_model(model, query, mode=mode, method=bounds, drop_softmax=drop_softmax)
    note_default_domain(query)
    write_model(
        compiled.mip,
        destination,
        header=compiled.header(),
        format=Format(format_name) if format_name else None,
        facts=compiled.facts(),
        map_file=map_file,
    )
