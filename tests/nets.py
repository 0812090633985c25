"""Small fully connected ReLU networks for tests: random ones, and those on which implementations go wrong."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
NetworkKind: TypeAlias = Literal[
    "generic",
    "zero biases",
    "integer weights",
    "duplicated neurons",
    "opposite neurons",
    "dead layer",
    "zero weights",
    "identity as a difference",
    "zero as a difference",
]
KINDS: tuple[NetworkKind, ...] = get_args(NetworkKind)


class Network(NamedTuple):
    """``weights[k]`` has shape (outputs, inputs) of layer k; a ReLU stands after every layer but the last."""

    weights: list[Floats]
    biases: list[Floats]

    def __call__(self, points: Floats) -> Floats:
        """Evaluate points, one per row."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            points = np.maximum(points @ weight.T + bias, 0)
        return points @ self.weights[-1].T + self.biases[-1]


def random_network(seed: int, widths: Sequence[int], kind: NetworkKind = "generic") -> Network:
    """Return a network with these numbers of inputs, hidden neurons and outputs.

    The two differences of ReLUs have widths of their own: ``(1, 2, 1)``.
    """
    if kind == "identity as a difference":
        return IDENTITY
    if kind == "zero as a difference":
        return ZERO
    rng = np.random.default_rng(seed)
    if kind == "integer weights":  # small numbers: neurons that tie, and hyperplanes that meet in a point
        weights = [rng.integers(-2, 3, (after, before)).astype(float) for before, after in _pairs(widths)]
        return Network(weights, [rng.integers(-1, 2, after).astype(float) for after in widths[1:]])
    weights = [rng.normal(size=(after, before)) / np.sqrt(before) for before, after in _pairs(widths)]
    biases = [rng.normal(size=after) * 0.5 for after in widths[1:]]
    hidden = range(len(widths) - 2)
    if kind == "zero biases":
        biases = [np.zeros_like(bias) for bias in biases]
    for layer in hidden:
        half = widths[layer + 1] // 2
        if kind == "duplicated neurons":
            weights[layer][half : 2 * half] = weights[layer][:half]
            biases[layer][half : 2 * half] = biases[layer][:half]
        if kind == "opposite neurons":
            weights[layer][half : 2 * half] = -weights[layer][:half]
            biases[layer][half : 2 * half] = -biases[layer][:half]
        if kind == "zero weights":  # a neuron without weights in every layer, and an input that nobody reads
            weights[layer][0] = 0.0
            biases[layer][0] = rng.integers(-1, 2)
            weights[layer][:, 0] = 0.0
    if kind == "dead layer":
        biases[hidden[-1]] = np.full(widths[-2], -1e3)
    return Network(weights, biases)


def _pairs(widths: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(widths))


# Where every neuron ties, the chain rule may mix two sides of the tie: it says 2 for the first and 1 for the second.
IDENTITY = Network([np.array([[1.0], [-1.0]]), np.array([[1.0, -1.0]])], [np.zeros(2), np.zeros(1)])
ZERO = Network([np.array([[1.0], [1.0]]), np.array([[1.0, -1.0]])], [np.zeros(2), np.zeros(1)])
ABSOLUTE = Network([np.array([[1.0], [-1.0]]), np.array([[1.0, 1.0]])], [np.zeros(2), np.zeros(1)])
