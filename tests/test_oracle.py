from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog
from spread import spread

from tests.nets import ABSOLUTE, IDENTITY, KINDS, ZERO, Floats, Network, NetworkKind, random_network
from tests.oracle import Norm, l1_ball, lipschitz, output_range, regions


@pytest.mark.parametrize(("network", "answer"), [(IDENTITY, 1.0), (ZERO, 0.0), (ABSOLUTE, 1.0)])
@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_one_input_with_ties(network: Network, answer: float, norm: Norm) -> None:
    found = lipschitz(*network, [-1.0], [1.0], input_norm=norm)
    assert found.value == answer
    assert not found.thin


def test_a_tie_on_the_boundary_of_the_box_has_no_interior() -> None:
    relu_of_minus_x = Network([np.array([[-1.0]]), np.array([[1.0]])], [np.zeros(1), np.zeros(1)])
    assert lipschitz(*relu_of_minus_x, [0.0], [1.0]).value == 0.0
    assert lipschitz(*relu_of_minus_x, [-1e-3], [1.0]).value == 1.0


def test_two_neurons_by_hand() -> None:
    # f = (relu(x + y), relu(x - y)) read as 3 relu(x + y) - 2 relu(x - y) and as relu(x - y): four cones around 0.
    network = Network(
        [np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[3.0, -2.0], [0.0, 1.0]])], [np.zeros(2), np.array([0.5, 0.0])]
    )
    low, high = [-1.0, -1.0], [1.0, 1.0]
    # Gradients of the first output: 0, (3, 3), (-2, 2), (1, 5).
    assert lipschitz(*network, low, high, [1.0, 0.0], "linf").value == 6.0
    assert lipschitz(*network, low, high, [1.0, 0.0], "l1").value == 5.0
    assert lipschitz(*network, low, high, None, "linf").value == 6.0
    # Both outputs added: (3, 3), (-1, 1), (2, 4); the difference: (3, 3), (-3, 3), (0, 6).
    assert lipschitz(*network, low, high, None, "l1", "l1").value == 6.0
    answer = output_range(*network, low, high, [1.0, 0.0])
    assert (answer.minimum, answer.maximum) == (-3.5, 6.5)
    assert answer.argmin.tolist() == [1.0, -1.0]
    assert answer.argmax.tolist() == [1.0, 1.0]
    # Left of the lines x = y and x = -y neither neuron is active.
    assert lipschitz(*network, [-2.0, -0.5], [-1.0, 0.5]).value == 0.0
    assert len(regions(*network, low, high)[0]) == 4


def test_half_spaces_cut_the_box_first() -> None:
    # relu(x + y) and relu(x - y) on the triangle x <= y <= 1, x >= -1: the second is never active.
    network = Network([np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[3.0, -2.0]])], [np.zeros(2), np.zeros(1)])
    triangle = np.array([[1.0, -1.0]]), np.zeros(1)
    found, thin = regions(*network, [-1.0, -1.0], [1.0, 1.0], triangle)
    assert (len(found), thin) == (2, False)
    assert sorted(region.vertices.tolist() for region in found) == [
        [[-1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]],
        [[-1.0, 1.0], [1.0, 1.0], [0.0, 0.0]],
    ]
    assert lipschitz(*network, [-1.0, -1.0], [1.0, 1.0], sides=triangle).value == 6.0
    below = np.array([[1.0, 1.0], [1.0, -1.0]]), np.zeros(2)
    assert lipschitz(*network, [-1.0, -1.0], [1.0, 1.0], sides=below).value == 0.0
    answer = output_range(*network, [-1.0, -1.0], [1.0, 1.0], [1.0], triangle)
    assert (answer.minimum, answer.maximum) == (0.0, 6.0)
    with pytest.raises(ValueError, match="interior"):
        regions(*network, [-1.0, -1.0], [1.0, 1.0], (np.array([[1.0, 1.0]]), np.array([-2.0])))


