"""Free MPS as SCIP, HiGHS, Gurobi, CBC, GLPK and lp_solve all read it, to the same model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, vstack

from lipc.errors import InternalError
from lipc.formats.text import Portable, Text, batches, interleave, numbers, portable, texts
from lipc.ir import Floats
from lipc.mip import Indicators, MixedIntegerProgram


def mps_chunks(program: MixedIntegerProgram, *, header: Sequence[str] = ()) -> Iterator[bytes]:
    """Write a program as free MPS, in blocks of a few megabytes.

    The file always minimises ``OBJ``: CBC ignores a sense, GLPK rejects it. For `Sense.MAXIMIZE` the cost is negated.
    The constant of the objective is left out, as readers disagree on its sign; a comment states both.

    A row with two sides is an L row (or a G row, if only that is exact) with RANGES, which hold the *width* of the
    row. Where no width gives back the other side exactly, the row is wider by one rounding, never narrower.

    Parameters
    ----------
    program
        Rows with at least one finite side; magnitudes below 1e20.
    header
        Comments; characters that are not ASCII are escaped, line ends become spaces.

    Raises
    ------
    InternalError
        A program that breaks the contract of `MixedIntegerProgram` (contradicting bounds, NaN, bad names).
    OutputError
        A number of magnitude 1e20 or more.
    """
    parts = portable(program, header)
    kinds, sides, widths = _rows(program.row_lower, program.row_upper)
    comments = "".join(f"* {line}".rstrip() + "\n" for line in parts.comments)
    # The word FREE makes CBC's reader trust the format; without it short files fail.
    yield (comments + "NAME lipc FREE\nROWS\n N OBJ\n").encode("ascii")
    for batch in batches(len(kinds)):
        yield interleave(len(kinds[batch]), kinds[batch].tolist(), parts.rows[batch].tolist(), "\n")
    yield b"COLUMNS"
    yield from _columns(parts, program.integer)
    yield b"\nRHS\n"
    yield from _values(" RHS ", parts.rows, sides, np.flatnonzero(sides))
    if not np.isnan(widths).all():
        yield b"RANGES\n"
        yield from _values(" RNG ", parts.rows, widths, np.flatnonzero(~np.isnan(widths)))
    yield b"BOUNDS\n"
    yield from _bounds(parts.columns, program.column_lower, program.column_upper, program.integer)
    yield from _sets(parts.columns, program.sets)
    yield from _indicators(parts, program.indicators)
    yield b"ENDATA\n"


def _rows(lower: Floats, upper: Floats) -> tuple[Text, Floats, Floats]:
    """Return the starts of the ROWS lines, the right-hand sides and the widths (NaN: no RANGES line)."""
    at_most = np.isfinite(upper)
    kinds = np.where(at_most, " L ", " G ").astype(object)
    kinds[lower == upper] = " E "
    sides = np.where(at_most, upper, lower)
    widths = np.full(len(lower), np.nan)
    ranged = np.flatnonzero(at_most & np.isfinite(lower) & (lower < upper))
    if ranged.size:
        from_lower, widths[ranged] = _widths(lower[ranged], upper[ranged])
        kinds[ranged[from_lower]] = " G "
        sides[ranged[from_lower]] = lower[ranged[from_lower]]
    return kinds, sides, widths


def _widths(lower: Floats, upper: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return which rows are to be G rows, and widths from which a reader computes the other side exactly.

    A reader computes ``upper - width`` for an L row and ``lower + width`` for a G row, in doubles.
    """
    nearest = upper - lower
    wider = np.nextafter(nearest, np.inf)
    narrower = np.nextafter(nearest, 0.0)
    # Where nothing is exact: a width that does not cut anything off.
    widths = np.where(upper - nearest <= lower, nearest, wider)
    from_lower = np.zeros(len(lower), dtype=bool)
    done = np.zeros(len(lower), dtype=bool)
    for candidate in (nearest, wider, narrower):
        for below in (False, True):
            exact = (lower + candidate == upper) if below else (upper - candidate == lower)
            new = exact & ~done
            widths[new], from_lower[new] = candidate[new], below
            done |= exact
    return from_lower, widths


