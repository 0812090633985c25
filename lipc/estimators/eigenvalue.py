"""Multipliers of the SDP bound by its eigenvalue form (LipDiff), whose steps take products with a matrix alone.

With t in place of ``1/4 b'Q^{-1}b`` the bound is ``sum r + t`` over all multipliers for which
``M = [[t, -b'/2], [-b/2, Q]]`` is positive semidefinite. Points of the primal problem have a bounded trace rho, so
``sum r + t + rho max(0, -least eigenvalue of M)`` has the same minimum, and no constraint (Wang et al., "On the
scalability and memory efficiency of semidefinite programs for Lipschitz constant estimation of neural networks", ICLR
2024). The least eigenvector is its gradient, and comes from some products with M.

Where the minimization ends Q need not be positive definite. It is made so by a share of multipliers for which it is: Q
is linear in them. What is returned are multipliers only; `lipc.estimators.tied.TiedSdp.certify` proves the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import numpy as np
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from lipc.bounds.unrolled import Unrolled
from lipc.estimators.base import Limits
from lipc.estimators.tied import TiedSdp
from lipc.ir import Floats

STEPS = 120
"""Of the minimization."""

RATE = 0.1
"""The first step of the logarithms of the numbers; later ones fall with the root of their count."""

SLOWER = 50.0
"""After so many steps the rate has fallen to a root of a half."""

MEMORY, SQUARES = 0.9, 0.999
"""Of Adam's means of gradients and of their squares (Kingma & Ba, ICLR 2015)."""

ACCURACY = 1e-4
"""Of the eigenvalue, relatively."""

VECTORS = 30
"""Of the Lanczos basis."""

SHARES = (0.0, *np.geomspace(1e-5, 1.0, 26).tolist())
"""Of the first numbers, of which the least is taken that makes Q positive definite, and some beyond."""

BEYOND = 6
"""So many shares beyond are tried: near to singular, the bound is larger."""


def by_eigenvalues(sdp: TiedSdp, unrolled: Unrolled, start: Floats, limits: Limits, steps: int = STEPS) -> Floats:
    """Return numbers that multipliers are made of, with Q positive definite, no worse than a start.

    Parameters
    ----------
    start
        Numbers with Q positive definite.
    steps
        At most.
    """
    candidates = [start]
    for moved in _Search(sdp, unrolled, start).run(limits, steps):
        candidates += _repaired(sdp, moved, start)
    values = [sdp.at(numbers) for numbers in candidates]
    best = min(range(len(values)), key=lambda place: np.inf if (at := values[place]) is None else at[1])
    return candidates[best]


def _repaired(sdp: TiedSdp, numbers: Floats, start: Floats) -> list[Floats]:
    """Return mixtures with a start for which Q is positive definite, each at its best scale."""
    found: list[Floats] = []
    for share in SHARES:
        mixed = (1 - share) * numbers + share * start
        if sdp.at(mixed) is not None:
            found.append(sdp.best_scale(mixed))
        if len(found) > BEYOND:
            break
    return found


