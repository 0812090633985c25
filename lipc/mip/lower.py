"""The big-M formulation: a program and its bounds become a mixed-integer program.

Jordan & Dimakis (2020), Lemma 2, with one change: a switch splits its operand into an *on* and an *off* part,
``x = on + off`` with ``l a <= on <= u a`` and ``l (1 - a) <= off <= u (1 - a)``. For relu, where ``on >= 0`` and
``off <= 0`` besides, two of these rows are bounds of columns: three rows in all, with one copy of the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.bounds.interval import interval_bounds, is_relu
from lipc.bounds.rounding import UNIT, down, summands, up
from lipc.errors import InternalError
from lipc.ir import (
    Affine,
    Conditional,
    Floats,
    Input,
    Interval,
    Kind,
    L1Ball,
    Matrix,
    Op,
    Program,
    Sense,
    Switch,
    add,
    compose,
    identity,
)
from lipc.mip.program import Block, MixedIntegerProgram, Namer, Role, Splits
from lipc.mip.scaling import scale
from lipc.mip.tiny import absorb_tiny_coefficients

ROUNDED = 1e-12
"""More than the rounding of an objective's coefficients, relative to its absolute terms."""


def lower(program: Program, *, limit: bool = False) -> MixedIntegerProgram:
    """Return the mixed-integer program of a program.

    Bounds that the program carries become the big-M coefficients; missing ones are found by interval arithmetic.

    Parameters
    ----------
    limit
        Add a row that keeps the objective within its bounds: worth it where the relaxation does not know them.

    Raises
    ------
    InternalError
        If the program asks nothing, or still a Lipschitz question (run the pass `jacobian` first).
    """
    if program.objective is None or program.objective.lipschitz is not None:
        raise InternalError("lower: the program has no scalar objective; run the jacobian pass first")
    lowering = _Lowering(program, interval_bounds(program))
    for value, op in enumerate(program.ops):
        lowering.expressions.append(lowering.lower_op(value, op))
    if limit:
        lowering.limit()
    return absorb_tiny_coefficients(scale(lowering.finish()))


@dataclass(eq=False)
class _Expression:
    """Entries as linear functions of columns: ``sum(matrix @ block) + offset``."""

    terms: dict[int, Matrix]
    offset: Floats

    def __sub__(self, other: _Expression) -> _Expression:
        terms = dict(self.terms)
        for block, matrix in other.terms.items():
            terms[block] = add(terms[block], -matrix) if block in terms else -matrix
        return _Expression(terms, self.offset - other.offset)

    def scaled(self, scale: Floats) -> _Expression:
        """Return each entry times its own factor."""
        diagonal = identity(len(scale), scale)
        return _Expression({block: compose(diagonal, m) for block, m in self.terms.items()}, scale * self.offset)

    def rows(self, chosen: NDArray[np.int64]) -> _Expression:
        return _Expression({block: matrix[chosen] for block, matrix in self.terms.items()}, self.offset[chosen])

    def widest_row(self) -> int:
        """Return the largest number of columns that an entry reads."""
        counts = np.zeros(len(self.offset), np.int64)
        for matrix in self.terms.values():
            counts += summands(matrix)
        return int(counts.max(initial=0))