def test_an_l1_ball_by_hand() -> None:
    # The octahedron around (1, 1, 1), cut by the plane x = 1 where the neuron turns on.
    network = Network([np.array([[1.0, 0.0, 0.0]]), np.array([[2.0]])], [-np.ones(1), np.zeros(1)])
    octahedron = l1_ball([1.0, 1.0, 1.0], 0.5)
    found, thin = regions(*network, np.zeros(3), np.full(3, 2.0), octahedron)
    assert (len(found), thin) == (2, False)
    for region in found:
        assert len(region.vertices) == 5
        np.testing.assert_allclose(np.abs(region.vertices - 1).sum(axis=1), 0.5)
    assert output_range(*network, np.zeros(3), np.full(3, 2.0), [1.0], octahedron).maximum == 1.0


def test_lines_through_one_point_of_a_square() -> None:
    # Six lines through the centre make twelve cones.
    angles = np.arange(6) * np.pi / 6
    network = Network([np.stack([np.cos(angles), np.sin(angles)], axis=1), np.ones((1, 6))], [np.zeros(6), np.zeros(1)])
    found, thin = regions(*network, [-1.0, -1.0], [1.0, 1.0])
    assert len(found) == 12
    assert not thin


def test_hyperplanes_in_general_position_make_the_known_number_of_regions() -> None:
    # n hyperplanes in general position make sum(binomial(n, k), k <= d) cells, if the box holds all their crossings.
    rng = np.random.default_rng(5)
    network = Network([rng.normal(size=(8, 3)), np.ones((1, 8))], [rng.normal(size=8), np.zeros(1)])
    found, thin = regions(*network, [-1e3] * 3, [1e3] * 3)
    assert len(found) == 1 + 8 + 28 + 56
    assert not thin


def test_a_sliver_is_told_apart() -> None:
    # relu(x) - relu(x - 1e-10): the slope is 1 on an interval too small to be trusted.
    network = Network([np.array([[1.0], [1.0]]), np.array([[1.0, -1.0]])], [np.array([0.0, -1e-10]), np.zeros(1)])
    assert lipschitz(*network, [-1.0], [1.0]).thin
    network.biases[0][1] = -1e-3
    answer = lipschitz(*network, [-1.0], [1.0])
    assert answer.value == 1.0
    assert not answer.thin


def test_a_box_without_interior_is_refused() -> None:
    with pytest.raises(ValueError, match="without interior"):
        lipschitz(*IDENTITY, [0.0], [0.0])


@pytest.mark.parametrize(("kind", "seed"), spread(KINDS, range(4), every=3))
def test_regions_against_samples(seed: int, kind: NetworkKind) -> None:
    network = random_network(seed, [2 + seed % 3, 7, 5, 2], kind)
    inputs = network.weights[0].shape[1]
    low, high = np.full(inputs, -1.0), np.full(inputs, 1.0)
    found, thin = regions(*network, low, high)
    assert not thin
    points = np.random.default_rng(seed).uniform(low, high, (3000, inputs))
    jacobians = np.array([_jacobian(network, point) for point in points])
    constants = network(points) - np.einsum("noi,ni->no", jacobians, points)
    known = np.array([np.concatenate([region.jacobian.ravel(), region.constant]) for region in found])
    seen = np.concatenate([jacobians.reshape(len(points), -1), constants], axis=1)
    # Every sampled piece is among the regions, and every region is the piece at its own point.
    assert max(np.abs(known - row).max(axis=1).min() for row in seen[:300]) < 1e-9
    for region in found:
        np.testing.assert_allclose(_jacobian(network, region.point), region.jacobian, atol=1e-12)
        at_vertices = region.vertices @ region.jacobian.T + region.constant
        np.testing.assert_allclose(network(region.vertices), at_vertices, atol=1e-11)
    answer = lipschitz(*network, low, high)
    assert answer.value >= np.abs(jacobians).sum(axis=2).max() - 1e-12
    functional = np.resize([1.0, -1.0], len(network.biases[-1]))
    extremes = output_range(*network, low, high, functional)
    values = network(points) @ functional
    assert extremes.minimum <= values.min() + 1e-12
    assert extremes.maximum >= values.max() - 1e-12
    assert network(extremes.argmax[None, :])[0] @ functional == pytest.approx(extremes.maximum, abs=1e-11)
    assert network(extremes.argmin[None, :])[0] @ functional == pytest.approx(extremes.minimum, abs=1e-11)


