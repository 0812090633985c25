"""The SDP bound in l_inf, l_2 and l_1."""

from __future__ import annotations

from pathlib import Path
from time import process_time

import numpy as np
import pytest

from lipc.estimators import derivatives
from lipc.estimators.base import Limits
from lipc.estimators.derivatives import largest_over_ball, largest_over_cube, rows_of
from lipc.estimators.geolip import GeoLip
from lipc.estimators.lipsdp import LipSdp
from tests.estimators.estimator_cases import Case, ask, estimate, random_case, reference_cases, sdp_by_cvxpy

PRECISE = 1e-5


def check(case: Case) -> None:
    found = estimate(GeoLip(), case.program).value
    if case.norm != "l1":
        assert found == pytest.approx(sdp_by_cvxpy(case.weights, case.norm), rel=PRECISE)
        return
    units = np.eye(case.weights[0].shape[1])
    corners = [sdp_by_cvxpy(case.weights, "linf", direction=way * unit) for unit in units for way in (1, -1)]
    assert found == pytest.approx(max(corners), rel=PRECISE)


def test_the_bound_is_the_optimum_of_the_moment_problem(shared: Path) -> None:
    for case in reference_cases(shared, sizes="tiny"):
        check(case)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["small", "syn"])
def test_the_bound_is_the_optimum_of_larger_moment_problems(shared: Path, sizes: str) -> None:
    for case in reference_cases(shared, sizes=sizes):
        if case.norm != "l1":  # two moment problems for each input: minutes; the smallest cases have them
            check(case)


@pytest.mark.parametrize("seed", [0, 9, 18])
def test_the_bound_of_several_outputs_is_the_largest_of_each(seed: int) -> None:
    network = random_case(seed)
    found = estimate(GeoLip(), ask(network, "l2")).value
    parts = [sdp_by_cvxpy([*network.weights[:-1], row[None]], "l2") for row in network.weights[-1]]
    assert found == pytest.approx(max(parts), rel=PRECISE)


def test_a_network_of_80_variables_takes_less_than_a_tenth_of_a_second(shared: Path) -> None:
    (program,) = (case.program for case in reference_cases(shared, sizes="trained") if case.norm == "linf")
    times = []
    for _ in range(5):
        start = process_time()
        found = estimate(GeoLip(), program)
        times.append(process_time() - start)
    assert found.value == pytest.approx(593.103, rel=1e-5)  # Clarabel on the same problem
    assert min(times) < 0.1


def test_larger_networks_get_a_bound_from_a_first_order_method(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for case in reference_cases(shared, sizes="small_10-20"):
        if case.norm == "l1":
            continue
        best = estimate(GeoLip(), case.program).value
        rows = rows_of(case.program)
        monkeypatch.setattr(derivatives, "MOST_BY_NEWTON", 10)
        largest = largest_over_cube if case.norm == "linf" else largest_over_ball
        found = largest(rows, derivatives.by_size, Limits())
        monkeypatch.undo()
        assert best * (1 - 1e-6) <= found <= 1.1 * best


def test_after_its_deadline_it_returns_a_bound_all_the_same(shared: Path) -> None:
    for case in reference_cases(shared, sizes="tiny_4"):
        late = GeoLip().estimate(case.program, Limits(deadline=0.0)).value
        assert estimate(GeoLip(), case.program).value <= late
        assert np.isfinite(late)


def test_in_l2_it_is_lipsdp(shared: Path) -> None:
    for case in reference_cases(shared, sizes="tiny"):
        if case.norm == "l2":
            assert estimate(GeoLip(), case.program).value == estimate(LipSdp(), case.program).value
