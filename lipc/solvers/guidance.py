"""How solvers are best told to go about these programs: settings of SCIP, and which bits to branch on first."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lipc.errors import OutputError
from lipc.ir import Floats, Sense
from lipc.mip import MixedIntegerProgram

START_ENDINGS = (".sol", ".mst")
"""Endings of files of start solutions."""

SCIP_SETTINGS: Mapping[str, bool | int | float | str] = MappingProxyType(
    {
        # Two rounds of cuts at the root take more than half of the nodes away; further ones, and cuts in the tree, make
        # every relaxation dearer than they save.
        "separating/maxrounds": 0,
        "separating/maxroundsroot": 2,
    }
)
"""What wins on these programs (PERFORMANCE.md, "SCIP's settings")."""


def scip_settings(gap: float = 1e-6, seed: int = 0) -> str:
    """Return the settings as a file for SCIP: ``scip -s model.set``, or ``set load model.set`` in its shell."""
    settings: dict[str, bool | int | float | str] = {
        **SCIP_SETTINGS,
        "limits/gap": gap,
        "randomization/randomseedshift": seed,
    }
    lines = ["# settings of SCIP for a program of lipc"]
    lines += [f"{name} = {_text(value)}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def _text(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def branching_priorities(program: MixedIntegerProgram) -> NDArray[np.int64]:
    """Return which columns to branch on first, the larger the earlier; shape ``(columns,)``, 0 where it is open."""
    priorities = np.zeros(len(program.cost), np.int64)
    for block in program.columns:
        priorities[block.columns] = block.priority
    return priorities


def start_text(program: MixedIntegerProgram, columns: Floats, ending: str) -> str:
    """Return a start solution as a file.

    Parameters
    ----------
    columns
        Shape ``(columns,)``.
    ending
        ``.sol``: SCIP (``read model.sol`` after the problem). ``.mst``: Gurobi and others that take names and values.

    Raises
    ------
    OutputError
        Any other ending.
    """
    if ending not in START_ENDINGS:
        raise OutputError(
            f"no format of start solutions ends in '{ending}'", hint=f"use one of {', '.join(START_ENDINGS)}"
        )
    value = (-1.0 if program.sense is Sense.MAXIMIZE else 1.0) * program.objective(columns)
    head = ["solution status: unknown", f"objective value: {value!r}"] if ending == ".sol" else ["# MIP start"]
    # SCIP takes what is missing for 0.
    lines = [f"{name} {number!r}" for name, number in zip(program.column_names(), columns.tolist(), strict=True)]
    return "\n".join([*head, *lines]) + "\n"
