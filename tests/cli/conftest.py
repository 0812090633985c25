from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_process import Call, command, save_network

from lipc.cli.main import main


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
