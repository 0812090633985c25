"""What the MPS and the LP writer share: a checked, minimised program with its names, and numbers as text in bulk."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.errors import InternalError, OutputError
from lipc.ir import Floats, Sense
from lipc.mip import Block, MixedIntegerProgram

BATCH = 1 << 14
"""Nonzeros (or lines) per block of text: half a megabyte to one. Larger blocks do not stay in the cache."""

INFINITE = 1e20
"""What SCIP, HiGHS and Gurobi read as infinite; as a coefficient SCIP rejects it."""

NEGLIGIBLE = 1e-9
"""What SCIP and HiGHS read as 0 in a matrix."""

UNREADABLE = 1e15
"""What HiGHS rejects in a matrix."""

LONGEST_NAME = 100
"""CBC silently changes the model from 160 characters on; the margin is for suffixes."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_PLAIN = (1e-4, 1e16)
"""Magnitudes that `repr` writes without an exponent."""

_COMMENT_WIDTH = 160  # SCIP reads lines of at most 1024 characters

Text = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Portable:
    """A program as a file needs it: checked, minimised, without explicit zeros, named.

    Parameters
    ----------
    matrix
        Shape ``(rows, columns)``, canonical CSR without explicit zeros.
    cost
        Shape ``(columns,)``: to be minimised, whatever the sense of the program.
    columns, rows
        The names, as arrays of `str` so that one index expression looks up a block of them.
    comments
        What the file says about itself: ASCII, one line each.
    """

    matrix: csr_array
    cost: Floats
    columns: Text
    rows: Text
    comments: tuple[str, ...]


def portable(program: MixedIntegerProgram, header: Sequence[str]) -> Portable:
    """Check a program and make it ready to be written.

    Raises
    ------
    InternalError
        Contradicting or free rows, NaN, a matrix that is not canonical, names that a reader would mistake.
    OutputError
        A number of magnitude 1e20 or more, which solvers read as infinite.
    """
    if not program.matrix.has_canonical_format:
        raise InternalError("the matrix is not canonical: an entry appears twice, or out of order")
    for blocks, size, what in (
        (program.columns, len(program.cost), "column"),
        (program.rows, len(program.row_lower), "row"),
    ):
        _check_names(blocks, size, what)
    columns, rows = texts(program.column_names()), texts(program.row_names())
    _check_bounds(program.column_lower, program.column_upper, columns)
    _check_bounds(program.row_lower, program.row_upper, rows)
    free = np.flatnonzero(np.isneginf(program.row_lower) & np.isposinf(program.row_upper))
    if free.size:
        raise InternalError(f"row {rows[free[0]]} has no bound: it would be a second objective in a file")
    _check_finite(program.matrix.data, lambda k: rows[np.searchsorted(program.matrix.indptr, k, side="right") - 1])
    _check_finite(program.cost, lambda k: columns[k])
    if not np.isfinite(program.constant):
        raise InternalError(f"the constant of the objective is {program.constant}")
    matrix = program.matrix
    if not matrix.data.all():
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    sign = -1.0 if program.sense is Sense.MAXIMIZE else 1.0
    return Portable(matrix, sign * program.cost, columns, rows, _comments(program, matrix, header))


def texts(items: Sequence[str]) -> Text:
    """Return strings as an array of objects, so that an index array looks them up."""
    result = np.empty(len(items), dtype=object)
    result[:] = items
    return result


def numbers(values: Floats) -> list[str]:
    """Return the shortest text that reads back as each number: what `repr` says, at 20 million per second and core.

    Integral values have no ``.0``, and minus zero has no sign.
    """
    import orjson

    if not len(values):
        return []
    values = values + 0.0
    size = np.abs(values)
    joined = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode("ascii")
    # The digits are those of repr. Its exponents, and no others, are what every reader was tried with.
    result = f"{joined},".replace(".0,", ",").split(",")
    result.pop()
    for k in np.flatnonzero(~((size >= _PLAIN[0]) & (size < _PLAIN[1]) | (size == 0))).tolist():
        result[k] = repr(float(values[k]))
    return result


