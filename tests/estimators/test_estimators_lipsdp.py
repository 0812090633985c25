"""LipSDP and its modes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipc.estimators.lipsdp import LipSdp
from tests.estimators.estimator_cases import Case, estimate, reference_cases, sdp_by_cvxpy


def check(case: Case) -> None:
    factor = np.sqrt(case.weights[0].shape[1]) if case.norm == "linf" else 1.0
    neuron, layer = (estimate(LipSdp(mode), case.program).value for mode in ("neuron", "layer"))
    assert neuron == pytest.approx(sdp_by_cvxpy(case.weights, "l2") * factor, rel=1e-5)
    assert layer == pytest.approx(sdp_by_cvxpy(case.weights, "l2", by_layer=True) * factor, rel=1e-5)
    assert neuron <= layer


def test_both_modes_are_the_optima_of_their_moment_problems(shared: Path) -> None:
    for case in reference_cases(shared, sizes="tiny"):
        check(case)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["small", "syn", "digits"])
def test_both_modes_are_the_optima_of_larger_moment_problems(shared: Path, sizes: str) -> None:
    for case in reference_cases(shared, sizes=sizes):
        if case.norm != "l1":  # the same problem as in l_2
            check(case)


def test_mode_network_is_what_is_sound_of_it_and_says_so(shared: Path) -> None:
    case = next(iter(reference_cases(shared, sizes="tiny")))
    network, neuron = (estimate(LipSdp(mode), case.program) for mode in ("network", "neuron"))
    assert network.value == neuron.value
    assert "Pauli et al. 2021" in network.note
    assert neuron.note == ""
