"""How fast models are written, next to HiGHS, gurobipy and linopy: ``python -m benchmarks.writers [--small]``.

Every case runs in a process of its own, so that the peak memory is its own. The blocks are written to a file in the
temporary folder; the others write the same matrix, HiGHS with 15 digits, so not the same numbers. Seconds are of the
processor, all threads and the system included. Memory is the growth of the peak over what was there before writing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from lipc.formats import Format, write_model
from lipc.ir import Sense
from lipc.mip import Block, MixedIntegerProgram, Role

CASES = {"sparse": 100, "dense": 0, "repeated": 100}
"""Nonzeros per row; 0 for a full square matrix. ``repeated``: 1000 different values, as after a convolution."""

WRITERS = ("mps", "lp", "mps.gz", "highs mps", "highs lp", "gurobi mps", "gurobi lp", "linopy lp")
"""Our formats, and what others write; `linopy` is given the matrix as one constraint over one array of variables."""


def make(case: str, nonzeros: int) -> MixedIntegerProgram:
    """Make a program whose matrix has the given number of nonzeros."""
    rng = np.random.default_rng(0)
    width = CASES[case] or int(nonzeros**0.5)
    m = nonzeros // width
    n = m if CASES[case] else width
    # Distinct columns in order: a random start, then steps that add up to less than n.
    step = n // width
    indices = np.arange(width) * step + rng.integers(0, step, size=(m, width))
    data = rng.normal(size=m * width)
    if case == "repeated":
        data = rng.choice(data[:1000], size=m * width)
    matrix = csr_array((data, indices.ravel(), np.arange(m + 1) * width), shape=(m, n))
    return MixedIntegerProgram(
        matrix=matrix,
        row_lower=np.full(m, -np.inf),
        row_upper=rng.normal(size=m),
        column_lower=np.where(np.arange(n) % 4 == 0, 0.0, -1.5),
        column_upper=np.ones(n),
        integer=np.arange(n) % 4 == 0,
        cost=rng.normal(size=n),
        constant=0.0,
        sense=Sense.MAXIMIZE,
        columns=(Block("net.Gemm_0", 0, np.arange(n), 0, Role.VALUE),),
        rows=(Block("c.Gemm_0", 0, np.arange(m), 0),),
        column_scale=np.ones(n),
    )


def highs_writer(program: MixedIntegerProgram, path: Path) -> Callable[[], object]:
    """Return what writes a model with HiGHS, which has taken the program over before."""
    import highspy

    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = program.matrix.shape
    lp.row_lower_, lp.row_upper_ = program.row_lower, program.row_upper
    lp.col_lower_, lp.col_upper_, lp.col_cost_ = program.column_lower, program.column_upper, -program.cost
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = program.matrix.indptr, program.matrix.indices
    lp.a_matrix_.value_ = program.matrix.data
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    lp.integrality_ = [kinds[whole] for whole in program.integer.tolist()]
    lp.col_names_, lp.row_names_ = program.column_names(), program.row_names()
    solver.passModel(lp)
    return lambda: solver.writeModel(str(path))


def gurobi_writer(program: MixedIntegerProgram, path: Path) -> Callable[[], object]:
    """Return what writes a model with gurobipy; its free licence writes models of any size."""
    import gurobipy

    environment = gurobipy.Env(params={"OutputFlag": 0})
    model = gurobipy.Model(env=environment)
    kinds = np.where(program.integer, "I", "C")
    x = model.addMVar(len(program.cost), program.column_lower, program.column_upper, -program.cost, kinds)
    model.addMConstr(program.matrix, x, "<", program.row_upper)
    model.update()
    return lambda: model.write(str(path))


def linopy_writer(program: MixedIntegerProgram, path: Path) -> Callable[[], object]:
    """Return what writes a model with linopy: terms in a rectangle, as its constraints are."""
    import linopy
    import xarray

    model = linopy.Model()
    rows, columns = program.matrix.shape
    x = model.add_variables(program.column_lower, program.column_upper, coords=[range(columns)], name="x")
    width = program.matrix.nnz // rows  # all rows have as many entries here
    places = xarray.DataArray(program.matrix.indices.reshape(rows, width), dims=["row", "_term"])
    coefficients = xarray.DataArray(program.matrix.data.reshape(rows, width), dims=["row", "_term"])
    labels = x.labels.values[places.values]
    terms = xarray.Dataset({"coeffs": coefficients, "vars": (("row", "_term"), labels)})
    expression = linopy.LinearExpression(terms, model)
    model.add_constraints(expression <= xarray.DataArray(program.row_upper, dims=["row"]), name="c")
    model.add_objective((x * -program.cost).sum())
    return lambda: model.to_file(path, progress=False)


MODULES = {"highs": "highspy", "gurobi": "gurobipy", "linopy": "linopy"}
OTHERS = {"highs": highs_writer, "gurobi": gurobi_writer, "linopy": linopy_writer}


def measure(case: str, nonzeros: int, writer: str, repeat: int) -> dict[str, float]:
    program = make(case, nonzeros)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{writer.split()[-1]}"
        library = OTHERS.get(writer.split()[0])
        write = library(program, path) if library else lambda: write_model(program, path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = []
        for _ in range(repeat):
            start = time.process_time()
            write()
            seconds.append(time.process_time() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        size = path.stat().st_size
    return {"seconds": statistics.median(seconds), "bytes": size, "peak": peak * 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the writers.")
    parser.add_argument("--repeat", type=int, default=3, help="runs per case; the median is printed")
    parser.add_argument("--small", action="store_true", help="only 1e5 nonzeros, to see that it works")
    parser.add_argument("--one", nargs=3, metavar=("CASE", "NONZEROS", "WRITER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        case, nonzeros, writer = options.one
        print(json.dumps(measure(case, int(nonzeros), writer, options.repeat)))
        return
    missing = [name for name, module in MODULES.items() if importlib.util.find_spec(module) is None]
    for name in missing:
        print(f"not installed: {name}", file=sys.stderr)
    assert set(Format) >= {Format(writer) for writer in WRITERS if " " not in writer}
    print(f"{'matrix':10}{'nonzeros':>10}  {'writer':11}{'seconds':>9}{'Mnz/s':>8}{'MB':>8}{'peak MB':>9}")
    for nonzeros in (100_000,) if options.small else (1_000_000, 5_000_000):
        for case in CASES:
            for writer in WRITERS:
                if writer.split()[0] in missing:
                    continue
                command = [sys.executable, "-m", "benchmarks.writers", "--repeat", str(options.repeat)]
                command += ["--one", case, str(nonzeros), writer]
                out = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ).stdout
                found = json.loads(out.splitlines()[-1])
                rate = nonzeros / found["seconds"] / 1e6
                print(
                    f"{case:10}{nonzeros:10}  {writer:11}{found['seconds']:9.2f}{rate:8.2f}"
                    f"{found['bytes'] / 1e6:8.1f}{found['peak'] / 1e6:9.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
