"""Bound tightening: linear programs over the whole relaxation, for every entry where a bit or a big-M can still change.

Optimality-based bound tightening (for networks: Tjeng, Xiao & Tedrake 2019), here for the values of the Jacobian, too.
Each bound is proven from multipliers (`lipc.bounds.relaxation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.interval import bits_of, intersect, interval_bounds, interval_of
from lipc.bounds.relaxation import Relaxation
from lipc.errors import QueryError
from lipc.ir import Affine, Conditional, Input, Interval, Program, Sense, Switch
from lipc.passes.base import Pass, PassResult, kept_whole

Values = Literal["network", "jacobian", "all"]

ATTAINED = 1e-6
"""A point this near a bound, relative to its width, shows that the bound cannot be tightened."""


@dataclass(frozen=True)
class Tighten(Pass):
    """Tighten bounds by linear programs over the whole relaxation, each proven by its multipliers.

    Parameters
    ----------
    values
        ``network``: the pre-activations. ``jacobian``: the other operands of switches. ``all``: both.
    seconds
        A budget; what it does not reach keeps its bounds.
    cutoff
        The new bounds need hold only where the objective is at least this for a maximum, at most this for a minimum.
        Infinite: everywhere.
    """

    name: ClassVar[str] = "tighten"
    exact: ClassVar[bool] = True
    values: Values = "all"
    seconds: float = 10.0
    cutoff: float = float("-inf")

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise QueryError(f"the pass tighten cannot take {self.seconds} seconds", hint="0, or more")

    def apply(self, program: Program) -> PassResult:
        """Return the same operations with tighter bounds.

        Raises
        ------
        InternalError
            If bounds contradict each other although there is no cutoff.
        """
        sweep = _Sweep(program, self.cutoff, monotonic() + self.seconds)
        for value in range(len(program.ops)):
            sweep.tighten(value, self._wanted(program, sweep.bounds, value))
        return PassResult(program.with_bounds(sweep.bounds), kept_whole(program))

    def _wanted(self, program: Program, bounds: dict[int, Interval], value: int) -> NDArray[np.int64]:
        """Return the entries of a value whose bounds decide a bit, are a big-M, or are the objective's."""
        wanted = np.zeros(program.ops[value].size, bool)
        if not np.isfinite(self.cutoff) and _is_exact(program, value):
            return np.flatnonzero(wanted)
        known = bounds[value]
        users = [op for op in program.ops if isinstance(op, Conditional | Switch) and op.operand == value]
        pre_activation = any(isinstance(op, Conditional) for op in users)
        if self.values == ("jacobian" if pre_activation else "network"):
            return np.flatnonzero(wanted)
        for op in users:
            bits = bounds[op.bit] if isinstance(op, Switch) else bits_of(known)
            wanted |= bits.lower < bits.upper
        if value == program.result and program.objective is not None and program.objective.lipschitz is None:
            wanted[:] = True
        return np.flatnonzero(wanted & (known.lower < known.upper))


def _is_exact(program: Program, value: int) -> bool:
    """Return whether intervals cannot be beaten: an input in a box, or a linear function of one."""
    op = program.ops[value]
    read = [program.ops[operand] for operand in op.operands] if isinstance(op, Affine) else [op]
    return len(read) <= 1 and all(isinstance(each, Input) and each.domain.is_box for each in read)


class _Sweep:
    """Goes through the values once, from the input on; what became tighter is passed on by intervals."""

    def __init__(self, program: Program, cutoff: float, deadline: float) -> None:
        self.program, self.deadline = program, deadline
        self.bounds = interval_bounds(program)
        self.relaxation = Relaxation(program, self.bounds)
        if np.isfinite(cutoff):
            self._cut(cutoff)

    def _cut(self, cutoff: float) -> None:
        """Bound the result by what is to be reached, unless no point reaches it."""
        known, objective = self.bounds[self.program.result], self.program.objective
        if objective is None or objective.lipschitz is not None:
            raise QueryError(
                "tighten: a cutoff needs an objective that is one value", hint="run the pass jacobian first"
            )
        if known.lower[0] <= cutoff <= known.upper[0]:
            side = np.array([cutoff])
            maximize = objective.sense is Sense.MAXIMIZE
            self._take(self.program.result, Interval(side, known.upper) if maximize else Interval(known.lower, side))

    def tighten(self, value: int, wanted: NDArray[np.int64]) -> None:
        """Minimize and maximize the wanted entries of a value, and take what is proven."""
        known = self.bounds[value]
        new = {1: known.lower.copy(), -1: known.upper.copy()}
        attained = {1: np.zeros(len(known.lower), bool), -1: np.zeros(len(known.lower), bool)}
        place = self.relaxation.first[value]
        margin = ATTAINED * (known.upper - known.lower)
        for entry in wanted.tolist():
            for sign in (1, -1):
                if attained[sign][entry] or monotonic() > self.deadline:
                    continue
                new[sign][entry], point = self.relaxation.extreme(value, entry, sign, self.deadline - monotonic())
                if point is not None:
                    found = point[place : place + len(margin)]
                    attained[1] |= found <= known.lower + margin
                    attained[-1] |= found >= known.upper - margin
        # A cutoff that nothing reaches makes bounds cross: then any of them is right.
        self._take(value, Interval(np.minimum(new[1], new[-1]), np.maximum(new[1], new[-1])))

    def _take(self, value: int, new: Interval) -> None:
        """Take the bounds of a value and what intervals make of them further on."""
        self.bounds[value] = new
        self.relaxation.tighten(value, new)
        for later in range(value + 1, len(self.program.ops)):
            old = self.bounds[later]
            tighter = intersect(interval_of(self.program, later, self.bounds), old)
            if (tighter.lower <= tighter.upper).all() and self._differ(tighter, old):
                self.bounds[later] = tighter
                self.relaxation.tighten(later, tighter)

    @staticmethod
    def _differ(left: Interval, right: Interval) -> bool:
        return bool((left.lower != right.lower).any() or (left.upper != right.upper).any())