class _Search:
    """The penalized bound as a function of the logarithms of the numbers and of t, in units in which M is near 1."""

    def __init__(self, sdp: TiedSdp, unrolled: Unrolled, start: Floats) -> None:
        at = sdp.at(start)
        assert at is not None, "the start is valid"
        self.sdp, self.quadratic, self.tied = sdp, sdp.quadratic, sdp.tied
        self.signs = self.quadratic.free_signs
        self.cost = self.tied.gather((np.arange(self.size) < self.signs).astype(float), self.signs)
        rest = at[1] - self.quadratic.constant - float(self.cost @ start)
        self.start = np.append(start, max(rest, 1e-9 * abs(at[1]), 1e-200))
        self.units = 1 / np.sqrt(np.append(np.diag(at[0].matrix), self.start[-1]))
        self.trace = self._trace(unrolled)
        self.vector = np.ones(self.size + 1)

    @property
    def size(self) -> int:
        """The number of rows of Q."""
        return len(self.quadratic.weights)

    def _trace(self, unrolled: Unrolled) -> float:
        """Return a bound of the trace in these units.

        With ``u_k^2 <= u_k q_k`` the length of a level is that of what it reads times the norm between them, at most.
        """
        length = 1.0 if self.tied.ball else float(max(self.signs, 1))
        reach = np.full(unrolled.inputs + unrolled.switches, 1.0)
        for level in unrolled.levels:
            rows = np.concatenate([unrolled.direct[level], unrolled.through[level]], axis=1)
            here = length * float(np.linalg.norm(rows, 2)) ** 2
            reach[unrolled.inputs + level] = here / len(level)
            length += here
        return float((self.quadratic.select(reach, unrolled.inputs) / self.units[:-1] ** 2).sum() + self.start[-1])

    def run(self, limits: Limits, steps: int) -> list[Floats]:
        """Return the numbers with the least value, and the last ones; none where time is up at once."""
        logarithms = np.zeros_like(self.start)
        mean, squares = np.zeros_like(self.start), np.zeros_like(self.start)
        best = (np.inf, self.start)
        numbers: Floats | None = None
        for step in range(1, steps + 1):
            if monotonic() > limits.deadline:
                break
            numbers = self.start * np.exp(logarithms)
            value, gradient = self._at(numbers)
            if value < best[0]:
                best = (value, numbers)
            mean = MEMORY * mean + (1 - MEMORY) * gradient
            squares = SQUARES * squares + (1 - SQUARES) * gradient**2
            slope = (mean / (1 - MEMORY**step)) / (np.sqrt(squares / (1 - SQUARES**step)) + 1e-300)
            logarithms = logarithms - RATE / np.sqrt(1 + step / SLOWER) * slope
        return [] if numbers is None else [best[1][:-1], numbers[:-1]]

    def _at(self, numbers: Floats) -> tuple[float, Floats]:
        """Return the penalized bound and its gradient by the logarithms."""
        multipliers, last = numbers[:-1][self.tied.groups], numbers[-1]
        links, units = self.quadratic.links, self.units[:-1]
        product = links * multipliers
        matrix = 0.5 * (product + product.T) * units * units[:, None]
        side = 0.5 * self.units[-1] * units * (self.quadratic.weights + multipliers * self.quadratic.shifts)
        corner = last * self.units[-1] ** 2

        def minus(x: Floats) -> Floats:
            x = np.ravel(x)
            return np.append(side * x[-1] - matrix @ x[:-1], side @ x[:-1] - corner * x[-1])

        least, vector = self._eigenpair(minus)
        gradient = np.append(self.cost, 1.0) * numbers
        value = float(gradient.sum())
        if least > 0:
            y, end = vector[:-1] * units, float(vector[-1] * self.units[-1])
            pull = y * (links.T @ y - end * self.quadratic.shifts)
            parts = np.bincount(self.tied.groups, pull, self.tied.count)
            gradient = gradient - self.trace * numbers * np.append(parts, end**2)
        return value + self.trace * max(least, 0.0), gradient

    def _eigenpair(self, minus: Callable[[Floats], Floats]) -> tuple[float, Floats]:
        """Return the largest eigenvalue of ``-M`` and its vector, as they were found."""
        operator = LinearOperator((self.size + 1,) * 2, matvec=minus, dtype=float)
        vectors = min(VECTORS, self.size + 1)
        try:
            values, found = eigsh(operator, k=1, which="LA", v0=self.vector, tol=ACCURACY, ncv=vectors)
        except ArpackNoConvergence as error:
            values, found = error.eigenvalues, error.eigenvectors
        except ArpackError:
            values, found = np.zeros(0), np.zeros((self.size + 1, 0))
        if not len(values):  # as if M were positive semidefinite: the next step makes the numbers less
            return 0.0, self.vector
        self.vector = np.asarray(found[:, 0])
        return float(values[0]), self.vector
