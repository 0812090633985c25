"""``model.map.json``: what the columns of a model file stand for, and how to read a solver's answer back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc import __version__
from lipc.errors import InternalError, LipcError
from lipc.formats.arrays import packed, unpacked
from lipc.ir import Floats, Sense
from lipc.mip import Block, MixedIntegerProgram, Role

SCHEMA = 2
"""Version 2 added the program itself (``program``); files of version 1 are still read."""

_READ = (1, SCHEMA)
_ROW_ARRAYS = ("row_lower", "row_upper")
_COLUMN_ARRAYS = ("column_lower", "column_upper", "integer", "cost", "column_scale")
T = TypeVar("T")
_OWN = ("schema", "generator", "objective", "columns", "rows", "program")


@dataclass(frozen=True, eq=False)
class ModelMap:
    """A sidecar as read back.

    Parameters
    ----------
    generator
        What wrote it, ``lipc 0.1.0``.
    sense
        The sense of the original objective; the file always minimises.
    sign, scale, constant
        The original objective is ``sign * scale * OBJ + constant``.
    columns, rows
        The blocks of the program, in the order of the file. An LP file has two rows for one with two sides.
    facts
        Everything else that was written (source model, query, removed neurons, ...).
    packed
        The matrix and the bounds of the program (`program` unpacks them); `None` in a sidecar of schema version 1.
    """

    generator: str
    sense: Sense
    sign: int
    scale: float
    constant: float
    columns: tuple[Block, ...]
    rows: tuple[Block, ...]
    facts: Mapping[str, object]
    packed: str | None = None

    def original(self, value: float) -> float:
        """Return the original objective where a solver prints `value` for ``OBJ``."""
        return self.sign * self.scale * value + self.constant

    def column_names(self) -> list[str]:
        """Return the names of all columns, in the order of the file."""
        return [name for block in self.columns for name in block.names()]

    def program(self) -> MixedIntegerProgram:
        """Return the program that the model file holds, bit by bit.

        Raises
        ------
        ValueError
            The sidecar does not hold it, or it is broken.
        """
        if self.packed is None:
            raise ValueError("it does not hold the program")
        arrays = unpacked(self.packed)
        try:
            return self._program(arrays)
        except KeyError as error:
            raise ValueError(f"the packed program has no array {error}") from error

    def _program(self, arrays: Mapping[str, NDArray[Any]]) -> MixedIntegerProgram:
        """Return the program of its arrays, whose shapes and entries are checked."""
        rows, columns = (sum(len(block.entries) for block in blocks) for blocks in (self.rows, self.columns))
        of_rows = {name: arrays[name] for name in _ROW_ARRAYS}
        of_columns = {name: arrays[name] for name in _COLUMN_ARRAYS}
        for size, each in ((rows, of_rows), (columns, of_columns)):
            for name, array in each.items():
                if array.shape != (size,) or np.isnan(array).any():
                    raise ValueError(f"the packed array {name!r} does not fit")
        data, indices, starts = (arrays[name] for name in ("data", "indices", "indptr"))
        if indices.dtype.kind not in "iu" or starts.dtype.kind not in "iu" or not np.isfinite(data).all():
            raise ValueError("the packed matrix holds something else than numbers")
        matrix = csr_array((data, indices, starts), shape=(rows, columns))
        matrix.check_format(full_check=True)
        return MixedIntegerProgram(
            matrix=matrix,
            row_lower=of_rows["row_lower"],
            row_upper=of_rows["row_upper"],
            column_lower=of_columns["column_lower"],
            column_upper=of_columns["column_upper"],
            integer=of_columns["integer"] != 0,
            cost=of_columns["cost"],
            column_scale=of_columns["column_scale"],
            constant=self.constant,
            sense=self.sense,
            columns=self.columns,
            rows=self.rows,
            objective_scale=self.scale,
        )


def sidecar(program: MixedIntegerProgram, *, facts: Mapping[str, object]) -> dict[str, object]:
    """Describe a program for who reads a solver's answer: a value for JSON.

    Parameters
    ----------
    program
        The program that the model file holds.
    facts
        Merged in at the top level; may not hold one of the sidecar's own keys.
    """
    taken = sorted(set(_OWN) & set(facts))
    if taken:
        raise InternalError(f"a fact may not be called {taken[0]!r}: the sidecar has that key itself")
    return {
        "schema": SCHEMA,
        "generator": f"lipc {__version__}",
        "objective": objective_of(program),
        **facts,
        "columns": [_block(block) | _scales(program.column_scale[block.columns]) for block in program.columns],
        "rows": [_block(block) for block in program.rows],
        "program": _packed(program),
    }


def objective_of(program: MixedIntegerProgram) -> dict[str, object]:
    """Return how the objective of a file leads to the original one: ``sign * scale * OBJ + constant``."""
    return {
        "sense": program.sense.value,
        "sign": -1 if program.sense is Sense.MAXIMIZE else 1,
        "scale": float(program.objective_scale),
        "constant": float(program.constant),
    }


def _packed(program: MixedIntegerProgram) -> str:
    matrix = program.matrix
    arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    return packed(arrays | {name: getattr(program, name) for name in (*_ROW_ARRAYS, *_COLUMN_ARRAYS)})


def sidecar_text(content: Mapping[str, object]) -> bytes:
    """Return a sidecar as JSON in ASCII: one line per key, and one per block of columns or rows."""
    lines = []
    for key, value in content.items():
        text = _dumps(value)
        if key in ("columns", "rows") and isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(map(_dumps, value)) + "\n ]"
        lines.append(f" {_dumps(key)}: {text}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii")


def read_sidecar(path: str | Path) -> ModelMap:
    """Read a sidecar.

    Raises
    ------
    LipcError
        The file cannot be read, is not JSON, or is not a sidecar of a schema version that is known; names the file.
    """
    where = str(path)
    try:
        content = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise LipcError(f"cannot read the sidecar: {error.strerror or error}", where=where) from error
    except (ValueError, RecursionError) as error:
        raise LipcError(f"the sidecar is not JSON: {error}", where=where) from error
    if not isinstance(content, dict):
        raise LipcError("the sidecar is not a JSON object", where=where)
    if content.get("schema") not in _READ:
        raise LipcError(
            f"the sidecar has schema version {content.get('schema')!r}, this lipc reads {SCHEMA}",
            where=where,
            hint="write the model again",
        )
    try:
        return _model_map(content)
    except KeyError as error:
        raise LipcError(f"the sidecar is broken: no key {error}", where=where) from error
    except (TypeError, ValueError) as error:
        raise LipcError(f"the sidecar is broken: {error}", where=where) from error


def _dumps(value: object) -> str:
    return json.dumps(value, allow_nan=False)


def _block(block: Block) -> dict[str, object]:
    result: dict[str, object] = {"name": block.name, "start": block.start, "count": len(block.entries)}
    if block.role is not None:
        result["role"] = block.role.value
    result["value"] = block.value
    first = int(block.entries[0]) if len(block.entries) else 0
    if np.array_equal(block.entries, np.arange(first, first + len(block.entries))):
        result["range"] = [first, first + len(block.entries)]
    else:
        result["entries"] = block.entries.tolist()
    if block.source:
        result["source"] = block.source
    return result


def _scales(scales: Floats) -> dict[str, object]:
    """Return what a block says of columns that do not stand for their entries themselves but for a multiple."""
    return {} if (scales == 1).all() else {"scale": scales.tolist()}


def _model_map(content: dict[str, object]) -> ModelMap:
    """Take a sidecar apart; KeyError, TypeError and ValueError say what is broken."""
    objective = _typed(content, "objective", dict)
    sense = Sense(objective["sense"])
    sign = _typed(objective, "sign", int)
    constant, scale = objective["constant"], objective["scale"]
    if sign != (-1 if sense is Sense.MAXIMIZE else 1):
        raise ValueError(f"the sign of a program to {sense.value} cannot be {sign}")
    if isinstance(constant, bool) or not isinstance(constant, int | float) or not math.isfinite(constant):
        raise ValueError(f"the constant is {constant!r}, not a finite number")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise ValueError(f"the scale is {scale!r}, not a positive number")
    return ModelMap(
        generator=_typed(content, "generator", str),
        sense=sense,
        sign=sign,
        scale=float(scale),
        constant=float(constant),
        columns=_blocks(content, "columns"),
        rows=_blocks(content, "rows"),
        facts={key: value for key, value in content.items() if key not in _OWN},
        packed=_typed(content, "program", str) if content["schema"] == SCHEMA else None,
    )


def _blocks(content: dict[str, object], key: str) -> tuple[Block, ...]:
    blocks: list[Block] = []
    stop = 0
    for number, item in enumerate(_typed(content, key, list)):
        if not isinstance(item, dict):
            raise TypeError(f"item {number} of {key} is not an object")
        block = _read_block(item, with_role=key == "columns")
        if block.start != stop:
            raise ValueError(f"block {block.name!r} of {key} starts at {block.start}, not at {stop}")
        stop += len(block.entries)
        blocks.append(block)
    return tuple(blocks)


def _read_block(item: dict[str, object], *, with_role: bool) -> Block:
    name, count = _typed(item, "name", str), _typed(item, "count", int)
    entries = _range(item, name, count) if "range" in item else _integers(item, "entries")
    if len(entries) != count:
        raise ValueError(f"block {name!r} has {count} columns or rows but {len(entries)} entries")
    return Block(
        name=name,
        start=_typed(item, "start", int),
        entries=entries,
        value=_typed(item, "value", int),
        role=Role(item["role"]) if with_role else None,
        source=_typed(item, "source", str) if "source" in item else "",
    )


def _range(item: dict[str, object], name: str, count: int) -> NDArray[np.int64]:
    ends = _integers(item, "range").tolist()
    if len(ends) != 2 or ends[0] < 0 or ends[1] - ends[0] != count:
        raise ValueError(f"block {name!r} has {count} columns or rows but the range {ends}")
    return np.arange(ends[0], ends[1], dtype=np.int64)


def _integers(item: dict[str, object], key: str) -> NDArray[np.int64]:
    values = _typed(item, key, list)
    if any(type(value) is not int or not 0 <= value < 2**63 for value in values):
        raise TypeError(f"{key!r} is not a list of entry numbers")
    return np.array(values, dtype=np.int64)


def _typed(item: dict[str, object], key: str, kind: type[T]) -> T:
    value = item[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{key!r} is {type(value).__name__}, not {kind.__name__}")
    return value
