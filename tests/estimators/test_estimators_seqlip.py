"""SeqLip: against the recorded peer, and against all choices of slopes."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from lipc.estimators import slopes
from lipc.estimators.base import Kind
from lipc.estimators.seqlip import SeqLip
from lipc.estimators.slopes import greedy_norm, largest_norm
from tests.estimators.estimator_cases import estimate, reference_cases


def test_the_greedy_search_gives_what_the_authors_code_gave(shared: Path) -> None:
    agreed = 0
    for case in reference_cases(shared):
        found = estimate(SeqLip(), case.program)
        peer = case.reference["peers"].get("SeqLip")
        if peer is not None:  # the peer works in l_2 and has single precision
            factor = np.sqrt(case.weights[0].shape[1]) if case.norm == "linf" else 1.0
            assert found.value == pytest.approx(peer["value"] * factor, rel=1e-5)
            agreed += 1
        assert (found.kind or SeqLip.kind) is Kind.HEURISTIC
    assert agreed == 14


def all_slopes(left: np.ndarray, right: np.ndarray) -> float:
    choices = product((0.0, 1.0), repeat=left.shape[1])
    return max(float(np.linalg.norm((left * np.array(choice)) @ right, 2)) for choice in choices)


@pytest.mark.parametrize("seed", range(20))
def test_the_exact_search_finds_the_worst_slopes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, neurons, columns = rng.integers(1, 7, 3)
    left, right = rng.normal(size=(rows, neurons)), rng.normal(size=(neurons, columns))
    left[:, 0] *= seed % 2  # a neuron that nobody reads
    worst = all_slopes(left, right)
    found, complete = largest_norm(left, right)
    assert complete
    assert worst <= found <= worst * (1 + 1e-8) + 1e-300
    assert greedy_norm(left, right)[0] <= found


def test_where_choices_are_too_many_their_bound_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    left, right = rng.normal(size=(5, 9)), rng.normal(size=(9, 5))
    monkeypatch.setattr(slopes, "MOST_OPEN", 20)
    found, complete = largest_norm(left, right)
    assert not complete
    assert all_slopes(left, right) <= found <= np.linalg.norm(left, 2) * np.linalg.norm(right, 2) * (1 + 1e-9)


def test_the_greedy_search_may_miss_the_worst_slopes() -> None:
    missed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        left, right = rng.normal(size=(2, 5)), rng.normal(size=(5, 2))
        missed += greedy_norm(left, right)[0] < all_slopes(left, right) * (1 - 1e-6)
    assert missed > 0


@pytest.mark.parametrize("sizes", ["tiny"])
def test_the_exact_product_is_that_of_all_slopes(shared: Path, sizes: str) -> None:
    for case in reference_cases(shared, sizes=sizes):
        if case.norm != "l2":
            continue
        parts = [np.linalg.svd(weight, full_matrices=False) for weight in case.weights]
        expected = 1.0
        for at, (below, above) in enumerate(pairwise(parts)):
            power_below = 1.0 if at == 0 else 0.5
            power_above = 1.0 if at == len(parts) - 2 else 0.5
            expected *= all_slopes((above[1] ** power_above)[:, None] * above[2], below[0] * below[1] ** power_below)
        found = estimate(SeqLip("exact"), case.program)
        assert found.kind is Kind.UPPER
        assert expected <= found.value <= expected * (1 + 1e-7)
