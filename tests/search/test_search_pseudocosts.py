"""Pseudo-costs: averages per violation, of bits and signs each for themselves."""

from __future__ import annotations

import numpy as np
import pytest

from lipc.search.pseudocosts import RELIABLE, Decision, PseudoCosts


def test_before_anything_is_known_violations_decide() -> None:
    costs = PseudoCosts(2, 3)
    for state in (0, 1):
        np.testing.assert_array_equal(costs.expected(state, np.array([4, 0]), np.array([0.5, 2.0])), [0.5, 2.0])


def test_averages() -> None:
    costs = PseudoCosts(2, 2)
    costs.record(Decision(0, 1, bound=10.0, violation=2.0), 4.0)  # 3 for each unit
    costs.record(Decision(0, 1, bound=10.0, violation=1.0), 9.0)  # 1
    costs.record(Decision(2, 1, bound=10.0, violation=0.1), 9.0)  # 10, of a sign
    costs.record(Decision(1, 0, bound=10.0, violation=1.0), 12.0)  # worse than before: nothing
    places, units = np.arange(4), np.ones(4)
    # Of bits that are on the average is 2: the mean of 3, 1 and that average, and the average itself.
    np.testing.assert_allclose(costs.expected(1, places, units), [2.0, 2.0, 10.0, 10.0])
    np.testing.assert_allclose(costs.expected(0, places, units), [0.0, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(costs.expected(1, places[:1], np.array([0.25])), [0.5])


@pytest.mark.filterwarnings("error")
def test_no_violation_at_all() -> None:
    costs = PseudoCosts(1, 1)
    costs.record(Decision(0, 1, bound=1.0, violation=0.0), 0.0)
    assert np.isfinite(costs.expected(1, np.array([0]), np.array([0.0]))).all()


def test_a_place_is_reliable_when_both_sides_are() -> None:
    costs = PseudoCosts(1, 1)
    for k in range(2 * RELIABLE):
        assert not costs.is_reliable(0)
        costs.record(Decision(0, k % 2, 1.0, 1.0), 0.5)
    assert costs.is_reliable(0)
    assert not costs.is_reliable(1)
