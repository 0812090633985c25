"""Half-spaces and l_1 balls in mixed-integer programs: computed points are feasible, names and roles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lipc
from lipc import Query, ball
from lipc.formats import read_sidecar
from lipc.ir import L1Ball, Norm, Polytope, Sense
from lipc.mip import MixedIntegerProgram, Role
from lipc.query import box
from lipc.solvers.base import Task
from lipc.solvers.scip import Scip
from lipc.solving.correspondence import Correspondence
from tests.nets import random_network

DOMAINS = {
    "ball": ball([0.5, 0.25, 0.75], 0.5, norm=Norm.L1),
    "clipped ball": ball([0.1, 0.9, 0.5], 0.5, (0.0, 1.0), Norm.L1),
    "ball beside the box": replace(box([0, 0, 0], [1, 1, 1]), l1=L1Ball(np.array([-0.25, 1.25, 0.5]), 1.0)),
    "rows and ball": ball([0.5, 0.25, 0.75], 0.5, norm=Norm.L1).with_rows(
        [[1, 1, 1], [1, -1, 0]], [0, 0], [1.5, np.inf]
    ),
    "point": ball([0.5, 0.25, 0.75], 0.0, norm=Norm.L1),
    "tiny ball": ball([0.5, 0.25, 0.75], 1e-7, norm=Norm.L1),
}


def compiled(domain: Polytope, goal: str = "lipschitz", mode: str = "reverse") -> lipc.Compiled:
    network = lipc.from_weights(*random_network(1, [3, 6, 5, 1]))
    return lipc.compile(network, Query(domain, goal=goal), mode=mode)  # type: ignore[arg-type]


def worst_violation(program: MixedIntegerProgram, columns: np.ndarray) -> float:
    values = program.matrix @ columns
    parts = [
        program.row_lower - values,
        values - program.row_upper,
        program.column_lower - columns,
        columns - program.column_upper,
    ]
    return max(float(part.max(initial=0.0)) for part in parts)


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_points_of_the_domain_are_feasible(domain: Polytope, mode: str) -> None:
    from lipc.bounds.points import sample

    model = compiled(domain, mode=mode)
    correspondence = Correspondence(model)
    for x in sample(domain, np.random.default_rng(0), 20):
        columns = correspondence.columns_at(x)
        assert columns is not None
        assert worst_violation(model.mip, columns) <= 1e-9
        np.testing.assert_allclose(correspondence.choices(columns)[correspondence.input], x, rtol=0, atol=1e-15)


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_solutions_lie_in_the_domain(domain: Polytope) -> None:
    """The largest and the least x0 of the program are those of the domain."""
    for goal in ("max", "min"):
        network = lipc.from_weights([np.array([[1.0, 0.0, 0.0]])], [np.zeros(1)])
        program = lipc.compile(network, Query(domain, goal=goal)).mip  # type: ignore[arg-type]
        assert program.sense is (Sense.MAXIMIZE if goal == "max" else Sense.MINIMIZE)
        exact = {
            "ball": (1.0, 0.0),
            "clipped ball": (0.6, 0.0),
            "ball beside the box": (0.5, 0.0),
            "rows and ball": (0.75, 0.125),
            "point": (0.5, 0.5),
            "tiny ball": (0.5 + 1e-7, 0.5 - 1e-7),
        }[next(name for name, each in DOMAINS.items() if each is domain)][goal == "min"]
        assert Scip().solve(Task(program)).bound == pytest.approx(exact, abs=2e-9)


def test_a_ball_has_columns_of_its_own_in_the_sidecar(tmp_path: Path) -> None:
    model = compiled(DOMAINS["rows and ball"])
    lipc.write_model(model.mip, tmp_path / "model.mps", facts=model.facts())
    read = read_sidecar(tmp_path / "model.map.json")
    assert read.facts["query"]["domain"]["type"] == "polytope"  # type: ignore[index]
    roles = [block.role for block in read.columns]
    assert roles.count(Role.INPUT) == roles.count(Role.ABOVE) == roles.count(Role.BELOW) == 1
    names = read.column_names()
    assert {"above_input_0", "below_input_2", "input_1"} <= set(names)
    assert {"input_ball", "input_radius"} <= {block.name for block in read.rows}
    # Half-spaces that say nothing make no rows.
    assert [len(block.entries) for block in read.rows if block.name == "input_domain"] == [2]
