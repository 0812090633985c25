"""``lipc compare``: the table, the files it writes, and mistakes told before the work."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_process import Call

from lipc.estimators import run

MODEL = str(Path(__file__).parents[2] / "examples/two_neurons.lip")
"""Constants of 4 in l_inf, 3 in l_1."""

FAST = "lipmip,naive,random{samples=50}"

Lipc = Callable[..., Call]


@pytest.fixture
def jobs(tmp_path: Path) -> str:
    """Three questions in two groups, one of which has places on an axis."""
    lines: list[dict[str, object]] = [
        {"id": f"radius={radius}", "model": MODEL, "center": [0.5, 0.0], "radius": radius, "group": "balls"}
        for radius in (0.1, 0.5)
    ]
    lines.append({"id": "cube", "model": MODEL, "box": [0, 1], "norm": "l1"})
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_the_table_on_stdout(lipc: Lipc, jobs: str) -> None:
    done = lipc("compare", jobs, "--methods", FAST)
    assert done.code == 0
    head, exact, naive, random = done.out.splitlines()
    assert head.split("  ")[0] == "method"
    assert "balls: error" in head and "cases: seconds" in head
    assert exact.split()[:2] == ["lipmip", "exact"]
    assert "+50 % ± 0" in naive  # 6 where it is 4
    assert random.split()[:2] == ["random{samples=50}", "lower"]
    assert done.err.splitlines()[0].startswith("lipc: balls, radius=0.1: lipmip: ")
    assert len(done.err.splitlines()) == 9
    assert "Warning" not in done.err


def test_files(lipc: Lipc, jobs: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    names = [tmp_path / f"table.{ending}" for ending in ("md", "csv", "html", "png")]
    outs = [arg for name in names for arg in ("--out", name)]
    done = lipc("compare", jobs, "--methods", FAST, "-q", *outs)
    assert (done.code, done.out) == (0, "")
    written = [line.removeprefix("lipc: wrote ") for line in done.err.splitlines()]
    assert written == [*map(str, names[:3]), str(tmp_path / "table-1.png"), str(tmp_path / "table-2.png")]
    assert names[0].read_text().startswith("| method | kind | balls: seconds | balls: error | cases: seconds |")
    records = list(csv.DictReader(names[1].read_text().splitlines()))
    assert len(records) == 9
    exact = [float(each["value"]) for each in records if each["method"] == "lipmip"]
    assert exact == pytest.approx([4.0, 4.0, 3.0], rel=1e-6)
    page = names[2].read_text()
    assert "3 methods on 3 cases" in page and "http" not in page.partition("<body")[2].partition("Sources")[0]
    assert all(Path(name).read_bytes().startswith(b"\x89PNG") for name in written[3:])


def test_a_model_that_is_named_itself(lipc: Lipc, small: str) -> None:
    done = lipc("compare", MODEL, small, "--box", "0", "1", "--norm", "l1", "--methods", "naive", "-q")
    columns = "method kind two_neurons: seconds two_neurons: error small: seconds small: error"
    assert done.out.splitlines()[0].split() == columns.split()
    assert "?" in done.out  # nothing exact to hold it against


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a method is run."""

    def work(*_: object) -> None:
        raise AssertionError("a method was run")

    monkeypatch.setattr(run, "_answer", work)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["--out", "table.txt"], "table.txt: the ending names no table; use one of .md, .csv, .html, .png"),
        (["--out", "nowhere/table.md"], "nowhere/table.md: cannot be written: there is no such folder"),
        (["--out", "a.md", "--out", "nowhere/b.png"], "nowhere/b.png: cannot be written"),
        (["--methods", "nave"], "--methods:1:1: error: there is no method 'nave'"),
        (["--methods", ""], "no method is named"),
        (["--norm", "l3"], "--norm"),
    ],
)
def test_mistakes_are_told_before_the_work(lipc: Lipc, jobs: str, args: list[str], word: str) -> None:
    done = lipc("compare", jobs, *args)
    assert (done.code, done.out) == (2, "")
    assert word in done.err
    assert "Traceback" not in done.err and "Warning" not in done.err
    assert not list(Path.cwd().iterdir())


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('{"model": "none.onnx"}', ":2:11: error: there is no file"),
        (f'{{"model": "{MODEL}", "radious": 1}}', "hint: did you mean 'radius'?"),
        ("{", ":2:"),
        (f'{{"model": "{MODEL}", "objective": "max"}}', ":2: the estimators answer Lipschitz questions"),
        (
            f'{{"model": "{MODEL}", "center": [1, 2, 3], "radius": 1}}',
            ":2: the domain has 3 entries, but the network has 2 inputs",
        ),
    ],
)
def test_a_job_file_that_is_wrong(lipc: Lipc, tmp_path: Path, line: str, word: str) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text(f'{{"model": "{MODEL}"}}\n{line}\n')  # the first is a good one
    done = lipc("compare", path, "--methods", "naive")
    assert (done.code, done.out) == (2, "")
    assert word in done.err
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("no_work")
def test_no_such_file_and_a_range(lipc: Lipc) -> None:
    assert "nothing.jsonl: error: cannot be read" in lipc("compare", "nothing.jsonl").err
    done = lipc("compare", MODEL, "--objective", "max")
    assert (done.code, "Lipschitz questions" in done.err) == (2, True)
