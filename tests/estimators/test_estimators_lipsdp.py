"""LipSDP and its modes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipc.estimators.lipsdp import LipSdp
from tests.estimators.estimator_cases import estimate, reference_cases, sdp_by_cvxpy


def check(shared: Path, sizes: str) -> None:
    optima: dict[str, tuple[float, float]] = {}
    for case in reference_cases(shared, sizes=sizes):
        if case.name not in optima:  # in every norm it is the problem of l_2
            # A ball of more directions than the first layer tells apart is turned, W = R' Q': minutes become seconds.
            weights = [np.linalg.qr(case.weights[0].T, mode="r").T, *case.weights[1:]]
            optima[case.name] = sdp_by_cvxpy(weights, "l2"), sdp_by_cvxpy(weights, "l2", by_layer=True)
        factor = np.sqrt(case.weights[0].shape[1]) if case.norm == "linf" else 1.0
        neuron, layer = (estimate(LipSdp(mode), case.program).value for mode in ("neuron", "layer"))
        assert neuron == pytest.approx(optima[case.name][0] * factor, rel=1e-5)
        assert layer == pytest.approx(optima[case.name][1] * factor, rel=1e-5)
        assert neuron <= layer


def test_both_modes_are_the_optima_of_their_moment_problems(shared: Path) -> None:
    check(shared, "tiny")


@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["small", "syn", "digits"])
def test_both_modes_are_the_optima_of_larger_moment_problems(shared: Path, sizes: str) -> None:
    check(shared, sizes)


def test_mode_network_is_what_is_sound_of_it_and_says_so(shared: Path) -> None:
    case = next(iter(reference_cases(shared, sizes="tiny")))
    network, neuron = (estimate(LipSdp(mode), case.program) for mode in ("network", "neuron"))
    assert network.value == neuron.value
    assert "Pauli et al. 2021" in network.note
    assert neuron.note == ""
