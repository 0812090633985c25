"""``lipc split MODEL``: one hard question as several files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EACCES
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipc.cli.completion import FILE
from lipc.cli.options import TRUST_BOUNDS, Question, pass_options, question_options
from lipc.cli.solve import SECONDS, SEED
from lipc.cli.streams import say

if TYPE_CHECKING:
    from lipc.compiler import Compiled
    from lipc.errors import OutputError
    from lipc.passes.pipeline import Level
    from lipc.solving.pieces import Piece, Split

MANIFEST = "manifest.json"
SCHEMA = 1


@click.command("split", short_help="Cut a hard question into several files.")
@question_options
@pass_options
@TRUST_BOUNDS
@click.option("-o", "--output-dir", "folder", type=FILE, metavar="DIR", required=True, help="A new or empty folder.")
@click.option(
    "--pieces", type=click.IntRange(1, 100_000), metavar="N", default=16, show_default=True, help="About how many."
)
@click.option("--time-limit", type=SECONDS, metavar="S", help="Cut no longer than S seconds.")
@click.option("--seed", type=SEED, metavar="N", default=0, show_default=True, help="Of the local search.")
def command(
    model: str,
    level: Level | None,
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
    from lipc.errors import QueryError
    from lipc.jobs.stated import PassWords
    from lipc.options import Options
    from lipc.solving.node_columns import FORWARD
    from lipc.solving.pieces import split

    check_folder(folder)
    if mode == "reverse":
        raise QueryError("pieces are made of a Jacobian in forward mode", hint=FORWARD)
    chosen = PassWords(level, passes, "forward" if passes is None else mode, bounds).understood()
    network, query = Question.of(**question).read(model)
    if query is not None and len(query.pieces()) > 1:
        raise QueryError("a question over several domains is in pieces already", hint="split each domain by itself")
    with new_folder(Path(folder)):
        compiled = compile_model(network, query, passes=chosen, trust_bounds=trust_bounds)
        options = Options(float("inf") if time_limit is None else time_limit, seed=seed)
        parts = split(compiled, pieces, options)
        write(compiled, parts, Path(folder))
    number = len(parts.pieces)
    left = f"{number} piece{'' if number == 1 else 's'} in {folder}" if number else "nothing is left to solve"
    say(f"lipc: {parts.lower:.9g} <= answer <= {parts.upper:.9g} after {parts.nodes} nodes; {left}")


def check_folder(folder: str) -> None:
    """Refuse what is no place for files, before the work.

    Raises
    ------
    OutputError
        If it is standard output, a file, or a folder with something in it.
    """
    from lipc.errors import OutputError
    from lipc.formats.output import Format, check_destination, is_stdout

    if is_stdout(folder):
        raise OutputError("pieces are several files", where=folder, hint="name a folder")
    check_destination(Path(folder) / MANIFEST, format=Format.MPS)
    target = Path(folder)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OutputError("is no empty folder", where=folder, hint="name a new one")
    except OSError as error:
        raise _failure(folder, error) from error


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Make a folder, and those it is in: not to be told after hours that it cannot be; take back what stays empty.

    Raises
    ------
    OutputError
        If it cannot be made, or nothing can be written there.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(EACCES, os.strerror(EACCES))
    except OSError as error:
        raise _failure(str(folder), error) from error
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in made:
                path.rmdir()
        raise


def _failure(where: str, error: OSError) -> OutputError:
    from lipc.errors import OutputError

    return OutputError(f"cannot be written: {error.strerror or error}", where=where)


def write(compiled: Compiled, parts: Split, folder: Path) -> None:
    """Write the files of all pieces and the manifest: all of them, or nothing.

    Raises
    ------
    OutputError
        If something cannot be written.
    """
    from lipc.formats.output import Format, sidecar_path, write_files
    from lipc.formats.sidecar import sidecar, sidecar_text

    header, facts = compiled.header(), compiled.facts()
    files: list[tuple[Path, Iterable[bytes]]] = []
    entries: list[dict[str, object]] = []
    for number, piece in enumerate(parts.pieces, 1):
        path = folder / f"piece.{number}.mps"
        files.append((path, Format.MPS.chunks(piece.program, header)))
        files.append((sidecar_path(path), (sidecar_text(sidecar(each, facts=facts)) for each in (piece.program,))))
        entries.append({"file": path.name, **_entry(piece)})
    # Renamed last: where it stands, everything does.
    files.append((folder / MANIFEST, [_manifest(compiled, parts, entries)]))
    write_files(files)


def _entry(piece: Piece) -> dict[str, object]:
    from lipc.formats.sidecar import objective_of

    decided = {str(place): value for place, value in enumerate(piece.direction.tolist()) if value == value}
    neurons = [{"name": each.name, "entry": each.entry, "on": each.on} for each in piece.neurons]
    return {
        "bound": _number(piece.bound),
        "objective": objective_of(piece.program),
        "output": piece.output.tolist(),
        "direction": decided,
        "neurons": neurons,
    }


def _number(value: float) -> float | None:
    """Return a number as JSON knows it."""
    return value if isfinite(value) else None


def _manifest(compiled: Compiled, parts: Split, entries: list[dict[str, object]]) -> bytes:
    witness = parts.witness
    manifest = {
        "schema": SCHEMA,
        "query": compiled.describe(),
        "answer": "the largest of known.value and, of all files, of sign * scale * (the least OBJ) + constant",
        "gap": parts.gap,
        "lower": parts.lower,
        "upper": _number(parts.upper),
        "known": None if witness is None else {"value": witness.value, "x": witness.x.tolist()},
        "pieces": entries,
    }
    return json.dumps(manifest, indent=1, allow_nan=False).encode() + b"\n"
