"""Which states of neurons are possible somewhere in the domain."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.interval import bits_of, interval_bounds
from lipc.bounds.points import Inside
from lipc.bounds.quadratic import FREE
from lipc.bounds.relaxation import Relaxation
from lipc.bounds.unrolled import Place
from lipc.certify import Conflict
from lipc.ir import Conditional, Floats, Interval, Program, evaluate
from lipc.search.conflicts import Conflicts, States
from lipc.search.shown import Shown

SAMPLES = 2000
"""Points of the domain whose patterns show at once that states are possible."""

SEED = 11


class Possible:
    """Finds points with given states of neurons, or proves by multipliers that there are none.

    Parameters
    ----------
    program
        A network of one input.
    places
        The bits that states are about, in their order.
    deadline
        The time of `time.monotonic` after which nothing is proven any more.

    Attributes
    ----------
    conflicts
        What was refuted so far.
    programs
        The number of linear programs solved.
    """

    def __init__(self, program: Program, places: Sequence[Place], deadline: float) -> None:
        self.program, self.places, self.deadline = program, places, deadline
        self.input, domain = program.network_input()
        self.conditionals = list(program.find(Conditional))
        self.bounds = interval_bounds(program)
        self.relaxation = Relaxation(program, self.bounds)
        self._index = {place: at for at, place in enumerate(places)}
        self.columns = [self.relaxation.first[value] + entry for value, entry in places]
        self.home = [(float(self.relaxation.lower[c]), float(self.relaxation.upper[c])) for c in self.columns]
        self.set = np.full(len(places), FREE, np.int8)
        self.inside = Inside(domain)
        patterns = self.states_at(self.inside.sample(np.random.default_rng(SEED), SAMPLES))
        self.shown = Shown(self.relaxation, np.array(self.columns, np.int64), patterns)
        self.conflicts = Conflicts(len(places))
        self.programs = 0

    def decided(self) -> States:
        """Return the states that bounds alone decide."""
        states = np.full(len(self.places), FREE, np.int8)
        for at, (value, entry) in enumerate(self.places):
            known = bits_of(self.bounds[self.program.ops[value].operands[0]])
            if known.lower[entry] == known.upper[entry]:
                states[at] = int(known.lower[entry])
        return states

    def states_at(self, points: Floats) -> States:
        """Return the states at points of shape ``(k, n)``, as ``(k, bits)``."""
        values = evaluate(self.program, {self.input: points})
        patterns = [values[value] for value in self.conditionals]
        return np.concatenate([np.zeros((len(points), 0)), *patterns], axis=1).astype(np.int8)

    def bits(self, states: States) -> dict[int, NDArray[np.bool_]]:
        """Return states, all of them decided, by conditional."""
        ends = np.cumsum([self.program.ops[value].size for value in self.conditionals])
        return dict(zip(self.conditionals, np.split(states > 0, ends[:-1]), strict=True)) if len(ends) else {}

    def point(self, states: States) -> tuple[bool, Floats | None]:
        """Return whether states may be possible, and a point of the domain where the relaxation has them.

        Returns
        -------
        bool, array or None
            `False` is proven. No point where the solver gave none.
        """
        self.programs += 1
        if not self._set(states):
            return False, None
        point = self.relaxation.any_point(self.deadline - monotonic())
        if point is None:
            multipliers = self.relaxation.refutation()
            if multipliers is not None:
                self._learn(multipliers)
            return multipliers is None, None
        self.shown.add(point)
        return True, self._inputs_of(point)

    def likely_point(self, states: States, lean: Floats) -> Floats | None:
        """Return a point of the domain where the relaxation has some states, and others as they lean.

        Parameters
        ----------
        lean
            Shape ``(bits,)``: how much each bit is to be on, if that is positive, or off.
        """
        self.programs += 1
        if not self._set(states):
            return None
        point = self.relaxation.likely_point(np.array(self.columns, np.int64), -lean, self.deadline - monotonic())
        return None if point is None else self._inputs_of(point)

    def _set(self, states: States) -> bool:
        """Fix states in the relaxation; return whether bounds alone allow them."""
        for at in np.flatnonzero(states != self.set).tolist():
            low, high = self.home[at]
            if states[at] != FREE:
                if not low <= states[at] <= high:
                    return False
                low = high = float(states[at])
            self.relaxation.fix(self.columns[at], low, high)
            self.set[at] = states[at]
        return True

    def _inputs_of(self, point: Floats) -> Floats:
        first = self.relaxation.first
        return np.asarray(point[first[self.input] : first[self.input + 1]])

    def learn(self, conflict: Conflict) -> None:
        """Keep bits that hold together on no open set, so that what is asked about has no gradient there."""
        named = {
            self._index[value, entry]: bit
            for value, (entries, bits) in conflict.bits.items()
            for entry, bit in zip(entries.tolist(), bits.tolist(), strict=True)
        }
        self.conflicts.add(np.array([*named], np.int64), np.array([*named.values()], np.int8))

    def _learn(self, multipliers: Floats) -> None:
        """Keep the states that a refutation needs: they are impossible whatever the others are."""
        fixed = np.flatnonzero(self.set != FREE)
        columns = np.array([self.columns[at] for at in fixed.tolist()], np.int64)
        low, high = (np.array([self.home[at][side] for at in fixed.tolist()]) for side in (0, 1))
        needed = self.relaxation.needed(multipliers, columns, Interval(low, high))
        chosen = fixed[np.isin(columns, needed)]
        if len(chosen):
            self.conflicts.add(chosen, self.set[chosen])
