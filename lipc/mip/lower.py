"""The formulations: a program and its bounds become a mixed-integer program.

Jordan & Dimakis (2020), Lemma 2, with one change: a switch splits its operand into an *on* and an *off* part,
``x = on + off`` with ``l a <= on <= u a`` and ``l (1 - a) <= off <= u (1 - a)``. For relu, where ``on >= 0`` and
``off <= 0`` besides, two of these rows are bounds of columns: three rows in all, with one copy of the weights.

All that a bit decides is that some rows ``row <= 0`` hold where it has one value. With big-M they stand relaxed by the
bit times a bound; as indicator constraints they stand without it; as special ordered sets they are relaxed by a slack,
of which and of the bit (or its complement) at most one is not 0. Columns have the same bounds in all three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from lipc.bounds.interval import interval_bounds, is_relu
from lipc.bounds.rounding import UNIT, down, summands, up
from lipc.errors import InternalError
from lipc.ir import (
    Affine,
    Conditional,
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
)
from lipc.mip.assembly import Assembly, Expression, first_row
from lipc.mip.program import Formulation, MixedIntegerProgram, Role, Splits
from lipc.mip.scaling import scale
from lipc.mip.tiny import absorb_tiny_coefficients

ROUNDED = 1e-12
"""More than the rounding of an objective's coefficients, relative to its absolute terms."""


def lower(
    program: Program,
    *,
    limit: bool = False,
    formulation: Formulation = "bigm",
    like: MixedIntegerProgram | None = None,
) -> MixedIntegerProgram:
    """Return the mixed-integer program of a program.

    Bounds that the program carries become the big-M coefficients; missing ones are found by interval arithmetic.

    Parameters
    ----------
    formulation
        How bits switch rows. Where a bit is not one column (or 1 minus one), its rows are big-M rows all the same.
    limit
        Add a row that keeps the objective within its bounds: worth it where the relaxation does not know them.
    like
        What the program with other bounds was lowered to: the units of its columns and objective are kept.

    Raises
    ------
    InternalError
        If the program asks nothing, or still a Lipschitz question (run the pass `jacobian` first).
    """
    if program.objective is None or program.objective.lipschitz is not None:
        raise InternalError("lower: the program has no scalar objective; run the jacobian pass first")
    lowering = _Lowering(program, interval_bounds(program), formulation)
    for value, op in enumerate(program.ops):
        lowering.expressions.append(lowering.lower_op(value, op))
    if limit:
        lowering.limit()
    return absorb_tiny_coefficients(scale(lowering.finish(), like=like))


