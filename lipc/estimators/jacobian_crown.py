"""Linear bounds propagated through the backward graph, and a branch and bound over the neurons on top of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from time import monotonic
from typing import ClassVar

import numpy as np

from lipc.bounds import linear_bounds
from lipc.bounds.interval import bits_of, intersect
from lipc.certify import Bits, Certifier, Conflict, Regions, Witness
from lipc.certify.witness import reach_of
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.estimators.gradients import Cotangents, upper_of
from lipc.ir import Affine, Builder, Conditional, Floats, Interval, Norm, Origin, Program, Switch
from lipc.passes.jacobian import gradient_program

Place = tuple[int, int]
"""A conditional, and an entry of it."""

Fixed = Mapping[Place, bool]
"""Bits that a node assumes."""

CLOSED = 1e-6
"""The relative gap at which a branch and bound ends."""


@dataclass(frozen=True)
class JacobianCrown(Estimator):
    """Linear bound propagation on the backward graph.

    The norm of the gradient is a node of the graph: for l_inf the sum of magnitudes is bounded as a whole, for l_1 and
    l_2 each entry. Any network and domain.

    The branch and bound fixes bits of neurons. Where all of them are decided there is a pattern, which counts only if
    its region has an interior: a linear program decides, with a proof in exact arithmetic. So it ends with the exact
    constant, given time.

    Parameters
    ----------
    nodes
        Nodes of the branch and bound at most; 0: none.
    """

    name: ClassVar[str] = "jacobian-crown"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = (
        "Shi et al., Efficiently Computing Local Lipschitz Constants of Neural Networks via Bound Propagation, "
        "NeurIPS 2022, sections 3 and 4"
    )
    nodes: int = 0

    def __post_init__(self) -> None:
        if self.nodes < 0:
            raise RefusedError(f"jacobian-crown cannot look at {self.nodes} nodes", hint="0, or more")

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the bound; with `nodes`, that of the open nodes, and of kind ``exact`` if a witness attains it.

        Raises
        ------
        RefusedError
            If time is up before every output has its bound.
        """
        norm = question_of(program).norm
        search = BranchAndBound(program.with_bounds({}), limits)
        if self.nodes:
            search.run(self.nodes)
        note = search.cotangents.note
        if not self.nodes:
            return Estimate(search.upper, norm.symbol, note=note)
        counted = f"{search.nodes} nodes, {len(search.conflicts)} refuted patterns"
        kind = Kind.EXACT if search.is_closed else None
        note = f"{note}; {counted}" if note else counted
        return Estimate(search.upper, norm.symbol, kind=kind, witness=search.best, note=note)


@dataclass(frozen=True, eq=False)
class Bounded:
    """What linear bounds say of a node: its bound, and the bounds of values; `None` if it is proven to be empty."""

    upper: float
    bounds: dict[int, Interval] | None


class Objective:
    """The dual norm of the gradient of one weighted sum of the outputs.

    Parameters
    ----------
    program
        A network with a Lipschitz question.
    cotangent
        Shape ``(m,)``: the weights.
    """

    def __init__(self, program: Program, cotangent: Floats) -> None:
        self.norm = question_of(program).norm
        self.gradient = gradient_program(program, cotangent)
        self.program = self.gradient
        if self.norm is Norm.LINF:
            builder = Builder(self.gradient.ops)
            builder.origin = Origin("sign")
            magnitude = builder.abs(self.gradient.result)
            builder.origin = Origin("norm")
            self.program = builder.program(builder.affine({magnitude: np.ones((1, builder.size(magnitude)))}))

    def bound(self, known: Mapping[int, Interval]) -> Bounded:
        """Return a bound of the norm where values lie within known bounds, by linear bounds."""
        with np.errstate(invalid="ignore"):  # of what is empty nothing has a meaning
            found = linear_bounds(self.program.with_bounds(known))
        if any((interval.lower > interval.upper).any() for interval in found.values()):
            return Bounded(-np.inf, None)
        upper = upper_of(found[self.gradient.result], self.norm)
        if self.norm is Norm.LINF:
            upper = min(upper, float(found[self.program.result].upper[0]))
        return Bounded(upper, found)


