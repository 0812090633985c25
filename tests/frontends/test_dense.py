import numpy as np
import pytest

from lipc.errors import ModelError
from lipc.frontends import from_weights
from lipc.ir import Conditional, evaluate

RNG = np.random.default_rng(0)
WEIGHTS = [RNG.normal(size=(4, 3)), RNG.normal(size=(5, 4)), RNG.normal(size=(2, 5))]
BIASES = [RNG.normal(size=4), RNG.normal(size=5), RNG.normal(size=2)]
FUNCTIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "abs": np.abs,
}


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("biases", [None, BIASES])
def test_values(activation, biases):
    network = from_weights(WEIGHTS, biases, activation=activation)
    points = RNG.normal(size=(10, 3))
    value = points
    for layer, matrix in enumerate(WEIGHTS):
        value = FUNCTIONS[activation](value) if layer else value
        value = value @ matrix.T + (0 if biases is None else biases[layer])
    ours = evaluate(network.program, {0: points})[network.program.result]
    np.testing.assert_allclose(ours, value, atol=1e-12)
    assert (network.input_shape, network.output_shape) == ((3,), (2,))
    assert len(list(network.program.find(Conditional))) == 2


def test_lists_and_a_single_layer():
    network = from_weights([[[1, 2], [3, 4]]], [[0, 1]])
    assert evaluate(network.program, {0: np.array([[1.0, 1.0]])})[network.program.result].tolist() == [[3, 8]]


def test_arrays_are_copied():
    matrix = np.ones((1, 1))
    network = from_weights([matrix])
    matrix[0, 0] = 5
    assert evaluate(network.program, {0: np.ones((1, 1))})[network.program.result].item() == 1


@pytest.mark.parametrize(
    ("weights", "biases", "options", "message"),
    [
        ([], None, {}, "there is no layer"),
        ([np.ones((2, 3)), np.ones((1, 3))], None, {}, "W_2 has 3 columns, but what it multiplies has 2 entries"),
        ([np.ones(3)], None, {}, "W_1 has shape (3,), not 2"),
        ([np.ones((0, 3))], None, {}, "W_1 has shape (0, 3)"),
        ([[[1, 2], [3]]], None, {}, "W_1 is not an array of numbers"),
        ([[["a"]]], None, {}, "W_1 is not an array of numbers"),
        ([[[np.nan]]], None, {}, "W_1 holds NaN"),
        ([np.ones((2, 3))], [np.ones(3)], {}, "W_1 has 2 rows, but b_1 has 3 entries"),
        ([np.ones((2, 3))], [], {}, "1 weight matrices but 0 biases"),
        ([np.ones((2, 3))], [[1, np.inf]], {}, "b_1 holds NaN or infinite"),
        ([np.ones((2, 3))], None, {"activation": "tanh"}, "unknown activation 'tanh'; known: relu, leaky_relu, abs"),
    ],
)
def test_errors(weights, biases, options, message):
    with pytest.raises(ModelError) as caught:
        from_weights(weights, biases, **options)
    assert message in str(caught.value)
