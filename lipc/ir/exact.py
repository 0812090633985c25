"""Run a program in exact arithmetic: every float is an integer times a power of two, and so is every sum of products.

Nothing is rounded, so the sign of a pre-activation and the entries of a gradient are known, not estimated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir.matrix import Matrix, transpose
from lipc.ir.polytope import Floats
from lipc.ir.program import Affine, Conditional, Input, Kind, Program, Switch

Integers = NDArray[Any]
"""An object array of Python integers."""


@dataclass(frozen=True, eq=False)
class Dyadic:
    """``mantissas * 2**exponent``, exactly; any shape."""

    mantissas: Integers
    exponent: int

    @staticmethod
    def of(numbers: Floats) -> Dyadic:
        """Return floats, which must be finite, as they are."""
        fraction, exponent = np.frexp(np.asarray(numbers, np.float64))
        mantissa = (fraction * 2.0**53).astype(np.int64)
        nonzero = mantissa != 0
        low_bit = np.where(nonzero, mantissa & -mantissa, 1)
        powers = np.where(nonzero, exponent.astype(np.int64) - 53 + np.log2(low_bit.astype(np.float64)).astype(int), 0)
        least = int(powers[nonzero].min()) if nonzero.any() else 0
        shift = np.where(nonzero, powers - least, 0)
        return Dyadic((mantissa // low_bit).astype(object) << shift.astype(object), least)

    def __add__(self, other: Dyadic) -> Dyadic:
        least = min(self.exponent, other.exponent)
        left = self.mantissas << (self.exponent - least)
        return Dyadic(left + (other.mantissas << (other.exponent - least)), least)

    def masked(self, bits: NDArray[np.bool_]) -> Dyadic:
        """Return the entries where a bit is set, 0 elsewhere."""
        return Dyadic(np.where(bits, self.mantissas, 0), self.exponent)

    def signs(self) -> NDArray[np.int64]:
        """Return -1, 0 or 1 for each entry."""
        return np.array((self.mantissas > 0).astype(np.int64) - (self.mantissas < 0).astype(np.int64))

    def fraction(self, entry: int) -> Fraction:
        """Return one entry as a rational number."""
        return Fraction(int(self.mantissas[entry])) * Fraction(2) ** self.exponent

    def fractions(self) -> list[Fraction]:
        """Return all entries of a vector as rational numbers."""
        return [self.fraction(entry) for entry in range(len(self.mantissas))]

    def floats(self) -> Floats:
        """Return the entries of a vector, each rounded to nearest."""
        return np.array([_nearest(fraction) for fraction in self.fractions()])


def _nearest(number: Fraction) -> float:
    """Return the nearest float, infinite beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf


def round_down(number: Fraction) -> float:
    """Return the largest float at or below a rational number."""
    rounded = _nearest(number)
    if rounded == np.inf:
        return float(np.finfo(np.float64).max)
    return rounded if rounded == -np.inf or Fraction(rounded) <= number else float(np.nextafter(rounded, -np.inf))


def round_up(number: Fraction) -> float:
    """Return the smallest float at or above a rational number."""
    return 0.0 - round_down(-number)


@dataclass(eq=False)
class ExactInterpreter:
    """Evaluates one program exactly; matrices are converted once."""

    program: Program
    _matrices: dict[tuple[int, int, bool], tuple[Matrix, Dyadic]] = field(default_factory=dict)

    def evaluate(self, point: Floats, bits: Mapping[int, NDArray[np.bool_]] | None = None) -> list[Dyadic]:
        """Return every value at a point of the program's one input, shape ``(n,)``.

        Parameters
        ----------
        bits
            For conditionals the bits to take whatever the operand; without them a bit is 1 where it is positive.
        """
        values: list[Dyadic] = []
        for value, op in enumerate(self.program.ops):
            if isinstance(op, Input):
                values.append(Dyadic.of(point))
            elif isinstance(op, Affine):
                total = Dyadic.of(op.bias)
                for index, term in enumerate(op.terms):
                    total = total + self._product(value, index, term.matrix, values[term.operand])
                values.append(total)
            elif isinstance(op, Conditional):
                known = bits.get(value) if bits is not None else None
                chosen = values[op.operand].signs() > 0 if known is None else known
                values.append(Dyadic(chosen.astype(int).astype(object), 0))
            elif isinstance(op, Switch):
                values.append(values[op.operand].masked(values[op.bit].mantissas > 0))
        return values

    def pullback(self, values: list[Dyadic], cotangents: Mapping[int, Dyadic], wrt: int) -> Dyadic:
        """Return the gradient of ``sum(cotangent @ value)`` with respect to a value, the bits held fixed."""
        adjoint = self.adjoints(values, cotangents, wrt).get(wrt)
        return Dyadic.of(np.zeros(self.program.ops[wrt].size)) if adjoint is None else adjoint

    def adjoints(self, values: list[Dyadic], cotangents: Mapping[int, Dyadic], wrt: int) -> dict[int, Dyadic]:
        """Return the gradients with respect to a value and all after it on which the sum depends."""
        adjoints = dict(cotangents)
        for value in range(max(adjoints), wrt, -1):
            adjoint = adjoints.get(value)
            op = self.program.ops[value]
            if adjoint is None:
                continue
            if isinstance(op, Affine):
                for index, term in enumerate(op.terms):
                    if self.program.ops[term.operand].kind is Kind.REAL:
                        summand = self._product(value, index, term.matrix, adjoint, transposed=True)
                        _accumulate(adjoints, term.operand, summand)
            elif isinstance(op, Switch):
                _accumulate(adjoints, op.operand, adjoint.masked(values[op.bit].mantissas > 0))
        return adjoints

    def _product(self, value: int, term: int, matrix: Matrix, vector: Dyadic, *, transposed: bool = False) -> Dyadic:
        """Return ``matrix @ vector`` for one term of an affine operation, or its transpose."""
        key = (value, term, transposed)
        if key not in self._matrices:
            turned = transpose(matrix) if transposed else matrix
            self._matrices[key] = (turned, Dyadic.of(turned.data if isinstance(turned, csr_array) else turned))
        turned, numbers = self._matrices[key]
        exponent = numbers.exponent + vector.exponent
        if not isinstance(turned, csr_array):
            return Dyadic(_integers(numbers.mantissas.dot(vector.mantissas), turned.shape[0]), exponent)
        products = np.append(numbers.mantissas * vector.mantissas[turned.indices], 0)
        sums = np.add.reduceat(products, turned.indptr[:-1]) if turned.shape[0] else products[:0]
        return Dyadic(np.where(np.diff(turned.indptr) > 0, sums, 0), exponent)


def _integers(array: Any, size: int) -> Integers:
    """Return an object array of a length even where an empty sum gave plain zeros."""
    result = np.empty(size, object)
    result[:] = array
    return result


def _accumulate(adjoints: dict[int, Dyadic], value: int, summand: Dyadic) -> None:
    adjoints[value] = adjoints[value] + summand if value in adjoints else summand