@dataclass(order=True)
class Node:
    """An open node, those with the largest bounds first."""

    order: tuple[float, int]
    objective: int = field(compare=False)
    fixed: dict[Place, bool] = field(compare=False)
    bounds: dict[int, Interval] = field(compare=False)

    @property
    def upper(self) -> float:
        """Its proven bound."""
        return -self.order[0]


class BranchAndBound:
    """Best-first search over the bits of neurons, for every extreme c of a question at once.

    Attributes
    ----------
    best
        The witness with the largest value.
    nodes
        How many were bounded.
    conflicts
        Bits that hold together nowhere, proven.
    """

    def __init__(self, program: Program, limits: Limits) -> None:
        self.program, self.limits = program, limits
        self.cotangents = Cotangents.of(program)
        self.best: Witness | None = None
        self.nodes = 0
        self.conflicts: list[Conflict] = []
        self.open: list[Node] = []
        self._order = count()
        self._regions: Regions | None = None
        self._certifier: Certifier | None = None
        self.input, _ = program.network_input()
        self.conditionals = list(program.find(Conditional))
        self.objectives: list[Objective] = []
        roots: list[float] = []
        for row in self.cotangents.rows:
            if roots and monotonic() > limits.deadline:
                raise RefusedError(f"time was up after {len(roots)} of {len(self.cotangents.rows)} bounds of outputs")
            self.objectives.append(Objective(program, row))
            roots.append(self._push(len(roots), {}, {}, np.inf))
        self.closed = 0.0  # the largest bound of what is no longer looked at
        self.root = self.cotangents.join(roots)

    @property
    def upper(self) -> float:
        """A proven bound of the constant."""
        if self.cotangents.summed:
            return self.root
        return min(self.root, max(self.closed, self.open[0].upper if self.open else 0.0))

    @property
    def lower(self) -> float:
        """What a witness attains."""
        return self.best.value if self.best is not None else 0.0

    @property
    def is_closed(self) -> bool:
        """Whether the witness attains the bound within the gap."""
        return self.best is not None and self.upper <= self.lower * (1 + CLOSED)

    def run(self, most: int) -> None:
        """Search until the pair is closed, or nodes or time are used up."""
        self._regions = Regions(self.program, deadline=self.limits.deadline)
        self._certifier = Certifier(self.program)
        if self.cotangents.summed:
            return
        self._offer(self._certifier.inside.point)
        while self.open and self.nodes < most and monotonic() < self.limits.deadline and not self.is_closed:
            node = heappop(self.open)
            place = self._choose(node) or self._settle(node)
            if place is not None:
                for bit in (True, False):
                    self._push(node.objective, {**node.fixed, place: bit}, node.bounds, node.upper)

    def _push(self, objective: int, fixed: dict[Place, bool], before: Mapping[int, Interval], limit: float) -> float:
        """Bound a node and open it, unless it is empty; return its bound."""
        if self._refuted(fixed):
            return 0.0
        self.nodes += 1
        found = self.objectives[objective].bound(self._known(fixed, before))
        if found.bounds is None:
            return 0.0
        upper = max(0.0, min(found.upper, limit))
        if upper <= self.lower and fixed:
            self.closed = max(self.closed, upper)
            return upper
        # Of a node only the bounds of the pre-activations are kept: its children start from them.
        kept = {operand: found.bounds[operand] for operand in self._operands()}
        heappush(self.open, Node((-upper, next(self._order)), objective, fixed, kept))
        return upper

    def _operands(self) -> list[int]:
        return [self.program.ops[value].operands[0] for value in self.conditionals]

    def _known(self, fixed: Fixed, before: Mapping[int, Interval]) -> dict[int, Interval]:
        """Return the bounds of pre-activations with the bits of a node: each on its side of 0."""
        known = dict(before)
        for operand in self._operands():
            size = self.program.ops[operand].size
            lower, upper = np.full(size, -np.inf), np.full(size, np.inf)
            for (value, entry), bit in fixed.items():
                if self.program.ops[value].operands[0] == operand:
                    (lower if bit else upper)[entry] = 0.0
            side = Interval(lower, upper)
            known[operand] = intersect(known[operand], side) if operand in known else side
        return known

    def _bits(self, node: Node) -> dict[int, Interval]:
        """Return the bits of a node: those that its bounds decide, and those that it assumes."""
        bits = {value: bits_of(node.bounds[self.program.ops[value].operands[0]]) for value in self.conditionals}
        lower = {value: interval.lower.copy() for value, interval in bits.items()}
        upper = {value: interval.upper.copy() for value, interval in bits.items()}
        for (value, entry), bit in node.fixed.items():
            lower[value][entry] = upper[value][entry] = float(bit)
        return {value: Interval(lower[value], upper[value]) for value in bits}

    def _choose(self, node: Node) -> Place | None:
        """Return the undecided neuron that may move the gradient most; `None` if there is none.

        That is measured by the sum of absolute products on all ways from the input to the neuron, times that on all
        ways from it to the output.
        """
        bits = self._bits(node)
        able = {value: interval.upper > 0 for value, interval in bits.items()}
        reach = reach_of(self.program, able, self.input)
        effect = self._effect(able)
        best: tuple[float, Place] | None = None
        for value, interval in bits.items():
            operand = self.program.ops[value].operands[0]
            if operand not in reach:
                continue
            weight = np.where(interval.lower < interval.upper, reach[operand] * effect.get(value, 0.0), 0.0)
            entry = int(np.argmax(weight))
            if weight[entry] > 0 and (best is None or weight[entry] > best[0]):
                best = float(weight[entry]), (value, entry)
        return best and best[1]

    def _effect(self, able: Bits) -> dict[int, Floats]:
        """Return, for each conditional, the sum of absolute products on the ways from its switches to the outputs."""
        ops = self.program.ops
        after: dict[int, Floats] = {self.program.result: np.ones(ops[self.program.result].size)}
        effect: dict[int, Floats] = {}
        for value in range(self.program.result, self.input, -1):
            op, here = ops[value], after.get(value)
            if here is None:
                continue
            if isinstance(op, Affine):
                for term in op.terms:
                    added = abs(term.matrix).T @ here
                    after[term.operand] = after[term.operand] + added if term.operand in after else added
            elif isinstance(op, Switch):
                effect[op.bit] = effect[op.bit] + here if op.bit in effect else here
                passed = here * able[op.bit]
                after[op.operand] = after[op.operand] + passed if op.operand in after else passed
        return effect

    def _settle(self, node: Node) -> Place | None:
        """Close a node whose bits are decided where they matter: its pattern has a region, or none, or that is unknown.

        Returns
        -------
        Place or None
            A neuron that is to be decided all the same: without its bit the pattern is not refuted.
        """
        assert self._regions is not None
        bits = self._bits(node)
        region = self._regions.widest({value: interval.upper > 0 for value, interval in bits.items()}, prove=True)
        if region.point is not None:
            self._offer(region.point)
        if region.conflict is None:
            self.closed = max(self.closed, node.upper)
            return None
        for value, (entries, _) in region.conflict.bits.items():
            free = entries[bits[value].lower[entries] < bits[value].upper[entries]]
            if len(free):
                return value, int(free[0])
        self.conflicts.append(region.conflict)
        return None

    def _refuted(self, fixed: Fixed) -> bool:
        """Return whether bits are known not to hold together on any open set."""
        return any(
            all(
                fixed.get((value, entry)) is bit
                for value, (entries, bits) in conflict.bits.items()
                for entry, bit in zip(entries.tolist(), bits.tolist(), strict=True)
            )
            for conflict in self.conflicts
        )

    def _offer(self, x: Floats) -> None:
        assert self._certifier is not None
        witness = self._certifier.witness(x)
        # The first counts even if it is no more than 0, which `lower` begins with: of a constant network it is exact.
        if witness is not None and (self.best is None or witness.value > self.lower):
            self.best = witness
