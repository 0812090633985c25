"""Programs to test with, each beside the same function written in numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from lipc.ir import (
    Affine,
    Builder,
    Conditional,
    Floats,
    Lipschitz,
    Norm,
    Objective,
    Origin,
    Polytope,
    Program,
    Sense,
    Switch,
)
from tests.nets import Network


class Sample(NamedTuple):
    """A program of one input, and its function on points of shape ``(points, inputs)``."""

    program: Program
    function: Callable[[Floats], Floats]

    @property
    def domain(self) -> Polytope:
        return self.program.network_input()[1]

    def points(self, count: int, seed: int = 0) -> Floats:
        """Return points of the domain, a quarter of them corners."""
        share = np.random.default_rng(seed).random((count, self.domain.size))
        share[: count // 4] = np.round(share[: count // 4])
        return self.domain.lower + share * (self.domain.upper - self.domain.lower)


def question(norm: Norm | None) -> Objective | None:
    return None if norm is None else Objective(Sense.MAXIMIZE, Lipschitz(norm))


def dense(network: Network, lower: float = -1.0, upper: float = 1.0, norm: Norm | None = Norm.LINF) -> Sample:
    """Return a fully connected network."""
    inputs = network.weights[0].shape[1]
    builder = Builder()
    value = builder.input(Polytope.box(np.full(inputs, lower), np.full(inputs, upper)), origin=Origin("x"))
    for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        value = builder.affine({value: weight}, bias, Origin(f"layer{layer}"))
        if layer < len(network.weights) - 1:
            builder.origin = Origin(f"relu{layer}")
            value = builder.relu(value)
    return Sample(builder.program(value, question(norm)), network)


def residual(seed: int, outputs: int = 1, norm: Norm | None = Norm.LINF) -> Sample:
    """Return ``C relu(B relu(A x + a) + x) + D x``, where the input is read three times."""
    rng = np.random.default_rng(seed)
    first, second, last = rng.normal(size=(5, 3)), rng.normal(size=(3, 5)), rng.normal(size=(outputs, 3))
    skip, offset = rng.normal(size=(outputs, 3)), rng.normal(size=5)
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(3), np.ones(3)), origin=Origin("x"))
    inner = builder.relu(builder.affine({x: first}, offset))
    added = builder.linear((1.0, builder.affine({inner: second})), (1.0, x))
    outer = builder.relu(added)
    result = builder.affine({outer: last, x: skip})

    def function(points: Floats) -> Floats:
        hidden = np.maximum(np.maximum(points @ first.T + offset, 0) @ second.T + points, 0)
        return hidden @ last.T + points @ skip.T

    return Sample(builder.program(result, question(norm)), function)


def convolution(size: int, kernel: Floats) -> csr_array:
    """Return the matrix of a one-dimensional convolution without padding."""
    rows = size - len(kernel) + 1
    matrix = np.zeros((rows, size))
    for row in range(rows):
        matrix[row, row : row + len(kernel)] = kernel
    return csr_array(matrix)


def max_pool(seed: int, outputs: int = 1, norm: Norm | None = Norm.LINF) -> Sample:
    """Return a convolution, a max-pool over ragged groups, and a dense layer."""
    rng = np.random.default_rng(seed)
    kernel, last, offset = rng.normal(size=3), rng.normal(size=(outputs, 3)), rng.normal(size=6)
    groups = np.array([[0, 1, 2], [2, 3, -1], [5, -1, 4]])
    builder = Builder()
    x = builder.input(Polytope.box(np.zeros(8), np.ones(8)), origin=Origin("x"))
    pooled = builder.maximum_of_groups(builder.affine({x: convolution(8, kernel)}, offset), groups)
    result = builder.affine({pooled: last})

    def function(points: Floats) -> Floats:
        scanned = np.stack([points[:, k : k + 3] @ kernel for k in range(6)], axis=1) + offset
        largest = [scanned[:, [entry for entry in group if entry >= 0]].max(axis=1) for group in groups]
        return np.stack(largest, axis=1) @ last.T

    return Sample(builder.program(result, question(norm)), function)


def mixed(seed: int, outputs: int = 2, norm: Norm | None = Norm.LINF) -> Sample:
    """Return a network of clip, abs, leaky ReLU and minimum."""
    rng = np.random.default_rng(seed)
    first, second, last = rng.normal(size=(4, 3)), rng.normal(size=(4, 4)), rng.normal(size=(outputs, 4))
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(3), np.full(3, 2.0)), origin=Origin("x"))
    clipped = builder.clip(builder.affine({x: first}, 0.1), [-1, -np.inf, -0.5, -np.inf], [1, 0.5, np.inf, np.inf])
    bent = builder.leaky_relu(builder.affine({clipped: second}), 0.1)
    result = builder.affine({builder.minimum(builder.abs(clipped), bent): last}, 3.0)

    def function(points: Floats) -> Floats:
        limited = np.clip(points @ first.T + 0.1, [-1, -np.inf, -0.5, -np.inf], [1, 0.5, np.inf, np.inf])
        hidden = limited @ second.T
        return np.minimum(np.abs(limited), np.where(hidden > 0, hidden, 0.1 * hidden)) @ last.T + 3.0

    return Sample(builder.program(result, question(norm)), function)


def gradients(sample: Sample, points: Floats, step: float = 1e-6) -> Floats:
    """Return Jacobians by central differences, shape ``(points, outputs, inputs)``; right where no kink is near."""
    moves = step * np.eye(points.shape[1])
    columns = [(sample.function(points + move) - sample.function(points - move)) / (2 * step) for move in moves]
    return np.stack(columns, axis=2)


def rational_values(program: Program, choices: Mapping[int, Sequence[float]]) -> list[list[Fraction]]:
    """Evaluate a program with rational numbers, entry by entry; bits without a choice follow their operand."""
    values: list[list[Fraction]] = []
    for value, op in enumerate(program.ops):
        if value in choices:
            entries = [Fraction(number) for number in choices[value]]
        elif isinstance(op, Affine):
            entries = [Fraction(number) for number in op.bias.tolist()]
            for term in op.terms:
                matrix = term.matrix.toarray() if isinstance(term.matrix, csr_array) else term.matrix
                for row, column in zip(*(places.tolist() for places in np.nonzero(matrix)), strict=True):
                    entries[row] += Fraction(float(matrix[row, column])) * values[term.operand][column]
        elif isinstance(op, Conditional):
            entries = [Fraction(x > 0) for x in values[op.operand]]
        else:
            assert isinstance(op, Switch)
            entries = [a * b for a, b in zip(values[op.operand], values[op.bit], strict=True)]
        values.append(entries)
    return values
