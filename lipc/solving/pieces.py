"""Cut one hard question into independent ones: each a mixed-integer program with some decisions made.

The pieces are the open nodes of the branch and bound (`lipc.search.branching`): signs of the direction and states of
neurons. What is decided tightens the other bounds of each (`lipc.solving.narrow`). A part that is proven to hold no
more than what is attained, by the SDP bound or by these, is none. The answer is the largest of what is attained and of
the optima of the pieces. Where neurons tie (biases of 0), it may be less, as with the program of the whole: a pattern
of a piece need not have an interior.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

import numpy as np

from lipc.certify import Regions, Witness
from lipc.compiler import Compiled
from lipc.errors import QueryError
from lipc.ir import Floats, Norm
from lipc.mip import MixedIntegerProgram
from lipc.options import Options
from lipc.search.branching import BranchAndBound
from lipc.search.nodes import Node
from lipc.solving.narrow import BELOW_ATTAINED, narrow
from lipc.solving.node_columns import NodeColumns, check_forward
from lipc.solving.pair import NEARLY_ZERO, with_gap
from lipc.solving.witnesses import Witnesses

START_SECONDS = 2.0
"""Time for finding what is attained."""

PROGRAMS, ALL_PROGRAMS = 500, 50_000
"""Linear programs that tighten the bounds of one piece, and of all."""

AS_ONE = "compile it as one program, or leave it to 'lipc solve'"


@dataclass(frozen=True)
class NeuronState:
    """A decided neuron: the name of its operation, its entry there, and whether it is on."""

    name: str
    entry: int
    on: bool


@dataclass(frozen=True, eq=False)
class Piece:
    """One part of a question.

    Parameters
    ----------
    program
        Its mixed-integer program, in forward mode; variables have the names they have in the whole.
    bound
        A proven upper bound of its optimum.
    direction
        Shape ``(n,)``: the entries of the direction that are decided; NaN where they are free.
    neurons
        The neurons that are decided; bounds may have decided others.
    output
        Shape ``(m,)``: the weights of the outputs of which this is about: one of them is 1, or for outputs in l_1 all
        are 1 or -1.
    """

    program: MixedIntegerProgram
    bound: float
    direction: Floats
    neurons: tuple[NeuronState, ...]
    output: Floats


@dataclass(frozen=True, eq=False)
class Split:
    """A question in pieces.

    Parameters
    ----------
    pieces
        Those with the largest bounds first; none if the question is answered.
    witness
        What is attained, and where; `None` if nothing is known.
    lower, upper
        A valid pair for the whole question.
    nodes
        Nodes of the search that made them.
    gap
        What was left out holds no more than `lower`, and this part of it (or of what counts as 0 next to the terms of
        the objective, `lipc.solving.pair.NEARLY_ZERO`).
    """

    pieces: tuple[Piece, ...]
    witness: Witness | None
    lower: float
    upper: float
    nodes: int
    gap: float


def split(compiled: Compiled, pieces: int, options: Options | None = None) -> Split:
    """Return a question in about so many pieces.

    Parameters
    ----------
    compiled
        A Lipschitz question in l_inf or l_1, compiled with the mode ``forward``.
    pieces
        At least this many, if there are that many parts that are not dropped.
    options
        The time limit, the gap within which a part is left out, and the seed.

    Raises
    ------
    QueryError
        If the question is of another kind, too large, or not in forward mode.
    """
    options = options or Options()
    if pieces < 1:
        raise QueryError("there is at least one piece")
    question = compiled.asked.objective.lipschitz if compiled.asked.objective else None
    if question is None or question.norm is Norm.L2:
        raise QueryError("only a Lipschitz constant in l_inf or l_1 is cut into pieces", hint=AS_ONE)
    return _Cutter(compiled, options).cut(pieces)


class _Cutter:
    """Searches until there are enough open nodes, and makes programs of them."""

    def __init__(self, compiled: Compiled, options: Options) -> None:
        self.compiled, self.options = compiled, options
        self.magnitude = compiled.mip.magnitude
        self.deadline = monotonic() + options.time_limit
        check_forward(compiled)
        regions = Regions(compiled.asked, deadline=self.deadline)
        self.witnesses = Witnesses(compiled, regions, options.gap, options.seed, lambda _: None)
        try:
            self.tree = BranchAndBound(compiled.reduced_exactly, self._target, self.witnesses.offer, self.deadline)
        except QueryError as error:
            raise QueryError(error.message, hint=AS_ONE) from None
        self.unsettled: list[Node] = []
        self.tree.on_left = self.unsettled.append
        self.columns = NodeColumns(compiled, self.tree)

    def _target(self) -> float:
        """Return what a piece is of interest above: norms are never below 0."""
        best = self.witnesses.best
        return with_gap(0.0 if best is None else best.value, self.options.gap, self.magnitude)

    def _cutoff(self) -> float:
        """Return what a piece is of interest for, a little less: passes before may have rounded coefficients."""
        best = self.witnesses.best
        if best is None:
            return -np.inf
        return best.value - BELOW_ATTAINED * max(best.value, NEARLY_ZERO * self.magnitude)

    def cut(self, pieces: int) -> Split:
        """Return the pieces."""
        self.witnesses.start(monotonic() + min(START_SECONDS, self.options.time_limit / 10))
        tree = self.tree
        work = min(PROGRAMS, ALL_PROGRAMS // pieces)
        left, found = float(ALL_PROGRAMS), dict[Node, Piece | None]()
        try:
            tree.relax()
            while True:
                while len(tree.open) + len(self.unsettled) < pieces and not self._is_done():
                    tree.run(most_nodes=tree.nodes + 1)
                new = [node for node in self._nodes() if self._is_open(node) and node not in found]
                found.update((node, self._piece(node, min(work, left))) for node in new)
                left = max(left - work * len(new), 0.0)
                void = [node for node in new if found[node] is None]
                tree.discard(void)
                self.unsettled[:] = [node for node in self.unsettled if node not in void]
                if not void or not left or monotonic() >= self.deadline:
                    break
        except QueryError as error:  # numbers too far apart for its factorizations
            raise QueryError(error.message, hint=AS_ONE) from None
        kept = (piece for node in self._nodes() if (piece := found.get(node)) and piece.bound > self._target())
        best = self.witnesses.best
        lower = 0.0 if best is None else best.value
        cut = tuple(sorted(kept, key=lambda piece: -piece.bound))
        upper = min(tree.upper, self.compiled.bound)
        return Split(cut, best, lower, max(lower, upper), tree.nodes, self.options.gap)

    def _is_done(self) -> bool:
        return self.tree.is_complete or monotonic() >= self.deadline

    def _nodes(self) -> list[Node]:
        """Return the nodes that are pieces: what is open, and what the search can do nothing about."""
        return [*self.tree.open.nodes, *self.unsettled]

    def _is_open(self, node: Node) -> bool:
        return node.bound > self._target()

    def _piece(self, node: Node, work: float) -> Piece | None:
        """Return the program of a node; `None` if it is proven to hold nothing above what is attained."""
        sides = self.columns.of(node)
        if sides is None:
            return None
        whole = self.compiled.bound
        narrowed = narrow(self.compiled, *sides, self._cutoff(), work, max(self.deadline - monotonic(), 0.0))
        if narrowed is None or narrowed.bound <= self._target():
            return None
        bound = min(node.bound, whole, narrowed.bound)
        return Piece(
            narrowed.program, bound, node.direction + 0.0, tuple(self._neurons(node)), self.columns.output(node)
        )

    def _neurons(self, node: Node) -> Iterator[NeuronState]:
        """Yield the decided neurons of the question itself: several may be one bit of the search."""
        for value, entry, on in self.columns.neurons(node):
            op = self.compiled.asked.ops[value]
            yield NeuronState(op.origin.name, int(op.origin.entries(op.size)[entry]), on)
