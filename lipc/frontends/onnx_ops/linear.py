"""Affine operators without a sliding window: products with constants, sums, normalization, reductions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.errors import ModelError
from lipc.frontends.onnx_ops.node import Computed, Node, Shape, Tensor, shape_of
from lipc.ir import Floats, Matrix, selection

OPSET_BATCHNORM_WITH_FLAG = 14
OPSET_AXES_AS_INPUT = {"ReduceSum": 13, "ReduceMean": 18}


# --- matrix products ---


def gemm(node: Node) -> Tensor:
    """Append ``alpha * A' @ B' + beta * C``: one of A and B is constant, C may be either."""
    left, right = node.tensor(0), node.tensor(1)
    for tensor in (left, right):
        if len(tensor.shape) != 2:
            raise node.error(f"A and B must be matrices, not of shape {shape_of(tensor)}")
    transposed = [node.integer("transA", 0) != 0, node.integer("transB", 0) != 0]
    operand, matrix, shape = _product(node, *transposed)
    terms: list[tuple[Computed, Matrix]] = [(operand, node.number("alpha", 1.0) * matrix)]
    bias: Floats | float = 0.0
    beta = node.number("beta", 1.0)
    if node.has(2):
        offset = node.tensor(2)
        if node.broadcast(shape_of(offset), shape) != shape:
            raise node.error(f"C of shape {shape_of(offset)} does not broadcast to {shape}")
        if isinstance(offset, Computed):
            entries = np.broadcast_to(offset.index, shape).reshape(-1)
            terms.append((offset, selection(entries, offset.index.size, beta)))
        else:
            bias = beta * node.numbers(2)
    return node.affine(terms, bias, shape)


def matmul(node: Node) -> Tensor:
    """Append ``A @ B`` in the sense of numpy, one of the two constant."""
    operand, matrix, shape = _product(node, False, False)
    return node.affine([(operand, matrix)], 0.0, shape)


def _product(node: Node, transpose_left: bool, transpose_right: bool) -> tuple[Computed, Matrix, Shape]:
    """Return the computed factor, the matrix that takes it to the product, and the product's shape."""
    left, right = node.tensor(0), node.tensor(1)
    if isinstance(left, Computed) and isinstance(right, Computed):
        raise _product_of_computed(node)
    constant_left = isinstance(right, Computed)
    a = node.numbers(0) if constant_left else node.computed(0).index
    b = node.computed(1).index if constant_left else node.numbers(1)
    a, b = a.T if transpose_left else a, b.T if transpose_right else b
    if not a.ndim or not b.ndim:
        raise node.error("a factor is a scalar", "use Mul")
    shape_left, shape_right = a.shape, b.shape
    a, b = a[None, :] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    if a.shape[-1] != b.shape[-2]:
        raise node.error(f"factors of shapes {shape_left} and {shape_right} do not fit")
    batch = node.broadcast(a.shape[:-2], b.shape[:-2])
    rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    node.sized((*batch, rows, inner, columns), "the matrix of a product")
    shape = batch
    shape += (rows,) if len(shape_left) > 1 else ()
    shape += (columns,) if len(shape_right) > 1 else ()

    # An index array of one row or column is in order, so the constant factor is the whole matrix.
    if constant_left and columns == 1 and math.prod(batch) == 1:
        return node.computed(1), np.ascontiguousarray(a.reshape(rows, inner)), shape
    if not constant_left and rows == 1 and math.prod(batch) == 1:
        return node.computed(0), np.ascontiguousarray(b.reshape(inner, columns).T), shape
    matrix = _contraction(a[..., None], b[..., None, :, :], constant_left, (*batch, rows, inner, columns))
    return node.computed(int(constant_left)), matrix, shape


def _contraction(left: NDArray[Any], right: NDArray[Any], constant_left: bool, full: Shape) -> Matrix:
    """Return the sparse matrix of ``sum_k left * right``, arrays that broadcast to ``(..., m, k, n)``.

    One of them holds the constant factor, the other one the positions of the computed factor.
    """
    weights, index = (left, right) if constant_left else (right, left)
    output = (*full[:-2], 1, full[-1])
    rows = np.arange(math.prod(output)).reshape(output)
    row, column, data = (np.broadcast_to(array, full).reshape(-1) for array in (rows, index, weights))
    return csr_array((data, (row, column)), shape=(rows.size, index.size))


# --- entrywise ---


def add(node: Node) -> Tensor:
    """Append ``A + B``, broadcast."""
    return _weighted_sum(node, [1.0, 1.0])


def subtract(node: Node) -> Tensor:
    """Append ``A - B``, broadcast."""
    return _weighted_sum(node, [1.0, -1.0])


def sum_of_all(node: Node) -> Tensor:
    """Append ``A + B + ...``, broadcast."""
    return _weighted_sum(node, [1.0] * len(node.inputs))


def mean_of_all(node: Node) -> Tensor:
    """Append ``(A + B + ...) / n``, broadcast."""
    return _weighted_sum(node, [1.0 / len(node.inputs)] * len(node.inputs))


