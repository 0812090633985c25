"""Interval arithmetic: bounds of each value from those of its operands (Moore 1966; for networks Gowal et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lipc.bounds.domain import tight_box
from lipc.bounds.rounding import UNIT, SplitMatrix, down, up
from lipc.errors import QueryError
from lipc.ir import Affine, Conditional, Floats, Input, Interval, Kind, Op, Program, Switch


def interval_of(program: Program, value: int, bounds: Mapping[int, Interval]) -> Interval:
    """Return sound bounds of one value, given bounds of its operands.

    Parameters
    ----------
    bounds
        For each operand an interval of its size.

    Raises
    ------
    QueryError
        If a bound exceeds what double precision holds.
    """
    op = program.ops[value]
    if isinstance(op, Input):
        box = Interval(op.domain.lower, op.domain.upper)
        return box if op.kind is Kind.BIT else tight_box(op.domain)
    if isinstance(op, Conditional):
        return bits_of(bounds[op.operand])
    if isinstance(op, Switch):
        return _switch(program, op, bounds)
    with np.errstate(over="ignore", invalid="ignore"):
        interval = _affine(op, bounds)
    if not (np.isfinite(interval.lower).all() and np.isfinite(interval.upper).all()):
        raise QueryError("values exceed what double precision holds", where=op.origin.source or op.origin.name)
    return interval


def intersect(left: Interval, right: Interval) -> Interval:
    """Return the common part of two sound intervals."""
    return Interval(np.maximum(left.lower, right.lower), np.minimum(left.upper, right.upper))


def bits_of(operand: Interval) -> Interval:
    """Return the bounds of `conditional`; where the operand cannot be negative its bit may always be taken as 1.

    (Where it is 0 on a whole region its gradient there is 0, and either bit gives the same derivative.)
    """
    can_be_positive = operand.upper > 0
    can_be_negative = operand.lower < 0
    return Interval((can_be_positive & ~can_be_negative).astype(np.float64), can_be_positive.astype(np.float64))


def interval_bounds(program: Program) -> dict[int, Interval]:
    """Return sound bounds of every value; bounds the program already has are kept where they are tighter."""
    bounds: dict[int, Interval] = {}
    for value in range(len(program.ops)):
        interval = interval_of(program, value, bounds)
        known = program.bounds.get(value)
        bounds[value] = intersect(interval, known) if known else interval
    return bounds


def _affine(op: Affine, bounds: Mapping[int, Interval]) -> Interval:
    lower, upper = op.bias, op.bias
    lower_slack: Floats = np.zeros(op.size)
    upper_slack: Floats = np.zeros(op.size)
    for term in op.terms:
        split, box = SplitMatrix.of(term.matrix), bounds[term.operand]
        value, slack = split.lower(box.lower, box.upper)
        lower, lower_slack = _sum(lower, lower_slack, value, slack)
        value, slack = split.lower(-box.upper, -box.lower)
        upper, upper_slack = _sum(upper, upper_slack, -value, slack)
    return Interval(down(lower, lower_slack), up(upper, upper_slack))


def _sum(total: Floats, total_slack: Floats, value: Floats, slack: Floats) -> tuple[Floats, Floats]:
    """Return the sum of two numbers known up to an error; a sum with 0 is not rounded."""
    both = total + value
    rounding = np.where((total != 0) & (value != 0), UNIT * np.abs(both), 0.0)
    return both, (total_slack + slack + rounding) * (1 + 4 * UNIT)


def _switch(program: Program, op: Switch, bounds: Mapping[int, Interval]) -> Interval:
    operand, bit = bounds[op.operand], bounds[op.bit]
    lower, upper = np.minimum(operand.lower, 0.0), np.maximum(operand.upper, 0.0)
    if is_relu(program, op):
        lower = np.maximum(operand.lower, 0.0)
    always, never = bit.lower == 1, bit.upper == 0
    lower = np.where(always, operand.lower, np.where(never, 0.0, lower))
    upper = np.where(always, operand.upper, np.where(never, 0.0, upper))
    return Interval(lower, upper)


def is_relu(program: Program, op: Op) -> bool:
    """Return whether an operation is ``switch(z, conditional(z))``."""
    if not isinstance(op, Switch):
        return False
    bit = program.ops[op.bit]
    return isinstance(bit, Conditional) and bit.operand == op.operand
