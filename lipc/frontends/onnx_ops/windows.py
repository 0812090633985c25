"""Sliding windows: convolution, its transpose, and pooling, in any number of spatial dimensions.

Everything follows from one table: which entry of a channel each tap of each window reads. A convolution is a sparse
matrix over that table, a transposed convolution is the transpose of such a matrix, pooling reads the table row by row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from lipc.frontends.onnx_ops.node import Computed, Index, Node, Shape, Tensor
from lipc.ir import Floats, transpose

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


@dataclass(frozen=True)
class Axis:
    """How windows slide along one spatial axis.

    Parameters
    ----------
    size
        The length of the axis.
    kernel, stride, dilation
        The taps of a window, the way from one window to the next, and from one tap to the next.
    begin, end
        How much padding stands before and behind; `begin` may be negative.
    count
        The number of windows.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int
    count: int

    @property
    def positions(self) -> Index:
        """Where each tap of each window stands, shape ``(count, kernel)``; outside ``[0, size)`` is padding."""
        window = np.arange(self.count)[:, None] * self.stride
        return window + np.arange(self.kernel) * self.dilation - self.begin


def _taps(axes: list[Axis], padding: bool = False) -> Index:
    """Return the entry of a channel that each tap reads, -1 for none, shape ``(windows, taps)``.

    With `padding`, the table tells (by a number that is not negative) whether the tap lies within the padded channel.
    """
    rank = len(axes)
    flat = np.zeros((1,) * (2 * rank), np.int64)
    valid = np.ones((1,) * (2 * rank), bool)
    for place, axis in enumerate(axes):
        shape = [1] * (2 * rank)
        shape[place], shape[rank + place] = axis.count, axis.kernel
        position = axis.positions.reshape(shape)
        low, high = (-axis.begin, axis.size + axis.end) if padding else (0, axis.size)
        flat = flat * (high - low) + (position - low)
        valid = valid & (position >= low) & (position < high)
    windows, kernel = (math.prod(sizes) for sizes in zip(*((axis.count, axis.kernel) for axis in axes), strict=True))
    return np.where(valid, flat, -1).reshape(windows, kernel)


# --- attributes ---


def _per_axis(node: Node, name: str, default: int, rank: int, least: int = 1) -> Shape:
    """Return an attribute with one integer per spatial axis."""
    numbers = node.integers(name) or (default,) * rank
    if len(numbers) != rank or min(numbers) < least:
        raise node.error(f"attribute '{name}' must hold {rank} integers of at least {least}, not {numbers}")
    return numbers


def _padding(node: Node, rank: int) -> tuple[str, Shape]:
    """Return `auto_pad`, and explicit pads as ``(begins ..., ends ...)``, zeros if there are none."""
    auto = node.text("auto_pad", "NOTSET") or "NOTSET"
    if auto not in AUTO_PADS:
        raise node.error(f"unknown auto_pad '{auto}'", f"known: {', '.join(AUTO_PADS)}")
    pads = node.integers("pads") or (0,) * (2 * rank)
    if len(pads) != 2 * rank or min(pads) < 0:
        raise node.error(f"attribute 'pads' must hold {2 * rank} integers that are not negative, not {pads}")
    return auto, pads if auto == "NOTSET" else (0,) * (2 * rank)


