"""Cases with known answers, and real models, that are too large for the repository."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from spread import spread

import lipc
from lipc import Functional, Norm, Options, Query, Result, ball, box
from lipc.cli.main import main
from lipc.formats import read_sidecar
from tests.solvers.solving import by_highs, by_scip

RELATIVE = 1e-5


@pytest.fixture(scope="module")
def cases(shared: Path) -> dict[str, Any]:
    content = json.loads((shared / "reference" / "cases.json").read_text())
    return {case["case"]: case for case in content}


def query_of(case: dict[str, Any], norm: str) -> Query:
    domain = case["domain"]
    where = box(domain["lo"], domain["hi"]) if domain["type"] == "box" else ball(domain["center"], domain["radius"])
    return Query(where, Functional(dict(enumerate(case["c"]))), Norm(norm))


def solve(shared: Path, case: dict[str, Any], norm: str, mode: str = "auto", limit: float = 600.0) -> Result:
    path = shared / "reference" / "nets" / f"{case['net']}.onnx"
    return lipc.solve(path, query_of(case, norm), mode=mode, options=Options(time_limit=limit))  # type: ignore[arg-type]


def gradient_norm(shared: Path, case: dict[str, Any], norm: str, x: np.ndarray) -> float:
    """Return the dual norm of the gradient at a point, from the arrays of the case."""
    arrays = np.load(shared / "reference" / "nets" / f"{case['net']}.npz")
    weights = [arrays[name].astype(float) for name in sorted(arrays) if name[0] == "W"]
    biases = [arrays[name].astype(float) for name in sorted(arrays) if name[0] == "b"]
    jacobian = np.eye(len(x))
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = weight @ x + bias
        jacobian = (x > 0)[:, None] * (weight @ jacobian)
        x = np.maximum(x, 0)
    gradient = np.asarray(case["c"]) @ weights[-1] @ jacobian
    return float(np.abs(gradient).sum() if norm == "linf" else np.abs(gradient).max())


def check(shared: Path, case: dict[str, Any], norm: str, result: Result) -> None:
    reference = case["reference"][norm]
    assert reference["kind"] == "exact"
    assert (result.status, result.certified) == ("optimal", True)
    assert result.lower == pytest.approx(reference["value"], rel=RELATIVE)
    assert result.upper == pytest.approx(reference["value"], rel=RELATIVE)
    assert result.lower <= result.upper
    assert result.witness is not None
    assert result.lower == pytest.approx(gradient_norm(shared, case, norm, result.witness.x), rel=1e-9)
    low, high = query_of(case, norm).domain.lower, query_of(case, norm).domain.upper  # type: ignore[union-attr]
    assert ((low <= result.witness.x) & (result.witness.x <= high)).all()


TRAINED = "syn_10-20-30-20-2_trained_s0"
SMALL = ["tiny_2-8-8-1_s0", "tiny_4-10-10-1_s0", *[f"digits17_64-20-20-20-2_s0_p{k}" for k in range(3)]]


@pytest.mark.parametrize(("name", "norm", "mode"), spread(SMALL, ["linf", "l1"], ["reverse", "forward"], every=3))
def test_quick_cases(shared: Path, cases: dict[str, Any], name: str, norm: str, mode: str) -> None:
    check(shared, cases[name], norm, solve(shared, cases[name], norm, mode))


def ask_both(shared: Path, case: dict[str, Any], norm: str, limit: float) -> tuple[Result, Result]:
    path = shared / "reference" / "nets" / f"{case['net']}.onnx"
    own, by_solver = (
        lipc.solve(path, query_of(case, norm), options=Options(search=search, time_limit=limit))  # type: ignore[arg-type]
        for search in ("bab", "mip")
    )
    assert own.upper_kind == "rigorous"
    # Each pair holds the other's witness.
    assert max(own.lower, by_solver.lower) <= min(own.upper, by_solver.upper)
    return own, by_solver


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        *spread(SMALL, ["linf", "l1"], every=3),
        *(pytest.param(TRAINED, norm, marks=pytest.mark.slow) for norm in ("linf", "l1")),
    ],
)
def test_both_searches_say_the_same(shared: Path, cases: dict[str, Any], name: str, norm: str) -> None:
    """Of the reference cases that both finish."""
    own, by_solver = ask_both(shared, cases[name], norm, 600.0)
    assert own.status == by_solver.status == "optimal"
    assert own.lower == pytest.approx(by_solver.lower, rel=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize("name", ["small_10-20-20-1_s0", "small_10-15-15-15-1_s0", "syn_10-20-30-20-2_rand_s0"])
def test_where_a_search_is_cut_short_pairs_agree(shared: Path, cases: dict[str, Any], name: str, norm: str) -> None:
    ask_both(shared, cases[name], norm, 60.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "norm"),
    [
        ("syn_10-20-30-20-2_trained_s0", "linf"),
        ("syn_10-20-30-20-2_trained_s0", "l1"),
        ("mnist17_784-20-20-20-2_s0_p0", "linf"),
        ("mnist17_784-20-20-20-2_s0_p2", "linf"),
    ],
)
def test_slow_cases(shared: Path, cases: dict[str, Any], name: str, norm: str) -> None:
    check(shared, cases[name], norm, solve(shared, cases[name], norm))


@pytest.mark.parametrize("seconds", [0.5, pytest.param(1.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize(
    "name",
    ["small_10-20-20-1_s0", "small_10-15-15-15-1_s0", "syn_10-20-30-20-2_rand_s0", "mnist17_784-20-20-20-2_s0_p1"],
)
def test_a_hard_case_cut_short_gives_a_pair_around_the_reference(
    shared: Path, cases: dict[str, Any], name: str, norm: str, seconds: float
) -> None:
    if norm not in cases[name]["reference"]:
        pytest.skip("no reference in this norm")
    reference = cases[name]["reference"][norm]
    result = solve(shared, cases[name], norm, limit=seconds)
    assert result.lower <= result.upper
    assert result.upper >= reference["value"] * (1 - RELATIVE)
    if reference["kind"] == "exact":
        assert result.lower <= reference["value"] * (1 + RELATIVE)
    elif "upper" in reference:
        assert result.lower <= reference["upper"] * (1 + RELATIVE)


# The file is the question: other programs' readers must find the same answer in it.


def box_options(case: dict[str, Any], folder: Path) -> list[str]:
    domain = query_of(case, "linf").domain
    assert domain is not None
    np.save(folder / "low.npy", domain.lower)
    np.save(folder / "high.npy", domain.upper)
    return ["--box", str(folder / "low.npy"), str(folder / "high.npy")]


@pytest.mark.parametrize(
    ("name", "ending"), spread(["tiny_2-8-8-1_s0", "digits17_64-20-20-20-2_s0_p0"], ["mps", "lp", "mps.gz"], every=2)
)
def test_the_file_has_the_answer_as_its_optimum(
    shared: Path,
    cases: dict[str, Any],
    name: str,
    ending: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    case = cases[name]
    output = " ".join(f"{'-' if weight < 0 else '+'} {abs(weight)}*y[{k}]" for k, weight in enumerate(case["c"]))
    question = [str(shared / "reference" / "nets" / f"{case['net']}.onnx"), *box_options(case, tmp_path)]
    question += ["--output", output]
    path = tmp_path / f"model.{ending}"
    assert main([*question, "-o", str(path)]) == 0
    assert main(["solve", *question, "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    sidecar = read_sidecar(tmp_path / "model.map.json")
    assert sidecar.sign == -1
    for optimum in (by_scip, by_highs):
        found = sidecar.original(optimum(path))
        assert found == pytest.approx(answer["lower"], rel=RELATIVE)
        assert found == pytest.approx(case["reference"]["linf"]["value"], rel=RELATIVE)


# Real models: with the box of their property through the command line, within limits of time and memory.

MODELS = [
    ("test/test_nano.onnx", "test/test_nano.vnnlib"),
    pytest.param("test/test_tiny.onnx", "test/test_tiny.vnnlib", marks=pytest.mark.slow),
    ("test/test_small.onnx", "test/test_small.vnnlib"),
    ("test/test_sat.onnx", "test/test_prop.vnnlib"),
    pytest.param("test/test_unsat.onnx", "test/test_prop.vnnlib", marks=pytest.mark.slow),
    ("acasxu/ACASXU_run2a_1_1_batch_2000.onnx", "acasxu/prop_1.vnnlib"),
    pytest.param("acasxu/ACASXU_run2a_1_1_batch_2000.onnx", "acasxu/prop_2.vnnlib", marks=pytest.mark.slow),
    ("acasxu/ACASXU_run2a_1_1_batch_2000.onnx", "acasxu/prop_3.vnnlib"),
    pytest.param("mnistfc/mnist-net_256x2.onnx", "mnistfc/prop_0_0.03.vnnlib", marks=pytest.mark.slow),
    ("mnistfc/mnist-net_256x2.onnx", "mnistfc/prop_0_0.05.vnnlib"),
    pytest.param("verivital/Convnet_maxpool.onnx", "verivital/prop_0_0.004.vnnlib", marks=pytest.mark.slow),
    pytest.param("cifar10_resnet/resnet_2b.onnx", "cifar10_resnet/prop_0_eps_0.008.vnnlib", marks=pytest.mark.slow),
]

MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def box_of_property(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the inputs that a VNN-LIB property states."""
    sides: dict[str, dict[int, float]] = {">=": {}, "<=": {}}
    for relation, index, number in re.findall(r"\((<=|>=)\s+X_(\d+)\s+([-+.\deE]+)\)", path.read_text()):
        sides[relation][int(index)] = float(number)
    low, high = sides[">="], sides["<="]
    assert list(range(len(low))) == sorted(low) == sorted(high)
    return np.array([low[k] for k in sorted(low)]), np.array([high[k] for k in sorted(high)])


