"""How tests call the command line, in a process of its own too, what is left of a call, and networks for it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Call(NamedTuple):
    """What a call of the command line left behind."""

    code: int
    out: str
    err: str


def save_network(path: Path, widths: Sequence[int], seed: int = 0, softmax: bool = False) -> Path:
    """Save a random ReLU network as ONNX."""
    rng = np.random.default_rng(seed)
    nodes, tensors, name = [], [], "x"
    last = len(widths) - 2
    for layer, (before, after) in enumerate(pairwise(widths)):
        weight, bias = rng.normal(size=(after, before)) / np.sqrt(before), 0.3 * rng.normal(size=after)
        tensors.append(numpy_helper.from_array(weight.astype(np.float32), f"W{layer}"))
        tensors.append(numpy_helper.from_array(bias.astype(np.float32), f"b{layer}"))
        nodes.append(helper.make_node("Gemm", [name, f"W{layer}", f"b{layer}"], [f"z{layer}"], transB=1))
        name = f"z{layer}"
        if layer < last:
            nodes.append(helper.make_node("Relu", [name], [f"r{layer}"]))
            name = f"r{layer}"
    if softmax:
        nodes.append(helper.make_node("Softmax", [name], ["p"]))
        name = "p"
    ends = [("x", widths[0]), (name, widths[-1])]
    inputs, outputs = ([helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, [1, size])] for end, size in ends)
    graph = helper.make_graph(nodes, "network", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "lipc", *map(str, args)]