@dataclass(eq=False)
class _Lowering:
    """Columns and rows made so far; `expressions` holds each value in terms of columns."""

    program: Program
    bounds: dict[int, Interval]
    expressions: list[_Expression] = field(default_factory=list)
    columns: list[Block] = field(default_factory=list)
    column_bounds: list[Interval] = field(default_factory=list)
    rows: list[Block] = field(default_factory=list)
    row_terms: list[dict[int, Matrix]] = field(default_factory=list)
    row_bounds: list[Interval] = field(default_factory=list)
    column_namer: Namer = field(default_factory=Namer)
    row_namer: Namer = field(default_factory=Namer)
    splits: list[Splits] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.users = self.program.users()
        self.derivatives = _derivatives(self.program)

    def lower_op(self, value: int, op: Op) -> _Expression:
        if isinstance(op, Input):
            return self._input(value, op)
        if isinstance(op, Affine):
            return self._affine(value, op)
        if isinstance(op, Conditional):
            return self._conditional(value, op)
        return self._switch(value, op)

    def _add_columns(self, value: int, role: Role, prefix: str, bounds: Interval) -> _Expression:
        """Append a block of columns for all entries of a value; return the entries."""
        origin = self.program.ops[value].origin
        start = self.columns[-1].columns.stop if self.columns else 0
        size = len(bounds.lower)
        name = self.column_namer.name(prefix, origin.name)
        # Branching on the signs of the gradient, or on its entry, first takes fewer nodes (PERFORMANCE.md, "Guidance").
        priority = int(role is Role.BIT and value in self.derivatives)
        self.columns.append(Block(name, start, origin.entries(size), value, role, origin.source, priority))
        self.column_bounds.append(bounds)
        return _Expression({len(self.columns) - 1: identity(size)}, np.zeros(size))

    def _add_rows(
        self, value: int, suffix: str, row: _Expression, lower: float, upper: float, where: NDArray[np.bool_] | None
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

    def _input(self, value: int, op: Input) -> _Expression:
        domain = op.domain
        role = Role.BIT if op.kind is Kind.BIT else Role.INPUT
        entries = self._add_columns(value, role, "", self.bounds[value])
        says = np.isfinite(domain.row_lower) | np.isfinite(domain.row_upper)
        kept = np.flatnonzero(says & (summands(domain.rows) > 0))
        if len(kept):
            inside = _Expression({len(self.columns) - 1: domain.rows[kept]}, np.zeros(len(kept)))
            self._add_numbered_rows(value, "domain", inside, Interval(domain.row_lower, domain.row_upper).take(kept))
        if domain.l1 is not None:
            self._ball(value, entries, domain.l1)
        return entries

    def _ball(self, value: int, entries: _Expression, ball: L1Ball) -> None:
        """Append ``x = center + above - below`` and ``sum(above + below) <= radius`` with nonnegative parts."""
        known = self.bounds[value]
        parts = []
        for role, way in ((Role.ABOVE, known.upper - ball.center), (Role.BELOW, ball.center - known.lower)):
            limit = np.clip(up(way, UNIT * np.abs(way)), 0.0, ball.radius)
            parts.append(self._add_columns(value, role, role.value, Interval(np.zeros(len(way)), limit)))
        above, below = parts
        center = _Expression({}, ball.center)
        self._add_rows(value, "ball", (entries - center) - (above - below), 0.0, 0.0, None)
        ones = np.ones((1, len(ball.center)))
        total = _Expression({block: ones for part in parts for block in part.terms}, np.zeros(1))
        self._add_numbered_rows(value, "radius", total, Interval(np.full(1, -np.inf), np.array([ball.radius])))

    def _add_numbered_rows(self, value: int, suffix: str, row: _Expression, bounds: Interval) -> None:
        """Append rows that stand for no entries of the value."""
        origin = self.program.ops[value].origin
        start = self.rows[-1].columns.stop if self.rows else 0
        count = np.arange(len(row.offset))
        self.rows.append(Block(self.row_namer.name(origin.name, suffix), start, count, value, None, origin.source))
        self.row_terms.append(row.terms)
        self.row_bounds.append(bounds)

    def _affine(self, value: int, op: Affine) -> _Expression:
        terms: dict[int, Matrix] = {}
        offset = op.bias
        for term in op.terms:
            operand = self.expressions[term.operand]
            offset = offset + term.matrix @ operand.offset
            for block, matrix in operand.terms.items():
                product = compose(term.matrix, matrix)
                terms[block] = add(terms[block], product) if block in terms else product
        expression = _Expression(terms, offset)
        if not self._wants_columns(value) or expression.widest_row() <= 1:
            return expression
        entries = self._add_columns(value, Role.VALUE, "z", self.bounds[value])
        self._add_rows(value, "def", expression - entries, 0.0, 0.0, None)
        return entries

    def _wants_columns(self, value: int) -> bool:
        """Return whether an affine value is better computed once: unless one switch alone reads it, or nobody."""
        readers = {
            self._relu_bit(user) if isinstance(self.program.ops[user], Switch) else user for user in self.users[value]
        }
        affine = any(isinstance(self.program.ops[user], Affine) for user in readers)
        return affine or len(readers) > 1

    def _relu_bit(self, switch: int) -> int:
        """Return the conditional of a relu, so that its two readers of one operand count once; else the switch."""
        op = self.program.ops[switch]
        return op.bit if isinstance(op, Switch) and is_relu(self.program, op) else switch

    def _conditional(self, value: int, op: Conditional) -> _Expression:
        bits = self._add_columns(value, Role.BIT, "a", self.bounds[value])
        if any(is_relu(self.program, self.program.ops[user]) for user in self.users[value]):
            return bits
        operand, known = self.expressions[op.operand], self.bounds[op.operand]
        self._add_rows(value, "pos", operand - bits.scaled(known.upper), -np.inf, 0.0, known.upper > 0)
        # operand >= lower * (1 - bit)
        below = operand - _Expression({}, known.lower)
        self._add_rows(value, "neg", below - bits.scaled(-known.lower), 0.0, np.inf, known.lower < 0)
        return bits

    def _switch(self, value: int, op: Switch) -> _Expression:
        operand, bits = self.expressions[op.operand], self.expressions[op.bit]
        known = self.bounds[op.operand]
        relu = is_relu(self.program, op)
        on = self._add_columns(value, Role.ON, "on", _signed(known, relu, 1))
        # A side that is 0 is a bound of the column of its part; an off part without columns needs the row even so.
        below = above = np.ones(op.size, bool)
        if operand.widest_row() > 1:
            below, above = known.lower != 0, known.upper != 0
            off = self._add_columns(value, Role.OFF, "off", _signed(known, relu, -1))
            self._add_rows(value, "split", (operand - on) - off, 0.0, 0.0, None)
            self._note_split(bits)
        else:
            off = operand - on
            if relu:
                self._add_rows(value, "off_sign", off, -np.inf, 0.0, None)
        self._add_rows(value, "on_hi", on - bits.scaled(known.upper), -np.inf, 0.0, known.upper != 0)
        not_bits = _Expression({}, np.ones(op.size)) - bits
        self._add_rows(value, "off_lo", off - not_bits.scaled(known.lower), 0.0, np.inf, below)
        if not relu:
            self._add_rows(value, "on_lo", on - bits.scaled(known.lower), 0.0, np.inf, known.lower != 0)
            self._add_rows(value, "off_hi", off - not_bits.scaled(known.upper), -np.inf, 0.0, above)
        return on

    def _note_split(self, bits: _Expression) -> None:
        """Remember the rows just made, with the on and the off part just made, and the bits if they are columns."""
        if len(bits.terms) != 1 or bits.offset.any():
            return
        ((block, selection),) = bits.terms.items()
        chosen = csr_array(selection)
        if (np.diff(chosen.indptr) == 1).all() and (chosen.data == 1.0).all():
            bit = self.columns[block].start + chosen.indices.astype(np.int64)
            row, on, off = (
                np.arange(each.columns.start, each.columns.stop) for each in (self.rows[-1], *self.columns[-2:])
            )
            self.splits.append(Splits(row, on, off, bit))

    def limit(self) -> None:
        """Append the row that bounds the objective, on the side to which it is optimized.

        Where it chooses among entries by free bits, a row bounds it by that of the entry chosen.
        """
        value = self.program.result
        objective, known = self.expressions[value], self.bounds[value]
        assert self.program.objective is not None
        maximize = self.program.objective.sense is Sense.MAXIMIZE
        free = np.full(1, np.inf)
        allowed = self._allowed(value) if maximize else None
        if allowed is not None:
            bits, largest = allowed
            self._add_limit(value, objective - bits, Interval(-free, np.zeros(1)))
            if largest <= known.upper[0]:
                return
        self._add_limit(value, objective, Interval(-free, known.upper) if maximize else Interval(known.lower, free))

    def _add_limit(self, value: int, row: _Expression, known: Interval) -> None:
        """Append a row for the objective, if it reads columns."""
        if not any(summands(matrix).any() for matrix in row.terms.values()):
            return
        size = np.abs(row.offset)
        for block, matrix in row.terms.items():
            reach = self.column_bounds[block]
            size = size + np.abs(matrix) @ np.maximum(np.abs(reach.lower), np.abs(reach.upper))
        # The coefficients are sums of products, rounded; relative to all that they add up to that is next to nothing.
        slack = ROUNDED * size
        sides = Interval(down(known.lower - row.offset, slack), up(known.upper - row.offset, slack))
        self._add_numbered_rows(value, "limit", row, sides)

    def _allowed(self, value: int) -> tuple[_Expression, float] | None:
        """Return what free bits allow a sum of switches over them, and the most that one allows; `None` for others."""
        op = self.program.ops[value]
        if not isinstance(op, Affine) or len(op.terms) != 1 or op.bias.any():
            return None
        (term,) = op.terms
        switch, weights = self.program.ops[term.operand], _first_row(term.matrix)
        if not isinstance(switch, Switch) or not isinstance(self.program.ops[switch.bit], Input) or (weights < 0).any():
            return None
        most = weights * np.maximum(self.bounds[term.operand].upper, 0.0)
        bits = self.expressions[switch.bit].scaled(up(most, UNIT * most))
        ones = np.ones((1, len(weights)))
        total = _Expression({block: ones @ matrix for block, matrix in bits.terms.items()}, ones @ bits.offset)
        return total, float(most.max(initial=0.0))

    def finish(self) -> MixedIntegerProgram:
        columns = self.columns[-1].columns.stop if self.columns else 0
        objective = self.expressions[self.program.result]
        cost = np.zeros(columns)
        for position, matrix in objective.terms.items():
            cost[self.columns[position].columns] += _first_row(matrix)
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


def _signed(known: Interval, relu: bool, sign: int) -> Interval:
    """Return the bounds of the on part (`sign` 1) or the off part (-1) of a switch of an operand."""
    low, high = np.minimum(known.lower, 0.0), np.maximum(known.upper, 0.0)
    if relu:
        return Interval(np.zeros(len(low)), high) if sign > 0 else Interval(low, np.zeros(len(high)))
    return Interval(low, high)


def _first_row(matrix: Matrix) -> Floats:
    row: Floats = matrix[[0]].toarray()[0] if isinstance(matrix, csr_array) else matrix[0]
    return row


def _joined(intervals: list[Interval], side: Callable[[Interval], Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *[side(interval) for interval in intervals]])
