"""Large networks: nothing of the size inputs x neurons is ever made, and the largest compile in time and memory."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import lipc
from benchmarks.convolutional import write_network
from benchmarks.scale import LARGE, measure
from lipc.bounds import coefficients, domain, linear, linear_bounds
from lipc.formats import mps_chunks
from lipc.ir import Floats, Input, Program, evaluate
from lipc.models import read_model
from lipc.passes.jacobian import Jacobian
from lipc.passes.run import run_passes

SIDE, MAPS = 32, (2, 3, 3)
INPUTS, NEURONS = 3 * SIDE**2, 2 * SIDE**2 + 2 * 3 * SIDE**2 // 4


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scale") / "net.onnx"
    assert write_network(path, SIDE, MAPS) == NEURONS
    return path


def compile_and_write(network: Path, norm: str, mode: str, method: str) -> None:
    query = lipc.Query(lipc.box(0.0, 1.0), lipc.Functional({0: 1.0, 1: -1.0}), lipc.Norm(norm))
    compiled = lipc.compile(network, query, mode=mode, method=method)  # type: ignore[arg-type]
    assert compiled.neurons.unstable > 0.5 * NEURONS
    assert sum(map(len, mps_chunks(compiled.mip))) > 1_000_000


@pytest.mark.parametrize(
    ("norm", "mode", "method"),
    [
        ("linf", "forward", "interval"),
        pytest.param("linf", "forward", "linear", marks=pytest.mark.slow),
        ("linf", "reverse", "linear"),
        pytest.param("l1", "forward", "interval", marks=pytest.mark.slow),
        ("l1", "reverse", "interval"),
    ],
)
def test_nothing_is_as_large_as_inputs_times_neurons(
    network: Path, monkeypatch: pytest.MonkeyPatch, norm: str, mode: str, method: str
) -> None:
    monkeypatch.setattr(linear, "BLOCK_ENTRIES", 200_000)
    monkeypatch.setattr(domain, "BLOCK_ENTRIES", 200_000)
    monkeypatch.setenv("LIPC_VALIDATE", "0")  # points are taken from unit vectors, as a dense matrix
    tracemalloc.start()
    try:
        compile_and_write(network, norm, mode, method)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A dense matrix from the inputs to the neurons takes that, one from 2 INPUTS directions in l_1 to the inputs more.
    assert peak < 8 * INPUTS * NEURONS


def jacobian_of(network: Path) -> Program:
    query = lipc.Query(lipc.box(0.0, 0.2), lipc.Functional({0: 1.0}))
    asked = query.ask(read_model(network).program)
    return run_passes(asked, [Jacobian("forward")]).program


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Program:
    path = tmp_path_factory.mktemp("small") / "net.onnx"
    write_network(path, 8, (3, 4, 4))
    return jacobian_of(path)


def test_sparse_coefficients_bound_as_dense_ones_do(small: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    sparse = linear_bounds(small)
    monkeypatch.setattr(coefficients, "DENSE", -1.0)
    dense = linear_bounds(small)
    for value, known in dense.items():
        scale = 1e-12 * (1.0 + known.magnitude)
        assert (np.abs(sparse[value].lower - known.lower) <= scale).all()
        assert (np.abs(sparse[value].upper - known.upper) <= scale).all()


def test_sparse_bounds_hold_at_points(small: Program) -> None:
    bounds, random = linear_bounds(small), np.random.default_rng(0)
    points: dict[int, Floats] = {}
    for value in small.find(Input):
        op = small.ops[value]
        assert isinstance(op, Input)
        corners = random.integers(0, 2, (200, op.size))
        points[value] = np.where(corners, op.domain.upper, op.domain.lower)
        points[value][100:] = random.uniform(op.domain.lower, op.domain.upper, (100, op.size))
    tight = 0
    for value, entries in enumerate(evaluate(small, points)):
        rounding = 1e-12 * (1.0 + bounds[value].magnitude)
        assert (entries >= bounds[value].lower - rounding).all()
        assert (entries <= bounds[value].upper + rounding).all()
        tight += int(((bounds[value].upper - bounds[value].lower) < 4 * np.ptp(entries, axis=0)).sum())
    assert tight > 100  # not just anything holds


def test_the_size_of_blocks_changes_no_bound(small: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for entries in (300, 5_000, 4_000_000):
        monkeypatch.setattr(linear, "BLOCK_ENTRIES", entries)
        monkeypatch.setattr(domain, "BLOCK_ENTRIES", entries)
        found.append(linear_bounds(small))
    for left, right in pairwise(found):
        for value, known in left.items():
            scale = 1e-12 * (1.0 + known.magnitude)
            assert (np.abs(known.lower - right[value].lower) <= scale).all()
            assert (np.abs(known.upper - right[value].upper) <= scale).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["interval", "linear"])
def test_a_hundred_thousand_neurons_compile(tmp_path: Path, method: str) -> None:
    assert write_network(tmp_path / "net.onnx", *LARGE) > 98_000
    found = measure(tmp_path / "net.onnx", ["--bounds", method], tmp_path)
    assert found.entries > 20_000_000
    assert found.cpu < 120
    assert found.peak < 6 * 2**30
