"""Results checked again: what holds is proven, and whatever is changed is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from nets import random_network
from spread import spread

import lipc
from lipc import Functional, Norm, Options, Query, box
from lipc.certify import Certifier
from lipc.cli.main import main
from lipc.errors import ModelError, QueryError, ResultError
from lipc.formats.lir import write_lir
from lipc.models import read_model
from lipc.query import ball
from lipc.record import question_of, question_record
from lipc.verify import Verdict, Verification, verify

NET = random_network(4, (2, 6, 5, 2))
TEXT = """network f {
  input x[2]
  output y = load("last.npy") * relu(load("first.npy") * x + [0.25, -0.5, 0.125])
}
query { domain box [-1, -1] .. [1, 1]; maximize lipschitz(y, norm = linf) }
"""
CUT = box(-1.0, [1.0, 0.5]).with_rows([[1.0, 1.0], [0.1, -0.7]], [-np.inf, -0.5], [0.3, np.inf])
BOX = box(-1.0, [1.0, 1.0])
DOMAINS = {
    "box": box(-1.0, [1.0, 0.5]),
    "half-spaces": CUT,
    "ball": ball([0.1, 0.2], 0.3, norm=Norm.L1),
    "union": (box([-1.0, 0.0], [0.0, 1.0]), CUT),
}


def written(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    np.save(folder / "first.npy", rng.normal(size=(3, 2)))
    np.save(folder / "last.npy", rng.normal(size=(2, 3)))
    path = folder / "model.lip"
    path.write_text(TEXT)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path)


def solved(model: Path, query: Query | None = None, **options: Any) -> dict[str, Any]:
    """Return the JSON of a result, read back."""
    result = lipc.solve(model, query, **options)
    content: dict[str, Any] = json.loads(result.to_json())
    return content


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of the model's own question; its file stays where it is."""
    return solved(written(tmp_path_factory.mktemp("known")))