@pytest.mark.parametrize(("kind", "inputs"), spread(KINDS, [1, 2, 3], every=4))
def test_the_same_patterns_as_one_linear_program_per_pattern(kind: NetworkKind, inputs: int) -> None:
    network = random_network(inputs, [inputs, 4, 3, 1], kind)
    inputs = network.weights[0].shape[1]
    low, high = np.full(inputs, -1.0), np.full(inputs, 1.0)
    found, thin = regions(*network, low, high)
    assert not thin
    by_programs = set(_patterns_by_programs(network, low, high))
    assert {tuple(np.concatenate(region.patterns).tolist()) for region in found} == by_programs


@pytest.mark.parametrize("case", ["tiny_2-8-8-1_s0", "tiny_4-10-10-1_s0"])
def test_reference_cases(shared: Path, case: str) -> None:
    entries = json.loads((shared / "reference" / "cases.json").read_text())
    entry = next(entry for entry in entries if entry["case"] == case)
    stored = np.load(shared / "reference" / "nets" / f"{entry['net']}.npz")
    layers = range(1, len(entry["arch"]))
    weights, biases = [stored[f"W{k}"] for k in layers], [stored[f"b{k}"] for k in layers]
    for norm in ("linf", "l1"):
        answer = lipschitz(weights, biases, entry["domain"]["lo"], entry["domain"]["hi"], entry["c"], norm)
        assert answer.value == pytest.approx(entry["reference"][norm]["value"], rel=1e-9)
        assert not answer.thin


def _jacobian(network: Network, point: Floats) -> Floats:
    """By forward differentiation at a point where no neuron ties."""
    jacobian = np.eye(len(point))
    for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
        sums = weight @ point + bias
        jacobian, point = (weight @ jacobian) * (sums > 0)[:, None], np.maximum(sums, 0)
    return network.weights[-1] @ jacobian


def _patterns_by_programs(network: Network, low: Floats, high: Floats) -> Iterator[tuple[bool, ...]]:
    """Try every pattern with one linear program: the largest ball within the region that it asks for."""
    sizes = [len(bias) for bias in network.biases[:-1]]
    for pattern in product((False, True), repeat=sum(sizes)):
        rows, limits = [np.eye(len(low)), -np.eye(len(low))], [high, -low]
        matrix, constant = np.eye(len(low)), np.zeros(len(low))
        start = 0
        for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
            active = np.array(pattern[start : start + len(bias)])
            start += len(bias)
            matrix, constant = weight @ matrix, weight @ constant + bias
            # An inactive neuron may be zero on the whole region, an active one may not.
            strict = active | (np.abs(matrix).max(axis=1) > 1e-12) | (np.abs(constant) > 1e-12)
            signs = np.where(active, -1.0, 1.0)[strict]
            rows.append(signs[:, None] * matrix[strict])
            limits.append(-signs * constant[strict])
            matrix, constant = matrix * active[:, None], constant * active
        normals, sides = np.concatenate(rows), np.concatenate(limits)
        lengths = np.linalg.norm(normals, axis=1)
        balls = np.column_stack([normals, np.where(lengths > 1e-12, lengths, 1.0)])
        objective = np.append(np.zeros(len(low)), -1.0)
        solved = linprog(objective, balls, sides, bounds=[(None, None)] * len(objective))
        if solved.status == 0 and -solved.fun > 1e-8:
            yield pattern
