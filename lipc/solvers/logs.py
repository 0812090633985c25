"""Dual bounds in the logs of solvers: no solution file but one of Gurobi's carries one."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

_NUMBER = r"([-+]?\d[\d.]*(?:e[-+]?\d+)?)"


@dataclass(frozen=True)
class BoundPattern:
    """What a log says of the dual bound.

    Parameters
    ----------
    pattern
        With one group, the number.
    digits
        How many significant digits the solver prints.
    """

    pattern: re.Pattern[str]
    digits: int

    def read(self, line: str) -> float | None:
        """Return the bound of a minimization that a line states, lowered by what its digits leave open; or `None`."""
        found = self.pattern.search(line)
        if found is None:
            return None
        try:
            value = float(found[1])
        except ValueError:
            return None
        return float(value - abs(value) * 10.0 ** (1 - self.digits)) if np.isfinite(value) else None


def _pattern(text: str, digits: int) -> BoundPattern:
    return BoundPattern(re.compile(text.replace("NUMBER", _NUMBER), re.IGNORECASE | re.ASCII), digits)


CBC = (_pattern(r"^Cbc0(?:010|005|011)I .*best possible NUMBER", 8),)
"""``Cbc0010I After 0 nodes, ..., best possible -1.0265751``; what it prints at last has three decimals only."""

GLPK = (_pattern(r"^\+\s*\d+:.*>=\s+NUMBER\s", 10),)
"""``+ 26580: >>>>>  -1.579670638e+00 >=  -1.912831737e+00``."""

HIGHS = (_pattern(r"^\s*Dual bound\s+NUMBER", 9),)
SCIP = (_pattern(r"^\s*Dual Bound\s*:\s*NUMBER", 9),)
GUROBI = (_pattern(r"best bound NUMBER,", 9),)

ANY = (*CBC, *GLPK, *HIGHS, *SCIP, *GUROBI)
"""For a command that may be any of them."""


def bound_in(line: str, patterns: tuple[BoundPattern, ...]) -> float | None:
    """Return the bound that a line of a log states; `None` if it states none."""
    for pattern in patterns:
        value = pattern.read(line)
        if value is not None:
            return value
    return None
