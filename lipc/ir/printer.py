"""Print programs as text that a person reads and edits and `parse_program` reads back; see docs/ir.md for the form."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir.matrix import Matrix
from lipc.ir.norms import Norm
from lipc.ir.polytope import Floats, Polytope
from lipc.ir.program import Affine, Conditional, Input, Op, Origin, Program, Switch
from lipc.ir.text_numbers import float_text, floats_text, quoted, sparse_text, wholes_text

FEW = 4
"""So many equal numbers are written out; more are written ``0.5 * ones(8)``."""

ONE_LINE = 60
"""A matrix that takes more characters is written with a row per line."""

ORIGIN_COLUMN = 60


def print_program(program: Program, *, elide: int | None = None) -> str:
    """Return the text of a program: `parse_program` reads the same program from it, to the last bit.

    Parameters
    ----------
    elide
        For people: constants of more numbers than this are only described, ``dense<784x20, elided>``. Such a text
        cannot be read back.
    """
    return _Printer(elide, keep=False).program(program)


def print_with_constants(program: Program, external: int) -> tuple[str, dict[str, NDArray[Any]]]:
    """Return the text of a program without its large constants, and these.

    Parameters
    ----------
    external
        Constants of more numbers than this are replaced by references, ``dense<784x20, $c3>``.

    Returns
    -------
    str and dict
        The arrays by name: ``c3``, and for a sparse matrix ``c4.data``, ``c4.indices`` and ``c4.indptr``; float64, or
        int64 for indices.
    """
    printer = _Printer(external, keep=True)
    return printer.program(program), printer.constants


class _Printer:
    """Makes the text; with `keep`, constants above the limit are collected rather than elided."""

    def __init__(self, limit: int | None, *, keep: bool) -> None:
        self.limit = limit
        self.keep = keep
        self.constants: dict[str, NDArray[Any]] = {}
        self.references = 0

    def program(self, program: Program) -> str:
        lines = ["program {"]
        for value, op in enumerate(program.ops):
            line = f"  %{value}: {op.kind.value}[{op.size}] = {self.operation(op)}"
            origin = self.origin(op.origin)
            width = ORIGIN_COLUMN if "\n" not in line and origin else 0
            lines.append(f"{line:<{width}} {origin}" if origin else line)
        lines.append(f"  {_question(program)}")
        for value, interval in sorted(program.bounds.items()):
            lines.append(f"  bounds %{value}: {self.vector(interval.lower)} .. {self.vector(interval.upper)}")
        return "\n".join([*lines, "}"])

    def operation(self, op: Op) -> str:
        if isinstance(op, Input):
            return f"input {self.domain(op.domain)}"
        if isinstance(op, Conditional):
            return f"conditional %{op.operand}"
        if isinstance(op, Switch):
            return f"switch %{op.operand}, %{op.bit}"
        return f"affine {self.sum(op)}"

    def sum(self, op: Affine) -> str:
        summands = [f"{self.factor(term.matrix)}%{term.operand}" for term in op.terms]
        if not op.terms or not _same_bits(op.bias, np.zeros(op.size)):  # -0.0 is written, 0.0 is not
            summands.append(self.vector(op.bias))
        return " + ".join(summands)

    def factor(self, matrix: Matrix) -> str:
        """Return a matrix and the sign of the product; nothing for the identity."""
        if isinstance(matrix, csr_array) and _is_diagonal(matrix):
            scale = _common(matrix.data) if len(matrix.data) else 1.0
            if scale is not None:
                return "" if scale == 1 else f"{float_text(scale)} * "
        return f"{self.matrix(matrix)} * "

    def domain(self, domain: Polytope) -> str:
        free = bool((domain.lower == -np.inf).all() and (domain.upper == np.inf).all())
        text = "space" if free else f"box {self.vector(domain.lower)} .. {self.vector(domain.upper)}"
        if domain.rows.shape[0]:
            low, high = self.vector(domain.row_lower), self.vector(domain.row_upper)
            text += f" rows {self.matrix(_canonical(domain.rows))} in {low} .. {high}"
        if domain.l1 is not None:
            text += f" ball l1 center {self.vector(domain.l1.center)} radius {float_text(domain.l1.radius)}"
        return text

    def origin(self, origin: Origin) -> str:
        if not origin.name and not origin.source and origin.kept is None:
            return ""
        source = f" {quoted(origin.source)}" if origin.source else ""
        kept = "" if origin.kept is None else f" kept {self.indices(origin.kept)}"
        return f"@ {quoted(origin.name)}{source}{kept}"

    def vector(self, vector: Floats) -> str:
        filled = _filled(vector, f"{len(vector)}")
        if filled:
            return filled
        if self.is_large(len(vector)):
            return f"vec<{len(vector)}, {self.reference({'': vector})}>"
        return floats_text(vector)

    def indices(self, indices: NDArray[np.int64]) -> str:
        size = len(indices)
        first = int(indices[0]) if size else 0
        if size > 1 and first >= 0 and np.array_equal(indices, np.arange(first, first + size)):
            return f"{first}:{first + size}"
        if self.is_large(size):
            return f"ints<{size}, {self.reference({'': np.asarray(indices, np.int64)})}>"
        return wholes_text(indices)

    def matrix(self, matrix: Matrix) -> str:
        return self.sparse(matrix) if isinstance(matrix, csr_array) else self.dense(matrix)

    def dense(self, matrix: Floats) -> str:
        rows, columns = matrix.shape
        filled = _filled(matrix, f"{rows}, {columns}")
        if filled:
            return filled
        if rows == columns and matrix.size > FEW and _same_bits(matrix, np.eye(rows)):
            return f"dense eye({rows})"
        if self.is_large(matrix.size):
            return f"dense<{rows}x{columns}, {self.reference({'': matrix})}>"
        return _block("[", list(map(floats_text, matrix)), "]")

    def sparse(self, matrix: csr_array) -> str:
        """Return the shortest form that stands for exactly this pattern and these numbers."""
        scale = _common(matrix.data)
        prefix = "" if scale is None or scale == 1 else f"{float_text(scale)} * "
        rows, columns = matrix.shape
        if _is_diagonal(matrix) and rows:
            return f"{prefix}eye({rows})" if scale is not None else f"diag({self.vector(matrix.data)})"
        if matrix.nnz and matrix.nnz == rows * columns and (rows == 1 or scale is None):
            if scale is not None and matrix.nnz > FEW:
                return f"{prefix}csr ones({rows}, {columns})"
            if not self.is_large(matrix.nnz):
                return f"csr {_block('[', list(map(floats_text, matrix.data.reshape(rows, columns))), ']')}"
        if scale is not None:
            form = self.selection(matrix)
            if form:
                return prefix + form
        if self.is_large(matrix.nnz):
            return f"csr<{rows}x{columns}, {self.reference(_parts(matrix))}>"
        return f"csr<{rows}x{columns}> {self.entries(matrix)}"

    def selection(self, matrix: csr_array) -> str:
        """Return the form of a matrix of ones that picks entries or puts them somewhere; empty if it is no such."""
        rows, columns = matrix.shape
        counts = np.diff(matrix.indptr)
        if rows > columns == matrix.nnz and len(np.unique(matrix.indices)) == columns:
            places = np.zeros(columns, np.int64)
            places[matrix.indices] = np.repeat(np.arange(rows), counts)
            return f"scatter({self.indices(places)}, into {rows})"
        if counts.max(initial=0) == 1:
            chosen = np.full(rows, -1)
            chosen[counts == 1] = matrix.indices
            return f"select({self.indices(chosen)}, of {columns})"
        return ""

    def entries(self, matrix: csr_array) -> str:
        starts = matrix.indptr.tolist()
        rows = [
            f"{row}: {sparse_text(matrix.indices[start:end], matrix.data[start:end])}"
            for row, (start, end) in enumerate(pairwise(starts))
            if start < end
        ]
        return _block("{", rows, "}")

    def is_large(self, numbers: int) -> bool:
        return self.limit is not None and numbers > self.limit

    def reference(self, parts: Mapping[str, NDArray[Any]]) -> str:
        """Return what stands in the place of a constant, of one array or of several."""
        if not self.keep:
            return f"{len(parts['.data'])} entries, elided" if ".data" in parts else "elided"
        name = f"c{self.references}"
        self.references += 1
        self.constants |= {f"{name}{part}": array for part, array in parts.items()}
        return f"${name}"


def _question(program: Program) -> str:
    objective = program.objective
    if objective is None:
        return f"output %{program.result}"
    if objective.lipschitz is None:
        return f"{objective.sense.value} %{program.result}"
    question = objective.lipschitz
    outputs = "" if question.output_norm is Norm.LINF else f", outputs = {question.output_norm.value}"
    return f"{objective.sense.value} lipschitz(%{program.result}, norm = {question.norm.value}{outputs})"


def _block(opening: str, rows: list[str], closing: str) -> str:
    if len(rows) <= 1 or sum(map(len, rows)) <= ONE_LINE:
        return opening + ", ".join(rows) + closing
    return f"{opening}\n      " + ",\n      ".join(rows) + f"\n    {closing}"


def _filled(numbers: Floats, shape: str) -> str:
    """Return the form of a vector or matrix of equal numbers; empty where writing them out is as short."""
    common = _common(numbers)
    if not numbers.size and numbers.ndim == 2:
        return f"zeros({shape})"
    if common is None or numbers.size <= FEW:
        return ""
    if _same_bits(np.array(common), np.zeros(())):
        return f"zeros({shape})"
    return f"ones({shape})" if common == 1 else f"{float_text(common)} * ones({shape})"


def _common(numbers: Floats) -> float | None:
    """Return the number that all are, bit for bit; `None` if they differ or there are none."""
    first = float(numbers.flat[0]) if numbers.size else 0.0
    return first if numbers.size and _same_bits(numbers, np.broadcast_to(first, numbers.shape)) else None


def _same_bits(left: Floats, right: Floats) -> bool:
    return bool((left == right).all() and (np.signbit(left) == np.signbit(right)).all())


def _is_diagonal(matrix: csr_array) -> bool:
    rows, columns = matrix.shape
    steps = np.arange(rows + 1)
    return bool(rows == columns and np.array_equal(matrix.indptr, steps) and np.array_equal(matrix.indices, steps[:-1]))


def _canonical(matrix: csr_array) -> csr_array:
    """Return the rows of a polytope with their columns in order; those of an affine map always are."""
    if matrix.has_canonical_format and matrix.dtype == np.float64:
        return matrix
    canonical = csr_array(matrix, dtype=np.float64, copy=True)
    canonical.sum_duplicates()
    return canonical


def _parts(matrix: csr_array) -> dict[str, NDArray[Any]]:
    return {
        ".data": matrix.data,
        ".indices": matrix.indices.astype(np.int64),
        ".indptr": matrix.indptr.astype(np.int64),
    }
