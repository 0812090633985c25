"""What can be decided at a node, what it is expected to bring, and the node with it decided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.quadratic import FREE, Quadratic
from lipc.bounds.sdp import Probes
from lipc.bounds.unrolled import Unrolled
from lipc.ir import Floats
from lipc.search.conflicts import States
from lipc.search.nodes import Node
from lipc.search.pseudocosts import Decision, PseudoCosts


class Decisions:
    """Signs of the direction, and states of neurons: the free entries of a quadratic.

    Attributes
    ----------
    costs
        What they have brought so far.
    """

    def __init__(self, unrolled: Unrolled) -> None:
        self.unrolled = unrolled
        self.bits = len(unrolled.places)
        self.costs = PseudoCosts(self.bits, unrolled.inputs)
        self.neurons_first = unrolled.inputs > self.bits

    def places(self, quadratic: Quadratic) -> NDArray[np.int64]:
        """Return what the entries of a quadratic stand for: bits, and behind all bits the inputs."""
        return np.concatenate([self.bits + quadratic.signs, self.unrolled.bits[quadratic.switches]])

    def is_neuron(self, decision: Decision) -> bool:
        """Return whether it was the state of a neuron that was decided."""
        return decision.place < self.bits

    def set(self, quadratic: Quadratic, direction: Floats, states: States, entry: int, high: bool) -> None:
        """Decide an entry; a bit that is decided already, by another switch that reads it, stays."""
        place = self.places(quadratic)[entry] if entry >= quadratic.free_signs else -1
        if place < 0:
            direction[quadratic.signs[entry]] = 1.0 if high else -1.0
        elif states[place] == FREE:
            states[place] = high

    def child(self, node: Node, quadratic: Quadratic, probes: Probes, entry: int, high: bool) -> Node:
        """Return a node with one more entry decided."""
        direction, states = node.direction.copy(), node.states.copy()
        self.set(quadratic, direction, states, entry, high)
        place = int(self.places(quadratic)[entry])
        decision = Decision(place, int(high), node.bound, float(probes.violation[entry]))
        return replace(node, direction=direction, states=states, decision=decision)

    def scores(self, room: float, quadratic: Quadratic, probes: Probes) -> Floats:
        """Return the product of the gains expected on both sides; -1 for what is not to be decided yet.

        Signs come first; but neurons where the network has more inputs, for when all neurons are decided the signs are.

        Parameters
        ----------
        room
            By how much the bound is above the target: nothing brings more.
        """
        places = self.places(quadratic)
        low, high = (np.minimum(self.costs.expected(state, places, probes.violation), room) for state in (0, 1))
        score = low * high
        first = slice(0, quadratic.free_signs)
        if self.neurons_first:
            first = slice(quadratic.free_signs, None)
        elif not quadratic.free_signs:
            first = slice(None)
        kept = np.full(len(score), -1.0)
        kept[first] = score[first]
        return kept
