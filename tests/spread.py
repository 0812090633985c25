"""A part of many alike cases in the fast tests: spread over all of them, the others marked slow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest


def spread(*axes: Sequence[object], every: int) -> list[object]:
    """Return all combinations of some values for `pytest.mark.parametrize`; every so many is fast.

    An `every` that has no factor in common with the sizes of the axes goes through all their pairs.

    Raises
    ------
    ValueError
        If the fast ones miss a value of an axis although they are at least twice as many as its values.
    """
    cases = list(product(*axes))
    fast = cases[::every]
    for place, axis in enumerate(axes):
        missed = [value for value in axis if all(case[place] is not value for case in fast)]
        if missed and len(fast) >= 2 * len(axis):
            raise ValueError(f"every {every}th of the cases has none with {missed}")
    return [pytest.param(*case, marks=pytest.mark.slow if k % every else ()) for k, case in enumerate(cases)]
