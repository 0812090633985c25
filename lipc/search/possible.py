"""Which states of neurons are possible somewhere in the domain."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.interval import bits_of, interval_bounds
from lipc.bounds.points import sample
from lipc.bounds.relaxation import Relaxation
from lipc.bounds.sdp import FREE
from lipc.bounds.unrolled import Place
from lipc.ir import Conditional, Floats, Interval, Program, evaluate

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
    programs, refuted
        Linear programs solved, and those that proved that there is no point.
    """

    def __init__(self, program: Program, places: Sequence[Place], deadline: float) -> None:
        self.program, self.places, self.deadline = program, places, deadline
        self.input, domain = program.network_input()
        self.conditionals = list(program.find(Conditional))
        self.bounds = interval_bounds(program)
        self.relaxation = Relaxation(program, self.bounds)
        self.columns = [self.relaxation.first[value] + entry for value, entry in places]
        self.home = [(float(self.relaxation.lower[c]), float(self.relaxation.upper[c])) for c in self.columns]
        self.set = np.full(len(places), FREE, np.int8)
        self.points = sample(domain, np.random.default_rng(SEED), SAMPLES)
        self.patterns = self.states_at(self.points)
        self.conflicts = Conflicts(len(places))
        self.programs = self.refuted = 0

    def decided(self) -> NDArray[np.int8]:
        """Return the states that bounds alone decide."""
        states = np.full(len(self.places), FREE, np.int8)
        for at, (value, entry) in enumerate(self.places):
            known = bits_of(self.bounds[self.program.ops[value].operands[0]])
            if known.lower[entry] == known.upper[entry]:
                states[at] = int(known.lower[entry])
        return states

    def states_at(self, points: Floats) -> NDArray[np.int8]:
        """Return the states at points of shape ``(k, n)``, as ``(k, bits)``."""
        values = evaluate(self.program, {self.input: points})
        patterns = [values[value] for value in self.conditionals]
        return np.concatenate([np.zeros((len(points), 0)), *patterns], axis=1).astype(np.int8)

    def sampled(self, states: NDArray[np.int8]) -> bool:
        """Return whether a sampled point has these states."""
        known = np.flatnonzero(states != FREE)
        return bool((self.patterns[:, known] == states[known]).all(axis=1).any())

    def point(self, states: NDArray[np.int8]) -> tuple[bool, Floats | None]:
        """Return whether states may be possible, and a point of the domain where the relaxation has them.

        Returns
        -------
        bool, array or None
            `False` is proven. No point where the solver gave none.
        """
        self.programs += 1
        for at in np.flatnonzero(states != self.set).tolist():
            low, high = self.home[at]
            if states[at] != FREE:
                if not low <= states[at] <= high:
                    return False, None
                low = high = float(states[at])
            self.relaxation.fix(self.columns[at], low, high)
            self.set[at] = states[at]
        first = self.relaxation.first[self.input]
        point = self.relaxation.any_point(self.deadline - monotonic())
        if point is None:
            multipliers = self.relaxation.refutation()
            if multipliers is not None:
                self.refuted += 1
                self._learn(multipliers)
            return multipliers is None, None
        return True, point[first : self.relaxation.first[self.input + 1]]

    def _learn(self, multipliers: Floats) -> None:
        """Keep the states that a refutation needs: they are impossible whatever the others are."""
        fixed = np.flatnonzero(self.set != FREE)
        columns = np.array([self.columns[at] for at in fixed.tolist()], np.int64)
        low, high = (np.array([self.home[at][side] for at in fixed.tolist()]) for side in (0, 1))
        needed = self.relaxation.needed(multipliers, columns, Interval(low, high))
        chosen = fixed[np.isin(columns, needed)]
        if len(chosen):
            self.conflicts.add(chosen, self.set[chosen])


class Conflicts:
    """States of neurons that are impossible together."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.count = 0
        self.wanted = np.zeros((2, 64, bits), np.float32)
        self.sizes = np.zeros(64, np.float32)

    def add(self, bits: NDArray[np.int64], states: NDArray[np.int8]) -> None:
        """Keep some bits and their states."""
        if self.count == len(self.sizes):
            self.wanted = np.concatenate([self.wanted, np.zeros_like(self.wanted)], axis=1)
            self.sizes = np.concatenate([self.sizes, np.zeros_like(self.sizes)])
        self.wanted[states, self.count, bits] = 1.0
        self.sizes[self.count] = len(bits)
        self.count += 1

    def imply(self, states: NDArray[np.int8]) -> NDArray[np.int8] | None:
        """Return states with those that the others imply; `None` if they are impossible together."""
        states = states.copy()
        wanted, sizes = self.wanted[:, : self.count], self.sizes[: self.count]
        while True:
            missing = sizes - wanted[0] @ (states == 0).astype(np.float32) - wanted[1] @ (states == 1).astype(np.float32)
            if (missing == 0).any():
                return None
            near = np.flatnonzero(missing == 1)
            free = states == FREE
            implied = (wanted[:, near] * free).any(axis=1)  # the bits of the one that is missing, if it is free
            if not implied.any():
                return states
            states[implied[0]] = 1
            # Where a bit may be neither, the next round finds the conflict.
            states[implied[1] & ~implied[0]] = 0
