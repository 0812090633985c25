"""Columns and rows as they are made, block by block, and the program that they add up to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.bounds.interval import is_relu
from lipc.bounds.rounding import summands
from lipc.ir import Floats, Input, Interval, Matrix, Program, Switch, add, compose, identity
from lipc.mip.program import Block, Formulation, Indicators, MixedIntegerProgram, Namer, Role, Splits, no_sets


@dataclass(eq=False)
class Expression:
    """Entries as linear functions of columns: ``sum(matrix @ block) + offset``."""

    terms: dict[int, Matrix]
    offset: Floats

    def __sub__(self, other: Expression) -> Expression:
        terms = dict(self.terms)
        for block, matrix in other.terms.items():
            terms[block] = add(terms[block], -matrix) if block in terms else -matrix
        return Expression(terms, self.offset - other.offset)

    def scaled(self, scale: Floats) -> Expression:
        """Return each entry times its own factor."""
        diagonal = identity(len(scale), scale)
        return Expression({block: compose(diagonal, m) for block, m in self.terms.items()}, scale * self.offset)

    def rows(self, chosen: NDArray[np.int64]) -> Expression:
        """Return the chosen entries."""
        return Expression({block: matrix[chosen] for block, matrix in self.terms.items()}, self.offset[chosen])

    def widest_row(self) -> int:
        """Return the largest number of columns that an entry reads."""
        counts = np.zeros(len(self.offset), np.int64)
        for matrix in self.terms.values():
            counts += summands(matrix)
        return int(counts.max(initial=0))


@dataclass(eq=False)
class Assembly:
    """Columns and rows made so far; `expressions` holds each value in terms of columns."""

    program: Program
    bounds: dict[int, Interval]
    formulation: Formulation
    expressions: list[Expression] = field(default_factory=list)
    columns: list[Block] = field(default_factory=list)
    column_bounds: list[Interval] = field(default_factory=list)
    rows: list[Block] = field(default_factory=list)
    row_terms: list[dict[int, Matrix]] = field(default_factory=list)
    row_bounds: list[Interval] = field(default_factory=list)
    column_namer: Namer = field(default_factory=Namer)
    row_namer: Namer = field(default_factory=Namer)
    splits: list[Splits] = field(default_factory=list)
    indicators: list[Indicators] = field(default_factory=list)
    sets: list[NDArray[np.int64]] = field(default_factory=list)
    complements: dict[int, int] = field(default_factory=dict)
    """For blocks of bits the block of their complements."""

    def __post_init__(self) -> None:
        self.users = self.program.users()
        self.derivatives = _derivatives(self.program)

    def add_columns(self, value: int, role: Role, prefix: str, bounds: Interval) -> Expression:
        """Append a block of columns for all entries of a value; return the entries."""
        origin = self.program.ops[value].origin
        start = self.columns[-1].columns.stop if self.columns else 0
        size = len(bounds.lower)
        name = self.column_namer.name(prefix, origin.name)
        # Branching on the signs of the gradient, or on its entry, first takes fewer nodes (PERFORMANCE.md, "Guidance").
        priority = int(role is Role.BIT and value in self.derivatives)
        self.columns.append(Block(name, start, origin.entries(size), value, role, origin.source, priority))
        self.column_bounds.append(bounds)
        return Expression({len(self.columns) - 1: identity(size)}, np.zeros(size))

    def add_rows(
        self, value: int, suffix: str, row: Expression, lower: float, upper: float, where: NDArray[np.bool_] | None
    ) -> None:
        """Append ``lower <= row <= upper`` for the entries in `where` (default: all)."""
        chosen = np.arange(len(row.offset)) if where is None else np.flatnonzero(where)
        if not len(chosen):
            return
        row = row.rows(chosen)
        origin = self.program.ops[value].origin
        start = self.rows[-1].columns.stop if self.rows else 0
        numbers = origin.entries(self.program.ops[value].size)[chosen]
        self.rows.append(Block(self.row_namer.name(origin.name, suffix), start, numbers, value, None, origin.source))
        self.row_terms.append(row.terms)
        self.row_bounds.append(Interval(lower - row.offset, upper - row.offset))

    def add_numbered_rows(self, value: int, suffix: str, row: Expression, bounds: Interval) -> None:
        """Append rows that stand for no entries of the value."""
        origin = self.program.ops[value].origin
        start = self.rows[-1].columns.stop if self.rows else 0
        count = np.arange(len(row.offset))
        self.rows.append(Block(self.row_namer.name(origin.name, suffix), start, count, value, None, origin.source))
        self.row_terms.append(row.terms)
        self.row_bounds.append(bounds)

    def add_switched(
        self,
        value: int,
        suffix: str,
        row: Expression,
        side: int,
        bits: Expression,
        when: int,
        bound: Floats,
        where: NDArray[np.bool_],
    ) -> None:
        """Append ``row <= 0`` (`side` 1) or ``row >= 0`` (-1) where the bit is `when`, for the entries in `where`.

        Parameters
        ----------
        bound
            Of the row on that side where the bit is not `when`.
        """
        ends = (-np.inf, 0.0) if side > 0 else (0.0, np.inf)
        column, direct = self._switching_columns(bits)
        free = (column < 0) | (self.formulation == "bigm")
        others = bits if when == 0 else Expression({}, np.ones(len(bits.offset))) - bits
        self.add_rows(value, suffix, row - others.scaled(bound), *ends, where & free)
        chosen = np.flatnonzero(where & ~free)
        if not len(chosen):
            return
        values = np.where(direct, when, 1 - when)[chosen]
        relaxed = row
        if self.formulation == "sos1":
            relaxed = row - self._slack(value, suffix, np.maximum(side * bound, 0.0), chosen, side)
        first = self.rows[-1].columns.stop if self.rows else 0
        self.add_rows(value, suffix, relaxed, *ends, np.isin(np.arange(len(bound)), chosen))
        if self.formulation == "indicator":
            rows = np.arange(first, first + len(chosen))
            self.indicators.append(Indicators(rows, column[chosen], values))
            return
        slack = self.columns[-1].start + np.arange(len(chosen))
        self.sets.append(np.stack([slack, self._where_one(column[chosen], values)], axis=1))

    def _slack(self, value: int, suffix: str, bound: Floats, chosen: NDArray[np.int64], side: int) -> Expression:
        """Append slacks between 0 and a bound for chosen entries; return them by entry, with a sign."""
        origin = self.program.ops[value].origin
        start = self.columns[-1].columns.stop if self.columns else 0
        name = self.column_namer.name("relaxed", suffix, origin.name)
        entries = origin.entries(self.program.ops[value].size)[chosen]
        self.columns.append(Block(name, start, entries, value, Role.SLACK, origin.source))
        self.column_bounds.append(Interval(np.zeros(len(chosen)), bound[chosen]))
        places = (np.full(len(chosen), float(side)), (chosen, np.arange(len(chosen))))
        spread = csr_array(places, shape=(len(bound), len(chosen)))
        return Expression({len(self.columns) - 1: spread}, np.zeros(len(bound)))

    def _switching_columns(self, bits: Expression) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the column of each bit, -1 where it is none alone, and whether it is that or 1 minus it."""
        column, direct = np.full(len(bits.offset), -1), np.ones(len(bits.offset), bool)
        counts = np.zeros(len(bits.offset), np.int64)
        for matrix in bits.terms.values():
            counts += summands(matrix)
        for block, matrix in bits.terms.items():
            sparse = csr_array(matrix).tocoo()
            for place, at, factor in zip(sparse.row.tolist(), sparse.col.tolist(), sparse.data.tolist(), strict=True):
                offset = bits.offset[place]
                if counts[place] == 1 and (factor, offset) in ((1.0, 0.0), (-1.0, 1.0)):
                    column[place], direct[place] = self.columns[block].start + at, factor > 0
        return column, direct

    def add_complements(self, value: int, bits: Expression) -> None:
        """Append a column for 1 minus each bit, and the rows that say so: sets speak of what is not 0."""
        if self.formulation != "sos1":
            return
        (block,) = bits.terms
        one = Interval(np.zeros(len(bits.offset)), np.ones(len(bits.offset)))
        complements = self.add_columns(value, Role.COMPLEMENT, "not", one)
        self.add_rows(value, "not", bits - (Expression({}, one.upper) - complements), 0.0, 0.0, None)
        self.complements[block] = len(self.columns) - 1

    def _where_one(self, bits: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return, for columns of bits and their values, the columns that are 1 there: the bits or their complements."""
        starts = np.array([block.start for block in self.columns])
        blocks = np.searchsorted(starts, bits, side="right") - 1
        moved = np.array([self.columns[self.complements[block]].start - starts[block] for block in blocks.tolist()])
        return np.where(values == 1, bits, bits + moved)

    def finish(self) -> MixedIntegerProgram:
        """Return the program."""
        columns = self.columns[-1].columns.stop if self.columns else 0
        objective = self.expressions[self.program.result]
        cost = np.zeros(columns)
        for position, matrix in objective.terms.items():
            cost[self.columns[position].columns] += first_row(matrix)
        integer = np.zeros(columns, bool)
        for block in self.columns:
            integer[block.columns] = block.role is Role.BIT
        assert self.program.objective is not None
        return MixedIntegerProgram(
            matrix=self._matrix(columns),
            row_lower=_joined(self.row_bounds, lambda bounds: bounds.lower),
            row_upper=_joined(self.row_bounds, lambda bounds: bounds.upper),
            column_lower=_joined(self.column_bounds, lambda bounds: bounds.lower),
            column_upper=_joined(self.column_bounds, lambda bounds: bounds.upper),
            integer=integer,
            cost=cost,
            constant=float(objective.offset[0]),
            sense=self.program.objective.sense,
            columns=tuple(self.columns),
            rows=tuple(self.rows),
            column_scale=np.ones(columns),
            splits=Splits.joined(self.splits),
            indicators=Indicators.joined(self.indicators),
            sets=np.concatenate([no_sets(), *self.sets]),
        )

    def _matrix(self, columns: int) -> csr_array:
        """Assemble the blocks of rows into one canonical matrix."""
        row_parts, column_parts, data_parts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
        for block, terms in zip(self.rows, self.row_terms, strict=True):
            for position, matrix in terms.items():
                sparse = csr_array(matrix).tocoo()
                row_parts.append(sparse.row.astype(np.int64) + block.start)
                column_parts.append(sparse.col.astype(np.int64) + self.columns[position].start)
                data_parts.append(sparse.data)
        rows = self.rows[-1].columns.stop if self.rows else 0
        places = (np.concatenate(row_parts), np.concatenate(column_parts))
        matrix = csr_array((np.concatenate(data_parts), places), shape=(rows, columns))
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        return matrix


def _derivatives(program: Program) -> set[int]:
    """Return the values that depend on a switch by the bits of another value: what the Jacobian added.

    Free bits that choose among such values are among them.
    """
    found: set[int] = set()
    for value, op in enumerate(program.ops):
        other = isinstance(op, Switch) and not is_relu(program, op)
        if other or any(operand in found for operand in op.operands):
            found.add(value)
        if isinstance(op, Switch) and op.operand in found and isinstance(program.ops[op.bit], Input):
            found.add(op.bit)
    return found


def first_row(matrix: Matrix) -> Floats:
    """Return the first row of a matrix, shape ``(columns,)``."""
    row: Floats = matrix[[0]].toarray()[0] if isinstance(matrix, csr_array) else matrix[0]
    return row


def _joined(intervals: list[Interval], side: Callable[[Interval], Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *[side(interval) for interval in intervals]])
