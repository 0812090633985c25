"""``lipc estimate MODEL``: the methods of the literature on one question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lipc.cli.options import QUIET, Question, question_options
from lipc.cli.solve import SECONDS, SEED
from lipc.cli.streams import NOT_FOUND, put, say

if TYPE_CHECKING:
    from lipc.estimators.run import Estimated

LIST_WIDTH = 100
"""Columns of the list of methods."""


def _list(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the methods instead of running any."""
    if not wanted or ctx.resilient_parsing:
        return
    from textwrap import wrap

    from lipc.estimators.catalogue import ESTIMATORS, estimator_class, estimator_names

    lines = ["Methods, with the defaults of their options:"]
    for name in estimator_names():
        usage, summary = ESTIMATORS.describe(name)
        found = estimator_class(name)
        assert found is not None
        lines += ["", f"  {usage}: {found.kind.value}"]
        for text in (summary.replace("``", "'"), found.source):
            lines += wrap(text, LIST_WIDTH, initial_indent="      ", subsequent_indent="      ")
    put("\n".join(lines))
    ctx.exit()


@click.command("estimate", short_help="Bound the constant by methods of the literature.")
@question_options
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="A method, with its options like 'lipsdp{mode=neuron}'; several: by commas, or --method again.",
)
@click.option("--all", "every", is_flag=True, help="All methods.")
@click.option("--time-limit", type=SECONDS, metavar="S", default=60, show_default=True, help="For each method.")
@click.option("--seed", type=SEED, metavar="N", default=0, show_default=True, help="Of random points.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per method, a line each, on stdout.")
@QUIET
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List the methods.")
def command(
    model: str,
    methods: tuple[str, ...],
    every: bool,
    time_limit: float,
    seed: int,
    as_json: bool,
    quiet: bool,
    **question: Any,
) -> int:
    """Bound or estimate a local Lipschitz constant by methods of the literature.

    Each line says what its number is: 'upper' is never below the constant, 'lower' never above, 'exact' both within the
    gap; 'heuristic' may be either. The exit code is 1 where a method that was named does not apply, or none does.
    """
    from lipc.errors import QueryError
    from lipc.estimators.run import estimate

    if every == bool(methods):
        raise QueryError(
            "--all and --method exclude each other" if every else "no method is named",
            hint="name one by --method, or take --all; --list shows them",
        )
    network, query = Question.of(**question).read(model)

    def tell(answer: Estimated) -> None:
        if as_json:
            put(answer.to_json())
        elif not quiet:
            say(f"lipc: {answer.method}: {answer.refusal or f'{answer.seconds:.2f} s'}")

    answers = estimate(network, query, methods=methods or None, time_limit=time_limit, seed=seed, on_estimate=tell)
    if not as_json:
        _show(answers)
    refused = sum(answer.estimate is None for answer in answers)
    return NOT_FOUND if (refused == len(answers) if every else refused) else 0


def _show(answers: tuple[Estimated, ...]) -> None:
    """Print the answers as a table on stdout."""
    from rich.table import Table
    from rich.text import Text

    from lipc.cli.show import number, put_rich

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("method", "kind", "value", "seconds"):
        table.add_column(name, justify="right" if name in ("value", "seconds") else "left", no_wrap=True)
    table.add_column("what it refers to")
    for answer in answers:
        found = answer.estimate
        if found is None:
            cells = [answer.method, "-", "-", f"{answer.seconds:.3f}", f"does not apply: {answer.refusal}"]
        else:
            parts = [f"{found.norm}, {found.domain}", found.factor and f"times {found.factor}", found.note]
            about = "; ".join(filter(None, parts))
            cells = [answer.method, answer.kind.value, number(answer.value), f"{answer.seconds:.3f}", about]
        table.add_row(*map(Text, cells))
    put_rich(table)
