"""How a pair closed over time."""

from __future__ import annotations

from typing import NamedTuple

MOST_MOMENTS = 200
"""Kept of a run."""


class Moment(NamedTuple):
    """The pair after so many seconds and nodes."""

    seconds: float
    lower: float
    upper: float
    nodes: int


class History:
    """The moments at which a pair changed; of many, a part, spread over the changes.

    Attributes
    ----------
    moments
        At most twice `MOST_MOMENTS`; the first and the last change are among them.
    """

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self._last: Moment | None = None
        self._changes, self._every = 0, 1

    def add(self, moment: Moment) -> None:
        """Take what is known now."""
        last, self._last = self._last, moment
        if last is not None and (last.lower, last.upper) == (moment.lower, moment.upper):
            return
        if self._changes % self._every == 0:
            self.moments.append(moment)
        self._changes += 1
        if len(self.moments) == 2 * MOST_MOMENTS:
            del self.moments[1::2]
            self._every *= 2

    def thinned(self) -> tuple[Moment, ...]:
        """Return at most `MOST_MOMENTS` of them, the first and the last of all included."""
        moments = [*self.moments]
        if self._last is not None and moments[-1] != self._last:
            moments.append(self._last)
        if len(moments) <= MOST_MOMENTS:
            return tuple(moments)
        last = len(moments) - 1
        return tuple(moments[round(place * last / (MOST_MOMENTS - 1))] for place in range(MOST_MOMENTS))
