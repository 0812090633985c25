"""States of neurons that no point of the domain has together, and what follows from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.quadratic import FREE

States = NDArray[np.int8]
"""For each bit 0, 1, or `FREE`."""


class Conflicts:
    """A growing set of conflicts over a number of bits."""

    def __init__(self, bits: int) -> None:
        self.count = 0
        self._wanted = np.zeros((2, 64, bits), np.float32)  # for states 0 and 1, which bits a conflict names
        self._sizes = np.zeros(64, np.float32)

    def add(self, bits: NDArray[np.int64], states: States) -> None:
        """Take some bits, and the states that they cannot have together."""
        if self.count == len(self._sizes):
            self._wanted = np.concatenate([self._wanted, np.zeros_like(self._wanted)], axis=1)
            self._sizes = np.concatenate([self._sizes, np.zeros_like(self._sizes)])
        self._wanted[states, self.count, bits] = 1.0
        self._sizes[self.count] = len(bits)
        self.count += 1

    def imply(self, states: States) -> States | None:
        """Return states with those that follow from them; `None` if they are in conflict."""
        states = states.copy()
        wanted, sizes = self._wanted[:, : self.count], self._sizes[: self.count]
        while True:
            met = wanted[0] @ (states == 0).astype(np.float32) + wanted[1] @ (states == 1).astype(np.float32)
            missing = sizes - met
            if (missing == 0).any():
                return None
            # Of a conflict that lacks one bit only, that bit has the other state.
            followed = (wanted[:, missing == 1] * (states == FREE)).any(axis=1)
            if not followed.any():
                return states
            states[followed[1]] = 0
            states[followed[0]] = 1  # where it may have neither, the next round finds the conflict
