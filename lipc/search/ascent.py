"""Find a good pattern fast: sample points, walk from kink to kink, then flip one neuron of the best pattern at a time.

A walk costs a batch of gradients per step. The norm of the gradient depends on the pattern alone, so the value of every
flip is known from one batched backward pass; a linear program decides only for those that would improve whether the
flipped pattern has a region.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.points import Inside
from lipc.certify import Regions
from lipc.ir import Conditional, Floats, Lipschitz, Norm, Program, evaluate, pullback
from lipc.ir.norms import climb_signs
from lipc.search.crossing import crossings

SAMPLES = 2000
SEED = 20
WALKS = 8
"""Sampled points from which walks start."""

CLIMBS = 3
"""Ends of walks from which the flipping starts, and sampled points from which it starts."""

LARGEST_LP = 4_000_000
"""Neurons times inputs up to which a region is worth a (dense) linear program during a search."""

LP_NUMBERS = 1_000_000
"""Neurons times inputs over all linear programs of a search: a budget that does not go by the clock."""

BLOCK_NUMBERS = 8_000_000
"""Numbers held at a time by a batched evaluation."""


Pattern = dict[int, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Found:
    """A point and the norm of the gradient there, in floating point."""

    x: Floats
    value: float


def ascend(program: Program, norm: Norm, *, deadline: float, output_norm: Norm = Norm.LINF) -> Found:
    """Return a point of the domain at which the norm of the Jacobian is large.

    Parameters
    ----------
    program
        A network of one input, without a Jacobian.
    norm, output_norm
        Of the input; and of a result of several entries: the largest counts, or their sum.
    deadline
        The time of `time.monotonic` at which to return what there is; one batch of samples is always taken.
    """
    search = PatternSearch(program, Lipschitz(norm, output_norm), deadline)
    starts = search.sample(np.random.default_rng(SEED))
    best = starts[0]
    neurons = sum(search.sizes.values())
    if not neurons or neurons * search.domain.size > LARGEST_LP:
        return best
    ends = sorted((search.walk(start) for start in starts[:WALKS]), key=lambda end: -end.value)
    best = ends[0]
    climbs = chain.from_iterable(search.climb(start) for start in [*ends[:CLIMBS], *starts[:CLIMBS]])
    for found in islice(climbs, max(1, LP_NUMBERS // (neurons * search.domain.size))):
        if found.value > best.value:
            best = found
        if monotonic() > deadline:
            break
    return best


class PatternSearch:
    """Gradients of one network at many points or patterns.

    Parameters
    ----------
    program
        A network of one input, without a Jacobian.
    deadline
        The time of `time.monotonic` after which nothing better is found any more.
    """

    def __init__(self, program: Program, question: Lipschitz, deadline: float) -> None:
        self.program = program
        self.question = question
        self.deadline = deadline
        self.regions = Regions(program, deadline=deadline)
        self.input, self.domain = program.network_input()
        self.inside = Inside(self.domain)
        self.sizes = {value: program.ops[value].size for value in program.find(Conditional)}
        self.outputs = program.ops[program.result].size

    def sample(self, random: np.random.Generator) -> list[Found]:
        """Return sampled points of the domain, best first: half of them near its boundary."""
        count = min(self._rows_at_a_time(), SAMPLES)
        points = self.inside.sample(random, count)
        values = evaluate(self.program, {self.input: points})
        norms = self._norms(values, count)
        order = np.argsort(-norms, kind="stable")
        return [Found(points[k], float(norms[k])) for k in order]

    def at(self, x: Floats) -> Found:
        """Return a point with the norm there."""
        return Found(x, float(self._norms(evaluate(self.program, {self.input: x[None]}), 1)[0]))

    def _rows_at_a_time(self) -> int:
        """Return how many points or patterns are evaluated together."""
        jacobian = self.outputs * self.domain.size if self.question.output_norm is Norm.L1 else 0
        return max(8, BLOCK_NUMBERS // (sum(op.size for op in self.program.ops) + jacobian))

    def _norms(self, values: list[Floats], count: int) -> Floats:
        """Return the norm of the Jacobian for each row of the values' bits; in l_1 perhaps a lower one."""
        norm = self.question.norm
        if self.question.output_norm is Norm.L1 and self.outputs > 1:
            jacobians = np.stack([self._gradients(values, count, output) for output in range(self.outputs)], axis=1)
            return norm.dual_of(np.einsum("km,kmn->kn", climb_signs(jacobians, norm), jacobians))
        norms: Floats = np.zeros(count)
        for output in range(self.outputs):
            norms = np.maximum(norms, norm.dual_of(self._gradients(values, count, output)))
        return norms

    def _gradients(self, values: list[Floats], count: int, output: int) -> Floats:
        """Return the gradient of one output for each row of the values' bits, shape ``(count, n)``."""
        cotangent = np.zeros((count, self.outputs))
        cotangent[:, output] = 1.0
        return pullback(self.program, values, cotangent, self.input)

    def walk(self, start: Found) -> Found:
        """Go from a point to the best one beyond a kink around it, as long as that is better."""
        current, better = start, self._beyond_kinks(start.x)
        while better is not None and better.value > current.value * (1 + 1e-9):
            current, better = better, self._beyond_kinks(better.x)
        return current

    def _beyond_kinks(self, x: Floats) -> Found | None:
        """Return the best point just beyond a kink around a point, or far beyond it; `None` without kinks or time."""
        values = evaluate(self.program, {self.input: x[None]})
        operands = {self.program.ops[bits].operands[0]: None for bits in self.sizes}
        slopes = [
            pullback(self.program, values, np.eye(self.program.ops[value].size), self.input, of=value)
            for value in operands
        ]
        heights = np.concatenate([values[value][0] for value in operands])
        points = crossings(x, heights, np.concatenate(slopes), self.domain.lower, self.domain.upper)
        points = points[: self._rows_at_a_time()]
        if not len(points) or monotonic() > self.deadline:
            return None
        if not self.domain.is_box:
            points = self.domain.clip(x + self.inside.pulled(points, x)[:, None] * (points - x))
        norms = self._norms(evaluate(self.program, {self.input: points}), len(points))
        best = int(np.argmax(norms))
        return Found(points[best], float(norms[best]))

    def climb(self, start: Found) -> Iterator[Found]:
        """Yield what is known after each linear program; every change is an improvement."""
        current = start
        bits = self._bits_at(start.x)
        refused: set[bytes] = set()
        improved = True
        while improved:
            improved = False
            for pattern, value in self._flips(bits, current.value):
                key = b"".join(np.packbits(pattern[name]).tobytes() for name in sorted(pattern))
                if key in refused:
                    continue
                point = self.regions.widest(pattern).point
                refused.add(key)
                if point is not None:
                    current, bits, improved = Found(point, value), pattern, True
                yield current
                if improved:
                    break

    def _bits_at(self, x: Floats) -> Pattern:
        values = evaluate(self.program, {self.input: x[None, :]})
        return {value: values[value][0] > 0 for value in self.sizes}

    def _flips(self, bits: Pattern, current: float) -> Iterator[tuple[Pattern, float]]:
        """Yield the patterns one flip away whose gradient is larger than `current`, the largest first."""
        places = [(value, entry) for value, size in self.sizes.items() for entry in range(size)]
        norms = np.zeros(len(places))
        step = self._rows_at_a_time()
        for first in range(0, len(places), step):
            if monotonic() > self.deadline:
                return
            block = places[first : first + step]
            norms[first : first + step] = self._norms(self._flipped(bits, block), len(block))
        better = np.flatnonzero(norms > current * (1 + 1e-12))
        for place in better[np.argsort(-norms[better], kind="stable")].tolist():
            value, entry = places[place]
            flipped = {**bits, value: bits[value].copy()}
            flipped[value][entry] ^= True
            yield flipped, float(norms[place])

    def _flipped(self, bits: Pattern, places: list[tuple[int, int]]) -> list[Floats]:
        """Return values of which the bits are those of a pattern, in row ``k`` with the entry ``places[k]`` flipped."""
        values: list[Floats] = [np.zeros((1, 0)) for _ in self.program.ops]
        for value in self.sizes:
            values[value] = np.repeat(bits[value][None, :].astype(np.float64), len(places), axis=0)
        for row, (value, entry) in enumerate(places):
            values[value][row, entry] = 1.0 - values[value][row, entry]
        return values
