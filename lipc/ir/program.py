"""The intermediate representation: programs of four operations on vectors, in SSA form.

Jordan & Dimakis (NeurIPS 2020), Lemma 1: affine maps, `conditional` and `switch` are enough for every
piecewise-linear network *and* for its Jacobian. An operation has one result, so a value is named by the
position of its operation; operands stand before their users.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lipc.ir.matrix import Matrix
from lipc.ir.norms import Norm
from lipc.ir.polytope import Floats, Polytope


class Kind(Enum):
    """What the entries of a value are."""

    REAL = "vec"
    BIT = "bits"


class Sense(Enum):
    """Whether the objective is to be large or small."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


@dataclass(frozen=True, eq=False)
class Origin:
    """Where an operation came from, so that errors, dumps and solver variables can name it.

    Parameters
    ----------
    name
        Short: an ONNX node's name or an identifier in a source file. Need not be unique.
    source
        For messages: ``model.onnx: node 'Relu_3' (Relu)``.
    kept
        Shape ``(n,)``: which entries of that place the operation still stands for, after others were pruned;
        `None`: all, in order.
    """

    name: str
    source: str = ""
    kept: NDArray[np.int64] | None = None

    def keep(self, chosen: NDArray[np.int64]) -> Origin:
        """Return the origin of an operation that keeps only some of the present entries."""
        return replace(self, kept=chosen if self.kept is None else self.kept[chosen])

    def entries(self, size: int) -> NDArray[np.int64]:
        """Return the entry of the place of origin that each of `size` present entries stands for."""
        return self.kept if self.kept is not None and len(self.kept) == size else np.arange(size)


@dataclass(frozen=True, eq=False)
class Input:
    """Free entries within a polytope; reals, or bits (then the polytope lies in ``[0, 1]^n``)."""

    origin: Origin
    domain: Polytope
    kind: Kind = Kind.REAL

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.domain.size

    @property
    def operands(self) -> tuple[int, ...]:
        """No value is read."""
        return ()


@dataclass(frozen=True, eq=False)
class Term:
    """One summand ``matrix @ operand`` of an affine map; the matrix has shape ``(size, operand size)``."""

    operand: int
    matrix: Matrix

    @cached_property
    def transposed(self) -> Matrix:
        """The matrix transposed, without a copy; kept, for to make it costs more than to use it if it is small."""
        transposed: Matrix = self.matrix.T
        return transposed

    def __getstate__(self) -> dict[str, object]:
        return {"operand": self.operand, "matrix": self.matrix}  # what is kept is not sent along


@dataclass(frozen=True, eq=False)
class Affine:
    """``sum(term.matrix @ term.operand) + bias``; without terms, a constant.

    Bits may be read too; they count as the reals 0 and 1. No operand stands in two terms.
    """

    origin: Origin
    terms: tuple[Term, ...]
    bias: Floats

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self.bias)

    @property
    def kind(self) -> Kind:
        """Always reals."""
        return Kind.REAL

    @property
    def operands(self) -> tuple[int, ...]:
        """The values read, in the order of the terms."""
        return tuple(term.operand for term in self.terms)


@dataclass(frozen=True, eq=False)
class Conditional:
    """Bits: 1 where the operand is positive, 0 where it is negative, either where it is 0."""

    origin: Origin
    operand: int
    size: int

    @property
    def kind(self) -> Kind:
        """Always bits."""
        return Kind.BIT

    @property
    def operands(self) -> tuple[int, ...]:
        """The one value read."""
        return (self.operand,)


@dataclass(frozen=True, eq=False)
class Switch:
    """The entrywise product of a real operand and a bit of the same size."""

    origin: Origin
    operand: int
    bit: int
    size: int

    @property
    def kind(self) -> Kind:
        """Always reals."""
        return Kind.REAL

    @property
    def operands(self) -> tuple[int, ...]:
        """The real value, then the bits."""
        return (self.operand, self.bit)


Op: TypeAlias = Input | Affine | Conditional | Switch


@dataclass(frozen=True)
class Lipschitz:
    """Ask for ``max c' J(x) v`` instead of the value: the local Lipschitz constant (Theorem 1).

    Parameters
    ----------
    norm
        The norm that perturbations of the input are measured in; ``v`` lives in its unit ball.
    output_norm
        What changes of a result of several entries are measured in: l_inf, where the constant is the largest over the
        entries, or l_1; ``c`` lives in the unit ball of its dual.
    """

    norm: Norm = Norm.LINF
    output_norm: Norm = Norm.LINF


@dataclass(frozen=True)
class Objective:
    """What to do with the program's result.

    With `lipschitz` the sense is to maximize and the result may have any size; without it the result is one number.
    """

    sense: Sense
    lipschitz: Lipschitz | None = None


@dataclass(frozen=True, eq=False)
class Interval:
    """Bounds ``lower <= value <= upper`` that hold wherever the inputs lie in their domains; shape ``(n,)`` each."""

    lower: Floats
    upper: Floats

    @property
    def magnitude(self) -> Floats:
        """The largest absolute value of each entry."""
        magnitude: Floats = np.maximum(-self.lower, self.upper)
        return magnitude

    def take(self, entries: NDArray[np.int64]) -> Interval:
        """Return the bounds of some entries."""
        return Interval(self.lower[entries], self.upper[entries])


@dataclass(frozen=True, eq=False)
class Program:
    """Operations in order, the result, the question about it, and bounds already proven.

    Parameters
    ----------
    ops
        ``ops[k]`` makes value ``k``; operands are smaller than ``k``.
    result
        The value that is the network's output, or the objective.
    objective
        The question; `None` for a network of which nothing is asked yet.
    bounds
        Proven bounds of values, by value; may be empty or partial.
    """

    ops: tuple[Op, ...]
    result: int
    objective: Objective | None = None
    bounds: Mapping[int, Interval] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        from lipc.ir.printer import print_program

        return print_program(self, elide=16)

    def users(self) -> list[list[int]]:
        """Return, for each value, the values computed from it directly, in order."""
        users: list[list[int]] = [[] for _ in self.ops]
        for value, op in enumerate(self.ops):
            for operand in dict.fromkeys(op.operands):
                users[operand].append(value)
        return users

    def find(self, kind: type[Input] | type[Affine] | type[Conditional] | type[Switch]) -> Iterator[int]:
        """Yield the values made by one kind of operation, in order."""
        return (value for value, op in enumerate(self.ops) if isinstance(op, kind))

    def network_input(self) -> tuple[int, Polytope]:
        """Return the one input of a network and its domain.

        Raises
        ------
        ValueError
            If there is not exactly one input.
        """
        ((value, op),) = ((value, op) for value, op in enumerate(self.ops) if isinstance(op, Input))
        return value, op.domain

    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy cannot be pickled.
        return _restored, (self.ops, self.result, self.objective, dict(self.bounds))

    def with_bounds(self, bounds: Mapping[int, Interval]) -> Program:
        """Return the same program with these bounds in place of its own."""
        return replace(self, bounds=MappingProxyType(dict(bounds)))


def _restored(ops: tuple[Op, ...], result: int, objective: Objective | None, bounds: dict[int, Interval]) -> Program:
    return Program(ops, result, objective, MappingProxyType(bounds))
