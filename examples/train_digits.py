"""Train the small digits network of the examples and write it, with one test image, next to this script.

Needs scikit-learn (``pip install 'lipc[examples]'``); the result is in the repository, so there is no need to run it::

    python examples/train_digits.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

HERE = Path(__file__).parent
HIDDEN = (16, 16)
SEED = 0


def main() -> None:
    """Train, export, compare the exported network with the trained one, and report the accuracy."""
    digits = load_digits()
    images = digits.data / 16.0  # 8 x 8 grey values in [0, 1]
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits.target, test_size=0.25, random_state=SEED, stratify=digits.target
    )
    # The penalty alpha keeps the weights, and with them the Lipschitz constant, small.
    classifier = MLPClassifier(HIDDEN, alpha=1.0, solver="lbfgs", max_iter=5000, random_state=SEED)
    with threadpool_limits(1):  # sums in another order would end in other weights
        classifier.fit(train_x, train_y)
    model = export([w.T for w in classifier.coefs_], classifier.intercepts_)

    logits = ReferenceEvaluator(model).run(None, {"x": test_x.astype(np.float32)})[0]
    np.testing.assert_allclose(logits, logits_of(classifier, test_x), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        log_softmax(logits.astype(float), axis=1), classifier.predict_log_proba(test_x), rtol=1e-4, atol=1e-4
    )
    print(f"training accuracy {classifier.score(train_x, train_y):.1%}")
    print(f"test accuracy     {np.mean(logits.argmax(axis=1) == test_y):.1%} (exported network)")

    onnx.save(model, HERE / "digits.onnx")
    one = np.flatnonzero(test_y == 1)[0]
    assert logits[one].argmax() == 1
    (HERE / "digit_one.csv").write_text(",".join(f"{value:g}" for value in test_x[one]) + "\n", encoding="utf-8")


def export(weights: list[np.ndarray], biases: list[np.ndarray]) -> onnx.ModelProto:
    """Write a chain of Gemm and Relu in float32; `weights[k]` has one row per neuron."""
    nodes, constants, value = [], [], "x"
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(weight, np.float32), f"W{layer}"))
        constants.append(numpy_helper.from_array(bias.astype(np.float32), f"b{layer}"))
        last = layer == len(weights)
        sums = "logits" if last else f"sums{layer}"
        nodes.append(helper.make_node("Gemm", [value, f"W{layer}", f"b{layer}"], [sums], f"gemm{layer}", transB=1))
        if not last:
            value = f"relu{layer}"
            nodes.append(helper.make_node("Relu", [sums], [value], value))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", weights[0].shape[1]])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(biases[-1])])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="lipc")
    onnx.checker.check_model(model, full_check=True)
    return model


def logits_of(classifier: MLPClassifier, points: np.ndarray) -> np.ndarray:
    """Return the values before the softmax: `MLPClassifier` itself gives only the probabilities after it."""
    for weight, bias in zip(classifier.coefs_[:-1], classifier.intercepts_[:-1], strict=True):
        points = np.maximum(points @ weight + bias, 0)
    return points @ classifier.coefs_[-1] + classifier.intercepts_[-1]


if __name__ == "__main__":
    main()
