"""The bound of one entry by a small branch and bound over bits: proven whenever it stops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lipc.bounds.nodes import BitNodes, Fixed, Tree, split
from lipc.ir import Floats

REACHED = 1e-7
"""A bound this near to what is attained, relative to the width of the bounds, is not looked into further."""


class ExtremeSearch:
    """The search for the largest value of ``direction`` times one entry. Values are in the sense of that maximum.

    Parameters
    ----------
    nodes
        The relaxation, with the bits to branch on.
    place
        Value, entry and direction.
    attained
        Returns a value that is attained: after each node anew, for `on_point` may have found a larger one. An error in
        it costs tightness and nothing else.
    on_point
        Takes what the relaxation of a node proposes.
    sign_only
        Look no further than whether the entry can be positive.
    """

    def __init__(
        self,
        nodes: BitNodes,
        place: tuple[int, int, int],
        attained: Callable[[], float],
        on_point: Callable[[Floats], None],
        *,
        sign_only: bool,
    ) -> None:
        self.nodes, self.attained, self.on_point, self.sign_only = nodes, attained, on_point, sign_only
        self.value, self.entry, self.direction = place
        bounds = nodes.relaxation.bounds_of(self.value)
        self.known = float(bounds.upper[self.entry] if self.direction > 0 else -bounds.lower[self.entry])
        self.width = float(bounds.upper[self.entry] - bounds.lower[self.entry])
        self.closed = -np.inf
        self.seconds: Callable[[], float] = lambda: np.inf
        self.tree = Tree(self._branch)

    @property
    def bound(self) -> float:
        """The least upper bound that is proven."""
        return min(self.known, max(self.closed, self.tree.bound))

    @property
    def is_settled(self) -> bool:
        """Whether nothing that is asked for can change any more."""
        if self.sign_only and max(self.closed, self.attained()) > 0:
            return True  # The sign is taken, or as good as: a pattern is left whose bound cannot be lowered.
        return self.tree.bound <= self._enough

    @property
    def _enough(self) -> float:
        """What a node need not go below."""
        return 0.0 if self.sign_only else max(self.closed, self.attained() + REACHED * self.width)

    def run(self, seconds: Callable[[], float], most_nodes: float) -> float:
        """Search until it is settled, or the seconds that are left or the nodes are used up; return the bound."""
        self.seconds = seconds
        last = self.nodes.count + most_nodes

        def is_over() -> bool:
            return self.is_settled or self.nodes.count >= last or seconds() <= 0

        try:
            while not is_over():
                self.tree.plunge(is_over)
        finally:
            self.nodes.release()
        return self.bound

    def _branch(self, fixed: Fixed) -> tuple[list[Fixed], float]:
        """Bound a node; return what it splits into, and the bound."""
        bound, point = self.nodes.bound(fixed, self.value, self.entry, self.direction, self.seconds())
        bound = min(bound, self.known)
        if point is not None:
            self.on_point(point)
        children: list[Fixed] = []
        if bound > self._enough:
            free = self.nodes.free(fixed)
            if point is not None:
                chosen = self.nodes.undecided(free, point)
                children = split(fixed, chosen, point[chosen]) if chosen is not None else []
            elif free:  # The solver failed, and nothing is proven: any split will do.
                children = split(fixed, free[0], 0.5)
        if not children:
            self.closed = max(self.closed, bound)
        return children, bound
