"""Small ONNX models for tests, and their comparison with onnx's reference evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lipc.frontends.onnx import difference, import_onnx

NEWEST = onnx.defs.onnx_opset_version()
TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5, np.float16: 1e-2}
X = "x"  # the network's input, among the inputs of a case
Z = "z"  # a second computed tensor, |x|


@dataclass(frozen=True)
class Case:
    """One node: its inputs (`X`, `Z`, arrays, or `None` where left out), attributes, and the shape of x."""

    operator: str
    inputs: Sequence[Any]
    shape: tuple[int, ...]
    opset: int = 13
    dtype: type = np.float64
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = "-".join(f"{name}={value}" for name, value in self.attributes.items())
        return f"{self.operator}{self.opset}-{shown}".replace(" ", "")

    def model(self) -> onnx.ModelProto:
        names, constants = [], {}
        for position, entry in enumerate(self.inputs):
            names.append("" if entry is None else entry if isinstance(entry, str) else f"c{position}")
            if entry is not None and not isinstance(entry, str):
                array = np.asarray(entry)
                constants[f"c{position}"] = array.astype(self.dtype) if array.dtype == np.float64 else array
        nodes = [helper.make_node("Abs", [X], [Z])] if any(name == Z for name in names) else []
        nodes.append(helper.make_node(self.operator, names, ["y"], name="subject", **self.attributes))
        return make_model(nodes, self.shape, constants, opset=self.opset, dtype=self.dtype)


def case(
    operator: str,
    inputs: Sequence[Any],
    shape: tuple[int, ...],
    opset: int = 13,
    dtype: type = np.float64,
    **attributes: Any,
) -> Case:
    return Case(operator, inputs, shape, opset, dtype, attributes)


def make_model(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int | str | None] | None,
    constants: dict[str, np.ndarray] | None = None,
    *,
    opset: int = 13,
    dtype: type = np.float64,
    output: str = "y",
    check: bool = True,
) -> onnx.ModelProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(output, kind, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True) if check else model


def points(shape: Sequence[int], count: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, int(np.prod(shape))))


def check_import(model: onnx.ModelProto, tolerance: float = 1e-10, **options: Any) -> Any:
    """Import a model, compare it with the reference at random points, and return the network."""
    network = import_onnx(model, **options)
    assert difference(model, network, points(network.input_shape)) <= tolerance
    return network


def weights(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)
