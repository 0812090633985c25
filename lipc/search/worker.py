"""What a process of the search does: some nodes of a program at a time, and what is left of them goes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from lipc.ir import Floats, Program
from lipc.search.branching import BranchAndBound
from lipc.search.nodes import Node

MOST_POINTS = 4
"""Points handed back at a time."""

STEP = 25
"""Nodes after which it is seen whether a point was found: whoever asked can prove it, and everybody prune by it."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Nodes to search, the value that bounds need not go below, and how far to go."""

    nodes: list[Node]
    target: float
    most_nodes: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Left:
    """What is open, the largest bounds of what was dropped and of what cannot be settled, nodes seen, and points."""

    nodes: list[Node]
    highest: float
    unsettled: float
    seen: int
    points: list[Floats]


@dataclass(frozen=True, eq=False)
class Searcher:
    """The service: a search of the program, which answers each `Batch` by what is `Left` of it."""

    program: Program

    def start(self) -> Callable[[Batch], Left]:
        """Return what searches."""
        return _Search(self.program).answer


class _Search:
    def __init__(self, program: Program) -> None:
        self.target = float("inf")
        self.points: list[Floats] = []
        self.tree = BranchAndBound(program, lambda: self.target, self.points.append, float("inf"))

    def answer(self, batch: Batch) -> Left:
        tree = self.tree
        self.target = batch.target
        tree.restart(batch.nodes, monotonic() + batch.seconds)
        before = tree.nodes
        last = before + batch.most_nodes
        while tree.nodes < last and not self.points and not tree.is_complete and monotonic() <= tree.deadline:
            tree.run(most_nodes=min(last, tree.nodes + STEP))
        left = Left(tree.open.nodes, tree.highest, tree.left, tree.nodes - before, self.points[-MOST_POINTS:])
        self.points.clear()
        return left
