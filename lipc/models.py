"""Models from files and from memory: which front end reads what."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from lipc.errors import ModelError
from lipc.frontends.network import Network
from lipc.ir import Input, Kind, Norm, Program, Sense
from lipc.query import Query

if TYPE_CHECKING:
    import onnx

Model: TypeAlias = "str | Path | Network | Program | onnx.ModelProto"
"""A path to a file (.onnx, .lip, .lir), a network from any front end, a program, or an ONNX model in memory."""

SourceFormat: TypeAlias = Literal["onnx", "lip", "lir"]
"""What a file holds."""

MEMORY = "<program>"

STANDARD_INPUT = "-"


def read_model(model: Model, *, drop_softmax: bool = False, source_format: SourceFormat | None = None) -> Network:
    """Return the network of a file or of a model in memory.

    Parameters
    ----------
    model
        A path is read by its ending: ``.lip`` is the language, ``.lir`` (or ``.lir.gz``) a textual program, anything
        else ONNX. ``-`` is standard input; what that refers to is looked for in the current folder.
    drop_softmax
        Leave out a Softmax at the end of an ONNX model.
    source_format
        What a path holds, whatever its ending; needed for standard input.

    Raises
    ------
    ModelError
        If it cannot be read or holds something that is not supported.
    """
    if isinstance(model, Network):
        return model
    started = perf_counter()
    network = _read(model, drop_softmax, source_format)
    return replace(network, seconds=perf_counter() - started)


def _read(
    model: str | Path | Program | onnx.ModelProto, drop_softmax: bool, source_format: SourceFormat | None
) -> Network:
    if isinstance(model, Program):
        return network_of(model, MEMORY)
    if isinstance(model, str | Path):
        return _read_file(model, drop_softmax, source_format)
    if not hasattr(model, "graph"):
        raise ModelError(f"a {type(model).__name__} is no model", hint="a path, a Network or an onnx.ModelProto")
    from lipc.frontends.onnx import import_onnx

    return import_onnx(model, drop_softmax=drop_softmax)


def _read_file(path: str | Path, drop_softmax: bool, source_format: SourceFormat | None) -> Network:
    if not str(path):
        raise ModelError("no model is named")
    if str(path) == STANDARD_INPUT:
        return _read_standard_input(drop_softmax, source_format)
    if "\0" in str(path):
        raise ModelError("cannot be read: no path holds a NUL character", where=repr(str(path)))
    with suppress(OSError):  # a name that is too long, say: reading it fails with a better error
        if Path(path).is_dir():
            raise ModelError("is a folder, not a model", where=str(path))
    return _read_content(path, drop_softmax, source_format or _format_of(Path(path).name), None)


def _format_of(name: str) -> SourceFormat:
    if name.endswith(".lip"):
        return "lip"
    return "lir" if name.endswith((".lir", ".lir.gz")) else "onnx"


def _read_standard_input(drop_softmax: bool, source_format: SourceFormat | None) -> Network:
    where = "standard input"
    if source_format is None:
        hint = f"say it by --from: {', '.join(get_args(SourceFormat))}"
        raise ModelError("has no ending that says what model it is", where=where, hint=hint)
    if sys.stdin is None:
        raise ModelError("cannot be read: it is closed", where=where)
    try:
        content = sys.stdin.buffer.read()
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=where) from error
    return replace(_read_content(where, drop_softmax, source_format, content), files=())


def _read_content(path: str | Path, drop_softmax: bool, source_format: SourceFormat, content: bytes | None) -> Network:
    """Return the network of a file, or of what was read of it."""
    if source_format == "lip":
        from lipc.frontends.lip import read_lip

        return read_lip(path, content)
    if source_format == "lir":
        from lipc.formats.lir import constants_path, read_lir

        program, beside = read_lir(path, content), constants_path(path)
        files = (str(path), str(beside)) if beside.is_file() else (str(path),)
        return replace(network_of(program, str(path)), files=files)
    from lipc.frontends.onnx import read_onnx

    return read_onnx(path, drop_softmax=drop_softmax, content=content)


def network_of(program: Program, source: str) -> Network:
    """Return a program as a network: its domain, and its objective if it has one, are the question.

    A program of several inputs, such as one that holds a Jacobian, or without an entry of one, is a network without a
    query: it can be lowered, but asked nothing else.

    Parameters
    ----------
    source
        What messages call it.
    """
    inputs = [op for op in program.ops if isinstance(op, Input)]
    outputs = (program.ops[program.result].size,)
    output_name = program.ops[program.result].origin.name
    if len(inputs) != 1 or inputs[0].kind is Kind.BIT or not inputs[0].size:
        return Network(program, (), outputs, "", output_name, source)
    ((only),) = inputs
    return Network(program, (only.size,), outputs, only.origin.name, output_name, source, _question_of(program, only))


def _question_of(program: Program, network_input: Input) -> Query | None:
    """Return the query that a program of one input asks; `None` if it neither asks nor bounds its input."""
    domain = network_input.domain
    bounded = bool(np.isfinite(domain.lower).all() and np.isfinite(domain.upper).all())
    objective = program.objective
    if objective is None:
        return Query(domain) if bounded else None
    if objective.lipschitz is not None:
        return Query(domain, norm=objective.lipschitz.norm, output_norm=objective.lipschitz.output_norm)
    return Query(domain, norm=Norm.LINF, goal="max" if objective.sense is Sense.MAXIMIZE else "min")
