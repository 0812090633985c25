"""``lipc MODEL -o model.mps``: write the mixed-integer program."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lipc.cli.completion import FILE
from lipc.cli.options import FORMULATION, TRUST_BOUNDS, Question, pass_options, question_options
from lipc.cli.streams import say

if TYPE_CHECKING:
    from lipc.cli.warn import WarningFilter
    from lipc.compiler import Compiled
    from lipc.ir import Program
    from lipc.mip import Formulation, MixedIntegerProgram
    from lipc.passes.pipeline import Level

WIDEST_RANGE = 1e8
"""The largest quotient of two coefficients about which a solver's tolerances leave no doubt."""

STAGES_BESIDES = 2
"""Beside passes: lowering and writing."""


@click.command("compile", short_help="Write the program as MPS or LP (what `lipc MODEL` does).")
@question_options
@pass_options
@TRUST_BOUNDS
@FORMULATION
@click.option(
    "-o", "destination", default="-", type=FILE, metavar="FILE", help="A .mps, .lp or .lir file, also .gz; '-': stdout."
)
@click.option(
    "--emit", "--format", "emit", type=click.Choice(["mps", "lp", "ir"]), help="What goes to stdout.  [default: mps]"
)
@click.option(
    "--map",
    "map_file",
    type=FILE,
    metavar="FILE",
    help="The sidecar.  [default: model.map.json beside FILE; of MODEL in this folder with '-o -']",
)
@click.option("--no-map", is_flag=True, help="No sidecar.")
@click.option(
    "--settings", type=FILE, metavar="FILE", help="Write settings that win on these programs, for SCIP: model.set."
)
@click.option(
    "--start", type=FILE, metavar="FILE", help="Write a good solution to start from: model.sol (SCIP) or .mst (Gurobi)."
)
@click.option("--time-passes", is_flag=True, help="Print what each pass took and did on stderr.")
def command(
    model: str,
    level: Level | None,
    passes: str | None,
    mode: Any,
    bounds: Any,
    trust_bounds: bool,
    formulation: Formulation,
    destination: str,
    emit: str | None,
    map_file: str | None,
    no_map: bool,
    settings: str | None,
    start: str | None,
    time_passes: bool,
    **question: Any,
) -> None:
    """Write the mixed-integer program of a question as a file that any solver reads.

    Its optimum is the answer. The file minimizes: a constant to be maximized stands in it negated. The sidecar
    model.map.json says so, and what each variable is; 'lipc check' reads solutions back by it. A question over several
    domains makes a file for each, numbered: model.1.mps, model.2.mps, ...
    """
    from lipc.cli.show import show_passes
    from lipc.cli.stages import Stages
    from lipc.compiler import compile as compile_model
    from lipc.errors import OutputError
    from lipc.formats.output import Format, check_destination, is_stdout, write_model
    from lipc.jobs.stated import PassWords

    if emit is not None and not is_stdout(destination):
        raise OutputError("--emit is for standard output", hint="the ending of -o says the format")
    if no_map and map_file is not None:
        raise OutputError("--map and --no-map contradict each other")
    as_ir = emit == "ir" or destination.endswith((".lir", ".lir.gz"))
    if not as_ir:
        check_destination(destination, map_file)  # before the work: a mistake costs nothing
    elif map_file is not None:
        raise OutputError("--map belongs to a model file, and a textual program has no sidecar of that kind")
    if as_ir and (settings or start):
        raise OutputError("--settings and --start belong to a model file", hint="write a .mps or .lp file")
    check_start(start)
    source = click.get_current_context().get_parameter_source("destination")
    if destination == "-" and source is not ParameterSource.DEFAULT and not (as_ir or no_map or map_file):
        map_file = sidecar_of_pipe(model)
    chosen = PassWords(level, passes, mode, bounds).understood()
    asked = Question.of(**question)
    if not as_ir:
        warn_of_readers(asked.filter, formulation, emit == "lp" or destination.endswith((".lp", ".lp.gz")))
    network, query = asked.read(model)
    pieces = [None] if query is None else query.pieces()
    starts = [None] * len(pieces) if start is None else numbered(start, len(pieces), None)
    if settings is not None:
        write_settings(settings)
    for piece, start_file, file in zip(pieces, starts, numbered(destination, len(pieces), map_file), strict=True):
        with Stages(len(chosen) + STAGES_BESIDES) as stages:
            compiled = compile_model(
                network,
                piece,
                passes=chosen,
                trust_bounds=trust_bounds,
                formulation=formulation,
                on_stage=stages.next,
            )
            if not as_ir:
                warn_of_range(asked.filter, compiled.mip)
                stages.next("write")
                facts, kind = None if no_map else compiled.facts(), Format(emit) if emit else None
                write_model(compiled.mip, file, header=compiled.header(), format=kind, facts=facts, map_file=map_file)
        if time_passes:
            show_passes(compiled.trail)
        if as_ir:
            write_program(compiled.program, file)
            continue
        if start_file is not None:
            write_start(compiled, start_file)
    if query is not None and len(pieces) > 1:
        best = "least" if query.goal == "min" else "largest"
        say(f"lipc: note: one file for each of {len(pieces)} domains; the answer is the {best} of their optima")


