"""ECLipsE: its closed form, and its small SDPs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from lipc.bounds import cone
from lipc.estimators import eclipse
from lipc.estimators.autolip import AutoLip
from lipc.estimators.base import RefusedError
from lipc.estimators.eclipse import Eclipse
from lipc.estimators.lipsdp import LipSdp
from tests.estimators.estimator_cases import estimate, reference_cases
from tests.nets import Floats


def fast(weights: list[Floats]) -> float:
    """Return the bound of ECLipsE-Fast by inverses instead of factors: M = l I - l^2 W M^{-1} W' / 4."""
    matrix = np.eye(weights[0].shape[1])
    for weight in weights[:-1]:
        passed = weight @ np.linalg.inv(matrix) @ weight.T
        multiplier = 2 / np.linalg.eigvalsh(passed)[-1]
        matrix = multiplier * np.eye(len(weight)) - multiplier**2 * passed / 4
    return float(np.sqrt((weights[-1] @ np.linalg.inv(matrix) @ weights[-1].T)[0, 0]))


def test_the_fast_variant_is_its_closed_form_and_lies_between_lipsdp_and_autolip(shared: Path) -> None:
    for case in reference_cases(shared):
        factor = np.sqrt(case.weights[0].shape[1]) if case.norm == "linf" else 1.0
        found = estimate(Eclipse(), case.program).value
        assert found == pytest.approx(fast(case.weights) * factor, rel=1e-6)
        assert found <= estimate(AutoLip(), case.program).value
        assert found >= estimate(LipSdp("layer"), case.program).value * (1 - 1e-6)


def test_small_sdps_come_nearer(shared: Path) -> None:
    for case in reference_cases(shared, sizes="tiny"):
        found = estimate(Eclipse("sdp"), case.program).value
        assert estimate(LipSdp(), case.program).value * (1 - 1e-6) <= found <= estimate(Eclipse(), case.program).value


def test_a_solver_that_leaves_the_cone_is_repaired(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in reference_cases(shared, sizes="tiny_4") if case.norm == "l2")
    solve = cone.steepest_multipliers
    best = estimate(Eclipse("sdp"), case.program).value
    for wrong in (1.5, 100.0, -1.0, np.nan):

        def disturbed(*given: object, by: float = wrong) -> Floats | None:
            multipliers = solve(*given)  # type: ignore[arg-type]
            return None if multipliers is None else by * multipliers

        monkeypatch.setattr(eclipse, "steepest_multipliers", disturbed)
        found = estimate(Eclipse("sdp"), case.program).value
        assert case.reference["value"] <= found < np.inf
        assert found >= best * (1 - 1e-3)


def test_without_cvxpy_it_says_what_to_install(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    case = next(iter(reference_cases(shared, sizes="tiny")))
    with pytest.raises(RefusedError, match=r"pip install 'lipc\[sdp\]'"):
        estimate(Eclipse("sdp"), case.program)
    assert estimate(Eclipse(), case.program).value > 0
