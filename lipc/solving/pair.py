"""The pair of a run: the largest value known to be attained, and the least upper bound known, by whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SOLVER_TOLERANCE = 1e-6
"""A solver's bound this far, relatively, below a certified value is refuted; nearer, it is within its tolerances."""

NEARLY_ZERO = 1e-6
"""An answer this small next to the sum of the absolute terms of the objective is as good as 0: rounding is its size."""


FINEST = 1e-9
"""Proofs in floating point do not come closer, relatively."""


def with_gap(value: float, gap: float, magnitude: float) -> float:
    """Return what an upper side need not be below: a value, and a relative gap (see `relative_gap`).

    A hair less than the gap, for rounding.
    """
    return value + max(gap * (1 - 1e-6), FINEST) * max(abs(value), NEARLY_ZERO * magnitude)


def relative_gap(lower: float, upper: float, magnitude: float) -> float:
    """Return the gap relative to the larger side, or to what counts as 0 next to a magnitude where that is more."""
    scale = max(abs(upper), abs(lower), NEARLY_ZERO * magnitude)
    return (upper - lower) / scale if 0 < scale < np.inf else 0.0 if scale == 0 else np.inf


@dataclass(eq=False)
class Pair:
    """Bounds of one answer, in the sense of a maximization.

    Parameters
    ----------
    attained
        The value of the best witness; before there is one, a value that no answer is below.
    known
        A value that is attained elsewhere (by another part of a union): only more is of interest.
    rigorous
        An upper bound without a solver's word.
    magnitude
        The sum of the absolute terms of the objective.
    slack, tolerance
        By what a solver's bound is widened: by a constant, and in proportion to it.
    claimed
        The solver's bound.
    excluded
        The largest value of a pattern that was cut off without a proof against it.
    believes
        Whether what the solver claims is taken for true.
    """

    attained: float
    known: float
    rigorous: float
    magnitude: float
    slack: float
    tolerance: float
    claimed: float = np.inf
    excluded: float = -np.inf
    believes: bool = True

    @property
    def lower(self) -> float:
        """The largest value known to be attained, here or elsewhere."""
        return max(self.attained, self.known)

    @property
    def trusted(self) -> bool:
        """Whether the solver's bound stands; one that a witness refutes is worth nothing."""
        slack = SOLVER_TOLERANCE * max(abs(self.attained), NEARLY_ZERO * self.magnitude)
        return self.claimed >= self.attained - slack or self.attained == -np.inf

    @property
    def bound(self) -> float:
        """The least upper bound known: our own, or the solver's, widened by its tolerances."""
        return self._bound(self.slack + self.tolerance * abs(self.claimed))

    @property
    def claimed_bound(self) -> float:
        """The least upper bound with the solver's as it claims it: whether the pair is closed goes by this."""
        return self._bound(0.0)

    def _bound(self, slack: float) -> float:
        """Return the least upper bound, never below what is attained, with so much added to what the solver claims."""
        claimed = self.claimed + slack if self.trusted and self.believes and np.isfinite(self.claimed) else np.inf
        return max(min(self.rigorous, claimed), self.lower) + 0.0

    @property
    def gap(self) -> float:
        """The gap of the pair as it is stated."""
        return relative_gap(self.lower, self.bound, self.magnitude)

    @property
    def claimed_gap(self) -> float:
        """The gap with the solver's bound as it claims it."""
        return relative_gap(self.lower, self.claimed_bound, self.magnitude)

    def is_closed(self, gap: float) -> bool:
        """Return whether the pair is as close as was asked, but for the tolerances of the solver."""
        return self.claimed_gap <= gap

    def take_claim(self, bound: float) -> None:
        """Take a bound of the solver, of the program without the patterns that were cut off."""
        bound = max(bound, self.excluded)
        if not np.isnan(bound):
            self.claimed = min(self.claimed, bound)

    def take_proof(self, bound: float) -> None:
        """Take a bound that is proven."""
        self.rigorous = min(self.rigorous, bound)

    @property
    def upper_kind(self) -> str:
        """Where `bound` is from."""
        return "solver" if self.bound < self.rigorous and self.believes and self.trusted else "rigorous"
