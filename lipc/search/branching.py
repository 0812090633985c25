"""Branch and bound on the SDP bound: over the signs of the direction, and the neurons.

A node is what is decided, and the multipliers of its parent. It is dropped when some multipliers prove that it holds
nothing above the target, or when multipliers of a linear program prove that no point of the domain has its neurons'
states; nobody's word is taken. What every single decision would do to the bound is known in closed form, so decisions
of which one side falls under the target are made at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.sdp import FREE, Point, Quadratic, Sdp, first_multipliers, restrict
from lipc.bounds.unrolled import unroll
from lipc.certify import Conflict, Regions
from lipc.errors import QueryError
from lipc.ir import Conditional, Floats, Norm, Program, evaluate, pullback
from lipc.search.possible import Possible

import os
MODE = int(os.environ.get('MODE', '0'))
TINY = 1e-12
"""A violation as small as this is none."""

STEPS = 12
"""Newton steps at a node."""

MOST_OUTPUTS = 64
"""Outputs, each of which is a tree of its own."""


@dataclass(frozen=True)
class Decision:
    """What a node was split off by: a bit, its state, the bound before, and the violation that was to go."""

    bit: int
    state: int
    bound: float
    violation: float


class Gains:
    """By how much deciding a bit has lowered the bound so far, per violation (pseudo-costs)."""

    def __init__(self, bits: int, inputs: int) -> None:
        self.bits = bits
        self.sums, self.counts = np.zeros((2, bits + inputs)), np.zeros((2, bits + inputs))

    def record(self, decision: Decision, bound: float) -> None:
        """Take what came of a decision; a bound of minus infinity counts as all that was left."""
        gain = max(decision.bound - bound, 0.0)
        self.sums[decision.state, decision.bit] += gain / max(decision.violation, TINY)
        self.counts[decision.state, decision.bit] += 1

    def expected(self, state: int, bits: NDArray[np.int64], violation: Floats) -> Floats:
        """Return the gains expected of giving bits a state; of a bit never decided, the average of all."""
        rates = np.empty(len(self.sums[0]))
        for part in (slice(0, self.bits), slice(self.bits, None)):
            total, number = self.sums[state, part].sum(), self.counts[state, part].sum()
            average = total / number if number else 1.0
            rates[part] = (self.sums[state, part] + average) / (self.counts[state, part] + 1)
        return np.asarray(rates[bits] * violation)


@dataclass(frozen=True, eq=False)
class Node:
    """A part of the question.

    Parameters
    ----------
    root
        Which objective.
    direction, states
        See `lipc.bounds.sdp.restrict`.
    multipliers
        Of all inputs and switches: to begin with.
    bound
        A proven bound of the objective.
    checked
        Whether the states are known to be possible, as far as linear programs tell.
    """

    root: int
    direction: Floats
    states: NDArray[np.int8]
    multipliers: Floats
    bound: float
    checked: bool
    decision: Decision | None = None


class BranchAndBound:
    """The search over one question of a Lipschitz constant in l_inf or l_1, outputs measured in l_inf.

    Parameters
    ----------
    program
        A network with the question as its objective.
    bounds
        Proven bounds of its values; default: by intervals.
    target
        Returns the value that the bound need not go below; asked again and again.
    on_point
        Takes a point at which the gradient may be larger than what is attained.
    deadline
        The time of `time.monotonic` at which to stop.

    Attributes
    ----------
    nodes, programs
        Nodes looked at, and linear programs solved.
    """

    def __init__(
        self, program: Program, target: Callable[[], float], on_point: Callable[[Floats], None], deadline: float
    ) -> None:
        assert program.objective is not None and program.objective.lipschitz is not None
        self.program, self.target, self.on_point, self.deadline = program, target, on_point, deadline
        self.norm = program.objective.lipschitz.norm
        self.unrolled = unroll(program)
        self.possible = Possible(program, self.unrolled.places, deadline)
        self.regions = Regions(program, deadline=deadline)
        self.open: list[tuple[float, int, Node]] = []
        self.order = count()
        self.gains = Gains(len(self.unrolled.places), self.unrolled.inputs)
        self.nodes = 0
        self.current = -np.inf
        self.highest = -np.inf  # the largest bound of a node that was dropped
        self.left = -np.inf  # the largest bound of a pattern that can be neither refuted nor reached

    @property
    def programs(self) -> int:
        """The number of linear programs solved."""
        return self.possible.programs

    def run(self, on_node: Callable[[], None] = lambda: None, most_nodes: float = np.inf) -> None:
        """Search until nothing above the target is open, or time is up, or about so many nodes were seen."""
        for root in self._roots():
            self._push(root)
        while not self.is_complete and monotonic() <= self.deadline and self.nodes < most_nodes:
            _, _, node = heappop(self.open)
            self.current = node.bound
            self._visit(node)
            self.current = -np.inf
            on_node()

    @property
    def is_complete(self) -> bool:
        """Whether nothing that may be above the target is open."""
        return max(self.current, self._open_bound) <= self.target()

    @property
    def is_void(self) -> bool:
        """Whether every pattern was refuted."""
        return self.is_complete and self.highest == -np.inf

    @property
    def upper(self) -> float:
        """A proven bound of the answer."""
        return max(self.left, self.highest, self.current, self._open_bound)

    @property
    def _open_bound(self) -> float:
        return -self.open[0][0] if self.open else -np.inf

    def _push(self, node: Node) -> None:
        if node.bound <= self.target():
            self.highest = max(self.highest, node.bound)
        else:
            heappush(self.open, (-node.bound, next(self.order), node))

    def _roots(self) -> list[Node]:
        """Return the first nodes: for l_inf one for each output, for l_1 one for each output, input and sign."""
        inputs = self.unrolled.inputs
        directions = [np.full(inputs, np.nan)]
        if self.norm is Norm.L1:
            directions = [sign * row for row in np.eye(inputs) for sign in (1.0, -1.0)]
        states = self.possible.decided()
        outputs = range(len(self.unrolled.outputs))
        return [self._root(output, direction, states) for output in outputs for direction in directions]

    def _root(self, output: int, direction: Floats, states: NDArray[np.int8]) -> Node:
        quadratic = self._restrict(output, direction, states)
        return Node(output, direction, states, first_multipliers(self.unrolled, quadratic), np.inf, checked=True)

    def _restrict(self, root: int, direction: Floats, states: NDArray[np.int8]) -> Quadratic:
        unrolled = self.unrolled
        return restrict(unrolled, unrolled.outputs[root], float(unrolled.slack[root]), direction, states)

    def _visit(self, node: Node) -> None:
        """Bound a node, and push what it splits into; remember what its decision brought."""
        self.nodes += 1
        bound = -np.inf
        states = self.possible.conflicts.imply(node.states)
        if states is not None and (node.checked or self._is_possible(states)):
            bound = self._bound(replace(node, states=states))
        if node.decision is not None:
            self.gains.record(node.decision, max(bound, self.target()))

    def _bound(self, node: Node) -> float:
        """Bound a node whose states may be possible, and push what it splits into; return the bound."""
        bound = node.bound
        while True:
            quadratic = self._restrict(node.root, node.direction, node.states)
            if not len(quadratic.switches):
                return self._leaf(node, quadratic)
            sdp = Sdp(quadratic)
            start = self._start(sdp, node)
            point = sdp.minimize(start, self.target() - 1e-9 * abs(self.target()), steps=STEPS)
            spread = quadratic.spread(point.multipliers, node.multipliers, self.unrolled.inputs)
            node = replace(node, multipliers=spread, bound=min(node.bound, sdp.certify(point)))
            self.current = node.bound
            bound = node.bound
            if bound <= self.target():
                return self._drop(bound)
            further = self._decide(node, sdp, point)
            if further is None:
                return -np.inf
            if further is node:
                self._split(node, sdp, point)
                return bound
            node = further

    def _drop(self, bound: float) -> float:
        self.highest = max(self.highest, bound)
        return bound

    def _start(self, sdp: Sdp, node: Node) -> Point:
        chosen = sdp.quadratic.select(node.multipliers, self.unrolled.inputs)
        point = sdp.at(chosen)
        if point is None:
            fresh = first_multipliers(self.unrolled, sdp.quadratic)
            point = sdp.at(sdp.quadratic.select(fresh, self.unrolled.inputs))
            assert point is not None, "first multipliers are valid"
        return point

    def _is_possible(self, states: NDArray[np.int8]) -> bool:
        """Return whether states may be possible; look at the gradient of the point that shows it."""
        if self.possible.sampled(states):
            return True
        possible, x = self.possible.point(states)
        if x is not None and self._norm_at(x) > self.target():
            self.on_point(x)
        return possible

    def _norm_at(self, x: Floats) -> float:
        values = evaluate(self.program, {self.possible.input: x[None]})
        outputs = len(self.unrolled.outputs)
        gradients = pullback(self.program, [*values], np.eye(outputs), self.possible.input)
        return float(self.norm.dual_of(gradients).max())

    def _decide(self, node: Node, sdp: Sdp, point: Point) -> Node | None:
        """Decide what has only one side above the target; return `node` itself if nothing, `None` if neither side is."""
        target, probes = self.target(), sdp.probe(point)
        direction, states = node.direction.copy(), node.states.copy()
        worth = np.maximum(probes.high, probes.low) >= (node.bound - target) * (1 + 1e-6)
        changed = False
        for entry in np.flatnonzero(worth).tolist():
            sides = [high for high in (True, False) if (probes.high if high else probes.low)[entry] > node.bound - target]
            dropped = [(sdp.without(point, probes, entry, high=high), high) for high in sides]
            dropped = [(bound, high) for bound, high in dropped if bound <= target]
            for bound, high in dropped:
                self._drop(bound)
            if len(dropped) == 2:
                return None
            for _, high in dropped:
                changed |= self._set(sdp.quadratic, direction, states, entry, not high)
        if not changed:
            return node
        if (states != node.states).any():
            implied = self.possible.conflicts.imply(states)
            if implied is None or not self._is_possible(implied):
                return None
            states = implied
        return replace(node, direction=direction, states=states)

    def _set(
        self, quadratic: Quadratic, direction: Floats, states: NDArray[np.int8], entry: int, high: bool
    ) -> bool:
        """Decide an entry; what is decided already stays. Return whether there was anything to decide."""
        if entry < quadratic.free_signs:
            direction[quadratic.signs[entry]] = 1.0 if high else -1.0
            return True
        bit = self.unrolled.bits[quadratic.switches[entry - quadratic.free_signs]]
        if states[bit] != FREE:
            return False
        states[bit] = high
        return True

    def _split(self, node: Node, sdp: Sdp, point: Point) -> None:
        probes, free_signs = sdp.probe(point), sdp.quadratic.free_signs
        room = node.bound - self.target()
        bits = self.unrolled.bits[sdp.quadratic.switches]
        keys = np.concatenate([len(self.unrolled.places) + sdp.quadratic.signs, bits])
        gains = [np.minimum(self.gains.expected(state, keys, probes.violation), room) for state in (0, 1)]
        score = gains[0] * gains[1]
        if free_signs and MODE == 0:
            low, high = np.minimum(probes.low, room), np.minimum(probes.high, room)
            score = (low * high)[:free_signs]
        if free_signs and MODE == 1:
            score = score[:free_signs]
        entry = int(np.argmax(score))
        for side in (True, False):
            direction, states = node.direction.copy(), node.states.copy()
            self._set(sdp.quadratic, direction, states, entry, side)
            decision = Decision(int(keys[entry]), int(side), node.bound, float(probes.violation[entry]))
            checked = entry < free_signs
            self._push(replace(node, direction=direction, states=states, checked=checked, decision=decision))

    def _leaf(self, node: Node, quadratic: Quadratic) -> float:
        """Look at a pattern, or at what is left of one: its gradient is known."""
        bound = min(node.bound, quadratic.largest())
        if bound <= self.target():
            return self._drop(bound)
        possible, x = self.possible.point(node.states)
        if not possible:
            return -np.inf
        self.left = max(self.left, bound)
        return bound
