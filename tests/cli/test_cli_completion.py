"""Completion by Tab, and the reference of the command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lipc.cli.reference import reference

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("lipc so", ["solve", "solvers"]),
        ("lipc --ver", ["--version"]),
        ("lipc solve --norm l", ["linf", "l1", "l2"]),
        ("lipc net.onnx --no-", ["--no-map"]),  # the command that is meant where none is named
        ("lipc net.onnx --emit ", ["mps", "lp", "ir"]),
        ("lipc completion ", ["bash", "zsh", "fish"]),
        ("lipc check --js", ["--json"]),
    ],
)
def test_what_bash_is_told(words: str, expected: list[str]) -> None:
    assert [line for line in _asked(words) if line.startswith("plain,")] == [f"plain,{word}" for word in expected]


@pytest.mark.parametrize(
    "words", ["lipc ne", "lipc net.onnx -o ", "lipc solve ", "lipc check a.map.json ", "lipc x --box "]
)
def test_where_files_are_meant(words: str) -> None:
    assert any(line.startswith("file,") for line in _asked(words))


def _asked(words: str) -> list[str]:
    environment = {
        "_LIPC_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "PYTHONPATH": str(ROOT),
    }
    code = "from lipc.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_of_the_shells(lipc, shell: str, tmp_path: Path) -> None:
    code, script, err = lipc("completion", shell)
    assert (code, err) == (0, "")
    assert f"_LIPC_COMPLETE={shell}_complete" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script)
    done = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_reference_is_what_the_code_says() -> None:
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == reference(), (
        "run: python -m lipc.cli.reference > docs/cli.md"
    )
