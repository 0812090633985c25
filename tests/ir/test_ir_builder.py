from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lipc.ir import Affine, Builder, Conditional, Floats, Origin, Polytope, evaluate
from tests.ir.sample_programs import convolution, dense, max_pool, mixed, residual
from tests.nets import random_network

POINTS = np.vstack([np.random.default_rng(1).normal(size=(40, 4)) * 3, np.zeros((1, 4)), np.eye(4), -np.eye(4)])
OTHER = np.array([[0.5, -1.0, 0.0, 2.0], [1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 3.0, -1.0], [0.0, -2.0, 0.0, 1.0]])


def apply(make: Callable[[Builder, int], int], points: Floats = POINTS) -> Floats:
    """Return what a composition makes of points."""
    builder = Builder()
    made = make(builder, builder.input(Polytope.space(points.shape[1])))
    return evaluate(builder.program(made), {0: points})[made]


COMPOSITIONS: dict[str, tuple[Callable[[Builder, int], int], Callable[[Floats], Floats]]] = {
    "relu": (lambda b, x: b.relu(x), lambda x: np.maximum(x, 0)),
    "abs": (lambda b, x: b.abs(x), np.abs),
    "leaky": (lambda b, x: b.leaky_relu(x, 0.25), lambda x: np.where(x > 0, x, 0.25 * x)),
    "leaky with a slope above 1": (lambda b, x: b.leaky_relu(x, 3.0), lambda x: np.where(x > 0, x, 3 * x)),
    "leaky per entry": (
        lambda b, x: b.leaky_relu(x, np.array([0.0, 1.0, -1.0, 0.5])),
        lambda x: np.where(x > 0, x, np.array([0.0, 1.0, -1.0, 0.5]) * x),
    ),
    "maximum": (lambda b, x: b.maximum(x, b.affine({x: OTHER}, 0.5)), lambda x: np.maximum(x, x @ OTHER.T + 0.5)),
    "minimum": (lambda b, x: b.minimum(x, b.affine({x: OTHER}, 0.5)), lambda x: np.minimum(x, x @ OTHER.T + 0.5)),
    "maximum with itself": (lambda b, x: b.maximum(x, x), lambda x: x),
    "minimum with itself": (lambda b, x: b.minimum(x, x), lambda x: x),
    "linear": (lambda b, x: b.linear((2.0, x), (np.arange(4.0), x), bias=1.0), lambda x: (2 + np.arange(4)) * x + 1),
    "select": (lambda b, x: b.select(x, [3, -1, 0, 0, 3]), lambda x: x[:, [3, 0, 0, 0, 3]] * [1, 0, 1, 1, 1]),
    "select with a fill": (
        lambda b, x: b.select(x, [-1, 2, -1], [7.0, 8.0, 9.0]),
        lambda x: np.stack([np.full(len(x), 7.0), x[:, 2], np.full(len(x), 9.0)], axis=1),
    ),
}


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_compositions(name: str) -> None:
    ours, numpys = COMPOSITIONS[name]
    np.testing.assert_allclose(apply(ours), numpys(POINTS), rtol=0, atol=1e-13)


INFINITY = np.inf
CLIPS = [
    (-1.0, 1.0),
    (-INFINITY, 0.5),
    (-0.5, INFINITY),
    (0.0, 6.0),
    (2.0, 2.0),
    ([-1.0, -INFINITY, 0.0, -2.0], [1.0, 0.5, INFINITY, INFINITY]),
    ([-INFINITY, -INFINITY, 0.0, 1.0], [INFINITY, 0.5, INFINITY, 1.0]),
    (3.0, 1.0),  # crossed: the upper limit, as numpy and ONNX have it
    ([3.0, -1.0, -INFINITY, INFINITY], [1.0, 1.0, -2.0, 4.0]),
]


@pytest.mark.parametrize(("lower", "upper"), CLIPS)
def test_clip(lower: float | list[float], upper: float | list[float]) -> None:
    expected = np.minimum(np.maximum(POINTS, lower), upper)
    np.testing.assert_allclose(apply(lambda b, x: b.clip(x, lower, upper)), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("lower", "upper", "neurons"),
    [
        (-1.0, 1.0, 8),
        (-INFINITY, 1.0, 4),
        (0.0, INFINITY, 4),
        ([-INFINITY, 0.0, -INFINITY, 0.0], [INFINITY, INFINITY, 1.0, 1.0], 4),
    ],
)
def test_clip_costs_a_neuron_for_each_finite_limit(
    lower: float | list[float], upper: float | list[float], neurons: int
) -> None:
    builder = Builder()
    clipped = builder.clip(builder.input(Polytope.space(4)), lower, upper)
    program = builder.program(clipped)
    assert sum(program.ops[value].size for value in program.find(Conditional)) == neurons
    # Every neuron reads the operand itself: a second layer would loosen the bounds.
    for value in program.find(Conditional):
        pre_activation = program.ops[program.ops[value].operands[0]]
        assert isinstance(pre_activation, Affine)
        assert pre_activation.operands == (0,)


