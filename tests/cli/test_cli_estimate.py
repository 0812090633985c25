"""``lipc estimate``: the table, JSON lines, the list of methods, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_process import Call

from lipc.estimators.catalogue import estimator_names

MODEL = str(Path(__file__).parents[2] / "examples/two_neurons.lip")
"""The constant over its domain in l_inf is 4: both neurons on, or one of them."""

Lipc = Callable[..., Call]


def rows(out: str) -> dict[str, list[str]]:
    """The words of each line of the table, by method."""
    return {line.split()[0]: line.split() for line in out.splitlines()[1:] if line[0] != " "}


def test_the_table(lipc: Lipc) -> None:
    done = lipc("estimate", MODEL, "--method", "naive,autolip", "--method", "lipmip")
    assert done.code == 0
    assert done.out.splitlines()[0].split() == ["method", "kind", "value", "seconds", "what", "it", "refers", "to"]
    found = rows(done.out)
    assert list(found) == ["naive", "autolip", "lipmip"]
    assert found["naive"][1:3] == ["upper", "6"]
    assert " ".join(found["naive"][4:]) == "l_inf, everywhere"
    assert found["lipmip"][1:3] == ["exact", "4"]
    assert " ".join(found["lipmip"][4:]) == "l_inf, domain"
    assert " ".join(found["autolip"][4:]) == "l_2, everywhere; times sqrt(2), l_2 to l_inf"
    assert [line.split()[1] for line in done.err.splitlines()] == ["naive:", "autolip:", "lipmip:"]
    assert lipc("estimate", MODEL, "--method", "naive", "-q").err == ""


def test_json_lines(lipc: Lipc) -> None:
    done = lipc("estimate", MODEL, "--method", "random{samples=50},fastlip,lipopt", "--json", "--norm", "l2")
    assert done.err == ""
    lower, upper, other = map(json.loads, done.out.splitlines())
    assert (lower["method"], lower["kind"], lower["norm"]) == ("random{samples=50}", "lower", "l_2")
    assert lower["witness"]["value"] == lower["value"] <= upper["value"]
    assert (other["factor"], other["norm"]) == ("1, l_inf to l_2", "l_inf")
    assert all(each["source"] and not each["refusal"] for each in (lower, upper, other))


def test_options_of_a_method(lipc: Lipc) -> None:
    done = lipc("estimate", MODEL, "--method", "jacobian-crown{nodes=50},fastlip{bounds=linear}")
    found = rows(done.out)
    assert found["jacobian-crown{nodes=50}"][1:3] == ["exact", "4"]
    assert "fastlip{bounds=linear}" in found


def test_the_list_has_every_method_and_its_source(lipc: Lipc) -> None:
    done = lipc("estimate", "--list")
    assert (done.code, done.err) == (0, "")
    starts = [line.strip().partition("{")[0].partition(":")[0] for line in done.out.splitlines() if line[2:3].strip()]
    assert starts[1:] == estimator_names()
    assert "lipsdp{mode=neuron}" in done.out
    assert "NeurIPS 2020" in done.out
    assert "``" not in done.out
    assert max(map(len, done.out.splitlines())) <= 120


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--method", "fastlib"], ["--method:1:1: error: there is no method 'fastlib'", "did you mean 'fastlip'?"]),
        (["--method", "lipsdp{mod=layer}"], ["has no option 'mod'", "did you mean 'mode'?"]),
        (["--method", "lipsdp{mode=pairs}"], ["is one of neuron, layer, network, not 'pairs'"]),
        (["--method", "clever{batches=1}"], ["clever needs two batches"]),
        (["--all", "--method", "naive"], ["--all and --method exclude each other"]),
        ([], ["no method is named", "--list shows them"]),
        (["--all", "--objective", "max"], ["the estimators answer Lipschitz questions; --objective lipschitz"]),
        (["--all", "--time-limit", "-1"], ["--time-limit"]),
        (["--all", "--radius", "1"], ["--radius"]),
    ],
)
def test_mistakes(lipc: Lipc, args: list[str], words: list[str]) -> None:
    done = lipc("estimate", MODEL, *args)
    assert (done.code, done.out) == (2, "")
    assert all(word in done.err for word in words), done.err
    assert "Traceback" not in done.err


def test_a_method_that_does_not_apply(lipc: Lipc) -> None:
    refused = "liplp{mode=reverse}"
    done = lipc("estimate", MODEL, "--norm", "l2", "--method", f"{refused},naive")
    assert done.code == 1  # it was named
    found = rows(done.out)
    assert found[refused][1:3] == ["-", "-"]
    assert found[refused][4:7] == ["does", "not", "apply:"]
    assert found["naive"][1] == "upper"
    done = lipc("estimate", MODEL, "--norm", "l2", "--method", refused, "--json")
    record = json.loads(done.out)
    assert (done.code, record["value"], record["kind"]) == (1, None, "upper")
    assert "l_2" in record["refusal"]


def test_all_methods_where_one_does_not_apply(lipc: Lipc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lipc.estimators import run

    monkeypatch.setattr(run, "estimator_names", lambda: ["naive", "lipopt"])
    wide = tmp_path / "wide.lip"
    wide.write_text(f"network n {{\n  input x[1]\n  h = relu(x)\n  output y = [{'; '.join(['1'] * 13)}] * h\n}}\n")
    done = lipc("estimate", str(wide), "--all", "-q", "--box", "0", "1", "--output-norm", "l1")
    assert (done.code, done.err) == (0, "")
    assert rows(done.out)["lipopt"][4:6] == ["does", "not"]
    assert float(rows(done.out)["naive"][2]) == 13.0
    monkeypatch.setattr(run, "estimator_names", lambda: ["lipopt"])
    assert lipc("estimate", str(wide), "--all", "-q", "--box", "0", "1", "--output-norm", "l1").code == 1


UNION = """
(declare-const X_0 Real)
(declare-const X_1 Real)
(declare-const Y_0 Real)
(assert (or
  (and (>= X_0 -1.0) (<= X_0 -0.5) (>= X_1 0.75) (<= X_1 1.0))
  (and (>= X_0 -1.0) (<= X_0 -0.75) (>= X_1 -0.5) (<= X_1 0.5))))
