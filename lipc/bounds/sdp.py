"""The SDP bound of a derivative in closed form, and the multipliers that make it small.

Maximize ``w'u`` where ``u_k = a_k q_k`` for bits ``a_k`` and ``v_j^2 <= 1``. At every such point
``u_k (q_k - u_k) = 0``, so with multipliers r and l of these constraints, ``y = (v, u)``:

    w'u  <=  sum r + b'y - y'Qy  <=  F(r, l) = sum r + b'Q^{-1}b / 4

whenever the symmetric matrix Q, which is linear in (r, l), is positive definite. So every (r, l) is a certificate; the
best one is the bound of Fazlyab et al. (LipSDP, 2019) and Wang et al. (GeoLIP, 2022) for l_inf. F is convex and smooth,
and Newton's method with a barrier for ``Q > 0`` takes a few factorizations. What is decided is substituted: a direction
that is fixed is a constant, a neuron that is off is 0, one that is on is its ``q_k``.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

import numpy as np
from scipy.linalg import lapack

from lipc.bounds.quadratic import Quadratic
from lipc.bounds.rounding import UNDERFLOW, UNIT
from lipc.bounds.unrolled import Unrolled
from lipc.errors import QueryError
from lipc.ir import Floats

BARRIER = 0.05
"""The weight of the barrier at first: its share of the bound, divided by the number of multipliers."""

LAST_BARRIER = 1e-4
"""The same at the end: the best multipliers are missed by about this part."""

STEPS = 60
"""Newton steps at most."""

LONGEST = 0.7
"""A step changes no multiplier by more than this part of it."""

SMALLEST, GREATEST = 1e-200, 1e200
"""Traces of Q outside of these are refused: proofs would have to count underflow and overflow."""

SHORTEST = 1e-6
"""A step shortened to this part of Newton's leads nowhere."""

GROWTHS = (1.1, 2.0, 4.0, 16.0, 256.0)
"""By how much more than needed multipliers grow from one level of switches to the one before, at first."""


@dataclass(frozen=True, eq=False)
class Point:
    """F at some multipliers of a quadratic.

    Parameters
    ----------
    multipliers
        Shape ``(n,)``, of the free signs and switches.
    matrix, factor
        Q, and the Cholesky factor of a matrix a little below it.
    y
        Shape ``(n,)``: where the quadratic is largest.
    value
        F, as computed; see `Sdp.certify`.
    """

    multipliers: Floats
    matrix: Floats
    factor: Floats
    y: Floats
    value: float