def interleave(count: int, *fields: Sequence[str] | str) -> bytes:
    """Join the k-th items of all fields, for k = 0, 1, ... `count`; a plain string is repeated."""
    width = len(fields)
    parts = [""] * (width * count)
    for place, field in enumerate(fields):
        parts[place::width] = [field] * count if isinstance(field, str) else field
    return "".join(parts).encode("ascii")


def batches(count: int) -> Iterator[slice]:
    """Cut ``range(count)`` into runs of `BATCH`."""
    for start in range(0, count, BATCH):
        yield slice(start, min(start + BATCH, count))


def _check_names(blocks: Sequence[Block], size: int, what: str) -> None:
    """Check that names are legal and unique.

    Blocks with different names have no common name, as the part behind the last ``_`` is digits only.
    """
    seen: set[str] = set()
    stop = 0
    for block in blocks:
        entries = block.entries
        if not _NAME.fullmatch(block.name):
            raise InternalError(f"{what} block {block.name!r} has a name that not every reader takes")
        if block.name in seen:
            raise InternalError(f"two {what} blocks are called {block.name!r}")
        if len(entries) and (entries.min() < 0 or len(np.unique(entries)) != len(entries)):
            raise InternalError(f"the entries of {what} block {block.name!r} do not give unique names")
        longest = len(f"{block.name}_{entries.max() if len(entries) else 0}_lo")
        if longest > LONGEST_NAME:
            raise InternalError(f"{what} block {block.name!r} makes names of {longest} characters")
        if block.start != stop:
            raise InternalError(f"{what} block {block.name!r} starts at {block.start}, not at {stop}")
        seen.add(block.name)
        stop += len(entries)
    if stop != size:
        raise InternalError(f"the {what} blocks cover {stop} of {size}")


def _check_bounds(lower: Floats, upper: Floats, names: Text) -> None:
    wrong = np.flatnonzero(~(lower <= upper) | np.isposinf(lower) | np.isneginf(upper))  # ~(<=) finds NaN as well
    if wrong.size:
        k = wrong[0]
        raise InternalError(f"{names[k]} has the bounds [{lower[k]}, {upper[k]}]")
    for bound in (lower, upper):
        huge = np.flatnonzero(np.isfinite(bound) & (np.abs(bound) >= INFINITE))
        if huge.size:
            raise _too_large(bound[huge[0]], names[huge[0]])


def _check_finite(values: Floats, name_of: Callable[[np.intp], str]) -> None:
    wrong = np.flatnonzero(~(np.abs(values) < INFINITE))
    if not wrong.size:
        return
    value, name = values[wrong[0]], name_of(wrong[0])
    if not np.isfinite(value):
        raise InternalError(f"a coefficient of {name} is {value}")
    raise _too_large(value, name)


def _too_large(value: float, name: str) -> OutputError:
    return OutputError(f"{value:g} cannot be written: solvers take 1e20 and above for infinite", where=name)


def _comments(program: MixedIntegerProgram, matrix: csr_array, header: Sequence[str]) -> tuple[str, ...]:
    lines = [*header]
    sign = ""
    if program.sense is Sense.MAXIMIZE:
        lines.append("original objective: maximize; OBJ = -(original)")
        sign = "-"
    if program.constant or program.objective_scale != 1:
        factor = "" if program.objective_scale == 1 else f"{program.objective_scale!r} * "
        constant = f" + ({program.constant!r})" if program.constant else ""
        what = "constant" if program.objective_scale == 1 else "scale and constant"
        lines.append(f"{what} not in this file: original = {sign}{factor}OBJ{constant}")
    tiny = int(np.count_nonzero(np.abs(matrix.data) <= NEGLIGIBLE))
    if tiny:
        lines.append(f"{tiny} coefficients are at most 1e-9: SCIP and HiGHS read them as 0")
    large = int(np.count_nonzero(np.abs(matrix.data) >= UNREADABLE))
    if large:
        lines.append(f"{large} coefficients are at least 1e15: HiGHS rejects the file")
    plain = ("".join(c if c.isprintable() else " " for c in line) for line in lines)
    ascii_only = (line.encode("ascii", "backslashreplace").decode("ascii") for line in plain)
    return tuple(part for line in ascii_only for part in textwrap.wrap(line, _COMMENT_WIDTH) or [""])