"""
"""First neuron on and second off: the slopes are (2, 2); then both off."""


def test_over_a_union_of_domains(lipc: Lipc, tmp_path: Path) -> None:
    (tmp_path / "union.vnnlib").write_text(UNION)
    args = ["--vnnlib", str(tmp_path / "union.vnnlib"), "--method", "lipmip,fastlip,random{samples=20}", "--json"]
    exact, upper, lower = (json.loads(line) for line in lipc("estimate", MODEL, *args).out.splitlines())
    assert exact["kind"] == "exact"
    assert 4.0 <= exact["value"] <= 4.0 * (1 + 1e-6)
    assert upper["value"] >= 4.0
    assert lower["value"] == 4.0
    assert 0.75 <= lower["witness"]["x"][1] <= 1.0


def test_what_a_file_asks_and_the_default_domain(lipc: Lipc, small: str) -> None:
    done = lipc("estimate", small, "--method", "naive", "-q")
    assert (done.code, done.err.count("note: no domain given")) == (0, 1)
    assert "note" not in lipc("estimate", MODEL, "--method", "naive", "-q").err


def test_a_full_time_limit_still_answers(lipc: Lipc, models: Path) -> None:
    done = lipc(
        "estimate", models / "hard.onnx", "--method", "lipmip", "--time-limit", "0.5", "--json", "--box", "0", "1"
    )
    record = json.loads(done.out)
    assert record["kind"] == "upper"
    assert record["witness"]["value"] <= record["value"]
    assert record["seconds"] < 10
