"""Nodes of the search that a solver finishes: against the enumeration of all regions, and with solvers that fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lipc
from lipc import Norm, Options, Query, box, from_weights
from lipc.driver import Report
from lipc.errors import QueryError, SolverFailedError
from lipc.solvers.base import Ending, Outcome, Progress, Task
from lipc.solvers.scip import Scip
from tests import oracle
from tests.nets import random_network
from tests.search.test_search_branching import worst_start


def asked(seed: int, norm: Norm) -> tuple[lipc.Compiled, float]:
    network = random_network(seed, (3, 6, 5, 1 + seed % 2))
    low, high = -np.ones(3), np.ones(3)
    compiled = lipc.compile(from_weights(*network), Query(box(low, high), norm=norm))
    return compiled, oracle.lipschitz(*network, low, high, None, norm.value).value


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
@pytest.mark.parametrize("free", [4, 100])
def test_the_answer_is_that_of_the_enumeration(free: int, norm: Norm, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = set()
    for seed in range(4):
        if seed > 1:
            monkeypatch.setattr("lipc.solving.witnesses.ascend", worst_start)
        compiled, exact = asked(seed, norm)
        reports: list[Report] = []
        result = lipc.solve(compiled, options=Options(search="bab", handoff=free), on_report=reports.append)
        assert result.status == "optimal"
        assert result.lower == pytest.approx(exact, rel=2e-6)
        assert result.upper >= exact * (1 - 1e-12)
        assert all(report.lower * (1 - 1e-12) <= exact <= report.upper * (1 + 1e-12) for report in reports)
        kinds.add((result.upper_kind, "SCIP" in result.solver))
    # What a solver said is never called proven; nor is a node that tightening emptied, of a program that was rounded.
    assert ("rigorous", True) not in kinds
    assert free == 4 or ("solver", True) in kinds


def test_it_is_the_same_every_time() -> None:
    compiled, _ = asked(1, Norm.LINF)
    results = [lipc.solve(compiled, options=Options(handoff=8)) for _ in range(2)]
    assert (results[0].upper, results[0].nodes) == (results[1].upper, results[1].nodes)


class Unable(Scip):
    """Fails, or does not come to an end."""

    def __init__(self, ending: Ending | None) -> None:
        super().__init__()
        self.ending, self.asked = ending, 0

    def solve(self, task: Task, on_progress: Callable[[Progress], None]) -> Outcome:
        del task, on_progress
        self.asked += 1
        if self.ending is None:
            raise SolverFailedError("no answer")
        return Outcome(self.ending, np.inf, (), 0)


@pytest.mark.parametrize("ending", [None, Ending.TIME_LIMIT, Ending.UNPROVEN, Ending.OPTIMAL])
def test_where_the_solver_gives_no_answer_the_search_goes_on(ending: Ending | None) -> None:
    compiled, exact = asked(0, Norm.LINF)
    solver = Unable(ending)
    result = lipc.solve(compiled, options=Options(search="bab", handoff=100), solver=solver)
    assert solver.asked
    assert result.status == "optimal"
    assert result.lower == pytest.approx(exact, rel=2e-6)
    assert result.upper >= exact * (1 - 1e-12)


def test_an_interrupted_solver_ends_the_run_with_a_valid_pair() -> None:
    compiled, exact = asked(0, Norm.LINF)
    result = lipc.solve(compiled, options=Options(search="bab", handoff=100), solver=Unable(Ending.INTERRUPTED))
    assert result.status == "interrupted"
    assert result.lower * (1 - 1e-12) <= exact <= result.upper * (1 + 1e-12)
    assert result.upper_kind == "rigorous"


def test_a_liar_is_believed_only_as_far_as_it_is_named() -> None:
    compiled, exact = asked(0, Norm.LINF)
    result = lipc.solve(compiled, options=Options(search="bab", handoff=100), solver=Unable(Ending.INFEASIBLE))
    assert result.upper_kind == "solver" or result.upper >= exact * (1 - 1e-12)


@pytest.mark.parametrize("further", [{"safe_upper": True}, {"search": "mip"}, {"jobs": 2}, {"scheduler": "tcp://x"}])
def test_what_does_not_go_together(further: dict[str, Any]) -> None:
    with pytest.raises(QueryError, match="its word is taken"):
        Options(handoff=3, **further)
    with pytest.raises(QueryError, match="at least"):
        Options(handoff=-1)
