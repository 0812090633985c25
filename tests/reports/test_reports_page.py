"""The page of a result: what stands on it, and what a browser makes of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lipc
from lipc.errors import QueryError, ResultError
from lipc.query import Query, ball
from lipc.reports import Report, open_report, report_of
from lipc.reports.single import image_shape
from tests.nets import random_network

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

BROWSER = shutil.which("chromium")
VOID = {"meta", "link", "br", "img", "hr", "input"}


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    """A question over 25 inputs, solved, with a history put in."""
    network = lipc.from_weights(*random_network(3, (25, 6, 4, 2)))
    record = lipc.solve(network, Query(ball(np.full(25, 0.5), 0.3), "y[0] - y[1]")).to_dict()
    record["history"] = [[0.1, 0.0, None, 0], [0.2, 1.0, 3.0, 1], [0.4, record["lower"], record["upper"], 5]]
    return record


class Balance(HTMLParser):
    """Checks that tags are closed in order, and collects text and what is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [f"{tag} {value}" for name, value in attrs if name in ("src", "href", "xlink:href") and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(html: str) -> Balance:
    found = Balance()
    found.feed(html)
    found.close()
    assert not found.open
    return found


def test_the_page_says_what_is_proven(record: dict[str, Any]) -> None:
    found = parsed(Report([record]).html())
    text = " ".join("".join(found.text).split())
    assert f"Local Lipschitz constant = {record['lower']:.8g}" in text
    assert f"At least {record['lower']!r}: at the witness x the gradient has l_1 norm {record['lower']!r}" in text
    assert f"At most {record['upper']!r}: proven by bounds whose rounding is counted" in text
    assert "the answer is exact" in text
    assert "25 inputs" in text
    for title in ("Lower and upper over time", "The witness x", "Neurons by layer", "Range of the coefficients"):
        assert title in text


def test_the_page_stands_alone(record: dict[str, Any]) -> None:
    found = parsed(Report([record]).html())
    assert all(re.match(r"\w+ (data:|#)", each) for each in found.loaded), found.loaded
    assert "script" not in Report([record]).html()


def test_an_open_pair_is_not_called_exact(record: dict[str, Any]) -> None:
    opened = {**record, "certified": False, "status": "time_limit", "upper": None, "upper_kind": "solver", "gap": None}
    text = " ".join("".join(parsed(Report([opened]).html()).text).split())
    assert "the answer is exact" not in text
    assert "Nothing is known of the upper side." in text
    assert "the time limit was reached" in text


def test_names_are_escaped(record: dict[str, Any]) -> None:
    query = {**record["query"], "model": "<script>alert(1)</script>.onnx"}
    html = Report([{**record, "query": query, "note": "a < b & c"}]).html()
    parsed(html)
    assert "<script" not in html
    assert "a &lt; b &amp; c" in html


def test_ids_on_a_page_are_unique(record: dict[str, Any]) -> None:
    ids = re.findall(r'\bid="([^"]+)"', Report([record]).html())
    assert len(ids) == len(set(ids)) > 10
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", Report([record]).html()))
    assert used <= set(ids)


@pytest.mark.slow
def test_pictures_are_the_same_every_time(record: dict[str, Any]) -> None:
    first, second = (Report([record]).pictures() for _ in range(2))
    assert [each.svg() for each in first] == [each.svg() for each in second]
    assert [each.png() for each in first] == [each.png() for each in second]
    for each in first:
        ET.fromstring(each.svg().replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1))
        assert each.png().startswith(b"\x89PNG")
        assert "var(--" in each.svg()


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [
        ((1, 1, 28, 28), (28, 28)),
        ((3, 32, 32), (96, 32)),
        ((64,), (8, 8)),
        ((4,), None),
        ((10,), None),
        ((2, 5), (2, 5)),
    ],
)
def test_which_inputs_are_images(shape: tuple[int, ...], drawn: tuple[int, int] | None) -> None:
    assert image_shape({"model": {"input_shape": list(shape)}}) == drawn


def test_a_result_that_lacks_something_is_refused(record: dict[str, Any], tmp_path: Path) -> None:
    for key in ("query", "size", "lower", "witness", "time"):
        damaged = {name: value for name, value in record.items() if name != key}
        with pytest.raises(ResultError, match="incomplete or damaged"):
            Report([damaged]).html()
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(ResultError, match="is not a result"):
        open_report(tmp_path / "r.json")


def test_an_image_must_have_as_many_pixels_as_inputs(tmp_path: Path) -> None:
    network = lipc.from_weights(*random_network(3, (4, 3, 1)))
    (tmp_path / "r.json").write_text(lipc.solve(network).to_json())
    assert open_report(tmp_path / "r.json", (2, 2)).pictures()
    with pytest.raises(QueryError, match="has 4 inputs, and an image of 3 x 3 has 9"):
        open_report(tmp_path / "r.json", (3, 3)).html()


def test_a_result_in_memory_has_a_report() -> None:
    result = lipc.solve(lipc.from_weights(*random_network(3, (4, 3, 1))))
    assert f"{result.lower:.8g}" in report_of(result).html()


def test_a_notebook_shows_the_answer() -> None:
    result = lipc.solve(lipc.from_weights(*random_network(3, (4, 3, 1))))
    shown = " ".join(parsed(result._repr_html_()).text)
    assert f"Local Lipschitz constant = {result.lower:.8g}" in shown
    assert "4 inputs" in shown


def in_browser(page: Path, width: int, profile: Path) -> subprocess.CompletedProcess[str]:
    """Open a page in headless Chromium; its DOM is on stdout, the console on stderr."""
    assert BROWSER is not None
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    options += " --disable-component-update --disable-sync --enable-logging=stderr --dump-dom"
    command = [BROWSER, *options.split(), f"--user-data-dir={profile}", f"--window-size={width},900", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
@pytest.mark.parametrize("width", [500, 1200])  # headless Chromium opens no window narrower than 500
def test_a_browser_shows_it_without_complaint(record: dict[str, Any], tmp_path: Path, width: int) -> None:
    probe = "<script>document.title = [innerWidth, document.documentElement.scrollWidth].join(' ')</script></body>"
    page = tmp_path / "report.html"
    page.write_text(Report([record]).html().replace("</body>", probe))
    shown = in_browser(page, width, tmp_path / "profile")
    assert "CONSOLE" not in shown.stderr
    window, content = map(int, re.findall(r"<title>(\d+) (\d+)</title>", shown.stdout)[0])
    assert content <= window == width
