"""``lipc report`` and ``lipc graph``: files written, and mistakes of the call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_process import Call

pytest.importorskip("matplotlib", reason="pictures need matplotlib")


@pytest.fixture(scope="module")
def result(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import lipc

    path = tmp_path_factory.mktemp("results") / "r.json"
    path.write_text(lipc.solve(models / "small.onnx").to_json() + "\n")
    return path


def test_a_page_and_its_pictures(lipc: Call, result: Path, tmp_path: Path) -> None:
    shown = lipc("report", str(result), "-o", str(tmp_path / "r.html"), "--png", str(tmp_path / "new" / "png"))
    assert (shown.code, shown.out) == (0, "")
    assert "Local Lipschitz constant" in (tmp_path / "r.html").read_text()
    names = {path.name for path in (tmp_path / "new" / "png").iterdir()}
    assert {"witness.png", "gradient.png", "neurons.png", "coefficients.png"} <= names
    assert all((tmp_path / "new" / "png" / name).read_bytes().startswith(b"\x89PNG") for name in names)


def test_a_batch_is_known_by_its_lines(lipc: Call, result: Path, tmp_path: Path) -> None:
    record = json.loads(result.read_text())
    lines = [{**record, "id": f"{number} radius={number / 10}", "line": number, "key": str(number), "error": "",
              "seconds": 0.5} for number in (1, 2, 3)]  # fmt: skip
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shown = lipc("report", str(tmp_path / "b.jsonl"), "-o", "-")
    assert shown.code == 0
    assert "3 questions: 3 answered" in shown.out
    assert "The answer against radius" not in shown.out  # three points, of one value each
    (tmp_path / "b.jsonl").write_text((tmp_path / "b.jsonl").read_text() + '{"schema": 7}\n')
    shown = lipc("report", str(tmp_path / "b.jsonl"), "-o", "-")
    assert (shown.code, shown.out) == (2, "")
    assert f"{tmp_path / 'b.jsonl'}:4: error: has schema 7" in shown.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "there is nothing to write; name a page by -o FILE.html, or a folder by --png DIR"),
        (("-o", "-", "--image", "2y3"), "'2y3' is no shape; write rows and columns like 28x28"),
        (("-o", "-", "--image", "3x3"), "the network has 2 inputs, and an image of 3 x 3 has 9"),
        (("-o", "/nowhere/r.html"), "/nowhere/r.html: "),
        (("--png", "/dev/null/x"), "/dev/null/x"),
    ],
)
def test_mistakes_of_the_call(lipc: Call, result: Path, options: tuple[str, ...], message: str) -> None:
    shown = lipc("report", str(result), *options)
    assert (shown.code, shown.out) == (2, "")
    assert message in shown.err
    assert len(shown.err.splitlines()) == 1


def test_without_matplotlib_the_page_says_how_to_get_pictures(
    lipc: Call, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipc.reports.figures.find_spec", lambda _: None)
    shown = lipc("report", str(result), "-o", "-")
    assert shown.code == 0
    assert "pip install &#x27;lipc[plot]&#x27;" in shown.out
    assert "<svg" not in shown.out
    shown = lipc("report", str(result), "--png", "x")
    assert shown.code == 2
    assert "pictures need matplotlib; pip install 'lipc[plot]'" in shown.err


def test_a_network_is_drawn(lipc: Call, models: Path, tmp_path: Path) -> None:
    shown = lipc("graph", str(models / "small.onnx"))
    assert shown.code == 0
    assert shown.out.startswith("<svg ")
    assert shown.out.count("<g class=") == 8
    for ending in (".svg", ".dot"):
        drawn = lipc("graph", str(models / "small.onnx"), "--passes", "bounds", "-o", str(tmp_path / f"n{ending}"))
        assert drawn.code == 0
    assert "unstable" in (tmp_path / "n.dot").read_text()
    shown = lipc("graph", str(models / "small.onnx"), "-o", "n.png")
    assert shown.code == 2
    assert "n.png: the ending names no picture; use .svg or .dot" in shown.err
    shown = lipc("graph", str(models / "small.onnx"), "--passes", "bonds")
    assert shown.code == 2
    assert "there is no pass 'bonds'" in shown.err
