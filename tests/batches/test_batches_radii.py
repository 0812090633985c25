"""Certified radii as jobs of a batch: the answers of `certify_radius`, lines to go on with, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_files import EXAMPLES, Inline, records_of

import lipc
from lipc.batches.answers import to_pandas
from lipc.cli.main import main
from lipc.diagnostics import SourceError
from lipc.errors import QueryError
from lipc.jobs import Job, parse_jobs
from lipc.jobs.stated import Words

IDENTITY = "network n {\n  input x[2]\n  output y = [1, 0; 0, 1] * x\n}\n"
"""The class is the larger entry: y0 - y1 changes by at most 2 r in l_inf and by r in l_1."""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "net.lip").write_text(IDENTITY, encoding="utf-8")
    return str(tmp_path / "net.lip")


def asking(model: str, **words: Any) -> Job:
    return Job("1", model, Words(objective="radius", center=np.array([1.0, 0.0]), **words))


@pytest.mark.parametrize(
    ("words", "radius", "status"),
    [
        ({}, 0.5, "optimal"),
        ({"norm": "l1"}, 1.0, "optimal"),
        ({"max_radius": 0.25}, 0.25, "max_radius"),
        ({"label": 1}, 0.0, "misclassified"),
    ],
)
def test_radii_by_hand(model: str, words: dict[str, Any], radius: float, status: str) -> None:
    (answer,) = lipc.batch([asking(model, **words)], engine=Inline())
    assert (answer.status, answer.error, answer.certified) == (status, "", status != "misclassified")
    assert answer.lower == pytest.approx(radius, rel=2e-3) and answer.lower <= radius
    assert answer.upper >= answer.lower
    record = answer.record
    assert {"id", "line", "key", "seconds", "radius", "limit", "classes", "adversarial"} <= {*record}
    assert record["query"]["center"] == [1.0, 0.0]
    assert [each["name"] for each in record["model"]["files"]] == ["net.lip"]


def test_a_batch_of_radii_goes_on(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "points.csv").write_text("1,0\n0,3\n", encoding="utf-8")
    out = tmp_path / "radii.jsonl"
    call = ["batch", "--model", model, "--points", str(tmp_path / "points.csv"), "--objective", "radius"]
    call += ["--out", str(out), "--jobs", "1"]
    assert main(call) == 0
    first = {each["id"]: each for each in records_of(out)}
    assert [first[name]["label"] for name in "01"] == [0, 1]
    assert [first[name]["radius"] for name in "01"] == pytest.approx([0.5, 1.5], rel=2e-3)
    capsys.readouterr()
    assert main(call) == 0
    assert "2 were there" in capsys.readouterr().err
    assert {each["id"]: each for each in records_of(out)} == first
    # Another tolerance is another question, and so is another network.
    assert main([*call, "--tolerance", "0.1"]) == 0
    assert [each["radius"] >= 0.9 * first[each["id"]]["radius"] for each in records_of(out)] == [True, True]
    Path(model).write_text(IDENTITY.replace("1, 0;", "2, 0;"), encoding="utf-8")
    assert main(call) == 0
    assert {each["id"]: each["radius"] for each in records_of(out)}["0"] == pytest.approx(2 / 3, rel=2e-3)
    assert len((tmp_path / "radii.jsonl.old").read_text(encoding="utf-8").splitlines()) == 4


def test_a_table_of_radii_and_constants(model: str) -> None:
    pytest.importorskip("pandas")
    constant = Job("2", model, Words(box=("0", "1")))
    broken = Job("3", model, Words(objective="radius", center=np.zeros(3)))
    table = to_pandas(lipc.batch([asking(model), constant, broken], engine=Inline()))
    assert [*table["objective"][:2]] == ["radius", "lipschitz"]
    assert table["lower"]["1"] == pytest.approx(0.5, rel=2e-3) and table["lower"]["2"] == 1.0
    assert table["status"]["3"] == "error" and "3 entries" in table["error"]["3"]
    assert np.isnan(table["lower"]["3"])
    assert len(table["x"]["1"]) == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"radius": 0.1}, "--radius says nothing of a certified radius"),
        ({"box": [0, 1]}, "--box says nothing of a certified radius"),
        ({"norm": "l2"}, "certified in l_inf or l_1"),
        ({"gap": 0.1}, "'gap' says nothing of a certified radius"),
        ({"level": 3}, "'level' says nothing of a certified radius"),
        ({"tolerance": 0}, "takes a positive number up to 0.5"),
        ({"center": None}, "that of an input"),
        ({"objective": "max", "label": 1, "radius": 1}, "--label is of a certified radius"),
    ],
)
def test_mistakes_are_told_with_their_place(model: str, more: dict[str, Any], message: str) -> None:
    line = json.dumps({"model": model, "objective": "radius", "center": [1, 0], **more})
    with pytest.raises(SourceError) as raised:
        parse_jobs(line + "\n", "jobs.jsonl")
    assert message in str(raised.value)
    assert "jobs.jsonl:1:" in str(raised.value)


def test_a_radius_is_no_single_question() -> None:
    with pytest.raises(QueryError, match="many questions"):
        Words(objective="radius", center="0.5").understood()


def test_the_images_of_the_example_are_those_of_the_network() -> None:
    images = np.loadtxt(EXAMPLES / "digits100.csv", delimiter=",")
    assert images.shape == (100, 64) and images.min() == 0.0 and images.max() == 1.0
    one = np.loadtxt(EXAMPLES / "digit_one.csv", delimiter=",")
    assert [row for row in range(100) if np.array_equal(images[row], one)]
