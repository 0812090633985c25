"""Data movement by one idea: do to an array of positions what the operator does to the data, then select.

Operators that only change the shape are read in another shape and append nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from lipc.frontends.onnx_ops.node import Computed, Index, Node, Shape, Tensor, shape_of

OPSET_SQUEEZE_AXES_AS_INPUT = 13
OPSET_SPLIT_AS_INPUT = 13
OPSET_SPLIT_UNEVEN = 18
OPSET_SLICE_AS_INPUT = 10
OPSET_PAD_AS_INPUT = 11
PAD_MODES = ("constant", "edge", "reflect", "wrap")


# --- other shapes of the same value ---


def identity(node: Node) -> Tensor:
    """Return the same tensor."""
    return node.computed(0)


def dropout(node: Node) -> Tensor | list[Tensor]:
    """Return the same tensor (inference), and a mask that keeps everything."""
    if node.has(2) and bool(np.any(node.constant(2))):
        raise node.error("dropout in training mode", "export the model for inference")
    x = node.computed(0)
    return [x, np.ones(x.shape, bool)]


def cast(node: Node) -> Tensor:
    """Return the same tensor if it stays real: reals are exact here, so a change of precision is no change."""
    target = node.integer("to", 0)
    reals = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
    if target not in reals:
        name = TensorProto.DataType.Name(target) if target in TensorProto.DataType.values() else str(target)
        raise node.error(f"a cast of a computed tensor to {name} rounds", "only casts to floating point are supported")
    return node.computed(0)


def flatten(node: Node) -> Tensor:
    """Return a matrix: the axes before `axis`, and the rest."""
    x = node.computed(0)
    axis = node.integer("axis", 1)
    if not -len(x.shape) <= axis <= len(x.shape):
        raise node.error(f"axis {axis} is out of range for rank {len(x.shape)}")
    axis = axis + len(x.shape) if axis < 0 else axis
    return x.reshaped((math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def reshape(node: Node) -> Tensor:
    """Return another shape: 0 copies a size (without `allowzero`), -1 takes the rest."""
    x = node.computed(0)
    target = node.whole_numbers(1)
    wanted = list(target)
    if not node.integer("allowzero", 0):
        for axis, size in enumerate(wanted):
            if size == 0 and axis >= len(x.shape):
                raise node.error(f"shape {target} copies axis {axis}, which an input of shape {x.shape} does not have")
            wanted[axis] = x.shape[axis] if size == 0 else size
    total, known = math.prod(x.shape), math.prod(size for size in wanted if size != -1)
    if wanted.count(-1) == 1 and known > 0 and total % known == 0:
        wanted[wanted.index(-1)] = total // known
    if min(wanted, default=0) < 0 or math.prod(wanted) != total:
        raise node.error(f"cannot reshape {x.shape} to {target}")
    return x.reshaped(wanted)


def squeeze(node: Node) -> Tensor:
    """Leave out axes of size 1: the given ones, or all."""
    x = node.computed(0)
    axes = node.integers_of("axes", 1, node.opset >= OPSET_SQUEEZE_AXES_AS_INPUT)
    dropped = [axis for axis, size in enumerate(x.shape) if size == 1]
    if axes is not None:
        dropped = list(node.axes(axes, len(x.shape)))
    if any(x.shape[axis] != 1 for axis in dropped):
        raise node.error(f"cannot squeeze axes {axes} of shape {x.shape}")
    return x.reshaped(size for axis, size in enumerate(x.shape) if axis not in dropped)


def unsqueeze(node: Node) -> Tensor:
    """Put in axes of size 1."""
    x = node.computed(0)
    axes = node.integers_of("axes", 1, node.opset >= OPSET_SQUEEZE_AXES_AS_INPUT)
    if axes is None:
        raise node.error("axes are missing")
    rank = len(x.shape) + len(axes)
    inserted = node.axes(axes, rank)
    sizes = iter(x.shape)
    return x.reshaped(1 if axis in inserted else next(sizes) for axis in range(rank))


# --- what is known of a computed tensor ---


def known_shape(node: Node) -> Tensor:
    """Return the shape, which is known now; from opset 15 on a slice of it."""
    sizes = node.computed(0).shape
    end = node.integer("end", len(sizes))
    return np.array(sizes[node.integer("start", 0) : end], np.int64)


def known_size(node: Node) -> Tensor:
    """Return the number of entries, which is known now."""
    return np.array(math.prod(node.computed(0).shape), np.int64)


# --- entries in another order ---


def transpose(node: Node) -> Tensor:
    """Append the axes in another order; default: reversed."""
    x = node.computed(0)
    rank = len(x.shape)
    order = node.integers("perm") or tuple(reversed(range(rank)))
    if sorted(order) != list(range(rank)):
        raise node.error(f"perm {order} is no order of the axes of shape {x.shape}")
    return node.select(x, x.index.transpose(order))


def slice_(node: Node) -> Tensor:
    """Append ranges along axes, cut off at the ends as in Python; steps may be negative."""
    x = node.computed(0)
    as_input = node.opset >= OPSET_SLICE_AS_INPUT
    starts, ends = node.integers_of("starts", 1, as_input), node.integers_of("ends", 2, as_input)
    if starts is None or ends is None:
        raise node.error("starts or ends are missing")
    axes = node.integers_of("axes", 3, as_input) or tuple(range(len(starts)))
    steps = (node.integers_of("steps", 4, as_input) if as_input else None) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise node.error(f"starts {starts}, ends {ends}, axes {axes} and steps {steps} do not fit")
    index = x.index
    for axis, start, end, step in zip(node.axes(axes, len(x.shape)), starts, ends, steps, strict=True):
        count = x.shape[axis]
        low, high = (0, count) if step > 0 else (-1, count - 1)
        first, last = (min(max(at + count if at < 0 else at, low), high) for at in (start, end))
        index = index.take(np.arange(max(first, 0), last, step), axis=axis)
    return node.select(x, index)


def split(node: Node) -> list[Tensor]:
    """Append consecutive parts along one axis."""
    x = node.computed(0)
    axis = node.axis(node.integer("axis", 0), len(x.shape))
    count, parts = x.shape[axis], len(node.outputs)
    sizes = node.integers_of("split", 1, node.opset >= OPSET_SPLIT_AS_INPUT)
    if sizes is None:
        if node.opset < OPSET_SPLIT_UNEVEN and count % parts:
            raise node.error(f"axis {axis} of shape {x.shape} cannot be split into {parts} equal parts")
        most = -(-count // parts)
        sizes = (most,) * (parts - 1) + (count - most * (parts - 1),)
    if len(sizes) != parts or min(sizes) < 0 or sum(sizes) != count:
        raise node.error(f"parts of {sizes} do not make up axis {axis} of shape {x.shape} in {parts} outputs")
    return [node.select(x, part) for part in np.split(x.index, np.cumsum(sizes)[:-1], axis=axis)]


def concat(node: Node) -> Tensor:
    """Append tensors behind one another along one axis."""
    tensors = node.tensors()
    shapes = [shape_of(tensor) for tensor in tensors]
    if "axis" not in node.attributes:
        raise node.error("attribute 'axis' is missing")
    axis = node.axis(node.integer("axis", 0), len(shapes[0]))
    if len({(*shape[:axis], -1, *shape[axis + 1 :]) for shape in shapes}) > 1:
        raise node.error(f"shapes {', '.join(map(str, shapes))} cannot be concatenated along axis {axis}")
    bias = np.concatenate(
        [np.zeros(tensor.shape) if isinstance(tensor, Computed) else node.numbers(position)
         for position, tensor in enumerate(tensors)],
        axis,
    )  # fmt: skip
    node.sized(bias.shape)
    parts = [
        (tensor, _placed(position, shapes, axis), 1.0)
        for position, tensor in enumerate(tensors)
        if isinstance(tensor, Computed)
    ]
    return node.combine(parts, bias, bias.shape)


def _placed(position: int, shapes: Sequence[Shape], axis: int) -> Index:
    """Return the index array of a concatenation that takes the entries of one tensor, and none elsewhere."""
    blocks = [np.full(shape, -1) for shape in shapes]
    blocks[position] = np.arange(math.prod(shapes[position])).reshape(shapes[position])
    return np.concatenate(blocks, axis)


def gather(node: Node) -> Tensor:
    """Append entries along one axis at constant indices."""
    x = node.computed(0, least_rank=1)
    indices = node.constant(1)
    axis = node.axis(node.integer("axis", 0), len(x.shape))
    count = x.shape[axis]
    if not np.issubdtype(indices.dtype, np.integer) or ((indices < -count) | (indices >= count)).any():
        raise node.error(f"indices '{node.names[1]}' are not integers within axis {axis} of shape {x.shape}")
    node.sized((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    return node.select(x, x.index.take(indices, axis=axis, mode="wrap"))


def pad(node: Node) -> Tensor:
    """Put entries around the data, or cut them off where a pad is negative."""
    x = node.computed(0)
    rank = len(x.shape)
    as_input = node.opset >= OPSET_PAD_AS_INPUT
    pads = node.integers_of("pads", 1, as_input)
    if as_input:
        fill = node.scalar(2) if node.has(2) and np.size(node.constant(2)) else 0.0
    else:
        fill = node.number("value", 0.0)
    if not math.isfinite(fill):
        raise node.error(f"the padding is {fill}, not a finite number")
    axes = node.axes(node.whole_numbers(3) if node.has(3) else range(rank), rank)
    if pads is None or len(pads) != 2 * len(axes):
        raise node.error(f"pads {pads} do not fit {len(axes)} axes")
    mode = node.text("mode", "constant")
    if mode not in PAD_MODES:
        raise node.error(f"unknown padding mode '{mode}'", f"known: {', '.join(PAD_MODES)}")
    widths = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        widths[axis] = (pads[place], pads[len(axes) + place])
    node.sized(size + sum(width) for size, width in zip(x.shape, widths, strict=True))
    keep = tuple(slice(max(-low, 0), count - max(-high, 0)) for (low, high), count in zip(widths, x.shape, strict=True))
    added = [(max(low, 0), max(high, 0)) for low, high in widths]
    index = x.index[keep]
    if mode == "constant":
        return node.select(x, np.pad(index, added, constant_values=-1), fill)
    return node.select(x, np.pad(index, added, mode=mode))  # type: ignore[call-overload]


def expand(node: Node) -> Tensor:
    """Append the data repeated to a shape that it broadcasts with."""
    x = node.computed(0)
    return node.expand(x, node.broadcast(x.shape, node.sized(node.whole_numbers(1))))


def tile(node: Node) -> Tensor:
    """Append the data repeated along each axis."""
    x = node.computed(0)
    repeats = node.whole_numbers(1)
    if len(repeats) != len(x.shape):
        raise node.error(f"repeats {repeats} do not fit shape {x.shape}")
    node.sized(count * size for count, size in zip(repeats, x.shape, strict=True))
    return node.select(x, np.tile(x.index, repeats))
