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
from lipc.ir import Conditional, Floats, Program, evaluate

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
            refuted = self.relaxation.is_refuted()
            self.refuted += refuted
            return not refuted, None
        return True, point[first : self.relaxation.first[self.input + 1]]
