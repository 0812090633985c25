"""Batches: every job gets its answer, whatever becomes of processes, files and this run."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from batch_files import EXAMPLES, Inline, Slow, records_of, small_jobs, told

import lipc
from lipc.batches import run as runs
from lipc.batches.run import Progress
from lipc.batches.work import Solving
from lipc.diagnostics import SourceError
from lipc.engine.processes import Processes, Worker
from lipc.errors import EngineError, OutputError, QueryError
from lipc.jobs import Job, read_jobs
from lipc.jobs.stated import Words
from lipc.models import Model, read_model
from lipc.options import Options

MODEL = str(EXAMPLES / "two_neurons.lip")


def test_answers_are_those_of_solve(tmp_path: Path) -> None:
    jobs = small_jobs(tmp_path, 4)
    answers = {each.job.id: each for each in lipc.batch(jobs, workers=2)}
    assert {*answers} == {f"job {number}" for number in range(4)}
    for job in read_jobs(jobs):
        network = read_model(job.model)
        alone = lipc.solve(network, job.words.understood().of(network))
        answer = answers[job.id]
        assert (answer.lower, answer.upper, answer.status) == (alone.lower, alone.upper, alone.status)
        assert answer.error == "" and answer.certified
        assert answer.record["witness"] == alone.to_dict()["witness"]
        assert answer.record["question"] == alone.to_dict()["question"]
        assert {"history", "size", "time", "query", "seconds", "key", "line"} <= {*answer.record}


def test_known_answers_by_hand() -> None:
    """f(x) = 3 x0 + x1 where both neurons are on: 4 for perturbations in l_inf, 3 in l_1."""
    jobs = [Job(norm, MODEL, Words(box=("-1", "1"), norm=norm)) for norm in ("linf", "l1")]
    assert {each.job.id: each.lower for each in lipc.batch(jobs, engine=Inline())} == {"linf": 4.0, "l1": 3.0}


def test_a_model_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read: list[str] = []
    real = read_model

    def counted(model: Model, *, drop_softmax: bool = False) -> object:
        if isinstance(model, str):
            read.append(model)
        return real(model, drop_softmax=drop_softmax)

    monkeypatch.setattr("lipc.models.read_model", counted)
    copy = tmp_path / "net.lip"
    copy.write_text(Path(MODEL).read_text(encoding="utf-8"), encoding="utf-8")
    answer = Solving(Options()).start()
    job = Job("a", str(copy), Words(box=("-1", "1")))
    first, second = answer(job), answer(job)
    assert len(read) == 1
    assert first["lower"] == second["lower"] == 4.0
    assert first["time"]["import"] > 0 == second["time"]["import"]  # type: ignore[index]
    copy.write_text(copy.read_text(encoding="utf-8").replace("[2, 1] * h", "[4, 1] * h "), encoding="utf-8")
    assert answer(job)["lower"] == 8.0  # of 5 x0 + 3 x1
    assert len(read) == 2


def test_a_job_that_fails_is_a_result_with_its_error(tmp_path: Path) -> None:
    bad = tmp_path / "bad.lip"
    bad.write_text("network n {\n  input x[2]\n  output y = [1, 2, 3] * x\n}\n", encoding="utf-8")
    jobs = [
        Job("wrong size", MODEL, Words(box=(np.zeros(3), np.ones(3)))),
        Job("not there", str(tmp_path / "none.onnx")),
        Job("broken", str(bad)),
        Job("empty", MODEL, Words(box=("1", "0"))),
        Job("well", MODEL, Words(box=("-1", "1"))),
    ]
    answers = {each.job.id: each for each in lipc.batch(jobs, out=tmp_path / "r.jsonl", engine=Inline())}
    assert answers["well"].lower == 4.0
    failed = {name: each.error for name, each in answers.items() if each.status == "error"}
    assert {*failed} == {"wrong size", "not there", "broken", "empty"}
    assert "none.onnx" in failed["not there"]
    assert "bad.lip:3:" in failed["broken"]
    assert "\n" not in "".join(failed.values())
    assert not any(each.certified for name, each in answers.items() if name != "well")
    assert np.isnan(answers["empty"].lower)
    # Failures are results: they are not tried again, unless that is wanted.
    again = [each.job.id for each in lipc.batch(jobs, out=tmp_path / "r.jsonl", engine=Inline())]
    assert sorted(again) == sorted(answers)
    assert len(records_of(tmp_path / "r.jsonl")) == 5
    bad.write_text("network n {\n  input x[1]\n  output y = [1, 2, 3] * x\n}\n", encoding="utf-8")
    retried = {each.job.id: each for each in lipc.batch(jobs, out=tmp_path / "r.jsonl", engine=Inline(), retry=True)}
    assert retried["broken"].status == "optimal"
    assert len(records_of(tmp_path / "r.jsonl")) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="the cap is Linux's")
def test_a_job_in_need_of_more_memory_is_a_result_and_the_next_one_works() -> None:
    words = Words(box=("-1", "1"))
    jobs = [Job("small", MODEL, words, memory=2**20), Job("enough", MODEL, words, memory=2**33)]
    answers = {each.job.id: each for each in lipc.batch(jobs)}
    assert answers["enough"].lower == 4.0
    small = answers["small"]
    assert small.status == "error"
    assert "memory" in small.error.lower()


@pytest.mark.skipif(sys.platform != "linux", reason="the cap is Linux's")
@pytest.mark.parametrize("error", [SystemError("error return without exception set"), OSError(errno.ENOMEM, "no")])
def test_what_libraries_say_of_memory(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("lipc.driver.solve", failing)
    answer = Solving(Options()).start()
    assert answer(Job("capped", MODEL, memory=2**34))["error"] == "out of memory"
    assert "internal error" in str(answer(Job("free", MODEL))["error"])


def with_service(monkeypatch: pytest.MonkeyPatch, service: Slow) -> None:
    monkeypatch.setattr(runs, "Solving", lambda *_: service)
    home = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(home)  # processes look where this one does


def test_a_lost_process_costs_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_service(monkeypatch, Slow(tmp_path))
    monkeypatch.setattr(runs, "GRACE_SECONDS", 0.5)
    names = ["well", "dies once", "hangs", "always dies", "well too"]
    jobs = [Job(name, MODEL, options={"time_limit": 0.1} if name == "hangs" else {}) for name in names]
    answers = {each.job.id: each.error for each in lipc.batch(jobs, workers=2)}
    assert {name for name, error in answers.items() if not error} == {"well", "dies once", "well too"}
    assert "its process was lost, 2 times: exit code 3" in answers["always dies"]
    assert "time limit of 0.1 s" in answers["hangs"]


@pytest.mark.slow
def test_a_process_that_is_killed_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Worker] = []
    real = Processes.hire

    def remembered(self: Processes, *args: object) -> Worker:
        started.append(real(self, *args))  # type: ignore[arg-type]
        return started[-1]

    monkeypatch.setattr(Processes, "hire", remembered)
    jobs = small_jobs(tmp_path)
    seen: list[str] = []
    for answer in lipc.batch(jobs, workers=2):
        seen.append(answer.job.id)
        assert answer.error == ""
        if len(seen) in (2, 5):
            os.kill(started[-1].process.pid, signal.SIGKILL)
    assert sorted(seen) == sorted(job.id for job in read_jobs(jobs))
    assert len(started) >= 3
    assert all(each.process.returncode is not None for each in started)


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.spawn.get_executable", lambda: "/nowhere/python")
    with pytest.raises(EngineError, match="no process could be started: No such file"):
        [*lipc.batch([Job("a", MODEL)], workers=2)]
    monkeypatch.setattr("multiprocessing.spawn.get_executable", lambda: "/bin/false")
    with pytest.raises(EngineError, match="no process could be started: exit code 1"):
        [*lipc.batch([Job("a", MODEL), Job("b", MODEL)], workers=2)]


def test_whoever_stops_listening_ends_the_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Worker] = []
    real = Worker.__init__

    def remembered(self: Worker, *args: object) -> None:
        started.append(self)
        real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Worker, "__init__", remembered)
    answers = lipc.batch(small_jobs(tmp_path), out=tmp_path / "r.jsonl", workers=1)
    first = next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert started and all(each.process.returncode is not None for each in started)
    assert [each["id"] for each in records_of(tmp_path / "r.jsonl")] == [first.job.id]


def test_progress_counts_and_estimates(tmp_path: Path) -> None:
    reports: list[Progress] = []
    jobs = small_jobs(tmp_path, 4)
    [*lipc.batch(jobs, out=tmp_path / "r.jsonl", engine=Inline(), on_progress=reports.append)]
    assert (reports[-1].jobs, reports[-1].done, reports[-1].closed, reports[-1].failed) == (4, 4, 4, 0)
    assert [each.done for each in reports] == sorted(each.done for each in reports)
    assert Progress(10, resumed=2, done=6, seconds=8.0).remaining == 8.0
    assert Progress(10, resumed=2, done=2, seconds=8.0).remaining == float("inf")
    assert Progress(3, resumed=3, done=3).remaining == 0.0


def test_mistakes_are_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="two jobs have the id 'a'"):
        lipc.batch([Job("a", MODEL), Job("a", MODEL)])
    path = tmp_path / "jobs.csv"
    path.write_text("model,norm\nnone.onnx,l7\n", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        lipc.batch(path, out=tmp_path / "r.jsonl")
    assert len(caught.value.diagnostics) == 2
    assert not (tmp_path / "r.jsonl").exists()
    with pytest.raises(OutputError, match="cannot be written"):
        [*lipc.batch([Job("a", MODEL)], out=tmp_path / "nowhere" / "r.jsonl")]


def call(folder: Path, *args: str) -> subprocess.Popen[bytes]:
    """Start ``lipc batch`` on the jobs of a folder, in a session of its own."""
    command = [sys.executable, "-m", "lipc", "batch", "jobs.jsonl", "--out", "r.jsonl", *args]
    environment = {**os.environ, "PYTHONPATH": str(Path(lipc.__file__).parents[1])}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, start_new_session=True)


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_and_go_on(folder: Path, moments: int, jobs: int) -> None:
    """Kill a batch some times, when so many more jobs are done, and let it end."""
    generator = random.Random(moments)
    total = lines_in(folder / "jobs.jsonl")
    for left in range(moments, 0, -1):
        before = lines_in(folder / "r.jsonl")
        goal = before + generator.randint(0, max(1, (total - before) // (left + 1)))
        with call(folder, "-q", "--jobs", str(jobs)) as process:
            while process.poll() is None and lines_in(folder / "r.jsonl") < goal:
                time.sleep(0.005)
            time.sleep(generator.uniform(0, 0.05))
            process.kill()
        if generator.random() < 0.5:  # and the machine was in the middle of a line
            with (folder / "r.jsonl").open("ab") as file:
                file.write(b'{"id": "job 3", "key": "12')
    with call(folder, "-q", "--jobs", str(jobs)) as process:
        assert process.wait() == 0


@pytest.mark.parametrize("moments", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_at_any_moment_and_resumed_it_is_the_undisturbed_run(tmp_path: Path, moments: int) -> None:
    folder, calm = tmp_path / "killed", tmp_path / "calm"
    for each in (folder, calm):
        each.mkdir()
        small_jobs(each, 12 if moments == 2 else 60)
    [*lipc.batch(calm / "jobs.jsonl", out=calm / "r.jsonl", engine=Inline())]
    kill_and_go_on(folder, moments, 1 if moments == 2 else 2)
    found, expected = told(folder / "r.jsonl"), told(calm / "r.jsonl")
    for record in (*found.values(), *expected.values()):
        record.pop("query"), record["model"].pop("path")  # one was called in its folder
    assert found == expected
    assert not (folder / "r.jsonl.old").exists()


def test_ctrl_c_leaves_a_file_of_what_is_done(tmp_path: Path) -> None:
    small_jobs(tmp_path, 60)
    with call(tmp_path, "--jobs", "1") as process:
        while lines_in(tmp_path / "r.jsonl") < 3 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        words = process.communicate()[1].decode()
        assert process.returncode == 130
    done = told(tmp_path / "r.jsonl")
    assert 3 <= len(done) < 60
    assert "jobs are left; the same call goes on" in words
    assert words.splitlines()[-1] == "lipc: interrupted"
    assert "Traceback" not in words


def test_two_batches_do_not_write_one_file(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    answers = lipc.batch(small_jobs(tmp_path), out=tmp_path / "r.jsonl", engine=Inline())
    next(answers)
    failures: list[str] = []

    def other() -> None:
        try:
            [*lipc.batch(tmp_path / "jobs.jsonl", out=tmp_path / "r.jsonl", engine=Inline())]
        except OutputError as error:
            failures.append(error.message)

    thread = Thread(target=other)
    thread.start()
    thread.join()
    assert failures == ["is being written by another batch"]
    answers.close()  # type: ignore[attr-defined]


def test_a_table_of_answers(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    jobs = [Job("a", MODEL, Words(box=("-1", "1"))), Job("b", MODEL, Words(box=("1", "0")))]
    answers = [*lipc.batch(jobs, out=tmp_path / "r.jsonl", engine=Inline())]
    for table in (lipc.to_pandas(answers), lipc.to_pandas(tmp_path / "r.jsonl")):
        assert {*table.index} == {"a", "b"}
        assert table.loc["a", "lower"] == 4.0
        assert table.loc["a", "certified"]
        assert len(table.loc["a", "x"]) == 2
        assert table.loc["b", "status"] == "error"
        assert np.isnan(table.loc["b", "upper"])


def test_a_line_is_a_result_that_can_be_verified(tmp_path: Path) -> None:
    from lipc.verify import verify

    [*lipc.batch([Job("a", MODEL, Words(box=("-1", "1")))], out=tmp_path / "r.jsonl", engine=Inline())]
    assert verify(json.loads((tmp_path / "r.jsonl").read_text(encoding="utf-8"))).holds
