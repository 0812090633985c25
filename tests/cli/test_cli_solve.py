"""``lipc solve MODEL``: the JSON line, the table, and what Ctrl-C leaves."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import IO, Any

import numpy as np
import onnx
import oracle
import pytest
from cli_process import command
from onnx import numpy_helper
from spread import spread

from lipc.cli.main import main
from lipc.search.ascent import Found
from lipc.search.branching import BranchAndBound
from lipc.search.incumbents import Incumbents
from lipc.solvers.base import Outcome, SecondInterruptError, Task
from lipc.solvers.scip import Scip

BOX = ("--box", "0", "1")
Call = Callable[..., Any]

# A shell shows 130 for both; Python may end itself by the signal where that came in the middle of an `exec`.
INTERRUPTED = (130, -signal.SIGINT)

NUMBER = (int, float)
SCHEMA: dict[str, type | tuple[type, ...]] = {
    "status": str,
    "lower": NUMBER,
    "upper": NUMBER,
    "gap": NUMBER,
    "lower_kind": str,
    "upper_kind": str,
    "certified": bool,
    "note": str,
    "history": list,
    "witness.x": list,
    "witness.gradient": list,
    "witness.value": NUMBER,
    "witness.output": int,
    "witness.cotangent": list,
    "solver": str,
    "nodes": int,
    "proof_nodes": int,
    "size.variables": int,
    "size.binaries": int,
    "size.rows": int,
    "size.nonzeros": int,
    "size.neurons.total": int,
    "size.neurons.on": int,
    "size.neurons.off": int,
    "size.neurons.unstable": int,
    "size.passes": list,
    "time.import": NUMBER,
    "time.bounds": NUMBER,
    "time.lower": NUMBER,
    "time.solve": NUMBER,
    "time.total": NUMBER,
    "query.model": str,
    "query.objective": str,
    "query.norm": str,
    "query.output": str,
    "query.output_norm": str,
    "query.several_outputs": bool,
    "query.domain.type": str,
    "query.domain.inputs": int,
    "query.domain.lower": list,
    "query.domain.upper": list,
    "schema": int,
    "model.path": str,
    "model.files": list,
    "model.input_shape": list,
    "model.drop_softmax": bool,
    "question.goal": str,
    "question.norm": str,
    "question.output": type(None),
    "question.output_norm": str,
    "question.domains": list,
    "options.time_limit": type(None),
    "options.gap": float,
    "options.threads": int,
    "options.seed": int,
    "options.safe_upper": bool,
    "options.search": str,
    "options.jobs": int,
    "options.handoff": int,
    "options.scheduler": str,
}


def leaves(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def weights_of(path: Path | str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    tensors = {each.name: numpy_helper.to_array(each).astype(float) for each in onnx.load(path).graph.initializer}
    return [tensors[name] for name in sorted(tensors) if name[0] == "W"], [
        tensors[name] for name in sorted(tensors) if name[0] == "b"
    ]


def test_json_is_one_line_with_every_field(lipc: Call, small: str) -> None:
    shown = lipc("solve", small, *BOX, "--json")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.count("\n") == 1
    content = json.loads(shown.out)
    found = dict(leaves(content))
    assert set(found) == set(SCHEMA)
    for key, value in found.items():
        assert isinstance(value, SCHEMA[key]), key
        assert SCHEMA[key] is bool or not isinstance(value, bool), key
    assert len(content["witness"]["x"]) == len(content["witness"]["gradient"]) == 2
    neurons = content["size"]["neurons"]
    assert neurons["total"] == 11 == neurons["on"] + neurons["off"] + neurons["unstable"]
    assert content["time"]["total"] >= content["time"]["solve"] >= 0
    assert content["query"]["domain"] == {"type": "box", "inputs": 2, "lower": [0, 0], "upper": [1, 1]}
    assert content["question"]["domains"] == [{"lower": [0, 0], "upper": [1, 1]}]
    digest = hashlib.sha256(Path(small).read_bytes()).hexdigest()
    assert content["model"]["files"] == [{"name": "small.onnx", "sha256": digest}]


@pytest.mark.parametrize(
    ("output", "norm", "mode"),
    spread([None, "0", "y[1]", "2*y[0] - y[1]/4 + 3"], ["linf", "l1"], ["reverse", "forward", "auto"], every=5),
)
def test_the_answer_is_the_enumeration(
    lipc: Call, small: str, mode: str, norm: oracle.Norm, output: str | None
) -> None:
    functional = {None: None, "0": [1, 0], "y[1]": [0, 1], "2*y[0] - y[1]/4 + 3": [2, -0.25]}[output]
    options = [] if output is None else ["--output", output]
    shown = lipc("solve", small, *BOX, "--norm", norm, "--mode", mode, *options, "--json")
    answer = oracle.lipschitz(*weights_of(small), np.zeros(2), np.ones(2), functional, norm)
    content = json.loads(shown.out)
    assert (content["status"], content["certified"]) == ("optimal", True)
    assert content["lower"] == pytest.approx(answer.value, rel=1e-7)
    assert content["upper"] == pytest.approx(answer.value, rel=2e-6)
    assert content["lower"] <= content["upper"]


def test_range_of_an_output(lipc: Call, small: str) -> None:
    answer = oracle.output_range(*weights_of(small), np.full(2, 0.2), np.full(2, 0.7), [1, -1])
    for objective, value in (("max", answer.maximum), ("min", answer.minimum)):
        shown = lipc("solve", small, "--box", "0.2", "0.7", "--objective", objective, "--output", "y[0]-y[1]", "--json")
        content = json.loads(shown.out)
        assert content["lower"] == pytest.approx(value, rel=2e-6)
        assert content["upper"] == pytest.approx(value, rel=2e-6)


def test_json_of_an_l1_ball(lipc: Call, small: str) -> None:
    ball = ("--center", "0.5", "--radius", "0.25", "--ball", "l1")
    content = json.loads(lipc("solve", small, *ball, "--output", "0", "--json").out)
    found = dict(leaves(content))
    named = {"query.domain.radius", "question.output.weights.0", "question.output.constant"}
    assert set(found) == {*SCHEMA, *named} - {"question.output", "query.output_norm"}
    assert found["query.domain.type"] == "l1-ball"
    assert (found["query.domain.lower"], found["query.domain.upper"]) == ([0.25, 0.25], [0.75, 0.75])
    sides = oracle.l1_ball([0.5, 0.5], 0.25)
    exact = oracle.lipschitz(*weights_of(small), [0.25, 0.25], [0.75, 0.75], [1, 0], sides=sides)
    assert content["lower"] == pytest.approx(exact.value, rel=1e-7)
    table = lipc("solve", small, *ball).out
    assert "box 0.25 <= x <= 0.75 and l_1 ball of radius 0.25, 2 inputs" in table


def test_domains_from_files(lipc: Call, small: str, tmp_path: Path) -> None:
    low, high = np.array([0.1, 0.3]), np.array([0.5, 0.9])
    np.save(tmp_path / "low.npy", low.reshape(1, 2))
    (tmp_path / "high.csv").write_text("0.5,\n0.9\n")
    np.save(tmp_path / "center.npy", (low + high) / 2)
    (tmp_path / "center.csv").write_text("0.3;0.6")
    answers = [
        json.loads(lipc("solve", small, *options, "--json").out)["lower"]
        for options in (
            ["--box", tmp_path / "low.npy", tmp_path / "high.csv"],
            ["--center", tmp_path / "center.npy", "--radius", "0.4", "--clip", "0.1", "0.5"],
            ["--center", tmp_path / "center.csv", "--radius", "0.4", "--clip", "0.1", "0.5"],
        )
    ]
    exact = oracle.lipschitz(*weights_of(small), low, high).value
    assert answers[0] == pytest.approx(exact, rel=1e-7)
    clipped = oracle.lipschitz(*weights_of(small), [0.1, 0.2], [0.5, 0.5]).value
    assert answers[1:] == [pytest.approx(clipped, rel=1e-7)] * 2


def test_the_table_holds_the_answer(lipc: Call, small: str) -> None:
    shown = lipc("solve", small, *BOX)
    content = json.loads(lipc("solve", small, *BOX, "--json").out)
    assert (shown.code, shown.err) == (0, "")
    headline = shown.out.splitlines()[0]
    assert headline.strip() == f"local Lipschitz constant = {content['lower']:.8g}"
    search = "branch and bound on the SDP bound"
    assert content["solver"] == search
    for text in (repr(content["lower"]), repr(content["upper"]), search, "11:", small.rsplit("/", 1)[1]):
        assert text in shown.out
    by_solver = lipc("solve", small, *BOX, "--search", "mip")
    assert "SCIP" in by_solver.out
    assert by_solver.out.splitlines()[0] == headline
    assert max(map(len, shown.out.splitlines())) <= 200
    ranged = lipc("solve", small, *BOX, "--objective", "max", "--output", "1")
    assert ranged.out.startswith("maximum of the output = ")


def test_a_default_domain_is_noted_beside_the_json(lipc: Call, small: str) -> None:
    shown = lipc("solve", small, "--json")
    assert shown.err.startswith("lipc: note: ")
    assert shown.err.count("\n") == 1
    assert json.loads(shown.out)["query"]["domain"]["lower"] == [0, 0]


def test_drop_softmax(lipc: Call, small: str, models: Path) -> None:
    dropped = lipc("solve", models / "softmax.onnx", *BOX, "--drop-softmax", "--json")
    plain = lipc("solve", small, *BOX, "--json")
    assert json.loads(dropped.out)["lower"] == json.loads(plain.out)["lower"]


@pytest.mark.parametrize("limit", ["0", "0.01", "0.3", pytest.param("1", marks=pytest.mark.slow)])
def test_time_limit(lipc: Call, models: Path, limit: str) -> None:
    shown = lipc("solve", models / "hard.onnx", *BOX, "--time-limit", limit, "--json", "-q")
    content = json.loads(shown.out)
    assert (shown.code, shown.err) == (1, "")
    assert (content["status"], content["certified"]) == ("time_limit", False)
    assert 0 < content["lower"] < content["upper"]
    table = lipc("solve", models / "hard.onnx", *BOX, "--time-limit", limit, "-q")
    assert "between" in table.out.splitlines()[0]


def test_gap_of_zero(lipc: Call, small: str) -> None:
    content = json.loads(lipc("solve", small, *BOX, "--gap", "0", "--json").out)
    assert content["lower"] == pytest.approx(content["upper"], rel=1e-7)
    assert (content["status"] == "optimal") == content["certified"]


# Ctrl-C. A hard question goes on for hours, so that no signal comes too late.


@contextmanager
def running(*args: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def assert_interrupted(out: str, err: str) -> None:
    """One line; an empty one before it ends the ^C that a terminal echoes."""
    assert (out, err.removeprefix("\n")) == ("", "lipc: interrupted\n")


def wait_for_nodes(stream: IO[str] | None) -> None:
    """Read progress until the solver has solved a node."""
    assert stream is not None
    for line in stream:
        words = line.split()
        if words and words[-1].isdigit() and int(words[-1]) > 0:
            return
    raise AssertionError("no progress")


def test_one_ctrl_c_gives_the_pair(models: Path) -> None:
    with running("solve", models / "hard.onnx", *BOX, "--json", "--time-limit", "60") as process:
        wait_for_nodes(process.stderr)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert (process.returncode, out.count("\n")) == (1, 1), err
    content = json.loads(out)
    assert (content["status"], content["certified"]) == ("interrupted", False)
    assert 0 < content["lower"] < content["upper"]
    assert content["witness"]["value"] == content["lower"]


@pytest.mark.parametrize("pause", [0.0, *(pytest.param(pause, marks=pytest.mark.slow) for pause in (0.001, 0.02))])
def test_two_ctrl_c_give_up_at_once(models: Path, pause: float) -> None:
    """Or give the pair, if the solver was done with stopping before the second one came."""
    with running("solve", models / "hard.onnx", *BOX, "--json", "--time-limit", "60") as process:
        wait_for_nodes(process.stderr)
        process.send_signal(signal.SIGINT)
        sleep(pause)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    if process.returncode == 1:
        assert json.loads(out)["status"] == "interrupted"
    else:
        assert process.returncode in INTERRUPTED
        assert out == "" or json.loads(out)["status"] == "interrupted"  # it came after the answer
        assert out or err.splitlines()[-1] == "lipc: interrupted"


def test_the_second_ctrl_c_leaves_one_line(
    small: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def give_up(*_: object) -> Outcome:
        raise SecondInterruptError

    monkeypatch.setattr(Scip, "solve", give_up)
    assert main(["solve", small, *BOX, "--search", "mip", "--json"]) == 130
    assert_interrupted(*capfd.readouterr())


def test_the_first_ctrl_c_outside_the_solver_gives_the_pair(
    small: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Scip, __: Task, ___: object) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(Scip, "solve", interrupted)
    assert main(["solve", small, *BOX, "--search", "mip", "--json"]) == 1
    out, err = capfd.readouterr()
    assert json.loads(out)["status"] == "interrupted"
    assert err == ""


@pytest.mark.parametrize("step", ["relax", "_visit", "_bound", "_split", "_leaf"])
def test_ctrl_c_in_the_search_gives_the_pair(
    small: str, step: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    assert main(["solve", small, *BOX, "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    monkeypatch.setattr(
        "lipc.solving.witnesses.ascend", lambda program, *_, **__: Found(program.network_input()[1].lower, 0.0)
    )
    monkeypatch.setattr(Incumbents, "is_due", lambda *_: False)  # what it finds leaves nothing to be decided
    monkeypatch.setattr(BranchAndBound, step, interrupted)
    assert main(["solve", small, *BOX, "--search", "bab", "--json"]) == 1
    out, err = capfd.readouterr()
    content = json.loads(out)
    assert (content["status"], content["solver"], err) == ("interrupted", "branch and bound on the SDP bound", "")
    assert content["lower"] <= answer["lower"] <= answer["upper"] <= content["upper"] * (1 + 1e-6)


@pytest.mark.parametrize(
    "options", [("--objective", "max", "--output", "0"), ("--norm", "l2"), ("--objective", "min", "--output", "1")]
)
def test_a_search_that_cannot_answer_is_refused_in_one_line(lipc: Call, small: str, options: tuple[str, ...]) -> None:
    shown = lipc("solve", small, *BOX, *options, "--search", "bab")
    message = "the SDP bound answers questions of Lipschitz constants in l_inf and l_1; --search mip"
    assert (shown.code, shown.out, shown.err) == (2, "", f"lipc: error: {message}\n")
    assert lipc("solve", small, *BOX, *options).code == 0


def test_a_network_too_large_for_the_search(lipc: Call, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.search.branching.MOST_ENTRIES", 5)
    shown = lipc("solve", small, *BOX, "--search", "bab")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err == "lipc: error: the network is too large for the SDP bound; --search mip\n"
    content = json.loads(lipc("solve", small, *BOX, "--json").out)
    assert (content["status"], content["solver"].split()[0]) == ("optimal", "SCIP")


@pytest.mark.parametrize("step", ["lipc.compiler.read_model", "lipc.compiler.run_passes", "lipc.compiler.lower"])
@pytest.mark.parametrize("call", [["solve"], ["compile"]])
def test_ctrl_c_while_compiling(
    small: str, step: str, call: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(step, interrupted)
    assert main([*call, small, *BOX]) == 130
    assert_interrupted(*capfd.readouterr())


@pytest.mark.slow
def test_ctrl_c_at_any_time_leaves_a_pair_or_one_line(models: Path) -> None:
    """Only while the interpreter itself starts, before lipc has the word, Python may show a traceback."""
    for step in range(30):
        with running("solve", models / "hard.onnx", *BOX, "--json", "-q") as process:
            sleep(0.12 + 0.05 * step)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        if process.returncode in INTERRUPTED:
            if "Traceback" not in err or "in main\n" in err:
                assert_interrupted(out, err)
        else:
            assert (process.returncode, err) == (1, "")
            content = json.loads(out)
            assert content["status"] == "interrupted"
            assert content["lower"] < content["upper"]
