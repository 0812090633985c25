"""Small programs of every kind, and what the solvers' own readers make of a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import highspy
import numpy as np
import pyscipopt
from scipy.sparse import csr_array

from lipc.ir import Sense
from lipc.mip import Block, MixedIntegerProgram, Role

INF = np.inf


def program(
    matrix,
    *,
    rows=None,
    bounds=None,
    integer=None,
    cost=None,
    constant=0.0,
    sense=Sense.MINIMIZE,
    columns=None,
    row_blocks=None,
) -> MixedIntegerProgram:
    """Make a program from lists; rows and bounds are pairs (lower, upper)."""
    sparse = csr_array(np.atleast_2d(np.asarray(matrix, dtype=float)))
    m, n = sparse.shape
    rows = np.array(rows if rows is not None else [(-INF, 1.0)] * m, dtype=float).reshape(m, 2)
    bounds = np.array(bounds if bounds is not None else [(0.0, INF)] * n, dtype=float).reshape(n, 2)
    return MixedIntegerProgram(
        matrix=sparse,
        row_lower=rows[:, 0].copy(),
        row_upper=rows[:, 1].copy(),
        column_lower=bounds[:, 0].copy(),
        column_upper=bounds[:, 1].copy(),
        integer=np.array(integer if integer is not None else [False] * n, dtype=bool),
        cost=np.array(cost if cost is not None else [1.0] * n, dtype=float),
        constant=constant,
        sense=sense,
        columns=columns or (Block("x", 0, np.arange(n), 0, Role.VALUE, "net.onnx: Gemm_0"),),
        rows=row_blocks or (Block("c", 0, np.arange(m), 0),),
        column_scale=np.ones(n),
    )


def random_program(seed: int) -> MixedIntegerProgram:
    """Make a feasible and bounded program with all kinds of rows and bounds, empty rows and empty columns."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 8)), int(rng.integers(2, 10))
    matrix = rng.normal(size=(m, n)) * 10.0 ** rng.integers(-3, 4, size=(m, n)) * (rng.random((m, n)) < 0.6)
    matrix[rng.random((m, n)) < 0.2] = 1.0
    matrix[:, rng.random(n) < 0.15] = 0.0
    matrix[rng.random(m) < 0.1] = 0.0
    integer = rng.random(n) < 0.5
    point = np.where(integer, rng.integers(-3, 4, n), rng.normal(size=n)).astype(float)
    kind = rng.integers(0, 7, size=n)
    point[integer & (kind == 0)] = rng.integers(0, 2, int((integer & (kind == 0)).sum()))
    point[kind == 5] = -np.abs(point[kind == 5]) - 1.0
    step = np.where(integer, rng.integers(1, 4, n), rng.random(n))
    lower, upper = point - step, point + step
    lower[integer & (kind == 0)], upper[integer & (kind == 0)] = 0.0, 1.0
    lower[kind == 1] = upper[kind == 1] = point[kind == 1]
    lower[np.isin(kind, (2, 4))] = -INF
    upper[np.isin(kind, (3, 4))] = INF
    lower[kind == 5], upper[kind == 5] = -INF, point[kind == 5]
    at = matrix @ point
    slack = rng.random(m) * 10.0 ** rng.integers(-3, 3, m)
    row_kind = rng.integers(0, 4, size=m)
    row_kind[~matrix.any(axis=1)] = 0
    row_lower = np.where(row_kind == 0, -INF, np.where(row_kind == 3, at, at - slack))
    row_upper = np.where(row_kind == 1, INF, np.where(row_kind == 3, at, at + 0.7 * slack))
    sense = Sense.MAXIMIZE if rng.random() < 0.5 else Sense.MINIMIZE
    # Bounded: the cost pushes no column towards an infinite bound.
    cost = rng.normal(size=n) * (rng.random(n) < 0.8)
    cost[np.isinf(lower) & np.isinf(upper)] = 0.0
    direction = -1.0 if sense is Sense.MAXIMIZE else 1.0
    cost = (
        np.where(np.isinf(lower), -np.abs(cost), np.where(np.isinf(upper), np.abs(cost), direction * cost)) * direction
    )
    entries = rng.permutation(3 * n)[:n]
    half = n // 2
    result = program(
        matrix,
        rows=np.stack([row_lower, row_upper], axis=1),
        bounds=np.stack([lower, upper], axis=1),
        integer=integer,
        cost=cost,
        constant=float(rng.normal()),
        sense=sense,
    )
    blocks = (
        Block("a.1", 0, entries[:half], 1, Role.BIT),
        Block("e1", half, entries[half:], 2, Role.ON),
    )
    return replace(result, columns=blocks)