def _axes(node: Node, sizes: Shape, kernel: Shape) -> list[Axis]:
    """Return how the windows of a convolution or pooling slide over spatial axes of these sizes."""
    rank = len(sizes)
    strides = _per_axis(node, "strides", 1, rank)
    dilations = _per_axis(node, "dilations", 1, rank)
    auto, pads = _padding(node, rank)
    ceil_mode = node.integer("ceil_mode", 0) != 0 and auto == "NOTSET"
    axes = []
    for place, (size, taps, stride, dilation) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        reach = (taps - 1) * dilation + 1
        begin, end = pads[place], pads[rank + place]
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            count = -(-size // stride)
            total = max((count - 1) * stride + reach - size, 0)
            begin = total // 2 if auto == "SAME_UPPER" else total - total // 2
            end = total - begin
        else:
            room = size + begin + end - reach
            count = (-(-room // stride) if ceil_mode else room // stride) + 1
            # A window that would start in the padding behind the data is no window.
            if ceil_mode and (count - 1) * stride >= size + begin:
                count -= 1
        if count < 1:
            raise node.error(f"a window of {reach} does not fit into a padded axis of {size + begin + end}")
        axes.append(Axis(size, taps, stride, dilation, begin, end, count))
    node.sized((math.prod(axis.count for axis in axes), *kernel), "a table of windows")
    return axes


# --- convolution ---


def convolution(node: Node) -> Tensor:
    """Append the convolution of ``(N, C, ...)`` with ``(M, C / group, ...)``."""
    weights, x = node.numbers(1), node.computed(0, least_rank=3)
    kernel = _kernel(node, x, weights)
    group = node.integer("group", 1)
    batch, channels = x.shape[:2]
    maps = weights.shape[0]
    if group < 1 or channels != weights.shape[1] * group or maps % group:
        raise node.error(f"weights of shape {weights.shape} in {group} groups do not fit an input of shape {x.shape}")
    axes = _axes(node, x.shape[2:], kernel)
    matrix = _convolution_matrix(node, weights, group, batch, axes)
    output = node.sized((batch, maps, *(axis.count for axis in axes)))
    return node.affine([(x, matrix)], _bias(node, output), output)


def transposed_convolution(node: Node) -> Tensor:
    """Append the transposed convolution of ``(N, C, ...)`` with ``(C, M / group, ...)``."""
    weights, x = node.numbers(1), node.computed(0, least_rank=3)
    kernel = _kernel(node, x, weights)
    group = node.integer("group", 1)
    batch, channels = x.shape[:2]
    if group < 1 or channels != weights.shape[0] or channels % group:
        raise node.error(f"weights of shape {weights.shape} in {group} groups do not fit an input of shape {x.shape}")
    axes = _transposed_axes(node, x.shape[2:], kernel)
    # The convolution whose transpose this is reads the output and makes the input.
    matrix = _convolution_matrix(node, weights, group, batch, axes)
    output = node.sized((batch, weights.shape[1] * group, *(axis.size for axis in axes)))
    return node.affine([(x, transpose(matrix))], _bias(node, output), output)


def _transposed_axes(node: Node, sizes: Shape, kernel: Shape) -> list[Axis]:
    """Return how windows slide over the *output* of a transposed convolution, one window per input entry."""
    rank = len(sizes)
    strides = _per_axis(node, "strides", 1, rank)
    dilations = _per_axis(node, "dilations", 1, rank)
    extra = _per_axis(node, "output_padding", 0, rank, least=0)
    auto, pads = _padding(node, rank)
    wanted = node.integers("output_shape")
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(size * stride for size, stride in zip(sizes, strides, strict=True))
    if wanted is not None and (len(wanted) != rank or min(wanted) < 1):
        raise node.error(f"attribute 'output_shape' must hold {rank} positive integers, not {wanted}")
    axes = []
    for place, (size, taps, stride, dilation) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        full = stride * (size - 1) + extra[place] + (taps - 1) * dilation + 1
        begin, end = pads[place], pads[rank + place]
        if wanted is not None:
            # Where the wanted output is larger than the full one, zeros stand behind it.
            total = max(full - wanted[place], 0)
            begin = total // 2 if auto == "SAME_UPPER" else total - total // 2
            end = full - wanted[place] - begin
        if full - begin - end < 1:
            raise node.error(f"pads {begin} and {end} leave nothing of an output axis of {full}")
        axes.append(Axis(full - begin - end, taps, stride, dilation, begin, end, size))
    node.sized((math.prod(sizes), *kernel), "a table of windows")
    return axes


def _kernel(node: Node, x: Computed, weights: Floats) -> Shape:
    """Return the kernel's spatial shape, checked against the input's rank and the attribute."""
    if weights.ndim != len(x.shape) or not weights.size:
        raise node.error(f"weights of shape {weights.shape} do not fit an input of shape {x.shape}")
    kernel: Shape = weights.shape[2:]
    if (node.integers("kernel_shape") or kernel) != kernel:
        raise node.error(f"kernel_shape {node.integers('kernel_shape')} is not the weights' {kernel}")
    return kernel


def _bias(node: Node, output: Shape) -> Floats:
    """Return the bias per channel (input 2) in a shape that broadcasts to the output."""
    if not node.has(2):
        return np.zeros(())
    bias = node.numbers(2)
    if bias.shape != (output[1],):
        raise node.error(f"bias of shape {bias.shape} for {output[1]} output channels")
    return bias.reshape((-1,) + (1,) * (len(output) - 2))


def _convolution_matrix(node: Node, weights: Floats, group: int, batch: int, axes: list[Axis]) -> csr_array:
    """Return the matrix of a convolution from ``(batch, C, spatial)`` to ``(batch, M, windows)``.

    Written down row by row in CSR order: rows are (image, map, window), entries of a row (channel, tap).
    """
    maps, inner = weights.shape[:2]
    taps = _taps(axes)
    windows, kernel = taps.shape
    space = math.prod(axis.size for axis in axes)
    full = node.sized((batch, maps, windows, inner, kernel), "the matrix of a convolution")
    first = np.arange(maps) // (maps // group) * inner
    channel = first[:, None, None, None] + np.arange(inner)[:, None]
    channel = channel + (np.arange(batch) * (inner * group))[:, None, None, None, None]
    inside = np.broadcast_to((taps >= 0)[:, None, :], full)
    column = (channel * space + taps[:, None, :])[inside]
    data = np.broadcast_to(weights.reshape(maps, 1, inner, kernel), full)[inside]
    entries = np.tile((taps >= 0).sum(axis=1) * inner, batch * maps)
    pointers = np.concatenate([[0], np.cumsum(entries)])
    return csr_array((data, column, pointers), shape=(batch * maps * windows, batch * inner * group * space))


# --- pooling ---


def average_pool(node: Node) -> Tensor:
    """Append the mean of each window, with or without the padding counted."""
    x, axes = _pooled(node)
    groups, output = _groups(node, x, axes)
    counted = _taps(axes, padding=node.integer("count_include_pad", 0) != 0) >= 0
    size = np.tile(counted.sum(axis=1), math.prod(x.shape[:2]))
    inside = groups >= 0
    entries = inside.sum(axis=1)
    pointers = np.concatenate([[0], np.cumsum(entries)])
    matrix = csr_array((np.repeat(1.0 / size, entries), groups[inside], pointers), shape=(len(groups), x.index.size))
    return node.affine([(x, matrix)], 0.0, output)


def max_pool(node: Node) -> Tensor:
    """Append the largest entry of each window; padding never wins."""
    x, axes = _pooled(node)
    groups, output = _groups(node, x, axes)
    return Computed(node.builder.maximum_of_groups(x.value, groups), output)


def global_max_pool(node: Node) -> Tensor:
    """Append the largest entry of each channel."""
    x = node.computed(0, least_rank=3)
    output = x.shape[:2] + (1,) * (len(x.shape) - 2)
    return Computed(node.builder.maximum_of_groups(x.value, x.index.reshape(math.prod(output), -1)), output)


def _pooled(node: Node) -> tuple[Computed, list[Axis]]:
    x = node.computed(0, least_rank=3)
    sizes = x.shape[2:]
    if node.integers("kernel_shape") is None:
        raise node.error("attribute 'kernel_shape' is missing")
    return x, _axes(node, sizes, _per_axis(node, "kernel_shape", 1, len(sizes)))


def _groups(node: Node, x: Computed, axes: list[Axis]) -> tuple[Index, Shape]:
    """Return the entries that each window reads, shape ``(N * C * windows, taps)``, and the output's shape."""
    taps = _taps(axes)
    if not (taps >= 0).any(axis=1).all():
        raise node.error("a window lies wholly in the padding", "pads must be smaller than the kernel")
    channels = math.prod(x.shape[:2])
    node.sized((channels, *taps.shape), "the windows of a pooling")
    space = math.prod(axis.size for axis in axes)
    groups = np.where(taps >= 0, taps + np.arange(channels)[:, None, None] * space, -1)
    return groups.reshape(-1, taps.shape[1]), x.shape[:2] + tuple(axis.count for axis in axes)
