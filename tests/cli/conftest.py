from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from cli_process import command
from onnx import helper, numpy_helper

from lipc.cli.main import main


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


@pytest.fixture(autouse=True)
def _own_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call from an empty folder: ``-o -`` writes a sidecar there."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small.onnx (2 inputs, 2 outputs), one.onnx (1 output), softmax.onnx and hard.onnx."""
    folder = tmp_path_factory.mktemp("models")
    save_network(folder / "small.onnx", (2, 6, 5, 2))
    save_network(folder / "one.onnx", (3, 6, 1))
    save_network(folder / "softmax.onnx", (2, 6, 5, 2), softmax=True)
    save_network(folder / "hard.onnx", (10, 30, 30, 30, 1), seed=1)
    return folder


@pytest.fixture
def small(models: Path) -> str:
    return str(models / "small.onnx")


@pytest.fixture
def lipc(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Call]:
    """Call the command line in this process."""

    def call(*args: str | Path) -> Call:
        capfdbinary.readouterr()
        code = main([str(arg) for arg in args])
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return Call(code, captured.out.decode(), captured.err.decode())

    return call


@pytest.fixture
def process() -> Callable[..., Call]:
    """Call the command line in a process of its own."""

    def call(*args: str | Path, **environment: str) -> Call:
        done = subprocess.run(
            command(*args), capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False
        )
        return Call(done.returncode, done.stdout, done.stderr)

    return call
