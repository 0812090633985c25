"""``lipc batch``: what is printed, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lipc.batches.run import Progress
from lipc.cli.batch import BatchLog, duration
from lipc.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = str(EXAMPLES / "two_neurons.lip")


def test_points_and_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", np.array([[0.5, 0.0], [-0.5, 0.0]]))
    out = tmp_path / "r.jsonl"
    args = ["batch", "--model", MODEL, "--points", str(tmp_path / "x.npy"), "--sweep", "radius=0.1,0.2"]
    assert main([*args, "--out", str(out), "--jobs", "1", "--norm", "l1"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("lipc: 4 jobs in ")
    assert line.endswith(f": 4 closed; {out}")
    records = {each["id"]: each for each in map(json.loads, out.read_text(encoding="utf-8").splitlines())}
    assert {*records} == {"0 radius=0.1", "0 radius=0.2", "1 radius=0.1", "1 radius=0.2"}
    # Both neurons are on around (0.5, 0), off around (-0.5, 0).
    assert [records[f"{row} radius=0.1"]["lower"] for row in (0, 1)] == [3.0, 0.0]
    assert main([*args, "--out", str(out), "--jobs", "1", "--norm", "linf"]) == 0
    assert (
        capsys.readouterr().err.splitlines()[1]
        == f"lipc: note: 4 lines of other jobs or changed models are in {out}.old"
    )


def test_lines_on_stdout(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    args = ["batch", "--model", MODEL, "--box", "-1", "1", "--sweep", "norm=linf,l1", "--jobs", "1", "--out", "-"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main(args) == 0
    printed = capfdbinary.readouterr()
    found = {each["id"]: each["lower"] for each in map(json.loads, printed.out.splitlines())}
    assert found == {"norm=linf": 4.0, "norm=l1": 3.0}
    assert printed.err.endswith(b": 2 closed\n")
    assert not [*tmp_path.iterdir()]


def test_a_failed_job_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = tmp_path / "jobs.jsonl"
    text = f'{{"model": "{MODEL}", "box": [1, 0]}}\n{{"model": "{MODEL}", "box": [0, 1]}}\n'
    jobs.write_text(text, encoding="utf-8")
    assert main(["batch", str(jobs), "--out", str(tmp_path / "r.jsonl"), "--jobs", "1"]) == 1
    assert "1 closed, 1 failed" in capsys.readouterr().err


def test_a_broken_file_of_jobs_is_named_by_its_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(f"model,radious\n{MODEL},1\nnone.onnx,\n", encoding="utf-8")
    assert main(["batch", str(jobs), "--out", str(tmp_path / "r.jsonl")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{jobs}:1:7: error: 'radious' is no key of a job"
    assert "hint: did you mean 'radius'?" in lines
    assert any(line.startswith(f"{jobs}:3:1: error: there is no file") for line in lines)
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "no jobs are named"),
        (["jobs.csv", "--model", MODEL], "two batches"),
        (["jobs.csv", "--norm", "l1"], "--norm belongs to --model"),
        (["jobs.csv", "-O3"], "the choice of passes belongs to --model"),
        (["jobs.csv", "--sweep", "radius=1,2"], "--sweep belongs to --model"),
        (["--model", MODEL, "--points", "x", "--vnnlib-dir", "y"], "two kinds of places"),
        (["--model", MODEL, "--memory", "lots"], "memory like 2G"),
        (["--model", MODEL, "--passes", "fuze"], "fuze"),
        (["--model", MODEL, "--jobs", "2", "--scheduler", "tcp://127.0.0.1:9"], "--scheduler has its own"),
        (["none.csv"], "cannot be read"),
        (["--model", "none.onnx"], "--model: there is no file none.onnx"),
        (
            ["--model", MODEL, "--center", "0.5", "--objective", "radius", "--gap", "0.1"],
            "--gap says nothing of a cert",
        ),
    ],
)
def test_mistakes_in_the_call(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", *args, "--out", "/nowhere/r.jsonl"]) == 2
    assert words in capsys.readouterr().err


def test_lines_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    log = BatchLog(quiet=False, out="r.jsonl")
    log.report(Progress(10))
    assert capsys.readouterr().err == ""
    log.printed -= 60
    log.report(Progress(10, resumed=2, done=6, closed=4, failed=1, seconds=8.0))
    line = capsys.readouterr().err
    assert line == "     8.0 s: 6 of 10 jobs, 4 closed, 1 open, 1 failed, 8.0 s left\n"
    log.close()
    assert capsys.readouterr().err.splitlines() == [
        "lipc: 4 jobs in 8.0 s (0.5 per second), 2 were there: 4 closed, 1 open, 1 failed; r.jsonl",
        "lipc: 4 jobs are left; the same call goes on with them",
    ]
    silent = BatchLog(quiet=True, out="r.jsonl")
    silent.report(Progress(10))
    silent.close()
    assert capsys.readouterr().err == ""


def test_durations() -> None:
    assert [duration(each) for each in (4.21, 200, 7500, float("inf"))] == [
        "4.2 s",
        "3 min",
        "2 h 5 min",
        "unknown time",
    ]


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    log = BatchLog(quiet=False, out="r.jsonl")
    log.report(Progress(10, done=5, closed=5, seconds=2.0))
    assert log.bar is not None
    log.report(Progress(10, done=10, closed=10, seconds=4.0))
    log.close()
    assert "lipc: 10 jobs in 4.0 s (2.5 per second): 10 closed; r.jsonl" in capsys.readouterr().err
