"""Branch and bound on the SDP bound: over the signs of the direction, and the states of neurons.

A node is what is decided, and the multipliers of its parent. It is dropped when multipliers prove that it holds nothing
above the target (`lipc.bounds.sdp`), or when multipliers of a linear program prove that no point of the domain has its
neurons' states (`lipc.search.possible`); nobody's word is taken. What each single decision would do to the bound is
known in closed form, so decisions of which one side falls under the target are made at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import product
from time import monotonic

import numpy as np

from lipc.bounds.blas import one_thread
from lipc.bounds.quadratic import FREE, Quadratic, restrict
from lipc.bounds.sdp import Point, Probes, Sdp, first_multipliers, least_bound
from lipc.bounds.unrolled import unroll
from lipc.certify import Regions
from lipc.errors import QueryError
from lipc.ir import Floats, Norm, Program, evaluate, pullback
from lipc.search.conflicts import States
from lipc.search.decisions import Decisions
from lipc.search.frontier import Frontier
from lipc.search.incumbents import Incumbents
from lipc.search.nodes import Node, objectives_of
from lipc.search.possible import Possible

STEPS = 12
"""Newton steps at a node."""

TRIALS = 8
"""The likeliest places that are tried before one is chosen, as long as little is known of them."""

MOST_ENTRIES = 1000
"""Inputs and switches: the matrices of a bound are dense (at 844 a step of Newton's method takes 0.1 s)."""

FEW_ENTRIES = 400
"""Inputs and switches up to which compiled code was measured to be faster (beyond, the time goes to LAPACK), and up to
which the number of trees does not matter."""

MOST_WORK = 4e9
"""Of larger networks, trees times the cube of what is free in each: some ten seconds for their bounds."""

COMPILED_AFTER = 500
"""Nodes after which compiled code takes over: loading it takes as long as they do."""

CLOSER = 1e-9
"""Newton's method aims this much below the target, relatively, for the rounding that a proof adds."""


class BranchAndBound:
    """The search over one question: a Lipschitz constant of perturbations in l_inf or l_1.

    Parameters
    ----------
    program
        A network with the question as its objective.
    target
        Returns the value that the bound need not go below; asked again and again.
    on_point
        Takes a point at which the gradient may be larger than what is attained.
    deadline
        The time of `time.monotonic` at which to stop.

    Attributes
    ----------
    nodes
        How many were looked at.
    goal
        The target, as it was asked for last.
    weights
        Of the outputs, a row for each objective.
    hand_over
        Is asked at each node that is to be split, with the number of entries that are free; it returns a bound that
        it claims, and the node is done, or `None`.
    on_left
        Takes each node that can be neither refuted, nor reached, nor split, with its bound: see `left`.
    trouble
        What went wrong on the way without being in the way of the answer.

    Raises
    ------
    QueryError
        If the question is of another kind, or too large.
    """

    def __init__(
        self, program: Program, target: Callable[[], float], on_point: Callable[[Floats], None], deadline: float
    ) -> None:
        self.program, self.target, self.on_point, self.deadline = program, target, on_point, deadline
        question, self.weights = objectives_of(program)
        self.norm, self.output_norm = question.norm, question.output_norm
        self.unrolled = unroll(program)
        entries, free = self.unrolled.inputs + self.unrolled.switches, self.unrolled.switches
        free += 0 if self.norm is Norm.L1 else self.unrolled.inputs
        if entries > MOST_ENTRIES or (entries > FEW_ENTRIES and len(self.weights) * free**3 > MOST_WORK):
            raise QueryError("the network is too large for the SDP bound", hint="--search mip")
        self.objectives = self.weights @ self.unrolled.outputs
        self.slacks = np.abs(self.weights) @ self.unrolled.slack
        self.possible = Possible(program, self.unrolled.places, deadline)
        self.regions = Regions(program, deadline=deadline)
        self.hand_over: Callable[[Node, int], float | None] = lambda *_: None
        self.on_left: Callable[[Node], None] = lambda _: None
        self.incumbents = Incumbents(program, question, self.unrolled, deadline)
        self.decisions = Decisions(self.unrolled)
        self.sdp: Callable[[Quadratic], Sdp] = Sdp
        self.restricted = restrict
        self.goal = target()
        self.nodes = 0
        self.trouble = ""
        self.open = Frontier()
        self.current = np.inf
        self.highest = -np.inf  # the largest bound of a node that was dropped
        self.left = -np.inf  # the largest bound of a pattern that can be neither refuted nor reached
        self.handed = self.claim = -np.inf  # of nodes that were handed over: the largest proven bound, and claimed one

    def relax(self, deadline: float = np.inf) -> None:
        """Bound the roots: `upper` is the SDP bound then, or infinite if the time did not do for all of them."""
        self.goal = self.target()
        with one_thread():
            for root in self._roots(min(deadline, self.deadline)):
                self._push(root)
        self.current = -np.inf

    def run(self, on_node: Callable[[], None] = lambda: None, most_nodes: float = np.inf) -> None:
        """Search, after `relax`, until nothing above the target is open, or time or nodes are used up."""
        with one_thread():
            while not self.is_complete and monotonic() <= self.deadline and self.nodes < most_nodes:
                self._next()
                on_node()

    def _next(self) -> None:
        """Look at the best open node."""
        node = self.open.next
        self.current = node.bound  # before it is taken: an interrupt may come between any two lines
        self.open.pop()
        if self.nodes == COMPILED_AFTER:
            self._take_compiled()
        self.goal = self.target()
        self._visit(node)
        self.current = -np.inf

    def _take_compiled(self) -> None:
        """Go on with compiled code, where numba is installed."""
        if self.unrolled.inputs + self.unrolled.switches > FEW_ENTRIES:
            return
        with suppress(ImportError, RuntimeError):  # without numba, or without a folder to keep what it compiles in
            from lipc.bounds import compiled

            if compiled.compile_kernels(self.deadline):
                self.sdp, self.restricted = compiled.CompiledSdp, compiled.restrict
                self.possible.conflicts.lacking = compiled.lacking

    def restart(self, nodes: list[Node], deadline: float) -> None:
        """Go on with other nodes; what is known of neurons and decisions is kept."""
        self.deadline = self.possible.deadline = self.regions.deadline = deadline
        self.incumbents.search.deadline = self.incumbents.search.regions.deadline = deadline
        self.open = Frontier()
        self.current = self.highest = self.left = -np.inf
        self.goal = self.target()
        for node in nodes:
            self._push(node)

    def discard(self, nodes: list[Node]) -> None:
        """Forget open nodes that elsewhere were found to hold nothing above the target; `upper` counts them on."""
        gone = set(nodes)
        self.highest = max(self.highest, *(node.bound for node in gone), -np.inf)
        self.open.discard(gone)

    @property
    def is_complete(self) -> bool:
        """Whether nothing that may be above the target is open."""
        return max(self.current, self._open_bound) <= self.target()

    @property
    def is_void(self) -> bool:
        """Whether every pattern was refuted."""
        return self.is_complete and max(self.highest, self.left, self.handed) == -np.inf

    @property
    def upper(self) -> float:
        """A proven bound of the answer."""
        return max(self.handed, self.left, self.highest, self.current, self._open_bound)

    @property
    def claimed(self) -> float:
        """A bound of the answer, if what was claimed of nodes that were handed over is true."""
        return max(self.claim, self.left, self.highest, self.current, self._open_bound)

    @property
    def _open_bound(self) -> float:
        return self.open.bound

    def _push(self, node: Node) -> None:
        if node.bound <= self.goal:
            self._drop(node.bound)
        else:
            self.open.push(node)

    def _drop(self, bound: float) -> float:
        self.highest = max(self.highest, bound)
        return bound

    def _roots(self, deadline: float) -> Iterator[Node]:
        """Return the first nodes, with the SDP bound; those that there is no time for with none."""
        inputs = self.unrolled.inputs
        directions = [np.full(inputs, np.nan)]
        if self.norm is Norm.L1:
            # The ball is the convex hull of these.
            directions = [sign * row for row in np.eye(inputs) for sign in (1.0, -1.0)]
        states = self.possible.decided()
        for root, direction in product(range(len(self.objectives)), directions):
            if monotonic() <= deadline:
                yield self._root(root, direction, states, deadline)
            else:
                multipliers = np.ones(inputs + self.unrolled.switches)
                yield Node(root, direction, states, multipliers, np.inf)

    def _root(self, root: int, direction: Floats, states: States, deadline: float) -> Node:
        quadratic = self._restrict(root, direction, states)
        bound, multipliers = least_bound(self.unrolled, quadratic, self.goal, deadline)
        return Node(root, direction, states, multipliers, bound)

    def _restrict(self, root: int, direction: Floats, states: States) -> Quadratic:
        return self.restricted(self.unrolled, self.objectives[root], float(self.slacks[root]), direction, states)

    def _visit(self, node: Node) -> None:
        """Bound a node, and push what it splits into; remember what its decision brought."""
        self.nodes += 1
        bound = -np.inf
        states = self.possible.conflicts.imply(node.states)
        is_new = node.decision is not None and self.decisions.is_neuron(node.decision)
        if states is not None:
            try:
                bound = self._bound(replace(node, states=states), checked=not is_new)
            except QueryError:  # rounding leaves no multipliers
                self._leave(node)
        brought = max(bound, self.goal)
        if node.decision is not None and brought > -np.inf:
            self.decisions.costs.record(node.decision, brought)

    def _may_be(self, states: States) -> bool:
        """Return whether states may be possible; look at the gradient of the point that shows it."""
        if self.possible.shown.allows(states):
            return True
        possible, x = self.possible.point(states)
        if x is not None and self._norm_at(x) > self.goal:
            self._offer(x)
        return possible

    def _offer(self, x: Floats) -> None:
        """Tell of a point, and what has become of the target."""
        self.on_point(x)
        self.goal = self.target()

    def _norm_at(self, x: Floats) -> float:
        """Return the norm at a point, in l_1 of outputs for the signs of the roots."""
        values = evaluate(self.program, {self.possible.input: x[None]})
        outputs = self.program.ops[self.program.result].size
        gradients = pullback(self.program, values, np.eye(outputs), self.possible.input)
        return float(self.norm.dual_of(self.weights @ gradients).max())

    def _bound(self, node: Node, *, checked: bool) -> float:
        """Bound a node, and push what it splits into, if its states may be possible; return the bound.

        The bound is cheaper than to ask what is possible (`checked`: it was asked), so it comes first.
        """
        known = node.states if checked else None
        while True:
            quadratic = self._restrict(node.root, node.direction, node.states)
            if not len(quadratic.switches):
                return self._leaf(node, min(node.bound, quadratic.largest()))
            sdp = self.sdp(quadratic)
            node, point = self._lower(node, sdp)
            self.current = node.bound
            if node.bound <= self.goal:
                return self._drop(node.bound)
            probes = sdp.probe(point)
            further = self._decide(node, sdp, point, probes)
            if further is node:
                if node.states is not known and not self._may_be(node.states):
                    return -np.inf
                known = node.states
                claim = self.hand_over(node, len(quadratic.weights))
                if claim is not None:
                    self.handed, self.claim = max(self.handed, node.bound), max(self.claim, claim)
                    return node.bound
                if self.incumbents.is_due(self.nodes):
                    self._look(node, quadratic, point)
                further = self._split(node, quadratic, probes)
                if further is node:
                    return node.bound
            if further is None:
                return -np.inf
            node = further

    def _look(self, node: Node, quadratic: Quadratic, point: Point) -> None:
        """Look for a better point near a node."""
        found = self.incumbents.near(node.states, quadratic, point, self.possible)
        if found is not None and found.value > self.goal:
            self._offer(found.x)

    def _lower(self, node: Node, sdp: Sdp) -> tuple[Node, Point]:
        """Return a node with better multipliers, as far as they bring its bound down to the target."""
        target = self.goal
        goal = target - CLOSER * abs(target)
        inputs = self.unrolled.inputs
        point = sdp.lowest(sdp.quadratic.select(node.multipliers, inputs), goal, STEPS)
        if point is None:  # rounding made the parent's multipliers invalid
            fresh = first_multipliers(self.unrolled, sdp.quadratic)
            point = sdp.lowest(sdp.quadratic.select(fresh, inputs), goal, STEPS)
            assert point is not None, "first multipliers are valid"
        spread = sdp.quadratic.spread(point.multipliers, node.multipliers, inputs)
        return replace(node, multipliers=spread, bound=min(node.bound, sdp.certify(point))), point

    def _decide(self, node: Node, sdp: Sdp, point: Point, probes: Probes) -> Node | None:
        """Decide what has only one side above the target.

        Returns
        -------
        Node or None
            `node` itself if nothing was decided; `None` if nothing is left of it.
        """
        target = self.goal
        bounds = sdp.without(point, probes, point.value - target)
        over = bounds <= target
        if not over.any():
            return node
        self._drop(float(bounds[over].max()))
        if over.all(axis=0).any():
            return None
        direction, states = node.direction.copy(), node.states.copy()
        for entry in np.flatnonzero(over.any(axis=0)).tolist():
            self.decisions.set(sdp.quadratic, direction, states, entry, not over[0, entry])
        if (states == node.states).all() and np.array_equal(direction, node.direction, equal_nan=True):
            return node
        if (states == node.states).all():
            return replace(node, direction=direction)
        implied = self.possible.conflicts.imply(states)
        return None if implied is None else replace(node, direction=direction, states=implied)

    def _split(self, node: Node, quadratic: Quadratic, probes: Probes) -> Node | None:
        """Push two children: signs are decided first, and what is expected to bring most on both sides.

        Returns
        -------
        Node or None
            `node` itself; or what is left of it, and nothing is pushed.
        """
        places, room = self.decisions.places(quadratic), node.bound - self.goal
        scores = self.decisions.scores(room, quadratic, probes)
        order = np.argsort(-scores, kind="stable")[: np.count_nonzero(scores >= 0)]
        tried = False
        for entry in order[:TRIALS].tolist():
            if monotonic() > self.deadline:  # large matrices: a trial may take a second
                break
            if self.decisions.costs.is_reliable(int(places[entry])):
                continue
            tried = True
            sides = [self.decisions.child(node, quadratic, probes, entry, side) for side in (True, False)]
            dropped = [self._try(child) <= self.goal for child in sides]
            if all(dropped):
                return None
            if any(dropped):
                return replace(sides[dropped.index(False)], decision=node.decision)
        entry = int(np.argmax(self.decisions.scores(room, quadratic, probes))) if tried else int(order[0])
        for side in (True, False):
            self._push(self.decisions.child(node, quadratic, probes, entry, side))
        return node

    def _try(self, child: Node) -> float:
        """Return the bound of a child, and remember what its decision brings (strong branching)."""
        quadratic = self._restrict(child.root, child.direction, child.states)
        is_known = not len(quadratic.switches)
        bound = min(child.bound, quadratic.largest()) if is_known else self._lower(child, self.sdp(quadratic))[0].bound
        if child.decision is not None:
            self.decisions.costs.record(child.decision, max(bound, self.goal))
        if bound <= self.goal:
            self._drop(bound)
        return bound

    def _leaf(self, node: Node, bound: float) -> float:
        """Look at a part of which the gradient is known: reach it, refute it, or decide more of its neurons."""
        if bound <= self.goal:
            return self._drop(bound)
        possible, x = self.possible.point(node.states)
        if not possible:
            return -np.inf
        pattern = self.possible.states_at((self.possible.inside.point if x is None else x)[None])[0]
        free = np.flatnonzero(node.states == FREE)
        bits = self.possible.bits(np.where(node.states == FREE, pattern, node.states))
        region = self.regions.widest(bits, prove=True)
        if region.point is not None:
            self._offer(region.point)
            # Exact: without slack for rounding.
            bound = min(bound, self.regions.norm_bound(bits, self.norm, self.output_norm))
            if bound <= self.goal:
                return self._drop(bound)
        for conflict in region.conflicts:
            self.possible.learn(conflict)
        if self.possible.conflicts.imply(node.states) is None:
            return -np.inf
        if len(free):
            # Nothing of the gradient depends on them, but where it is found may.
            for side in (1, 0):
                states = node.states.copy()
                states[free[0]] = side
                self._push(replace(node, states=states, bound=bound, decision=None))
            return bound
        self._leave(replace(node, bound=bound))
        return bound

    def _leave(self, node: Node) -> None:
        self.left = max(self.left, node.bound)
        self.on_left(node)
