"""Convolutional networks of any size, as ONNX, from a seed: numpy and onnx alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUTPUTS = 10


def write_network(path: Path, side: int, maps: tuple[int, ...], *, seed: int = 0) -> int:
    """Write a network of 3 x 3 convolutions with relus over a picture of three channels, and a dense layer behind.

    The second convolution has stride 2, all others 1; the weights are He's normal ones (numpy's generator of `seed`).

    Parameters
    ----------
    side
        Of the picture, in entries; even.
    maps
        The channels of each convolution, two or more.

    Returns
    -------
    int
        The number of relus.
    """
    random = np.random.default_rng(seed)
    nodes, weights, value, channels, neurons = [], [], "x", 3, 0
    for number, count in enumerate(maps):
        if number == 1:
            side //= 2
        weight = random.normal(0.0, (2 / (9 * channels)) ** 0.5, (count, channels, 3, 3)).astype(np.float32)
        bias = random.normal(0.0, 0.1, count).astype(np.float32)
        weights += [numpy_helper.from_array(weight, f"w{number}"), numpy_helper.from_array(bias, f"b{number}")]
        stride = 2 if number == 1 else 1
        places = [value, f"w{number}", f"b{number}"]
        pads = [0, 0, 1, 1] if stride == 2 else [1, 1, 1, 1]
        nodes += [
            helper.make_node("Conv", places, [f"z{number}"], name=f"conv{number}", pads=pads, strides=[stride] * 2),
            helper.make_node("Relu", [f"z{number}"], [f"h{number}"], name=f"relu{number}"),
        ]
        value, channels = f"h{number}", count
        neurons += count * side * side
    features = channels * side * side
    dense = random.normal(0.0, features**-0.5, (OUTPUTS, features)).astype(np.float32)
    weights += [numpy_helper.from_array(dense, "w"), numpy_helper.from_array(np.zeros(OUTPUTS, np.float32), "b")]
    nodes += [
        helper.make_node("Flatten", [value], ["flat"], name="flatten"),
        helper.make_node("Gemm", ["flat", "w", "b"], ["y"], name="dense", transB=1),
    ]
    side *= 2
    graph = helper.make_graph(
        nodes,
        "convolutional",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, OUTPUTS])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return neurons
