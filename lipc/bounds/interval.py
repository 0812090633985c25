"""Interval arithmetic: bounds of each value from those of its operands (Moore 1966; for networks Gowal et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lipc.bounds.rounding import UNDERFLOW, UNIT, SplitMatrix, down, up
from lipc.ir import Affine, Conditional, Floats, Input, Interval, Op, Program, Switch


def interval_of(program: Program, value: int, bounds: Mapping[int, Interval]) -> Interval:
    """Return sound bounds of one value, given bounds of its operands.

    Parameters
    ----------
    bounds
        For each operand an interval of its size.
    """
    op = program.ops[value]
    if isinstance(op, Input):
        return Interval(op.domain.lower, op.domain.upper)
    if isinstance(op, Affine):
        return _affine(op, bounds)
    if isinstance(op, Conditional):
        return bits_of(bounds[op.operand])
    return _switch(program, op, bounds)


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
    lower, upper = op.bias.copy(), op.bias.copy()
    lower_size, upper_size = np.abs(op.bias), np.abs(op.bias)
    count = (op.bias != 0).astype(np.float64)
    for term in op.terms:
        split, box = SplitMatrix.of(term.matrix), bounds[term.operand]
        value, size = split.lower(box.lower, box.upper)
        lower, lower_size = lower + value, lower_size + size
        value, size = split.lower(-box.upper, -box.lower)
        upper, upper_size = upper - value, upper_size + size
        count += split.count
    # A single number, or products with 0 only, is not rounded: exact zeros stay exact.
    return Interval(down(lower, _slack(lower_size, count)), up(upper, _slack(upper_size, count)))


def _slack(size: Floats, count: Floats) -> Floats:
    """Return the rounding error of sums of `count` products whose absolute values add up to `size`."""
    slack: Floats = np.where(size > 0, (count + 2) * UNIT * size + UNDERFLOW, 0.0)
    return slack


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
