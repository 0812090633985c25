"""Look for a near point of another class: steps by the linear piece at hand, then samples.

A quick attack, meant as the other side of a certified radius. At a point the margin over another class is a linear
function nearby, so the nearest point where it would vanish is known in closed form; from there the next piece is looked
at (as DeepFool does, Moosavi-Dezfooli et al. 2016, but always from the center). What is found is checked exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from time import monotonic

import numpy as np

from lipc.bounds.points import sample
from lipc.ir import Floats, Norm, Polytope, Program, evaluate, pullback
from lipc.ir.exact import ExactInterpreter, round_up

STEPS = 40
"""Pieces that one attack looks at."""

OVERSHOOT = 1e-3
"""Of a step, relatively: with less the next point lies on the boundary of the classes, or just before it."""

HALVINGS = 50
"""Of the way from the center to a point of another class."""

SAMPLES = 512
"""Points drawn about as far as the nearest one found."""

RESTARTS = 4
"""Of the samples, those of least margin from which the steps are tried again."""

WIDER = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Balls around the center in which points are drawn."""

SEED = 7


@dataclass(frozen=True, eq=False)
class Adversarial:
    """A point at which another output is at least as large, checked in exact arithmetic.

    Parameters
    ----------
    x
        Shape ``(n,)``.
    output
        The other output.
    distance
        From the center, rounded up.
    """

    x: Floats
    output: int
    distance: float


def distance(norm: Norm, x: Floats, center: Floats) -> Fraction:
    """Return the distance of two points in l_inf or l_1, exactly."""
    gaps = [abs(Fraction(a) - Fraction(b)) for a, b in zip(x.tolist(), center.tolist(), strict=True)]
    return max(gaps, default=Fraction(0)) if norm is Norm.LINF else sum(gaps, Fraction(0))


def attack(
    network: Program, label: int, norm: Norm, center: Floats, within: Polytope, reach: float, *, deadline: float
) -> Adversarial | None:
    """Return the nearest point found at which `label` is no longer the only largest output; `None`: none was found.

    Parameters
    ----------
    network
        Of one input; its objective and domain are not looked at.
    center
        Shape ``(n,)``: a point of that class.
    within
        A box that holds all points looked at.
    reach
        How far from the center to draw points first, if the steps lead nowhere.
    deadline
        The time of `time.monotonic` at which to return what there is.
    """
    search = _Attack(network, center, label, norm, within, deadline)
    search.step_from(center)
    for factor in WIDER:
        if search.best is None:
            search.sample(factor * reach)
    if search.best is not None:
        search.sample(search.best.distance * (1 - OVERSHOOT))
    return search.best


