"""Fully connected networks from arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lipc.errors import ModelError
from lipc.frontends.network import Network
from lipc.ir import Builder, Floats, Origin, Polytope

ACTIVATIONS = ("relu", "leaky_relu", "abs")
LEAKY_SLOPE = 0.01
SOURCE = "<weights>"


def from_weights(
    weights: Sequence[ArrayLike], biases: Sequence[ArrayLike] | None = None, *, activation: str = "relu"
) -> Network:
    """Return the network ``W_k s(... s(W_1 x + b_1) ...) + b_k``; the activation stands between layers only.

    Parameters
    ----------
    weights
        ``W_k`` of shape ``(out, in)``; at least one.
    biases
        ``b_k`` of shape ``(out,)``, one per layer; default: zeros.
    activation
        ``relu``, ``leaky_relu`` (slope 0.01) or ``abs``.

    Raises
    ------
    ModelError
        If the shapes do not fit, a number is not finite, or the activation is unknown.
    """
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ModelError(f"unknown activation '{activation}'", where=SOURCE, hint=f"known: {known}")
    matrices = [_numbers(matrix, 2, f"W_{layer}") for layer, matrix in enumerate(weights, 1)]
    if not matrices:
        raise ModelError("there is no layer", where=SOURCE)
    offsets: list[Floats] = [np.zeros(len(matrix)) for matrix in matrices]
    if biases is not None:
        offsets = [_numbers(bias, 1, f"b_{layer}") for layer, bias in enumerate(biases, 1)]
    if len(offsets) != len(matrices):
        raise ModelError(f"{len(matrices)} weight matrices but {len(offsets)} biases", where=SOURCE)

    builder = Builder()
    inputs = matrices[0].shape[1]
    value = builder.input(Polytope.space(inputs), origin=Origin("input", SOURCE))
    for layer, (matrix, offset) in enumerate(zip(matrices, offsets, strict=True), 1):
        if matrix.shape[1] != builder.size(value):
            message = (
                f"W_{layer} has {matrix.shape[1]} columns, but what it multiplies has {builder.size(value)} entries"
            )
            raise ModelError(message, where=SOURCE, hint="W_k has shape (outputs, inputs)")
        if len(offset) != len(matrix):
            raise ModelError(f"W_{layer} has {len(matrix)} rows, but b_{layer} has {len(offset)} entries", where=SOURCE)
        value = builder.affine({value: matrix}, offset, Origin(f"layer_{layer}", SOURCE))
        if layer < len(matrices):
            builder.origin = Origin(f"{activation}_{layer}", SOURCE)
            value = _activate(builder, value, activation)
    return Network(builder.program(value), (inputs,), (builder.size(value),), "input", "output", SOURCE)


def _activate(builder: Builder, value: int, activation: str) -> int:
    if activation == "abs":
        return builder.abs(value)
    return builder.relu(value) if activation == "relu" else builder.leaky_relu(value, LEAKY_SLOPE)


def _numbers(array: ArrayLike, rank: int, name: str) -> Floats:
    """Return a copy in float64 that is checked for rank, emptiness and finite entries."""
    try:
        numbers = np.array(array, np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{name} is not an array of numbers: {error}", where=SOURCE) from error
    if numbers.ndim != rank or not numbers.size:
        raise ModelError(f"{name} has shape {numbers.shape}, not {rank} nonempty dimensions", where=SOURCE)
    if not np.isfinite(numbers).all():
        raise ModelError(f"{name} holds NaN or infinite numbers", where=SOURCE)
    return numbers
