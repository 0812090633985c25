"""Every solver, by its own reader and by lipc's driver, finds one optimum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lipc
from lipc.ir import Sense
from lipc.mip import Formulation, MixedIntegerProgram
from lipc.solvers.base import Ending, Task
from lipc.solvers.custom import CustomSolver
from lipc.solvers.handover import Handover
from lipc.solvers.registry import solver_named
from lipc.solving.correspondence import Correspondence
from tests.mip.mip_solving import optimum
from tests.solvers.solving import EVERY_SOLVER, MARKS, OWN_READERS, needs_cbc, question

ENDINGS = ("mps", "lp", "mps.gz")
QUICK = 3


def in_own_sense(program: MixedIntegerProgram, cost: float) -> float:
    sign = -1.0 if program.sense is Sense.MAXIMIZE else 1.0
    return sign * program.objective_scale * cost + program.constant


@pytest.mark.parametrize("name", EVERY_SOLVER)
@pytest.mark.parametrize(
    "number", [pytest.param(number, marks=[] if number < QUICK else [pytest.mark.slow]) for number in range(20)]
)
def test_a_file_has_one_optimum(tmp_path: Path, name: str, number: int) -> None:
    program = question(number).mip
    found = optimum(program)
    assert found is not None
    expected = found[0]
    for ending in ENDINGS:
        path = tmp_path / f"model.{ending}"
        lipc.write_model(program, path)
        assert in_own_sense(program, OWN_READERS[name](path)) == pytest.approx(expected, rel=2e-6, abs=2e-6)


@pytest.mark.parametrize("name", EVERY_SOLVER)
@pytest.mark.parametrize("number", [2, 4, pytest.param(7, marks=pytest.mark.slow)])
def test_each_solver_closes_a_question(name: str, number: int) -> None:
    compiled = question(number)
    mine = lipc.solve(compiled, solver=solver_named(name))
    reference = lipc.solve(compiled, solver=solver_named("scip"))
    assert mine.certified and mine.status == "optimal" and not mine.note
    assert mine.solver == solver_named(name).version()
    assert mine.lower == pytest.approx(reference.lower, rel=1e-4, abs=1e-4)
    assert mine.lower <= reference.upper and reference.lower <= mine.upper


@needs_cbc
def test_a_wrong_optimum_of_cbc_is_refuted_or_avoided() -> None:
    """CBC 2.10.8 as it comes calls 12 optimal, where a witness attains 16."""
    compiled = question(16)
    careless = lipc.solve(compiled, solver=CustomSolver("cbc {lp} -solve -solution {sol}"))
    assert careless.lower == pytest.approx(16) and careless.upper >= 16
    assert careless.certified or "the witness attains 16" in careless.note
    careful = lipc.solve(compiled, solver=solver_named("cbc"))
    assert careful.certified and careful.upper == pytest.approx(16, rel=1e-5) and careful.upper >= 16


FORMULATED = [
    pytest.param(name, formulation, marks=MARKS.get(name, []))
    for name, formulation in [
        ("scip", "indicator"),
        ("scip", "sos1"),
        ("gurobi", "indicator"),
        ("gurobi", "sos1"),
        ("cbc", "sos1"),
    ]
]


@pytest.mark.parametrize(("name", "formulation"), FORMULATED)
@pytest.mark.parametrize("number", [0, 1, 2, *(pytest.param(each, marks=pytest.mark.slow) for each in range(3, 20))])
def test_the_formulations_are_one_program(tmp_path: Path, name: str, formulation: Formulation, number: int) -> None:
    plain, other = question(number).mip, question(number, formulation=formulation).mip
    assert (plain.formulation, other.formulation) == ("bigm", formulation)
    lipc.write_model(plain, tmp_path / "plain.mps")
    expected = OWN_READERS["highs"](tmp_path / "plain.mps")
    for ending in ("mps", "lp"):
        lipc.write_model(other, tmp_path / f"other.{ending}")
        assert OWN_READERS[name](tmp_path / f"other.{ending}") == pytest.approx(expected, rel=2e-5, abs=2e-5)
    outcome = solver_named(name).solve(Task(other))
    assert outcome.ending is Ending.OPTIMAL and not outcome.faults
    assert outcome.bound == pytest.approx(in_own_sense(plain, expected), rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("formulation", ["bigm", "indicator", "sos1"])
@pytest.mark.parametrize("number", range(8))
def test_a_point_of_the_network_is_a_solution_of_each(formulation: Formulation, number: int) -> None:
    compiled = question(number, formulation=formulation)
    point = np.random.default_rng(number).normal(size=2) * 0.3 + compiled.asked.network_input()[1].clip(np.zeros(2))
    columns = Correspondence(compiled).columns_at(compiled.asked.network_input()[1].clip(point))
    assert columns is not None
    handover = Handover.of(Task(compiled.mip, start=columns))
    start = handover.start()
    assert start is not None and handover.violation(start) < 1e-9
    flipped = start.copy()
    flipped[compiled.mip.integer] = 1.0 - flipped[compiled.mip.integer]
    assert not compiled.mip.binaries or handover.violation(flipped) > 1e-3


@pytest.mark.parametrize("name", EVERY_SOLVER)
def test_a_bound_is_never_inside_the_truth(name: str) -> None:
    """At a wide gap a solver stops early: what it calls optimal is widened by what it may have dropped."""
    compiled = question(6)
    truth = lipc.solve(compiled, solver=solver_named("scip")).lower
    for gap in (0.5, 0.1, 1e-9):
        outcome = solver_named(name).solve(Task(compiled.mip, gap=gap))
        slack = solver_named(name).slack(compiled.mip)
        assert outcome.bound + slack >= truth
