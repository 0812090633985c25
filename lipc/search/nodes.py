"""The nodes of the branch and bound on the SDP bound, and the objectives of its trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipc.errors import QueryError
from lipc.ir import Floats, Lipschitz, Norm, Program
from lipc.ir.norms import sign_rows
from lipc.search.conflicts import States
from lipc.search.pseudocosts import Decision

MOST_ROOTS = 4096
"""Trees: one for each output, and in l_1 for each input and sign; outputs in l_1: for each choice of their signs."""


@dataclass(frozen=True, eq=False)
class Node:
    """A part of the question.

    Parameters
    ----------
    root
        Which objective.
    direction, states
        What is decided, see `lipc.bounds.sdp.restrict`.
    multipliers
        Of all inputs and switches, to begin with.
    bound
        A proven bound of the objective.
    decision
        What it was split off by.
    """

    root: int
    direction: Floats
    states: States
    multipliers: Floats
    bound: float
    decision: Decision | None = None


def objectives_of(program: Program) -> tuple[Lipschitz, Floats]:
    """Return the question, and the weights of the outputs, a row for each objective."""
    question = program.objective.lipschitz if program.objective is not None else None
    if question is None or question.norm is Norm.L2:
        raise QueryError("the SDP bound answers questions of Lipschitz constants in l_inf and l_1", hint="--search mip")
    inputs, outputs = program.network_input()[1].size, program.ops[program.result].size
    directions = 2 * inputs if question.norm is Norm.L1 else 1
    signed = question.output_norm is Norm.L1 and outputs > 1
    if (2.0 ** (outputs - 1) if signed else outputs) * directions > MOST_ROOTS:
        raise QueryError("the question has too many outputs for the SDP bound", hint="--search mip")
    return question, sign_rows(outputs) if signed else np.eye(outputs)
