"""The vectors and matrices of a program's text, made only once their shapes are known to fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir.matrix import Matrix, identity, scatter, selection
from lipc.ir.polytope import Floats
from lipc.ir.text_numbers import (
    TokenError,
    count,
    item_place,
    read_float,
    read_floats,
    read_sparse_row,
    read_whole,
    read_wholes,
)
from lipc.ir.text_syntax import Node, Report

Constants = Mapping[str, NDArray[Any]]
"""Arrays that a text refers to, by name: ``c3``, or ``c3.data``, ``c3.indices`` and ``c3.indptr`` of a sparse one."""

LARGEST_SIZE = 2**22
"""Of a value, and of the rows of a domain."""

MOST_IMPLIED = 2**25
"""Numbers in all short forms (``zeros(1000, 1000)``) of a text: 256 MiB. Others take place in the text or in a file."""

SCALED = frozenset({"ones", "eye", "select", "scatter", "full"})
"""The forms made of ones, which a number may stand before."""

MATRICES = frozenset(
    {"dense", "eye", "diagonal", "select", "scatter", "sparse", "full", "dense_eye", "stored_dense", "stored_sparse"}
)


class Refused(Exception):  # noqa: N818 - not an error of its own: one has been reported
    """A constant cannot be made; the reason is in the report."""


class ConstantReader:
    """Reads constants; each method reports what is wrong and then raises `Refused`.

    Parameters
    ----------
    report
        Where errors go.
    stored
        The arrays that the text may refer to.
    """

    def __init__(self, report: Report, stored: Constants) -> None:
        self.report = report
        self.stored = stored
        self.implied = 0

    def vector(self, node: Node, size: int, what: str, *, finite: bool = True) -> Floats:
        """Return a vector of `size` entries; `what` names it in messages."""
        scale, form = node.children
        length = self.length(node)
        if length != size:
            self.refuse(f"{what}: {_entries(length)}, where {size} {'is' if size == 1 else 'are'} needed", node)
        if form.data == "row":
            vector = self._list(form.children[0])
        elif form.data == "stored_vector":
            vector = self._stored(form.children[-1], "", np.float64, (size,))
        else:
            self.afford(size, node)
            vector = np.full(size, 0.0 if form.data == "zeros" else 1.0 if scale is None else self.number(scale))
        if finite and not np.isfinite(vector).all():
            self.refuse(f"{what}: all numbers are finite", self.entry(node, int(np.argmin(np.isfinite(vector)))))
        return vector

    def length(self, node: Node) -> int:
        """Return how many entries a vector has, without making it."""
        scale, form = node.children
        if form.data in MATRICES or (form.data in ("zeros", "ones") and form.children[1] is not None):
            self.refuse("a matrix stands where a vector is needed", form, "a vector is written [1.0, 2.0]")
        if scale is not None and form.data != "ones":
            self.refuse("only a vector ones(..) can be multiplied by a number", scale, "write the numbers out")
        return count(form.children[0]) if form.data == "row" else read_whole(form.children[0])

    def entry(self, node: Node, index: int) -> Any:
        """Return the place of an entry of a vector: in a list its own, otherwise that of the whole."""
        form = node.children[1]
        if form.data != "row":
            return node
        token = form.children[0]
        start, end = item_place(token, index)
        return self.report.source.span(token.start_pos + start, token.start_pos + end)

    def matrix(self, node: Node, rows: int | None, columns: int, fit: str) -> Matrix:
        """Return a matrix.

        Parameters
        ----------
        rows, columns
            The shape that is needed; `None`: any number of rows.
        fit
            What needs this shape, for messages: ``it maps %0 (3 entries) to %1 (2 entries)``.
        """
        scale, form = node.children
        shape = self.shape(form)
        if shape[0] != (shape[0] if rows is None else rows) or shape[1] != columns:
            self.refuse(f"the matrix is {shape[0]} x {shape[1]}, but {fit}", node)
        if shape[0] > LARGEST_SIZE:
            self.refuse(f"a matrix of more than {LARGEST_SIZE} rows", node)
        ones = form.data in SCALED and not (form.data == "full" and form.children[0].data == "dense")
        if scale is not None and not ones:
            hint = "only ones, eye, select and scatter can be; write the numbers out"
            self.refuse("this matrix cannot be multiplied by a number", scale, hint)
        matrix: Matrix = getattr(self, f"_{form.data}")(form, shape)
        data = matrix.data if isinstance(matrix, csr_array) else matrix
        if scale is not None:
            data[...] = self.number(scale)
        if not np.isfinite(data).all():
            self.refuse("the numbers of a matrix are finite", self._infinite(node))
        return matrix

    def shape(self, form: Node) -> tuple[int, int]:
        """Return the shape of a matrix without making it."""
        kind, parts = form.data, form.children
        if kind in ("row", "stored_vector"):
            self.refuse("a vector stands where a matrix is needed", form, "a matrix of one row is written [[1.0, 2.0]]")
        if kind in ("zeros", "ones"):
            if parts[1] is None:
                self.refuse("a vector stands where a matrix is needed", form, f"write {kind}(rows, columns)")
            return read_whole(parts[0]), read_whole(parts[1])
        if kind == "dense":
            return len(parts), count(parts[0])
        if kind in ("eye", "dense_eye"):
            return read_whole(parts[0]), read_whole(parts[0])
        if kind == "diagonal":
            size = self.length(parts[0])
            return size, size
        if kind == "select":
            return self.index_count(parts[0]), read_whole(parts[1])
        if kind == "scatter":
            return read_whole(parts[1]), self.index_count(parts[0])
        if kind == "full":
            return self.shape(parts[0])
        rows, _, columns = parts[0].partition("x")
        return read_whole(rows), read_whole(columns)

    def indices(self, node: Node) -> NDArray[np.int64]:
        """Return a list of whole numbers."""
        size = self.index_count(node)
        if size > LARGEST_SIZE:
            self.refuse(f"a list of more than {LARGEST_SIZE} numbers", node)
        if node.data == "row":
            try:
                return read_wholes(node.children[0])
            except TokenError as error:
                self.report.within(node.children[0], error)
                raise Refused from None
        if node.data == "stored_indices":
            return self._stored(node.children[-1], "", np.int64, (size,))
        self.afford(size, node)
        start = read_whole(node.children[0])
        return np.arange(start, start + size)

    def index_count(self, node: Node) -> int:
        """Return how many numbers a list of whole numbers has."""
        if node.data == "row":
            return count(node.children[0])
        if node.data == "stored_indices":
            return read_whole(node.children[0])
        start, stop = map(read_whole, node.children)
        if stop < start:
            self.refuse(f"the range {start}:{stop} ends before it begins", node)
        return stop - start

    def number(self, token: Node) -> float:
        """Return a number; it may be infinite if it is written so."""
        try:
            return read_float(token)
        except TokenError as error:
            self.report.within(token, error)
            raise Refused from None

    def afford(self, numbers: int, place: Node) -> None:
        """Count numbers that take no place in the text; refuse absurd amounts."""
        self.implied += numbers
        if self.implied > MOST_IMPLIED:
            message = f"too large: the constants of a program that are not written out hold at most {MOST_IMPLIED}"
            self.refuse(f"{message} numbers", place)

    def refuse(self, message: str, place: Any, hint: str = "") -> None:
        """Report an error and give the constant up."""
        self.report.error(message, place, hint)
        raise Refused

    def _infinite(self, node: Node) -> Any:
        """Return the place of the first number of a matrix that is not finite."""
        scale, form = node.children
        if scale is not None:
            return scale
        rows = form.children[0].children if form.data == "full" else form.children
        if form.data in ("dense", "full"):
            for token in rows:
                finite = np.isfinite(read_floats(token))
                if not finite.all():
                    start, end = item_place(token, int(np.argmin(finite)))
                    return self.report.source.span(token.start_pos + start, token.start_pos + end)
        return form

    def _list(self, token: Node) -> Floats:
        try:
            return read_floats(token)
        except TokenError as error:
            self.report.within(token, error)
            raise Refused from None

    def _dense(self, form: Node, shape: tuple[int, int]) -> Floats:
        for number, token in enumerate(form.children):
            if count(token) != shape[1]:
                self.refuse(f"row {number} has {_entries(count(token))}, row 0 has {shape[1]}", token)
        return np.array([self._list(token) for token in form.children]).reshape(shape)

    def _zeros(self, form: Node, shape: tuple[int, int]) -> Floats:
        self.afford(shape[0] * shape[1], form)
        return np.zeros(shape)

    def _ones(self, form: Node, shape: tuple[int, int]) -> Floats:
        self.afford(shape[0] * shape[1], form)
        return np.ones(shape)

    def _eye(self, form: Node, shape: tuple[int, int]) -> csr_array:
        self.afford(shape[0], form)
        return identity(shape[0])

    def _dense_eye(self, form: Node, shape: tuple[int, int]) -> Floats:
        self.afford(shape[0] * shape[0], form)
        return np.eye(shape[0])

    def _diagonal(self, form: Node, shape: tuple[int, int]) -> csr_array:
        (vector,) = form.children
        return identity(shape[0], self.vector(vector, shape[0], "a diagonal"))

    def _select(self, form: Node, shape: tuple[int, int]) -> csr_array:
        chosen = self.indices(form.children[0])
        self._check_range(form.children[0], chosen, -1, shape[1])
        self.afford(shape[0], form)
        return selection(chosen, shape[1])

    def _scatter(self, form: Node, shape: tuple[int, int]) -> csr_array:
        places = self.indices(form.children[0])
        self._check_range(form.children[0], places, 0, shape[0])
        self.afford(shape[0], form)
        return scatter(places, shape[0])

    def _check_range(self, node: Node, indices: NDArray[np.int64], least: int, size: int) -> None:
        outside = (indices < least) | (indices >= size)
        if outside.any():
            first = int(np.argmax(outside))
            place: Any = node
            if node.data == "row":
                start, end = item_place(node.children[0], first)
                place = self.report.source.span(node.children[0].start_pos + start, node.children[0].start_pos + end)
            self.refuse(f"there is no entry {indices[first]}: there are {size}, counted from 0", place)

    def _full(self, form: Node, shape: tuple[int, int]) -> csr_array:
        dense = getattr(self, f"_{form.children[0].data}")(form.children[0], shape)
        rows, columns = shape
        pointers = np.arange(rows + 1) * columns
        return csr_array((dense.reshape(-1), np.tile(np.arange(columns), rows), pointers), shape=shape)

    def _sparse(self, form: Node, shape: tuple[int, int]) -> csr_array:
        self.afford(shape[0], form)
        counts = np.zeros(shape[0] + 1, np.int64)
        columns: list[int] = []
        numbers: list[float] = []
        before = -1
        for token in form.children[1:]:
            if token is None:
                continue
            try:
                row, its_columns, its_numbers = read_sparse_row(token)
            except TokenError as error:
                self.report.within(token, error)
                raise Refused from None
            if not before < row < shape[0]:
                what = "the rows of a sparse matrix ascend" if row < shape[0] else f"there are {shape[0]} rows only"
                self.refuse(what, token)
            if its_columns and its_columns[-1] >= shape[1]:
                self.refuse(f"there is no column {its_columns[-1]}: there are {shape[1]}, counted from 0", token)
            counts[row + 1] = len(its_columns)
            columns += its_columns
            numbers += its_numbers
            before = row
        pointers = np.cumsum(counts)
        return csr_array((np.array(numbers, np.float64), np.array(columns, np.int64), pointers), shape=shape)

    def _stored_dense(self, form: Node, shape: tuple[int, int]) -> Floats:
        matrix: Floats = self._stored(form.children[-1], "", np.float64, shape)
        return matrix

    def _stored_sparse(self, form: Node, shape: tuple[int, int]) -> csr_array:
        token = form.children[-1]
        data = self._stored(token, ".data", np.float64, None)
        indices = self._stored(token, ".indices", np.int64, data.shape)
        pointers = self._stored(token, ".indptr", np.int64, (shape[0] + 1,))
        ascending = pointers[0] == 0 and pointers[-1] == len(data) and bool((np.diff(pointers) >= 0).all())
        if not ascending or (len(indices) and not 0 <= indices.min() <= indices.max() < shape[1]):
            self.refuse(f"the arrays of {token} are no sparse matrix of {shape[0]} x {shape[1]}", token)
        matrix = csr_array((data, indices, pointers), shape=shape)
        if not matrix.has_canonical_format:
            self.refuse(f"the columns in the rows of {token} do not ascend", token)
        return matrix

    def _stored(self, token: Node, part: str, dtype: Any, shape: tuple[int, ...] | None) -> NDArray[Any]:
        """Return an array that the text refers to."""
        if not token.startswith("$"):
            self.refuse(
                "this constant was elided when the program was printed", token, "print the program without --elide"
            )
        name = f"{token[1:]}{part}"
        if name not in self.stored:
            hint = "" if self.stored else "the program names no file of constants"
            self.refuse(f"there is no constant {name}", token, hint)
        array = self.stored[name]
        if array.dtype != dtype:
            self.refuse(f"the constant {name} holds {array.dtype}, not {np.dtype(dtype)}", token)
        if array.ndim != 1 if shape is None else array.shape != shape:
            wanted = "of one dimension" if shape is None else f"{shape}"
            self.refuse(f"the constant {name} has the shape {array.shape}, not {wanted}", token)
        return array


def _entries(size: int) -> str:
    return "1 entry" if size == 1 else f"{size} entries"
