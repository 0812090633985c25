"""The supported ONNX operators: one small function each, grouped by idea, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from lipc.frontends.onnx_ops import linear, movement, pointwise, windows
from lipc.frontends.onnx_ops.node import Node, Tensor

Operator: TypeAlias = Callable[[Node], Tensor | list[Tensor]]
"""Appends what a node computes and returns its output, or its outputs if there may be several."""

OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "Abs": pointwise.absolute,
        "Add": linear.add,
        "AveragePool": windows.average_pool,
        "BatchNormalization": linear.batch_normalization,
        "Cast": movement.cast,
        "Clip": pointwise.clip,
        "Concat": movement.concat,
        "Conv": windows.convolution,
        "ConvTranspose": windows.transposed_convolution,
        "Div": linear.divide,
        "Dropout": movement.dropout,
        "Expand": movement.expand,
        "Flatten": movement.flatten,
        "Gather": movement.gather,
        "Gemm": linear.gemm,
        "GlobalAveragePool": linear.global_average_pool,
        "GlobalMaxPool": windows.global_max_pool,
        "HardSigmoid": pointwise.hard_sigmoid,
        "Identity": movement.identity,
        "LeakyRelu": pointwise.leaky_relu,
        "MatMul": linear.matmul,
        "Max": pointwise.maximum,
        "MaxPool": windows.max_pool,
        "Mean": linear.mean_of_all,
        "Min": pointwise.minimum,
        "Mul": linear.multiply,
        "Neg": linear.negate,
        "PRelu": pointwise.parametric_relu,
        "Pad": movement.pad,
        "ReduceMean": linear.reduce_mean,
        "ReduceSum": linear.reduce_sum,
        "Relu": pointwise.relu,
        "Reshape": movement.reshape,
        "Shape": movement.known_shape,
        "Size": movement.known_size,
        "Slice": movement.slice_,
        "Split": movement.split,
        "Squeeze": movement.squeeze,
        "Sub": linear.subtract,
        "Sum": linear.sum_of_all,
        "Tile": movement.tile,
        "Transpose": movement.transpose,
        "Unsqueeze": movement.unsqueeze,
    }
)
"""What may stand on a path from the input to the output. On constants every operator is allowed."""
