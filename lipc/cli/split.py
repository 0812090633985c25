"""``lipc split MODEL``: one hard question as several files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipc.cli.options import TRUST_BOUNDS, Question, pass_options, passes_from, question_options
from lipc.cli.solve import SECONDS, SEED
from lipc.cli.streams import say

if TYPE_CHECKING:
    from lipc.compiler import Compiled
    from lipc.pieces import Split

MANIFEST = "manifest.json"
SCHEMA = 1


@click.command("split", short_help="Cut a hard question into several files.")
@question_options
@pass_options
@TRUST_BOUNDS
@click.option("-o", "--output-dir", "folder", metavar="DIR", required=True, help="A new or empty folder.")
@click.option(
    "--pieces", type=click.IntRange(1, 100_000), metavar="N", default=16, show_default=True, help="About how many."
)
@click.option("--time-limit", type=SECONDS, metavar="S", help="Cut no longer than S seconds.")
@click.option("--seed", type=SEED, metavar="N", default=0, show_default=True, help="Of the local search.")
def command(
    model: str,
    level: int | None,
    passes: str | None,
    mode: Any,
    bounds: Any,
    trust_bounds: bool,
    folder: str,
    pieces: int,
    time_limit: float | None,
    seed: int,
    **question: Any,
) -> None:
    """Cut a Lipschitz question into independent ones and write an MPS file for each.

    The pieces are the open nodes of the branch and bound of 'lipc solve': some signs of the direction and some neurons
    are decided, and parts that are proven to hold nothing above the best value known are left out. The answer is the
    largest of that value and of the optima of all files; manifest.json lists them, with the value, its witness, and a
    proven bound of each.
    """
    from lipc.compiler import compile as compile_model
    from lipc.errors import OutputError, QueryError
    from lipc.options import Options
    from lipc.pieces import split

    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError("is no empty folder", where=folder, hint="name a new one")
    if mode == "reverse":
        raise QueryError("pieces are made in forward mode", hint="leave out --mode reverse")
    chosen = passes_from(level, passes, "forward" if passes is None else mode, bounds, 2)
    network, query = Question.of(**question).read(model)
    if query is not None and len(query.pieces()) > 1:
        raise QueryError("a question over several domains is in pieces already", hint="split each domain by itself")
    compiled = compile_model(network, query, passes=chosen, trust_bounds=trust_bounds)
    options = Options(float("inf") if time_limit is None else time_limit, seed=seed)
    parts = split(compiled, pieces, options)
    write(compiled, parts, target)
    number = len(parts.pieces)
    left = f"{number} piece{'' if number == 1 else 's'} in {folder}" if number else "nothing is left to solve"
    say(f"lipc: {parts.lower:.9g} <= answer <= {parts.upper:.9g} after {parts.nodes} nodes; {left}")


def write(compiled: Compiled, parts: Split, folder: Path) -> None:
    """Write the files of all pieces and, when they are all there, the manifest.

    Raises
    ------
    OutputError
        If something cannot be written.
    """
    from lipc.errors import OutputError
    from lipc.formats.output import write_files, write_model

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(error.strerror or str(error), where=str(folder)) from error
    entries = []
    for number, piece in enumerate(parts.pieces, 1):
        name = f"piece.{number}.mps"
        write_model(piece.program, folder / name, header=compiled.header(), facts=compiled.facts())
        decided = {str(place): value for place, value in enumerate(piece.direction.tolist()) if value == value}
        neurons = [{"name": each.name, "entry": each.entry, "on": each.on} for each in piece.neurons]
        entries.append({"file": name, "bound": piece.bound, "direction": decided, "neurons": neurons})
    witness = parts.witness
    known = None if witness is None else {"value": witness.value, "x": witness.x.tolist()}
    manifest = {
        "schema": SCHEMA,
        "query": compiled.describe(),
        "answer": "the largest of `known` and of the optima of all files (each file minimizes the negative)",
        "lower": parts.lower,
        "upper": parts.upper,
        "known": known,
        "pieces": entries,
    }
    write_files([(folder / MANIFEST, [json.dumps(manifest, indent=1).encode() + b"\n"])])
