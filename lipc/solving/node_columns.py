"""Nodes of the branch and bound as bounds of the columns of a question's mixed-integer program in forward mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from lipc.compiler import Compiled
from lipc.errors import QueryError
from lipc.evidence import FREE as COLUMN
from lipc.ir import Conditional, Floats, Input, Kind, Norm
from lipc.mip import bit_columns
from lipc.passes.run import Trail
from lipc.search.branching import BranchAndBound
from lipc.search.nodes import Node
from lipc.solving.correspondence import BitMap

FORWARD = "leave out --mode, or name the pass jacobian{mode=forward}"


class NodeColumns:
    """What the decisions of nodes are as columns.

    Parameters
    ----------
    compiled
        The question, in forward mode.
    tree
        The search over its `reduced_exactly`.

    Raises
    ------
    QueryError
        If the question is not in forward mode.
    """

    def __init__(self, compiled: Compiled, tree: BranchAndBound) -> None:
        self.compiled, self.tree = compiled, tree
        self.jacobian = _Columns(compiled)
        exact = compiled.exact_trail
        rest = Trail(exact.program, compiled.trail.steps[len(exact.steps) :])
        numbers: dict[int, list[int]] = {}
        for number, (value, _) in enumerate(tree.unrolled.places):
            numbers.setdefault(value, []).append(number)
        places = {value: np.array(each, np.int64) for value, each in numbers.items()}
        columns = BitMap(exact.program, rest, bit_columns(compiled.mip)).codes
        self.columns = np.array([columns[value][entry] for value, entry in tree.unrolled.places])
        self.bits = BitMap(compiled.asked, exact, places)

    def of(self, node: Node) -> tuple[Floats, Floats] | None:
        """Return the bounds of all columns where a node's decisions hold; `None` if they contradict each other."""
        mip = self.compiled.mip
        low, high = mip.column_lower.copy(), mip.column_upper.copy()
        fixed = [*self._objective(node), *self._neurons_fixed(node)]
        for place, column in self.jacobian.directions:
            side = node.direction[place % len(node.direction)]
            if self.tree.norm is Norm.L1:
                # The direction is the difference of two vectors, one for each sign, whose entries add up to 1.
                taken = side == (1.0 if place < len(node.direction) else -1.0)
                low[column] = high[column] = high[column] if taken else 0.0
            elif not np.isnan(side):
                low[column] = high[column] = high[column] if side > 0 else low[column]
        for code, one in fixed:
            if np.isnan(code):
                continue
            bit, wanted = _column(code), float(one)
            if bit is None:
                if code != wanted:
                    return None
                continue
            wanted = 1.0 - wanted if code < 0 else wanted
            if not low[bit] <= wanted <= high[bit]:
                return None
            low[bit] = high[bit] = wanted
        return low, high

    def _neurons_fixed(self, node: Node) -> Iterator[tuple[float, bool]]:
        """Yield the codes of the bits that are decided, and what to."""
        for number in np.flatnonzero(node.states >= 0).tolist():
            yield self.columns[number], bool(node.states[number])

    def _objective(self, node: Node) -> Iterator[tuple[float, bool]]:
        """Yield the codes of the bits that choose the objective: one output of several, or the signs of all but one."""
        chosen = self.output(node)
        if len(self.jacobian.outputs):
            yield from zip(self.jacobian.outputs.tolist(), (chosen > 0).tolist(), strict=True)
        else:
            yield from zip(self.jacobian.signs.tolist(), (chosen[1:] > 0).tolist(), strict=False)

    def output(self, node: Node) -> Floats:
        """Return the weights of the outputs of which a node is about."""
        return np.asarray(self.tree.weights[node.root])

    def neurons(self, node: Node) -> Iterator[tuple[int, int, bool]]:
        """Yield the decided neurons of the question as asked: the conditional, the entry, and whether it is on."""
        for value, codes in self.bits.codes.items():
            for entry, code in enumerate(codes.tolist()):
                if (number := _column(code)) is not None and node.states[number] >= 0:
                    yield value, entry, bool(node.states[number]) ^ (code < 0)


def check_forward(compiled: Compiled) -> None:
    """Refuse a question of which the Jacobian is not in forward mode.

    Raises
    ------
    QueryError
        That says so.
    """
    _Columns(compiled)


def _column(code: float) -> int | None:
    """Return the column that a code of `BitMap` stands for; `None` if the bit is decided, or does not matter."""
    if np.isnan(code) or 0 <= code < COLUMN:
        return None
    return int(code if code >= COLUMN else 1 - code) - COLUMN


class _Columns:
    """The columns of what the Jacobian added in forward mode.

    Attributes
    ----------
    directions
        Entries of the direction, in l_1 twice as many as inputs, and their columns.
    outputs, signs
        Codes as in `BitMap`: of the bits that choose one of several outputs; for outputs in l_1, of their signs.
    """

    def __init__(self, compiled: Compiled) -> None:
        steps = compiled.trail.steps
        made = next(at for at, step in enumerate(steps) if step.after.objective != compiled.asked.objective)
        program, first = steps[made].after, len(steps[made].before.ops)
        columns = {value: places.astype(np.float64) + COLUMN for value, places in bit_columns(compiled.mip).items()}
        codes = Trail(program, steps[made + 1 :]).recover(columns)

        def of(values: Iterable[int]) -> Floats:
            found = [codes.get(value, np.full(program.ops[value].size, np.nan)) for value in values if value >= first]
            return np.concatenate([np.zeros(0), *found])

        inputs = {value: op for value, op in enumerate(program.ops) if isinstance(op, Input)}
        direction = [value for value, op in inputs.items() if op.kind is Kind.REAL and value >= first]
        if not direction:
            raise QueryError("pieces are made of a Jacobian in forward mode", hint=FORWARD)
        places = enumerate(of(direction).tolist())
        self.directions = [(place, int(code) - COLUMN) for place, code in places if code >= COLUMN]
        self.outputs = of(value for value, op in inputs.items() if op.kind is Kind.BIT)
        self.signs = of(program.find(Conditional))