class _Attack:
    """The state of one attack: the nearest point found."""

    def __init__(
        self, network: Program, center: Floats, label: int, norm: Norm, within: Polytope, deadline: float
    ) -> None:
        self.network, self.center, self.label, self.norm = network, center, label, norm
        self.within, self.deadline = within, deadline
        self.input, _ = network.network_input()
        self.exact = ExactInterpreter(network)
        self.others = [each for each in range(network.ops[network.result].size) if each != label]
        self.best: Adversarial | None = None

    def step_from(self, x: Floats) -> None:
        """Attack every other output from a point; keep what is nearer than the best."""
        for other in self.others:
            for point in self._steps(x, other):
                if monotonic() > self.deadline:
                    return
                if self._margins(point[None])[0].min() <= 0:
                    self._keep(point)
                    break

    def sample(self, radius: float) -> None:
        """Draw points within a ball, and attack from those of least margin."""
        low = np.maximum(self.center - radius, self.within.lower)
        high = np.minimum(self.center + radius, self.within.upper)
        if not (low <= high).all() or monotonic() > self.deadline:
            return
        points = sample(Polytope.box(low, high), np.random.default_rng(SEED), SAMPLES)
        if self.norm is Norm.L1:
            lengths = np.abs(points - self.center).sum(axis=1, keepdims=True)
            points = self.center + (points - self.center) * np.minimum(1.0, radius / np.maximum(lengths, 1e-300))
        margins = self._margins(points).min(axis=1)
        for at in np.argsort(margins)[:RESTARTS].tolist():
            if margins[at] <= 0:
                self._keep(points[at])
            else:
                self.step_from(points[at])

    def _margins(self, points: Floats) -> Floats:
        """Return by how much the label's output exceeds the others, shape ``(points, others)``."""
        outputs = evaluate(self.network, {self.input: points})[self.network.result]
        return np.asarray(outputs[:, [self.label]] - outputs[:, self.others])

    def _steps(self, x: Floats, other: int) -> Iterator[Floats]:
        """Yield, from the linear piece at each point, the nearest one to the center that reaches another output."""
        size = self.network.ops[self.network.result].size
        cotangent = np.zeros((1, size))
        cotangent[0, [self.label, other]] = 1.0, -1.0
        for _ in range(STEPS):
            values = evaluate(self.network, {self.input: x[None]})
            slope = pullback(self.network, values, cotangent, self.input)[0]
            margin = float((values[self.network.result] @ cotangent[0])[0])
            needed = margin + slope @ (self.center - x)  # of the piece continued to the center
            step = self._shortest(slope, needed * (1 + OVERSHOOT)) if needed > 0 else None
            if step is None:
                return
            x = self.within.clip(self.center + step)
            yield x

    def _shortest(self, slope: Floats, needed: float) -> Floats | None:
        """Return the shortest step within the box on which ``slope @ step`` is ``-needed``, or as near as it gets."""
        room = np.where(slope > 0, self.center - self.within.lower, self.within.upper - self.center)
        used = np.flatnonzero((slope != 0) & (room > 0))
        if not len(used):
            return None
        rates, rooms = np.abs(slope[used]), room[used]
        if self.norm is Norm.LINF:
            order = np.argsort(rooms)
            rates, rooms = rates[order], rooms[order]
            spent = np.concatenate([[0.0], np.cumsum(rates * np.where(np.isfinite(rooms), rooms, 0.0))[:-1]])
            left = np.cumsum(rates[::-1])[::-1]  # the rate of those that have room still
            radius = (needed - spent) / left
            fits = np.flatnonzero(radius <= rooms)
            length = radius[fits[0]] if len(fits) else rooms[-1]
            sizes = np.minimum(rooms, length)
        else:
            order = np.argsort(-rates)
            rates, rooms = rates[order], rooms[order]
            rooms = np.minimum(rooms, needed / rates)
            before = np.concatenate([[0.0], np.cumsum(rates * rooms)[:-1]])
            sizes = np.clip((needed - before) / rates, 0.0, rooms)
        step = np.zeros(len(slope))
        step[used[order]] = -np.sign(slope[used[order]]) * sizes
        return step

    def _keep(self, x: Floats) -> None:
        """Move a point of another class towards the center as far as it stays one; keep it if it is the nearest."""
        near, far = 0.0, 1.0
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            if self._margins((self.center + middle * (x - self.center))[None])[0].min() <= 0:
                far = middle
            else:
                near = middle
        for part in (far, far * (1 + 1e-9), 1.0):
            point = self.within.clip(self.center + min(part, 1.0) * (x - self.center))
            gap = round_up(distance(self.norm, point, self.center))
            if self.best is not None and gap >= self.best.distance:
                return
            output = self._exceeding(point)
            if output is not None:
                self.best = Adversarial(point, output, gap)
                return

    def _exceeding(self, x: Floats) -> int | None:
        """Return the output that is largest at a point, if it is at least that of the label, exactly."""
        values = self.exact.evaluate(x)[self.network.result].fractions()
        largest = max(self.others, key=lambda each: values[each])
        return largest if values[largest] >= values[self.label] else None
