"""SDP bounds of a Lipschitz question: of the constant itself, and of the entries of the gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipc.bounds.blas import one_thread
from lipc.bounds.quadratic import FREE, Quadratic, restrict
from lipc.bounds.sdp import least_bound
from lipc.bounds.unrolled import Unrolled, unroll
from lipc.errors import QueryError
from lipc.ir import Floats, Interval, Lipschitz, Norm, Program
from lipc.ir.norms import sign_rows

MOST_WORK = 3e8
"""Entries of Newton's matrices over all bounds of a question, times their size: some seconds."""

MOST_OUTPUTS = 1024
"""Objectives: one for each output, or in l_1 for each choice of their signs."""


@dataclass(frozen=True, eq=False)
class LipschitzBounds:
    """What is proven for every point of every domain.

    Parameters
    ----------
    constant
        An upper bound of the Lipschitz constant, and of every ``c' J v``.
    gradient
        Shape ``(n,)``: of the entries of ``c' J`` for every c; `None` where they would cost too much.
    """

    constant: float
    gradient: Interval | None


def lipschitz_bounds(program: Program, *, gradient: bool = True) -> LipschitzBounds | None:
    """Bound a Lipschitz question in l_inf or l_1 by the SDP bound, over all bits: the domain has no part in it.

    Parameters
    ----------
    program
        A network with the question as its objective.
    gradient
        Whether the entries of the gradient are wanted; for l_1 they are bounded in any case.

    Returns
    -------
    LipschitzBounds or None
        `None` for another question, and where the network is too large.
    """
    question = program.objective.lipschitz if program.objective is not None else None
    if question is None or question.norm is Norm.L2 or program.ops[program.result].size > MOST_OUTPUTS:
        return None
    try:
        with one_thread():
            return _bounds(_Bounder(program, question), question.norm, gradient)
    except QueryError:  # too large, bits of its own, or numbers too far apart
        return None


def _bounds(bounder: _Bounder, norm: Norm, gradient: bool) -> LipschitzBounds | None:
    inputs = bounder.unrolled.inputs
    largest = np.inf
    if norm is Norm.LINF:
        if not bounder.affords(1):
            return None
        largest = bounder.largest(np.full(inputs, np.nan))
    entries = None
    if (gradient or norm is Norm.L1) and bounder.affords(2 * inputs):
        high, low = (np.array([bounder.largest(way * unit) for unit in np.eye(inputs)]) for way in (1.0, -1.0))
        entries = Interval(-low, high)
        if norm is Norm.L1:  # the ball is the convex hull of the unit vectors
            largest = float(max(high.max(initial=0.0), low.max(initial=0.0)))
    return LipschitzBounds(largest, entries) if np.isfinite(largest) else None


class _Bounder:
    """The bound of ``c' J v`` for every c of a question, and one v or all of them."""

    def __init__(self, program: Program, question: Lipschitz) -> None:
        self.unrolled: Unrolled = unroll(program)
        outputs = program.ops[program.result].size
        signed = question.output_norm is Norm.L1 and outputs > 1
        if signed and 2 ** (outputs - 1) > MOST_OUTPUTS:
            raise QueryError("the signs of so many outputs are too many")
        weights = sign_rows(outputs) if signed else np.eye(outputs)
        self.objectives, self.slacks = weights @ self.unrolled.outputs, np.abs(weights) @ self.unrolled.slack
        self.states = np.full(len(self.unrolled.places), FREE, np.int8)

    def affords(self, directions: int) -> bool:
        """Return whether so many directions are worth their time."""
        size = self.unrolled.inputs + self.unrolled.switches
        return float(directions * len(self.objectives)) * size**3 <= MOST_WORK

    def largest(self, direction: Floats) -> float:
        """Return a bound for a direction, NaN where it is free."""
        rows = zip(self.objectives, self.slacks.tolist(), strict=True)
        parts = (restrict(self.unrolled, row, slack, direction, self.states) for row, slack in rows)
        return max(map(self._bound, parts), default=0.0)

    def _bound(self, quadratic: Quadratic) -> float:
        bound, _ = least_bound(self.unrolled, quadratic)
        return bound if np.isfinite(bound) else np.inf
