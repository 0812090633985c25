"""``lipc --version`` answers before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

import pytest

HEAVY = {
    "numpy",
    "matplotlib",
    "onnx",
    "scipy",
    "pyscipopt",
    "highspy",
    "rich",
    "lark",
    "lipc.ir",
    "lipc.mip",
    "lipc.driver",
}
LIMIT = 0.3
"""Seconds. The design says 0.15 on an idle machine; twice that, for the noise of a busy one."""


def imported(code: str) -> set[str]:
    """Return the modules that a process has after running some code."""
    script = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        "from lipc.cli.main import main; assert main(['--version']) == 0",
        "from lipc.cli.main import main; assert main(['--help']) == 0",
        "import lipc; assert lipc.__version__; dir(lipc)",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    modules = imported(code)
    assert "lipc" in modules
    assert not HEAVY & modules


def test_the_command_imports_nothing_heavy() -> None:
    """The same through the interpreter's own account, for the process that users start."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lipc", "--version"], capture_output=True, text=True, check=True
    )
    names = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "lipc.cli.main" in names
    assert not HEAVY & names


@pytest.mark.parametrize("command", ["compile", "solve", "certify-radius"])
def test_help_of_a_command_imports_no_solver(command: str) -> None:
    modules = imported(f"from lipc.cli.main import main; assert main([{command!r}, '--help']) == 0")
    assert not {"onnx", "scipy", "pyscipopt", "highspy", "rich", "lark"} & modules


def test_writing_a_model_imports_no_solver() -> None:
    """Compiling is for those, too, who bring a solver of their own."""
    code = """
from lipc import Query, box, compile, from_weights
from lipc.formats.mps import mps_chunks
mip = compile(from_weights([[[1.0, -1.0], [1.0, 2.0]], [[1.0, 1.0]]]), Query(box(-1, 1))).mip
assert b"".join(mps_chunks(mip)).endswith(b"ENDATA\\n")
"""
    assert not {"pyscipopt", "highspy", "rich", "onnx", "click"} & imported(code)


def test_version_is_quick() -> None:
    seconds = []
    for _ in range(5):
        begun = perf_counter()
        subprocess.run([sys.executable, "-m", "lipc", "--version"], capture_output=True, check=True)
        seconds.append(perf_counter() - begun)
    assert median(seconds) < LIMIT
