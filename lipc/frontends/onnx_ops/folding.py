"""Nodes whose inputs are all constants, computed now by onnx's own reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, NodeProto, ValueInfoProto

from lipc.frontends.onnx_ops.node import LARGEST, Node, Tensor

RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
SIZED_BY_INPUT = {"ConstantOfShape": 0, "Expand": 1}
"""The operators whose result is as large as the numbers in an input say, and which input that is."""


def is_foldable(proto: NodeProto) -> bool:
    """Return whether a node with constant inputs is a constant: no random numbers, no branches or loops."""
    graphs = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
    return proto.op_type not in RANDOM and all(attribute.type not in graphs for attribute in proto.attribute)


def fold(node: Node, proto: NodeProto) -> list[Tensor]:
    """Return the outputs of a node whose inputs are all constants.

    Raises
    ------
    ModelError
        If the reference implementation does not know the operator or fails.
    """
    from onnx.reference import ReferenceEvaluator

    constants = {name: node.constant(position) for position, name in enumerate(node.names) if node.has(position)}
    _check_size(node)
    graph = GraphProto(
        name="constant",
        node=[proto],
        input=[ValueInfoProto(name=name) for name in constants],
        output=[ValueInfoProto(name=name) for name in node.outputs if name],
    )
    try:
        results: list[Any] = ReferenceEvaluator(graph, opsets={"": node.opset}).run(None, constants)
    except Exception as error:  # third-party code for every operator there is: anything may come out of it
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise node.error(f"this node has only constant inputs but cannot be computed ({reason})") from error
    made = iter(results)
    return [_as_array(node, next(made)) if name else np.zeros(0) for name in node.outputs]


def _check_size(node: Node) -> None:
    if node.operator in SIZED_BY_INPUT:
        node.sized(node.whole_numbers(SIZED_BY_INPUT[node.operator]))


def _as_array(node: Node, result: Any) -> NDArray[Any]:
    array = np.asarray(result) if not isinstance(result, list) else None
    if array is None or array.size > LARGEST:
        raise node.error("this node makes a constant that is no tensor, or too large")
    return array