def _weighted_sum(node: Node, factors: list[float]) -> Tensor:
    tensors = [node.tensor(position) for position in range(len(factors))]
    shape = node.broadcast(*(shape_of(tensor) for tensor in tensors))
    parts = []
    bias: Floats = np.zeros(())
    for position, (tensor, factor) in enumerate(zip(tensors, factors, strict=True)):
        if isinstance(tensor, Computed):
            parts.append((tensor, tensor.index, factor))
        else:
            bias = bias + factor * node.numbers(position)
    return node.combine(parts, bias, shape)


def negate(node: Node) -> Tensor:
    """Append ``-x``."""
    return scaled(node, node.computed(0), -1.0)


def multiply(node: Node) -> Tensor:
    """Append ``A * B``, broadcast, one of the two constant."""
    left, right = node.tensor(0), node.tensor(1)
    if isinstance(left, Computed) and isinstance(right, Computed):
        raise _product_of_computed(node)
    factor, constant = (0, 1) if isinstance(left, Computed) else (1, 0)
    return scaled(node, node.computed(factor), node.numbers(constant))


def divide(node: Node) -> Tensor:
    """Append ``A / B``, broadcast, B constant and nowhere 0."""
    if isinstance(node.tensor(1), Computed):
        raise node.error(
            f"the divisor '{node.names[1]}' is computed from the network's input",
            "only division by a constant is piecewise linear",
        )
    divisor = node.numbers(1)
    if not divisor.all():
        raise node.error(f"the divisor '{node.names[1]}' holds a zero")
    return scaled(node, node.computed(0), 1.0 / divisor)


def scaled(node: Node, tensor: Computed, factor: Floats | float, bias: Floats | float = 0.0) -> Computed:
    """Append ``factor * tensor + bias``, broadcast."""
    shape = node.broadcast(tensor.shape, np.shape(factor), np.shape(bias))
    return node.combine([(tensor, tensor.index, factor)], bias, shape)


def _product_of_computed(node: Node) -> ModelError:
    message = f"both '{node.names[0]}' and '{node.names[1]}' are computed from the network's input"
    return node.error(message, "their product is not piecewise linear: one factor must be constant")


# --- normalization and reductions ---


def batch_normalization(node: Node) -> Tensor:
    """Append ``scale * (x - mean) / sqrt(variance + epsilon) + bias`` per channel, with the stored statistics."""
    flagged = node.opset >= OPSET_BATCHNORM_WITH_FLAG
    # Before the flag, asking for the batch's statistics was how a file said "training".
    if node.integer("training_mode", 0) if flagged else any(node.outputs[1:]):
        raise node.error("batch normalization in training mode", "export the model for inference")
    x = node.computed(0, least_rank=2)
    per_channel = node.integer("spatial", 1) != 0
    statistics = (x.shape[1],) + (1,) * (len(x.shape) - 2) if per_channel else x.shape[1:]
    arrays = [node.numbers(position) for position in range(1, 5)]
    for position, array in enumerate(arrays, 1):
        if array.size != math.prod(statistics):
            raise node.error(f"'{node.names[position]}' has shape {array.shape}, but the input has shape {x.shape}")
    scale, bias, mean, variance = (array.reshape(statistics) for array in arrays)
    spread = variance + node.number("epsilon", 1e-5)
    if (spread <= 0).any():
        raise node.error(f"the variance '{node.names[4]}' plus epsilon is not positive")
    factor = scale / np.sqrt(spread)
    return scaled(node, x, factor, bias - mean * factor)


def reduce_sum(node: Node) -> Tensor:
    """Append the sum over axes."""
    return _reduce(node, mean=False)


def reduce_mean(node: Node) -> Tensor:
    """Append the mean over axes."""
    return _reduce(node, mean=True)


def _reduce(node: Node, mean: bool) -> Tensor:
    x = node.computed(0)
    rank = len(x.shape)
    axes = node.integers_of("axes", 1, node.opset >= OPSET_AXES_AS_INPUT[node.operator])
    if not axes and node.integer("noop_with_empty_axes", 0):
        return x
    reduced = node.axes(axes, rank) if axes else tuple(range(rank))
    return _sum_over(node, x, reduced, node.integer("keepdims", 1) != 0, mean)


def global_average_pool(node: Node) -> Tensor:
    """Append the mean over all axes but batch and channel."""
    x = node.computed(0, least_rank=3)
    return _sum_over(node, x, tuple(range(2, len(x.shape))), True, True)


def _sum_over(node: Node, x: Computed, axes: Shape, keepdims: bool, mean: bool) -> Computed:
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    count = math.prod(x.shape[axis] for axis in axes)
    if mean and not count:
        raise node.error("the mean of no entries")
    rows = np.arange(math.prod(kept)).reshape(kept)
    row = np.broadcast_to(rows, x.shape).reshape(-1)
    data = np.full(row.size, 1.0 / count if mean else 1.0)
    matrix = csr_array((data, (row, np.arange(row.size))), shape=(rows.size, row.size))
    shape = kept if keepdims else tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    return node.affine([(x, matrix)], 0.0, shape)
