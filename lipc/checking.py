"""Check a solver's solution file: read it back through the sidecar, and prove anew what it claims.

No solver is asked and none is believed. The solution names a point and a pattern of the network; what they are worth
is computed in exact arithmetic (`lipc.certify`). Whether it solves the mixed-integer program is looked at row by row.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipc.certify import Certifier, Regions, Witness
from lipc.errors import LipcError, SolutionError
from lipc.evidence import Evidence, read_evidence
from lipc.formats.sidecar import ModelMap, read_sidecar
from lipc.formats.solutions import SolutionFile, read_solution
from lipc.formats.styles.text import LARGEST
from lipc.ir import Floats, Sense, evaluate, pullback
from lipc.mip import MixedIntegerProgram
from lipc.solving.witnesses import certified_near

STANDARD_INPUT = "-"

TOLERANCE = 1e-6
"""A claim may exceed what is certified by this part of it, or of 1 if that is more."""

FEASIBILITY = 1e-5
"""By how much rows, bounds and bits may be violated, as a part of the side if that is more than 1.

It is what solvers take for feasible, and decides what is said of a solution, not what is certified."""

SHOWN = 5
"""Violations of one kind that are listed; the others are counted."""


@dataclass(frozen=True)
class Violation:
    """Something in the solution that does not hold.

    Parameters
    ----------
    kind
        ``row``, ``bound`` or ``integrality``.
    name
        Of the row or column.
    amount
        By how much, in the units of the file.
    text
        A sentence.
    """

    kind: str
    name: str
    amount: float
    text: str


@dataclass(frozen=True, eq=False)
class Check:
    """What became of a solution.

    Parameters
    ----------
    style, status
        Of the file: which solver's, and what that says of it; see `SolutionFile`.
    claimed
        The value that the file states for the question (its objective, turned round and scaled back); `None` if none.
    computed
        The value of the program's objective at the columns; `None` if they are not all there.
    certified
        The proven value; `None` if nothing is proven.
    witness
        Proves it.
    maximize
        Whether the certified value is a lower bound (of a maximum); else it is an upper one.
    factor
        What the program asks for may exceed the truth by this factor (l_2); else 1.
    violations
        Of rows, bounds and integrality, in the order of the file.
    problems
        Why the solution is not accepted, in words; none if it is.
    tolerance
        Within which the claim is compared.
    """

    style: str
    status: str | None
    claimed: float | None
    computed: float | None
    certified: float | None
    witness: Witness | None
    maximize: bool
    factor: float
    violations: tuple[Violation, ...]
    problems: tuple[str, ...]
    tolerance: float

    @property
    def accepted(self) -> bool:
        """Whether the solution solves the program, and what it claims is certified within the tolerance."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain values for JSON."""
        witness = self.witness
        return {
            "accepted": self.accepted,
            "style": self.style,
            "status": self.status,
            "claimed": self.claimed,
            "computed": self.computed,
            "certified": self.certified,
            "certifies": "lower" if self.maximize else "upper",
            "factor": self.factor,
            "tolerance": self.tolerance,
            "witness": None
            if witness is None
            else {
                "x": witness.x.tolist(),
                "value": witness.value,
                "gradient": witness.gradient.tolist(),
                "cotangent": witness.cotangent.tolist(),
            },
            "violations": [
                {"kind": each.kind, "name": each.name, "amount": each.amount, "text": each.text}
                for each in self.violations
            ],
            "problems": list(self.problems),
        }

    def to_json(self) -> str:
        """Return the check as one JSON object."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)


def check(
    model_map: str | Path, solution: str | Path, *, tolerance: float = TOLERANCE, feasibility: float = FEASIBILITY
) -> Check:
    """Check a solution file against the sidecar of its model; neither the model nor the network is needed.

    Parameters
    ----------
    model_map
        The sidecar, ``model.map.json``.
    solution
        A file of SCIP, HiGHS, CBC, GLPK, Gurobi, or of names and values; also packed by gzip. ``-`` is standard input.
    tolerance
        The claim may exceed the certified value by this part of it, or of 1 if that is more.
    feasibility
        By how much a row, a bound or a bit may be violated.

    Raises
    ------
    SolutionError
        The solution cannot be read, or is not one of this program.
    LipcError
        The sidecar cannot be read, or does not hold its network: it was written before version 2 of its schema, or of
        a program of several inputs.
    """
    for name, value in (("tolerance", tolerance), ("feasibility tolerance", feasibility)):
        if not 0 <= value < math.inf:
            raise LipcError(f"the {name} is {value!r}, not a finite number from 0 on")
    # In a pipe the sidecar may be written while the solution is waited for.
    data, where = _read(solution)
    sidecar = read_sidecar(model_map)
    try:
        program = sidecar.program()
        evidence = read_evidence(sidecar.facts.get("network"), len(program.cost))
    except (ValueError, RecursionError) as error:
        hint = "write the model again" if sidecar.packed is None else ""
        raise LipcError(f"the sidecar cannot be used for a check: {error}", where=str(model_map), hint=hint) from None
    two_sided = np.isfinite(program.row_lower) & np.isfinite(program.row_upper)
    rows = len(two_sided)
    # In an LP file rows of two sides are two, and there is one at least.
    counts = (rows, max(1, rows + int((two_sided & (program.row_lower != program.row_upper)).sum())))
    found = read_solution(data, columns=program.column_names(), rows=sorted(set(counts)), where=where)
    return _Checker(sidecar, program, evidence, found, tolerance, feasibility).check()


def _read(solution: str | Path) -> tuple[bytes, str]:
    """Return the bytes of a solution and what messages call it."""
    is_piped = str(solution) == STANDARD_INPUT
    where = "standard input" if is_piped else str(solution)
    if is_piped and sys.stdin is None:
        raise SolutionError("cannot be read: it is closed", where=where)
    try:
        with nullcontext(sys.stdin.buffer) if is_piped else Path(solution).open("rb") as stream:
            return stream.read(LARGEST + 1), where
    except (OSError, ValueError) as error:
        raise SolutionError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=where) from None


class _Checker:
    """The check of one solution."""

    def __init__(
        self,
        sidecar: ModelMap,
        program: MixedIntegerProgram,
        evidence: Evidence,
        found: SolutionFile,
        tolerance: float,
        feasibility: float,
    ) -> None:
        self.sidecar, self.program, self.evidence, self.found = sidecar, program, evidence, found
        self.tolerance, self.feasibility = tolerance, feasibility
        self.maximize = program.sense is Sense.MAXIMIZE
        query = sidecar.facts.get("query")
        factor = query.get("upper_factor", 1.0) if isinstance(query, dict) else 1.0
        self.has_region = True
        self.factor = float(factor) if isinstance(factor, int | float) and 1 <= factor < math.inf else 1.0

    def check(self) -> Check:
        """Return what becomes of the solution."""
        found, values = self.found, self.found.values
        claimed = None if found.objective is None else self.sidecar.original(found.objective)
        if values is None:
            problem = f"the file holds no solution{f': {found.status}' if found.status else ''}"
            return self._result(claimed, None, None, (), (problem,))
        whole = not np.isnan(values).any()
        violations = tuple(self._violations(values))
        computed = self.program.objective(values) if whole else None
        witness = self._witness(values)
        problems = [*_summary(violations), *self._claims(claimed, computed, values, witness)]
        return self._result(claimed, computed, witness, violations, tuple(problems))

    def _result(
        self,
        claimed: float | None,
        computed: float | None,
        witness: Witness | None,
        violations: tuple[Violation, ...],
        problems: tuple[str, ...],
    ) -> Check:
        return Check(
            style=self.found.style,
            status=self.found.status,
            claimed=claimed,
            computed=computed,
            certified=None if witness is None else witness.value,
            witness=witness,
            maximize=self.maximize,
            factor=self.factor,
            violations=violations,
            problems=problems,
            tolerance=self.tolerance,
        )

    def _violations(self, values: Floats) -> Iterator[Violation]:
        """Yield what the columns violate; a column without a value violates nothing."""
        program = self.program
        known = ~np.isnan(values)
        names = program.column_names()
        slack = self.found.rounding * np.abs(values)
        fraction = np.abs(values - np.round(values))
        for at in np.flatnonzero(known & program.integer & (fraction > self.feasibility + slack)).tolist():
            text = f"column {names[at]} is integral, and has the value {values[at]:.9g}"
            yield Violation("integrality", names[at], float(fraction[at]), text)
        sides = (program.column_lower, program.column_upper)
        for at, amount, side in self._outside(np.where(known, values, np.nan), *sides, slack):
            text = f"column {names[at]} = {values[at]:.9g} lies outside its bound {side:.9g}"
            yield Violation("bound", names[at], amount, text)
        if not known.all():
            return
        names = program.row_names()
        with np.errstate(over="ignore", invalid="ignore"):
            activity = program.matrix @ values
            # What the digits of the file hide, and rounding in the sum itself.
            slack = (self.found.rounding + 1e-14) * (abs(program.matrix) @ np.abs(values))
        for at, amount, side in self._outside(activity, program.row_lower, program.row_upper, slack):
            text = f"row {names[at]} has the value {activity[at]:.9g}, its side is {side:.9g}"
            yield Violation("row", names[at], amount, text)

    def _outside(
        self, values: Floats, lower: Floats, upper: Floats, slack: Floats
    ) -> Iterator[tuple[int, float, float]]:
        """Yield the places where values lie outside two sides: by how much, and of which side."""
        below, above = lower - values, values - upper
        allowed_below = self.feasibility * np.maximum(1.0, np.where(np.isfinite(lower), np.abs(lower), 0.0)) + slack
        allowed_above = self.feasibility * np.maximum(1.0, np.where(np.isfinite(upper), np.abs(upper), 0.0)) + slack
        wrong: NDArray[np.bool_] = (below > allowed_below) | (above > allowed_above) | np.isinf(values)
        for at in np.flatnonzero(wrong).tolist():
            low = below[at] > above[at]
            yield (
                at,
                float(min(below[at] if low else above[at], np.finfo(float).max)),
                float((lower if low else upper)[at]),
            )

    def _witness(self, values: Floats) -> Witness | None:
        """Return the best of what is proven at the point of the solution and well inside the region of its pattern."""
        certifier = Certifier(self.evidence.program)
        random = np.random.default_rng(0)
        scaled = values * self.program.column_scale
        point = self.evidence.point(scaled)
        sign = 1.0 if self.maximize else -1.0
        found = []
        if not np.isnan(point).all():
            middle = certifier.domain.clip(np.zeros(certifier.domain.size))
            point = np.where(np.isnan(point), middle, point)
            found.append(certified_near(certifier, point, random))
        region = self._region_point(certifier, point, scaled)
        self.has_region = region is not None
        if region is not None:
            found.append(certified_near(certifier, region, random))
        proven = [witness for witness in found if witness is not None]
        return max(proven, key=lambda witness: sign * witness.value, default=None)

    def _region_point(self, certifier: Certifier, point: Floats, scaled: Floats) -> Floats | None:
        """Return the best point of the region of the solution's pattern: the widest one, where a gradient is asked for.

        `None` if the region has no interior, or is empty.
        """
        program = self.evidence.program
        middle = certifier.domain.clip(np.zeros(certifier.domain.size))
        at = certifier.domain.clip(np.where(np.isnan(point), middle, point))
        here = evaluate(program, {certifier.input: at[None, :]})
        pattern = self.evidence.pattern(scaled)
        bits = {value: np.where(np.isnan(each), here[value][0], each) > 0.5 for value, each in pattern.items()}
        regions = Regions(program, self.evidence.relevant)
        if certifier.objective.lipschitz is not None:
            return regions.widest(bits).point
        choices = {value: each.astype(np.float64)[None, :] for value, each in bits.items()}
        values = evaluate(program, {certifier.input: at[None, :], **choices})
        gradient = pullback(program, values, np.ones((1, 1)), certifier.input)[0]
        return regions.steepest(bits, gradient if self.maximize else -gradient)

    def _claims(
        self, claimed: float | None, computed: float | None, values: Floats, witness: Witness | None
    ) -> Iterator[str]:
        """Yield what is wrong with the value that is claimed."""
        slack = self.found.rounding
        if computed is not None:
            slack *= self.program.objective_scale * float(np.abs(self.program.cost) @ np.abs(values))
        if claimed is not None and computed is not None:
            allowed = self._allowed(claimed) + slack
            if not abs(claimed - computed) <= allowed:
                yield f"the file states the objective {claimed:.9g}, its columns have {computed:.9g}"
        claim = claimed if claimed is not None else computed
        if witness is None:
            yield "nothing is certified: neither its point nor its pattern has a gradient"
        elif claim is not None:
            sign = 1.0 if self.maximize else -1.0
            reached = witness.value * self.factor if self.maximize else witness.value
            if sign * (claim - reached) > self._allowed(claim) + slack:
                thin = (
                    "" if self.has_region else "; the region of its pattern has no interior: no point has its gradient"
                )
                yield f"the claim {claim:.9g} is not reached: {witness.value:.9g} is certified{thin}"

    def _allowed(self, claim: float) -> float:
        return self.tolerance * max(1.0, abs(claim))


def _summary(violations: tuple[Violation, ...]) -> Iterator[str]:
    """Yield the first violations of each kind, and how many more there are."""
    for kind in ("integrality", "bound", "row"):
        of_kind = [each for each in violations if each.kind == kind]
        for each in of_kind[:SHOWN]:
            yield f"{each.text} (by {each.amount:.3g})"
        if len(of_kind) > SHOWN:
            plural = {"integrality": "integral columns", "bound": "bounds", "row": "rows"}[kind]
            yield f"{len(of_kind) - SHOWN} more {plural} are violated"
