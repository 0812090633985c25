"""The program of one part of a question: what is decided in it tightens all other bounds, and so its big-Ms.

The part is bounded by linear programs over its whole relaxation (the pass `tighten`), for values above what is attained
already. Where the relaxation holds nothing above that any more, the part is no part: each bound is proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lipc.bounds.interval import interval_bounds
from lipc.bounds.relaxation import Relaxation
from lipc.compiler import Compiled
from lipc.ir import Conditional, Floats, Interval, Program
from lipc.mip import MixedIntegerProgram, Role
from lipc.passes.tighten import Tighten

BELOW_ATTAINED = 1e-7
"""Bounds are tightened for values down to this part below what is attained: passes round coefficients."""


@dataclass(frozen=True, eq=False)
class Narrowed:
    """The program of a part, with the columns of the whole, and a proven upper bound of its optimum."""

    program: MixedIntegerProgram
    bound: float


def narrow(
    compiled: Compiled, lower: Floats, upper: Floats, cutoff: float, work: float, seconds: float
) -> Narrowed | None:
    """Return the program of a part of a maximization.

    Parameters
    ----------
    lower, upper
        Bounds of the columns of `compiled.mip`, of which those of bits and inputs count: as they are, or both
        the same side.
    cutoff
        The part is of interest for values of at least this; minus infinity: for all.
    work, seconds
        Linear programs, and a time: what they do not do for keeps its bounds.

    Returns
    -------
    Narrowed or None
        `None` if the part is proven to hold nothing that is at least the cutoff.
    """
    whole = interval_bounds(compiled.program)
    bounds = _bounds_within(compiled, whole, lower, upper)
    program = compiled.program.with_bounds(bounds)
    if _bound(program, cutoff) is None:
        return None
    tight = Tighten("all", seconds, cutoff, work=work).apply(program).program
    bound = _bound(tight, cutoff)
    if bound is None:
        return None
    stated = _with_states(tight, whole)
    if _is_contradictory(interval_bounds(stated)):
        # A neuron that is off where it cannot be negative, so at 0: bounds take it for on. Rows of the whole do not.
        return Narrowed(replace(compiled.mip, column_lower=lower, column_upper=upper), bound)
    return Narrowed(_with_decisions(compiled.lowered(stated), compiled.mip, lower, upper), bound)


def _bounds_within(
    compiled: Compiled, whole: Mapping[int, Interval], lower: Floats, upper: Floats
) -> dict[int, Interval]:
    """Return bounds of the values of the program from those of its columns."""
    bounds, mip = dict(whole), compiled.mip
    for block in mip.columns:
        if block.role not in (Role.BIT, Role.INPUT):
            continue
        known, here = bounds[block.value], block.columns
        high = (lower[here] == upper[here]) & (upper[here] == mip.column_upper[here])
        low = (lower[here] == upper[here]) & ~high
        low_end, high_end = np.where(high, known.upper, known.lower), np.where(low, known.lower, known.upper)
        bounds[block.value] = Interval(low_end, high_end)
        op = compiled.program.ops[block.value]
        if isinstance(op, Conditional):
            read = bounds[op.operand]
            on, off = low_end == 1, high_end == 0
            bounds[op.operand] = Interval(
                np.where(on, np.maximum(read.lower, 0.0), read.lower),
                np.where(off, np.minimum(read.upper, 0.0), read.upper),
            )
    return bounds


def _bound(program: Program, cutoff: float) -> float | None:
    """Return a proven upper bound of the objective; `None` if nothing is left that is at least the cutoff."""
    bounds = interval_bounds(program)
    known = bounds[program.result]
    bounds[program.result] = Interval(np.maximum(known.lower, cutoff), known.upper)
    if _is_contradictory(bounds):
        return None
    relaxation = Relaxation(program, bounds)
    bound, point = relaxation.extreme(program.result, 0, -1)
    return None if point is None and relaxation.is_refuted() else bound


def _is_contradictory(bounds: Mapping[int, Interval]) -> bool:
    return any((each.lower > each.upper).any() for each in bounds.values())


def _with_states(program: Program, whole: Mapping[int, Interval]) -> Program:
    """Return a program whose bits are decided as in the part, and whose rows say what that means.

    A neuron that bounds decide has no row that holds it on its side of 0: of the whole domain that is known, here it is
    asked for. So these neurons have their wide bounds again, and it is the bits that are bounded.
    """
    bounds = interval_bounds(program)
    for value in program.find(Conditional):
        bits, operand = bounds[value], program.ops[value].operands[0]
        known, wide = bounds[operand], whole[operand]
        low = np.where(bits.lower == 1, wide.lower, known.lower)
        high = np.where(bits.upper == 0, wide.upper, known.upper)
        bounds[operand] = Interval(low, high)
    return program.with_bounds(bounds)


def _with_decisions(
    program: MixedIntegerProgram, whole: MixedIntegerProgram, lower: Floats, upper: Floats
) -> MixedIntegerProgram:
    """Return a program with what is decided as bounds of its columns, which have the units of the whole."""
    low, high = program.column_lower.copy(), program.column_upper.copy()
    decided = np.flatnonzero((lower == upper) & (whole.column_lower < whole.column_upper))
    low[decided], high[decided] = lower[decided], upper[decided]
    return replace(program, column_lower=low, column_upper=high)
