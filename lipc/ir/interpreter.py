"""Run a program on points, in float64, many at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir.polytope import Floats
from lipc.ir.program import Affine, Conditional, Input, Matrix, Program, Switch

Choices = Mapping[int, NDArray[np.float64]]
"""What a program leaves free: the entries of its inputs and, where an operand is 0, the bits of its conditionals.

Maps values to arrays of shape ``(points, size)`` or ``(size,)``.
"""


def product(points: Floats, matrix: Matrix) -> Floats:
    """Return ``matrix @ point`` for points of shape ``(points, columns)``, as ``(points, rows)``."""
    result: Floats = (matrix @ points.T).T if isinstance(matrix, csr_array) else points @ matrix.T
    return result


def evaluate(program: Program, choices: Choices, *, upto: int | None = None) -> list[Floats]:
    """Return every value at each point.

    Parameters
    ----------
    choices
        For each `Input` an array of shape ``(points, size)``. For a `Conditional` an array of bits *prescribes* its
        value whatever the operand; without one it is 1 where the operand is positive and 0 elsewhere.
    upto
        Evaluate values ``0 .. upto`` only; default: all.

    Returns
    -------
    list of arrays
        One of shape ``(points, size)`` per value.

    Raises
    ------
    KeyError
        If an input has no choice.
    """
    ops = program.ops if upto is None else program.ops[: upto + 1]
    given = {value: np.atleast_2d(np.asarray(array, np.float64)) for value, array in choices.items()}
    points = max((len(array) for array in given.values()), default=1)
    values: list[Floats] = []
    for value, op in enumerate(ops):
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
