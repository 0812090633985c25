"""Neuron scaling by powers of two: the same program with coefficients of a smaller range."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir import Affine, Floats, Interval, Matrix, Op, Program, Switch, Term
from lipc.passes.base import Pass, PassResult, kept_whole

Exponents = NDArray[np.int64]


@dataclass(frozen=True)
class Scale(Pass):
    """Scale neurons by powers of two, so that coefficients lie closer together.

    Each entry of an affine value is scaled so that the geometric mean of its smallest and largest coefficient is about
    1, and what reads it undoes that: ``relu(2^k z) = 2^k relu(z)``. Bits, inputs and the result stay as they are, and
    so does the whole program if its range of coefficients would not become smaller. Powers of two round nothing.
    """

    name: ClassVar[str] = "scale"
    exact: ClassVar[bool] = True

    def apply(self, program: Program) -> PassResult:
        """Return the scaled program, its bounds scaled along, or the program as it is."""
        scaled = _scaled(program)
        better = scaled is not None and _ratio(scaled) < _ratio(program)
        return PassResult(scaled if scaled is not None and better else program, kept_whole(program))


def coefficient_range(program: Program) -> tuple[float, float]:
    """Return the smallest and the largest absolute nonzero coefficient over all matrices; (1, 1) without any."""
    smallest, largest = np.inf, 0.0
    for op in program.ops:
        for term in op.terms if isinstance(op, Affine) else ():
            magnitudes = _magnitudes(term.matrix)
            smallest = min(smallest, float(magnitudes.min(initial=np.inf)))
            largest = max(largest, float(magnitudes.max(initial=0.0)))
    return (smallest, largest) if largest else (1.0, 1.0)


def _ratio(program: Program) -> float:
    smallest, largest = coefficient_range(program)
    return float(np.log2(largest) - np.log2(smallest))


def _magnitudes(matrix: Matrix) -> Floats:
    """Return the absolute nonzero numbers of a matrix."""
    data = np.abs(matrix.data if isinstance(matrix, csr_array) else matrix)
    return np.asarray(data[data != 0])


def _scaled(program: Program) -> Program | None:
    """Return the scaled program; `None` if a number would leave the range of floats."""
    fixed = _fixed(program)
    exponents: list[Exponents] = []
    ops: list[Op] = []
    for value, op in enumerate(program.ops):
        own: Exponents = np.zeros(op.size, np.int64)
        if isinstance(op, Affine):
            terms = [Term(t.operand, _times_powers(t.matrix, own, -exponents[t.operand])) for t in op.terms]
            if value not in fixed:
                own = _centering(terms, op.size)
            terms = [Term(t.operand, _times_powers(t.matrix, own, np.zeros(t.matrix.shape[1], int))) for t in terms]
            op = replace(op, terms=tuple(terms), bias=np.ldexp(op.bias, own))
        elif isinstance(op, Switch):
            own = exponents[op.operand]
        exponents.append(own)
        ops.append(op)
    bounds = {
        value: Interval(np.ldexp(known.lower, exponents[value]), np.ldexp(known.upper, exponents[value]))
        for value, known in program.bounds.items()
    }
    scaled = replace(program, ops=tuple(ops)).with_bounds(bounds)
    return scaled if _leads_back(program, scaled, exponents) else None


def _fixed(program: Program) -> set[int]:
    """Return the values that keep their scale: the result, and what it passes on."""
    fixed = {program.result}
    op = program.ops[program.result]
    while isinstance(op, Switch):
        fixed.add(op.operand)
        op = program.ops[op.operand]
    return fixed


def _times_powers(matrix: Matrix, of_rows: Exponents, of_columns: Exponents) -> Matrix:
    """Return a matrix with rows and columns multiplied by powers of two."""
    if isinstance(matrix, csr_array):
        exponents = np.repeat(of_rows, np.diff(matrix.indptr)) + of_columns[matrix.indices]
        data = np.ldexp(matrix.data, exponents)
        return csr_array((data, matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    return np.asarray(np.ldexp(matrix, of_rows[:, None] + of_columns))


def _centering(terms: list[Term], size: int) -> Exponents:
    """Return powers that bring the geometric mean of each row's extreme coefficients near 1, shape ``(size,)``."""
    smallest, largest = np.full(size, np.inf), np.zeros(size)
    for term in terms:
        matrix = csr_array(term.matrix)
        rows = np.repeat(np.arange(size), np.diff(matrix.indptr))
        np.minimum.at(smallest, rows, np.abs(matrix.data))
        np.maximum.at(largest, rows, np.abs(matrix.data))
    used = largest > 0
    logarithms = np.log2(np.where(used, smallest, 1.0)) + np.log2(np.where(used, largest, 1.0))
    return -np.round(logarithms / 2).astype(np.int64)


def _leads_back(program: Program, scaled: Program, exponents: list[Exponents]) -> bool:
    """Return whether undoing the scaling gives every number again: none overflowed or lost digits."""
    for value, (old, new) in enumerate(zip(program.ops, scaled.ops, strict=True)):
        own = exponents[value]
        if isinstance(old, Affine) and isinstance(new, Affine):
            if not np.array_equal(np.ldexp(new.bias, -own), old.bias):
                return False
            for before, after in zip(old.terms, new.terms, strict=True):
                back = _times_powers(after.matrix, -own, exponents[before.operand])
                if (abs(back - before.matrix) != 0).sum():
                    return False
        if value in program.bounds:
            known, carried = program.bounds[value], scaled.bounds[value]
            pairs = ((carried.lower, known.lower), (carried.upper, known.upper))
            if not all(np.array_equal(np.ldexp(new_side, -own), side) for new_side, side in pairs):
                return False
    return True