@pytest.mark.parametrize(("model", "question"), MODELS)
def test_real_models_compile(shared: Path, tmp_path: Path, model: str, question: str) -> None:
    low, high = box_of_property(shared / "models" / question)
    np.save(tmp_path / "low.npy", low)
    np.save(tmp_path / "high.npy", high)
    call = [
        sys.executable,
        "-m",
        "lipc",
        str(shared / "models" / model),
        "-Wno-range",
        "-o",
        str(tmp_path / "model.mps.gz"),
    ]
    call += ["--box", str(tmp_path / "low.npy"), str(tmp_path / "high.npy")]
    begun = perf_counter()
    done = subprocess.run([sys.executable, "-c", MEASURE, *call], capture_output=True, text=True, check=True)
    seconds = perf_counter() - begun
    code, kibibytes = map(int, done.stdout.split())
    assert (code, done.stderr) == (0, "")
    assert seconds < 60
    assert kibibytes < 4 * 2**20
    text = gzip.decompress((tmp_path / "model.mps.gz").read_bytes())
    assert text.endswith(b"ENDATA\n")
    sidecar = read_sidecar(tmp_path / "model.map.json")
    domain = sidecar.facts["query"]["domain"]  # type: ignore[index, call-overload]
    assert domain["inputs"] == len(low)
    counts = sidecar.facts["neurons"]["counts"]  # type: ignore[index, call-overload]
    assert counts["on"] + counts["off"] + counts["unstable"] == counts["total"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize(
    ("model", "question"),
    [
        ("verivital/Convnet_maxpool.onnx", "verivital/prop_0_0.004.vnnlib"),
        ("cifar10_resnet/resnet_2b.onnx", "cifar10_resnet/prop_0_eps_0.008.vnnlib"),
    ],
)
def test_large_models_in_both_modes(shared: Path, tmp_path: Path, model: str, question: str, mode: str) -> None:
    domain = box(*box_of_property(shared / "models" / question))
    compiled = lipc.compile(shared / "models" / model, Query(domain, 0), mode=mode)  # type: ignore[arg-type]
    assert lipc.write_model(compiled.mip, tmp_path / "model.mps.gz")
    assert compiled.bound > 0
