"""The answer to how far an input may move: a pair of radii, what limits them, and the nearest counterexample found."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf, isfinite

from lipc.ir import Floats, Norm
from lipc.jobs.stated import RADIUS
from lipc.record import SCHEMA, Record
from lipc.search.attack import Adversarial


@dataclass(frozen=True)
class RadiusReport:
    """Where a search is: seconds, the proven radius, the limit of what can be proven, and programs solved."""

    elapsed: float
    radius: float
    limit: float
    solves: int


@dataclass
class ClassRadius:
    """What is known of one other class.

    Parameters
    ----------
    output
        Its number j.
    margin
        ``f_k - f_j`` at the center, rounded down.
    radius
        Within less than this j does not overtake k, as the constants prove.
    limit
        No more than this is proven by exact constants; infinite as long as no slope was found.
    """

    output: int
    margin: float
    radius: float = 0.0
    limit: float = inf
    exact_margin: Fraction = field(default=Fraction(0), repr=False)
    looks: int = field(default=0, repr=False)
    stuck: bool = field(default=False, repr=False)


@dataclass(frozen=True, eq=False)
class RadiusResult:
    """A pair again: the class cannot change within `radius`, and exact constants prove no more than `limit`.

    The point with the steep gradient behind `limit` is no counterexample. What bounds the true robust radius from above
    is `adversarial` alone.

    Parameters
    ----------
    radius
        Within less than this the class at the center is the only largest output.
    radius_kind
        ``solver``: rests on dual bounds of the solver, right up to its tolerances. ``rigorous``: on bounds with outward
        rounding alone.
    limit
        The largest radius that exact local constants could prove.
    status
        ``optimal``: the two are as close as was asked; ``max_radius``: proven as far as was looked; ``misclassified``:
        the label is not the only largest output at the center; ``time_limit``, ``interrupted``, ``unproven``: a valid
        pair all the same.
    label
        The class.
    classes
        The others, the one that limits most first.
    adversarial
        The nearest point of another class that a quick attack found.
    center, clip, max_radius
        As they were asked for; the center has shape ``(n,)``.
    files
        Which files the network was read from, as `lipc.record.model_record` says it.
    """

    radius: float
    radius_kind: str
    limit: float
    status: str
    label: int
    norm: Norm
    classes: tuple[ClassRadius, ...]
    adversarial: Adversarial | None
    solver: str
    solves: int
    seconds: float
    model: str
    center: Floats
    clip: tuple[float, float] | None
    max_radius: float | None
    files: Record

    @property
    def certified(self) -> bool:
        """Whether the pair is as close as was asked."""
        return self.status in ("optimal", "max_radius")

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON, the question among them; an infinite number becomes `None`."""
        found = None
        if self.adversarial is not None:
            found = {
                "x": self.adversarial.x.tolist(),
                "output": self.adversarial.output,
                "distance": self.adversarial.distance,
            }
        return {
            "schema": SCHEMA,
            "status": self.status,
            "certified": self.certified,
            "radius": self.radius,
            "radius_kind": self.radius_kind,
            "limit": _finite(self.limit),
            "label": self.label,
            "norm": self.norm.value,
            "classes": [
                {
                    "output": each.output,
                    "margin": each.margin,
                    "radius": each.radius,
                    "limit": _finite(each.limit),
                }
                for each in self.classes
            ],
            "adversarial": found,
            "solver": self.solver,
            "solves": self.solves,
            "time": round(self.seconds, 6),
            "query": {
                "model": self.model,
                "objective": RADIUS,
                "norm": self.norm.value,
                "center": self.center.tolist(),
                "clip": None if self.clip is None else list(self.clip),
                "max_radius": self.max_radius,
            },
            "model": self.files,
        }

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(self.to_dict(), allow_nan=False)


def _finite(number: float) -> float | None:
    return number if isfinite(number) else None
