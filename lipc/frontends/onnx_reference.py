"""Check an import against onnx's reference evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from lipc.frontends.network import Network
from lipc.frontends.onnx_graph import DOMAINS
from lipc.frontends.onnx_ops.linear import OPSET_BATCHNORM_WITH_FLAG
from lipc.frontends.onnx_ops.node import as_floats
from lipc.ir import Floats, Input, evaluate


def difference(model: onnx.ModelProto, network: Network, points: Floats) -> float:
    """Return how far an imported network is from onnx's reference evaluator, at worst over some points.

    Parameters
    ----------
    model
        What the network was imported from.
    network
        The result of the import; a Softmax that it left out is left out of the reference too.
    points
        Shape ``(count, n)``; rounded to the precision of the model's input first.

    Returns
    -------
    float
        The largest ``|ours - reference| / max(1, |reference|)`` over points and outputs.

    Notes
    -----
    The evaluator itself departs from the specification for a ConvTranspose with groups or `output_shape`, a
    GlobalMaxPool in other than two dimensions, and a MaxPool with `auto_pad` and strides; it refuses negative pads.
    """
    from onnx.reference import ReferenceEvaluator

    complete = onnx.ModelProto()
    complete.CopyFrom(model)
    del complete.graph.output[:]
    complete.graph.output.append(onnx.ValueInfoProto(name=network.output_name))
    # Before opset 14 the reference evaluator takes every batch normalization for training, against the specification.
    repaired = [_inference_batch_normalization()] if _opset(model) < OPSET_BATCHNORM_WITH_FLAG else []
    evaluator = ReferenceEvaluator(complete, new_ops=repaired)
    entry = next(entry for entry in model.graph.input if entry.name == network.input_name)
    rounded = np.asarray(points).astype(onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type))
    inputs = {next(network.program.find(Input)): as_floats(rounded)}
    ours = evaluate(network.program, inputs)[network.program.result]
    worst = 0.0
    for point, output in zip(rounded, ours, strict=True):
        (result,) = evaluator.run(None, {network.input_name: point.reshape(network.input_shape)})
        reference = as_floats(np.asarray(result)).reshape(-1)
        error = np.abs(output - reference) / np.maximum(1.0, np.abs(reference))
        worst = max(worst, float(error.max()))
    return worst


def _opset(model: Any) -> int:
    return min((int(entry.version) for entry in model.opset_import if entry.domain in DOMAINS), default=0)


def _inference_batch_normalization() -> Any:
    """Return an implementation of batch normalization in inference for the reference evaluator."""
    from onnx.reference.op_run import OpRun

    def run(
        _: Any, x: Any, scale: Any, bias: Any, mean: Any, variance: Any, epsilon: float | None = None, **__: Any
    ) -> Any:
        shape = (-1,) + (1,) * (x.ndim - 2)
        factor = scale / np.sqrt(variance + (1e-5 if epsilon is None else epsilon))
        return ((x * factor.reshape(shape) + (bias - mean * factor).reshape(shape)).astype(x.dtype),)

    return type("BatchNormalization", (OpRun,), {"op_domain": "", "_run": run})