class Sdp:
    """The bound F of one quadratic."""

    def __init__(self, quadratic: Quadratic) -> None:
        self.quadratic = quadratic
        self.size = len(quadratic.weights)
        self.magnitudes = np.abs(quadratic.links)

    def at(self, multipliers: Floats) -> Point | None:
        """Return F at some multipliers, shape ``(n,)``; `None` where Q is not proven to be positive definite."""
        if not (multipliers > 0).all():
            return None
        product = self.quadratic.links * multipliers
        matrix = 0.5 * (product + product.T)
        trace = float(matrix.flat[:: self.size + 1].sum())
        if not SMALLEST < trace < GREATEST:
            return None
        # A Cholesky factorization that runs to its end proves that the least eigenvalue is above minus
        # (n + 1) u trace / (1 - ...) (Rump, "Verification of positive definiteness", 2006). Rounding in Q itself is at
        # most 6 u trace: of two mirrored entries of the product one is 0. Twice all that is taken away.
        shift = (self.size + 16) * UNIT * trace
        below = matrix.copy()
        below.flat[:: self.size + 1] -= shift
        factor, failed = lapack.dpotrf(below, lower=1, clean=1, overwrite_a=1)
        if failed:
            return None
        linear = self._linear(multipliers)
        y, _ = lapack.dpotrs(factor, 0.5 * linear, lower=1)
        value = self.quadratic.constant + multipliers[: self.quadratic.free_signs].sum() + 0.5 * (linear @ y)
        return Point(multipliers, matrix, factor, y, float(value))

    def certify(self, point: Point) -> float:
        """Return a proven upper bound of the objective, F up to rounding."""
        return float(self.bounds(point.multipliers, point.matrix, point.y[:, None])[0])

    def _linear(self, multipliers: Floats) -> Floats:
        return self.quadratic.weights + multipliers * self.quadratic.shifts

    def bounds(
        self, multipliers: Floats, matrix: Floats, y: Floats, pull: Floats | None = None, sides: Floats | None = None
    ) -> Floats:
        """Return proven upper bounds of the objective from guesses of where the quadratic is largest.

        With ``rho = b / 2 - Q y`` the largest value of ``b'x - x'Qx`` is ``b'y - y'Qy + rho'Q^{-1}rho``, and the last
        summand is at most ``|rho|^2`` by the least eigenvalue.

        Parameters
        ----------
        y
            Shape ``(n, k)``.
        pull, sides
            Shapes ``(n, k)`` and ``(k,)``: weights added to the objective, and what they add up to at every point that
            is asked about: multipliers of a linear equation.
        """
        quadratic, size = self.quadratic, self.size
        linear = np.repeat(self._linear(multipliers)[:, None], y.shape[1], axis=1)
        size_linear = np.abs(quadratic.weights) + np.abs(multipliers * quadratic.shifts)
        sizes = np.repeat(size_linear[:, None], y.shape[1], axis=1)
        taken = np.zeros(y.shape[1])
        if pull is not None and sides is not None:
            linear, sizes, taken = linear + pull, sizes + np.abs(pull), sides
        magnitudes = self.magnitudes * multipliers
        magnitudes = 0.5 * (magnitudes + magnitudes.T)
        image, away = matrix @ y, np.abs(y)
        reach = magnitudes @ away
        unit = (size + 8) * UNIT
        residual = np.abs(0.5 * linear - image) + unit * (sizes + reach) + UNDERFLOW
        least = 0.5 * (size + 16) * UNIT * float(np.trace(matrix))  # half of the shift (see `at`)
        plus = multipliers[: quadratic.free_signs].sum()
        value = quadratic.constant + plus - taken + (linear * y).sum(axis=0) - (y * image).sum(axis=0)
        absolute = (
            abs(quadratic.constant) + plus + np.abs(taken) + (sizes * away).sum(axis=0) + (away * reach).sum(axis=0)
        )
        beyond = ((residual / np.sqrt(least)) ** 2).sum(axis=0)  # so that no square underflows
        error = 4 * unit * absolute + 1.01 * beyond + quadratic.slack + UNDERFLOW
        return np.asarray(np.nextafter(value + error, np.inf))

    def derivatives(self, point: Point, barrier: float) -> tuple[Floats, Floats]:
        """Return the gradient and the Hessian of ``F - barrier log det Q`` by the multipliers."""
        inverse, linked, double = self.products(point)
        free_signs, y = self.quadratic.free_signs, point.y
        rest = self.quadratic.shifts - self.quadratic.links.T @ y
        gradient = y * rest - barrier * linked.flat[:: self.size + 1]
        gradient[:free_signs] += 1.0
        mixed = rest[:, None] * linked * y
        hessian = 0.5 * (rest[:, None] * inverse * rest - mixed - mixed.T + y[:, None] * double * y)
        hessian += (0.5 * barrier) * (inverse * double + linked * linked.T)
        return gradient, hessian

    def products(self, point: Point) -> tuple[Floats, Floats, Floats]:
        """Return P, P D and D'P D for the inverse P of Q and the links D."""
        half, _ = lapack.dpotri(point.factor, lower=1)
        inverse = half + half.T  # both halves; the diagonal twice
        inverse.flat[:: self.size + 1] *= 0.5
        linked = inverse @ self.quadratic.links
        return inverse, linked, self.quadratic.links.T @ linked

    def minimize(
        self,
        start: Point,
        target: float,
        *,
        steps: int = STEPS,
        last: float = LAST_BARRIER,
        give_up: bool = False,
        deadline: float = np.inf,
    ) -> Point:
        """Return the best point found from a start, at once when F is no more than the target.

        Parameters
        ----------
        steps
            At most.
        last
            The last weight of the barrier, as `LAST_BARRIER`.
        give_up
            Stop as soon as F will not come down to the target; what it comes down to is not of interest then.
        deadline
            The time of `time.monotonic` at which to return what there is.
        """
        best = point = start
        barrier = BARRIER
        for _ in range(steps):
            if best.value <= target or monotonic() > deadline:
                break
            weight = barrier * max(abs(point.value - self.quadratic.constant), UNDERFLOW) / self.size
            moved, decrement = self._step(point, weight)
            if moved is None:
                break
            point = moved
            best = point if point.value < best.value else best
            # On the central path the best F is less by the weight times the number of multipliers at most.
            reach = weight * self.size
            if give_up and point.value - reach - 2 * decrement > target:
                break
            if decrement < 0.3 * reach:
                if barrier <= last:
                    break
                barrier = max(0.1 * barrier, last)
        return best

    def _step(self, point: Point, weight: float) -> tuple[Point | None, float]:
        """Return the next point, and by how much less Newton's model has it."""
        gradient, hessian = self.derivatives(point, weight)
        scale = point.multipliers
        scaled = hessian * scale * scale[:, None]
        diagonal = scaled.flat[:: self.size + 1]
        scaled.flat[:: self.size + 1] = diagonal + 1e-14 * diagonal.mean()
        factor, failed = lapack.dpotrf(scaled, lower=1)
        if failed:
            return None, 0.0
        relative, _ = lapack.dpotrs(factor, -gradient * scale, lower=1)
        decrement = float(-(gradient * scale) @ relative)
        merit = point.value - 2 * weight * np.log(point.factor.flat[:: self.size + 1]).sum()
        length = min(1.0, LONGEST / max(float(np.abs(relative).max()), UNDERFLOW))
        while length > SHORTEST:
            moved = self.at(scale * (1 + length * relative))
            if moved is not None:
                new = moved.value - 2 * weight * np.log(moved.factor.flat[:: self.size + 1]).sum()
                if new <= merit - 0.1 * length * decrement + 1e-12 * abs(merit):
                    return moved, decrement
            length *= 0.5
        return None, 0.0

    def lowest(self, multipliers: Floats, target: float, steps: int) -> Point | None:
        """Return `minimize` from some multipliers, which gives up where F will not come down to the target.

        Returns
        -------
        Point or None
            `None` where Q is not proven to be positive definite for the first multipliers.
        """
        start = self.at(multipliers)
        return None if start is None else self.minimize(start, target, steps=steps, give_up=True)

    def probe(self, point: Point) -> Probes:
        """Return what every single decision would do to the bound at the same multipliers."""
        inverse, linked, double = self.products(point)
        free_signs, y = self.quadratic.free_signs, point.y
        diagonal = np.diag(inverse)
        signs = slice(0, free_signs)
        rest = self.quadratic.links.T @ y - self.quadratic.shifts
        high = rest**2 / np.diag(double)
        low = y**2 / diagonal
        high[signs] = (1 - y[signs]) ** 2 / diagonal[signs]
        low[signs] = (1 + y[signs]) ** 2 / diagonal[signs]
        violation = np.abs(point.multipliers * y * rest)
        violation[signs] = point.multipliers[signs] * (1 - y[signs] ** 2)
        return Probes(high, low, violation, inverse, linked, double)

    def without(self, point: Point, probes: Probes, room: float) -> Floats:
        """Return proven bounds of the objective where one entry is decided, for all that may bring more than `room`.

        Returns
        -------
        array of shape ``(2, n)``
            High, that is on or a sign of 1, and low; infinite where less is expected.
        """
        bounds = np.full((2, self.size), np.inf)
        high, low = np.flatnonzero(probes.high > room), np.flatnonzero(probes.low > room)
        if not len(high) and not len(low):
            return bounds
        free_signs, unit = self.quadratic.free_signs, np.eye(self.size)
        on = high >= free_signs
        rows = np.concatenate([np.where(on, self.quadratic.links[:, high], unit[:, high]), unit[:, low]], axis=1)
        ways = np.concatenate(
            [np.where(on, probes.linked[:, high], probes.inverse[:, high]), probes.inverse[:, low]], 1
        )
        squares = np.where(on, np.diag(probes.double)[high], np.diag(probes.inverse)[high])
        squares = np.concatenate([squares, np.diag(probes.inverse)[low]])
        sides = np.concatenate([np.where(on, self.quadratic.shifts[high], 1.0), np.where(low < free_signs, -1.0, 0.0)])
        pull = -2 * (point.y @ rows - sides) / squares
        y = point.y[:, None] + 0.5 * pull * ways
        proven = self.bounds(point.multipliers, point.matrix, y, pull * rows, pull * sides)
        bounds[0, high], bounds[1, low] = proven[: len(high)], proven[len(high) :]
        return bounds


