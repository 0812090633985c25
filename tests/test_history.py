from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from nets import random_network

import lipc
from lipc.history import MOST_MOMENTS, History, Moment


def test_only_changes_and_the_end_are_kept() -> None:
    history = History()
    for seconds, upper in enumerate((9.0, 9.0, 8.0, 8.0, 8.0)):
        history.add(Moment(seconds, 1.0, upper, seconds))
    assert history.thinned() == ((0, 1.0, 9.0, 0), (2, 1.0, 8.0, 2), (4, 1.0, 8.0, 4))
    assert History().thinned() == ()


@pytest.mark.parametrize("count", [1, 199, 200, 201, 399, 400, 401, 10_001])
def test_many_changes_are_thinned_evenly(count: int) -> None:
    history = History()
    for number in range(count):
        history.add(Moment(float(number), 0.0, -float(number), number))
    moments = history.thinned()
    assert len(moments) <= MOST_MOMENTS
    assert len(history.moments) < 2 * MOST_MOMENTS
    assert len(moments) >= min(count, MOST_MOMENTS // 2)
    assert (moments[0].nodes, moments[-1].nodes) == (0, count - 1)
    steps = [after.nodes - before.nodes for before, after in pairwise(moments)]
    assert all(0 < step <= 8 * count / MOST_MOMENTS + 1 for step in steps)


@pytest.mark.parametrize("goal", ["lipschitz", "min"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_result_says_how_its_pair_closed(goal: lipc.query.Goal, pieces: int) -> None:
    network = lipc.from_weights(*random_network(3, (3, 8, 1)))
    domains = (lipc.box(-np.ones(3), np.zeros(3)), lipc.box(np.zeros(3), np.ones(3)))[:pieces]
    result = lipc.solve(network, lipc.Query(domains, goal=goal))
    assert result.history
    for before, after in pairwise(result.history):
        assert before.seconds <= after.seconds
        assert before.lower <= after.lower
        assert after.upper <= before.upper
        assert before.nodes <= after.nodes
    last = result.history[-1]
    assert (last.lower, last.upper, last.nodes) == (result.lower, result.upper, result.nodes)
    shown = result.to_dict()["history"]
    assert isinstance(shown, list) and len(shown) == len(result.history)
    assert shown[-1][1:] == [result.lower, result.upper, result.nodes]
