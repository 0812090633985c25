"""The LP format as SCIP, HiGHS, Gurobi, CBC and GLPK all read it, to the same model: one term at a time, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.errors import OutputError
from lipc.formats.text import Portable, Text, batches, interleave, numbers, portable, texts
from lipc.ir import Floats
from lipc.mip import MixedIntegerProgram

_TERMS = 4
"""Terms per line: SCIP itself prints at most 560 characters, and a name may have 100."""

# Looking an object up is three times as fast as filling an array with it.
_SPACES, _SIGNS, _NOTHING = texts([" ", "\n  "]), texts(["+ ", "- "]), texts([""])


def lp_chunks(program: MixedIntegerProgram, *, header: Sequence[str] = ()) -> Iterator[bytes]:
    """Write a program in LP format, in blocks of a few megabytes.

    As in `mps_chunks`, the file minimises and leaves the constant out. The objective names every column, if need be
    with a zero: readers number the columns as they meet them, so both formats have one order.

    A row with two sides becomes two, ``name_lo`` and ``name_hi``. No other row is called that, as all names end in
    ``_`` and digits. A program without rows gets one that always holds, as GLPK wants one.

    Parameters
    ----------
    program
        At least one column; rows with at least one finite side; magnitudes below 1e20.
    header
        Comments; characters that are not ASCII are escaped, line ends become spaces.

    Raises
    ------
    InternalError
        A program that breaks the contract of `MixedIntegerProgram` (contradicting bounds, NaN, bad names).
    OutputError
        No column or a name beginning with ``inf`` or ``nan``, which the format cannot express, or a number of
        magnitude 1e20 or more.
    """
    parts = portable(program, header)
    if not len(parts.columns):
        raise OutputError("a program without columns has no LP form", hint="write .mps instead")
    for block in (*program.columns, *program.rows):
        if block.name[:3].lower() in ("inf", "nan"):
            raise OutputError(
                "HiGHS reads a name that begins with inf or nan as a number in an LP file",
                where=block.name,
                hint="write .mps instead",
            )
    comments = "".join(f"\\ {line}".rstrip() + "\n" for line in parts.comments)
    yield (comments + "Minimize\n").encode("ascii")
    yield from _sums(_objective(parts), parts.columns)
    yield b"Subject To\n"
    yield from _sums(_constraints(parts, program), parts.columns)
    yield b"Bounds\n"
    binary = program.integer & (program.column_lower == 0) & (program.column_upper == 1)
    kept = np.flatnonzero(~binary)
    yield from _bounds(parts.columns[kept], program.column_lower[kept], program.column_upper[kept])
    yield from _list("Generals", parts.columns[program.integer & ~binary])
    yield from _list("Binaries", parts.columns[binary])
    yield from _sets(parts.columns, program.sets)
    yield b"End\n"


@dataclass(frozen=True, eq=False)
class _Sums:
    """Lines ``head: sum tail``; line k is row ``which[k]`` of the matrix, none of whose rows is empty."""

    matrix: csr_array
    which: NDArray[np.intp]
    heads: Text
    tails: Text


def _objective(parts: Portable) -> _Sums:
    size = len(parts.cost)
    row = csr_array((parts.cost, np.arange(size), [0, size]), shape=(1, size))
    return _Sums(row, np.zeros(1, dtype=np.intp), texts([" OBJ: "]), texts(["\n"]))


def _constraints(parts: Portable, program: MixedIntegerProgram) -> _Sums:
    """Return one-sided rows; rows with two different sides come twice, the lower side first.

    The condition of an indicator stands in front: ``row: a = 1 -> + 1 x <= 0``.
    """
    lower, upper = program.row_lower, program.row_upper
    if not len(parts.rows):
        row = csr_array(([0.0], [0], [0, 1]), shape=(1, len(parts.cost)))
        return _Sums(row, np.zeros(1, dtype=np.intp), texts([" no_rows: "]), texts([" <= 1\n"]))
    equal = lower == upper
    both = np.isfinite(lower) & np.isfinite(upper) & ~equal
    which = np.repeat(np.arange(len(lower)), np.where(both, 2, 1))
    second = np.diff(which, prepend=-1) == 0
    split = both[which]
    at_most = np.where(split, second, np.isfinite(upper[which]))
    relation = np.where(equal[which], " = ", np.where(at_most, " <= ", " >= "))
    suffix = np.where(split, np.where(second, "_hi: ", "_lo: "), ": ").tolist()
    sides = numbers(np.where(at_most, upper[which], lower[which]))
    given = program.indicators
    conditions = texts([""] * len(lower))
    bits = zip(parts.columns[given.bit].tolist(), given.when.tolist(), strict=True)
    conditions[given.row] = texts([f"{bit} = {when} -> " for bit, when in bits])
    starts = zip(parts.rows[which].tolist(), suffix, conditions[which].tolist(), strict=True)
    heads = texts([f" {name}{end}{condition}" for name, end, condition in starts])
    tails = texts([f"{sign}{side}\n" for sign, side in zip(relation.tolist(), sides, strict=True)])
    return _Sums(_without_empty_rows(parts.matrix), which, heads, tails)


def _without_empty_rows(matrix: csr_array) -> csr_array:
    """Give every empty row the term ``0`` times the first column, as a sum needs a term."""
    empty = np.flatnonzero(np.diff(matrix.indptr) == 0)
    if not empty.size:
        return matrix
    places = matrix.indptr[empty]
    pointers = matrix.indptr + np.searchsorted(empty, np.arange(len(matrix.indptr)))
    data, indices = np.insert(matrix.data, places, 0.0), np.insert(matrix.indices, places, 0)
    return csr_array((data, indices, pointers), shape=matrix.shape)


def _sums(sums: _Sums, columns: Text) -> Iterator[bytes]:
    """Write the terms of all lines as one stream, cut into blocks wherever it may be: a line can be very long."""
    indptr = sums.matrix.indptr.astype(np.int64)
    ends = np.cumsum(indptr[sums.which + 1] - indptr[sums.which])
    starts = np.concatenate([[0], ends[:-1]])
    names = texts([f" {name}" for name in columns])
    for batch in batches(int(ends[-1])):
        place = np.arange(batch.start, batch.stop)
        line = np.searchsorted(ends, place, side="right")
        nth = place - starts[line]
        source = indptr[sums.which[line]] + nth
        values, owners = sums.matrix.data[source], names[sums.matrix.indices[source]]
        heads = _SPACES[(nth % _TERMS == 0).astype(np.intp)]
        heads[nth == 0] = sums.heads[line[nth == 0]]
        last = place + 1 == ends[line]
        tails = _NOTHING[np.zeros(len(place), dtype=np.intp)]
        tails[last] = sums.tails[line[last]]
        signs = _SIGNS[(values < 0).astype(np.intp)]
        sizes = numbers(np.abs(values))
        yield interleave(len(place), heads.tolist(), signs.tolist(), sizes, owners.tolist(), tails.tolist())


def _bounds(names: Text, lower: Floats, upper: Floats) -> Iterator[bytes]:
    """Write both bounds of every column, ``0 <= x`` too."""
    for batch in batches(len(names)):
        low, high = lower[batch], upper[batch]
        low_text, high_text = texts(numbers(low)), texts(numbers(high))
        below, above, fixed = np.isneginf(low), np.isposinf(high), low == high
        left = " " + np.where(below, "-inf", low_text) + " <= "
        left[above | fixed] = " "
        right = " <= " + high_text + "\n"
        right[above] = " >= " + low_text[above] + "\n"
        right[below & above] = " free\n"
        right[fixed] = " = " + low_text[fixed] + "\n"
        yield interleave(len(low), left.tolist(), names[batch].tolist(), right.tolist())


def _sets(names: Text, sets: NDArray[np.int64]) -> Iterator[bytes]:
    if len(sets):
        yield b"SOS\n"
    for batch in batches(len(sets)):
        numbers_of = [str(number) for number in range(batch.start + 1, batch.stop + 1)]
        first, second = (names[sets[batch, side]].tolist() for side in (0, 1))
        yield interleave(len(first), " set_", numbers_of, ": S1:: ", first, ":1 ", second, ":2\n")


def _list(section: str, names: Text) -> Iterator[bytes]:
    if not len(names):
        return
    yield f"{section}\n".encode("ascii")
    for batch in batches(len(names)):
        ends = np.where(np.arange(len(names[batch])) % _TERMS == _TERMS - 1, "\n", "")
        ends[-1] = "\n"
        yield interleave(len(ends), " ", names[batch].tolist(), ends.tolist())
