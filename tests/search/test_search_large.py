"""Networks of many inputs: searched, and bounded for a solver, as small ones are."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

import lipc
from lipc import Norm, Options, Query, ball, from_weights
from lipc.errors import QueryError, SolverFailedError
from lipc.options import Search
from lipc.solvers.base import Outcome, Progress, Task
from lipc.solvers.scip import Scip
from tests.nets import random_network

INPUTS = 410


def many_inputs(norm: Norm = Norm.LINF) -> lipc.Compiled:
    network = random_network(3, (INPUTS, 4, 3, 1))
    return lipc.compile(from_weights(*network), Query(ball(np.full(INPUTS, 0.5), 0.05), 0, norm))


@pytest.fixture(scope="module")
def exact() -> float:
    result = lipc.solve(many_inputs(), options=Options(search="mip"))
    assert result.status == "optimal"
    return result.lower


def test_a_solver_says_the_same(exact: float) -> None:
    own = lipc.solve(many_inputs())
    assert (own.status, own.upper_kind) == ("optimal", "rigorous")
    assert own.solver.startswith("branch and bound")
    assert own.lower == pytest.approx(exact, rel=2e-6)
    assert own.upper >= exact * (1 - 1e-12)


class Silent(Scip):
    """Finds nothing and knows no bound."""

    def solve(self, task: Task, on_progress: Callable[[Progress], None]) -> Outcome:
        del task, on_progress
        raise SolverFailedError("no answer")


def test_a_run_of_a_solver_has_the_bound_even_so(exact: float) -> None:
    compiled = many_inputs()
    result = lipc.solve(compiled, options=Options(search="mip"), solver=Silent())
    assert (result.status, result.upper_kind) == ("unproven", "rigorous")
    assert exact * (1 - 1e-12) <= result.upper < 0.9 * compiled.bound


@pytest.mark.parametrize("limit", [0.0, 0.3])
def test_bounds_that_the_time_cuts_short_are_valid(exact: float, limit: float) -> None:
    for search in get_args(Search):
        result = lipc.solve(many_inputs(), options=Options(search=search, time_limit=limit))
        assert result.lower <= exact * (1 + 1e-12)
        assert result.upper >= exact * (1 - 1e-12)


def test_more_trees_than_can_be_bounded_are_left_to_a_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = many_inputs()
    monkeypatch.setattr("lipc.search.branching.MOST_WORK", INPUTS**3)  # there are a few switches, too
    with pytest.raises(QueryError, match="too large for the SDP bound"):
        lipc.solve(compiled, options=Options(search="bab"))
    assert lipc.solve(many_inputs(Norm.L1), options=Options(search="bab", time_limit=0.0)).upper > 0