def _columns(parts: Portable, integer: NDArray[np.bool_]) -> Iterator[bytes]:
    """Write the columns one after the other, the objective first, runs of integer columns between markers.

    A line begins with its line end: one text less to be joined for each nonzero.
    """
    table = _with_cost(parts)
    heads = texts([f"\n {name} " for name in parts.columns])
    rows = texts(["OBJ ", *(f"{name} " for name in parts.rows)])
    edges = np.flatnonzero(np.diff(integer.astype(np.int8), prepend=0, append=0))
    places = table.indptr[edges]  # integer runs start at even, stop at odd edges
    markers = [f"\n MARKER_{k + 1} 'MARKER' '{('INTORG', 'INTEND')[k % 2]}'" for k in range(len(edges))]
    for batch in batches(table.nnz):
        count = batch.stop - batch.start
        first, last = np.searchsorted(table.indptr, [batch.start, batch.stop - 1], side="right") - 1
        within = np.diff(np.clip(table.indptr[first : last + 2], batch.start, batch.stop))
        names = np.repeat(heads[first : last + 1], within).tolist()
        for k in range(*np.searchsorted(places, [batch.start, batch.stop])):
            names[places[k] - batch.start] = markers[k] + names[places[k] - batch.start]
        where = rows[table.indices[batch]].tolist()
        yield interleave(count, names, where, numbers(table.data[batch]))
    if edges.size and edges[-1] == len(integer):
        yield markers[-1].encode("ascii")


def _with_cost(parts: Portable) -> csc_array:
    """Return the matrix below the cost, by columns; a column without any entry gets an explicit zero cost."""
    empty = np.bincount(parts.matrix.indices, minlength=len(parts.cost)) == 0
    kept = np.flatnonzero((parts.cost != 0) | empty)
    cost = csr_array((parts.cost[kept], kept, [0, len(kept)]), shape=(1, len(parts.cost)))
    return vstack([cost, parts.matrix], format="csr").tocsc()


def _values(head: str, names: Text, values: Floats, kept: NDArray[np.intp]) -> Iterator[bytes]:
    for batch in batches(len(kept)):
        chosen = kept[batch]
        yield interleave(len(chosen), head, names[chosen].tolist(), " ", numbers(values[chosen]), "\n")


def _bounds(names: Text, lower: Floats, upper: Floats, integer: NDArray[np.bool_]) -> Iterator[bytes]:
    """Write both bounds of every column: what a reader assumes for a missing one depends on the reader.

    The lower bound comes first, so that a negative upper bound never stands alone.
    """
    binary = integer & (lower == 0) & (upper == 1)
    fixed = lower == upper
    below, above = np.isneginf(lower), np.isposinf(upper)
    single = binary | fixed | (below & above)
    first = np.full(len(names), " LO BND ", dtype=object)
    first[below] = " MI BND "
    first[below & above] = " FR BND "
    first[fixed] = " FX BND "
    first[binary] = " BV BND "
    second = np.where(above, " PL BND ", " UP BND ").astype(object)
    second[single] = ""
    for batch in batches(len(names)):
        name = names[batch]
        low = _tails(lower[batch], ~binary[batch] & ~below[batch])
        high = _tails(upper[batch], ~above[batch])
        high[single[batch]] = ""
        again = np.where(single[batch], "", name)
        fields = (first[batch], name, low, second[batch], again, high)
        yield interleave(len(name), *(field.tolist() for field in fields))


def _sets(names: Text, sets: NDArray[np.int64]) -> Iterator[bytes]:
    """Write special ordered sets in two fields: of sets in three, SCIP and Gurobi take no notice.

    A member that begins with S is the head of another set to Gurobi 13.
    """
    if len(sets):
        yield b"SOS\n"
        for name in names[np.unique(sets)].tolist():
            if name[:1] in "sS":
                raise InternalError(f"the member {name} of a set begins with S: Gurobi takes it for a set")
    for batch in batches(len(sets)):
        numbers_of = [str(number) for number in range(batch.start + 1, batch.stop + 1)]
        first, second = (names[sets[batch, side]].tolist() for side in (0, 1))
        yield interleave(len(first), " S1 set_", numbers_of, "\n ", first, " 1\n ", second, " 2\n")


def _indicators(parts: Portable, indicators: Indicators) -> Iterator[bytes]:
    if len(indicators.row):
        yield b"INDICATORS\n"
    for batch in batches(len(indicators.row)):
        row, bit, when = indicators.row[batch], indicators.bit[batch], indicators.when[batch]
        fields = (
            parts.rows[row].tolist(),
            " ",
            parts.columns[bit].tolist(),
            " ",
            [str(each) for each in when.tolist()],
        )
        yield interleave(len(row), " IF ", *fields, "\n")


def _tails(values: Floats, wanted: NDArray[np.bool_]) -> Text:
    """Return `` number`` and a line end where a number is wanted, else the line end alone."""
    result = np.full(len(values), "\n", dtype=object)
    result[wanted] = texts([f" {number}\n" for number in numbers(values[wanted])])
    return result
