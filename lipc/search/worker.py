"""A process that searches some nodes for another one: pickled messages in on stdin, out on stdout.

The first message is the program; then come `Batch`es, each answered by what is `Left` of it, until stdin ends.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass
from time import monotonic

from lipc.ir import Floats
from lipc.search.branching import BranchAndBound, Node

MOST_POINTS = 4
"""Points handed back at a time."""


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


def main() -> None:
    """Answer batches until there are no more."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing else may go between the messages
    target = float("inf")
    points: list[Floats] = []
    tree = BranchAndBound(pickle.load(source), lambda: target, points.append, float("inf"))
    while True:
        try:
            batch: Batch = pickle.load(source)
        except EOFError:
            return
        target = batch.target
        tree.restart(batch.nodes, monotonic() + batch.seconds)
        before = tree.nodes
        tree.run(most_nodes=before + batch.most_nodes)
        left = Left(tree.open_nodes(), tree.highest, tree.left, tree.nodes - before, points[-MOST_POINTS:])
        points.clear()
        pickle.dump(left, sink)
        sink.flush()
