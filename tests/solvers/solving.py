"""What a solver's own reader and its own search make of a file, without a line of lipc's drivers."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

import highspy
import numpy as np
import pyscipopt
import pytest
from nets import KINDS, random_network

import lipc
from lipc import Norm, Query, ball, box, from_weights
from lipc.ir import Polytope

HAS_GUROBI = importlib.util.find_spec("gurobipy") is not None
needs_cbc = pytest.mark.skipif(shutil.which("cbc") is None, reason="cbc is not installed (coinor-cbc)")
needs_glpk = pytest.mark.skipif(shutil.which("glpsol") is None, reason="glpsol is not installed (glpk-utils)")
needs_gurobi = pytest.mark.skipif(not HAS_GUROBI, reason="gurobipy is not installed")


def by_scip(path: Path) -> float:
    model = pyscipopt.Model()
    model.hideOutput()
    model.readProblem(str(path))
    model.setParam("limits/gap", 1e-9)
    model.optimize()
    assert model.getStatus() in ("optimal", "gaplimit")
    return float(model.getObjVal())


def by_highs(path: Path) -> float:
    model = highspy.Highs()
    model.silent()
    assert model.readModel(str(path)) == highspy.HighsStatus.kOk
    model.setOptionValue("mip_rel_gap", 1e-9)
    model.run()
    assert model.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(model.getInfo().objective_function_value)


def by_gurobi(path: Path) -> float:
    import gurobipy

    with gurobipy.Env(params={"OutputFlag": 0}) as env, gurobipy.read(str(path), env) as model:
        model.Params.MIPGap = 0.0
        model.optimize()
        assert model.Status == 2
        return float(model.ObjVal)


def by_cbc(path: Path) -> float:
    words = [str(path), "-preprocess", "off"]  # with it CBC 2.10.8 finds 12 for the optimum 16 of question 16
    if b"SOS\n" in (path.read_bytes() if path.suffix != ".gz" else b""):
        words += ["-cutsOnOff", "off"]  # with them it aborts
    solution = path.with_name("cbc.sol")
    solution.unlink(missing_ok=True)
    subprocess.run(
        ["cbc", *words, "-solve", "-solution", str(solution)],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    status, _, value = solution.read_text().splitlines()[0].partition(" - objective value ")
    assert status == "Optimal"
    return float(value)


def by_glpk(path: Path) -> float:
    solution = path.with_name("glpk.sol")
    option = "--lp" if ".lp" in path.name else "--freemps"
    subprocess.run(["glpsol", option, str(path), "-w", str(solution)], capture_output=True, check=True)
    (head,) = [line.split() for line in solution.read_text().splitlines() if line.startswith("s mip")]
    assert head[4] == "o"
    return float(head[5])


OWN_READERS: dict[str, Callable[[Path], float]] = {
    "scip": by_scip,
    "highs": by_highs,
    "gurobi": by_gurobi,
    "cbc": by_cbc,
    "glpk": by_glpk,
}
MARKS = {"cbc": [needs_cbc], "glpk": [needs_glpk], "gurobi": [needs_gurobi]}
EVERY_SOLVER = [pytest.param(name, marks=MARKS.get(name, [])) for name in OWN_READERS]


def question(number: int, **options: object) -> lipc.Compiled:
    """Return one of many small questions: networks, kinds of questions, and domains of all sorts, in turn.

    Networks of which bounds decide every neuron are passed over: there is nothing to choose in them.
    """
    compiled = (_question(number, seed, **options) for seed in count(number, 20))
    return next(each for each in compiled if each.mip.binaries)


def _question(number: int, seed: int, **options: object) -> lipc.Compiled:
    net = from_weights(*random_network(seed, (2, 4, 3, 2), KINDS[seed % 7]))
    rng = np.random.default_rng(number)
    domains: list[Polytope] = [
        box(-np.ones(2), np.ones(2)),
        ball(rng.normal(size=2), 0.7, None, Norm.L1),
        box(-np.ones(2), np.ones(2)).with_rows(np.array([[1.0, 1.0]]), -np.inf, np.array([0.5])),
    ]
    asked = [
        {"norm": Norm.LINF, "output": "y[0]"},
        {"norm": Norm.L1},
        {"goal": "max", "output": "y[0] - y[1]"},
        {"norm": Norm.LINF, "output_norm": Norm.L1},
        {"goal": "min", "output": "y[1]"},
    ]
    mode = ("reverse", "forward")[number % 2]
    query = Query(domains[number % 3], **asked[number % 5])  # type: ignore[arg-type]
    return lipc.compile(net, query, mode=mode, **options)  # type: ignore[arg-type]
