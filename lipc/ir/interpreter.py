"""Run a program on points, in float64, many at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from lipc.ir.matrix import Matrix
from lipc.ir.polytope import Floats
from lipc.ir.program import Affine, Conditional, Input, Program, Switch

Choices = Mapping[int, NDArray[np.float64]]
"""What a program leaves free: the entries of its inputs and, where an operand is 0, the bits of its conditionals.

Maps values to arrays of shape ``(points, size)`` or ``(size,)``.
"""


def product(points: Floats, matrix: Matrix) -> Floats:
    """Return ``matrix @ point`` for points of shape ``(points, columns)``, as ``(points, rows)``."""
    result: Floats = (matrix @ points.T).T if issparse(matrix) else points @ matrix.T
    return result


def evaluate(program: Program, choices: Choices) -> list[Floats]:
    """Return every value at each point.

    Parameters
    ----------
    choices
        For each `Input` an array of shape ``(points, size)``. For a `Conditional` an array of bits *prescribes* its
        value whatever the operand; without one it is 1 where the operand is positive and 0 elsewhere.

    Returns
    -------
    list of arrays
        One of shape ``(points, size)`` per value.

    Raises
    ------
    KeyError
        If an input has no choice.
    """
    given = {value: np.atleast_2d(np.asarray(array, np.float64)) for value, array in choices.items()}
    points = max((len(array) for array in given.values()), default=1)
    values: list[Floats] = []
    for value, op in enumerate(program.ops):
        if value in given:
            values.append(np.broadcast_to(given[value], (points, op.size)))
        elif isinstance(op, Input):
            raise KeyError(f"no choice for the input %{value} '{op.origin.name}'")
        elif isinstance(op, Affine):
            total = np.repeat(op.bias[None, :], points, axis=0)
            for term in op.terms:
                total += product(values[term.operand], term.matrix)
            values.append(total)
        elif isinstance(op, Conditional):
            values.append((values[op.operand] > 0).astype(np.float64))
        elif isinstance(op, Switch):
            values.append(values[op.operand] * values[op.bit])
    return values


def pullback(program: Program, values: list[Floats], cotangent: Floats, wrt: int, *, of: int | None = None) -> Floats:
    """Return ``cotangent' J(point)`` at each point: reverse-mode differentiation with the bits held fixed.

    Parameters
    ----------
    values
        What `evaluate` returned; only the bits are read.
    cotangent
        Shape ``(points, m)``, weights of the entries of the value that is differentiated.
    wrt
        The value to differentiate with respect to, of size ``n``.
    of
        The value that is differentiated; default: the program's result.

    Returns
    -------
    array of shape ``(points, n)``
        At points where no operand of a conditional is 0, the gradient of the weighted result.
    """
    start = program.result if of is None else of
    adjoints: dict[int, Floats] = {start: cotangent}
    for value in range(start, wrt, -1):
        adjoint = adjoints.pop(value, None)
        op = program.ops[value]
        if adjoint is None:
            continue
        if isinstance(op, Affine):
            for term in op.terms:
                _accumulate(adjoints, term.operand, product(adjoint, term.transposed))
        elif isinstance(op, Switch):
            _accumulate(adjoints, op.operand, adjoint * values[op.bit])
    return adjoints.get(wrt, np.zeros((len(cotangent), program.ops[wrt].size)))


def pushforward(program: Program, values: list[Floats], tangents: Floats, wrt: int) -> dict[int, Floats]:
    """Return the derivative of every value in some directions: forward-mode differentiation with the bits held fixed.

    Parameters
    ----------
    values
        What `evaluate` returned for one point; only the bits are read.
    tangents
        Shape ``(directions, n)``: directions in the space of the value `wrt`.

    Returns
    -------
    dict
        For each value that depends on `wrt`, an array of shape ``(directions, size)``.
    """
    derivatives: dict[int, Floats] = {wrt: tangents}
    for value in range(wrt + 1, len(program.ops)):
        op = program.ops[value]
        if isinstance(op, Affine):
            parts = [product(derivatives[t.operand], t.matrix) for t in op.terms if t.operand in derivatives]
            if parts:
                derivatives[value] = np.sum(parts, axis=0)
        elif isinstance(op, Switch) and op.operand in derivatives:
            derivatives[value] = derivatives[op.operand] * values[op.bit]
    return derivatives


def _accumulate(adjoints: dict[int, Floats], value: int, summand: Floats) -> None:
    adjoints[value] = adjoints[value] + summand if value in adjoints else summand