@dataclass(frozen=True)
class Read:
    """A model as a solver read it: by name, so that the solver's own order does not matter."""

    columns: dict[str, tuple[float, float, bool, float]]
    """Lower bound, upper bound, integral, cost."""
    rows: dict[str, tuple[float, float, dict[str, float]]]
    """Lower side, upper side, coefficients by column."""
    order: list[str]


def expected(given: MixedIntegerProgram, *, split: bool = False) -> Read:
    """Return what a reader has to see; `split` for the LP format with its one-sided rows."""
    names = given.column_names()
    cost = -given.cost if given.sense is Sense.MAXIMIZE else given.cost
    columns = {
        name: (low, up, bool(whole), price)
        for name, low, up, whole, price in zip(
            names,
            given.column_lower.tolist(),
            given.column_upper.tolist(),
            given.integer.tolist(),
            cost.tolist(),
            strict=True,
        )
    }
    rows = {}
    dense = given.matrix.toarray()
    for name, line, low, up in zip(
        given.row_names(), dense, given.row_lower.tolist(), given.row_upper.tolist(), strict=True
    ):
        terms = {names[j]: float(line[j]) for j in np.flatnonzero(line)}
        if split and np.isfinite(low) and np.isfinite(up) and low != up:
            rows[f"{name}_lo"] = (low, INF, terms)
            rows[f"{name}_hi"] = (-INF, up, terms)
        else:
            rows[name] = (low, up, terms)
    return Read(columns, rows, names)


def highs_model(path: Path) -> highspy.Highs:
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    status = solver.readModel(str(path))
    assert status == highspy.HighsStatus.kOk, status  # a warning means that something was changed
    return solver


def read_highs(path: Path) -> Read:
    lp = highs_model(path).getLp()
    names = list(lp.col_names_)
    whole = list(lp.integrality_) or [highspy.HighsVarType.kContinuous] * len(names)
    columns = {
        name: (low, up, kind == highspy.HighsVarType.kInteger, cost)
        for name, low, up, kind, cost in zip(names, lp.col_lower_, lp.col_upper_, whole, lp.col_cost_, strict=True)
    }
    terms: dict[str, dict[str, float]] = {name: {} for name in lp.row_names_}
    matrix = lp.a_matrix_
    assert matrix.format_ == highspy.MatrixFormat.kColwise
    for j, name in enumerate(names):
        for k in range(matrix.start_[j], matrix.start_[j + 1]):
            terms[lp.row_names_[matrix.index_[k]]][name] = matrix.value_[k]
    rows = {
        name: (low, up, {key: value for key, value in terms[name].items() if value})
        for name, low, up in zip(lp.row_names_, lp.row_lower_, lp.row_upper_, strict=True)
    }
    assert lp.offset_ == 0
    assert lp.sense_ == highspy.ObjSense.kMinimize
    return Read(columns, rows, names)


def scip_model(path: Path) -> pyscipopt.Model:
    model = pyscipopt.Model()
    model.hideOutput()
    model.readProblem(str(path))
    return model


def read_scip(path: Path) -> Read:
    model = scip_model(path)

    def finite(value: float) -> float:
        return float(np.sign(value)) * INF if model.isInfinity(abs(value)) else value

    variables = model.getVars()
    columns = {
        v.name: (finite(v.getLbOriginal()), finite(v.getUbOriginal()), v.vtype() != "CONTINUOUS", v.getObj())
        for v in variables
    }
    rows = {
        c.name: (
            finite(model.getLhs(c)),
            finite(model.getRhs(c)),
            {name: value for name, value in model.getValsLinear(c).items() if value},
        )
        for c in model.getConss()
    }
    assert model.getObjectiveSense() == "minimize"
    assert model.getObjoffset() == 0
    return Read(columns, rows, [])