def test_clip_without_limits_is_the_operand() -> None:
    builder = Builder()
    x = builder.input(Polytope.space(2))
    assert builder.clip(x, -INFINITY, INFINITY) == x
    assert len(builder.ops) == 1


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_maximum_of_ragged_groups(data: st.DataObject) -> None:
    size, rows, width = (data.draw(st.integers(1, most)) for most in (7, 5, 6))
    groups = data.draw(npst.arrays(np.int64, (rows, width), elements=st.integers(-1, size - 1)))
    groups[:, data.draw(st.integers(0, width - 1))] = np.abs(groups).max(axis=1) % size  # at least one entry each
    points = np.random.default_rng(data.draw(st.integers(0, 99))).integers(-4, 5, (9, size)).astype(float)
    ours = apply(lambda b, x: b.maximum_of_groups(x, groups), points)
    expected = [[max(point[entry] for entry in group if entry >= 0) for group in groups] for point in points]
    np.testing.assert_array_equal(ours, expected)


def test_a_group_of_k_costs_k_minus_one_neurons() -> None:
    builder = Builder()
    x = builder.input(Polytope.space(9))
    groups = np.array([[0, 1, 2, 3, 4], [5, 6, -1, -1, -1], [7, -1, -1, -1, -1]])
    program = builder.program(builder.maximum_of_groups(x, groups))
    assert sum(program.ops[value].size for value in program.find(Conditional)) == 4 + 1 + 0


def test_bias_and_matrices_of_all_kinds() -> None:
    builder = Builder()
    x, y = builder.input(Polytope.space(4)), builder.input(Polytope.space(2))
    kernel = np.array([1.0, -2.0])
    both = builder.affine({x: convolution(4, kernel), y: [[1, 0], [0, 1], [1, 1]]}, [1, 2, 3])
    single = builder.affine({x: [1, 2, 3, 4]})
    constant = builder.constant([[1, 2], [3, 4]])
    empty = builder.affine({}, [5.0, 6.0])
    values = evaluate(builder.program(both), {x: POINTS, y: POINTS[:, :2]})
    scanned = POINTS[:, :3] - 2 * POINTS[:, 1:] + np.array([1, 2, 3])
    scanned += np.stack([POINTS[:, 0], POINTS[:, 1], POINTS[:, 0] + POINTS[:, 1]], axis=1)
    np.testing.assert_allclose(values[both], scanned, atol=1e-14)
    np.testing.assert_allclose(values[single][:, 0], POINTS @ [1, 2, 3, 4], atol=1e-14)
    np.testing.assert_array_equal(values[constant][0], [1, 2, 3, 4])
    np.testing.assert_array_equal(values[empty][-1], [5, 6])


def test_the_origin_set_before_is_carried() -> None:
    builder = Builder()
    x = builder.input(Polytope.space(1), origin=Origin("image"))
    builder.origin = Origin("Relu_3")
    made = builder.affine({builder.relu(x): [[1.0]]}, origin=Origin("Gemm_4"))
    assert [op.origin.name for op in builder.program(made).ops] == ["image", "Relu_3", "Relu_3", "Gemm_4"]


@pytest.mark.parametrize("make", [residual, max_pool, mixed])
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_sample_programs_are_their_functions(make: Callable[..., object], outputs: int) -> None:
    sample = make(4, outputs)
    points = sample.points(200)
    ours = evaluate(sample.program, {0: points})[sample.program.result]
    np.testing.assert_allclose(ours, sample.function(points), atol=1e-12)


def test_a_dense_sample_is_its_network() -> None:
    sample = dense(random_network(2, [3, 6, 4, 2]))
    points = sample.points(200)
    ours = evaluate(sample.program, {0: points})[sample.program.result]
    np.testing.assert_allclose(ours, sample.function(points), atol=1e-13)
