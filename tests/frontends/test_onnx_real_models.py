"""Networks of public benchmarks, too large for the repository, against the reference evaluator."""

import re
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from lipc.frontends.onnx import difference, read_onnx

BOUND = re.compile(r"\((<=|>=)\s+X_(\d+)\s+([-+.\deE]+)\)")

MODELS = [
    ("acasxu/ACASXU_run2a_1_1_batch_2000.onnx", "acasxu/prop_1.vnnlib"),
    ("cifar10_resnet/resnet_2b.onnx", "cifar10_resnet/prop_0_eps_0.008.vnnlib"),
    ("mnistfc/mnist-net_256x2.onnx", "mnistfc/prop_0_0.03.vnnlib"),
    ("verivital/Convnet_maxpool.onnx", "verivital/prop_0_0.004.vnnlib"),
    ("test/test_nano.onnx", "test/test_nano.vnnlib"),
    ("test/test_tiny.onnx", "test/test_tiny.vnnlib"),
    ("test/test_small.onnx", "test/test_small.vnnlib"),
    ("test/test_sat.onnx", "test/test_prop.vnnlib"),
    ("test/test_unsat.onnx", "test/test_prop.vnnlib"),
]


def box(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the inputs in a property of one box."""
    lower, upper = np.full(size, np.nan), np.full(size, np.nan)
    for sign, entry, number in BOUND.findall(path.read_text()):
        (upper if sign == "<=" else lower)[int(entry)] = float(number)
    assert (lower <= upper).all()
    return lower, upper


@pytest.mark.parametrize(("name", "prop"), MODELS, ids=[row[0] for row in MODELS])
def test_import_equals_reference_within_the_box(shared: Path, name: str, prop: str):
    folder = shared / "models"
    if not (folder / name).is_file():
        pytest.skip(f"{name} is not there")
    start = time.perf_counter()
    network = read_onnx(folder / name)
    assert time.perf_counter() - start < 5
    lower, upper = box(folder / prop, int(np.prod(network.input_shape)))
    points = np.random.default_rng(0).uniform(lower, upper, (100, len(lower)))
    assert difference(onnx.load(folder / name), network, points) <= 1e-4
