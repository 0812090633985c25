"""Between columns of a mixed-integer program and values of the program it was made from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipc.ir import Floats, Input, Program, Switch
from lipc.mip.program import MixedIntegerProgram, Role


def bit_columns(mip: MixedIntegerProgram) -> dict[int, NDArray[np.int64]]:
    """Return the columns of the bits and inputs of the program that was lowered."""
    return {
        block.value: np.arange(block.start, block.start + len(block.entries))
        for block in mip.columns
        if block.role in (Role.BIT, Role.INPUT)
    }


def choices_of(mip: MixedIntegerProgram, columns: Floats) -> dict[int, Floats]:
    """Return the choices (inputs and bits, by value) that a solution stands for; bits are rounded.

    Parameters
    ----------
    columns
        Shape ``(columns,)``: a value per column, from a solver.
    """
    columns = columns * mip.column_scale
    choices: dict[int, Floats] = {}
    for block in mip.columns:
        if block.role is Role.INPUT:
            choices[block.value] = columns[block.columns]
        elif block.role is Role.BIT:
            choices[block.value] = (columns[block.columns] > 0.5).astype(np.float64)
    return choices


def columns_of(mip: MixedIntegerProgram, program: Program, values: list[Floats]) -> Floats:
    """Return the columns, shape ``(columns,)``, at which the program takes these values.

    Parameters
    ----------
    values
        One array of shape ``(1, n)`` per value, as `evaluate` returns them for one point.
    """
    columns = np.zeros(len(mip.cost))
    for block in mip.columns:
        if block.role is Role.SLACK:  # its value does not say it: whether its set allows one does
            continue
        entries = values[block.value][0]
        op = program.ops[block.value]
        if block.role is Role.COMPLEMENT:
            entries = 1.0 - entries
        elif block.role is Role.OFF and isinstance(op, Switch):
            entries = values[op.operand][0] - entries
        elif block.role in (Role.ABOVE, Role.BELOW) and isinstance(op, Input) and op.domain.l1 is not None:
            above = entries - op.domain.l1.center
            entries = np.maximum(above if block.role is Role.ABOVE else -above, 0.0)
        columns[block.columns] = entries
    columns = columns / mip.column_scale
    slack, other = mip.sets.T
    columns[slack] = np.where(columns[other] > 0.5, 0.0, mip.column_upper[slack])
    return columns
