"""Better points from nodes: the pattern that a node's bound is largest at, and where in the domain it nearly holds.

The bound of a node is a quadratic whose maximizer y says what each neuron receives and passes on, so which state it is
nearer to. A linear program finds a point of the domain that has the node's states, and of the others as many as it can
of those that y leans to; from there the pattern search goes on (`lipc.search.ascent`). A look costs as much as some
tens of nodes, so it is taken when its cost is a small part of what the nodes have cost: both are counted, not timed.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from lipc.bounds.quadratic import Quadratic
from lipc.bounds.sdp import Point
from lipc.bounds.unrolled import Unrolled
from lipc.ir import Floats, Lipschitz, Program
from lipc.search.ascent import Found, PatternSearch
from lipc.search.conflicts import States
from lipc.search.possible import Possible

SHARE = 1 / 32
"""The part of the search that looks may cost."""

AT_FIRST = 32
"""What they may cost beyond that, in nodes: a first one comes early."""

WALK = 4
"""What a walk from kink to kink costs, in nodes; a linear program of the pattern search costs one."""

PROGRAMS = 20
"""Linear programs of the pattern search in one look."""


class Incumbents:
    """Looks for points of a large gradient near nodes.

    Parameters
    ----------
    program
        The network, with its question as the objective.
    deadline
        The time of `time.monotonic` at which a look ends.

    Attributes
    ----------
    spent
        What looks have cost, in nodes.
    """

    def __init__(self, program: Program, question: Lipschitz, unrolled: Unrolled, deadline: float) -> None:
        self.unrolled = unrolled
        self.search = PatternSearch(program, question, deadline)
        self.spent = 0

    def is_due(self, nodes: int) -> bool:
        """Return whether a look is worth its cost after so many nodes."""
        return self.spent + WALK + PROGRAMS <= AT_FIRST + SHARE * nodes

    def near(self, states: States, quadratic: Quadratic, point: Point, possible: Possible) -> Found | None:
        """Return the best point found from a node, and the norm of the gradient there; `None` if there is none."""
        self.spent += WALK
        x = possible.likely_point(states, self.lean(quadratic, point))
        if x is None:
            return None
        found = self.search.walk(self.search.at(x))
        for better in islice(self.search.climb(found), PROGRAMS):
            self.spent += 1
            found = better
        return found

    def lean(self, quadratic: Quadratic, point: Point) -> Floats:
        """Return how much each bit is nearer to being on, or off where that is negative: at most 1.

        A switch that receives q and passes on u violates "off" by ``u^2`` and "on" by ``(u - q)^2``, each times its
        multiplier.
        """
        received = quadratic.shifts + point.y - quadratic.links.T @ point.y
        nearer = (point.multipliers * received * (2 * point.y - received))[quadratic.free_signs :]
        lean = np.zeros(len(self.unrolled.places))
        np.add.at(lean, self.unrolled.bits[quadratic.switches], nearer)
        largest = float(np.abs(lean).max(initial=0.0))
        return lean / largest if 0 < largest < np.inf else np.zeros_like(lean)
