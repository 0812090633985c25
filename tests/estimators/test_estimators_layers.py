"""Networks as chains of layers."""

from __future__ import annotations

import numpy as np
import pytest

import lipc
from lipc.estimators.base import RefusedError
from lipc.estimators.layers import layers_of
from lipc.frontends.lip import parse_lip
from lipc.query import Query
from tests.nets import random_network


def test_layers_of_a_chain_are_its_weights_with_the_output_multiplied_in() -> None:
    weights, biases = random_network(1, (3, 5, 4, 2))
    program = Query(output="y[0] - 2*y[1]").ask(lipc.from_weights(weights, biases).program)
    layers = layers_of(program)
    assert layers.sizes == (3, 5, 4, 1)
    assert layers.neurons == 9
    for found, weight in zip(layers.dense(), [*weights[:2], weights[2][:1] - 2 * weights[2][1:]], strict=True):
        np.testing.assert_allclose(found, weight, rtol=1e-15)
    np.testing.assert_allclose(layers.biases[2], biases[2][:1] - 2 * biases[2][1:], rtol=1e-15)
    assert 0 < layers.slack[0] < 1e-10


def test_an_affine_network_is_one_layer() -> None:
    layers = layers_of(Query().ask(lipc.from_weights([np.array([[2.0, -1.0]])], [np.zeros(1)]).program))
    np.testing.assert_array_equal(layers.dense()[0], [[2.0, -1.0]])


@pytest.mark.parametrize("output", ["relu(x) + x", "leaky_relu(x, 0.5)", "max(x[0], x[1])"])
def test_what_is_no_chain_is_refused(output: str) -> None:
    network = parse_lip(f"network n {{\n  input x[2]\n  output y = {output}\n}}\n")
    with pytest.raises(RefusedError, match="no chain of affine maps and ReLUs"):
        layers_of(Query().ask(network.program))
