"""ZLip: zonotopes, of the values forwards and of the gradient backwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lipc.bounds.domain import tight_box
from lipc.bounds.interval import bits_of, intersect, interval_bounds, is_relu
from lipc.bounds.rounding import UNDERFLOW, UNIT, down, summands, up
from lipc.errors import QueryError
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.estimators.gradients import bound_gradients, box_note, joined, upper_of
from lipc.ir import Affine, Conditional, Floats, Input, Interval, Norm, Origin, Program, Switch, Term

MOST_NUMBERS = 50_000_000
"""Generators that a zonotope may hold: entries times noise symbols."""

MAGNITUDE = -1
"""The name of the noise symbols of magnitudes: no value has it."""


@dataclass(frozen=True, eq=False)
class Zonotope:
    """Vectors ``center + sum(generators[s] @ e_s)`` for all e with entries within -1 and 1, and an error.

    Parameters
    ----------
    center
        Shape ``(n,)``.
    generators
        By the value that made the noise symbols: shape ``(n, k)``.
    error
        Shape ``(n,)``: how far entries may be beyond, by rounding.
    """

    center: Floats
    generators: dict[int, Floats]
    error: Floats

    @property
    def magnitude(self) -> Floats:
        """More than the largest absolute sum of the terms of an entry."""
        terms = [np.abs(self.center), self.error, *(np.abs(part).sum(axis=1) for part in self.generators.values())]
        magnitude: Floats = np.sum(terms, axis=0) * (1 + self._symbols * UNIT)
        return magnitude

    @property
    def _symbols(self) -> int:
        return 8 + len(self.generators) + sum(int(part.shape[1]) for part in self.generators.values())

    def interval(self) -> Interval:
        """Return bounds of the entries."""
        radius: Floats = np.sum([self.error, *(np.abs(part).sum(axis=1) for part in self.generators.values())], axis=0)
        radius = radius * (1 + self._symbols * UNIT)
        rounding = 2 * UNIT * (radius + np.abs(self.center))
        return Interval(down(self.center - radius, rounding), up(self.center + radius, rounding))

    def sloped(self, value: int, slope: Floats, low: Floats, high: Floats) -> Zonotope:
        """Return ``slope * x`` plus, entry by entry, anything within an interval: new noise symbols of a value.

        Parameters
        ----------
        slope, low, high
            Shape ``(n,)``; slopes within -1 and 1.
        """
        half, steep = 0.5 * (high - low), np.abs(slope)
        new = np.flatnonzero(half > 0)
        generators = {symbol: slope[:, None] * part for symbol, part in self.generators.items()}
        generators[value] = np.zeros((len(slope), len(new)))
        generators[value][new, np.arange(len(new))] = half[new]
        size = steep * self.magnitude + np.abs(low) + np.abs(high)
        rounding = np.where(size > 0, 8 * UNIT * size + UNDERFLOW, 0.0)
        return Zonotope(slope * self.center + 0.5 * (low + high), generators, steep * self.error + rounding)


def affine_image(op: Affine, operands: Callable[[int], Zonotope]) -> Zonotope:
    """Return the zonotope of an affine map from those of its operands."""
    center, error = op.bias.copy(), np.zeros(op.size)
    generators: dict[int, Floats] = {}
    for term in op.terms:
        operand = operands(term.operand)
        absolute, count = abs(term.matrix), summands(term.matrix)
        center += term.matrix @ operand.center
        for symbol, part in operand.generators.items():
            mapped = term.matrix @ part
            generators[symbol] = generators[symbol] + mapped if symbol in generators else mapped
        size = absolute @ operand.magnitude
        terms = len(op.terms) + 4
        error += (absolute @ operand.error) * (1 + (count + terms) * UNIT)
        error += np.where(size > 0, (count + 2 * terms) * UNIT * (size + np.abs(op.bias)) + UNDERFLOW, 0.0)
    return Zonotope(center, generators, error)


def zonotopes_of(
    program: Program, known: Mapping[int, Interval] | None = None
) -> tuple[dict[int, Zonotope], dict[int, Interval]]:
    """Return zonotopes of the real values of a program, and sound bounds of all its values by them.

    Parameters
    ----------
    known
        Bounds of conditionals; what their operands' zonotopes decide is decided, too.

    Raises
    ------
    RefusedError
        If a zonotope has too many numbers.
    """
    known = known or {}
    zonotopes: dict[int, Zonotope] = {}
    bounds: dict[int, Interval] = {}
    for value, op in enumerate(program.ops):
        if isinstance(op, Conditional):
            bits = bits_of(bounds[op.operand])
            bounds[value] = intersect(bits, known[value]) if value in known else bits
            continue
        if isinstance(op, Input):
            zonotopes[value] = _boxed(value, tight_box(op.domain))
        elif isinstance(op, Affine):
            with np.errstate(over="ignore", invalid="ignore"):
                zonotopes[value] = affine_image(op, zonotopes.__getitem__)
        elif isinstance(op, Switch):
            operand = zonotopes[op.operand]
            zonotopes[value] = _switched(value, operand, bounds[op.operand], bounds[op.bit], relu=is_relu(program, op))
        _check(program, value, zonotopes[value])
        bounds[value] = zonotopes[value].interval()
    return zonotopes, bounds


def _boxed(value: int, box: Interval) -> Zonotope:
    center = 0.5 * box.lower + 0.5 * box.upper
    radius = np.maximum(up(box.upper - center, UNIT), up(center - box.lower, UNIT))
    return Zonotope(center, {value: np.diag(radius)}, np.zeros(len(center)))


def _switched(value: int, operand: Zonotope, known: Interval, bit: Interval, *, relu: bool) -> Zonotope:
    """Return the zonotope of a switch.

    For any slope s in [0, 1] the difference of ``{0, x}`` to ``s x`` over ``l <= x <= u`` is extreme at an end, or 0.
    With the relu's slope ``u / (u - l)`` the parallelogram has the least area (DeepZ, Singh et al. 2018), and so it has
    with 1/2 over a bit of another value.
    """
    low, high = known.lower, known.upper
    crosses = (low < 0) & (high > 0)
    slope = np.full(len(low), 0.5)
    if relu:
        width = np.where(crosses, high - low, 1.0)
        slope = np.clip(np.where(crosses, high / width, 0.0), 0.0, 1.0)
    always, never = bit.lower >= 1, bit.upper <= 0
    slope = np.where(always, 1.0, np.where(never, 0.0, slope))
    ends = np.stack([-slope * low, -slope * high, (1 - slope) * low, (1 - slope) * high])
    least, most = np.minimum(ends.min(axis=0), 0.0), np.maximum(ends.max(axis=0), 0.0)
    if relu:  # at 0, and at the ends
        least, most = np.zeros(len(low)), np.maximum(ends[0], ends[3])
    decided = always | never
    margin = 4 * UNIT * np.maximum(np.abs(low), np.abs(high)) + UNDERFLOW
    least = np.where(decided, 0.0, np.where(least < 0, least - margin, least))
    most = np.where(decided, 0.0, np.where(most > 0, most + margin, most))
    return operand.sloped(value, slope, least, most)


def l1_bound(zonotope: Zonotope) -> float:
    """Return a float at or above the l_1 norm of every vector of a zonotope: that of a zonotope of magnitudes.

    For a slope s in [-1, 1] the difference of ``|x|`` to ``s x`` over ``l <= x <= u`` is 0 at 0 and largest at an end.
    """
    known = zonotope.interval()
    low, high = known.lower, known.upper
    crosses = (low < 0) & (high > 0)
    width = np.where(crosses, high - low, 1.0)
    slope = np.clip(np.where(crosses, (high + low) / width, np.where(low >= 0, 1.0, -1.0)), -1.0, 1.0)
    most = np.maximum((1 - slope) * high, -(1 + slope) * low)
    margin = 4 * UNIT * np.maximum(np.abs(low), np.abs(high)) + UNDERFLOW
    most = np.where(crosses, most + margin, 0.0)
    magnitudes = zonotope.sloped(MAGNITUDE, slope, np.zeros(len(low)), most)
    total = Affine(Origin("norm"), (Term(MAGNITUDE, np.ones((1, len(low)))),), np.zeros(1))
    return float(affine_image(total, {MAGNITUDE: magnitudes}.__getitem__).interval().upper[0])


def _check(program: Program, value: int, zonotope: Zonotope) -> None:
    numbers = sum(part.size for part in zonotope.generators.values())
    if numbers > MOST_NUMBERS:
        where = program.ops[value].origin.name
        raise RefusedError(f"the zonotope of '{where}' has {numbers} numbers, at most {MOST_NUMBERS} are held")
    if not np.isfinite(zonotope.magnitude).all():
        raise QueryError("values exceed what double precision holds", where=program.ops[value].origin.source)


@dataclass(frozen=True)
class ZLip(Estimator):
    """Zonotopes of the pre-activations, which say what neurons may switch, and of the gradient.

    Intervals, which are exact at corners of the domain, decide neurons too. Any network of a size that a dense matrix
    of generators fits, any input norm; of a domain that is no box, zonotopes know the bounding box.
    """

    name: ClassVar[str] = "zlip"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = (
        "Jordan, Dimakis, Provable Lipschitz Certification for Generative Models, ICML 2021, section 4"
    )

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the dual norm of the largest magnitudes of the gradient's entries, in l_inf a bound of their sum.

        Raises
        ------
        RefusedError
            If there are too many generators, or time is up before every output has its bound.
        """
        norm = question_of(program).norm
        intervals = interval_bounds(program)
        decided = {value: intervals[value] for value in program.find(Conditional)}
        _, bounds = zonotopes_of(program, decided)
        bits = {value: bounds[value] for value in decided}

        def bound(gradient: Program) -> float:
            zonotopes, _ = zonotopes_of(gradient, bits)
            found = zonotopes[gradient.result]
            entrywise = upper_of(found.interval(), norm)
            return min(entrywise, l1_bound(found)) if norm is Norm.LINF else entrywise

        value, note = bound_gradients(program, limits, bound)
        return Estimate(value, norm.symbol, note=joined(note, box_note(program)))
