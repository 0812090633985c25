"""Entries and slices, ``x[0]``, ``x[1:3]``, ``W[:, 0]``, ``x[[0, 2]]``; and lists, ``[a, b; c, d]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lipc.frontends.lip.report import Mistake
from lipc.frontends.lip.syntax import Expression, Slice, Subscript
from lipc.frontends.lip.values import Constant, Linear, selected
from lipc.frontends.lip.writer import Operand, Writer, plain

Look = Callable[[Expression], Operand]
"""From an expression to its value, known already."""


def indexed(operand: Operand, subscripts: Sequence[Subscript], look: Look) -> Constant | Linear:
    """Return what subscripts select, counted from 0 as in numpy; a slice that reaches beyond is refused.

    Raises
    ------
    Mistake
        If an index is not whole or out of range, or there are more of them than dimensions.
    """
    value = plain(operand)
    shape = value.shape
    if len(subscripts) > len(shape):
        if not shape:
            raise Mistake(f"{operand.words} is a number and has no entries to choose from")
        raise Mistake(f"{len(subscripts)} indices, but {operand}", node=operand.node)
    nouns = ("rows", "columns") if len(shape) == 2 else ("entries",)
    chosen = [
        _chosen(subscript, f"{operand.words} has {size} {noun}", size, look)
        for subscript, size, noun in zip(subscripts, shape, nouns, strict=False)
    ]
    if isinstance(value, Linear):
        return selected(value, np.atleast_1d(chosen[0]))
    array = value.array
    for axis in reversed(range(len(chosen))):
        array = np.take(array, chosen[axis], axis=axis)
    return Constant(array)


def _chosen(subscript: Subscript, has: str, size: int, look: Look) -> NDArray[np.int64]:
    """Return the entries that a subscript selects, no dimension for a single one; `has` says what there is."""
    if isinstance(subscript, Slice):
        return _slice(subscript, has, size, look)
    constant = look(subscript)
    entries = np.array(whole(constant, "an index"), np.int64)
    if entries.ndim > 1:
        raise Mistake(f"an index is a whole number or a list of them, but {constant}", node=subscript)
    outside = entries[(entries < -size) | (entries >= size)]
    if outside.size:
        raise Mistake(f"index {outside.reshape(-1)[0]} is out of range: {has}", "the first is 0", subscript)
    return np.asarray(np.where(entries < 0, entries + size, entries), np.int64)


def _slice(subscript: Slice, has: str, size: int, look: Look) -> NDArray[np.int64]:
    start, stop, step = (None if part is None else whole_number(look(part), "an index") for part in subscript.parts)
    if step is not None and step < 1:
        raise Mistake("the step of a slice must be positive", node=subscript.parts[2])
    for number in (start, stop):
        if number is not None and not -size <= number <= size:
            raise Mistake(f"the slice reaches to {number}, but {has}", node=subscript)
    entries = np.arange(size)[start:stop:step]
    if not len(entries):
        raise Mistake("the slice is empty", "it goes from the first to before the second: x[0:2]", subscript)
    return entries


def whole(operand: Operand, what: str) -> NDArray[np.int64]:
    """Return a constant of whole numbers, any shape.

    Raises
    ------
    Mistake
        If it depends on the input, or a number is not whole.
    """
    value = plain(operand)
    if isinstance(value, Linear):
        raise Mistake(f"{what} must be a constant, but {operand.words} depends on the input", node=operand.node)
    numbers = value.array
    bad = numbers[numbers != np.round(numbers)]
    if bad.size:
        raise Mistake(f"{what} must be a whole number, not {bad.reshape(-1)[0]:g}", node=operand.node)
    far = numbers[np.abs(numbers) > 2**53]
    if far.size:
        raise Mistake(f"{what} cannot be as large as {far.reshape(-1)[0]:g}", node=operand.node)
    return numbers.astype(np.int64)


def whole_number(operand: Operand, what: str) -> int:
    """Return a constant that is one whole number."""
    numbers = whole(operand, what)
    if numbers.size != 1:
        raise Mistake(f"{what} must be one number, but {operand}", node=operand.node)
    return int(numbers.reshape(())[()])


def listing(writer: Writer, rows: Sequence[Sequence[Operand]]) -> Constant | Linear:
    """Return a list: entries and rows by commas, vectors or matrices one after another by semicolons.

    Raises
    ------
    Mistake
        If the shapes do not fit.
    """
    if len(rows) == 1:
        return _row(writer, rows[0])
    if all(len(row) == 1 for row in rows):
        return _joined(writer, [row[0] for row in rows])
    return _matrix(writer, [_Row(_row(writer, row), row) for row in rows])


class _Row:
    """The value of a row and the entries it is made of."""

    def __init__(self, value: Constant | Linear, entries: Sequence[Operand]) -> None:
        self.value = value
        self.entries = entries


def _row(writer: Writer, entries: Sequence[Operand]) -> Constant | Linear:
    """Return ``[a, b]``: numbers make a vector, vectors the rows of a matrix."""
    values = [plain(entry) for entry in entries]
    if any(isinstance(value, Linear) for value in values):
        for entry, value in zip(entries, values, strict=True):
            if not value.is_single:
                message = f"a list with commas holds single entries here, but {entry}"
                raise Mistake(message, "one after another: [a; b]", entry.node)
        return writer.stack([writer.linear(entry) for entry in entries])
    arrays = [value.array for value in values if isinstance(value, Constant)]
    for entry, array in zip(entries, arrays, strict=True):
        if array.ndim == 2:
            raise Mistake(f"a list holds numbers or rows, but {entry}", "below one another: [A; B]", entry.node)
        if array.shape != arrays[0].shape:
            raise Mistake(f"rows of different lengths: {entries[0]}, {entry}", node=entry.node)
    writer.budget.spend(sum(array.size for array in arrays))
    return Constant(np.array(arrays))


def _joined(writer: Writer, parts: Sequence[Operand]) -> Constant | Linear:
    """Return ``[a; b]``: one vector after another, or one matrix below another."""
    values = [plain(part) for part in parts]
    if any(isinstance(value, Linear) for value in values):
        return writer.stack([writer.linear(part) for part in parts])
    arrays = [value.array for value in values if isinstance(value, Constant)]
    writer.budget.spend(sum(array.size for array in arrays))
    if all(array.ndim < 2 for array in arrays):
        return Constant(np.concatenate([array.reshape(-1) for array in arrays]))
    blocks = [np.atleast_2d(array) for array in arrays]
    for part, block in zip(parts, blocks, strict=True):
        if block.shape[1] != blocks[0].shape[1]:
            raise Mistake(f"rows of different lengths: {parts[0]}, {part}", node=part.node)
    return Constant(np.concatenate(blocks))


def _matrix(writer: Writer, rows: Sequence[_Row]) -> Constant:
    """Return ``[a, b; c, d]``: rows of numbers."""
    arrays = []
    for row in rows:
        first, last = row.entries[0].node, row.entries[-1].node
        place = Expression(first.start, last.end)
        if not isinstance(row.value, Constant) or row.value.array.ndim != 1:
            raise Mistake("commas and semicolons together make a matrix of constant numbers", node=place)
        arrays.append(row.value.array)
        if len(arrays[-1]) != len(arrays[0]):
            message = f"rows of different lengths: the first has {len(arrays[0])}, this one {len(arrays[-1])}"
            raise Mistake(message, node=place)
    writer.budget.spend(sum(map(len, arrays)))
    return Constant(np.array(arrays))
