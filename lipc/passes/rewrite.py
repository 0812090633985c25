"""Rewriting: copy a program operation by operation, where a pass says what becomes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_array

from lipc.bounds.interval import intersect
from lipc.ir import (
    Affine,
    Builder,
    Conditional,
    Floats,
    Input,
    Interval,
    Matrix,
    Op,
    Program,
    Switch,
    Term,
    add,
    as_dense,
    as_matrix,
    entries,
    identity,
)
from lipc.passes.base import PassResult, Source
from lipc.passes.dce import renumber, without_dead_code


@dataclass(eq=False)
class Rewriter:
    """A program being copied: `new_values` says which value of `builder` has the entries of each old one."""

    program: Program
    builder: Builder = field(default_factory=Builder)
    new_values: dict[int, int] = field(default_factory=dict)
    bounds: dict[int, Interval] = field(default_factory=dict)
    sources: dict[int, Source] = field(default_factory=dict)

    def renumbered(self, op: Op) -> Op:
        """Return an old operation that reads the new values.

        Two operands of an affine map may have become one. Their matrices are added if that rounds nothing; otherwise
        one of them is read through a copy, for no operation reads a value twice.
        """
        if not isinstance(op, Affine):
            return renumber(op, self.new_values)
        terms: dict[int, Matrix] = {}
        for term in op.terms:
            operand = self.new_values[term.operand]
            matrix: Matrix | None = term.matrix
            if operand in terms:
                matrix = add_exactly(terms[operand], term.matrix)
                if matrix is None:
                    operand, matrix = self.copy_of(operand), term.matrix
            terms[operand] = matrix if matrix is not None else term.matrix
        return replace(op, terms=tuple(Term(operand, matrix) for operand, matrix in terms.items()))

    def copy_of(self, value: int) -> int:
        """Append a copy of a new value, for an affine operation that must read it twice."""
        origin = self.builder.ops[value].origin
        return self.builder.affine({value: identity(self.builder.size(value))}, origin=origin)

    def place(self, value: int, new: int) -> None:
        """Record that `new` has the entries of an old value; proven bounds hold for it."""
        self.new_values[value] = new
        if value in self.program.bounds:
            known = self.program.bounds[value]
            self.bounds[new] = intersect(self.bounds[new], known) if new in self.bounds else known
        op = self.program.ops[value]
        if isinstance(op, Input | Conditional):
            self.sources.setdefault(value, Source.whole(new, op.size))

    def copy(self, value: int) -> None:
        """Copy an old operation as it is."""
        self.place(value, self.builder.append(self.renumbered(self.program.ops[value])))

    def finish(self) -> PassResult:
        """Return the new program without what has become dead code."""
        result = self.new_values[self.program.result]
        rewritten = Program(tuple(self.builder.ops), result, self.program.objective).with_bounds(self.bounds)
        cleaned, new_values = without_dead_code(rewritten)
        return PassResult(cleaned, {value: source.renumbered(new_values) for value, source in self.sources.items()})


def add_exactly(left: Matrix, right: Matrix) -> Matrix | None:
    """Return the sum of two matrices if it rounds nothing, else `None`; sparse only if both are."""
    if not (isinstance(left, csr_array) and isinstance(right, csr_array)):
        left, right = as_dense(left), as_dense(right)
    with np.errstate(over="ignore", invalid="ignore"):
        total = add(left, right)
        # What rounding lost, by Knuth's two-sum: exact in any case, and 0 where the sum is.
        of_right = total - left
        lost = as_matrix((left - (total - of_right)) + (right - of_right))
    data = lost.data if isinstance(lost, csr_array) else lost
    return None if bool((data != 0).any()) or not _finite(total) else total


def _finite(matrix: Matrix) -> bool:
    return bool(np.isfinite(matrix.data if isinstance(matrix, csr_array) else matrix).all())


def is_relu(ops: Sequence[Op], op: Op) -> bool:
    """Return whether an operation among others is ``switch(z, conditional(z))``."""
    if not isinstance(op, Switch):
        return False
    bit = ops[op.bit]
    return isinstance(bit, Conditional) and bit.operand == op.operand


def bits_of_relus(program: Program) -> set[int]:
    """Return the conditionals that nothing but relus reads.

    Where their operand is 0 the bits do not matter, even if that is a whole region: there they may be set to those of
    another conditional.
    """
    ops = program.ops
    users = program.users()
    return {
        value
        for value in program.find(Conditional)
        if value != program.result and all(is_relu(ops, ops[user]) for user in users[value])
    }


def diagonal_of(matrix: Matrix) -> Floats | None:
    """Return the diagonal of a square matrix, shape ``(n,)``, if it has no 0 and nothing else has an entry."""
    if matrix.shape[0] != matrix.shape[1] or entries(matrix) != matrix.shape[0]:
        return None
    factors: Floats = matrix.diagonal()
    return factors if factors.all() else None


def diagonal(op: Op) -> tuple[int, Floats] | None:
    """Return the operand and the factors, shape ``(n,)``, of an operation ``factors * operand``; `None` if it is none.

    No factor is 0, and there is no bias.
    """
    if not isinstance(op, Affine) or len(op.terms) != 1 or op.bias.any():
        return None
    factors = diagonal_of(op.terms[0].matrix)
    return None if factors is None else (op.terms[0].operand, factors)
