"""The file of results: nothing in it is lost, done twice, or of another question."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_files import EXAMPLES

from lipc.batches.keys import Digests, key_of
from lipc.batches.results import Results
from lipc.diagnostics import SourceError
from lipc.errors import OutputError
from lipc.jobs import Job
from lipc.jobs.stated import PassWords, Words
from lipc.options import Options

MODEL = str(EXAMPLES / "two_neurons.lip")
JOBS = [Job(name, MODEL, line=number) for number, name in enumerate("abc", 1)]
KEYS = ["ka", "kb", "kc"]


def record(key: str, id_: str, line: int, status: str = "optimal") -> dict[str, Any]:
    return {"id": id_, "line": line, "key": key, "status": status}


def text_of(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(each) + "\n" for each in records)


def find(path: Path, jobs: list[Job] = JOBS, keys: list[str] = KEYS, *, retry: bool = False) -> dict[int, Any]:
    with Results(path) as results:
        return results.find(jobs, keys, retry=retry).done


@pytest.mark.parametrize("torn", ["", "{", '{"id": "c", "key": "kc"', '{"id": "c", "key": "kc"}', "\x00\x00"])
def test_a_torn_last_line_is_cut_off_and_the_next_one_is_whole(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text_of(record("ka", "a", 1)) + torn, encoding="utf-8")
    with Results(path) as results:
        found = results.find(JOBS, KEYS, retry=False)
        assert ({*found.done}, found.torn, found.aside) == ({0}, bool(torn), 0)
        results.add(record("kb", "b", 2))
    assert path.read_text(encoding="utf-8") == text_of(record("ka", "a", 1), record("kb", "b", 2))
    assert {*tmp_path.iterdir()} == {path}


def test_only_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"id"', encoding="utf-8")
    assert find(path) == {}
    assert path.read_bytes() == b""


def test_jobs_in_another_order_are_recognized_and_get_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text_of(record("kb", "b", 1), record("ka", "a", 2)), encoding="utf-8")
    assert find(path) == {0: record("ka", "a", 1), 1: record("kb", "b", 2)}
    assert path.read_text(encoding="utf-8") == text_of(record("kb", "b", 2), record("ka", "a", 1))


def test_jobs_that_ask_the_same_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text_of(record("k", "c", 3), record("k", "a", 1)), encoding="utf-8")
    assert {*find(path, keys=["k"] * 3)} == {0, 2}
    path.write_text(text_of(*(record("k", "x", 9),) * 4), encoding="utf-8")
    found = find(path, keys=["k"] * 3)
    assert sorted(each["id"] for each in found.values()) == ["a", "b", "c"]
    assert len((tmp_path / "r.jsonl.old").read_bytes().splitlines()) == 1


def test_lines_of_other_jobs_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    other, mine = record("other", "a", 1), record("ka", "a", 1)
    path.write_text(text_of(other, mine), encoding="utf-8")
    assert {*find(path)} == {0}
    assert path.read_text(encoding="utf-8") == text_of(mine)
    assert (tmp_path / "r.jsonl.old").read_text(encoding="utf-8") == text_of(other)
    path.write_text(text_of(mine, record("more", "m", 7)), encoding="utf-8")
    find(path)
    assert (tmp_path / "r.jsonl.old").read_text(encoding="utf-8") == text_of(other, record("more", "m", 7))


def test_failures_are_set_aside_to_be_retried(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text_of(record("ka", "a", 1, "error"), record("kb", "b", 2)), encoding="utf-8")
    assert {*find(path)} == {0, 1}
    assert {*find(path, retry=True)} == {1}


def test_a_changed_file_of_a_model_is_noticed(tmp_path: Path) -> None:
    model, beside, path = tmp_path / "net.onnx", tmp_path / "net.bin", tmp_path / "r.jsonl"
    model.write_bytes(b"model")
    beside.write_bytes(b"weights")
    digests = Digests()
    files = [{"name": each.name, "sha256": digests.of(str(each))} for each in (model, beside)]
    line = {**record("ka", "a", 1), "model": {"path": str(model), "files": files}}
    path.write_text(text_of(line), encoding="utf-8")
    assert {*find(path)} == {0}
    beside.write_bytes(b"others")
    assert find(path) == {}
    assert path.read_bytes() == b""


@pytest.mark.parametrize("line", ["hello", "[]", '{"a": 1}', ""])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.jsonl"
    text = text_of(record("ka", "a", 1)) + line + "\n"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=r"r\.jsonl:2:1: error: is no result of a batch"):
        find(path)
    assert path.read_text(encoding="utf-8") == text


def key(job: Job, default: Options | None = None, memory: int | None = None) -> str:
    return key_of(job, default or Options(), memory, Digests())


def test_keys_say_what_was_asked_and_nothing_else(tmp_path: Path) -> None:
    words = Words(center=np.array([0.5, 0.25]), radius=0.1)
    same = Job("a", MODEL, words)
    numbers = tmp_path / "center.csv"
    numbers.write_text("0.5, 0.25", encoding="utf-8")
    copy = tmp_path / "copy.lip"
    copy.write_bytes(Path(MODEL).read_bytes())
    assert key(same) == key(Job("b", str(copy), Words(center=np.array([0.5, 0.25]), radius=0.1), "x:7", 7))
    assert key(Job("a", MODEL, words, options={"gap": 0.1})) == key(same, Options(gap=0.1))
    others = [
        Job("a", MODEL, Words(center=np.array([0.5, 0.26]), radius=0.1)),
        Job("a", MODEL, Words(center=np.array([0.5, 0.25]), radius=0.2)),
        Job("a", MODEL, Words(center="0.5", radius=0.1)),
        Job("a", MODEL, Words(center=str(numbers), radius=0.1)),
        Job("a", MODEL, words, options={"gap": 0.1}),
        Job("a", MODEL, words, options={"time_limit": 5.0}),
        Job("a", MODEL, words, passes=PassWords(3)),
        Job("a", MODEL, words, memory=2**30),
        Job("a", MODEL, words, drop_softmax=True),
        Job("a", str(EXAMPLES / "residual.lip"), words),
    ]
    assert len({key(each) for each in (same, *others)}) == len(others) + 1
    before = key(others[3])
    numbers.write_text("0.5, 0.26", encoding="utf-8")
    assert key(others[3]) != before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_cannot_be_read_again(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="is a pipe"):
        Results(tmp_path / "pipe")
