"""``lipc verify RESULT.json``: a result checked again, without a solver."""

from __future__ import annotations

import click

from lipc.cli.completion import FILE
from lipc.cli.streams import NOT_FOUND, put


@click.command("verify", short_help="Check a result again, without a solver.")
@click.argument("result", type=FILE, metavar="RESULT.json")
@click.option("--model", type=FILE, metavar="FILE", help="The model, if it is not where the result says.")
def command(result: str, model: str | None) -> int:
    """Check what 'lipc solve --json' wrote; RESULT.json may be '-', standard input.

    The model is read again and the witness recomputed in exact arithmetic. Each line says of a claim whether it is
    proven, trusted (it rests on a solver, or on what lipc proved when it ran), or wrong. The exit code is 1 where one
    is wrong.
    """
    from lipc.verify import read_result, verify

    verification = verify(read_result(result), model)
    lines = [f"{each.verdict.value:<8} {each.claim}: {each.reason}" for each in verification.findings]
    put("\n".join(lines))
    return 0 if verification.holds else NOT_FOUND
