from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference cases and models that are too large for the repository; they lie next to it."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of reference cases is not there")
    return folder


@pytest.fixture(autouse=True)
def every_pass_is_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the programs before and after every pass that any test runs, on a few points."""
    monkeypatch.setenv("LIPC_VALIDATE", "3")