@dataclass(eq=False)
class _Lowering(Assembly):
    """Makes the columns and rows of each operation."""

    def lower_op(self, value: int, op: Op) -> Expression:
        if isinstance(op, Input):
            return self._input(value, op)
        if isinstance(op, Affine):
            return self._affine(value, op)
        if isinstance(op, Conditional):
            return self._conditional(value, op)
        return self._switch(value, op)

    def _input(self, value: int, op: Input) -> Expression:
        domain = op.domain
        role = Role.BIT if op.kind is Kind.BIT else Role.INPUT
        prefix = "a" if role is Role.BIT and self.formulation == "sos1" else ""  # members of sets: see the MPS writer
        entries = self.add_columns(value, role, prefix, self.bounds[value])
        says = np.isfinite(domain.row_lower) | np.isfinite(domain.row_upper)
        kept = np.flatnonzero(says & (summands(domain.rows) > 0))
        if len(kept):
            inside = Expression({len(self.columns) - 1: domain.rows[kept]}, np.zeros(len(kept)))
            self.add_numbered_rows(value, "domain", inside, Interval(domain.row_lower, domain.row_upper).take(kept))
        if domain.l1 is not None:
            self._ball(value, entries, domain.l1)
        if role is Role.BIT:
            self.add_complements(value, entries)
        return entries

    def _ball(self, value: int, entries: Expression, ball: L1Ball) -> None:
        """Append ``x = center + above - below`` and ``sum(above + below) <= radius`` with nonnegative parts."""
        known = self.bounds[value]
        parts = []
        for role, way in ((Role.ABOVE, known.upper - ball.center), (Role.BELOW, ball.center - known.lower)):
            limit = np.clip(up(way, UNIT * np.abs(way)), 0.0, ball.radius)
            parts.append(self.add_columns(value, role, role.value, Interval(np.zeros(len(way)), limit)))
        above, below = parts
        center = Expression({}, ball.center)
        self.add_rows(value, "ball", (entries - center) - (above - below), 0.0, 0.0, None)
        ones = np.ones((1, len(ball.center)))
        total = Expression({block: ones for part in parts for block in part.terms}, np.zeros(1))
        self.add_numbered_rows(value, "radius", total, Interval(np.full(1, -np.inf), np.array([ball.radius])))

    def _affine(self, value: int, op: Affine) -> Expression:
        terms: dict[int, Matrix] = {}
        offset = op.bias
        for term in op.terms:
            operand = self.expressions[term.operand]
            offset = offset + term.matrix @ operand.offset
            for block, matrix in operand.terms.items():
                product = compose(term.matrix, matrix)
                terms[block] = add(terms[block], product) if block in terms else product
        expression = Expression(terms, offset)
        if not self._wants_columns(value) or expression.widest_row() <= 1:
            return expression
        entries = self.add_columns(value, Role.VALUE, "z", self.bounds[value])
        self.add_rows(value, "def", expression - entries, 0.0, 0.0, None)
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

    def _conditional(self, value: int, op: Conditional) -> Expression:
        bits = self.add_columns(value, Role.BIT, "a", self.bounds[value])
        self.add_complements(value, bits)
        if any(is_relu(self.program, self.program.ops[user]) for user in self.users[value]):
            return bits
        operand, known = self.expressions[op.operand], self.bounds[op.operand]
        self.add_switched(value, "pos", operand, 1, bits, 0, known.upper, known.upper > 0)
        self.add_switched(value, "neg", operand, -1, bits, 1, known.lower, known.lower < 0)
        return bits

    def _switch(self, value: int, op: Switch) -> Expression:
        operand, bits = self.expressions[op.operand], self.expressions[op.bit]
        known = self.bounds[op.operand]
        relu = is_relu(self.program, op)
        on = self.add_columns(value, Role.ON, "on", _signed(known, relu, 1))
        # A side that is 0 is a bound of the column of its part; an off part without columns needs the row even so.
        below = above = np.ones(op.size, bool)
        if operand.widest_row() > 1:
            below, above = known.lower != 0, known.upper != 0
            off = self.add_columns(value, Role.OFF, "off", _signed(known, relu, -1))
            self.add_rows(value, "split", (operand - on) - off, 0.0, 0.0, None)
            self._note_split(bits)
        else:
            off = operand - on
            if relu:
                self.add_rows(value, "off_sign", off, -np.inf, 0.0, None)
        self.add_switched(value, "on_hi", on, 1, bits, 0, known.upper, known.upper != 0)
        self.add_switched(value, "off_lo", off, -1, bits, 1, known.lower, below)
        if not relu:
            self.add_switched(value, "on_lo", on, -1, bits, 0, known.lower, known.lower != 0)
            self.add_switched(value, "off_hi", off, 1, bits, 1, known.upper, above)
        return on

    def _note_split(self, bits: Expression) -> None:
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

    def _add_limit(self, value: int, row: Expression, known: Interval) -> None:
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
        self.add_numbered_rows(value, "limit", row, sides)

    def _allowed(self, value: int) -> tuple[Expression, float] | None:
        """Return what free bits allow a sum of switches over them, and the most that one allows; `None` for others."""
        op = self.program.ops[value]
        if not isinstance(op, Affine) or len(op.terms) != 1 or op.bias.any():
            return None
        (term,) = op.terms
        switch, weights = self.program.ops[term.operand], first_row(term.matrix)
        if not isinstance(switch, Switch) or not isinstance(self.program.ops[switch.bit], Input) or (weights < 0).any():
            return None
        most = weights * np.maximum(self.bounds[term.operand].upper, 0.0)
        bits = self.expressions[switch.bit].scaled(up(most, UNIT * most))
        ones = np.ones((1, len(weights)))
        total = Expression({block: ones @ matrix for block, matrix in bits.terms.items()}, ones @ bits.offset)
        return total, float(most.max(initial=0.0))


def _signed(known: Interval, relu: bool, sign: int) -> Interval:
    """Return the bounds of the on part (`sign` 1) or the off part (-1) of a switch of an operand."""
    low, high = np.minimum(known.lower, 0.0), np.maximum(known.upper, 0.0)
    if relu:
        return Interval(np.zeros(len(low)), high) if sign > 0 else Interval(low, np.zeros(len(high)))
    return Interval(low, high)
