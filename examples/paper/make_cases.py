"""Train the small networks of the comparison and write them with their questions: models and files of jobs.

Seeded, nothing is downloaded; needs scikit-learn for its digits (``pip install 'lipc[examples]'``)::

    python examples/paper/make_cases.py FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float64]
Layers = list[tuple[Floats, Floats]]
"""Weights of shape (outputs, inputs), and biases."""

RANDOM, SYNTHETIC, DIGITS, SMALL = (10, 14, 14, 2), (10, 20, 20, 2), (64, 16, 16, 2), (64, 12, 12, 2)
COUNT = 10
"""Networks, or domains, in each column of the table."""

EPOCHS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50)
PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
RADIUS = 0.1
OUTPUT = "y[0] - y[1]"


def initial(rng: np.random.Generator, widths: tuple[int, ...]) -> Layers:
    """Return weights and biases uniform within 1 / sqrt(inputs)."""
    limits = [(1 / np.sqrt(before), before, after) for before, after in pairwise(widths)]
    return [(rng.uniform(-r, r, (after, before)), rng.uniform(-r, r, after)) for r, before, after in limits]


def gradients(layers: Layers, x: Floats, labels: npt.NDArray[np.int64]) -> list[Floats]:
    """Return the gradient of the mean cross-entropy with respect to each weight and bias."""
    values = [x]
    for weight, bias in layers[:-1]:
        values.append(np.maximum(values[-1] @ weight.T + bias, 0))
    logits = values[-1] @ layers[-1][0].T + layers[-1][1]
    back = np.exp(logits - logits.max(axis=1, keepdims=True))
    back /= back.sum(axis=1, keepdims=True)
    back[np.arange(len(x)), labels] -= 1
    back /= len(x)
    found: list[Floats] = []
    for (weight, _), value in zip(layers[::-1], values[::-1], strict=True):
        found += [back.sum(axis=0), back.T @ value]
        back = (back @ weight) * (value > 0)
    return found[::-1]


def train(
    rng: np.random.Generator,
    layers: Layers,
    data: tuple[Floats, npt.NDArray[np.int64]],
    epochs: int,
    *,
    l1: float = 0.0,
    l2: float = 0.0,
) -> Iterator[Layers]:
    """Yield the layers before training and after each epoch of Adam; penalties are of all weights, not of biases."""
    x, labels = data
    numbers = [each.copy() for layer in layers for each in layer]
    first, second = ([np.zeros_like(each) for each in numbers] for _ in range(2))
    step = 0
    for epoch in range(epochs + 1):
        yield [(weight.copy(), bias.copy()) for weight, bias in zip(numbers[::2], numbers[1::2], strict=True)]
        if epoch == epochs:
            return
        for batch in np.array_split(rng.permutation(len(x)), max(1, len(x) // 32)):
            step += 1
            current = list(zip(numbers[::2], numbers[1::2], strict=True))
            for place, slope in enumerate(gradients(current, x[batch], labels[batch])):
                if place % 2 == 0:
                    slope = slope + l1 * np.sign(numbers[place]) + 2 * l2 * numbers[place]
                first[place] += 0.1 * (slope - first[place])
                second[place] += 0.001 * (slope**2 - second[place])
                size = np.sqrt(second[place] / (1 - 0.999**step)) + 1e-8
                numbers[place] -= 0.003 * first[place] / (1 - 0.9**step) / size


def last(layers: Iterator[Layers]) -> Layers:
    """Return the trained layers."""
    *_, trained = layers
    return trained


def accuracy(layers: Layers, x: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Return the part of the points that is labelled right."""
    for weight, bias in layers[:-1]:
        x = np.maximum(x @ weight.T + bias, 0)
    return float(np.mean((x @ layers[-1][0].T + layers[-1][1]).argmax(axis=1) == labels))


