"""What decisions have brought so far: pseudo-costs (Benichou et al. 1971), per unit of a constraint's violation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipc.ir import Floats

RELIABLE = 4
"""Decisions on each side after which a place is known (Achterberg, Koch & Martin, Branching rules revisited, 2005)."""

TINY = 1e-12
"""A violation as small as this is none."""


@dataclass(frozen=True)
class Decision:
    """What a node was split off by.

    Parameters
    ----------
    place
        Of what was decided: a bit, or behind all bits an input.
    state
        1 for on, or a sign of 1; else 0.
    bound, violation
        The bound of the node before, and the violation that was to go.
    """

    place: int
    state: int
    bound: float
    violation: float


class PseudoCosts:
    """Averages over decisions, of bits and of signs each for themselves.

    Parameters
    ----------
    bits, signs
        How many there are.
    """

    def __init__(self, bits: int, signs: int) -> None:
        self._parts = slice(0, bits), slice(bits, None)
        self._sums, self._counts = np.zeros((2, bits + signs)), np.zeros((2, bits + signs))

    def record(self, decision: Decision, bound: float) -> None:
        """Take the bound that came of a decision."""
        gain = max(decision.bound - bound, 0.0)
        self._sums[decision.state, decision.place] += gain / max(decision.violation, TINY)
        self._counts[decision.state, decision.place] += 1

    def expected(self, state: int, places: NDArray[np.int64], violations: Floats) -> Floats:
        """Return the gains to expect; what was decided seldom counts as the average of all like it."""
        rates = np.empty(self._sums.shape[1])
        for part in self._parts:
            sums, counts = self._sums[state, part], self._counts[state, part]
            average = sums.sum() / counts.sum() if counts.any() else 1.0
            rates[part] = (sums + average) / (counts + 1)
        return np.asarray(rates[places] * violations)

    def is_reliable(self, place: int) -> bool:
        """Return whether both sides of a place were decided often enough to go by what that brought."""
        return bool(self._counts[:, place].min() >= RELIABLE)
