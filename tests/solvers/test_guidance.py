"""Settings and start solutions in files, as SCIP reads them, and which bits are branched on first."""

from __future__ import annotations

from pathlib import Path

import highspy
import numpy as np
import pyscipopt
import pytest
from nets import random_network

import lipc
from lipc import Norm, Query, box, from_weights
from lipc.cli.main import main
from lipc.formats.lir import write_lir
from lipc.mip import Role, scale
from lipc.solvers.guidance import SCIP_SETTINGS, branching_priorities, scip_settings, start_text
from lipc.solving.start import start_columns


def network(seed: int = 1) -> lipc.Network:
    return from_weights(*random_network(seed, (3, 6, 6, 1)))


def compiled(goal: str = "lipschitz", mode: str = "auto", norm: Norm = Norm.LINF) -> lipc.Compiled:
    query = Query(box(-np.ones(3), np.ones(3)), norm=norm, goal=goal)  # type: ignore[arg-type]
    return lipc.compile(network(), query, mode=mode)  # type: ignore[arg-type]


def test_every_setting_is_one_that_scip_knows_and_changes_something() -> None:
    model = pyscipopt.Model()
    for name, value in SCIP_SETTINGS.items():
        assert type(model.getParam(name)) is type(value)
        assert model.getParam(name) != value


def test_scip_reads_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "model.set"
    file.write_text(scip_settings(gap=1e-4, seed=3))
    model = pyscipopt.Model()
    model.hideOutput()
    model.readParams(str(file))
    for name, value in {**SCIP_SETTINGS, "limits/gap": 1e-4, "randomization/randomseedshift": 3}.items():
        assert model.getParam(name) == value


@pytest.mark.parametrize("goal", ["lipschitz", "max", "min"])
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_start_is_feasible_and_its_value_attained(goal: str, mode: str) -> None:
    question = compiled(goal, mode)
    columns = start_columns(question)
    assert columns is not None
    activity = question.mip.matrix @ columns
    assert (activity >= question.mip.row_lower - 1e-9).all() and (activity <= question.mip.row_upper + 1e-9).all()
    answer = lipc.solve(question)
    value, best = question.mip.objective(columns), answer.upper if goal == "min" else answer.lower
    assert (value >= best - 1e-9) if goal == "min" else (value <= best + 1e-9)
    if goal == "lipschitz":
        assert value == pytest.approx(best, rel=1e-6)


def test_scip_takes_the_files_of_the_command_line(tmp_path: Path) -> None:
    write_lir(network().program, tmp_path / "net.lir")
    files = {name: tmp_path / f"model.{name}" for name in ("mps", "sol", "set")}
    arguments = [str(tmp_path / "net.lir"), "--box", "-1", "1", "-o", str(files["mps"])]
    assert main([*arguments, "--settings", str(files["set"]), "--start", str(files["sol"])]) == 0
    model = pyscipopt.Model()
    model.hideOutput()
    model.readProblem(str(files["mps"]))
    model.readParams(str(files["set"]))
    solution = model.readSolFile(str(files["sol"]))
    assert model.checkSol(solution, original=True)
    start = model.getSolObjVal(solution)
    assert model.addSol(solution)
    model.optimize()
    assert model.getStatus() in ("optimal", "gaplimit")
    assert start == pytest.approx(model.getObjVal(), rel=1e-6)


def test_a_mst_file_holds_a_value_for_each_name() -> None:
    question = compiled()
    columns = start_columns(question)
    assert columns is not None
    head, *lines = start_text(question.mip, columns, ".mst").splitlines()
    assert head.startswith("#")
    read = dict(line.split() for line in lines)
    assert list(read) == question.mip.column_names()
    np.testing.assert_array_equal([float(read[name]) for name in read], columns)


def test_an_unknown_ending_of_a_start_is_refused_before_the_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["missing.onnx", "-o", str(tmp_path / "m.mps"), "--start", str(tmp_path / "m.txt")]) != 0
    assert ".sol, .mst" in capfd.readouterr().err


@pytest.mark.parametrize(("norm", "name"), [(Norm.LINF, "a_sign"), (Norm.L1, "entry")])
def test_the_signs_or_the_entry_of_the_gradient_are_branched_on_first_and_nothing_else(norm: Norm, name: str) -> None:
    question = compiled(mode="reverse", norm=norm)
    priorities = branching_priorities(scale(question.mip, (1.0, 1.0)))
    signs = [block for block in question.mip.columns if block.name.startswith(name)]
    assert signs and all(block.role is Role.BIT for block in signs)
    expected = np.zeros(len(priorities), np.int64)
    for block in signs:
        expected[block.columns] = 1
    np.testing.assert_array_equal(priorities, expected)
    assert not branching_priorities(compiled("max").mip).any()
    assert not branching_priorities(compiled(mode="forward").mip).any()


def test_highs_reads_the_model_beside_the_start(tmp_path: Path) -> None:
    question = compiled()
    lipc.write_model(question.mip, tmp_path / "m.mps")
    highs = highspy.Highs()
    highs.silent()
    highs.readModel(str(tmp_path / "m.mps"))
    columns = start_columns(question)
    assert columns is not None
    solution = highspy.HighsSolution()
    solution.col_value = columns.tolist()
    assert highs.setSolution(solution) == highspy.HighsStatus.kOk
    highs.run()
    assert -highs.getInfo().objective_function_value == pytest.approx(question.mip.objective(columns), rel=1e-6)
