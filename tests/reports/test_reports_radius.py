"""The page of one certified radius: what `lipc certify-radius --json` wrote, a line of a batch, a result in memory."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lipc
from lipc.errors import QueryError, ResultError
from lipc.ir import Norm
from lipc.reports import Report, open_report, report_of
from tests.reports.test_reports_page import parsed

pytest.importorskip("matplotlib", reason="pictures need matplotlib")


@pytest.fixture(scope="module")
def identity() -> lipc.Network:
    """Three classes, each its input: y0 - yj changes by 2 r in l_inf, so that the radius is half of the margin."""
    return lipc.from_weights([np.eye(3)], [np.zeros(3)])


@pytest.fixture(scope="module")
def record(identity: lipc.Network) -> dict[str, Any]:
    return lipc.certify_radius(identity, [1.0, 0.5, 0.0]).to_dict()


def text_of(report: Report) -> str:
    return " ".join("".join(parsed(report.html()).text).split())


def test_the_page_says_what_is_proven(record: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(record), encoding="utf-8")
    report = open_report(tmp_path / "r.json")
    text = text_of(report)
    rows = re.findall(r"<tr>(?:<td[^>]*>[^<]*</td>)+</tr>", report.html())
    assert record["radius"] == pytest.approx(0.25, rel=2e-3) and record["radius"] <= 0.25
    assert "Certified radius: 0.2" in text
    assert f"No change of the input of less than {record['radius']!r} in l_inf changes its class, 0" in text
    assert "no solver is trusted" in text
    assert "found a point of class 1" in text
    assert [re.findall(r">([\d.]+)<", row)[:2] for row in rows] == [["1", "0.5"], ["2", "1"]]  # class and margin
    assert [picture.name for picture in report.pictures()] == ["classes", "input", "attack", "change"]


def test_a_batch_of_one_is_the_page_of_its_answer(record: dict[str, Any], tmp_path: Path) -> None:
    line = {"id": "a", "line": 1, "key": "0", **record, "error": "", "seconds": 0.5}
    (tmp_path / "r.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert "Certified radius: 0.2" in text_of(open_report(tmp_path / "r.jsonl"))


def test_other_endings(identity: lipc.Network) -> None:
    looked = text_of(report_of(lipc.certify_radius(identity, [1.0, 0.5, 0.0], norm=Norm.L1, max_radius=0.125)))
    assert "Certified radius: 0.125 " in looked
    assert "less than 0.125 in l_1" in looked and "That is as far as was looked." in looked and "looked up to" in looked
    wrong = report_of(lipc.certify_radius(identity, [1.0, 0.5, 0.0], label=1))
    assert "Output 1 is not the only largest one at the input itself: 0 is not less. The radius is 0." in text_of(wrong)
    assert "classes" not in {picture.name for picture in wrong.pictures()}


def test_what_was_cut_short_is_not_called_the_largest(record: dict[str, Any]) -> None:
    text = text_of(Report([{**record, "status": "time_limit", "certified": False, "limit": None, "adversarial": None}]))
    assert "or more" in text
    assert "The time limit was reached" in text
    assert "found no point of another class" in text


def test_what_is_missing_or_does_not_fit_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ResultError, match="incomplete or damaged"):
        Report([{key: value for key, value in record.items() if key != "classes"}]).html()
    with pytest.raises(ResultError, match="incomplete or damaged"):
        Report([{"schema": 1}]).html()
    with pytest.raises(QueryError, match="3 inputs, and an image of 2 x 2 has 4"):
        Report([record], (2, 2)).html()