def sidecar_of_pipe(model: str) -> str | None:
    """Return where the sidecar goes if the program is piped by ``-o -``: ``net.map.json`` of net.onnx, in this folder.

    None for a model from standard input, which has no name, and (with a note) if nothing can be written here.

    Raises
    ------
    OutputError
        If something else stands there.
    """
    from lipc.errors import OutputError
    from lipc.formats.output import is_own_sidecar

    name = re.sub(r"(\.(onnx|lip|lir))?(\.gz)?\Z", "", Path(model).name)
    if model == "-" or not name:
        return None
    beside = Path(f"{name}.map.json")
    if beside.exists() and not is_own_sidecar(beside):
        hint = "name the sidecar by --map FILE, or leave it out by --no-map"
        raise OutputError("is no sidecar of lipc, and is not overwritten", where=str(beside), hint=hint)
    if not os.access(".", os.W_OK):
        say(f"lipc: note: {beside} cannot be written here, and there is no sidecar (see --map)")
        return None
    return str(beside)


def warn_of_readers(shown: WarningFilter, formulation: Formulation, as_lp: bool) -> None:
    """Warn of a formulation that not all solvers read, naming those that do.

    Raises
    ------
    QueryError
        If such warnings are errors.
    """
    if formulation == "bigm":
        return
    from lipc.solvers.base import WORDS
    from lipc.solvers.registry import readers_of

    silently = "; CBC leaves them out without a word" if formulation == "indicator" and as_lp else ""
    readers = ", ".join(readers_of(formulation))
    shown.tell("readers", f"{WORDS[formulation]} are read by {readers}, and not by every other solver{silently}")


def warn_of_range(shown: WarningFilter, program: MixedIntegerProgram) -> None:
    """Warn of coefficients that a solver's tolerances cannot hold together.

    Raises
    ------
    QueryError
        If such warnings are errors.
    """
    least, most = program.coefficient_range
    if most > WIDEST_RANGE * least:
        hint = "the passes scale and prune-stable, tighter bounds (-O3) or a smaller domain bring them together"
        shown.tell("range", f"the coefficients of the program span {least:.2g} .. {most:.2g}, more than 1e8", hint)


def numbered(destination: str, count: int, map_file: str | None) -> list[str]:
    """Return a file for each of several domains: ``model.1.mps``, ``model.2.mps``, ...

    Raises
    ------
    OutputError
        If there are several and they would go to one place.
    """
    from lipc.errors import OutputError
    from lipc.formats.output import is_stdout

    if count == 1:
        return [destination]
    if is_stdout(destination) or map_file is not None:
        raise OutputError(f"{count} domains make {count} files", hint="name them with -o alone: they are numbered")
    ending = re.search(r"(\.[a-z]+(\.gz)?)?\Z", destination)
    assert ending is not None  # it may be empty
    stem, rest = destination[: ending.start()], ending[0]
    return [f"{stem}.{number}{rest}" for number in range(1, count + 1)]


def check_start(destination: str | None) -> None:
    """Refuse a name that says no format of start solutions, before the work.

    Raises
    ------
    OutputError
        With the endings there are.
    """
    from lipc.errors import OutputError
    from lipc.solvers.guidance import START_ENDINGS

    if destination is not None and not destination.endswith(START_ENDINGS):
        hint = f"use one of {', '.join(START_ENDINGS)}"
        raise OutputError("the ending says no format of start solutions", where=destination, hint=hint)


def write_settings(destination: str) -> None:
    """Write settings for SCIP.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    from lipc.formats.output import write_files
    from lipc.solvers.guidance import scip_settings

    write_files([(Path(destination), [scip_settings().encode()])])


def write_start(compiled: Compiled, destination: str) -> None:
    """Write a start solution; a note on stderr if there is none.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    from lipc.formats.output import write_files
    from lipc.solvers.guidance import start_text
    from lipc.solving.start import start_columns

    columns = start_columns(compiled)
    if columns is None:
        say("lipc: note: no start solution was found, and none is written")
        return
    write_files([(Path(destination), [start_text(compiled.mip, columns, Path(destination).suffix).encode()])])


def write_program(program: Program, destination: str, *, elide: int | None = None) -> None:
    """Write a textual program; on standard output whole, in a file with large constants beside it.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    from lipc.cli.streams import put
    from lipc.formats.lir import write_lir
    from lipc.formats.output import is_stdout
    from lipc.ir import print_program

    if is_stdout(destination):
        put(print_program(program, elide=elide))
    else:
        write_lir(program, destination, elide=elide)
