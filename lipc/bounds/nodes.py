"""Branch and bound over the bits of a program: nodes fix bits of its linear relaxation, whose bounds are proven.

What is common to the search for the answer (`lipc.solving.safe`) and to that for the bound of one value
(`lipc.bounds.extremes`): the relaxation of a node, the choice of the bit to branch on, and the order of the nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.relaxation import Relaxation
from lipc.ir import Conditional, Floats, Input, Kind

INTEGRAL = 1e-6
"""A proposed point whose bits are this near to 0 or 1 is a pattern."""

CHOICE_WEIGHT = 1e6
"""Of the bits of an input, which choose among outputs or entries: before any neuron."""

Fixed = dict[int, bool]
"""Columns of bits, and what they are fixed to."""


class BitNodes:
    """The linear relaxation of a program with some of its bits fixed for a while.

    Parameters
    ----------
    relaxation
        Whoever tightens it makes new nodes.
    values
        The conditionals, and inputs of bits, to branch on.

    Attributes
    ----------
    bits
        The columns that may be fixed.
    count
        How many linear programs were solved.
    """

    def __init__(self, relaxation: Relaxation, values: Iterable[int]) -> None:
        self.relaxation = relaxation
        self.weight = np.ones(len(relaxation.lower))
        columns = [np.zeros(0, np.int64), *map(self._columns_of, values)]
        self.bits: NDArray[np.int64] = np.concatenate(columns)
        self.home = {column: (relaxation.lower[column], relaxation.upper[column]) for column in self.bits.tolist()}
        self.set: Fixed = {}
        self.count = 0

    def _columns_of(self, value: int) -> NDArray[np.int64]:
        """Return the columns of a value, and weigh them: by how much a bit that is neither 0 nor 1 lets go."""
        first, op = self.relaxation.first, self.relaxation.program.ops[value]
        places = np.arange(first[value], first[value + 1])
        if isinstance(op, Conditional):
            known = self.relaxation.bounds_of(op.operand)
            self.weight[places] = np.minimum(-known.lower, known.upper).clip(1e-9)
        elif isinstance(op, Input) and op.kind is Kind.BIT:
            self.weight[places] = CHOICE_WEIGHT
        return places

    def bound(
        self, fixed: Fixed, value: int, entry: int, direction: int, seconds: float = np.inf
    ) -> tuple[float, Floats | None]:
        """Return a proven upper bound of ``direction`` times an entry with bits fixed, and the point proposed.

        Returns
        -------
        float, array or None
            Minus infinity: nothing is left of the node, which is proven. No point if the solver found none.
        """
        if any(not self.home[column][0] <= one <= self.home[column][1] for column, one in fixed.items()):
            return -np.inf, None
        self._fix(fixed)
        self.count += 1
        found, point = self.relaxation.extreme(value, entry, -direction, seconds)
        if point is None and self.relaxation.is_refuted():
            return -np.inf, None
        return direction * found, point

    def release(self) -> None:
        """Leave the relaxation as it was found."""
        self._fix({})

    def _fix(self, fixed: Fixed) -> None:
        for column in self.set.keys() - fixed.keys():
            self.relaxation.fix(column, *self.home[column])
        for column, one in fixed.items():
            if self.set.get(column) != one:
                self.relaxation.fix(column, float(one), float(one))
        self.set = dict(fixed)

    def free(self, fixed: Fixed) -> list[int]:
        """Return the bits that a node leaves open."""
        return [
            column
            for column in self.bits.tolist()
            if column not in fixed and self.home[column][0] < self.home[column][1]
        ]

    def undecided(self, free: list[int], point: Floats) -> int | None:
        """Return the bit to branch on of those that a point leaves between 0 and 1; None if it leaves none."""
        away = np.array([min(point[column], 1 - point[column]) for column in free])
        if not len(free) or away.max() <= INTEGRAL:
            return None
        return free[int(np.argmax(np.minimum(away, 0.5) * self.weight[free]))]


def split(fixed: Fixed, column: int, value: float) -> list[Fixed]:
    """Return the two children of a node at a bit, first that to which the bit is nearer."""
    first = bool(value > 0.5)
    return [{**fixed, column: first}, {**fixed, column: not first}]


class Tree:
    """Open nodes in the order of their bounds, the largest first, and from each one down to its better child.

    Parameters
    ----------
    branch
        Returns what a node splits into, the best first, and a proven upper bound of it. What it closes, that is splits
        into nothing, no longer counts here.
    """

    def __init__(self, branch: Callable[[Fixed], tuple[list[Fixed], float]]) -> None:
        self.branch = branch
        self._order = count()
        self._open: list[tuple[float, int, Fixed]] = []
        self._current = -np.inf
        self._push(np.inf, {})

    @property
    def bound(self) -> float:
        """A proven upper bound of all that is open: minus infinity if nothing is."""
        return max(self._current, self._open_bound)

    @property
    def _open_bound(self) -> float:
        return -self._open[0][0] if self._open else -np.inf

    def plunge(self, is_over: Callable[[], bool]) -> None:
        """Follow the better child of each node, and keep the others for later; `bound` is valid at any time."""
        # The bound first, the node after: an interrupt in between loses nothing.
        self._current = self._open_bound
        node: Fixed | None = heappop(self._open)[2]
        while node is not None:
            if is_over():
                self._push(self._current, node)
                break
            children, bound = self.branch(node)
            for child in children[1:]:
                self._push(min(bound, self._current), child)
            self._current = min(bound, self._current)
            node = children[0] if children else None
        self._current = -np.inf

    def _push(self, bound: float, fixed: Fixed) -> None:
        heappush(self._open, (-bound, next(self._order), fixed))
