"""Networks with known constants for tests of estimators, and bounds computed by other means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cvxpy
import numpy as np

import lipc
from lipc import Functional, Norm, Query, ball, box
from lipc.estimators.base import Estimate, Estimator, Limits
from lipc.ir import Program
from tests import oracle
from tests.nets import KINDS, Floats, Network, random_network

NormName = Literal["linf", "l1", "l2"]
NORMS: tuple[NormName, ...] = ("linf", "l1", "l2")


class Case(NamedTuple):
    """A reference case in one norm: the weights end in the row of the functional."""

    name: str
    norm: NormName
    program: Program
    weights: list[Floats]
    reference: dict[str, Any]


def reference_cases(shared: Path, *, sizes: str = "") -> Iterator[Case]:
    """Yield the cases whose name holds a text, one for each network and norm."""
    folder = shared / "reference"
    seen = set()
    for case in json.loads((folder / "cases.json").read_text()):
        if case["net"] in seen or sizes not in case["case"]:
            continue
        seen.add(case["net"])
        arrays = np.load(folder / "nets" / f"{case['net']}.npz")
        count = len(arrays.files) // 2
        weights = [arrays[f"W{at + 1}"].astype(float) for at in range(count)]
        biases = [arrays[f"b{at + 1}"].astype(float) for at in range(count)]
        where = case["domain"]
        domain = box(where["lo"], where["hi"]) if where["type"] == "box" else ball(where["center"], where["radius"])
        network = lipc.from_weights(weights, biases).program
        for norm in NORMS:
            if norm in case["reference"]:
                query = Query(domain, Functional(dict(enumerate(case["c"]))), Norm(norm))
                row = np.array(case["c"])[None] @ weights[-1]
                yield Case(case["case"], norm, query.ask(network), [*weights[:-1], row], case["reference"][norm])


def ask(network: Network, norm: NormName = "linf", **options: Any) -> Program:
    """Return a question about a network over the unit cube."""
    return Query(norm=Norm(norm), **options).ask(lipc.from_weights(network.weights, network.biases).program)


def estimate(method: Estimator, program: Program) -> Estimate:
    """Return what a method says without limits."""
    return method.estimate(program, Limits())


@cache
def random_case(seed: int) -> Network:
    """Return one of the networks of tests: every kind in turn, of two to four layers and one to three outputs."""
    rng = np.random.default_rng(seed)
    widths = [int(rng.integers(1, 4)), *rng.integers(2, 6, rng.integers(1, 4)).tolist(), int(rng.integers(1, 4))]
    return random_network(seed, widths, KINDS[seed % len(KINDS)])


@cache
def exact(seed: int, norm: NormName, output_norm: oracle.Norm = "linf") -> float:
    """Return the constant of such a network over the unit cube, by enumeration of its regions."""
    network = random_case(seed)
    inputs = network.weights[0].shape[1]
    answer = oracle.lipschitz(
        network.weights, network.biases, np.zeros(inputs), np.ones(inputs), None, norm, output_norm
    )
    return answer.value


def sdp_by_cvxpy(
    weights: list[Floats], norm: NormName, *, by_layer: bool = False, direction: Floats | None = None
) -> float:
    """Return the largest ``W_n u_n`` over moment matrices: the primal problem, by an interior-point method.

    X stands for ``(1, v, u) (1, v, u)'``. Every neuron has ``u q >= u^2`` (their sum by layer), and v lies in the ball,
    or is a direction.
    """
    *hidden, last = weights
    inputs = weights[0].shape[1]
    if direction is not None:  # then the first layer reads the constant 1
        hidden[0], inputs = hidden[0] @ direction[:, None], 0
    blocks = np.cumsum([1, inputs, *map(len, hidden)])
    places = [np.arange(first, end) for first, end in pairwise(blocks.tolist())]
    matrix = cvxpy.Variable((blocks[-1], blocks[-1]), PSD=True)
    rules = [matrix[0, 0] == 1]
    if direction is None:
        directions = cvxpy.diag(matrix)[1 : 1 + inputs]
        rules.append(cvxpy.sum(directions) <= 1 if norm == "l2" else directions <= 1)
    else:
        places[0] = np.arange(1)
    for weight, before, here in zip(hidden, places[:-1], places[1:], strict=True):
        square = matrix[here[0] : here[-1] + 1, :]
        given = cvxpy.diag(square[:, before[0] : before[-1] + 1] @ weight.T)
        passed = cvxpy.diag(square[:, here[0] : here[-1] + 1])
        rules.append(cvxpy.sum(given - passed) >= 0 if by_layer else given - passed >= 0)
    problem = cvxpy.Problem(cvxpy.Maximize(last[0] @ matrix[places[-1][0] : places[-1][-1] + 1, 0]), rules)
    problem.solve(solver=cvxpy.CLARABEL)
    return float(problem.value)
