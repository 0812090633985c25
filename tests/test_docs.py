"""What the documentation shows, runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - {ROOT / "examples/train_digits.py"})
"""All but the one that writes the files of the others anew."""


def code_blocks(name: str, language: str = "python") -> list[str]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_pass_of_the_guide_and_its_tests() -> None:
    names: dict[str, object] = {}
    blocks = code_blocks("passes.md")
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "passes.md", "exec"), names)  # as its reader would
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()  # type: ignore[operator]
    pass_lines = [line for line in blocks[0].splitlines() if line.strip()]
    assert len(pass_lines) <= 30


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, path], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout
    assert not run.stderr


def test_own_rows_prints_what_can_be_computed_by_hand() -> None:
    run = subprocess.run([sys.executable, ROOT / "examples/own_rows.py"], capture_output=True, text=True, check=True)
    values = [
        float(line.split()[-1]) for line in run.stdout.splitlines() if line.startswith(("everywhere", "at", "and"))
    ]
    assert values == pytest.approx([9.0, 7.0, 2.0])