@dataclass(frozen=True, eq=False)
class Probes:
    """By how much less the bound would be with one entry decided, shapes ``(n,)``, and what that is computed from.

    Parameters
    ----------
    high, low
        A neuron on or off; a sign 1 or -1.
    violation
        By how much the constraint of an entry misses, times its multiplier.
    inverse, linked, double
        P, P D and D'P D, see `Sdp.products`.
    """

    high: Floats
    low: Floats
    violation: Floats
    inverse: Floats
    linked: Floats
    double: Floats


def least_bound(
    unrolled: Unrolled, quadratic: Quadratic, target: float = -np.inf, deadline: float = np.inf
) -> tuple[float, Floats]:
    """Return a proven bound of the objective from a cold start, and its multipliers of all inputs and switches.

    Parameters
    ----------
    target
        Less is not of interest.
    deadline
        The time of `time.monotonic` at which to return what there is.

    Raises
    ------
    QueryError
        As `first_multipliers`.
    """
    if not len(quadratic.switches):
        return quadratic.largest(), np.ones(unrolled.inputs + unrolled.switches)
    multipliers = first_multipliers(unrolled, quadratic)
    sdp = Sdp(quadratic)
    start = sdp.at(quadratic.select(multipliers, unrolled.inputs))
    assert start is not None, "first multipliers are valid"
    point = sdp.minimize(start, target, deadline=deadline)
    return sdp.certify(point), quadratic.spread(point.multipliers, multipliers, unrolled.inputs)


