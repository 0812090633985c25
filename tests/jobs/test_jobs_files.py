from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lipc import Options
from lipc.diagnostics import SourceError
from lipc.errors import ModelError
from lipc.ir import Norm
from lipc.jobs import Job, parse_jobs, read_jobs
from lipc.models import read_model

NETWORK = Path(__file__).parents[2] / "examples/two_neurons.lip"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.lip").write_text(NETWORK.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "center.csv").write_text("0.5, 0.25\n", encoding="utf-8")
    return tmp_path


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def errors_of(path: Path) -> list[str]:
    """Return ``line:column: message`` of each error in a file."""
    with pytest.raises(SourceError) as caught:
        read_jobs(path)
    return [f"{each.span.line}:{each.span.column}: {each.message}" for each in caught.value.diagnostics]


def same(left: Job, right: Job) -> bool:
    """Return whether two jobs ask the same, wherever they stand."""
    network = read_model(left.model)
    one, other = (each.words.understood().of(network) for each in (left, right))
    assert one is not None and other is not None
    domains = [each.fitting_domain(2) for each in (one, other)]
    ends = [(each.lower.tolist(), each.upper.tolist()) for each in domains]
    rest = [(each.norm, each.goal, each.output, each.output_norm) for each in (one, other)]
    return ends[0] == ends[1] and rest[0] == rest[1] and left.options == right.options


def test_csv_and_json_lines_say_the_same(folder: Path) -> None:
    table = written(
        folder,
        "jobs.csv",
        "model,box,center,radius,clip,norm,output,time-limit\n"
        "net.lip,-1 1,,,,l1,,\n"
        "net.lip,,center.csv,0.1,0 1,,y[0],2.5\n"
        'net.lip,,"[0.5, 0.25]",0.1,"[0, 1]",,y[0],2.5\n',
    )
    lines = written(
        folder,
        "jobs.jsonl",
        '{"model": "net.lip", "box": [-1, 1], "norm": "l1"}\n'
        "\n"
        '{"model": "net.lip", "center": "center.csv", "radius": 0.1, "clip": [0, 1],'
        ' "output": "y[0]", "time_limit": 2.5}\n'
        '{"model": "net.lip", "center": [0.5, 0.25], "radius": "0.1", "clip": "0 1",'
        ' "output": "y[0]", "time-limit": 2.5}\n',
    )
    jobs, others = read_jobs(table), read_jobs(lines)
    assert len(jobs) == len(others) == 3
    assert all(same(*pair) for pair in zip(jobs, others, strict=True))
    assert same(jobs[1], jobs[2])
    assert [job.id for job in jobs] == ["2", "3", "4"]
    assert [job.line for job in others] == [1, 3, 4]
    assert jobs[0].model == str(folder / "net.lip")
    assert jobs[1].limits(Options(9.0, gap=0.5)) == Options(2.5, gap=0.5)
    query = jobs[0].words.understood().of(read_model(jobs[0].model))
    assert query is not None and query.norm is Norm.L1


def test_all_mistakes_of_json_lines_are_found_with_their_places(folder: Path) -> None:
    path = written(
        folder,
        "jobs.jsonl",
        '{"model": "net.lip", "radious": 1}\n'
        '{"model": "net.lip", "norm": "l3"}\n'
        '{"model": "none.lip"}\n'
        '{"model": "net.lip", "box": [0, 1]\n'
        '{"box": [0, 1]}\n'
        '{"model": "net.lip", "center": [0.1, 0.2]}\n'
        '{"model": "net.lip", "box": [0, NaN]}\n'
        '{"model": "net.lip", "output": "y[0"}\n'
        '{"model": "net.lip", "norm": "l1", "norm": "l1"}\n'
        "[1]\n",
    )
    errors = errors_of(path)
    assert [each.split(": ")[0] for each in errors] == [
        "1:22", "2:30", "3:11", "4:35", "5:1", "6:1", "7:29", "8:32", "9:36", "10:1",
    ]  # fmt: skip
    assert "'radious' is no key" in errors[0]
    assert "takes one of: linf, l1, l2" in errors[1]
    assert str(folder / "none.lip") in errors[2]
    assert "names no model" in errors[4]
    assert "--center and --radius belong together" in errors[5]
    assert "NaN" in errors[6]
    with pytest.raises(SourceError) as caught:
        read_jobs(path)
    assert caught.value.diagnostics[0].hint == "did you mean 'radius'?"


