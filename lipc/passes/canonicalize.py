"""Canonical forms: identities of whole values, after which more operations are the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir import (
    Affine,
    Conditional,
    Floats,
    Interval,
    Kind,
    Matrix,
    Origin,
    Program,
    Switch,
    Term,
    as_dense,
    as_matrix,
    entries,
    identity,
)
from lipc.passes.base import Pass, PassResult, Source
from lipc.passes.multiples import Multiple, Multiples
from lipc.passes.nested import Summand, unnested
from lipc.passes.rewrite import Rewriter, add_exactly, diagonal, is_relu

STORAGE_MATTERS = 1024
"""Matrices of fewer numbers stay as they are stored: they cost microseconds either way."""

SPARSE, DENSE = 1 / 16, 1 / 4
"""Dense matrices with a smaller share of nonzeros become sparse, and sparse ones with a larger share dense. Measured on
the products that bounds take: both cost the same at a share of 0.1 for 1024 x 1024, of 0.02 for 128 x 128 numbers."""


@dataclass(frozen=True)
class Canonicalize(Pass):
    """Write functions built by hand in the form that costs the fewest rows and bits.

    An affine map that changes nothing goes. ``conditional(s z)`` becomes ``conditional(z)``, its bits flipped where s
    is negative (which costs a term, so only if some other conditional reads z too); relus over it become relus of z.
    ``switch(switch(u, a), a)`` is ``switch(u, a)``, and the relu of a relu the relu. A relu of a maximum or minimum
    with a constant, as nested clips have them, reads what the maximum is taken of. Matrices are stored as is cheapest.
    `cse` then shares what has become the same; neurons that are equal entry by entry are for `merge-duplicates`.

    A relu stays ``switch(z, conditional(z))``. Where z = 0, bits of conditionals that become one agree afterwards.
    """

    name: ClassVar[str] = "canonicalize"
    exact: ClassVar[bool] = True

    def apply(self, program: Program) -> PassResult:
        """Return the program in canonical form."""
        writer = _Writer(program, Rewriter(program))
        for value, op in enumerate(program.ops):
            if isinstance(op, Affine):
                writer.affine(value, op)
            elif isinstance(op, Conditional):
                writer.conditional(value, op)
            elif isinstance(op, Switch):
                writer.switch(value, op)
            else:
                writer.rewriter.copy(value)
        return writer.rewriter.finish()


@dataclass(frozen=True, eq=False)
class _Form:
    """A conditional of a multiple: its operand has the sign of that.

    The relu of its operand is ``relu(multiple) + sum(factor * summand)``.
    """

    multiple: Multiple
    summands: list[Summand]

    @property
    def flips(self) -> NDArray[np.bool_]:
        """Where its bits are those of the base flipped, shape ``(n,)``."""
        return self.multiple.negative


@dataclass(eq=False)
class _Writer:
    """The program being copied; `forms` says what became of each old conditional."""

    program: Program
    rewriter: Rewriter
    forms: dict[int, _Form] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.builder = self.rewriter.builder
        self.multiples = Multiples(self.builder.ops)
        ops, old = self.program.ops, Multiples(self.program.ops)
        self.old_bases = {v: old.of(op.operand).base for v, op in enumerate(ops) if isinstance(op, Conditional)}
        self.conditionals_of = Counter(self.old_bases.values())

    def affine(self, value: int, op: Affine) -> None:
        """Copy an affine operation with its matrices stored well; one that changes nothing goes."""
        flipped = [operand for operand in op.operands if operand in self.forms and self.forms[operand].flips.any()]
        kept = {operand: self.rewriter.new_values[operand] for operand in flipped}
        self.rewriter.new_values.update({operand: self._unflipped(operand) for operand in flipped})
        terms = tuple(Term(term.operand, stored_well(term.matrix)) for term in op.terms)
        renumbered = self.rewriter.renumbered(replace(op, terms=terms))
        self.rewriter.new_values.update(kept)
        factors = diagonal(renumbered)
        if factors is not None and (factors[1] == 1).all() and self.builder.ops[factors[0]].kind is Kind.REAL:
            self.rewriter.place(value, factors[0])
        else:
            self.rewriter.place(value, self.builder.append(renumbered))

    def conditional(self, value: int, op: Conditional) -> None:
        """Write a conditional as one of the value that its operand is a multiple of."""
        operand, summands = unnested(self.builder, self.rewriter.new_values[op.operand])
        multiple = self.multiples.of(operand)
        alone = self.conditionals_of[self.old_bases[value]] == 1 and not self._is_relu(multiple.base)
        if alone and multiple.negative.any():
            multiple = Multiple(operand, (np.ones(op.size),))
        form = self.forms[value] = _Form(multiple, summands)
        flips = form.flips
        new = self.builder.conditional(multiple.base, op.origin)
        self.rewriter.new_values[value] = new
        self.rewriter.sources[value] = Source.whole(new, op.size, flips)
        if value in self.program.bounds:
            known = self.program.bounds[value]
            lower, upper = np.where(flips, 1 - known.upper, known.lower), np.where(flips, 1 - known.lower, known.upper)
            self.rewriter.bounds[new] = Interval(lower, upper)

    def _is_relu(self, value: int) -> bool:
        return is_relu(self.builder.ops, self.builder.ops[value])

    def _unflipped(self, conditional: int) -> int:
        """Return the bits of an old conditional as numbers: 1 minus the new ones where they are flipped."""
        if conditional not in self.numbers:
            flips = self.forms[conditional].flips
            matrix = identity(len(flips), np.where(flips, -1.0, 1.0))
            terms = {self.rewriter.new_values[conditional]: matrix}
            origin = self.program.ops[conditional].origin
            self.numbers[conditional] = self.builder.affine(terms, flips.astype(np.float64), origin)
        return self.numbers[conditional]

    def switch(self, value: int, op: Switch) -> None:
        """Write a relu as one of its base, and any other switch over the bits that there are."""
        form = self.forms.get(op.bit)
        operand, bits = self.rewriter.new_values[op.operand], self.rewriter.new_values[op.bit]
        if form is not None and is_relu(self.program.ops, op):
            new = self._relu(form, bits, op.origin)
        elif form is not None and form.flips.any():
            # The switch over 1 - a is what the switch over a withholds.
            flips = form.flips
            switched = self.builder.switch(operand, bits, op.origin)
            summands = [(np.where(flips, -1.0, 1.0), switched), (flips.astype(np.float64), operand)]
            new = self._combined(summands, op.origin)
        else:
            inner = self.builder.ops[operand]
            repeated = isinstance(inner, Switch) and inner.bit == bits
            new = operand if repeated else self.builder.switch(operand, bits, op.origin)
        self.rewriter.place(value, new)

    def _relu(self, form: _Form, bits: int, origin: Origin) -> int:
        """Append the relu of what a form stands for: for negative s, ``relu(s z) = s z - s relu(z)``."""
        base = form.multiple.base
        relu = base if self._is_relu(base) else self.builder.switch(base, bits, origin)
        summands: list[tuple[Floats, int]] = []
        for part in form.multiple.parts:
            summands.append((np.where(form.flips, -part, part), relu))
            summands.append((np.where(form.flips, part, 0.0), base))
        summands += [(np.full(len(form.flips), factor), summand) for factor, summand in form.summands]
        return self._combined(summands, origin)

    def _combined(self, summands: list[tuple[Floats, int]], origin: Origin) -> int:
        """Append ``sum(factors * value)``; a single value times 1 is there already."""
        total: dict[int, Floats] = {}
        for factors, value in summands:
            before = total.get(value, np.zeros_like(factors))
            both = add_exactly(before[:, None], factors[:, None])
            if both is None:
                total[self.rewriter.copy_of(value)] = factors
            else:
                total[value] = as_dense(both)[:, 0]
        used = {value: factors for value, factors in total.items() if factors.any()}
        if len(used) == 1 and all((factors == 1).all() for factors in used.values()):
            return next(iter(used))
        size = len(summands[0][0])
        terms = {value: as_matrix(identity(size, factors)) for value, factors in used.items()}
        return self.builder.affine(terms, np.zeros(size), origin)


def stored_well(matrix: Matrix) -> Matrix:
    """Return a matrix stored as is cheaper for its share of nonzeros."""
    rows, columns = matrix.shape
    share = entries(matrix) / max(1, rows * columns)
    if rows * columns < STORAGE_MATTERS:
        return matrix
    if isinstance(matrix, csr_array):
        return as_dense(matrix) if share > DENSE else matrix
    return as_matrix(csr_array(matrix)) if share < SPARSE else matrix
