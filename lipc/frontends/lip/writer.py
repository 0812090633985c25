"""Appends operations for values of expressions, one statement to one or a few; rounding makes an operation of its own.

Nothing is fused here, and no coefficient of the network is computed from two others but where that is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lipc.errors import InternalError
from lipc.frontends.lip.load import Archive, Loader
from lipc.frontends.lip.report import Budget, Mistake
from lipc.frontends.lip.syntax import Expression
from lipc.frontends.lip.values import (
    Constant,
    Linear,
    Quoted,
    Value,
    plus,
    reference,
    scaled,
    selected,
    shape_words,
    shifted,
    stacked,
)
from lipc.ir import Affine, Builder, Conditional, Floats, Input, Kind, Op, Switch, Term

MAX_SIZE = 2**20
"""Entries of one value of a network."""

MAX_OPERATIONS = 100_000
"""In one network; applying networks to one another can double it with every line."""


@dataclass(frozen=True, eq=False)
class Operand:
    """A value and the expression that it is of; `words` is how messages call it."""

    value: Value
    node: Expression
    words: str

    def __str__(self) -> str:
        if isinstance(self.value, Archive):
            return f"{self.words} holds several arrays"
        if isinstance(self.value, Quoted):
            return f"{self.words} is a text"
        shape = self.value.shape
        return f"{self.words} {'has' if len(shape) == 1 else 'is'} {shape_words(shape)}"


@dataclass
class Writer:
    """The program being made.

    Parameters
    ----------
    loader
        Reads files, and counts what the program holds.
    """

    loader: Loader
    builder: Builder = field(default_factory=Builder)

    @property
    def budget(self) -> Budget:
        """What has been made of all that may be made."""
        return self.loader.budget

    def value(self, linear: Linear) -> int:
        """Return the value of the program that a vector is, appended if it is none yet."""
        if linear.value is not None:
            return linear.value
        self.check_size(linear.size)
        self.budget.spend(linear.numbers)
        if not linear.is_finite:
            raise Mistake("its numbers are too large for double precision")
        return self.builder.affine(linear.terms, linear.bias)

    def check_size(self, size: int) -> None:
        """Raise a mistake if a vector is too long, or the program is."""
        if size > MAX_SIZE:
            raise Mistake(f"this has {size} entries; {MAX_SIZE} are the most for a value of a network")
        if len(self.builder.ops) > MAX_OPERATIONS:
            raise Mistake(f"the network has more than {MAX_OPERATIONS} operations")

    def named(self, linear: Linear) -> Linear:
        """Return a vector as a value of the program."""
        return reference(self.value(linear), linear.size)

    def real(self, linear: Linear) -> int:
        """Return the value that a vector is, bits as the reals 0 and 1: the operand of what is not linear."""
        value = self.value(linear)
        self.check_size(linear.size)
        self.budget.spend(4 * linear.size)  # of the operations that will read it
        if self.builder.ops[value].kind is Kind.REAL:
            return value
        return self.builder.linear((1.0, value))

    def is_bits(self, linear: Linear) -> bool:
        """Return whether a vector is the bits of a conditional."""
        return linear.value is not None and self.builder.ops[linear.value].kind is Kind.BIT

    def add(self, left: Linear, right: Linear) -> Linear:
        """Return the sum of two vectors of one size."""
        total = plus(left, right)
        if total is None and left.value is None:
            left = self.named(left)
            total = plus(left, right)
        if total is None:
            total = plus(left, self.named(right))
        if total is None:
            raise InternalError("a sum of two values was rounded")
        return total

    def shift(self, linear: Linear, offset: Floats) -> Linear:
        """Return a vector plus a constant one of its size."""
        total = shifted(linear, offset)
        return Linear(self.named(linear).terms, offset) if total is None else total

    def scale(self, linear: Linear, factors: Floats) -> Linear:
        """Return a vector with each entry times a factor, shape ``(n,)``."""
        product = scaled(linear, factors)
        if product is None:
            product = scaled(self.named(linear), factors)
        if product is None:
            raise InternalError("a multiple of a value was rounded")
        return product

    def repeat(self, linear: Linear, size: int) -> Linear:
        """Return a vector of this size; one entry is repeated."""
        if linear.size == size:
            return linear
        self.check_size(size)
        return selected(self.named(linear), np.zeros(size, np.int64))

    def stack(self, parts: Sequence[Linear]) -> Linear:
        """Return vectors one after another."""
        self.check_size(sum(part.size for part in parts))
        named = [part if part.numbers <= 4 * part.size else self.named(part) for part in parts]
        self.budget.spend(sum(part.numbers for part in named))
        return stacked(named)

    def linear(self, operand: Operand) -> Linear:
        """Return an operand as a vector; a constant becomes one without terms.

        Raises
        ------
        Mistake
            If it is a matrix or holds several arrays.
        """
        constant_or_linear = plain(operand)
        if isinstance(constant_or_linear, Linear):
            return constant_or_linear
        if constant_or_linear.array.ndim == 2:
            raise Mistake(f"a vector must stand here, but {operand}", node=operand.node)
        return Linear({}, constant_or_linear.array.reshape(-1))

    def splice(self, ops: tuple[Op, ...], result: int, given: int) -> int:
        """Append the operations of a finished network with its input replaced by a value; return its result.

        They keep their names behind that of the statement: ``h.relu1``.
        """
        if len(self.builder.ops) + len(ops) > MAX_OPERATIONS:
            raise Mistake(f"with this, the network has more than {MAX_OPERATIONS} operations")
        self.budget.spend(sum(op.size for op in ops))
        prefix = self.builder.origin.name
        place = {}
        for value, op in enumerate(ops):
            origin = type(op.origin)(f"{prefix}.{op.origin.name}", op.origin.source)
            if isinstance(op, Input):
                place[value] = given
            elif isinstance(op, Affine):
                terms = tuple(Term(place[term.operand], term.matrix) for term in op.terms)
                place[value] = self.builder.append(Affine(origin, terms, op.bias))
            elif isinstance(op, Conditional):
                place[value] = self.builder.append(Conditional(origin, place[op.operand], op.size))
            elif isinstance(op, Switch):
                place[value] = self.builder.append(Switch(origin, place[op.operand], place[op.bit], op.size))
        return place[result]


def plain(operand: Operand) -> Constant | Linear:
    """Return the value of an operand as a constant or a vector.

    Raises
    ------
    Mistake
        If it holds several arrays, or is a text.
    """
    if isinstance(operand.value, Quoted):
        raise Mistake("a text stands only in load(..)", node=operand.node)
    if isinstance(operand.value, Archive):
        names = operand.value.names
        hint = f"name one of them, e.g. {operand.words}.{names[0]}" if names else "it is empty"
        raise Mistake(str(operand), hint, operand.node)
    return operand.value
