"""States of neurons that no point of the domain has together, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.quadratic import FREE

States = NDArray[np.int8]
"""For each bit 0, 1, or `FREE`."""

WORD = 64

Words = NDArray[np.uint64]


def packed(off: NDArray[np.bool_], on: NDArray[np.bool_]) -> Words:
    """Return two masks of shape ``(k, bits)``, side by side, in words of 64 bits, shape ``(words, k)``."""
    bits = off.shape[1]
    flags = np.zeros((len(off), words_of(bits) * WORD), np.bool_)
    flags[:, :bits], flags[:, bits : 2 * bits] = off, on
    return np.packbits(flags, axis=1).view(np.uint64).T


def words_of(bits: int) -> int:
    """Return how many words two masks take."""
    return max(-(-2 * bits // WORD), 1)


def lacking(wanted: Words, count: int, had: Words) -> Words | None:
    """Return the flags that conflicts lack which lack only one; `None` if some conflict lacks none.

    Parameters
    ----------
    wanted
        Shape ``(words, k)``: the flags of conflicts, of which the first `count` matter.
    had
        Shape ``(words,)``: the flags that are set.
    """
    missing = wanted[:, :count] & ~had[:, None]
    lacks = missing != 0
    words = lacks.sum(axis=0)
    if not words.all():
        return None
    one = (words == 1) & ((missing & (missing - lacks)) == 0).all(axis=0)
    result: Words = np.bitwise_or.reduce(missing[:, one], axis=1)
    return result


class Conflicts:
    """A growing set of conflicts over a number of bits.

    Attributes
    ----------
    lacking
        The function of that name, or compiled code that does the same.
    """

    def __init__(self, bits: int) -> None:
        self.count = 0
        self.lacking: Callable[[Words, int, Words], Words | None] = lacking
        self._bits = bits
        self._wanted = np.zeros((words_of(bits), 64), np.uint64)  # the states that a conflict names

    def add(self, bits: NDArray[np.int64], states: States) -> None:
        """Take some bits, and the states that they cannot have together."""
        if self.count == self._wanted.shape[1]:
            self._wanted = np.concatenate([self._wanted, np.zeros_like(self._wanted)], axis=1)
        named = np.full((1, self._bits), FREE, np.int8)
        named[0, bits] = states
        self._wanted[:, self.count] = packed(named == 0, named == 1)[:, 0]
        self.count += 1

    def imply(self, states: States) -> States | None:
        """Return states with those that follow from them; `None` if they are in conflict."""
        states = states.copy()
        while True:
            had = packed((states == 0)[None], (states == 1)[None])[:, 0]
            last = self.lacking(self._wanted, self.count, had)
            if last is None:
                return None
            if not last.any():
                return states
            # Of a conflict that lacks one bit only, that bit has the other state.
            follows = self._unpacked(last) & (states == FREE)
            if not follows.any():
                return states
            states[follows[1]] = 0
            states[follows[0]] = 1  # where it may have neither, the next round finds the conflict

    def _unpacked(self, words: Words) -> NDArray[np.bool_]:
        """Return two masks as an array of shape ``(2, bits)``."""
        flags = np.unpackbits(words.view(np.uint8))[: 2 * self._bits]
        return flags.reshape(2, self._bits) > 0