def test_mistakes_of_csv_are_found_with_their_places(folder: Path) -> None:
    path = written(
        folder,
        "jobs.csv",
        'model,id,center,radius\nnet.lip,a,"[0.1,0.2]",x\nnet.lip,a,0.5,1\nnet.lip,b,0.5\nnet.lip,c,"[0.1, 0.2",1\n',
    )
    errors = errors_of(path)
    assert [each.split(": ")[0] for each in errors] == ["2:23", "3:9", "4:1", "5:11"]
    assert "'radius' is \"x\"" in errors[0]
    assert "that of line 2" in errors[1]
    assert "3 cells, the header 4" in errors[2]


def test_a_row_of_several_lines_is_counted_as_an_editor_counts(folder: Path) -> None:
    path = written(folder, "jobs.csv", 'model,output\nnet.lip,"y[0]\n"\nnet.lip,\nnet.lip,y[\n')
    assert errors_of(path)[0].startswith("5:9: ")


@pytest.mark.parametrize(
    ("name", "text", "place", "words"),
    [
        ("jobs.csv", "", "1:1", "no job"),
        ("jobs.csv", "model\n", "1:1", "no job"),
        ("jobs.jsonl", "\n\n", "1:1", "no job"),
        ("jobs.csv", "model;norm\nnet.lip;l1\n", "1:1", "not separated by commas"),
        ("jobs.csv", "model,model\nnet.lip,net.lip\n", "1:7", "stands there twice"),
        ("jobs.csv", 'model\n"net.lip\n', "2:1", "no CSV"),
        ("jobs.jsonl", '{"model": "net.lip"} {}\n', "1:22", "nothing behind it"),
        ("jobs.jsonl", '{"model": "net.lip", "clip": [0, 1]}\n', "1:1", "--clip cuts a ball"),
        ("jobs.jsonl", '{"model": "net.lip", "passes": "bunds"}\n', "1:32", "bunds"),
        ("jobs.jsonl", '{"model": "net.lip", "passes": "fuse", "level": 2}\n', "1:32", "both choose the passes"),
        ("jobs.jsonl", '{"model": "net.lip", "memory": "much"}\n', "1:32", "memory like 2G"),
        ("jobs.jsonl", '{"model": "net.lip", "time-limit": -1}\n', "1:36", "not negative"),
        ("jobs.jsonl", '{"model": "net.lip", "seed": 0.5}\n', "1:30", "a whole number"),
        ("jobs.jsonl", '{"model": ["net.lip"]}\n', "1:11", "the name of a file"),
        ("jobs.jsonl", '{"model": "net.lip", "center": [], "radius": 1}\n', "1:32", "not an empty one"),
    ],
)
def test_each_mistake_has_its_place(folder: Path, name: str, text: str, place: str, words: str) -> None:
    first = errors_of(written(folder, name, text))[0]
    assert first.startswith(f"{place}: ")
    assert words in first


def test_many_mistakes_are_cut_off(folder: Path) -> None:
    path = written(folder, "jobs.jsonl", '{"norm": "l1"}\n' * 100)
    assert len(errors_of(path)) == 21


def test_values_of_further_keys_are_left_to_the_caller(folder: Path) -> None:
    (job,) = parse_jobs(json.dumps({"model": "net.lip", "label": [3]}), str(folder / "x.jsonl"), ["label"])
    assert job.more == {"label": [3]}


def test_amounts_of_memory(folder: Path) -> None:
    text = "".join(json.dumps({"model": "net.lip", "memory": each}) + "\n" for each in (5000, "2G", "1.5 MiB", "3kb"))
    jobs = parse_jobs(text, str(folder / "x.jsonl"))
    assert [job.memory for job in jobs] == [5000, 2 * 2**30, 3 * 2**19, 3 * 2**10]


def test_arrays_have_the_bits_they_are_written_with(folder: Path) -> None:
    values = [0.1, 1 / 3, 5e-324]
    (job,) = parse_jobs(json.dumps({"model": "net.lip", "center": values, "radius": 1}), str(folder / "x.jsonl"))
    assert isinstance(job.words.center, np.ndarray)
    assert job.words.center.tolist() == values


def test_what_is_no_file_of_jobs(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read_jobs(tmp_path / "none.csv")
    with pytest.raises(ModelError, match="no format of jobs"):
        read_jobs(tmp_path / "jobs.txt")
    path = tmp_path / "jobs.csv"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="UTF-8"):
        read_jobs(path)
