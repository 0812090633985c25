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

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from lipc.bounds.rounding import UNDERFLOW, UNIT
from lipc.bounds.unrolled import Unrolled
from lipc.errors import QueryError
from lipc.ir import Floats

FREE = -1
"""The state of a neuron that is neither on (1) nor off (0); a sign that is not fixed is 0."""

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
class Quadratic:
    """What is left of a derivative when some signs and neurons are decided: ``n`` free entries, signs first.

    Parameters
    ----------
    signs, switches
        The free signs, indices of inputs; and the free switches, indices of switches.
    links
        Shape ``(n, n)``: column ``k`` is ``d_k``, where ``u_k d_k'y = u_k z_k`` says that a neuron is on or off; for a
        sign the unit vector.
    shifts
        z, shape ``(n,)``: 0 for signs.
    weights, constant
        The objective: ``constant + weights @ y``.
    slack
        Beyond the objective, for rounding in all of these.
    """

    signs: NDArray[np.int64]
    switches: NDArray[np.int64]
    links: Floats
    shifts: Floats
    weights: Floats
    constant: float
    slack: float

    @property
    def free_signs(self) -> int:
        """The number of free signs."""
        return len(self.signs)

    def largest(self) -> float:
        """Return the largest objective when no switch is free, rounded up: the norm of a gradient."""
        size = float(np.abs(self.weights).sum())
        error = (len(self.weights) + 8) * UNIT * (abs(self.constant) + size) + self.slack
        return float(np.nextafter(self.constant + size + error, np.inf))

    def select(self, multipliers: Floats, inputs: int) -> Floats:
        """Return the multipliers of the free entries, from those of all inputs and switches."""
        return np.concatenate([multipliers[self.signs], multipliers[inputs + self.switches]])

    def spread(self, chosen: Floats, multipliers: Floats, inputs: int) -> Floats:
        """Return all multipliers, with those of the free entries replaced."""
        spread = multipliers.copy()
        spread[self.signs] = chosen[: self.free_signs]
        spread[inputs + self.switches] = chosen[self.free_signs :]
        return spread


def restrict(
    unrolled: Unrolled, objective: Floats, slack: float, direction: Floats, states: NDArray[np.int8]
) -> Quadratic:
    """Return what is left when signs and neurons are decided.

    Parameters
    ----------
    objective
        Shape ``(n + s,)``: weights of the direction and of the switches.
    slack
        Of this objective.
    direction
        Shape ``(n,)``: v where it is decided, NaN where it may be anything from -1 to 1.
    states
        Shape ``(bits,)``: 0, 1, or `FREE`.
    """
    inputs = unrolled.inputs
    state = states[unrolled.bits]
    free_signs = np.flatnonzero(np.isnan(direction))
    direction = np.where(np.isnan(direction), 0.0, direction)
    free = np.flatnonzero((state == FREE) & _reachable(unrolled, objective, state))
    width = len(free_signs) + len(free)
    received = np.zeros((unrolled.switches, width + 1))
    received[:, : len(free_signs)] = unrolled.direct[:, free_signs]
    received[:, width] = unrolled.direct @ direction
    passed = np.zeros_like(received)
    passed[free, len(free_signs) + np.arange(len(free))] = 1.0
    for depth, level in enumerate(unrolled.levels):
        if depth:
            received[level] += unrolled.through[level] @ passed
        on = level[state[level] == 1]
        passed[on] = received[on]
    total = objective[inputs:] @ passed
    total[: len(free_signs)] += objective[free_signs]
    total[width] += objective[:inputs] @ direction
    links = np.eye(width)
    links[:, len(free_signs) :] -= received[free, :width].T
    shifts = np.concatenate([np.zeros(len(free_signs)), received[free, width]])
    return Quadratic(free_signs, free, links, shifts, total[:width].copy(), float(total[width]), slack)


def _reachable(unrolled: Unrolled, objective: Floats, state: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which switches the objective depends on."""
    needed = objective[unrolled.inputs :] != 0
    for level in reversed(unrolled.levels):
        users = level[needed[level] & (state[level] != 0)]
        needed |= (unrolled.through[users] != 0).any(axis=0)
    return np.asarray(needed & (state != 0))


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
        self, start: Point, target: float, *, steps: int = STEPS, last: float = LAST_BARRIER, give_up: bool = False
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
        """
        best = point = start
        barrier = BARRIER
        for _ in range(steps):
            if best.value <= target:
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

    def without(self, point: Point, probes: Probes, entry: int, *, high: bool) -> float:
        """Return a proven bound of the objective where one entry is decided: `high` is on, or a sign of 1."""
        is_sign = entry < self.quadratic.free_signs
        if is_sign or not high:
            row, way, side = np.eye(1, self.size, entry)[0], probes.inverse[:, entry], 0.0
            side = (1.0 if high else -1.0) if is_sign else 0.0
            square = probes.inverse[entry, entry]
        else:
            row, way = self.quadratic.links[:, entry], probes.linked[:, entry]
            side, square = float(self.quadratic.shifts[entry]), probes.double[entry, entry]
        pull = -2 * (row @ point.y - side) / square
        y = point.y + 0.5 * pull * way
        bounds = self.bounds(
            point.multipliers, point.matrix, y[:, None], (pull * row)[:, None], np.array([pull * side])
        )
        return float(bounds[0])


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


def least_bound(unrolled: Unrolled, quadratic: Quadratic, target: float = -np.inf) -> tuple[float, Floats]:
    """Return a proven bound of the objective from a cold start, and its multipliers of all inputs and switches.

    Parameters
    ----------
    target
        Less is not of interest.

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
    point = sdp.minimize(start, target)
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