def first_multipliers(unrolled: Unrolled, quadratic: Quadratic) -> Floats:
    """Return multipliers of all inputs and switches with a positive definite Q, to begin with.

    Level by level from the last one each is larger than the next by the square of the norm between them.

    Raises
    ------
    QueryError
        If rounding leaves no such matrix.
    """
    for growth in GROWTHS:
        multipliers = np.ones(unrolled.inputs + unrolled.switches)
        weight = 1.0
        for level in reversed(unrolled.levels):
            multipliers[unrolled.inputs + level] = weight
            rows = np.concatenate([unrolled.direct[level], unrolled.through[level]], axis=1)
            weight *= growth * max(float(np.linalg.norm(rows, 2)) ** 2, 1e-6)
        multipliers[: unrolled.inputs] = weight
        sdp = Sdp(quadratic)
        chosen = quadratic.select(multipliers, unrolled.inputs)
        point = sdp.at(chosen)
        if point is not None:
            return multipliers * _best_scale(quadratic, point)
    raise QueryError("the network's numbers are too far apart for the SDP bound", hint="--search mip")


def _best_scale(quadratic: Quadratic, point: Point) -> float:
    """Return the factor of the multipliers at which the bound is least: it is ``s t + alpha / t`` and constants."""
    halves = np.stack([quadratic.weights, point.multipliers * quadratic.shifts], axis=1)
    solved, _ = lapack.dpotrs(point.factor, 0.25 * halves, lower=1)
    alpha, gamma = float(halves[:, 0] @ solved[:, 0]), float(halves[:, 1] @ solved[:, 1])
    total = gamma + float(point.multipliers[: quadratic.free_signs].sum())
    return float(np.sqrt(alpha / total)) if alpha > 0 and total > 0 else 1.0
