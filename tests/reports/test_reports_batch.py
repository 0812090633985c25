"""The page of a batch, whatever is in its file: certified radii, failed jobs, a line that was cut off, nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lipc
from lipc.batches.work import failure
from lipc.cli.main import main
from lipc.errors import ResultError
from lipc.jobs import Job
from lipc.query import Query, ball
from lipc.reports import Report, open_report
from lipc.reports.batch import batch_pictures
from lipc.reports.radii import against_attack, share_left
from lipc.reports.words import at_least, at_most
from lipc.verify import verify
from tests.nets import random_network
from tests.reports.test_reports_page import parsed

pytest.importorskip("matplotlib", reason="pictures need matplotlib")


def line(number: int, record: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"job {number}", "line": number, "key": str(number), "error": "", "seconds": 0.5, **record}


def radius(number: int, proven: float, far: float | None, **more: Any) -> dict[str, Any]:
    """Return what a batch writes of a certified radius of an input of 25 entries."""
    found = None if far is None else {"x": [0.5] * 25, "output": 1, "distance": far}
    query = {"model": "m.onnx", "objective": "radius", "norm": "linf", "center": [0.25] * 25, "clip": [0, 1]}
    made = {
        "schema": 1,
        "status": "optimal",
        "certified": True,
        "radius": proven,
        "radius_kind": "rigorous",
        "limit": proven * 1.001,
        "label": 0,
        "norm": "linf",
        "adversarial": found,
        "query": query,
        "model": {"input_shape": [25]},
    }
    return line(number, {**made, **more})


@pytest.fixture(scope="module")
def solved() -> dict[str, Any]:
    network = lipc.from_weights(*random_network(3, (4, 3, 2)))
    return lipc.solve(network, Query(ball(np.full(4, 0.5), 0.3), "y[0] - y[1]")).to_dict()


def failed(number: int) -> dict[str, Any]:
    return line(number, failure(Job(f"job {number}", "broken.onnx"), "it <broke>"))


def text_of(path: Path) -> str:
    return " ".join("".join(parsed(open_report(path).html()).text).split())


def written(path: Path, records: list[dict[str, Any]], end: str = "\n") -> Path:
    path.write_text("\n".join(map(json.dumps, records)) + end, encoding="utf-8")
    return path


def test_failed_jobs_among_others(solved: dict[str, Any], tmp_path: Path) -> None:
    records = [line(1, solved), failed(2), radius(3, 0.1, 0.2), line(4, solved), radius(5, 0.3, None)]
    text = text_of(written(tmp_path / "r.jsonl", records))
    assert "5 questions: 4 answered, 1 failed" in text
    assert "it <broke>" in text
    assert "Every answer" in text and "Every radius" in text
    assert "2 answers are exact" in text


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_but_failed_jobs(tmp_path: Path, count: int) -> None:
    text = text_of(written(tmp_path / "r.jsonl", [failed(number) for number in range(count)]))
    assert ("1 question: 0 answered, 1 failed", "2 questions: 0 answered, 2 failed")[count - 1] in text
    assert "Every answer" not in text


def test_a_line_that_was_cut_off_is_left_out(solved: dict[str, Any], tmp_path: Path) -> None:
    torn = json.dumps(line(3, solved))[:40]
    text = text_of(written(tmp_path / "r.jsonl", [line(1, solved), line(2, solved)], f"\n{torn}"))
    assert "2 questions: 2 answered" in text
    # Torn in the middle of the file it is damage, not a batch at work.
    records = json.dumps(line(1, solved)), torn, json.dumps(line(2, solved))
    (tmp_path / "r.jsonl").write_text("\n".join(records) + "\n", encoding="utf-8")
    with pytest.raises(ResultError, match=r"r\.jsonl:2.*is not JSON"):
        open_report(tmp_path / "r.jsonl")


@pytest.mark.parametrize("content", ["", "\n\n", '{"schema": 1, "sta'])
def test_a_file_without_results(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.jsonl").write_text(content, encoding="utf-8")
    assert main(["report", str(tmp_path / "r.jsonl"), "-o", str(tmp_path / "r.html")]) == 2
    assert "r.jsonl: error: " in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_the_page_of_radii_says_what_is_proven(tmp_path: Path) -> None:
    records = [radius(number, 0.01 * number, 0.02 * number) for number in range(1, 9)]
    records.append(radius(9, 0.0, None, status="misclassified", certified=False))
    records.append(radius(10, 0.05, 0.3, status="time_limit", certified=False, limit=None, radius_kind="solver"))
    report = open_report(written(tmp_path / "r.jsonl", records))
    found = parsed(report.html())
    text = " ".join("".join(found.text).split())
    assert "10 certified radii, from 0 to 0.08" in text
    assert "8 are the largest that exact local Lipschitz constants can prove" in text
    assert "1 was cut short by a limit" in text
    assert "At 1 the class is not the only largest output" in text
    assert "another class for 9. The proven radius is 50% of its distance (median)" in text
    assert "1 rests on a solver's tolerances" in text
    backwards = Report(list(reversed(records)), is_batch=True).html()
    assert re.findall(r"<td>(job \d+)</td>", backwards) == [f"job {number}" for number in range(1, 11)]
    names = [picture.name for picture in report.pictures()]
    assert names == ["share", "radii", "attack", "radii-effort", "least", "most"]
    ids = re.findall(r'\bid="([^"]+)"', report.html())
    assert len(ids) == len(set(ids))
    assert all(re.match(r"\w+ (data:|#)", each) for each in found.loaded), found.loaded


def test_shares_are_counted_right() -> None:
    """Of four inputs three are proven beyond 0.15, and the attack leaves all four up to 0.3, and two without end."""
    records = [radius(1, 0.1, 0.3), radius(2, 0.2, 0.4), radius(3, 0.2, None), radius(4, 0.35, None)]
    axes = share_left(records).figure.axes[0]
    attacked, proven = (each.get_xydata() for each in axes.lines)

    def share(curve: Any, at: float) -> float:
        return float(curve[np.searchsorted(curve[:, 0], at, side="right") - 1, 1])

    assert [share(proven, at) for at in (0.05, 0.15, 0.25, 0.37)] == [100, 75, 25, 0]
    assert [share(attacked, at) for at in (0.05, 0.29, 0.35, 0.41)] == [100, 100, 75, 50]


def test_no_radius_is_drawn_beyond_its_attack() -> None:
    axes = against_attack(np.array([[0.1, 0.2], [0.3, 0.3]])).figure.axes[0]
    at, heights = axes.lines[1].get_xydata().T
    assert at.tolist() == [0.2, 0.3] and heights.tolist() == [0.1, 0.3]
    assert (heights <= at).all()


def test_other_inputs_than_images_are_not_drawn() -> None:
    records = [radius(number, 0.1, 0.2, model={"input_shape": [30]}) for number in range(10)]
    assert "least" not in [each.name for each in Report(records, is_batch=True).pictures()]


def test_what_is_shown_of_a_radius_is_proven() -> None:
    assert [at_least(value) for value in (0.06999999, 0.25, 1.69999e-05, 0.0)] == ["0.06999", "0.25", "1.699e-05", "0"]
    assert [at_most(value) for value in (0.07000001, 0.25, 12345.6)] == ["0.07001", "0.25", "1.235e+04"]


def test_verify_says_that_it_checks_neither() -> None:
    for record in (radius(1, 0.1, 0.2), failed(2)):
        with pytest.raises(ResultError, match=r"is a certified radius|is the record of a failed job"):
            verify(record)


def test_open_pairs_of_a_sweep_are_seen(solved: dict[str, Any]) -> None:
    def swept(number: int, lower: float, upper: float | None) -> dict[str, Any]:
        return {**line(number, solved), "id": f"radius=0.{number}", "lower": lower, "upper": upper}

    def said(records: list[dict[str, Any]]) -> str:
        return next(each.text for each in batch_pictures(records) if each.name == "against-radius")

    closed = [swept(1, 1.0, 1.0), swept(2, 2.0, 2.0000001)]
    assert said(closed) == "2 results."
    assert said([*closed, swept(3, 2.0, None)]) == "3 results."
    assert "the other side of a pair that is open" in said([*closed, swept(3, 2.0, 3.0)])
