"""The best witness of a run: points are certified, and better ones are looked for."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import numpy as np

from lipc.certify import Certifier, Regions, Witness
from lipc.compiler import Compiled
from lipc.ir import Conditional, Floats, Norm, Sense, evaluate, pullback
from lipc.search.ascent import LARGEST_LP, ascend

NUDGES = (8, 16, 24, 32)
"""A point on a kink is moved by these powers of 1/2 of the way towards a random one."""

SAMPLES = 256
"""Points of the domain among which a large value is looked for."""

CLIMBS = 20
"""Linear pieces that a climb to a large value may cross."""

BEYOND = 1e-6
"""How far a climb goes beyond the end of a piece, as a part of the way to it."""


def certified_near(certifier: Certifier, x: Floats, random: np.random.Generator) -> Witness | None:
    """Return the certificate of a point, or of one near it if it is a kink; `None` if there is none."""
    witness = certifier.witness(x)
    for power in NUDGES if witness is None else ():
        target = certifier.inside.sample(random, 1)[0]
        witness = witness or certifier.witness(x + 2.0**-power * (target - x))
    return witness


class Witnesses:
    """Points that were certified, of which the best is kept.

    Parameters
    ----------
    regions
        Of the patterns of the question.
    gap
        A climb ends where it gains no more than this, relatively.
    seed
        Of the moves away from kinks.
    on_best
        Takes the value of each witness that is better than all before, in the sense of a maximization.
    """

    def __init__(
        self, compiled: Compiled, regions: Regions, gap: float, seed: int, on_best: Callable[[float], None]
    ) -> None:
        self.compiled, self.regions, self.gap, self.on_best = compiled, regions, gap, on_best
        self.certifier = Certifier(compiled.asked)
        self.objective = self.certifier.objective
        self.sign = 1.0 if self.objective.sense is Sense.MAXIMIZE else -1.0
        self.random = np.random.default_rng(seed)
        self.best: Witness | None = None

    @property
    def norm(self) -> Norm:
        """The norm of a Lipschitz question."""
        return self.objective.lipschitz.norm if self.objective.lipschitz else Norm.LINF

    @property
    def output_norm(self) -> Norm:
        """The norm of the outputs of a Lipschitz question."""
        return self.objective.lipschitz.output_norm if self.objective.lipschitz else Norm.LINF

    def start(self, deadline: float) -> None:
        """Find the first witness by local search."""
        point = self._start_point(deadline)
        self.offer(point)
        if self.objective.lipschitz is None:
            self.polish(point, deadline)

    def _start_point(self, deadline: float) -> Floats:
        """Return a point with a large gradient, or a large value."""
        if self.objective.lipschitz is not None:
            return ascend(self.compiled.reduced, self.norm, deadline=deadline, output_norm=self.output_norm).x
        points = self.certifier.inside.sample(np.random.default_rng(0), SAMPLES)
        values = evaluate(self.compiled.asked, {self.certifier.input: points})[self.compiled.asked.result][:, 0]
        return np.asarray(points[int(np.argmax(self.sign * values))])

    def offer(self, x: Floats) -> None:
        """Certify a point, or one near it if it is a kink, and keep it if it is the best."""
        witness = certified_near(self.certifier, x, self.random)
        if witness is not None and (self.best is None or self.sign * witness.value > self.sign * self.best.value):
            self.best = witness
            self.on_best(self.sign * witness.value)

    def polish(self, x: Floats, deadline: float = np.inf) -> None:
        """Climb from one linear piece of the output to the next, by a linear program over the region of each."""
        program = self.compiled.asked
        conditionals = list(program.find(Conditional))
        if sum(program.ops[value].size for value in conditionals) * len(x) > LARGEST_LP:
            return
        reached = -np.inf
        for _ in range(CLIMBS):
            values = evaluate(program, {self.certifier.input: x[None, :]})
            value = self.sign * float(values[program.result][0, 0])
            if value <= reached + self.gap * abs(reached) or monotonic() > deadline:
                return
            reached = value
            gradient = self.sign * pullback(program, values, np.ones((1, 1)), self.certifier.input)[0]
            point = self.regions.steepest({bits: values[bits][0] > 0 for bits in conditionals}, gradient)
            if point is None:
                return
            self.offer(point)
            # A little beyond the region, where the next piece begins.
            x = self.regions.domain.clip(point + BEYOND * (point - x))
