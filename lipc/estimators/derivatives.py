"""What SDP bounds are asked of: the rows of a Lipschitz question over a network's derivative, and their bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.lipschitz import MOST_OUTPUTS
from lipc.bounds.quadratic import FREE, Quadratic, restrict
from lipc.bounds.unrolled import LARGEST, LARGEST_UNIT, MOST_NUMBERS, Unrolled, derivative_slack, unroll
from lipc.errors import QueryError
from lipc.estimators.base import Limits, RefusedError, question_of
from lipc.estimators.eigenvalue import by_eigenvalues
from lipc.estimators.layers import layers_of
from lipc.estimators.operator_norms import length
from lipc.estimators.tied import LAST_BARRIER, Tied, TiedSdp
from lipc.ir import Floats, Norm, Program
from lipc.ir.norms import sign_rows

MOST_AT_ONCE = 200
"""Rows of Q up to which Newton's method alone finds the best multipliers. For more the eigenvalue form comes first: far
from the best ones Q is near to singular, and Newton's steps lead nowhere."""

MOST_EXACTLY = 300
"""Rows of Q up to which the best multipliers are sought as precisely as they can be found: a second."""

MOST_BY_NEWTON = 900
"""Rows of Q up to which Newton's method is worth its time: some ten seconds."""

COARSE_BARRIER = 1e-3
"""The last barrier between the two, see `lipc.estimators.tied.LAST_BARRIER`."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A derivative and the functions of it of which the largest is asked.

    Parameters
    ----------
    unrolled
        The derivative.
    objectives
        Shape ``(k, n + s)``: weights of the direction and of the switches.
    slacks
        Shape ``(k,)``.
    layers
        Shape ``(s,)``: the layer of each switch, from 0 on, where the network is a chain.
    """

    unrolled: Unrolled
    objectives: Floats
    slacks: Floats
    layers: NDArray[np.int64] | None = None

    def quadratics(self, direction: Floats | None = None) -> list[Quadratic]:
        """Return the quadratic of each function with no neuron decided, along a direction or along any."""
        chosen = np.full(self.unrolled.inputs, np.nan) if direction is None else direction
        states = np.full(len(self.unrolled.places), FREE, np.int8)
        rows = zip(self.objectives, self.slacks.tolist(), strict=True)
        return [restrict(self.unrolled, row, slack, chosen, states) for row, slack in rows]

    def corners(self) -> list[Quadratic]:
        """Return the quadratics along the unit vectors and their opposites."""
        units = np.eye(self.unrolled.inputs)
        return [part for unit in units for way in (1.0, -1.0) for part in self.quadratics(way * unit)]

    @property
    def work(self) -> float:
        """The size of Q to the third power, times the number of functions: some per cent of a Newton step's work."""
        return float(len(self.objectives)) * (self.unrolled.inputs + self.unrolled.switches) ** 3


def rows_of(program: Program) -> Rows:
    """Return the derivative of any network that can be unrolled.

    Raises
    ------
    RefusedError
        If it is too large, or its outputs are.
    """
    try:
        unrolled = unroll(program)
    except QueryError as error:
        raise RefusedError(error.message, where=error.where) from None
    return _rows(program, unrolled)


def _rows(program: Program, unrolled: Unrolled, layers: NDArray[np.int64] | None = None) -> Rows:
    outputs = len(unrolled.outputs)
    signed = question_of(program).output_norm is Norm.L1 and outputs > 1
    if outputs > MOST_OUTPUTS or (signed and 2 ** (outputs - 1) > MOST_OUTPUTS):
        raise RefusedError(f"{outputs} outputs are too many for a bound of each", hint="ask for a function of them")
    weights = sign_rows(outputs) if signed else np.eye(outputs)
    return Rows(unrolled, weights @ unrolled.outputs, np.abs(weights) @ unrolled.slack, layers)


def chain_rows_of(program: Program) -> Rows:
    """Return the derivative of a chain of layers; all switches of a layer are measured in one unit.

    Multipliers of a layer that are equal in its own units are equal here too.

    Raises
    ------
    RefusedError
        If the network is no chain, or it is too large.
    """
    weights = layers_of(program).dense()
    sizes = [len(weight) for weight in weights[:-1]]
    switches, inputs = sum(sizes), weights[0].shape[1]
    if (switches + inputs) * switches > MOST_NUMBERS:
        raise RefusedError("the network is too large for dense matrices of its neurons")
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    read = np.zeros((switches, inputs + switches))
    columns, exponent = slice(0, inputs), 0
    for at, weight in enumerate(weights[:-1]):
        _, next_exponent = np.frexp(np.abs(weight).max(initial=0.0))
        next_exponent = int(np.clip(int(next_exponent) + exponent, -LARGEST_UNIT, LARGEST_UNIT))
        here = slice(int(starts[at]), int(starts[at + 1]))
        read[here, columns] = np.ldexp(weight, exponent - next_exponent)
        columns, exponent = slice(inputs + here.start, inputs + here.stop), next_exponent
    outputs = np.zeros((len(weights[-1]), inputs + switches))
    outputs[:, columns] = np.ldexp(weights[-1], exponent)
    slack = derivative_slack(program, inputs + switches + len(outputs))
    if not (np.isfinite(read).all() and np.isfinite(outputs).all() and (slack < LARGEST).all()):
        raise RefusedError("the network's numbers are too large")
    levels = tuple(np.arange(first, last) for first, last in pairwise(starts.tolist()))
    layers = np.repeat(np.arange(len(sizes)), sizes)
    places = tuple((int(layer), entry) for layer, size in enumerate(sizes) for entry in range(size))
    unrolled = Unrolled(read[:, :inputs], read[:, inputs:], outputs, np.arange(switches), places, levels, slack)
    return _rows(program, unrolled, layers)


