"""Constant folding: what is the same wherever the inputs are is computed here, where that rounds nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import isfinite
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir import (
    Affine,
    Conditional,
    Floats,
    Matrix,
    Op,
    Origin,
    Program,
    Switch,
    Term,
    as_matrix,
    entries,
    selection,
)
from lipc.ir.exact import ExactInterpreter
from lipc.passes.base import Pass, PassResult
from lipc.passes.rewrite import Rewriter

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Fold(Pass):
    """Fold constants into what reads them, where that rounds nothing.

    Entry by entry: an affine map takes constant entries of its operands into its bias, unless the sum of a row is no
    float. Matrices without entries go. A conditional of a constant other than 0 is a constant bit; a switch over
    constant bits is its operand, 0, or a selection. Inputs are never constants, not even where their domain is a
    single point, for a derivative would be lost.
    """

    name: ClassVar[str] = "fold"
    exact: ClassVar[bool] = True

    def apply(self, program: Program) -> PassResult:
        """Return the program with constants folded, and without what nobody reads any longer."""
        folder = _Folder(Rewriter(program))
        for value, op in enumerate(program.ops):
            if isinstance(op, Affine):
                folder.affine(value, op)
            elif isinstance(op, Conditional):
                folder.conditional(value, op)
            elif isinstance(op, Switch):
                folder.switch(value, op)
            else:
                folder.keep(value, np.full(op.size, np.nan))
        return folder.finish()


@dataclass(eq=False)
class _Folder:
    """`constants` holds, for each old value, its constant entries; NaN for the others."""

    rewriter: Rewriter
    constants: list[Floats] = field(default_factory=list)

    def keep(self, value: int, constants: Floats) -> None:
        """Copy an operation."""
        self.rewriter.copy(value)
        self.constants.append(constants)

    def _append(self, value: int, op: Op, constants: Floats) -> None:
        self._alias(value, self.rewriter.builder.append(op), constants)

    def _alias(self, value: int, new: int, constants: Floats) -> None:
        self.rewriter.place(value, new)
        self.constants.append(constants)

    def affine(self, value: int, op: Affine) -> None:
        """Move constant entries of the operands into the bias."""
        folded = _folded(op, {operand: self.constants[operand] for operand in op.operands})
        computed = np.zeros(op.size, bool)
        for term in folded.terms:
            computed |= _nonzero_rows(term.matrix)
        self._append(value, self.rewriter.renumbered(folded), np.where(computed, np.nan, folded.bias))

    def conditional(self, value: int, op: Conditional) -> None:
        """Copy a conditional; what reads it may know some of its bits."""
        operand = self.constants[op.operand]
        self.keep(value, np.where(np.isnan(operand) | (operand == 0), np.nan, operand > 0))

    def switch(self, value: int, op: Switch) -> None:
        """Resolve a switch if each of its bits is known or switches 0."""
        operand, bits = self.constants[op.operand], self.constants[op.bit]
        known = np.where((bits == 0) | (operand == 0), 0.0, np.where(bits == 1, operand, np.nan))
        passes = bits == 1
        if not np.isnan(known).any():
            self._append(value, Affine(op.origin, (), known), known)
        elif passes.all():
            self._alias(value, self.rewriter.new_values[op.operand], known)
        elif (passes | (known == 0)).all():
            chosen = selection(np.where(passes, np.arange(op.size), -1), op.size)
            term = Term(self.rewriter.new_values[op.operand], chosen)
            self._append(value, Affine(op.origin, (term,), np.zeros(op.size)), known)
        else:
            self.keep(value, known)

    def finish(self) -> PassResult:
        """Return the new program; of constant bits that are gone the constants are remembered."""
        result = self.rewriter.finish()
        sources = {
            value: replace(source, constant=np.where(source.take < 0, self.constants[value], source.constant))
            for value, source in result.sources.items()
        }
        return replace(result, sources=sources)


def _folded(op: Affine, constants: Mapping[int, Floats]) -> Affine:
    """Return an affine operation that reads no constant entries, but in rows where that would round."""
    every_row = np.ones(op.size, bool)
    terms = [Term(t.operand, _cleared(t.matrix, every_row, constants[t.operand] == 0)) for t in op.terms]
    known = {operand: np.flatnonzero(~np.isnan(numbers)) for operand, numbers in constants.items()}
    products = [(t.matrix[:, known[t.operand]], constants[t.operand][known[t.operand]]) for t in terms]
    touched = np.zeros(op.size, bool)
    for matrix, _ in products:
        touched |= _nonzero_rows(matrix)
    rows = np.flatnonzero(touched)
    bias = op.bias.copy()
    if len(rows):
        sums, exact = _exact_sums(bias[rows], [(matrix[rows], vector) for matrix, vector in products])
        bias[rows[exact]] = sums[exact]
        touched[rows[~exact]] = False
        terms = [Term(t.operand, _cleared(t.matrix, touched, ~np.isnan(constants[t.operand]))) for t in terms]
    return replace(op, terms=tuple(term for term in terms if entries(term.matrix)), bias=bias)


def _exact_sums(bias: Floats, products: Sequence[tuple[Matrix, Floats]]) -> tuple[Floats, Mask]:
    """Return ``bias + sum(matrix @ vector)``, shape ``(n,)``, and which of its entries are not rounded."""
    origin = Origin("constant")
    vectors = [Affine(origin, (), vector) for _, vector in products]
    terms = tuple(Term(value, as_matrix(matrix)) for value, (matrix, _) in enumerate(products))
    program = Program((*vectors, Affine(origin, terms, bias)), len(vectors))
    total = ExactInterpreter(program).evaluate(np.zeros(0))[-1]
    nearest = total.floats()
    exact = [
        isfinite(near) and Fraction(near) == true
        for near, true in zip(nearest.tolist(), total.fractions(), strict=True)
    ]
    return nearest, np.array(exact, bool)


def _cleared(matrix: Matrix, rows: Mask, columns: Mask) -> Matrix:
    """Return a matrix with 0 where a row and a column are both marked; the same one if that changes nothing."""
    if isinstance(matrix, csr_array):
        of_row = np.repeat(rows, np.diff(matrix.indptr))
        kept = ~(of_row & columns[matrix.indices])
        if kept.all():
            return matrix
        pointers = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
        return as_matrix(csr_array((matrix.data[kept], matrix.indices[kept], pointers), shape=matrix.shape))
    if not matrix[np.ix_(rows, columns)].any():
        return matrix
    cleared = matrix.copy()
    cleared[np.ix_(rows, columns)] = 0.0
    return cleared


def _nonzero_rows(matrix: Matrix) -> Mask:
    """Return which rows of a matrix have an entry, shape ``(rows,)``."""
    if isinstance(matrix, csr_array):
        return np.asarray(np.diff(matrix.indptr) > 0)
    return np.asarray((matrix != 0).any(axis=1))
