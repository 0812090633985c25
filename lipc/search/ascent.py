"""Find a good pattern fast: sample points, then flip one neuron of the best pattern at a time.

The norm of the gradient depends on the pattern alone, so the value of every flip is known from one batched backward
pass; a linear program decides only for those that would improve whether the flipped pattern has a region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from lipc.certify import Bits, Regions
from lipc.ir import Conditional, Floats, Norm, Program, evaluate, pullback

SAMPLES = 2000
SEED = 20
STARTS = 4
"""Sampled points from which the flipping starts."""

BLOCK_NUMBERS = 8_000_000
"""Numbers held at a time by a batched evaluation."""


@dataclass(frozen=True, eq=False)
class Found:
    """A point and the norm of the gradient there, in floating point."""

    x: Floats
    value: float


def ascend(program: Program, norm: Norm, *, deadline: float, stop: Callable[[], bool] = lambda: False) -> Found:
    """Return a point of the domain at which the dual norm of the gradient is large.

    Parameters
    ----------
    program
        A network of one input, without a Jacobian; for a result of several entries the largest norm counts.
    deadline
        The time of `time.monotonic` at which to return what there is; one batch of samples is always taken.
    stop
        Asked now and then; true: return.
    """
    search = _Search(program, norm)
    starts = search.sample(np.random.default_rng(SEED))
    best = starts[0]
    if not any(search.sizes.values()):
        return best
    for start in starts[:STARTS]:
        for found in search.climb(start):
            if found.value > best.value:
                best = found
            if monotonic() > deadline or stop():
                return best
    return best


class _Search:
    """Gradients of one network at many points or patterns."""

    def __init__(self, program: Program, norm: Norm) -> None:
        self.program = program
        self.norm = norm
        self.regions = Regions(program)
        self.input, self.domain = program.network_input()
        self.sizes = {value: program.ops[value].size for value in program.find(Conditional)}
        self.outputs = program.ops[program.result].size

    def sample(self, random: np.random.Generator) -> list[Found]:
        """Return sampled points, best first: half of them uniform, half on the boundary of the box."""
        widest = sum(op.size for op in self.program.ops)
        count = int(np.clip(BLOCK_NUMBERS // (widest * self.outputs), 8, SAMPLES))
        share = random.random((count, self.domain.size))
        share[: count // 2] = np.round(share[: count // 2]) * (1 - 2e-6) + 1e-6
        points = self.domain.clip(self.domain.lower + share * (self.domain.upper - self.domain.lower))
        values = evaluate(self.program, {self.input: points})
        norms = self._norms(values, count)
        order = np.argsort(-norms, kind="stable")
        return [Found(points[k], float(norms[k])) for k in order]

    def _norms(self, values: list[Floats], count: int) -> Floats:
        """Return the dual norm of the gradient for each row of the values' bits, the largest over the outputs."""
        norms: Floats = np.zeros(count)
        for output in range(self.outputs):
            cotangent = np.zeros((count, self.outputs))
            cotangent[:, output] = 1.0
            gradients = pullback(self.program, values, cotangent, self.input)
            norms = np.maximum(norms, self.norm.dual_of(gradients))
        return norms

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

    def _bits_at(self, x: Floats) -> dict[int, NDArray[np.bool_]]:
        values = evaluate(self.program, {self.input: x[None, :]})
        return {value: values[value][0] > 0 for value in self.sizes}

    def _flips(self, bits: Bits, current: float) -> list[tuple[dict[int, NDArray[np.bool_]], float]]:
        """Return the patterns one flip away whose gradient is larger than `current`, the largest first."""
        places = [(value, entry) for value, size in self.sizes.items() for entry in range(size)]
        choices = {value: np.repeat(bits[value][None, :], len(places), axis=0) for value in self.sizes}
        for row, (value, entry) in enumerate(places):
            choices[value][row, entry] ^= True
        reals = {value: array.astype(np.float64) for value, array in choices.items()}
        reals[self.input] = np.zeros((len(places), self.domain.size))
        norms = self._norms(evaluate(self.program, reals), len(places))
        better = np.flatnonzero(norms > current * (1 + 1e-12))
        order = better[np.argsort(-norms[better], kind="stable")]
        return [({value: array[k] for value, array in choices.items()}, float(norms[k])) for k in order]
