"""CLEVER: the end point of the distribution of the largest gradients of random batches."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

import numpy as np

from lipc.bounds.points import Inside
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.estimators.gradients import gradient_norms
from lipc.ir import Floats, Program

SHAPES = (0.1, 1.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Shape parameters from which the fit starts, as in the authors' code; the fit with the best p-value is taken."""

LEAST_P = 0.001
"""The p-value of the Kolmogorov-Smirnov test below which a fit does not describe the data, as in the authors' code."""

FARTHEST = 10.0
"""An end point that lies beyond the largest value by more than so many times the range of the values is none.

Without an end in sight the likelihood goes on rising with the shape parameter (towards a Gumbel distribution, which has
no end point), and the fit stops anywhere.
"""

ALIKE = 1e-9
"""Largest values whose range is below this part of them are one value."""


@dataclass(frozen=True)
class Clever(Estimator):
    """Extreme value theory: a reverse Weibull distribution fitted to the largest gradients of batches of random points.

    No bound of anything. Any network and norm. Points are uniform in a box; in another domain as `random` draws them.

    Parameters
    ----------
    batches, batch
        Batches, and points in each.
    """

    name: ClassVar[str] = "clever"
    kind: ClassVar[Kind] = Kind.HEURISTIC
    source: ClassVar[str] = (
        "Weng et al., Evaluating the Robustness of Neural Networks: An Extreme Value Theory Approach, ICLR 2018, "
        "Algorithm 1"
    )
    batches: int = 500
    batch: int = 1024

    def __post_init__(self) -> None:
        if self.batches < 2 or self.batch < 1:
            raise RefusedError("clever needs two batches and a point in each", hint="clever{batches=500,batch=1024}")

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the end point of the fitted distribution; where the fit fails the largest gradient seen, and a note.

        Raises
        ------
        RefusedError
            If time is up before there are two batches.
        """
        maxima = self._maxima(program, limits)
        largest = float(maxima.max())
        notes = [] if len(maxima) == self.batches else [f"time was up after {len(maxima)} batches"]
        if not program.network_input()[1].is_box:
            notes.append("points are not uniform in the domain")
        try:
            value = end_point(maxima)
        except NoEndPointError as error:
            value = largest
            notes.append(f"no fit, but the largest gradient seen: {error}")
        return Estimate(value, question_of(program).norm.symbol, note="; ".join(notes))

    def _maxima(self, program: Program, limits: Limits) -> Floats:
        """Return the largest norm of each batch, as many as there is time for."""
        _, domain = program.network_input()
        random = np.random.default_rng(limits.seed)
        inside = None if domain.is_box else Inside(domain)
        maxima: list[float] = []
        for _ in range(self.batches):
            if inside is None:
                points = domain.lower + random.random((self.batch, domain.size)) * (domain.upper - domain.lower)
            else:
                points = inside.sample(random, self.batch)
            norms, done = gradient_norms(program, points, limits.deadline)
            if done < self.batch:
                break
            maxima.append(float(norms.max()))
            if monotonic() > limits.deadline:
                break
        if len(maxima) < 2:
            raise RefusedError("time was up before there were two batches")
        return np.array(maxima)


class NoEndPointError(ValueError):
    """Values to which no reverse Weibull distribution with an end point could be fitted."""


def end_point(maxima: Floats) -> float:
    """Return the right end point of the reverse Weibull distribution that fits some values best.

    Raises
    ------
    NoEndPointError
        If no fit describes them, the best one has its end far from all of them, or they are all the same.
    """
    from scipy.stats import kstest, weibull_max

    largest, spread = float(maxima.max()), float(np.ptp(maxima))
    if spread <= ALIKE * largest:
        raise NoEndPointError("it is the same in every batch")
    scaled = (maxima - largest) / spread
    best, end = -1.0, np.nan
    for shape in SHAPES:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                fitted = weibull_max.fit(scaled, shape)
                p_value = float(kstest(scaled, "weibull_max", fitted).pvalue)
            except (ValueError, RuntimeError):  # scipy found no parameters: its FitError is one of these
                continue
        if np.isfinite(p_value) and p_value > best:
            best, end = p_value, float(fitted[1])
    if best < LEAST_P:
        raise NoEndPointError("no reverse Weibull distribution describes the batches")
    if not end <= FARTHEST:
        raise NoEndPointError(f"the fit ran off to an end point of {largest + spread * end:.3g}")
    return largest + spread * end
