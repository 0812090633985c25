"""Bound tightening over the whole relaxation, for every entry where a bit or a big-M can still change.

Optimality-based bound tightening (for networks: Tjeng, Xiao & Tedrake 2019), here for the values of the Jacobian, too:
by a linear program for each bound, or by a small branch and bound over bits. Each bound is proven from multipliers
(`lipc.bounds.relaxation`), and so is each node of a tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from time import monotonic
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.extremes import ExtremeSearch
from lipc.bounds.interval import bits_of, intersect, interval_bounds, interval_of, is_relu
from lipc.bounds.nodes import BitNodes
from lipc.bounds.relaxation import Relaxation
from lipc.errors import QueryError
from lipc.ir import (
    Affine,
    Choices,
    Conditional,
    Floats,
    Input,
    Interval,
    Kind,
    Polytope,
    Program,
    Sense,
    Switch,
    evaluate,
)
from lipc.passes.base import Pass, PassResult, kept_whole
from lipc.passes.validate import draw

Values = Literal["network", "jacobian", "all"]
Method = Literal["lp", "mip"]
Goal = Literal["bits", "ranges"]

ATTAINED = 1e-6
"""A point this near a bound, relative to its width, shows that the bound cannot be tightened."""

SAMPLES = 256
"""Points of the program that are tried before any tree: a bit that is both 0 and 1 among them is not looked into."""

SEED = 29

THICKNESS = 1e-6
"""Under a cutoff trees leave so much room, relative to the width before: solvers call a thinner sliver empty."""


@dataclass(frozen=True)
class Tighten(Pass):
    """Tighten bounds by linear programs over the whole relaxation, or by trees of them, each proven by its multipliers.

    Parameters
    ----------
    values
        ``network``: the pre-activations. ``jacobian``: the gradient, and the other operands of switches. ``all``: both.
    seconds
        A budget; what it does not reach keeps its bounds. Where it ends depends on the machine.
    cutoff
        The new bounds need hold only where the objective is at least this for a maximum, at most this for a minimum.
        Infinite: everywhere.
    method
        ``lp``: a linear program for each bound. ``mip``: a branch and bound over the bits that the value depends on,
        every tree as far as `nodes` allows.
    goal
        Of trees: ``bits`` decides bits, and stops where one is known to be taken; ``ranges`` goes on until the bound is
        attained, for every bound that ``lp`` would tighten.
    nodes
        Linear programs in one tree, at most.
    work
        Linear programs in all, at most: a budget that depends on no machine, with infinite `seconds`.
    """

    name: ClassVar[str] = "tighten"
    exact: ClassVar[bool] = True
    values: Values = "all"
    seconds: float = 10.0
    cutoff: float = float("-inf")
    method: Method = "lp"
    goal: Goal = "bits"
    nodes: float = 100
    work: float = float("inf")

    def __post_init__(self) -> None:
        for amount, what in ((self.seconds, "seconds"), (self.nodes, "nodes"), (self.work, "linear programs")):
            if not amount >= 0:
                raise QueryError(f"the pass tighten cannot take {amount} {what}", hint="0, or more")

    def apply(self, program: Program) -> PassResult:
        """Return the same operations with tighter bounds.

        Raises
        ------
        InternalError
            If bounds contradict each other although there is no cutoff.
        """
        sweep = _Sweep(program, self)
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
        has_bits = any(isinstance(op, Conditional) for op in users)
        if self.values == ("jacobian" if has_bits and not _is_gradient(program, value) else "network"):
            return np.flatnonzero(wanted)
        if self.method == "mip" and self.goal == "bits":
            bits = bits_of(known)
            return np.flatnonzero(has_bits & (bits.lower < bits.upper))
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


def _is_gradient(program: Program, value: int) -> bool:
    """Return whether a value stands behind the chain rule: a switch over the bits of another value."""
    behind = _behind(program, value)
    return any(isinstance(op, Switch) and not is_relu(program, op) for op in map(program.ops.__getitem__, behind))


def _behind(program: Program, value: int) -> set[int]:
    """Return the values that a value depends on, and itself."""
    behind = {value}
    for earlier in range(value, -1, -1):
        if earlier in behind:
            behind.update(program.ops[earlier].operands)
    return behind


class _Seen:
    """The smallest and the largest values at points of the program: no proof, but a hint where tightening must end."""

    def __init__(self, program: Program, cutoff: float) -> None:
        self.cutoff = cutoff
        self.lower: list[Floats] = [np.full(op.size, np.inf) for op in program.ops]
        self.upper: list[Floats] = [np.full(op.size, -np.inf) for op in program.ops]
        drawn = draw(program, np.random.default_rng(SEED), SAMPLES)
        if drawn:
            self._take(program, drawn)

    def largest(self, value: int, entry: int, direction: int) -> float:
        """Return the largest value seen of ``direction`` times an entry."""
        return float(self.upper[value][entry] if direction > 0 else -self.lower[value][entry])

    def add(self, relaxation: Relaxation, point: Floats) -> None:
        """Take the inputs of a point of the relaxation: what the program makes of them is a point of the program."""
        inputs, first = {}, relaxation.first
        for value, op in enumerate(relaxation.program.ops):
            if not isinstance(op, Input):
                continue
            entries = point[first[value] : first[value + 1]]
            inputs[value] = op.domain.clip(np.round(entries) if op.kind is Kind.BIT else entries)
            if op.kind is Kind.BIT and not _keeps_rows(op.domain, inputs[value]):
                return
        self._take(relaxation.program, inputs)

    def _take(self, program: Program, inputs: Choices) -> None:
        values = evaluate(program, inputs)
        objective = program.objective
        if np.isfinite(self.cutoff) and objective is not None:
            sign = 1.0 if objective.sense is Sense.MAXIMIZE else -1.0
            reached = sign * values[program.result][:, 0] >= sign * self.cutoff
            if not reached.any():
                return
            values = [entries[reached] for entries in values]
        for value, entries in enumerate(values):
            self.lower[value] = np.minimum(self.lower[value], entries.min(axis=0))
            self.upper[value] = np.maximum(self.upper[value], entries.max(axis=0))


def _keeps_rows(domain: Polytope, bits: Floats) -> bool:
    sums = domain.rows @ bits
    return bool(((sums >= domain.row_lower) & (sums <= domain.row_upper)).all())


class _Sweep:
    """Goes through the values once, from the input on; what became tighter is passed on by intervals."""

    def __init__(self, program: Program, options: Tighten) -> None:
        self.program, self.options = program, options
        self.deadline, self.work = monotonic() + options.seconds, options.work
        self.bounds = interval_bounds(program)
        self.relaxation = Relaxation(program, self.bounds)
        if np.isfinite(options.cutoff):
            self._cut(options.cutoff)
        self.seen = _Seen(program, options.cutoff) if options.method == "mip" else None

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
        if not len(wanted):
            return
        new = self._by_programs(value, wanted) if self.seen is None else self._by_trees(value, wanted, self.seen)
        # A cutoff that nothing reaches makes bounds cross: then any of them is right.
        self._take(value, Interval(np.minimum(new.lower, new.upper), np.maximum(new.lower, new.upper)))

    def _is_over(self) -> bool:
        return monotonic() > self.deadline or self.work < 1

    def _by_programs(self, value: int, wanted: NDArray[np.int64]) -> Interval:
        """Return what a linear program for each bound proves; the bounds may cross."""
        known = self.bounds[value]
        new = {1: known.lower.copy(), -1: known.upper.copy()}
        attained = {1: np.zeros(len(known.lower), bool), -1: np.zeros(len(known.lower), bool)}
        place = self.relaxation.first[value]
        margin = ATTAINED * (known.upper - known.lower)
        for entry in wanted.tolist():
            for sign in (1, -1):
                if attained[sign][entry] or self._is_over():
                    continue
                self.work -= 1
                new[sign][entry], point = self.relaxation.extreme(value, entry, sign, self.deadline - monotonic())
                if point is not None:
                    found = point[place : place + len(margin)]
                    attained[1] |= found <= known.lower + margin
                    attained[-1] |= found >= known.upper - margin
        return Interval(new[1], new[-1])

    def _by_trees(self, value: int, wanted: NDArray[np.int64], seen: _Seen) -> Interval:
        """Return what a tree for each bound proves; the bounds may cross."""
        sign_only = self.options.goal == "bits"
        known = self.bounds[value]
        new = {-1: known.lower.copy(), 1: known.upper.copy()}

        def is_open(entry: int, direction: int) -> bool:
            return not sign_only or seen.largest(value, entry, direction) <= 0

        places = [each for each in product(wanted.tolist(), (-1, 1)) if is_open(*each)]
        if not places or self._is_over():
            return known
        nodes = self._nodes_for(value)
        for entry, direction in places:
            if self._is_over() or not is_open(entry, direction):  # a tree before may have seen it taken
                continue
            attained = partial(seen.largest, value, entry, direction)
            on_point = partial(seen.add, nodes.relaxation)
            search = ExtremeSearch(nodes, (value, entry, direction), attained, on_point, sign_only=sign_only)
            new[direction][entry] = direction * self._proven(search)
        return Interval(new[-1], new[1])

    def _proven(self, search: ExtremeSearch) -> float:
        """Return what a search proves within the budgets, in the sense of its maximum."""
        before = search.nodes.count
        found = search.run(lambda: self.deadline - monotonic(), min(self.options.nodes, self.work))
        self.work -= search.nodes.count - before
        # Where nothing reaches the cutoff nothing is left, and that is minus infinity.
        found = max(found, search.known - search.width)
        if np.isfinite(self.options.cutoff) and found > 0:
            found = min(search.known, found + THICKNESS * search.width)
        return found

    def _nodes_for(self, value: int) -> BitNodes:
        """Return the relaxation to branch on for a value, and the bits that it depends on; under a cutoff all do."""
        relaxation, behind = self.relaxation, list(range(len(self.program.ops)))
        if not np.isfinite(self.options.cutoff):
            # What comes later holds for any choice of what is before: without it the programs are a fraction as large.
            start = Program(self.program.ops[: value + 1], value, None, self.program.bounds)
            relaxation, behind = Relaxation(start, self.bounds), sorted(_behind(self.program, value))
        return BitNodes(relaxation, [each for each in behind if self.program.ops[each].kind is Kind.BIT])

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
