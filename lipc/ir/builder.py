"""Write programs: one method per operation, and the piecewise-linear functions composed of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from lipc.ir.matrix import as_matrix, identity, scatter, selection
from lipc.ir.polytope import Floats, Polytope
from lipc.ir.program import (
    Affine,
    Conditional,
    Input,
    Interval,
    Kind,
    Objective,
    Op,
    Origin,
    Program,
    Switch,
    Term,
)


class Builder:
    """Append operations; every method returns the new value.

    ``origin`` may be set once before a run of calls: operations made without their own origin carry it.
    """

    def __init__(self, ops: tuple[Op, ...] = ()) -> None:
        self.ops: list[Op] = list(ops)
        self.origin = Origin("value")

    def size(self, value: int) -> int:
        """Return how many entries a value has."""
        return self.ops[value].size

    def append(self, op: Op) -> int:
        """Append a finished operation."""
        self.ops.append(op)
        return len(self.ops) - 1

    def input(self, domain: Polytope, kind: Kind = Kind.REAL, origin: Origin | None = None) -> int:
        """Append an input that ranges over a polytope."""
        return self.append(Input(origin or self.origin, domain, kind))

    def constant(self, value: ArrayLike) -> int:
        """Append a constant vector."""
        return self.append(Affine(self.origin, (), np.array(value, np.float64).reshape(-1)))

    def affine(
        self, terms: Mapping[int, ArrayLike | csr_array], bias: ArrayLike = 0.0, origin: Origin | None = None
    ) -> int:
        """Append ``sum(matrix @ operand) + bias``; `terms` maps operands to matrices, `bias` broadcasts."""
        summands = tuple(Term(operand, as_matrix(matrix)) for operand, matrix in terms.items())
        rows = summands[0].matrix.shape[0] if summands else np.size(bias)
        offset = np.array(np.broadcast_to(np.asarray(bias, np.float64), (rows,)))
        return self.append(Affine(origin or self.origin, summands, offset))

    def conditional(self, operand: int, origin: Origin | None = None) -> int:
        """Append the bits that say where the operand is positive."""
        return self.append(Conditional(origin or self.origin, operand, self.size(operand)))

    def switch(self, operand: int, bit: int, origin: Origin | None = None) -> int:
        """Append the product of a real value and bits."""
        return self.append(Switch(origin or self.origin, operand, bit, self.size(operand)))

    def linear(self, *summands: tuple[float | Floats, int], bias: ArrayLike = 0.0) -> int:
        """Append ``sum(scale * operand) + bias`` of values of one size; a scale is a number or one per entry."""
        terms: dict[int, csr_array] = {}
        for scale, operand in summands:
            matrix = identity(self.size(operand), scale)
            terms[operand] = terms[operand] + matrix if operand in terms else matrix
        return self.affine(terms, bias)

    def select(self, operand: int, entries: ArrayLike, fill: ArrayLike = 0.0) -> int:
        """Append entries of a value in a new order; where an index is negative stands the number `fill`."""
        chosen = np.asarray(entries, np.int64).reshape(-1)
        bias = np.where(chosen < 0, fill, 0.0)
        return self.affine({operand: selection(chosen, self.size(operand))}, bias)

    def relu(self, operand: int) -> int:
        """Append ``max(operand, 0)``."""
        return self.switch(operand, self.conditional(operand))

    def abs(self, operand: int) -> int:
        """Append ``|operand|`` as ``2 relu - operand``."""
        return self.linear((2.0, self.relu(operand)), (-1.0, operand))

    def leaky_relu(self, operand: int, slope: float | Floats) -> int:
        """Append ``operand`` where positive and ``slope * operand`` where negative."""
        return self.linear((1.0 - slope, self.relu(operand)), (slope, operand))

    def maximum(self, left: int, right: int) -> int:
        """Append the entrywise larger of two values, ``left + relu(right - left)``."""
        return self.linear((1.0, left), (1.0, self.relu(self.linear((1.0, right), (-1.0, left)))))

    def minimum(self, left: int, right: int) -> int:
        """Append the entrywise smaller of two values, ``left - relu(left - right)``."""
        return self.linear((1.0, left), (-1.0, self.relu(self.linear((1.0, left), (-1.0, right)))))

    def clip(self, operand: int, lower: ArrayLike, upper: ArrayLike) -> int:
        """Append ``min(max(operand, lower), upper)``; infinite limits cost nothing, crossed ones give `upper`.

        As ``lower + relu(operand - lower) - relu(operand - upper)``: both neurons read the operand itself.
        """
        size = self.size(operand)
        low = np.broadcast_to(np.asarray(lower, np.float64), (size,))
        high = np.broadcast_to(np.asarray(upper, np.float64), (size,))
        floor = np.minimum(low, high)
        raised, capped = np.flatnonzero(floor > -np.inf), np.flatnonzero(high < np.inf)
        if not len(raised) and not len(capped):
            return operand
        kept = np.arange(size)
        kept[raised] = -1
        terms = {operand: selection(kept, size)}
        if len(raised):
            terms[self._excess(operand, raised, floor)] = scatter(raised, size)
        if len(capped):
            terms[self._excess(operand, capped, high)] = -scatter(capped, size)
        return self.affine(terms, np.where(floor > -np.inf, floor, 0.0))

    def _excess(self, operand: int, chosen: NDArray[np.int64], limit: Floats) -> int:
        """Append ``relu(operand - limit)`` for the chosen entries."""
        return self.relu(self.affine({operand: selection(chosen, self.size(operand))}, -limit[chosen]))

    def maximum_of_groups(self, operand: int, groups: NDArray[np.int64]) -> int:
        """Append the largest entry of each group by a tournament.

        Parameters
        ----------
        groups
            Shape ``(n, k)``: row ``i`` lists the entries of group ``i``; a negative index is no entry.
            Each row holds at least one entry.
        """
        table = -np.sort(-np.asarray(groups, np.int64), axis=1)
        while table.shape[1] > 1:
            if table.shape[1] % 2:
                table = np.pad(table, ((0, 0), (0, 1)), constant_values=-1)
            left, right = table[:, 0::2], table[:, 1::2]
            size = self.size(operand)
            played = (left >= 0) & (right >= 0)
            gain = self.relu(self.affine({operand: selection(right[played], size) - selection(left[played], size)}))
            present = left >= 0
            place = np.full(left.shape, -1)
            place[played] = np.arange(int(played.sum()))
            operand = self.affine(
                {operand: selection(left[present], size), gain: selection(place[present], int(played.sum()))}
            )
            table = np.full(left.shape, -1)
            table[present] = np.arange(int(present.sum()))
        return self.select(operand, table[:, 0])

    def program(
        self, result: int, objective: Objective | None = None, bounds: Mapping[int, Interval] | None = None
    ) -> Program:
        """Return the finished program, verified."""
        from lipc.ir.verifier import verify

        program = Program(tuple(self.ops), result, objective).with_bounds(bounds or {})
        verify(program)
        return program
