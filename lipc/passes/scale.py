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

SWEEPS = 8
"""Neurons are balanced one against the other so often; the best of all sweeps is taken."""


@dataclass(frozen=True)
class Scale(Pass):
    """Scale neurons by powers of two, so that coefficients lie closer together.

    What reads a neuron undoes its factor: ``relu(2^k z) = 2^k relu(z)``. Factors are chosen such that the extreme
    coefficients in the row of a neuron have the geometric mean of those in its column, over and over. Bits, inputs and
    the result stay as they are, and so does the whole program if the range of its coefficients would not become
    smaller. Powers of two round nothing.
    """

    name: ClassVar[str] = "scale"
    exact: ClassVar[bool] = True

    def apply(self, program: Program) -> PassResult:
        """Return the scaled program, its bounds scaled along, or the program as it is."""
        exponents = _balanced(program)
        with np.errstate(over="ignore", under="ignore"):  # found out by leading back
            scaled = None if exponents is None else _scaled(program, exponents)
        return PassResult(program if scaled is None else scaled, kept_whole(program))


def coefficient_range(program: Program) -> tuple[float, float]:
    """Return the smallest and the largest absolute nonzero coefficient over all matrices; (1, 1) without any."""
    smallest, largest = np.inf, 0.0
    for op in program.ops:
        for term in op.terms if isinstance(op, Affine) else ():
            magnitudes = np.abs(_nonzeros(term.matrix)[2])
            smallest = min(smallest, float(magnitudes.min(initial=np.inf)))
            largest = max(largest, float(magnitudes.max(initial=0.0)))
    return (smallest, largest) if largest else (1.0, 1.0)


def _nonzeros(matrix: Matrix) -> tuple[Exponents, Exponents, Floats]:
    """Return the rows, the columns and the numbers of all nonzeros."""
    if isinstance(matrix, csr_array):
        return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.indices, matrix.data
    rows, columns = np.nonzero(matrix)
    return rows, columns, matrix[rows, columns]


def _roots(program: Program) -> list[int]:
    """Return, for each value, the one whose factors it has: a switch has those of its operand."""
    roots: list[int] = []
    for value, op in enumerate(program.ops):
        roots.append(roots[op.operand] if isinstance(op, Switch) else value)
    return roots


class _Extremes:
    """The smallest and the largest logarithm that was added, for each entry of a value."""

    def __init__(self, size: int) -> None:
        self.low: Floats = np.full(size, np.inf)
        self.high: Floats = np.full(size, -np.inf)

    def add(self, entries: Exponents, logarithms: Floats) -> None:
        """Take logarithms into account, shape ``(k,)``, at entries."""
        np.minimum.at(self.low, entries, logarithms)
        np.maximum.at(self.high, entries, logarithms)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which entries have any."""
        return np.asarray(self.low <= self.high)


def _balanced(program: Program) -> list[Exponents] | None:
    """Return the exponent of each entry's factor, by value; `None` if no factors make the range smaller."""
    roots = _roots(program)
    movable = [v for v, op in enumerate(program.ops) if isinstance(op, Affine) and v != roots[program.result]]
    coefficients = []
    for value, op in enumerate(program.ops):
        for term in op.terms if isinstance(op, Affine) else ():
            rows, columns, numbers = _nonzeros(term.matrix)
            coefficients.append((value, roots[term.operand], rows, columns, np.log2(np.abs(numbers))))
    exponents: list[Exponents] = [np.zeros(op.size, np.int64) for op in program.ops]
    best, narrowest = None, np.inf
    for sweep in range(SWEEPS + 1):
        of_rows = [_Extremes(op.size) for op in program.ops]
        of_columns = [_Extremes(op.size) for op in program.ops]
        for value, operand, rows, columns, logarithms in coefficients:
            scaled = logarithms + (exponents[value][rows] - exponents[operand][columns])
            of_rows[value].add(rows, scaled)
            of_columns[operand].add(columns, scaled)
        spread = max((e.high.max(initial=-np.inf) for e in of_rows), default=-np.inf)
        spread -= min((e.low.min(initial=np.inf) for e in of_rows), default=np.inf)
        if sweep == 0:
            narrowest = spread
        elif spread < narrowest:
            best, narrowest = [each.copy() for each in exponents], spread
        for value in movable:
            row, column = of_rows[value], of_columns[value]
            both = row.known & column.known
            apart = column.low[both] + column.high[both] - row.low[both] - row.high[both]
            exponents[value][both] += np.round(apart / 4).astype(np.int64)
    return None if best is None else [best[root] for root in roots]


def _scaled(program: Program, exponents: list[Exponents]) -> Program | None:
    """Return the program scaled by powers of two; `None` if a number would leave the range of floats."""
    ops: list[Op] = []
    for value, op in enumerate(program.ops):
        if isinstance(op, Affine):
            own = exponents[value]
            terms = tuple(Term(t.operand, _times_powers(t.matrix, own, -exponents[t.operand])) for t in op.terms)
            op = replace(op, terms=terms, bias=np.ldexp(op.bias, own))
        ops.append(op)
    bounds = {
        value: Interval(np.ldexp(known.lower, exponents[value]), np.ldexp(known.upper, exponents[value]))
        for value, known in program.bounds.items()
    }
    scaled = replace(program, ops=tuple(ops)).with_bounds(bounds)
    return scaled if _leads_back(program, scaled, exponents) else None


def _times_powers(matrix: Matrix, of_rows: Exponents, of_columns: Exponents) -> Matrix:
    """Return a matrix with rows and columns multiplied by powers of two."""
    if isinstance(matrix, csr_array):
        exponents = np.repeat(of_rows, np.diff(matrix.indptr)) + of_columns[matrix.indices]
        data = np.ldexp(matrix.data, exponents)
        return csr_array((data, matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    return np.asarray(np.ldexp(matrix, of_rows[:, None] + of_columns))


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
