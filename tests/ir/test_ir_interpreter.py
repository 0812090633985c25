from __future__ import annotations

import numpy as np
import pytest

from lipc.ir import Builder, Conditional, Kind, Polytope, Program, evaluate, pullback, pushforward
from tests.ir.sample_programs import Sample, dense, gradients, max_pool, mixed, residual
from tests.nets import random_network

SAMPLES = {
    "dense": dense(random_network(0, [3, 6, 5, 2])),
    "residual": residual(1, outputs=2),
    "max pool": max_pool(2, outputs=3),
    "mixed": mixed(3),
}


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]


def interior(sample: Sample, count: int) -> np.ndarray:
    """Return points of the box away from its corners, where ties are improbable."""
    share = np.random.default_rng(9).uniform(0.01, 0.99, (count, sample.domain.size))
    return sample.domain.lower + share * (sample.domain.upper - sample.domain.lower)


def test_a_batch_is_its_points_one_by_one(sample: Sample) -> None:
    points = sample.points(30)
    batch = evaluate(sample.program, {0: points})
    for row, point in enumerate(points):
        single = evaluate(sample.program, {0: point})
        for together, alone in zip(batch, single, strict=True):
            assert alone.shape == (1, together.shape[1])
            np.testing.assert_allclose(together[row], alone[0], rtol=0, atol=1e-14)


def test_prescribed_bits_hold_whatever_the_operand() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1, -1, -1], [1, 1, 1]))
    bits = builder.conditional(x)
    program = builder.program(builder.switch(x, bits))
    points = np.array([[0.5, -0.5, 0.0], [-1.0, 1.0, 0.0]])
    free = evaluate(program, {x: points})
    np.testing.assert_array_equal(free[bits], [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(free[program.result], [[0.5, 0, 0], [0, 1, 0]])
    # One row of bits for all points, then one for each.
    held = evaluate(program, {x: points, bits: np.array([0.0, 1.0, 1.0])})
    np.testing.assert_array_equal(held[program.result], [[0, -0.5, 0], [0, 1, 0]])
    each = evaluate(program, {x: points, bits: np.array([[0.0, 0, 0], [1, 1, 1]])})
    np.testing.assert_array_equal(each[program.result], [[0, 0, 0], [-1, 1, 0]])
    # Many patterns at one point.
    many = evaluate(program, {x: points[0], bits: np.array([[0.0, 0, 0], [1, 1, 1], [1, 0, 0]])})
    np.testing.assert_array_equal(many[program.result], [[0, 0, 0], [0.5, -0.5, 0], [0.5, 0, 0]])


def test_every_input_needs_a_choice() -> None:
    builder = Builder()
    x = builder.input(Polytope.space(1))
    free = builder.input(Polytope.box([0], [1]), Kind.BIT)
    program = builder.program(builder.switch(x, free))
    with pytest.raises(KeyError, match="no choice for the input %1"):
        evaluate(program, {x: np.ones(1)})
    assert evaluate(program, {x: np.array([3.0]), free: np.array([1.0])})[program.result].tolist() == [[3.0]]


def test_a_program_without_inputs() -> None:
    builder = Builder()
    result = builder.affine({builder.constant([1.0, 2.0]): [[3.0, 4.0]]}, 5.0)
    assert evaluate(builder.program(result), {})[result].tolist() == [[16.0]]


def jacobians_by_pullback(program: Program, points: np.ndarray) -> np.ndarray:
    values = evaluate(program, {0: points})
    rows = [
        pullback(program, values, np.repeat(unit[None, :], len(points), axis=0), 0)
        for unit in np.eye(program.ops[program.result].size)
    ]
    return np.stack(rows, axis=1)


def test_pullback_against_finite_differences(sample: Sample) -> None:
    points = interior(sample, 60)
    np.testing.assert_allclose(jacobians_by_pullback(sample.program, points), gradients(sample, points), atol=1e-7)


def test_pushforward_against_pullback(sample: Sample) -> None:
    points = interior(sample, 10)
    program = sample.program
    expected = jacobians_by_pullback(program, points)
    for point, jacobian in zip(points, expected, strict=True):
        slopes = pushforward(program, evaluate(program, {0: point}), np.eye(len(point)), 0)
        np.testing.assert_allclose(slopes[program.result].T, jacobian, atol=1e-12)


def test_weights_of_pullback_and_directions_of_pushforward_are_linear(sample: Sample) -> None:
    rng = np.random.default_rng(5)
    points = interior(sample, 20)
    program = sample.program
    jacobian = jacobians_by_pullback(program, points)
    values = evaluate(program, {0: points})
    weights = rng.normal(size=(20, jacobian.shape[1]))
    weighted = pullback(program, values, weights, 0)
    np.testing.assert_allclose(weighted, np.einsum("po,poi->pi", weights, jacobian), atol=1e-12)
    directions = rng.normal(size=(7, points.shape[1]))
    slopes = pushforward(program, [value[:1] for value in values], directions, 0)[program.result]
    np.testing.assert_allclose(slopes, directions @ jacobian[0].T, atol=1e-12)


def test_with_respect_to_a_hidden_value() -> None:
    network = random_network(4, [3, 5, 4, 2])
    program = dense(network).program
    hidden = next(program.find(Conditional)) + 1
    values = evaluate(program, {0: np.array([[0.3, -0.2, 0.7]])})
    active = (network.weights[1] @ values[hidden][0] + network.biases[1] > 0)[:, None]
    jacobian = network.weights[2] @ (active * network.weights[1])
    np.testing.assert_allclose(pullback(program, values, np.array([[1.0, 0.0]]), hidden)[0], jacobian[0], atol=1e-13)
    np.testing.assert_allclose(pushforward(program, values, np.eye(5), hidden)[program.result], jacobian.T, atol=1e-13)


def test_what_does_not_depend_on_the_input() -> None:
    builder = Builder()
    x = builder.input(Polytope.space(2))
    constant = builder.relu(builder.constant([1.0, -1.0]))
    program = builder.program(constant)
    values = evaluate(program, {x: np.ones((3, 2))})
    np.testing.assert_array_equal(pullback(program, values, np.ones((3, 2)), x), np.zeros((3, 2)))
    assert set(pushforward(program, values, np.eye(2), x)) == {x}


def test_the_derivative_of_the_input_itself() -> None:
    builder = Builder()
    x = builder.input(Polytope.space(2))
    program = builder.program(x)
    values = evaluate(program, {x: np.ones((1, 2))})
    np.testing.assert_array_equal(pullback(program, values, np.array([[2.0, 3.0]]), x), [[2, 3]])
