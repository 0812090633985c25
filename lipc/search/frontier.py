"""The open nodes of the branch and bound: the one with the largest bound first."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count

import numpy as np

from lipc.search.nodes import Node

MOST_OPEN = 500_000
"""Open nodes from which on the search goes deep first."""


class Frontier:
    """The open nodes, ordered."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Node]] = []
        self._deep: list[Node] = []  # first of all, the last one first
        self._order = count()

    def __len__(self) -> int:
        return len(self._heap) + len(self._deep)

    @property
    def nodes(self) -> list[Node]:
        """All of them."""
        return [*(node for _, _, node in self._heap), *self._deep]

    @property
    def bound(self) -> float:
        """The largest of their bounds."""
        deep = max((node.bound for node in self._deep), default=-np.inf)
        return max(deep, -self._heap[0][0] if self._heap else -np.inf)

    @property
    def next(self) -> Node:
        """The node that `pop` takes away: an interrupt may come between the two, and no node is to be lost."""
        return self._deep[-1] if self._deep else self._heap[0][2]

    def pop(self) -> None:
        """Take the next node away."""
        if self._deep:
            self._deep.pop()
        else:
            heappop(self._heap)

    def push(self, node: Node) -> None:
        """Take a node in."""
        if len(self._heap) < MOST_OPEN:
            heappush(self._heap, (-node.bound, next(self._order), node))
        else:
            self._deep.append(node)

    def discard(self, nodes: set[Node]) -> None:
        """Forget nodes."""
        self._heap = [each for each in self._heap if each[2] not in nodes]
        heapify(self._heap)
        self._deep = [each for each in self._deep if each not in nodes]
