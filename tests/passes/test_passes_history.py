"""What each pass did to the neurons of the network."""

from __future__ import annotations

import numpy as np

import lipc
from lipc.passes.history import Layer, history
from lipc.query import Query, box

NETWORK = lipc.from_weights(
    [np.array([[1.0], [1.0], [-1.0]]), np.array([[1.0, -1.0, 1.0]]), np.ones((1, 1))],
    [np.array([5.0, 0.0, -5.0]), np.array([20.0]), np.zeros(1)],
)
"""On [-1, 1]: always on, unstable and always off; then always on."""


def test_neurons_are_told_from_pass_to_pass() -> None:
    stages = history(lipc.compile(NETWORK, Query(box(-1.0, 1.0))).trail)
    assert [stage.name for stage in stages][:2] == ["", "cse"]
    first, second = (layer.name for layer in stages[0].layers)
    assert stages[0].layers == (Layer(first, 0, 0, 3), Layer(second, 0, 0, 1))
    by_name = {stage.name: stage for stage in reversed(stages)}  # the first of each name
    decided = (Layer(first, 1, 1, 1), Layer(second, 1, 0, 0))
    assert by_name["merge-duplicates"].layers == stages[0].layers
    for name in ("bounds", "prune-stable", "jacobian", "fuse"):
        assert by_name[name].layers == decided
    assert by_name["prune-stable"].size.unstable == 1
    assert stages[0].size.unstable == 4


def test_a_result_tells_it_too() -> None:
    result = lipc.solve(NETWORK, Query(box(-1.0, 1.0)))
    last = result.size.passes[-1]
    assert sum(layer.unstable for layer in last.layers) == result.size.neurons.unstable == 1
    record = result.to_dict()["size"]
    assert isinstance(record, dict)
    assert record["passes"][0]["layers"][0]["unstable"] == 3
