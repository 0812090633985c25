"""A network's derivative written out: every switch as a weighted sum of the direction and of earlier switches.

In forward mode a direction v goes through the network: a switch k receives ``q_k = A_k v + B_k u`` from the direction
and from earlier switches, and passes on ``u_k = a_k q_k``, where ``a_k`` is the bit that the forward pass made. The
derivative of the outputs along v is ``C v + D u``. Products with matrices add rounding; `slack` bounds all of it.

A switch passes on any multiple of what it is given, so the unit of each ``u_k`` is free. Each is measured in the power
of two that brings its row of A and B near length 1: layers of weights that are far from 1 leave the matrices of the SDP
bound as well conditioned as any other's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.rounding import UNIT
from lipc.errors import QueryError
from lipc.ir import Affine, Conditional, Floats, Input, Kind, Program, Switch

MOST_NUMBERS = 20_000_000
"""Coefficients that may be held: values times columns."""

LARGEST_UNIT = 100
"""Exponents of units are within this and minus this, so that what underflows for a unit's sake is below `TINY`."""

TINY = 1e-250
"""What is added to sizes at every step, for products that underflow."""

LARGEST = 1e100
"""Derivatives whose slack is beyond are refused: what is computed from them might overflow."""

Place = tuple[int, int]
"""A conditional, and an entry of it."""


@dataclass(frozen=True, eq=False)
class Unrolled:
    """The derivative of a network of ``n`` inputs, ``s`` switches and ``m`` outputs, each switch in a unit of its own.

    Parameters
    ----------
    direct
        A, shape ``(s, n)``.
    through
        B, shape ``(s, s)``, strictly lower triangular.
    outputs
        C and D side by side, shape ``(m, n + s)``.
    bits
        Shape ``(s,)``: the bit of each switch, an index into `places`.
    places
        The bits: conditionals and entries.
    levels
        Switches, none of which reads another one of the same level, the earliest first.
    slack
        Shape ``(m,)``: for all bits and all directions with entries within -1 and 1, a derivative computed from these
        coefficients, in any order of summation, is at most so far from the network's.
    """

    direct: Floats
    through: Floats
    outputs: Floats
    bits: NDArray[np.int64]
    places: tuple[Place, ...]
    levels: tuple[NDArray[np.int64], ...]
    slack: Floats

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return int(self.direct.shape[1])

    @property
    def switches(self) -> int:
        """The number of entries of switches."""
        return len(self.bits)


@np.errstate(over="ignore", invalid="ignore")
def unroll(program: Program) -> Unrolled:
    """Return the derivative of a network's result.

    Parameters
    ----------
    program
        A network of one real input.

    Raises
    ------
    QueryError
        If the network is too large for dense matrices, or its numbers are, or it has bits of its own.
    """
    program.network_input()
    first, inputs = _places(program)
    switches = sum(op.size for op in program.ops if isinstance(op, Switch))
    columns = inputs + switches
    if max(op.size for op in program.ops) * columns > MOST_NUMBERS or switches**2 > MOST_NUMBERS:
        raise QueryError("the network is too large to write out its derivative")
    places = [(value, entry) for value in program.find(Conditional) for entry in range(program.ops[value].size)]
    index = {place: at for at, place in enumerate(places)}
    tangents: dict[int, Floats] = {}
    read = np.zeros((switches, columns))
    bits = np.zeros(switches, np.int64)
    for value, op in enumerate(program.ops):
        if isinstance(op, Input):
            tangents[value] = np.eye(inputs, columns)
        elif isinstance(op, Affine):
            tangents[value] = np.zeros((op.size, columns))
            for term in op.terms:
                # A bit does not change but on kinks.
                if program.ops[term.operand].kind is not Kind.BIT:
                    tangents[value] += term.matrix @ tangents[term.operand]
        elif isinstance(op, Switch):
            here = first[value] + np.arange(op.size)
            read[here] = tangents[op.operand]
            bits[here] = [index[op.bit, entry] for entry in range(op.size)]
            read[here], tangents[value] = _in_units(read[here], inputs + here)
    direct, through = read[:, :inputs], read[:, inputs:]
    outputs, slack = tangents[program.result], derivative_slack(program, columns)
    if not (np.isfinite(read).all() and np.isfinite(outputs).all() and (slack < LARGEST).all()):
        raise QueryError("the derivative's numbers are too large to write out", hint="--search mip")
    return Unrolled(direct, through, outputs, bits, tuple(places), _levels(through), slack)


def _in_units(rows: Floats, columns: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return what switches read in the units chosen for them, and what they pass on.

    Parameters
    ----------
    rows
        Shape ``(k, n + s)``, what they read.
    columns
        Shape ``(k,)``, their own.
    """
    _, exponents = np.frexp(np.abs(rows).max(axis=1, initial=0.0))
    exponents = np.clip(exponents, -LARGEST_UNIT, LARGEST_UNIT)
    passed = np.zeros_like(rows)
    passed[np.arange(len(rows)), columns] = np.ldexp(1.0, exponents)
    return np.ldexp(rows, -exponents[:, None]), passed


def _places(program: Program) -> tuple[dict[int, int], int]:
    """Return the first switch of each operation, and the number of inputs."""
    first, count = {}, 0
    for value, op in enumerate(program.ops):
        if isinstance(op, Switch):
            if not isinstance(program.ops[op.bit], Conditional):
                raise QueryError("a switch reads a bit that is no neuron's")
            first[value], count = count, count + op.size
    return first, program.network_input()[1].size


def _levels(through: Floats) -> tuple[NDArray[np.int64], ...]:
    """Return the switches by the number of switches on the longest way to them."""
    depth = np.zeros(len(through), np.int64)
    for switch, row in enumerate(through):
        before = np.flatnonzero(row)
        depth[switch] = 1 + depth[before].max() if len(before) else 0
    return tuple(np.flatnonzero(depth == level) for level in range(int(depth.max(initial=-1)) + 1))


def derivative_slack(program: Program, columns: int = 1) -> Floats:
    """Return how far all roundings together may carry a derivative: a part of the sum of its absolute terms.

    A derivative is a sum over paths of products of weights, and bits. What is computed has each product off by a factor
    within ``(1 + u)^steps``: an affine map adds as many steps as it adds numbers, a level of switches that are
    substituted as many as there are columns, the objective again as many. There are no more levels than operations, so
    `relative` is more than twice what all of that comes to.
    """
    _, domain = program.network_input()
    sizes: dict[int, Floats] = {}
    widest = columns
    for value, op in enumerate(program.ops):
        if isinstance(op, Input):
            sizes[value] = np.ones(domain.size)
        elif isinstance(op, Affine):
            sizes[value] = np.full(op.size, TINY)
            widest = max(widest, sum(program.ops[term.operand].size + 1 for term in op.terms))
            for term in op.terms:
                if program.ops[term.operand].kind is not Kind.BIT:
                    sizes[value] += abs(term.matrix) @ sizes[term.operand]
        elif isinstance(op, Switch):
            sizes[value] = sizes[op.operand] + TINY
    relative = 4 * (len(program.ops) + 2) * (widest + 4) * UNIT
    return np.asarray(relative * sizes[program.result])
