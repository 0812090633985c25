"""Backward linear relaxation: each value as a linear function of the inputs, bounded over their domains.

CROWN (Zhang et al. 2018) and Fast-Lin (Weng et al. 2018) for the network; the same substitution carries on through
the switches of the Jacobian, as in RecurJac (Zhang et al. 2019) and Shi et al. (2022). Rounding is counted: whatever
a step loses is at most the unit roundoff times the absolute products times the bounds of the values they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.bounds.coefficients import Coefficients
from lipc.bounds.domain import support, support_box
from lipc.bounds.interval import intersect, interval_of, is_relu
from lipc.bounds.rounding import UNDERFLOW, UNIT
from lipc.ir import Affine, Conditional, Floats, Input, Interval, Kind, Program, Switch, Term

BLOCK_ENTRIES = 4_000_000
"""Coefficients of one value held at a time; more rows than fit are bounded in blocks."""

GROWTH = 4
"""How much larger than a block the next may be: what a row needs is only known from the rows before."""


Switches = Literal["hull", "worst"]


def linear_bounds(program: Program, *, only_new: bool = False, switches: Switches = "hull") -> dict[int, Interval]:
    """Return sound bounds of every value.

    Interval bounds everywhere; values that a switch or conditional reads, and the result, get linear bounds on top
    where they can change anything: entries of a pre-activation that are undecided, operands of undecided switches.

    Parameters
    ----------
    only_new
        Take bounds that the program already has as they are.
    switches
        How an undecided switch of an operand of either sign is relaxed, unless it is a relu. ``hull``: by the lines of
        the convex hull (Shi et al. 2022). ``worst``: by the bounds of the operand alone (RecurJac, Zhang et al. 2019).
    """
    relaxation = _Relaxation(program, {}, switches)
    wanted = _wanted(program)
    for value, op in enumerate(program.ops):
        interval = interval_of(program, value, relaxation.bounds)
        if value in program.bounds:
            interval = intersect(interval, program.bounds[value])
        relaxation.bounds[value] = interval
        done = only_new and value in program.bounds
        if value in wanted and not isinstance(op, Input) and not done:
            chosen = _useful_entries(program, value, relaxation.bounds)
            relaxation.bounds[value] = relaxation.tighten(value, chosen)
    return relaxation.bounds


def _wanted(program: Program) -> set[int]:
    """Return the values whose bounds become coefficients of the mixed-integer program."""
    wanted = {program.result}
    for op in program.ops:
        if isinstance(op, Conditional | Switch):
            wanted.add(op.operand)
    return {value for value in wanted if program.ops[value].kind is Kind.REAL}


def _useful_entries(program: Program, value: int, bounds: dict[int, Interval]) -> NDArray[np.int64]:
    """Return the entries of a value whose bounds are worth tightening."""
    if value == program.result:
        return np.arange(program.ops[value].size)
    interval = bounds[value]
    useful = np.zeros(program.ops[value].size, bool)
    for op in program.ops:
        if isinstance(op, Conditional) and op.operand == value:
            useful |= (interval.lower < 0) & (interval.upper > 0)
        elif isinstance(op, Switch) and op.operand == value and not is_relu(program, op):
            bit = bounds.get(op.bit)  # bits that come later are free ones: a choice of an output
            useful |= np.ones(len(useful), bool) if bit is None else bit.lower < bit.upper
    return np.flatnonzero(useful & (interval.lower < interval.upper))


@dataclass(eq=False)
class _Relaxation:
    """Bounds of a program found so far; `bounds` grows value by value."""

    program: Program
    bounds: dict[int, Interval]
    switches: Switches = "hull"
    terms: dict[tuple[int, int], tuple[int, Floats]] = field(default_factory=dict)

    def tighten(self, value: int, chosen: NDArray[np.int64]) -> Interval:
        """Return the bounds of a value with the chosen entries tightened.

        In blocks of rows: the first is so small that it may be dense, the next ones grow as far as the coefficients of
        those before say that they can. A neuron of a convolution has few, which are held as such.
        """
        interval = self.bounds[value]
        lower, upper = interval.lower.copy(), interval.upper.copy()
        size = self.program.ops[value].size
        step = max(1, BLOCK_ENTRIES // (2 * max(op.size for op in self.program.ops[: value + 1])))
        first = 0
        while first < len(chosen):
            block = chosen[first : first + step]
            count = len(block)
            signs = np.repeat([1.0, -1.0], count)
            directions = csr_array((signs, np.tile(block, 2), np.arange(2 * count + 1)), shape=(2 * count, size))
            limits, most = self.upper_limits(value, directions)
            upper[block] = np.minimum(upper[block], limits[:count])
            lower[block] = np.maximum(lower[block], -limits[count:])
            first += count
            step = max(1, min(GROWTH * step, BLOCK_ENTRIES * count // most))
        return Interval(lower, upper)

    def upper_limits(self, value: int, directions: csr_array) -> tuple[Floats, int]:
        """Return upper bounds of ``directions @ value``, shape ``(rows,)``, and the most coefficients of one value.

        Parameters
        ----------
        directions
            Shape ``(rows, n)``.
        """
        state = _Backward(directions.shape[0], {value: Coefficients(directions)})
        for current in range(value, -1, -1):
            coefficients = state.coefficients.pop(current, None)
            if coefficients is None:
                continue
            op = self.program.ops[current]
            if isinstance(op, Input):
                state.add_constant(*support(op.domain, coefficients.rows, self.bounds[current]))
            elif isinstance(op, Affine):
                self._through_affine(state, op, coefficients)
            elif isinstance(op, Switch):
                self._through_switch(state, op, coefficients)
            else:
                state.add_constant(*support_box(self.bounds[current], coefficients.rows))
        return state.limits(), state.most

    def _through_affine(self, state: _Backward, op: Affine, coefficients: Coefficients) -> None:
        """Substitute ``sum(matrix @ operand) + bias``."""
        absolute = coefficients.with_values(np.abs(coefficients.values))
        state.add_constant(coefficients.dot(op.bias), (op.size + 1) * UNIT * absolute.dot(np.abs(op.bias)))
        for term in op.terms:
            magnitude = self.bounds[term.operand].magnitude
            count, reach = self._term(term)
            state.error += count * UNIT * absolute.dot(reach) + _underflow(magnitude)
            state.add(term.operand, coefficients.through(term.matrix), magnitude)

    def _term(self, term: Term) -> tuple[int, Floats]:
        """Return what bounds the rounding of ``coefficients @ matrix``, two numbers.

        More than how many products are added up in one entry, and the most that each entry of ``matrix @ operand`` may
        be, shape ``(n,)``.
        """
        key = (term.operand, id(term.matrix))  # the program keeps its matrices alive: no other one has the number
        if key not in self.terms:
            matrix = term.matrix
            counts = np.bincount(matrix.indices) if isinstance(matrix, csr_array) else np.count_nonzero(matrix, axis=0)
            reach = abs(matrix) @ self.bounds[term.operand].magnitude
            self.terms[key] = (int(counts.max(initial=0)) + 2, reach)
        return self.terms[key]

    def _through_switch(self, state: _Backward, op: Switch, coefficients: Coefficients) -> None:
        """Replace the switch by lines in its operand: the upper one where its coefficient is positive, else the lower.

        Over ``l <= x <= u`` the points (x, 0) and (x, x) lie between the lines returned by `_lines`. With c the
        coefficient and p its positive part, the new one is ``c * lower + p * (upper - lower)``.
        """
        operand = self.bounds[op.operand]
        relu = is_relu(self.program, op)
        hull = self.switches == "hull"
        lines = _lines(operand, self.bounds[op.bit], relu=relu, hull=hull)
        upper_slope, upper_offset, lower_slope, lower_offset = lines
        positive = coefficients.with_values(np.maximum(coefficients.values, 0.0))
        reach = np.maximum(np.abs(upper_offset), np.abs(lower_offset)) * 2 * (op.size + 3) + 6 * operand.magnitude
        of_all = coefficients.dot(np.stack([lower_offset, -reach]))
        of_positive = positive.dot(np.stack([upper_offset - lower_offset, 2 * reach]))
        # |c| = 2 p - c, so the second row is |c| @ reach: the absolute products that are rounded.
        state.add_constant(of_all[0] + of_positive[0], UNIT * (of_all[1] + of_positive[1]))
        values = positive.values
        values *= positive.spread(upper_slope - lower_slope)
        values += coefficients.values * coefficients.spread(lower_slope)
        state.error += _underflow(operand.magnitude) + _underflow(reach)
        state.add(op.operand, positive.without_zeros(), operand.magnitude)


class _Backward:
    """``sum(coefficients[value] @ value) + constant``, row by row: upper bounds up to `error`."""

    def __init__(self, rows: int, coefficients: dict[int, Coefficients]) -> None:
        self.coefficients = coefficients
        self.constant: Floats = np.zeros(rows)
        self.error: Floats = np.zeros(rows)
        self.most = 1
        """The most coefficients of one value so far."""

    def add(self, value: int, coefficients: Coefficients, magnitude: Floats) -> None:
        """Add coefficients of a value; the sum of two is rounded."""
        if value in self.coefficients:
            coefficients = self.coefficients[value].plus(coefficients)
            absolute = coefficients.with_values(np.abs(coefficients.values))
            self.error += UNIT * absolute.dot(magnitude) + _underflow(magnitude)
        self.coefficients[value] = coefficients
        self.most = max(self.most, coefficients.values.size)

    def add_constant(self, constant: Floats, error: Floats) -> None:
        """Add numbers known up to an error."""
        self.constant = self.constant + constant
        self.error += error + UNIT * np.abs(self.constant)

    def limits(self) -> Floats:
        """Return the upper bounds, rounded outward."""
        # The errors are sums of positive numbers, each right to a factor near 1; the margin covers that.
        limits: Floats = np.nextafter(self.constant + 1.001 * self.error, np.inf)
        return limits


def _lines(operand: Interval, bit: Interval, *, relu: bool, hull: bool = True) -> tuple[Floats, Floats, Floats, Floats]:
    """Return slopes and offsets of an upper and a lower line for the switch of each entry of the operand.

    Slopes are in [0, 1], any such slope is valid; the offsets are then rounded outward.
    """
    low, high = operand.lower, operand.upper
    crosses = (low < 0) & (high > 0)
    width = np.where(crosses, high - low, 1.0)
    chord = np.clip(np.where(crosses, high / width, 0.0), 0.0, 1.0)
    rising, falling = (chord, 1.0 - chord) if relu or hull else (np.zeros(len(low)), np.zeros(len(low)))
    always, never = bit.lower == 1, bit.upper == 0
    upper_slope = np.where(crosses, rising, (high > 0).astype(np.float64))
    upper_slope = np.where(always, 1.0, np.where(never, 0.0, upper_slope))
    # Upper line at the ends of the interval: at least 0 at `low` and at least `high` at `high`.
    upper_offset = np.maximum(-upper_slope * low, (1.0 - upper_slope) * high)
    upper_offset = np.where(crosses & ~always & ~never, _outward(upper_offset), 0.0)
    if relu:
        lower_slope: Floats = np.where(crosses, (high > -low).astype(np.float64), (low >= 0).astype(np.float64))
        lower_offset: Floats = np.zeros(len(low))
    else:
        lower_slope = np.where(crosses, falling, (low < 0).astype(np.float64))
        # Lower line: at most `low` at `low` and at most 0 at `high`.
        lower_offset = np.minimum((1.0 - lower_slope) * low, -lower_slope * high)
        lower_offset = np.where(crosses & ~always & ~never, -_outward(-lower_offset), 0.0)
    lower_slope = np.where(always, 1.0, np.where(never, 0.0, lower_slope))
    return upper_slope, upper_offset, lower_slope, lower_offset


def _underflow(magnitude: Floats) -> float:
    """Return more than what coefficients lose when they underflow, times what they multiply."""
    return UNDERFLOW * (1.0 + float(magnitude.sum()))


def _outward(positive: Floats) -> Floats:
    """Return numbers above nonnegative products of two roundings."""
    return positive * (1.0 + 4.0 * UNIT) + UNDERFLOW
