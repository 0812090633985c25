"""Solution files as real solvers write them, in all styles that each of them has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)


def solved(folder: Path, solver: str, model: str = "model.mps") -> list[Path]:
    """Solve the model of a folder to the end, and return what the solver writes; skip where it is not installed."""
    path = str(folder / model)
    if solver == "highs":
        highs = pytest.importorskip("highspy").Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("mip_rel_gap", 0.0)
        highs.readModel(path)
        highs.run()
        for style in range(5):
            highs.writeSolution(str(folder / f"{style}.sol"), style)
    elif solver == "scip":
        scip = pytest.importorskip("pyscipopt").Model()
        scip.hideOutput()
        scip.readProblem(path)
        scip.optimize()
        for zeros in (False, True):
            scip.writeBestSol(str(folder / f"{zeros}.sol"), write_zeros=zeros)
    elif solver == "gurobi":
        gurobi = pytest.importorskip("gurobipy", reason="gurobipy is not installed")
        with gurobi.Env(params={"OutputFlag": 0}) as env, gurobi.read(path, env) as problem:
            problem.optimize()
            endings = ("sol", "json", "mst") if problem.SolCount else ("json",)
            for ending in endings:
                problem.write(str(folder / f"written.{ending}"))
        return [folder / f"written.{ending}" for ending in endings]
    else:
        program = {"glpk": "glpsol"}.get(solver, solver)
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        if program == "cbc":
            run(folder, "cbc", model, "ratioGap", "0", "solve", "solution", "1.sol")
            run(folder, "cbc", model, "ratioGap", "0", "printingOptions", "all", "solve", "solution", "2.sol")
        else:
            form = "--lp" if model.endswith(".lp") else "--freemps"
            run(folder, "glpsol", form, model, "-w", "1.sol")
            run(folder, "glpsol", form, model, "-o", "2.sol")
    return sorted(folder.glob("*.sol"))
