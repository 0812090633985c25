"""How far an input may move before a classifier can change its answer, proven by exact local Lipschitz constants.

If the margin ``f_k - f_j`` at the center exceeds ``r L_r``, where ``L_r`` is its Lipschitz constant over the ball of
radius r, then class j cannot overtake class k within that ball (Hein & Andriushchenko 2017; Weng et al. 2018,
"Evaluating the robustness of neural networks", Theorem 3.2, with estimates in the place of constants). ``L_r`` grows
with r. So a bound ``U >= L_r`` proves every radius below ``min(r, margin / U)``, and a point at a distance of d where
the gradient is at least l shows that no radius beyond ``max(d, margin / l)`` can be proven in this way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import inf, isfinite
from time import monotonic

import numpy as np
from numpy.typing import ArrayLike

from lipc.certify import Certifier, Witness
from lipc.compiler import Compiled
from lipc.compiler import compile as compile_question
from lipc.errors import QueryError
from lipc.frontends import Network
from lipc.ir import Floats, Norm, Polytope
from lipc.ir.exact import ExactInterpreter, round_down, round_up
from lipc.models import Model, read_model
from lipc.options import Options
from lipc.outputs import Functional, check_output
from lipc.passes.jacobian import Mode
from lipc.query import Query, ball, box
from lipc.radius.result import ClassRadius, RadiusReport, RadiusResult
from lipc.record import model_record
from lipc.search.ascent import ascend
from lipc.search.attack import Adversarial, attack, distance
from lipc.solvers.base import Ending, Solver
from lipc.solving.run import Run

__all__ = ["ClassRadius", "RadiusReport", "RadiusResult", "certify_radius"]

LARGEST_RADIUS = 2.0**20
"""Looked at without a clip and without a limit of one's own."""

TOLERANCE = 1e-3
"""How close, relatively, to come to what can be proven, where nobody says."""

ATTACK_SECONDS = 5.0
"""For the attack; with a time limit at most a tenth of it."""

ASCENT_SECONDS = 1.0
"""For a steep point before the solver is called."""

GAP = 0.25
"""Of the tolerance: how close a single constant is solved."""


def certify_radius(
    model: Model,
    center: ArrayLike,
    *,
    norm: Norm = Norm.LINF,
    label: int | None = None,
    max_radius: float | None = None,
    clip: tuple[float, float] | None = None,
    tolerance: float = TOLERANCE,
    mode: Mode = "auto",
    options: Options | None = None,
    solver: Solver | None = None,
    on_report: Callable[[RadiusReport], None] = lambda _: None,
    drop_softmax: bool = False,
) -> RadiusResult:
    """Return the largest radius at which exact local Lipschitz constants prove that the class does not change.

    Parameters
    ----------
    model
        A classifier: the class is the largest of its outputs.
    center
        The input, as many numbers as the network has inputs.
    norm
        What perturbations are measured in: l_inf or l_1.
    label
        The class; default: the one at the center.
    max_radius
        Where to stop; default: where the clip ends, or 2^20.
    clip
        Perturbed inputs stay within ``clip[0] <= x <= clip[1]``.
    tolerance
        How close, relatively, the proven radius shall come to the largest one that can be proven.
    mode, drop_softmax
        As for `compile`.
    options
        Time limit (for all of it), threads and seed; the gap is that of `tolerance`.
    solver
        Default: SCIP. With one given, the search ``auto`` is ``mip``.
    on_report
        Called with the progress.

    Raises
    ------
    ModelError, QueryError, SolverError
        As their names say.
    """
    started = monotonic()
    chosen = replace(options or Options(), gap=GAP * tolerance)
    if solver is None:
        from lipc.solvers.scip import Scip

        solver = Scip()
    elif chosen.search == "auto":
        chosen = replace(chosen, search="mip")
    network = read_model(model, drop_softmax=drop_softmax)
    point = _checked_center(network, center, clip)
    if norm not in (Norm.LINF, Norm.L1):
        raise QueryError("a radius is certified in l_inf or l_1", hint="Norm.LINF or Norm.L1")
    if not 0 < tolerance < 1:
        raise QueryError(f"the tolerance is {tolerance}", hint="it must lie between 0 and 1")
    if max_radius is not None and not 0 < max_radius < inf:
        raise QueryError(f"the largest radius is {max_radius}", hint="it must be positive and finite")
    within = Polytope.space(len(point)) if clip is None else box(*(np.full(len(point), side) for side in clip))
    search = _Search(network, point, norm, within, chosen, solver, mode, tolerance, started, on_report)
    return search.result(label, max_radius, clip)


