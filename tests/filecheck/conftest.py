"""Collects the .lir and .lip files beside it as tests: see filecheck.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.filecheck.filecheck import FileCheckError, Run, check, read_runs, run


class CheckedFile(pytest.File):
    """A file with RUN and CHECK lines."""

    def collect(self) -> Iterator[pytest.Item]:
        try:
            runs = read_runs(self.path.read_text(encoding="utf-8"))
        except FileCheckError as error:
            raise self.CollectError(f"{self.path}: {error}") from None
        for each in runs:
            yield CheckedRun.from_parent(self, name=each.name or "run", run=each)


class CheckedRun(pytest.Item):
    """One RUN line of a file."""

    def __init__(self, *, run: Run, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self.run = run

    def runtest(self) -> None:
        check(run(self.run, self.path), self.run.checks)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> object:
        if isinstance(excinfo.value, FileCheckError):
            return f"{self.path}: {excinfo.value}"
        return super().repr_failure(excinfo, style)  # type: ignore[arg-type]

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.run.line - 1, f"{self.path.name} {self.name}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CheckedFile | None:
    if file_path.suffix in (".lir", ".lip"):
        return CheckedFile.from_parent(parent, path=file_path)
    return None
