"""The syntax tree of a .lip file. Every node knows its place: offsets in characters, `end` one past the last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from lipc.ir import Floats


@dataclass(frozen=True, eq=False)
class Node:
    """A piece of the text."""

    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Word(Node):
    """A name where it is defined, or a word that says which kind of thing stands here."""

    text: str


@dataclass(frozen=True, eq=False)
class Expression(Node):
    """What has a value."""

    @property
    def children(self) -> tuple[Expression, ...]:
        """The expressions that it is computed from, in the order of the text."""
        return ()


@dataclass(frozen=True, eq=False)
class Number(Expression):
    """``0.5``."""

    value: float


@dataclass(frozen=True, eq=False)
class Numbers(Expression):
    """``[1, -2, 3]``: a list of plain numbers, shape ``(n,)``."""

    values: Floats


@dataclass(frozen=True, eq=False)
class Text(Expression):
    """``"weights.npz"``."""

    text: str


@dataclass(frozen=True, eq=False)
class Name(Expression):
    """``h1``."""

    name: str


@dataclass(frozen=True, eq=False)
class Listing(Expression):
    """``[a, b; c, d]``."""

    rows: tuple[tuple[Expression, ...], ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        """All entries, row by row."""
        return tuple(entry for row in self.rows for entry in row)


@dataclass(frozen=True, eq=False)
class Chain(Expression):
    """``a + b - c``, or ``a * b / c``: operators of one level, to be done from the left."""

    operators: tuple[str, ...]
    operands: tuple[Expression, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        """The operands."""
        return self.operands


@dataclass(frozen=True, eq=False)
class Negated(Expression):
    """``-a``."""

    operand: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, eq=False)
class Transposed(Expression):
    """``W'``."""

    operand: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, eq=False)
class Member(Expression):
    """``w.W1``."""

    operand: Expression
    name: str

    @property
    def children(self) -> tuple[Expression, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, eq=False)
class Slice(Node):
    """``a:b:c``, of which everything may be missing."""

    parts: tuple[Expression | None, Expression | None, Expression | None]


Subscript: TypeAlias = Expression | Slice


@dataclass(frozen=True, eq=False)
class Indexed(Expression):
    """``x[0:3]``."""

    operand: Expression
    subscripts: tuple[Subscript, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        """What is indexed, and every index that is written."""
        written: list[Expression] = [self.operand]
        for subscript in self.subscripts:
            parts = subscript.parts if isinstance(subscript, Slice) else (subscript,)
            written += [part for part in parts if part is not None]
        return tuple(written)


@dataclass(frozen=True, eq=False)
class Named(Node):
    """``norm = l1``, among the arguments of a call."""

    name: str
    value: Expression


@dataclass(frozen=True, eq=False)
class Call(Expression):
    """``f(a, b, name = c)``."""

    function: Word
    positional: tuple[Expression, ...]
    named: tuple[Named, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        """The arguments."""
        return (*self.positional, *(argument.value for argument in self.named))


def postorder(root: Expression) -> Iterator[Expression]:
    """Yield an expression and all within it, each after its children; the depth costs no stack."""
    pending = [(root, False)]
    while pending:
        node, entered = pending.pop()
        if entered or not node.children:
            yield node
        else:
            pending.append((node, True))
            pending.extend((child, False) for child in reversed(node.children))


@dataclass(frozen=True, eq=False)
class Definition(Node):
    """``h1 = relu(x)``."""

    name: Word
    value: Expression


@dataclass(frozen=True, eq=False)
class InputLine(Node):
    """``input x[2]``."""

    name: Word
    size: Expression


@dataclass(frozen=True, eq=False)
class OutputLine(Node):
    """``output y = h1``; without a value, the name is that of a value already defined."""

    name: Word
    value: Expression | None


Statement: TypeAlias = Definition | InputLine | OutputLine


@dataclass(frozen=True, eq=False)
class NetworkBlock(Node):
    """``network name { .. }``."""

    name: Word
    statements: tuple[Statement, ...]


@dataclass(frozen=True, eq=False)
class Box(Node):
    """``box lower .. upper``."""

    lower: Expression
    upper: Expression


@dataclass(frozen=True, eq=False)
class Ball(Node):
    """``ball linf center c radius r clip lower .. upper``."""

    norm: Word
    center: Expression
    radius: Expression
    clip: tuple[Expression, Expression] | None


@dataclass(frozen=True, eq=False)
class DomainLine(Node):
    """``domain`` and regions with ``or`` between them."""

    regions: tuple[Box | Ball, ...]


@dataclass(frozen=True, eq=False)
class Constraint(Node):
    """``0 <= x[0] - x[1] <= 1``."""

    operators: tuple[str, ...]
    operands: tuple[Expression, ...]


@dataclass(frozen=True, eq=False)
class WhereLine(Node):
    """``where`` and constraints."""

    constraints: tuple[Constraint, ...]


@dataclass(frozen=True, eq=False)
class GoalLine(Node):
    """``maximize`` or ``minimize`` and what."""

    verb: str
    value: Expression


Line: TypeAlias = Definition | DomainLine | WhereLine | GoalLine


@dataclass(frozen=True, eq=False)
class QueryBlock(Node):
    """``query name { .. }``; the name, of a network, may be missing."""

    network: Word | None
    lines: tuple[Line, ...]


Item: TypeAlias = Definition | NetworkBlock | QueryBlock