def _checked_center(network: Network, center: ArrayLike, clip: tuple[float, float] | None) -> Floats:
    """Return the center, shape ``(n,)``, if it is one and the network is a classifier."""
    program = network.program
    if program.objective is not None or not network.input_shape:
        raise QueryError("the program asks a question of its own", where=network.source, hint="name a network")
    if program.ops[program.result].size < 2:
        raise QueryError("a network of one output has no classes", where=network.source)
    point = ball(center, 0.0).lower
    inputs = program.network_input()[1].size
    if len(point) != inputs:
        raise QueryError(f"the center has {len(point)} entries, but the network has {inputs} inputs")
    Query(box(point, point)).fitting_domain(inputs)
    if clip is not None:
        if not -inf < clip[0] < clip[1] < inf:
            raise QueryError(f"the clip ranges from {clip[0]:g} to {clip[1]:g}", hint="two finite numbers in order")
        outside = np.flatnonzero((point < clip[0]) | (point > clip[1]))
        if len(outside):
            at = int(outside[0])
            raise QueryError(f"the center lies outside the clip: entry {at} is {point[at]:g}")
    return point


class _Search:
    """The state of a search: what is known of each class."""

    def __init__(
        self,
        network: Network,
        center: Floats,
        norm: Norm,
        within: Polytope,
        options: Options,
        solver: Solver,
        mode: Mode,
        tolerance: float,
        started: float,
        on_report: Callable[[RadiusReport], None],
    ) -> None:
        self.network, self.center, self.norm, self.within = network, center, norm, within
        self.options, self.solver, self.mode, self.tolerance = options, solver, mode, tolerance
        self.started, self.on_report = started, on_report
        self.classes: list[ClassRadius] = []
        self.largest = LARGEST_RADIUS
        self.solves = 0
        self.by_solver = False
        self.engines: list[str] = []
        self.status = ""

    def result(self, label: int | None, max_radius: float | None, clip: tuple[float, float] | None) -> RadiusResult:
        program = self.network.program
        outputs = ExactInterpreter(program).evaluate(self.center)[program.result].fractions()
        if label is None:
            label = max(range(len(outputs)), key=lambda each: outputs[each])
        check_output(label, len(outputs))
        for other, value in enumerate(outputs):
            if other != label:
                margin = outputs[label] - value
                self.classes.append(ClassRadius(other, round_down(margin), exact_margin=margin))
        self.label = label
        self.largest = self._reach() if max_radius is None else min(max_radius, self._reach())
        found = None
        if any(each.exact_margin <= 0 for each in self.classes):
            self.status = "misclassified"
            for each in self.classes:
                each.limit = 0.0 if each.exact_margin <= 0 else inf
        else:
            found = self._interruptible()
        self.classes.sort(key=lambda each: (each.limit, each.radius, each.output))
        return RadiusResult(
            radius=self.radius,
            radius_kind="solver" if self.by_solver else "rigorous",
            limit=self.limit,
            status=self.status,
            label=label,
            norm=self.norm,
            classes=tuple(self.classes),
            adversarial=found,
            solver=" and ".join(self.engines) or self.solver.version(),
            solves=self.solves,
            seconds=monotonic() - self.started,
            model=self.network.source,
            center=self.center,
            clip=clip,
            max_radius=max_radius,
            files=model_record(self.network),
        )

    def _reach(self) -> float:
        """Return how far any point of the clip is from the center, rounded up."""
        if not np.isfinite(self.within.lower).all():
            return LARGEST_RADIUS
        far = np.where(self.center - self.within.lower > self.within.upper - self.center, *self._ends())
        return round_up(distance(self.norm, far, self.center))

    def _ends(self) -> tuple[Floats, Floats]:
        return self.within.lower, self.within.upper

    @property
    def radius(self) -> float:
        """What is proven."""
        return 0.0 if self.status == "misclassified" else min(min(each.radius for each in self.classes), self.largest)

    @property
    def limit(self) -> float:
        """The most that could be proven."""
        return min(min(each.limit for each in self.classes), self.largest)

    def _remaining(self) -> float:
        return self.options.time_limit - (monotonic() - self.started)

    def _interruptible(self) -> Adversarial | None:
        """Attack and search; an interrupt ends it with what is known."""
        found = None
        try:
            program = self.network.program
            for each in self.classes:
                # The gradient at the center itself belongs to every ball.
                self._take_slope(each, Certifier(self._query(each, 1.0).ask(program)).witness(self.center))
            deadline = monotonic() + min(ATTACK_SECONDS, self.options.time_limit / 10)
            place = self.center, self.within, self._first_radius
            found = attack(program, self.label, self.norm, *place, deadline=deadline)
            for each in self.classes:
                # Without a solver: something is proven for every class, whenever the time ends.
                self._take_bound(each, self._first_radius, self._compiled(each, self._first_radius).bound)
            while not self.status:
                self._step()
        except KeyboardInterrupt:
            self.status = "interrupted"
        return found

    def _step(self) -> None:
        """Look at one radius for the class that may limit most; or set the status, if there is nothing to look at."""
        limit = self.limit
        waiting = [each for each in self.classes if each.radius < min(limit, each.limit * (1 - self.tolerance))]
        open_ones = [each for each in waiting if not each.stuck]
        if not open_ones:
            reached = self.radius >= self.largest
            self.status = "unproven" if waiting else "max_radius" if reached else "optimal"
            return
        if self._remaining() <= 0:
            self.status = "time_limit"
            return
        each = min(open_ones, key=lambda one: (one.limit, one.radius))
        top = min(each.limit, limit)
        doubled = min(top, max(1.0, 2 * each.radius))
        # The constant often is the same a little beyond what the largest ball proved: then this ends the search.
        slightly = min(top, each.radius * (1 + self.tolerance / 2))
        chosen = (top, slightly)[each.looks] if each.looks < 2 else (each.radius + top) / 2
        each.looks += 1
        radius = doubled if each.limit == inf else chosen
        before = each.radius, each.limit
        self._look(each, radius)
        moved = each.radius > before[0] * (1 + self.tolerance / 8) or each.limit < before[1] * (1 - self.tolerance / 8)
        # At the top nothing moves if the constant is too large there: a smaller radius is looked at next.
        each.stuck = not moved and each.looks > 2
        self.on_report(RadiusReport(monotonic() - self.started, self.radius, self.limit, self.solves))

    def _query(self, each: ClassRadius, radius: float) -> Query:
        """Return the question for the constant of one margin over a ball, rounded outward, within the clip."""
        around = ball(self.center, radius, None, self.norm)
        low, high = np.nextafter(around.lower, -inf), np.nextafter(around.upper, inf)
        domain = replace(around, lower=np.maximum(low, self.within.lower), upper=np.minimum(high, self.within.upper))
        return Query(domain, Functional({self.label: 1.0, each.output: -1.0}), self.norm)

    @property
    def _first_radius(self) -> float:
        return min(self.limit, 1.0) if self.limit == self.largest else self.limit

    def _compiled(self, each: ClassRadius, radius: float) -> Compiled:
        return compile_question(self.network, self._query(each, radius), mode=self.mode)

    def _look(self, each: ClassRadius, radius: float) -> None:
        """Bound the constant of one margin over the ball of a radius: closely, or until it is decided there."""
        compiled = self._compiled(each, radius)
        self._take_bound(each, radius, compiled.bound)
        if each.radius >= min(radius, each.limit * (1 - self.tolerance)):
            return
        point = ascend(compiled.reduced, self.norm, deadline=monotonic() + min(ASCENT_SECONDS, self._remaining()))
        self._take_slope(each, Certifier(compiled.asked).witness(point.x))
        if each.limit <= max(radius * (1 - self.tolerance), each.radius / (1 - self.tolerance)):
            return  # more than needed: a smaller ball says more, or none is needed
        # Of constants below what is needed no more has to be known than that.
        needed = round_down(each.exact_margin / Fraction(radius)) * (1 - self.options.gap)
        options = replace(self.options, time_limit=max(self._remaining(), 0.0))
        run = Run.of(compiled, self.solver, options, lambda _: None, monotonic(), needed)
        self.solves += 1
        self.engines += [engine for engine in run.engines if engine not in self.engines]
        self._take_slope(each, run.best)
        before = each.radius
        self._take_bound(each, radius, run.pair.bound)
        self.by_solver |= each.radius > before and run.pair.upper_kind == "solver"
        if run.ending is Ending.INTERRUPTED:
            raise KeyboardInterrupt

    def _take_bound(self, each: ClassRadius, radius: float, upper: float) -> None:
        """Take what an upper bound of the constant over a ball proves: all below ``min(radius, margin / upper)``."""
        proven = radius
        if upper > 0:
            proven = min(radius, round_down(each.exact_margin / Fraction(upper))) if isfinite(upper) else 0.0
        each.radius = max(each.radius, proven)

    def _take_slope(self, each: ClassRadius, witness: Witness | None) -> None:
        """Take what a point with a gradient says: nothing beyond ``max(its distance, margin / slope)`` is proven."""
        if witness is not None and witness.value > 0:
            away = distance(self.norm, witness.x, self.center)
            reach = max(away, each.exact_margin / Fraction(witness.value))
            each.limit = min(each.limit, round_up(reach))
