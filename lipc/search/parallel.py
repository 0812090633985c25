"""The branch and bound at several seats of an engine: open nodes are independent questions that share what is attained.

In rounds: the best nodes are dealt out, each process searches its own for a while, and what is left comes back. So the
result does not depend on which process is faster. A process that dies loses nothing: its nodes are dealt out again, and
when none is left this process goes on alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic

import numpy as np

from lipc.engine import Engine, Seat
from lipc.errors import printable
from lipc.ir import Floats, Program
from lipc.search.branching import BranchAndBound
from lipc.search.nodes import Node
from lipc.search.worker import Batch, Left, Searcher

ALONE = 200
"""Nodes that are searched before processes are started: most questions need no more."""

DEALT = 64
"""Nodes for each process at a time."""

ROUND = 250
"""Nodes that a process looks at before it reports."""

READY_SECONDS = 60.0
"""A process that has not come up by then never will."""

LATE_SECONDS = 1.0
"""Processes stop at the deadline by themselves, but not in the middle of a node."""


class ParallelSearch(BranchAndBound):
    """The search of `BranchAndBound`, by several processes.

    Parameters
    ----------
    engine
        Where they are.
    """

    def __init__(
        self,
        program: Program,
        target: Callable[[], float],
        on_point: Callable[[Floats], None],
        deadline: float,
        *,
        engine: Engine,
    ) -> None:
        super().__init__(program, target, on_point, deadline)
        self.engine = engine
        self.jobs = engine.size
        self.away: dict[int, list[Node]] = {}  # by process, what it is at
        self.workers: list[Seat] = []
        self.lost = 0

    @property
    def _open_bound(self) -> float:
        away = (node.bound for nodes in self.away.values() for node in nodes)
        return max(super()._open_bound, max(away, default=-np.inf))

    def run(self, on_node: Callable[[], None] = lambda: None, most_nodes: float = np.inf) -> None:
        """Search as `BranchAndBound` does; nodes are counted by rounds."""
        super().run(on_node, min(most_nodes, self.nodes + ALONE))
        # All are ended, even if another interrupt comes meanwhile.
        with ExitStack() as stack:
            while not self.is_complete and monotonic() <= self.deadline and self.nodes < most_nodes:
                self._hire(stack)
                if not self.workers:
                    break
                self._round()
                on_node()
        self.workers = []
        super().run(on_node, most_nodes)

    def _hire(self, stack: ExitStack) -> None:
        """Start as many processes as there is work for, but none in place of one that was lost."""
        wanted = min(self.jobs - self.lost, len(self.open))
        new: list[Seat] = []
        try:
            while len(self.workers) + len(new) < wanted:
                new.append(self.engine.hire(Searcher(self.program)))
                stack.callback(new[-1].stop)
        except OSError as error:
            self._lose(wanted - len(self.workers) - len(new), error.strerror or str(error))
        for worker in new:
            if worker.is_ready(min(READY_SECONDS, self.deadline - monotonic())):
                self.workers.append(worker)
            elif monotonic() <= self.deadline:
                worker.stop()
                self._lose(1, worker.reason)

    def _lose(self, number: int, reason: str) -> None:
        self.lost += number
        why = f": {printable(reason)[:200]}" if reason else ""
        self.trouble = f"{self.lost} of {self.jobs} processes of the search were lost{why}"

    def _round(self) -> None:
        """Deal out nodes and take back what is left."""
        hands = self._deal()
        seconds = self.deadline - monotonic()
        for worker, hand in zip(self.workers, hands, strict=True):
            if hand:
                worker.ask(Batch(hand, self.target(), ROUND, seconds))
        alive = []
        for place, (worker, hand) in enumerate(zip(self.workers, hands, strict=True)):
            left = worker.answer(self.deadline + LATE_SECONDS - monotonic()) if hand else None
            self._take(hand if left is None else left.nodes, left)
            self.away.pop(place, None)
            if left is not None or not hand:
                alive.append(worker)
                continue
            worker.stop()
            if monotonic() <= self.deadline:
                self._lose(1, worker.reason)
        self.workers = alive

    def _deal(self) -> list[list[Node]]:
        """Take the best nodes, for each process some; they stay in the bound until something comes back."""
        hands: list[list[Node]] = [[] for _ in self.workers]
        for dealt in range(DEALT * len(hands)):
            if not self.open:
                break
            place = dealt % len(hands)
            node = self.open.next
            self.away.setdefault(place, []).append(node)  # before it is taken: an interrupt may come at any time
            hands[place].append(node)
            self.open.pop()
        return hands

    def _take(self, nodes: list[Node], left: Left | None) -> None:
        if left is not None:
            self.highest, self.left = max(self.highest, left.highest), max(self.left, left.unsettled)
            self.nodes += left.seen
            for point in left.points:
                self.on_point(point)
        for node in nodes:
            self._push(node)
