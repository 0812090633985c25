"""What the documentation shows, runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from lipc.cli.main import main
from lipc.estimators.catalogue import estimator_class, estimator_names
from lipc.jobs import read_jobs
from lipc.jobs.values import KEYS
from lipc.passes.tighten import Tighten

ROOT = Path(__file__).parent.parent
WRITING = {ROOT / "examples/train_digits.py", ROOT / "examples/digit_images.py"}
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - WRITING)
"""All but those that write the files of the others anew."""


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


PIPELINES = re.findall(r'--passes "(.*?)"', (ROOT / "docs/passes.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", PIPELINES)
def test_the_pipelines_of_the_guide_run(text: str, tmp_path: Path) -> None:
    network = ROOT / "examples/two_neurons.lip"
    assert main(["opt", str(network), "--passes", text, "-o", str(tmp_path / "out.lir")]) == 0


def test_the_guide_shows_the_options_of_tighten() -> None:
    text = (ROOT / "docs/passes.md").read_text(encoding="utf-8").partition("## Tightening")[2].partition("\n## ")[0]
    names = [each.name for each in fields(Tighten)]
    assert [name for name in names if f"`{name}`" not in text and f"`{name}=" not in text] == []
    assert len(PIPELINES) >= 5


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


def commands_shown(text: str) -> list[tuple[list[str], list[str]]]:
    """Return the commands of a text (``    $ lipc ...``) with the lines that are shown below them."""
    shown: list[tuple[list[str], list[str]]] = []
    current: list[str] | None = None
    for line in text.splitlines():
        if line.startswith("    $ lipc "):
            current = []
            shown.append((shlex.split(line.removeprefix("    $ lipc ")), current))
        elif line.startswith("    ") and current is not None:
            current.append(line[4:])
        else:
            current = None
    return shown


TOUR = (ROOT / "README.md").read_text(encoding="utf-8").partition("## A tour")[2].partition("## Use")[0]


@pytest.mark.parametrize(("args", "lines"), commands_shown(TOUR))
def test_the_tour_shows_what_is_printed(
    args: list[str], lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(args) == 0
    printed = capsys.readouterr().out.splitlines()
    whole = lines[-1] != "..."
    shown = lines if whole else lines[:-1]
    assert shown
    assert printed[: None if whole else len(shown)] == shown


def test_the_error_of_the_tour_is_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source = (ROOT / "examples/two_neurons.lip").read_text(encoding="utf-8")
    Path("typo.lip").write_text(source.replace("[2, 1] * h", "[2, 1, 1] * h"), encoding="utf-8")
    assert main(["typo.lip"]) == 2
    block = TOUR[TOUR.index("    typo.lip:") :]
    assert capsys.readouterr().err.splitlines() == [line[4:] for line in block.splitlines() if line.startswith("    ")]


def test_the_tour_has_the_network_of_the_example() -> None:
    example = (ROOT / "examples/two_neurons.lip").read_text(encoding="utf-8")
    code = [line for line in example.splitlines() if not line.startswith("#")]
    shown = TOUR[TOUR.index("    network") : TOUR.index("Where both")]
    assert [line[4:] for line in shown.strip("\n").splitlines()] == "\n".join(code).strip("\n").splitlines()


def test_the_guide_to_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in code_blocks("batch.md"):
        exec(compile(block, "batch.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "{'linf': 4.0, 'l1': 3.0}" in printed or "{'l1': 3.0, 'linf': 4.0}" in printed
    assert "whole 3.0 3.0" in printed


def test_the_guide_to_estimators(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    one, table = code_blocks("estimators.md")
    exec(compile(one, "estimators.md", "exec"), names)
    exact, upper, lower = (line.split() for line in capsys.readouterr().out.splitlines())
    assert (exact, upper[:2], lower) == (["lipmip", "exact", "3.0"], ["fastlip", "upper"], ["random", "lower", "3.0"])
    exec(compile(table, "estimators.md", "exec"), names)
    assert capsys.readouterr().out.startswith("| method | kind | jobs: seconds | jobs: error |")


def test_the_guide_to_estimators_has_every_method_with_its_options() -> None:
    text = (ROOT / "docs/estimators.md").read_text(encoding="utf-8")
    for name in estimator_names():
        found = estimator_class(name)
        assert found is not None
        line = re.search(rf"^\* \*\*{name}\*\*(.*?)(?=^\* |^\w|\Z)", text, re.DOTALL | re.MULTILINE)
        assert line, name
        assert [each.name for each in fields(found) if f"`{each.name}" not in line[1]] == [], name


def test_the_files_of_jobs_in_the_guide_are_those_of_the_examples() -> None:
    for language, name in (("csv", "jobs.csv"), ("json", "jobs.jsonl")):
        assert code_blocks("batch.md", language) == [(ROOT / "examples" / name).read_text(encoding="utf-8")]
    one, other = (read_jobs(ROOT / "examples" / name) for name in ("jobs.csv", "jobs.jsonl"))
    assert [job.id for job in one] == [job.id for job in other]


def test_the_guide_names_every_key_of_a_job() -> None:
    text = (ROOT / "docs/batch.md").read_text(encoding="utf-8")
    assert [key for key in KEYS if f"`{key}`" not in text] == []
