"""What is left of a derivative when signs and neurons are decided: the quadratic program behind an SDP bound.

A direction that is fixed is a constant, a neuron that is off is 0, one that is on is the weighted sum that it is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.rounding import UNIT
from lipc.bounds.unrolled import Unrolled
from lipc.ir import Floats

FREE = -1
"""The state of a neuron that is neither on (1) nor off (0); a sign that is not fixed is 0."""


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
