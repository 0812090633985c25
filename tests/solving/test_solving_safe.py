"""Upper bounds that rest on no solver: closed on small networks, right when the solver lies, valid at any time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import oracle
import pytest
from nets import ABSOLUTE, IDENTITY, KINDS, ZERO, Network, NetworkKind, random_network
from spread import spread

import lipc
from lipc import Norm, Options, Query, box, from_weights
from lipc.bounds.interval import interval_bounds
from lipc.bounds.relaxation import Relaxation
from lipc.driver import Report
from lipc.search.ascent import Found
from lipc.solvers.base import Ending, Outcome, Progress, Solver, Task

SAFE = Options(safe_upper=True, search="mip")
EXAMPLES = Path(__file__).parents[2] / "examples"


def solved(
    net: Network, mode: str = "auto", norm: Norm = Norm.LINF, low: float = -1.0, **options: object
) -> lipc.Result:
    query = Query(box(low, np.ones(net.weights[0].shape[1])), norm=norm)
    return lipc.solve(from_weights(*net), query, mode=mode, options=SAFE, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "mode", "seed"), spread(KINDS, ["reverse", "forward"], range(3), every=5))
def test_the_pair_closes_around_the_enumeration(kind: NetworkKind, mode: str, seed: int) -> None:
    net = random_network(seed, (2, 4, 4, 2), kind)
    norm: oracle.Norm = "linf" if seed % 2 else "l1"
    answer = oracle.lipschitz(*net, -np.ones(net.weights[0].shape[1]), np.ones(net.weights[0].shape[1]), None, norm)
    assert not answer.thin
    result = solved(net, mode, Norm(norm))
    noise = 1e-11 * (1 + answer.value)
    assert (result.status, result.certified, result.upper_kind) == ("optimal", True, "rigorous")
    assert result.lower - noise <= answer.value <= result.upper + noise
    assert result.upper - result.lower <= 1e-6 * max(answer.value, 1e-3)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize(("net", "value"), [(IDENTITY, 1.0), (ZERO, 0.0), (ABSOLUTE, 1.0)])
def test_patterns_without_interior_are_refuted(net: Network, value: float, mode: str) -> None:
    result = solved(net, mode)
    assert (result.status, result.lower) == ("optimal", value)
    assert result.upper == pytest.approx(value, rel=2e-6, abs=1e-9)


@pytest.mark.parametrize("name", ["residual.lip", "trained.lip", "two_neurons.lip"])
def test_examples(name: str) -> None:
    result = lipc.solve(EXAMPLES / name, options=SAFE)
    assert (result.status, result.upper_kind) == ("optimal", "rigorous")


class Liar(Solver):
    """Claims that nothing is better than what is known."""

    name: ClassVar[str] = "liar"

    def version(self) -> str:
        return "a liar"

    def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
        del on_progress
        assert task.cutoff is not None
        return Outcome(Ending.OPTIMAL, task.cutoff, (), 1)


def worst_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.solving.witnesses.ascend", lambda *_, **__: Found(np.array([0.01, 0.02]), 0.0))


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_solver_that_lies(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    worst_start(monkeypatch)
    net = random_network(5, (2, 6, 6, 1))
    exact = oracle.lipschitz(*net, -np.ones(2), np.ones(2)).value
    query = Query(box(-1.0, np.ones(2)))
    believed = lipc.solve(from_weights(*net), query, mode=mode, solver=Liar())  # type: ignore[arg-type]
    assert believed.upper < 0.99 * exact  # what the search without a proof has to say to a liar
    assert believed.upper_kind == "solver"
    result = solved(net, mode, solver=Liar())
    assert result.upper >= exact * (1 - 1e-12)
    assert (result.status, result.upper_kind) == ("optimal", "rigorous")
    assert result.lower == pytest.approx(exact, rel=1e-9)  # the better witness is found on the way
    assert result.proof_nodes > 0


@pytest.mark.parametrize("after", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_an_interrupt_leaves_what_is_proven(after: int) -> None:
    net = random_network(3, (3, 8, 8, 6, 1))
    exact = lipc.solve(from_weights(*net), Query(box(-1.0, np.ones(3))))
    seen = 0

    def interrupt(report: Report) -> None:
        nonlocal seen
        seen += report.stage == "prove"
        if seen == after:
            raise KeyboardInterrupt

    result = solved(net, on_report=interrupt)
    assert (result.status, result.upper_kind) == ("interrupted", "rigorous")
    assert result.lower <= exact.upper
    assert result.upper >= exact.lower


@pytest.mark.parametrize("limit", [0.0, 0.3])
def test_a_time_limit_leaves_what_is_proven(limit: float) -> None:
    net = random_network(1, (10, 30, 30, 30, 1))
    query = Query(box(-1.0, np.ones(10)))
    result = lipc.solve(from_weights(*net), query, options=replace(SAFE, time_limit=limit))
    assert (result.status, result.upper_kind, result.certified) == ("time_limit", "rigorous", False)
    assert 0 < result.lower < result.upper


def test_ranges_and_unions() -> None:
    net = random_network(2, (2, 6, 5, 2))
    pieces = (box(-1.0, [0.0, 0.5]), box([0.0, -1.0], [1.0, 1.0]))
    for goal in ("lipschitz", "max", "min"):
        query = Query(pieces, "y[0] - y[1]", goal=goal)  # type: ignore[arg-type]
        result = lipc.solve(from_weights(*net), query, options=SAFE)
        plain = lipc.solve(from_weights(*net), query)
        assert result.status == "optimal"
        assert {result.lower_kind, result.upper_kind} == {"witness", "rigorous"}
        near = "upper" if goal == "min" else "lower"
        assert getattr(result, near) == pytest.approx(getattr(plain, near), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_no_multipliers_refute_what_has_a_point(seed: int) -> None:
    program = lipc.compile(from_weights(*random_network(seed, (2, 4, 3, 1))), Query(box(-1.0, np.ones(2)))).program
    relaxation = Relaxation(program, interval_bounds(program))
    rng = np.random.default_rng(seed)
    for scale in (1e-6, 1.0, 1e6):
        assert relaxation._least(scale * rng.normal(size=len(relaxation.row_lower))) <= 0
    relaxation.extreme(program.result, 0, -1)
    assert not relaxation.is_refuted()


def test_an_empty_node_is_refuted() -> None:
    program = lipc.compile(from_weights(*ABSOLUTE), Query(box(0.25, [1.0])), level=0).program
    relaxation = Relaxation(program, interval_bounds(program))
    input_column = relaxation.first[next(iter(program.find(lipc.ir.Input)))]
    bits = next(iter(program.find(lipc.ir.Conditional)))
    relaxation.fix(relaxation.first[bits], 0.0, 0.0)  # x <= 0, and x is at least 0.25
    assert relaxation.lower[input_column] == 0.25
    bound, point = relaxation.extreme(program.result, 0, -1)
    assert point is None
    assert relaxation.is_refuted()
    assert bound >= 1
