"""``lipc opt MODEL --passes ...``: run passes one by one and look at the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lipc.cli.compile import write_program
from lipc.cli.completion import FILE
from lipc.cli.options import Question, pass_options, question_options
from lipc.cli.streams import put, say

if TYPE_CHECKING:
    from lipc.passes.base import Pass
    from lipc.passes.pipeline import Level
    from lipc.passes.run import Step

DUMPED_NUMBERS = 16
"""Larger constants are elided in what `--print-after` prints."""


def _list(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the passes and the named pipelines instead of running any."""
    if not wanted or ctx.resilient_parsing:
        return
    from typing import get_args

    from lipc.errors import QueryError
    from lipc.passes.pipeline import Level, describe_pass, named_pipeline, pass_names, print_pipeline

    def described(name: str) -> tuple[str, str]:
        try:
            return describe_pass(name)
        except QueryError as error:  # another package's, which must not hide the rest
            return name, f"cannot be used: {error}"

    entries = [described(name) for name in pass_names()]
    width = max(len(usage) for usage, _ in entries)
    lines = ["Passes, with the defaults of their options:", ""]
    lines += [f"  {usage:<{width}}  {summary}" for usage, summary in entries]
    lines += ["", "Pipelines:", ""]
    lines += [f"  -O{level}  {print_pipeline(named_pipeline(level))}" for level in get_args(Level)]
    put("\n".join(lines))
    ctx.exit()


@click.command("opt", short_help="Run passes and print the program.")
@question_options
@pass_options
@click.option(
    "-o", "destination", default="-", type=FILE, metavar="FILE", help="A .lir or .lir.gz file; '-' for stdout."
)
@click.option(
    "--elide", type=click.IntRange(0), metavar="N", help="Leave out constants of more than N numbers: to look at only."
)
@click.option(
    "--print-after", multiple=True, metavar="NAME", help="Print the program on stderr after a pass, or after 'all'."
)
@click.option(
    "--verify-each/--no-verify-each", default=True, show_default=True, help="Verify the program after each pass."
)
@click.option(
    "--validate",
    type=click.IntRange(0),
    metavar="N",
    help="Run the program before and after each pass on N points of the domain, and compare.",
)
@click.option("--time-passes", is_flag=True, help="Print what each pass took and did on stderr.")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List the passes.")
def command(
    model: str,
    level: Level | None,
    passes: str | None,
    mode: Any,
    bounds: Any,
    destination: str,
    elide: int | None,
    print_after: tuple[str, ...],
    verify_each: bool,
    validate: int | None,
    time_passes: bool,
    **question: Any,
) -> None:
    """Run passes on a program and print what comes out.

    MODEL may be a .lir file, which keeps its bounds, or anything else that lipc reads. Without --passes or -O no pass
    is run: the program is printed as the front end made it.
    """
    from lipc.cli.show import show_passes
    from lipc.compiler import ask
    from lipc.errors import OutputError, QueryError
    from lipc.formats.output import is_stdout
    from lipc.jobs.stated import PassWords
    from lipc.passes.run import run_passes

    if not is_stdout(destination) and not destination.endswith((".lir", ".lir.gz")):
        raise OutputError("the ending says no textual program", where=destination, hint="use .lir or .lir.gz")
    chosen: tuple[Pass, ...] = ()
    if any(option is not None for option in (level, passes, mode, bounds)):
        chosen = PassWords(level, passes, mode, bounds).understood()
    _check_names(print_after, chosen)
    network, query = Question.of(**question).read(model)
    if query is not None and len(query.pieces()) > 1:
        message = f"the domain is a union of {len(query.pieces())}, and a program has one"
        raise QueryError(message, where=model, hint="name one by --box or --center")
    # A program that asks nothing, or what nobody can answer, can be looked at.
    asked = network.program
    if query is not None or (chosen and asked.objective is not None):
        asked = ask(network, query, trust_bounds=True)[1]

    def dump(step: Step) -> None:
        if step.name in print_after or "all" in print_after:
            from lipc.ir import print_program

            shown = DUMPED_NUMBERS if elide is None else elide
            say(f"// after {step.name}\n{print_program(step.after, elide=shown)}")

    trail = run_passes(asked, chosen, verify_each=verify_each, validate=validate, on_step=dump)
    if time_passes:
        show_passes(trail)
    write_program(trail.program, destination, elide=elide)


def _check_names(wanted: tuple[str, ...], chosen: tuple[Pass, ...]) -> None:
    from lipc.errors import QueryError

    run = list(dict.fromkeys(each.name for each in chosen))
    for name in wanted:
        if name not in run and name != "all":
            hint = f"these are: {', '.join(run)}" if run else "choose passes by --passes or -O"
            raise QueryError(f"--print-after {name}: no such pass is run", hint=hint)
