"""The branch and bound by several processes: open nodes are independent questions that share what is attained.

In rounds: the best nodes are dealt out, each process searches its own for a while, and what is left comes back. So the
result does not depend on which process is faster. A process that dies loses nothing: its nodes are dealt out again.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop
from time import monotonic
from typing import IO

import numpy as np

from lipc.ir import Floats, Program
from lipc.search.branching import BranchAndBound, Node
from lipc.search.worker import Batch, Left

ALONE = 200
"""Nodes that are searched before processes are started: most questions need no more."""

DEALT = 64
"""Nodes for each process at a time."""

ROUND = 250
"""Nodes that a process looks at before it reports."""


class ParallelSearch(BranchAndBound):
    """The search of `BranchAndBound`, by several processes.

    Parameters
    ----------
    jobs
        How many.
    """

    def __init__(
        self,
        program: Program,
        target: Callable[[], float],
        on_point: Callable[[Floats], None],
        deadline: float,
        *,
        jobs: int,
    ) -> None:
        super().__init__(program, target, on_point, deadline)
        self.jobs = jobs
        self.away: dict[int, list[Node]] = {}  # by process, what it is at

    @property
    def _open_bound(self) -> float:
        away = (node.bound for nodes in self.away.values() for node in nodes)
        return max(super()._open_bound, max(away, default=-np.inf))

    def run(self, on_node: Callable[[], None] = lambda: None, most_nodes: float = np.inf) -> None:
        """Search as `BranchAndBound` does; nodes are counted by rounds."""
        super().run(on_node, min(most_nodes, self.nodes + ALONE))
        if self.is_complete or monotonic() > self.deadline or self.nodes >= most_nodes:
            return
        workers = [_Worker(self.program) for _ in range(self.jobs)]
        try:
            while workers and not self.is_complete and monotonic() <= self.deadline and self.nodes < most_nodes:
                workers = self._round(workers)
                on_node()
        finally:
            for worker in workers:
                worker.stop()
        if not workers:
            super().run(on_node, most_nodes)

    def _round(self, workers: list[_Worker]) -> list[_Worker]:
        """Deal out nodes and take back what is left; return the processes that are still there."""
        hands: list[list[Node]] = [[] for _ in workers]
        for dealt in range(DEALT * len(workers)):
            if not self.open and not self.deep:
                break
            place = dealt % len(workers)
            node = self.deep[-1] if self.deep else self.open[0][2]
            self.away.setdefault(place, []).append(node)  # before it is taken: an interrupt may come at any time
            hands[place].append(node)
            if self.deep:
                self.deep.pop()
            else:
                heappop(self.open)
        seconds = self.deadline - monotonic()
        sent = [
            worker.send(Batch(hand, self.target(), ROUND, seconds)) for worker, hand in zip(workers, hands, strict=True)
        ]
        alive = []
        for place, (worker, is_sent) in enumerate(zip(workers, sent, strict=True)):
            left = worker.receive() if is_sent else None
            self._take(hands[place] if left is None else left.nodes, left)
            self.away.pop(place, None)
            if left is None:
                worker.stop()
            else:
                alive.append(worker)
        return alive

    def _take(self, nodes: list[Node], left: Left | None) -> None:
        if left is not None:
            self.highest, self.left = max(self.highest, left.highest), max(self.left, left.unsettled)
            self.nodes += left.seen
            for point in left.points:
                self.on_point(point)
        for node in nodes:
            self._push(node)


class _Worker:
    """A process, and its pipes."""

    def __init__(self, program: Program) -> None:
        # A session of its own: Ctrl-C is for the one who asks.
        command = [sys.executable, "-c", "from lipc.search.worker import main; main()"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.sink: IO[bytes] = self.process.stdin
        self.source: IO[bytes] = self.process.stdout
        self.send(program)

    def send(self, message: Program | Batch) -> bool:
        """Send a message; return whether the process is there."""
        try:
            pickle.dump(message, self.sink)
            self.sink.flush()
        except OSError:
            return False
        return True

    def receive(self) -> Left | None:
        """Return the answer; `None` if the process is gone."""
        try:
            answer = pickle.load(self.source)
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        assert isinstance(answer, Left)
        return answer

    def stop(self) -> None:
        """End the process, whatever it is at."""
        self.process.kill()
        self.process.wait()
        self.source.close()
        with suppress(OSError):  # what was not read is lost with its reader
            self.sink.close()