def save(layers: Layers, path: Path) -> str:
    """Write a chain of Gemm and Relu, and return its name."""
    nodes, constants, value = [], [], "x"
    for k, (weight, bias) in enumerate(layers):
        constants.append(numpy_helper.from_array(weight.astype(np.float32), f"W{k}"))
        constants.append(numpy_helper.from_array(bias.astype(np.float32), f"b{k}"))
        nodes.append(helper.make_node("Gemm", [value, f"W{k}", f"b{k}"], [f"z{k}"], transB=1))
        value = f"z{k}"
        if k < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [value], [f"h{k}"]))
            value = f"h{k}"
    sizes = (("x", layers[0][0].shape[1]), (value, len(layers[-1][1])))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in sizes]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path.name


def write(path: Path, jobs: list[dict[str, object]]) -> None:
    """Write a file of jobs, all of which ask for the difference of the two outputs."""
    path.write_text("".join(json.dumps({**job, "output": OUTPUT}) + "\n" for job in jobs), encoding="utf-8")
    print(f"{path}: {len(jobs)} questions")


def synthetic(rng: np.random.Generator, count: int = 1000) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return points of the unit cube, each with one of two labels: that of the nearest of ten random centers."""
    centers, x = rng.random((10, SYNTHETIC[0])), rng.random((count, SYNTHETIC[0]))
    nearest = np.linalg.norm(x[:, None] - centers, axis=2).argmin(axis=1)
    return x, (nearest % 2).astype(np.int64)


def main() -> None:
    """Write everything."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    cube: dict[str, object] = {"box": [0, 1]}

    jobs = []
    for seed in range(COUNT):
        name = save(initial(np.random.default_rng(seed), RANDOM), folder / f"random-{seed}.onnx")
        jobs.append({"id": f"network {seed}", "model": name, **cube})
    write(folder / "random.jsonl", jobs)

    jobs = []
    for seed in range(COUNT):
        rng = np.random.default_rng(seed)
        data = synthetic(rng)
        trained = last(train(rng, initial(rng, SYNTHETIC), data, 30))
        name = save(trained, folder / f"trained-{seed}.onnx")
        print(f"{name}: right on {accuracy(trained, *data):.1%} of its data")
        jobs.append(
            {"id": f"network {seed}", "model": name, "center": rng.random(SYNTHETIC[0]).tolist(), "radius": 0.2}
        )
    write(folder / "trained.jsonl", jobs)

    digits = load_digits()
    kept = (digits.target == 1) | (digits.target == 8)
    x, labels = digits.data[kept] / 16.0, (digits.target[kept] == 8).astype(np.int64)
    seen, unseen = (x[:-COUNT], labels[:-COUNT]), x[-COUNT:]
    around: list[dict[str, object]] = [{"center": c.tolist(), "radius": RADIUS, "clip": [0, 1]} for c in unseen]

    rng = np.random.default_rng(0)
    trained = last(train(rng, initial(rng, DIGITS), seen, 30))
    name = save(trained, folder / "digits.onnx")
    print(f"{name}: right on {accuracy(trained, unseen, labels[-COUNT:]):.0%} of the {COUNT} images of the questions")
    write(folder / "digits.jsonl", [{"id": f"image {k}", "model": name, **each} for k, each in enumerate(around)])

    jobs, rng = [], np.random.default_rng(1)
    for epoch, layers in enumerate(train(rng, initial(rng, SMALL), seen, EPOCHS[-1])):
        if epoch in EPOCHS:
            name = save(layers, folder / f"epoch-{epoch}.onnx")
            jobs.append({"id": f"epoch={epoch}", "model": name, **around[0]})
    write(folder / "training.jsonl", jobs)

    jobs = []
    for kind in ("l1", "l2"):
        for penalty in PENALTIES:
            rng = np.random.default_rng(1)
            weights = {kind: penalty}
            trained = last(train(rng, initial(rng, SMALL), seen, EPOCHS[-1], **weights))
            name = save(trained, folder / f"{kind}-{penalty:g}.onnx")
            jobs.append({"id": f"{kind} penalty={penalty:g}", "group": f"{kind} penalty", "model": name, **around[0]})
    write(folder / "regularisers.jsonl", jobs)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