@pytest.fixture(scope="module")
def known_output(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of a question about one output."""
    return solved(written(tmp_path_factory.mktemp("known")), Query(BOX, 0))


def wrong(verification: Verification) -> list[str]:
    return [f"{each.claim}: {each.reason}" for each in verification.findings if each.verdict is Verdict.WRONG]


def proven(verification: Verification) -> str:
    return "\n".join(each.claim for each in verification.findings if each.verdict is Verdict.PROVEN)


@pytest.mark.parametrize(
    ("domain", "goal", "norm"),
    [*spread(DOMAINS, ["lipschitz"], list(Norm)[:2], every=3), *spread(DOMAINS, ["max", "min"], [Norm.LINF], every=3)],
)
def test_what_was_solved_holds(model: Path, domain: str, norm: Norm, goal: Any) -> None:
    for output in (Functional({0: 1.0, 1: -0.3}, 0.1), None if goal == "lipschitz" else 1):
        content = solved(model, Query(DOMAINS[domain], output, norm, goal), options=Options(search="mip"))
        verification = verify(content)
        assert verification.holds, wrong(verification)
        side = "upper" if goal == "min" else "lower"
        assert f"{side} = {content[side]!r}" in proven(verification)
        assert "first.npy" in proven(verification)
        other = "lower" if goal == "min" else "upper"
        trusted = [each for each in verification.findings if each.verdict is Verdict.TRUSTED]
        by_solver = content[f"{other}_kind"] == "solver"
        assert by_solver <= len(trusted) <= 1
        words = "SCIP" if by_solver else "proven by lipc"
        assert all(each.claim.startswith(other) and words in each.reason for each in trusted)


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
@pytest.mark.parametrize("domain", list(DOMAINS))
def test_what_the_search_proved_is_trusted_to_lipc_alone(model: Path, domain: str, norm: Norm) -> None:
    content = solved(model, Query(DOMAINS[domain], None, norm))
    assert (content["status"], content["upper_kind"]) == ("optimal", "rigorous")
    verification = verify(content)
    assert verification.holds, wrong(verification)
    assert f"lower = {content['lower']!r}" in proven(verification)
    (upper,) = (each for each in verification.findings if each.claim.startswith("upper"))
    assert upper.verdict is Verdict.PROVEN or "proven by lipc" in upper.reason


@pytest.mark.parametrize("domain", list(DOMAINS))
def test_a_question_comes_back_the_same(domain: str) -> None:
    network = lipc.from_weights(*NET)
    for query in (
        Query(DOMAINS[domain], "y[0] - y[1]/3 + 0.1", Norm.L1),
        Query(DOMAINS[domain], None, goal="lipschitz"),
    ):
        record = question_record(query, network)
        again = question_of(json.loads(json.dumps(record, allow_nan=False)))
        assert question_record(again, network) == record


Change = Callable[[dict[str, Any]], None]


def move(entry: int, by: float) -> Change:
    def change(content: dict[str, Any]) -> None:
        content["witness"]["x"][entry] += by

    return change


def scale(side: str, factor: float) -> Change:
    def change(content: dict[str, Any]) -> None:
        content[side] *= factor

    return change


def put(*keys: Any, value: Any) -> Change:
    def change(content: dict[str, Any]) -> None:
        at: Any = content
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = value

    return change


TAMPERED: dict[str, tuple[Change, str]] = {
    "lower raised": (scale("lower", 1 + 1e-12), "the norm of the gradient at the witness is"),
    "upper below": (scale("upper", 1 - 1e-3), "is more than"),
    "witness moved out": (move(0, 5.0), "outside the domain"),
    "witness moved": (put("witness", "x", value=[0.9, -0.9]), "the norm of the gradient"),
    "witness cut": (put("witness", "x", value=[0.9]), "it has 1 entries"),
    "witness gone": (put("witness", value=None), "missing"),
    "gradient": (put("witness", "gradient", 0, value=0.125), "not the one at the witness"),
    "value": (put("witness", "value", value=1e3), "the norm of the gradient"),
    "domain": (put("question", "domains", 0, "upper", value=[-0.5, -0.5]), "outside the domain"),
    "another file": (put("model", "files", 0, "sha256", value="0" * 64), "another one"),
    "another loaded file": (put("model", "files", 1, "sha256", value="0" * 64), "another one"),
    "a file less": (lambda content: content["model"]["files"].pop(), "does not know it"),
}


@pytest.mark.parametrize("name", list(TAMPERED))
def test_what_was_changed_is_found(known_output: dict[str, Any], name: str) -> None:
    content = copy.deepcopy(known_output)
    assert verify(content).holds
    if name == "witness moved" and verify(content | {"witness": content["witness"]}).holds:
        # Only a point with a smaller gradient tells: find one.
        network, query = read_model(Path(content["model"]["path"])), Query(BOX, 0)
        rng, certifier = np.random.default_rng(0), Certifier(query.ask(network.program))
        found = (certifier.witness(point) for point in rng.uniform(-1, 1, (200, 2)))
        smaller = next(each for each in found if each is not None and each.value < 0.9 * content["lower"])
        TAMPERED[name][0](content)
        content["witness"]["x"] = smaller.x.tolist()
    else:
        TAMPERED[name][0](content)
    verification = verify(content)
    assert not verification.holds
    assert any(TAMPERED[name][1] in line for line in wrong(verification)), wrong(verification)


@pytest.mark.parametrize("domain", ["half-spaces", "ball"])
def test_a_witness_a_hair_outside_is_found(model: Path, domain: str) -> None:
    """Moved along the gradient of a constraint that is not a bound, to the first float beyond it."""
    content = solved(model, Query(DOMAINS[domain], 0))
    record = content["question"]["domains"][0]
    x = np.array(content["witness"]["x"])
    if domain == "ball":
        record["l1_ball"]["radius"] = float(
            np.nextafter(np.abs(x - record["l1_ball"]["center"]).sum(), 0) * (1 - 1e-15)
        )
    else:
        record["rows"][0]["upper"] = float(np.nextafter(x.sum(), -np.inf) - 1e-16)
    assert any("outside" in line for line in wrong(verify(content)))


def test_range_tampered(model: Path) -> None:
    for goal, side, factor in (("max", "lower", 1), ("min", "upper", -1)):
        content = solved(model, Query(box(-1.0, [1.0, 1.0]), "y[0] + 1.5", goal=goal))  # type: ignore[arg-type]
        assert verify(content).holds
        assert content[side] != 0
        content[side] += factor * 1e-12 * abs(content[side])
        assert any(side in line for line in wrong(verify(content)))


def test_another_model(model: Path) -> None:
    content = solved(model)
    np.save(model.parent / "last.npy", np.ones((2, 3)))
    found = wrong(verify(content))
    assert any("last.npy" in line for line in found)
    assert any("gradient" in line for line in found)


def test_kinks_are_no_witnesses(tmp_path: Path) -> None:
    path = tmp_path / "abs.lip"
    path.write_text("network f { input x[1]; output y = abs(x) }\n")
    content = solved(path, Query(box(-1.0, 1.0)))
    assert verify(content).holds
    content["witness"]["x"] = [0.0]
    assert any("kink" in line for line in wrong(verify(content)))


def test_rigorous_bounds_are_computed_again(model: Path) -> None:
    content = solved(model, Query(box(0.25, 0.25), 0), options=Options(time_limit=0))
    verification = verify(content)
    assert verification.holds
    assert content["upper_kind"] == "rigorous"
    assert f"upper = {content['upper']!r}" in proven(verification)


def test_a_program_with_its_own_question(tmp_path: Path) -> None:
    compiled = lipc.compile(lipc.from_weights(*NET), Query(CUT, 0))
    path = tmp_path / "asked.lir"
    write_lir(compiled.asked, path)
    content = solved(path)
    verification = verify(content)
    assert verification.holds
    assert "the question" in proven(verification)
    content["question"]["domains"][0]["upper"][0] = 2.0
    assert any("asks another" in line for line in wrong(verify(content)))


def test_models_in_memory() -> None:
    content = solved(lipc.from_weights(*NET), Query(CUT, 0))  # type: ignore[arg-type]
    with pytest.raises(ResultError, match="in memory"):
        verify(content)
    verification = verify(content, lipc.from_weights(*NET))
    assert verification.holds
    assert verification.findings[0].verdict is Verdict.TRUSTED


BROKEN = {
    "empty": "",
    "no JSON": "{",
    "no object": "[1]",
    "another object": "{}",
    "another schema": '{"schema": 99}',
    "NaN": '{"schema": 1, "lower": NaN}',
    "nothing in it": '{"schema": 1}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_files_that_are_no_results(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "result.json"
    path.write_text(BROKEN[name])
    assert main(["verify", str(path)]) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "error" in err
    assert "internal" not in err


@pytest.mark.parametrize("key", ["model", "question", "lower", "witness", "status", "upper_kind", "solver"])
@pytest.mark.parametrize("value", [None, "gone", 3, [], {}, [None], "drop"])
def test_damaged_results_never_crash(known: dict[str, Any], key: str, value: Any) -> None:
    content = copy.deepcopy(known)
    if value == "drop":
        del content[key]
    else:
        content[key] = value
    try:
        verify(content)
    except (ResultError, ModelError, QueryError):
        return


def test_the_command_line(model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", str(model), "--json"]) == 0
    content = json.loads(capfd.readouterr().out)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content))
    assert main(["verify", str(path)]) == 0
    assert "wrong" not in capfd.readouterr().out
    moved = tmp_path / "elsewhere" / "model.lip"
    moved.parent.mkdir()
    for name in ("model.lip", "first.npy", "last.npy"):
        (model.parent / name).rename(moved.parent / name)
    assert main(["verify", str(path)]) == 2
    assert "--model" in capfd.readouterr().err
    assert main(["verify", str(path), "--model", str(moved)]) == 0
    capfd.readouterr()
    raised = copy.deepcopy(content)
    raised["lower"] *= 1 + 1e-12
    path.write_text(json.dumps(raised))
    assert main(["verify", str(path), "--model", str(moved)]) == 1
    assert "wrong" in capfd.readouterr().out


def test_a_softmax_that_was_left_out(tmp_path: Path) -> None:
    from onnx import helper, numpy_helper

    nodes = [helper.make_node("Gemm", ["x", "W"], ["z"], transB=1), helper.make_node("Softmax", ["z"], ["p"])]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in ("x", "p")]
    weight = numpy_helper.from_array(np.array([[1.0, 2.0], [0.5, -1.0]], np.float32), "W")
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], [weight])
    path = tmp_path / "softmax.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    result = lipc.solve(path, Query(box(0.0, 1.0), 0), drop_softmax=True)
    assert verify(json.loads(result.to_json())).holds
