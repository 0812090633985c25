"""Entrywise piecewise-linear operators: activations, limits, maxima."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from lipc.frontends.onnx_ops.linear import scaled
from lipc.frontends.onnx_ops.node import Computed, Node, Tensor, as_floats, shape_of
from lipc.ir import Floats

OPSET_CLIP_AS_INPUT = 11
NO_LIMIT = float(np.finfo(np.float32).max)
"""Limits of this size are how files in single precision write "none"."""


def relu(node: Node) -> Tensor:
    """Append ``max(x, 0)``."""
    x = node.computed(0)
    return Computed(node.builder.relu(x.value), x.shape)


def leaky_relu(node: Node) -> Tensor:
    """Append ``x`` where positive, ``alpha * x`` where negative."""
    x = node.computed(0)
    return Computed(node.builder.leaky_relu(x.value, node.number("alpha", 0.01)), x.shape)


def parametric_relu(node: Node) -> Tensor:
    """Append ``x`` where positive, ``slope * x`` where negative, the constant slope broadcast."""
    x, slope = node.computed(0), node.numbers(1)
    if node.broadcast(x.shape, slope.shape) != x.shape:
        raise node.error(f"slope '{node.names[1]}' of shape {slope.shape} does not broadcast to {x.shape}")
    return Computed(node.builder.leaky_relu(x.value, np.broadcast_to(slope, x.shape).reshape(-1)), x.shape)


def absolute(node: Node) -> Tensor:
    """Append ``|x|``."""
    x = node.computed(0)
    return Computed(node.builder.abs(x.value), x.shape)


def clip(node: Node) -> Tensor:
    """Append ``min(max(x, lower), upper)``; either limit may be missing."""
    x = node.computed(0)
    if node.opset >= OPSET_CLIP_AS_INPUT:
        lower = node.scalar(1) if node.has(1) else -math.inf
        upper = node.scalar(2) if node.has(2) else math.inf
    else:
        lower, upper = node.number("min", -math.inf), node.number("max", math.inf)
    lower = -math.inf if lower <= -NO_LIMIT else lower
    upper = math.inf if upper >= NO_LIMIT else upper
    if lower == math.inf or upper == -math.inf:
        raise node.error(f"the limits {lower} and {upper} leave no finite number")
    return Computed(node.builder.clip(x.value, lower, upper), x.shape)


def hard_sigmoid(node: Node) -> Tensor:
    """Append ``min(max(alpha * x + beta, 0), 1)``."""
    line = scaled(node, node.computed(0), node.number("alpha", 0.2), node.number("beta", 0.5))
    return Computed(node.builder.clip(line.value, 0.0, 1.0), line.shape)


def maximum(node: Node) -> Tensor:
    """Append the largest of several tensors, broadcast."""
    return _extreme(node, largest=True)


def minimum(node: Node) -> Tensor:
    """Append the smallest of several tensors, broadcast."""
    return _extreme(node, largest=False)


def _extreme(node: Node, largest: bool) -> Tensor:
    """Meet the computed tensors pairwise; all constants together are one limit of the result."""
    tensors = node.tensors()
    shape = node.broadcast(*(shape_of(tensor) for tensor in tensors))
    computed = [node.expand(tensor, shape).value for tensor in tensors if isinstance(tensor, Computed)]
    value = reduce(node.builder.maximum if largest else node.builder.minimum, computed)
    limits = [
        np.broadcast_to(_limit(node, position), shape)
        for position, tensor in enumerate(tensors)
        if not isinstance(tensor, Computed)
    ]
    if limits and largest:
        value = node.builder.clip(value, reduce(np.maximum, limits).reshape(-1), math.inf)
    elif limits:
        value = node.builder.clip(value, -math.inf, reduce(np.minimum, limits).reshape(-1))
    return Computed(value, shape)


def _limit(node: Node, position: int) -> Floats:
    """Return a constant input that may be infinite where it limits nothing."""
    sign = -1.0 if node.operator == "Max" else 1.0
    floats = as_floats(node.constant(position))
    idle = sign * floats >= NO_LIMIT
    node.finite(np.where(idle, 0.0, floats), node.names[position])
    return np.where(idle, sign * np.inf, floats)
