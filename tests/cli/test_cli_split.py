"""``lipc split MODEL -o DIR`` and ``lipc solve --jobs``: files and manifest, or one line that says why not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highspy
import numpy as np
import pytest
from cli_process import command
from running import children, is_running

BOX = ("--box", "0", "1")
Call = Callable[..., Any]


def optimum(path: Path, objective: dict[str, Any]) -> float:
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    assert highs.readModel(str(path)) == highspy.HighsStatus.kOk
    highs.run()
    infeasible = highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible
    if infeasible:
        return -np.inf
    return float(objective["sign"] * objective["scale"] * highs.getObjectiveValue() + objective["constant"])


FLAGS = [
    (),
    ("--norm", "l1"),
    ("--output", "y[0] - y[1]", "-O3"),
    ("--output-norm", "l1"),
    ("--output", "0.00001 * y[0] + 0.00003 * y[1]"),  # the files have other units
]


@pytest.mark.parametrize("flags", FLAGS)
def test_the_files_give_the_answer(
    lipc: Call, small: str, flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = json.loads(lipc("solve", small, *BOX, *flags, "--json").out)["lower"]
    monkeypatch.setattr("lipc.solving.pieces.START_SECONDS", 0.0)
    monkeypatch.setattr("lipc.solving.witnesses.Witnesses.start", lambda *_: None)
    monkeypatch.setattr("lipc.search.incumbents.Incumbents.is_due", lambda *_: False)
    folder = tmp_path / "new" / "pieces"
    shown = lipc("split", small, *BOX, *flags, "-o", folder, "--pieces", "3")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err.count("\n") == 1
    manifest = json.loads((folder / "manifest.json").read_text())
    names = [piece["file"] for piece in manifest["pieces"]]
    assert len(names) >= 3
    assert names == [f"piece.{number}.mps" for number in range(1, len(names) + 1)]
    beside = [name.replace(".mps", ".map.json") for name in names]
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *names, *beside}
    assert f"{len(names)} piece" in shown.err
    found = [manifest["lower"]]
    for piece in manifest["pieces"]:
        found.append(optimum(folder / piece["file"], piece["objective"]))
        assert found[-1] <= piece["bound"] * (1 + 1e-6)
    assert max(found) == pytest.approx(answer, rel=2e-6)
    assert manifest["lower"] * (1 - 1e-6) <= answer <= manifest["upper"] * (1 + 1e-6)


def test_a_question_that_is_answered_has_no_pieces(lipc: Call, small: str, tmp_path: Path) -> None:
    shown = lipc("split", small, *BOX, "-o", tmp_path)  # an empty folder will do
    assert shown.code == 0
    assert shown.err.endswith("nothing is left to solve\n")
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["pieces"] == []
    assert manifest["known"]["value"] == manifest["lower"] == pytest.approx(manifest["upper"], rel=2e-6)


def test_without_time_it_is_in_pieces_all_the_same(lipc: Call, models: Path, tmp_path: Path) -> None:
    shown = lipc("split", models / "hard.onnx", *BOX, "-o", tmp_path, "--time-limit", "0")
    assert (shown.code, len(list(tmp_path.iterdir()))) == (0, 3)
    manifest = json.loads((tmp_path / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert manifest["lower"] <= manifest["upper"] == manifest["pieces"][0]["bound"]


UNION = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= X_1 0)) (assert (<= X_1 1))
(assert (or (<= X_0 0.25) (>= X_0 0.75)))
"""
AS_ONE = "compile it as one program, or leave it to 'lipc solve'"
NO_CONSTANT = f"only a Lipschitz constant in l_inf or l_1 is cut into pieces; {AS_ONE}"
REVERSE = "pieces are made of a Jacobian in forward mode; leave out --mode, or name the pass jacobian{mode=forward}"
SEE = "; see 'lipc split --help'"
WRONG = {
    "a range": (["--objective", "max", "--output", "0"], NO_CONSTANT),
    "l_2": (["--norm", "l2"], NO_CONSTANT),
    "reverse": (["--mode", "reverse"], REVERSE),
    "reverse, by a pass": (["--passes", "bounds,jacobian{mode=reverse}"], REVERSE),
    "no pieces": (["--pieces", "0"], f"Invalid value for '--pieces': 0 is not in the range 1<=x<=100000{SEE}"),
    "no time": (["--time-limit", "nan"], f"Invalid value for '--time-limit': nan is not a finite number{SEE}"),
    "a flag of solve": (["--jobs", "2"], f"No such option '--jobs'{SEE}"),
    "several domains": (
        ["--vnnlib", "union.vnnlib"],
        "a question over several domains is in pieces already; split each domain by itself",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_cut_is_told_on_one_line(
    lipc: Call, small: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("union.vnnlib").write_text(UNION)
    flags, message = WRONG[wrong]
    domain = () if "--vnnlib" in flags else BOX
    shown = lipc("split", small, *domain, *flags, "-o", "new/er")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.replace("No such option:", "No such option").replace("option --jobs", "option '--jobs'") == (
        f"lipc: error: {message}\n"
    )
    assert not Path("new").exists()


def test_a_network_that_is_too_large_is_told(
    lipc: Call, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipc.search.branching.MOST_ENTRIES", 3)
    shown = lipc("split", models / "small.onnx", *BOX, "-o", tmp_path / "new")
    assert (shown.code, shown.err) == (2, f"lipc: error: the network is too large for the SDP bound; {AS_ONE}\n")
    assert list(tmp_path.iterdir()) == []


PLACES = {
    "full": "full: is no empty folder; name a new one",
    "file": "file: is no empty folder; name a new one",
    "file/in": "file/in: cannot be written: Not a directory",
    "-": "-: pieces are several files; name a folder",
    "/dev/null": "/dev/null: is no empty folder; name a new one",
    "\0": "cannot be written: no path holds a NUL character",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_where_no_pieces_can_be_is_told_before_the_work(
    lipc: Call, small: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lipc.solving.pieces.split", lambda *_: pytest.fail("the work"))
    Path("file").write_text("precious")
    Path("full").mkdir()
    Path("full/.hidden").write_text("precious")
    shown = lipc("split", small, *BOX, "-o", place)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith("lipc: error: ")
    assert shown.err.endswith(f"{PLACES[place]}\n")
    assert shown.err.count("\n") == 1
    assert Path("full/.hidden").read_text() == Path("file").read_text() == "precious"


@pytest.mark.parametrize("kind", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_disk_that_is_full_is_left_as_it_was(
    lipc: Call, small: str, kind: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipc.solving.witnesses.Witnesses.start", lambda *_: None)
    written: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 3:
            raise kind
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    shown = lipc("split", small, *BOX, "-o", tmp_path / "new" / "er", "--pieces", "2")
    line = "lipc: interrupted\n" if isinstance(kind, KeyboardInterrupt) else "No space left on device\n"
    assert shown.code == (130 if isinstance(kind, KeyboardInterrupt) else 2)
    assert shown.err.endswith(line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", [("--split",), ("--jobs", "2")])
def test_solve_in_pieces_is_no_search_of_a_solver(lipc: Call, small: str, flags: tuple[str, ...]) -> None:
    shown = lipc("solve", small, *BOX, "--search", "mip", *flags)
    message = "lipc: error: pieces are searched by the branch and bound; leave out --search mip\n"
    assert (shown.code, shown.out, shown.err) == (2, "", message)


@pytest.mark.parametrize(
    "flags", [("--split",), ("--jobs", "1"), ("--jobs", "3"), ("--jobs", "2", "--objective", "max", "--output", "0")]
)
def test_solve_in_pieces_gives_the_answer(lipc: Call, small: str, flags: tuple[str, ...]) -> None:
    plain = json.loads(lipc("solve", small, *BOX, *flags[2:], "--json").out)
    shown = lipc("solve", small, *BOX, *flags, "--json")
    assert (shown.code, shown.err) == (0, "")
    assert json.loads(shown.out)["lower"] == pytest.approx(plain["lower"], rel=1e-6)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--objective", "max", "--output", "0"), "constants in l_inf and l_1"),
        (("--norm", "l2", "--output", "0"), "constants in l_inf and l_1"),
    ],
)
def test_jobs_without_an_effect_are_told(lipc: Call, small: str, flags: tuple[str, ...], reason: str) -> None:
    shown = lipc("solve", small, *BOX, *flags, "--jobs", "2", "--json")
    answer = json.loads(shown.out)
    assert answer["note"].startswith("jobs have no effect: ")
    assert reason in answer["note"]
    assert answer["options"]["jobs"] == 2
    assert json.loads(lipc("solve", small, *BOX, *flags, "--json").out)["note"] == ""
    assert json.loads(lipc("solve", small, *BOX, "--jobs", "2", "--json").out)["note"] == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_control_c_leaves_the_pair_and_no_process(tmp_path: Path) -> None:
    from cli_process import save_network

    network = save_network(tmp_path / "network.onnx", (10, 30, 24, 3), seed=5)
    args = command("solve", network, *BOX, "--jobs", "2", "--json", "-q")
    # The group of a terminal, which Ctrl-C is for.
    with subprocess.Popen(
        args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        begun = time.monotonic()
        while len(found := children(run.pid)) < 2 and time.monotonic() < begun + 60:
            time.sleep(0.1)
        time.sleep(4)
        os.killpg(run.pid, signal.SIGINT)
        out, err = run.communicate(timeout=20)
    content = json.loads(out)
    assert (run.returncode, err, content["status"], content["note"]) == (1, "", "interrupted", "")
    assert 0 < content["lower"] < content["upper"]
    assert len(found) == 2
    assert not any(map(is_running, found))