Search = Callable[[TiedSdp, Unrolled, Limits], Floats]
"""Returns the numbers that multipliers are made of."""


def by_size(sdp: TiedSdp, unrolled: Unrolled, limits: Limits) -> Floats:
    """Return the best numbers up to 1e-6, for more entries up to 1e-3, and beyond what first-order methods find."""
    size, start = len(sdp.quadratic.weights), sdp.first(unrolled)
    if size > MOST_AT_ONCE:
        start = by_eigenvalues(sdp, unrolled, start, limits)
    if size > MOST_BY_NEWTON:
        return sdp.descend(start, limits)
    return sdp.minimize(start, limits, LAST_BARRIER if size <= MOST_EXACTLY else COARSE_BARRIER)


def largest_over_ball(rows: Rows, search: Search, limits: Limits, *, tied: bool = False) -> float:
    """Return a proven bound of all functions over the unit ball of l_2.

    Parameters
    ----------
    tied
        Whether the neurons of a layer have one multiplier.
    """
    reduced = _fewer_directions(rows)
    layers = rows.layers if tied else None
    values = [0.0]
    shares = _shares(limits, len(rows.objectives))
    for whole, part, share in zip(rows.quadratics(), reduced.quadratics(), shares, strict=True):
        if not len(whole.switches):
            values.append(float(np.nextafter(length(whole.weights) + whole.slack, np.inf)))
            continue
        # Fewer directions are as good for the search; what is proven is proven for all of them.
        ball = TiedSdp(part, Tied.of(part, ball=True, layers=layers))
        numbers = search(ball, reduced.unrolled, share)
        values.append(TiedSdp(whole, Tied.of(whole, ball=True, layers=layers)).certify(numbers))
    return max(values)


def largest_over_cube(rows: Rows, search: Search, limits: Limits) -> float:
    """Return a proven bound of all functions over directions with entries within -1 and 1."""
    values = [0.0]
    for quadratic, share in zip(rows.quadratics(), _shares(limits, len(rows.objectives)), strict=True):
        if not len(quadratic.switches):
            values.append(quadratic.largest())
            continue
        cube = TiedSdp(quadratic, Tied.of(quadratic, ball=False))
        values.append(cube.certify(search(cube, rows.unrolled, share)))
    return max(values)


def _shares(limits: Limits, count: int) -> Iterator[Limits]:
    """Yield the limits of one function after another: an equal part of what is left."""
    for left in range(count, 0, -1):
        now = monotonic()
        yield Limits(now + (limits.deadline - now) / left, limits.seed)


def late_note(limits: Limits) -> str:
    """Return what is to be said where time is up by now; else nothing."""
    return "time was up: multipliers are not the best ones" if monotonic() > limits.deadline else ""


def largest_over_corners(rows: Rows, limits: Limits) -> float:
    """Return a proven bound of all functions over the unit ball of l_1: over its corners."""
    corners = [(TiedSdp(part, Tied.of(part, ball=False)), part) for part in rows.corners()]
    decided = [quadratic.largest() for _, quadratic in corners if not len(quadratic.switches)]
    free = [(sdp, sdp.first(rows.unrolled)) for sdp, quadratic in corners if len(quadratic.switches)]
    # Those that look largest first; of the others it is enough that they are no larger.
    free.sort(key=lambda pair: -_value(*pair))
    largest = max(decided, default=0.0)
    for sdp, start in free:
        numbers = sdp.minimize(start, limits, target=largest * (1 - 1e-9))
        largest = max(largest, sdp.certify(numbers))
    return largest


def _value(sdp: TiedSdp, numbers: Floats) -> float:
    at = sdp.at(numbers)
    return at[1] if at is not None else np.inf


def _fewer_directions(rows: Rows) -> Rows:
    """Return the same up to rounding with no more directions than are told apart: the ball may be turned."""
    unrolled, inputs = rows.unrolled, rows.unrolled.inputs
    read = np.concatenate([unrolled.direct, rows.objectives[:, :inputs]])
    used = np.flatnonzero((read != 0).any(axis=1))
    if len(used) >= inputs or not len(used):
        return rows
    turned = np.zeros((len(read), len(used)))
    turned[used] = np.asarray(np.linalg.qr(read[used].T, mode="r")).T
    switches = unrolled.switches
    outputs = np.concatenate([np.zeros((len(unrolled.outputs), len(used))), unrolled.outputs[:, inputs:]], axis=1)
    fewer = replace(unrolled, direct=turned[:switches], outputs=outputs)
    objectives = np.concatenate([turned[switches:], rows.objectives[:, inputs:]], axis=1)
    return Rows(fewer, objectives, rows.slacks, rows.layers)
