"""Comparisons: errors, means and spreads by hand, tables and pictures, with methods made for the test."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import lipc
from lipc.certify import Certifier
from lipc.comparisons import Case, Comparison, cases_of, compare
from lipc.comparisons.tables import csv_text, markdown, percent_text
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError
from lipc.ir import Program
from lipc.query import Query, box

SLOPE = lipc.from_weights([np.array([[1.0]]), np.array([[4.0]])], [np.zeros(1), np.zeros(1)])
"""4 relu(x): the constant is 4 where x > 0."""


@dataclass(frozen=True)
class Exact(Estimator):
    """The slope at the upper end of the domain."""

    name: ClassVar[str] = "exact"
    kind: ClassVar[Kind] = Kind.EXACT
    source: ClassVar[str] = "this test"

    def estimate(self, program: Program, limits: Limits) -> Estimate:  # noqa: ARG002
        witness = Certifier(program).witness(program.network_input()[1].upper)
        assert witness is not None
        return Estimate(witness.value, "linf", witness=witness)


@dataclass(frozen=True)
class Wide(Estimator):
    """An upper bound that grows with the domain; refuses the smallest."""

    name: ClassVar[str] = "wide"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = "this test"

    def estimate(self, program: Program, limits: Limits) -> Estimate:  # noqa: ARG002
        upper = float(program.network_input()[1].upper[0])
        if upper < 0.5:
            raise RefusedError("too small")
        return Estimate(4.0 * (1.0 + upper), "linf")


def case(upper: float, group: str = "g") -> Case:
    return Case(group, f"upper={upper}", SLOPE, Query(box(0.1, upper)))


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare([case(1.0), case(2.0), case(0.2), case(3.0, "h | i")], [Exact(), Wide()])


def test_errors_are_relative_to_the_exact_value(found: Comparison) -> None:
    assert [row.error for row in found.rows if row.answer.method == "exact"] == [0, 0, 0, 0]
    errors = [row.error for row in found.rows if row.answer.method == "wide"]
    np.testing.assert_allclose(errors, [1.0, 2.0, np.nan, 3.0])
    cell = found.cell("g", "wide")
    assert (cell.count, cell.refused) == (2, 1)
    assert cell.error == pytest.approx((1.5, 0.5))
    assert found.kinds("wide") == "upper"


def test_without_an_exact_method_there_is_no_error() -> None:
    (row,) = compare([case(1.0)], [Wide()]).rows
    assert np.isnan(row.error)
    assert percent_text((float("nan"), float("nan"))) == "?"


def test_tables(found: Comparison) -> None:
    lines = markdown(found).splitlines()
    assert lines[0] == "| method | kind | g: seconds | g: error | h \\| i: seconds | h \\| i: error |"
    assert lines[3].startswith("| wide | upper | ")
    assert "+150 % ± 50 (1 refused)" in lines[3]
    assert lines[3].endswith("+300 % ± 0 |")
    records = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert len(records) == 8
    assert records[1]["value"] == "8.0"
    assert records[1]["error"] == "1.0"
    assert records[5]["value"] == ""
    assert (records[0]["lower"], records[0]["upper"]) == ("4.0", "4.0")


@pytest.mark.parametrize(
    ("spread", "text"),
    [
        ((0.0, 0.0), "0"),
        ((-0.02, 0.01), "-2 % ± 1"),
        ((0.153, 0.04), "+15.3 % ± 4"),
        ((99.0, 3.0), "x 100 ± 3"),
        ((0.5, 1e-12), "+50 % ± 0"),
        ((4.52, 1.9), "+452 % ± 190"),
        ((5332.0, 2.0), "x 5333 ± 2"),
    ],
)
def test_percentages(spread: tuple[float, float], text: str) -> None:
    assert percent_text(spread) == text


def test_cases_of_a_file_of_jobs_and_of_a_model(tmp_path: Path) -> None:
    model = tmp_path / "net.lip"
    model.write_text("network n {\n  input x[1]\n  output y = relu(x)\n}\n")
    jobs = [{"id": "epoch=1", "model": "net.lip", "box": [0, 1], "group": "a"}, {"model": "net.lip", "radius": 0.1,
            "center": "0.5"}]  # fmt: skip
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(job) + "\n" for job in jobs))
    first, second = cases_of(str(tmp_path / "cases.jsonl"), lambda _: None)
    assert (first.group, first.name, first.place, first.axis) == ("a", "epoch=1", 1.0, "epoch")
    assert (second.group, second.name, second.place) == ("cases", "2", None)
    assert second.query is not None
    assert first.network is second.network
    query = Query(box(0.0, 2.0))
    (alone,) = cases_of(str(model), lambda _: query)
    assert (alone.group, alone.query) == ("net", query)


def test_pictures_and_page(found: Comparison) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    from lipc.comparisons.page import comparison_page
    from lipc.comparisons.pictures import comparison_pictures

    lines, points = comparison_pictures(found)
    assert lines.title == "g: values against upper"
    assert points.title == "h | i: against the exact value"
    for text in ("exact", "wide"):
        assert text in lines.svg()
    # A PNG stands alone: its axes say what they are, in plain numbers.
    for picture, name in ((lines, "g"), (points, "h | i")):
        picture.figure.canvas.draw()
        (axes,) = picture.figure.axes
        assert axes.get_title(loc="left") == name
        axis = axes.yaxis if picture is lines else axes.xaxis
        shown = [label.get_text() for label in axis.get_ticklabels(which="both") if label.get_text()]
        assert len(shown) >= 2
        assert not any("10^" in text for text in shown)
    page = comparison_page(Comparison(tuple(row for row in found.rows if row.answer.method == "none")))
    assert "0 methods" in page
