"""``lipc solvers``, and the options that choose a solver or a formulation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lipc.cli.solve import SOLVER_NAMES
from lipc.solvers.registry import NAMES, SOLVERS, readers_of

EXAMPLE = str(Path(__file__).parents[2] / "examples/two_neurons.lip")
WIDE = """
network wide {
  input x[1]
  h = relu([1e-5; 1e5] * x + [0; 1])
  output y = [1, 1] * h
}
"""


def test_the_table_has_every_solver(lipc: Callable[..., object]) -> None:
    assert SOLVER_NAMES == NAMES
    call = lipc("solvers")
    lines = call.out.splitlines()
    for name in NAMES:
        assert any(line.split()[:1] == [name] for line in lines)
    content = json.loads(lipc("solvers", "--json").out)["solvers"]
    assert [each["name"] for each in content] == list(NAMES)
    (scip,) = [each for each in content if each["name"] == "scip"]
    assert (
        scip["found"] and scip["version"].startswith("SCIP ") and scip["formulations"] == ["bigm", "indicator", "sos1"]
    )
    for each in content:
        assert each["found"] == (each["version"] is not None) and (
            each["found"] or (each["problem"] and each["install"])
        )


def test_a_solver_that_is_missing_is_told_with_how_to_install_it(
    lipc: Callable[..., object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    call = lipc("solve", "missing.onnx", "--solver", "cbc")
    assert call.code == 2 and "CBC is not installed" in call.err and "coinor-cbc" in call.err
    rows = [line for line in lipc("solvers").out.splitlines() if line.split()[:1] == ["glpk"]]
    assert "no" in rows[0].split() and "glpk-utils" in rows[0]


def test_every_solver_declares_what_it_is() -> None:
    for solver in SOLVERS:
        assert solver.title and solver.install
        assert "bigm" in solver.capabilities.formulations
    assert readers_of("indicator") == ("SCIP", "Gurobi")
    assert readers_of("sos1") == ("SCIP", "Gurobi", "CBC")


def test_highs_solves_and_logs(lipc: Callable[..., object]) -> None:
    call = lipc("solve", EXAMPLE, "--objective", "max", "--solver", "highs", "--log", "-O0", "--bounds", "interval")
    assert call.code == 0 and "maximum of the output = 4" in call.out
    assert "HiGHS" in call.out and "Running HiGHS" in call.err


@pytest.mark.skipif(shutil.which("glpsol") is None, reason="glpsol is not installed (glpk-utils)")
def test_a_command_solves_and_logs(lipc: Callable[..., object]) -> None:
    words = "glpsol --freemps {mps} -w {sol} --tmlim {time_limit} --mipgap {gap}"
    call = lipc("solve", EXAMPLE, "--objective", "max", "--solver-cmd", words, "--log", "-O0", "--bounds", "interval")
    assert call.code == 0 and "maximum of the output = 4" in call.out
    assert "GLPSOL" in call.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--solver", "highs", "--formulation", "sos1"], "HiGHS takes no programs with special ordered sets"),
        (["--solver", "highs", "--solver-cmd", "a {mps} {sol}"], "two solvers"),
        (["--solver", "highs", "--search", "bab"], "asks no solver; leave out --search bab, or --solver"),
        (["--formulation", "indicator", "--jobs", "2"], "leave out --formulation"),
        (["--solver", "cplex"], "'cplex' is not one of"),
    ],
)
def test_options_that_do_not_fit_are_refused(lipc: Callable[..., object], options: list[str], message: str) -> None:
    call = lipc("solve", EXAMPLE, *options)
    assert call.code == 2 and message in call.err and call.err.count("\n") == 1


def test_the_formulation_solves_to_the_same(lipc: Callable[..., object]) -> None:
    for formulation in ("indicator", "sos1"):
        call = lipc("solve", EXAMPLE, "--objective", "max", "--formulation", formulation)
        assert call.code == 0 and "maximum of the output = 4" in call.out


def test_a_file_that_not_every_solver_reads_is_warned_of(lipc: Callable[..., object], tmp_path: Path) -> None:
    file = tmp_path / "m.mps"
    call = lipc(EXAMPLE, "--formulation", "sos1", "-o", file)
    assert call.code == 0 and "read by SCIP, Gurobi, CBC" in call.err and call.err.rstrip().endswith("[-Wreaders]")
    assert "\nSOS\n S1 set_1\n" in file.read_text()
    call = lipc(EXAMPLE, "--formulation", "indicator", "-o", tmp_path / "m.lp")
    assert "CBC leaves them out without a word" in call.err
    assert not lipc(EXAMPLE, "--formulation", "indicator", "-o", file, "-Wno-readers").err
    assert "\nINDICATORS\n IF " in file.read_text()
    file.unlink()
    call = lipc(EXAMPLE, "--formulation", "indicator", "-o", file, "-Werror=readers")
    assert call.code == 2 and not file.exists()
    assert not lipc(EXAMPLE, "-o", file).err


def test_coefficients_that_span_too_much_are_warned_of(lipc: Callable[..., object], tmp_path: Path) -> None:
    model, file = tmp_path / "wide.lip", tmp_path / "m.mps"
    model.write_text(WIDE)
    call = lipc(model, "--box", "-1", "1", "-O0", "--bounds", "interval", "-o", file)
    assert call.code == 0 and "more than 1e8 [-Wrange]" in call.err
    assert not lipc(model, "--box", "-1", "1", "-O0", "-Wno-range", "-o", file).err
    file.unlink()
    assert lipc(model, "--box", "-1", "1", "-O0", "-Werror=range", "-o", file).code == 2
    assert not file.exists()
