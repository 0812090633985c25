"""Fixtures of the front ends' tests."""

import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Run a program in a fresh interpreter that finds what this one finds; return what it prints."""

    def run(program: str) -> str:
        preamble = f"import sys; sys.path[:] = {sys.path!r}; "
        return subprocess.run(
            [sys.executable, "-c", preamble + program], capture_output=True, text=True, check=True
        ).stdout.strip()

    return run
