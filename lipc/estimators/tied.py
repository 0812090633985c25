"""The SDP bound in closed form (see `lipc.bounds.sdp`) with multipliers that are tied together, and over the l_2 ball.

Every choice of multipliers is a certificate, so those of a layer may be one number (LipSDP-layer), and of the l_2 ball
only ``v'v <= 1`` is known, which has one multiplier r for all directions: r stands in place of ``sum r``. F is convex
in the numbers that are left, and Newton's method with the same barrier finds them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize

from lipc.bounds.quadratic import Quadratic
from lipc.bounds.rounding import UNDERFLOW, UNIT
from lipc.bounds.sdp import BARRIER, LONGEST, SHORTEST, STEPS, Point, Sdp, first_multipliers
from lipc.bounds.unrolled import Unrolled
from lipc.errors import QueryError
from lipc.estimators.base import Limits, RefusedError
from lipc.ir import Floats

GRADIENT_STEPS = 40
"""Of the first-order method, for each weight of its barrier."""

GRADIENT_BARRIERS = (0.5, 0.05, 0.005)
"""These weights: shares of the bound, divided by how many numbers there are."""

LARGEST_LOGARITHM = 50.0
"""Numbers change by no more than the exponential of this for one weight."""

LAST_BARRIER = 1e-6
"""The weight of the barrier at the end: its share of the bound, divided by how many numbers there are."""

CENTERED = 1.0
"""The barrier is lowered where Newton's decrement, in units of its weight, is below this: farther from the central path
Q comes near to singular while F is not yet small, and steps become short."""

REFUSED = 1e6
"""Where Q is not positive definite F counts as so many times what it was at first."""


@dataclass(frozen=True, eq=False)
class Tied:
    """What the multipliers of a quadratic's free entries are made of.

    Parameters
    ----------
    groups
        Shape ``(n,)``: the number that each multiplier equals.
    ball
        Whether directions lie in the ball of l_2, rather than in the cube; they are group 0 then, and nothing else is.
    """

    groups: NDArray[np.int64]
    ball: bool

    @staticmethod
    def of(quadratic: Quadratic, *, ball: bool, layers: NDArray[np.int64] | None = None) -> Tied:
        """Return free multipliers, but for those of directions in a ball and, if given, those of a layer.

        Parameters
        ----------
        layers
            Shape ``(s,)``: the layer of each switch, from 0 on.
        """
        signs = quadratic.free_signs
        first = np.zeros(signs, np.int64) if ball else np.arange(signs)
        count = 1 if ball and signs else len(first)
        switches = np.arange(len(quadratic.switches))
        if layers is not None:
            _, switches = np.unique(layers[quadratic.switches], return_inverse=True)
        return Tied(np.concatenate([first, count + switches]).astype(np.int64), ball)

    @property
    def count(self) -> int:
        """The number of numbers."""
        return int(self.groups.max(initial=-1)) + 1

    def gather(self, gradient: Floats, signs: int) -> Floats:
        """Return the gradient of the bound by the numbers from that of F by the multipliers."""
        gathered = np.bincount(self.groups, gradient, self.count)
        if self.ball and signs:
            gathered[0] -= signs - 1
        return np.asarray(gathered)

    def gather_both(self, hessian: Floats) -> Floats:
        """Return the Hessian by the numbers."""
        if self.count == len(self.groups):  # each its own, in order
            return hessian
        order = np.argsort(self.groups, kind="stable")
        starts = np.searchsorted(self.groups[order], np.arange(self.count))
        half = np.add.reduceat(hessian[order], starts, axis=0)
        return np.asarray(np.add.reduceat(half[:, order], starts, axis=1))


class TiedSdp:
    """The bound of one quadratic as a function of the numbers that its multipliers are made of."""

    def __init__(self, quadratic: Quadratic, tied: Tied) -> None:
        self.sdp = Sdp(quadratic)
        self.quadratic = quadratic
        self.tied = tied

    def at(self, numbers: Floats) -> tuple[Point, float] | None:
        """Return F and the bound as computed; `None` where Q is not proven to be positive definite."""
        point = self.sdp.at(numbers[self.tied.groups])
        return None if point is None else (point, point.value - self._spared(numbers))

    def _spared(self, numbers: Floats) -> float:
        """Return by how much less than ``sum r`` the ball takes."""
        signs = self.quadratic.free_signs
        return float((signs - 1) * numbers[0]) if self.tied.ball and signs else 0.0

    def certify(self, numbers: Floats) -> float:
        """Return a proven upper bound of the objective; infinite where Q is not proven to be positive definite."""
        at = self.at(numbers)
        if at is None:
            return np.inf
        spared = self._spared(numbers) * (1 - 4 * UNIT)
        less = replace(self.quadratic, constant=float(np.nextafter(self.quadratic.constant - spared, np.inf)))
        # y is that of a matrix a little below Q: one step of refinement, or its residual is paid for by the least
        # eigenvalue, which is much where multipliers are far apart.
        point, linear = at[0], self.quadratic.weights + at[0].multipliers * self.quadratic.shifts
        correction, _ = lapack.dpotrs(point.factor, 0.5 * linear - point.matrix @ point.y, lower=1)
        guesses = np.stack([point.y, point.y + correction], axis=1)
        return float(Sdp(less).bounds(point.multipliers, point.matrix, guesses).min())

    def first(self, unrolled: Unrolled) -> Floats:
        """Return numbers to begin with, after `lipc.bounds.sdp.first_multipliers` at the best scale.

        Raises
        ------
        RefusedError
            If the network's numbers are too far apart.
        """
        try:
            every = first_multipliers(unrolled, self.quadratic)
        except QueryError as error:
            raise RefusedError(error.message, hint="naive or autolip") from None
        multipliers = self.quadratic.select(every, unrolled.inputs)
        numbers = np.zeros(self.tied.count)
        np.maximum.at(numbers, self.tied.groups, multipliers)
        return self.best_scale(numbers)

    def best_scale(self, numbers: Floats) -> Floats:
        """Return the multiple of some numbers at which the bound is least: it is ``s t + alpha / t`` and a constant."""
        at = self.at(numbers)
        if at is None:
            raise RefusedError("the network's numbers are too far apart for the SDP bound", hint="naive or autolip")
        point, _ = at
        halves = np.stack([self.quadratic.weights, point.multipliers * self.quadratic.shifts], axis=1)
        solved, _ = lapack.dpotrs(point.factor, 0.25 * halves, lower=1)
        alpha = float(halves[:, 0] @ solved[:, 0])
        taken = float(halves[:, 1] @ solved[:, 1]) + self._taken(numbers)
        return numbers * float(np.sqrt(alpha / taken)) if alpha > 0 and taken > 0 else numbers

    def _taken(self, numbers: Floats) -> float:
        signs = self.quadratic.free_signs
        return float(numbers[self.tied.groups[:signs]].sum()) - self._spared(numbers)

    def minimize(self, start: Floats, limits: Limits, last: float = LAST_BARRIER, target: float = -np.inf) -> Floats:
        """Return the best numbers from a start, by Newton's method; at once when the bound is at the target."""
        at = self.at(start)
        assert at is not None, "the start is valid"
        (point, value), numbers = at, start
        best = (value, start)
        barrier = BARRIER
        for _ in range(2 * STEPS):
            if best[0] <= target or monotonic() > limits.deadline:
                break
            weight = barrier * max(abs(value - self.quadratic.constant), UNDERFLOW) / self.tied.count
            moved, decrement = self._step(numbers, point, value, weight)
            if moved is None:
                if barrier <= last:
                    break
                barrier = max(0.1 * barrier, last)
                continue
            numbers, point, value = moved
            best = min(best, (value, numbers), key=lambda pair: pair[0])
            if decrement < CENTERED * weight:
                if barrier <= last:
                    break
                barrier = max(0.1 * barrier, last)
        return best[1]

    def _step(
        self, numbers: Floats, point: Point, value: float, weight: float
    ) -> tuple[tuple[Floats, Point, float] | None, float]:
        """Return the next numbers with their bound, and by how much less Newton's model has the merit."""
        full_gradient, full_hessian = self.sdp.derivatives(point, weight)
        gradient = self.tied.gather(full_gradient, self.quadratic.free_signs) * numbers
        hessian = self.tied.gather_both(full_hessian) * numbers * numbers[:, None]
        diagonal = np.diag(hessian)
        hessian.flat[:: len(numbers) + 1] = diagonal + 1e-14 * diagonal.mean()
        factor, failed = lapack.dpotrf(hessian, lower=1)
        if failed:
            return None, 0.0
        relative, _ = lapack.dpotrs(factor, -gradient, lower=1)
        decrement = float(-gradient @ relative)
        merit = value - weight * _log_det(point)
        step = min(1.0, LONGEST / max(float(np.abs(relative).max()), UNDERFLOW))
        while step > SHORTEST:
            moved = numbers * (1 + step * relative)
            there = self.at(moved)
            if there is not None:
                new = there[1] - weight * _log_det(there[0])
                if new <= merit - 0.1 * step * decrement + 1e-12 * abs(merit):
                    return (moved, *there), decrement
            step *= 0.5
        return None, 0.0

    def descend(self, start: Floats, limits: Limits, steps: int = GRADIENT_STEPS) -> Floats:
        """Return better numbers than a start by a first-order method.

        The bound with its barrier is smooth in the logarithms of the numbers, and a gradient costs one factorization
        and one inverse: ``1 - y_j^2`` for a direction, ``y_k (z_k'y - y_k)`` for a neuron, and the barrier's part.
        """
        first = self.at(start)
        assert first is not None, "the start is valid"
        best: list[Any] = [first[1], start]
        for share in GRADIENT_BARRIERS:
            weight = share * max(abs(best[0] - self.quadratic.constant), UNDERFLOW) / self.tied.count
            if not self._descend(best, weight, limits, steps):
                break
        return np.asarray(best[1])

    def _descend(self, best: list[Any], weight: float, limits: Limits, steps: int) -> bool:
        """Improve a bound and its numbers with one weight of the barrier; return whether there was time for it."""
        start = best[1]
        ceiling = REFUSED * max(abs(best[0]), 1.0)

        def merit(logarithms: Floats) -> tuple[float, Floats]:
            if monotonic() > limits.deadline:
                raise StopIteration
            numbers = start * np.exp(np.clip(logarithms, -LARGEST_LOGARITHM, LARGEST_LOGARITHM))
            at = self.at(numbers)
            if at is None:
                return ceiling, np.zeros_like(start)
            point, value = at
            if value < best[0]:
                best[:] = [value, numbers]
            half, _ = lapack.dpotri(point.factor, lower=1)
            links = self.quadratic.links
            inverse = half + half.T - np.diag(np.diag(half))
            gradient = point.y * (self.quadratic.shifts - links.T @ point.y)
            gradient -= weight * np.einsum("kj,jk->k", inverse, links)
            gradient[: self.quadratic.free_signs] += 1.0
            return value - weight * _log_det(point), self.tied.gather(gradient, self.quadratic.free_signs) * numbers

        try:
            minimize(merit, np.zeros_like(start), jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxcor": 20})
        except StopIteration:
            return False
        return True


def _log_det(point: Point) -> float:
    size = len(point.y)
    return float(2 * np.log(point.factor.flat[:: size + 1]).sum())
