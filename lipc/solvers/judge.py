"""What a solver says, judged: nothing is believed that it contradicts itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from lipc.formats.solutions import SolutionFile
from lipc.ir import Floats
from lipc.solvers.base import Ending, Outcome
from lipc.solvers.handover import VIOLATED, Handover

MISSTATED = 1e-5
"""A solver's objective this far from that of its own solution, relatively or near 0 absolutely, is another's."""


@dataclass(frozen=True, eq=False)
class Claim:
    """What a solver is understood to have said, in the file's own units.

    Parameters
    ----------
    ending
        As it says.
    bound
        Its dual bound from below; `None` if it named none.
    solution
        As read; `None` if it left none.
    gap
        The relative gap at which it was told to stop: a node that is worse than its solution by less may be dropped.
    nodes
        Branch-and-bound nodes.
    """

    ending: Ending
    bound: float | None
    solution: SolutionFile | None
    gap: float
    nodes: int


def ending_of(status: str | None) -> Ending:
    """Return what the word of a solution file means; `Ending.UNPROVEN` for anything that claims nothing."""
    words = status or ""
    if "infeasible" in words or "no feasible" in words:
        return Ending.UNPROVEN if "unbounded" in words else Ending.INFEASIBLE
    if re.match(r"optimal\b", words):
        return Ending.OPTIMAL
    return Ending.TIME_LIMIT if "time" in words else Ending.UNPROVEN


def judge(handover: Handover, claim: Claim, title: str, faults: tuple[str, ...] = ()) -> Outcome:
    """Return the outcome that a claim amounts to.

    A solver that proves its solution optimal claims a bound thereby, but only where the solution is one and has the
    objective it says. What it may have dropped within the gap is added to every bound. One that contradicts itself has
    no bound at all.
    """
    if claim.ending is Ending.INFEASIBLE:
        if handover.task.start is not None:
            faults += (f"{title} says that there is no solution, and was given one",)
        return Outcome(Ending.INFEASIBLE, handover.nothing_is_left, (), claim.nodes, faults)
    columns, stated = _solution(claim)
    bound = -np.inf if claim.bound is None or np.isnan(claim.bound) else claim.bound
    if columns is None:
        if claim.ending is Ending.OPTIMAL:
            faults += (f"{title} says optimal, and leaves no solution",)
        return Outcome(claim.ending, handover.bound(bound), (), claim.nodes, faults)
    cost = float(handover.cost @ columns)
    violation = handover.violation(columns)
    contradictions = _contradictions(cost, stated, bound, violation, title)
    if contradictions:
        bound = -np.inf
    elif violation <= VIOLATED:
        if claim.ending is Ending.OPTIMAL:
            bound = max(bound, cost if stated is None else min(cost, stated))
        bound = min(bound, cost - claim.gap * abs(cost))
    if violation > VIOLATED:
        contradictions += (f"the solution of {title} violates its program by {violation:.2g}",)
    solutions = (handover.back(columns),)
    return Outcome(claim.ending, handover.bound(bound), solutions, claim.nodes, faults + contradictions)


def _solution(claim: Claim) -> tuple[Floats | None, float | None]:
    """Return the columns of a solution, if all are there, and the objective that it states."""
    solution = claim.solution
    if solution is None or solution.values is None or not np.isfinite(solution.values).all():
        return None, None
    return solution.values, solution.objective


def _contradictions(cost: float, stated: float | None, bound: float, violation: float, title: str) -> tuple[str, ...]:
    """Return what is wrong with the numbers that a solver states, given the cost of its own solution."""
    allowed = MISSTATED * max(1.0, abs(cost))
    found = []
    if stated is not None and not abs(stated - cost) <= allowed:
        found.append(f"{title} states the objective {stated:.8g}, that of its solution is {cost:.8g}")
    if bound > cost + allowed and violation <= VIOLATED:
        found.append(f"{title} states the bound {bound:.8g}, its own solution has {cost:.8g}")
    return tuple(found)
