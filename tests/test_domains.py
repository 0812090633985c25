"""Half-spaces, l_1 balls and unions: answers of small networks against enumeration, and domains without interior."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
import oracle
import pytest
from nets import KINDS, Network, NetworkKind, random_network
from spread import spread

import lipc
from lipc import Options, Query, Result
from lipc.errors import EmptyDomainError, QueryError
from lipc.ir import L1Ball, Norm, Polytope, Sense
from lipc.query import Goal, ball, box
from lipc.solvers.base import Ending, Outcome, Progress, SecondInterruptError, Task
from lipc.solvers.scip import Scip

RELATIVE = 2e-6
"""The gap asked for, and the tolerances of the solver."""


class Case(NamedTuple):
    """A domain as lipc takes it and as the oracle does."""

    domain: Polytope
    sides: oracle.Sides


def random_case(rng: np.random.Generator, inputs: int) -> Case:
    """Return a box, cut by half-spaces, an l_1 ball or both, with an interior around a point of the box."""
    low = rng.integers(-2, 1, inputs) / 2
    domain = box(low, low + rng.integers(1, 5, inputs) / 2)
    middle = low + rng.uniform(0.2, 0.8, inputs) * (domain.upper - low)
    rows, limits = np.zeros((0, inputs)), np.zeros(0)
    kind = rng.integers(0, 3)
    if kind != 1:
        count = int(rng.integers(1, 4))
        rows = (
            rng.integers(-2, 3, (count, inputs)).astype(float)
            if rng.random() < 0.5
            else rng.normal(size=(count, inputs))
        )
        rows[(rows == 0).all(axis=1)] = 1.0
        limits = rows @ middle + rng.uniform(0.05, 0.5, count)
        # Either side may be the open one.
        turned = rng.random(count) < 0.5
        lower = np.where(turned, -limits, -np.inf)
        upper = np.where(turned, np.inf, limits)
        domain = domain.with_rows(np.where(turned[:, None], -rows, rows), lower, upper)
    sides = rows, limits
    if kind != 0:
        radius = float(rng.uniform(0.2, 1.2))
        domain = replace(domain, l1=L1Ball(middle, radius))
        facets = oracle.l1_ball(middle, radius)
        sides = np.vstack([rows, facets[0]]), np.concatenate([limits, facets[1]])
    return Case(domain, sides)


def holds_exactly(domain: Polytope, x: np.ndarray) -> bool:
    """Return whether a point lies in a domain, in rational arithmetic."""
    point = [Fraction(entry) for entry in x.tolist()]
    bounds = zip(domain.lower.tolist(), point, domain.upper.tolist(), strict=True)
    if not all(Fraction(low) <= p <= Fraction(high) for low, p, high in bounds):
        return False
    for row, low, high in zip(domain.rows.toarray().tolist(), domain.row_lower, domain.row_upper, strict=True):
        total = sum((Fraction(a) * p for a, p in zip(row, point, strict=True)), Fraction(0))
        if total < low or total > high:
            return False
    if domain.l1 is None:
        return True
    away = sum((abs(p - Fraction(c)) for p, c in zip(point, domain.l1.center.tolist(), strict=True)), Fraction(0))
    return away <= Fraction(domain.l1.radius)


class Answer(NamedTuple):
    value: float
    thin: bool


def truth(network: Network, cases: list[Case], goal: Goal, norm: Norm, functional: list[float] | None) -> Answer:
    """Return the answer by enumeration, the largest (smallest) over the domains."""
    found = []
    for case in cases:
        parts = (*network, case.domain.lower, case.domain.upper, functional)
        if goal == "lipschitz":
            constant = oracle.lipschitz(*parts, norm.value, sides=case.sides)
            found.append(Answer(constant.value, constant.thin))
        else:
            assert functional is not None
            extent = oracle.output_range(*parts[:-1], functional, case.sides)
            found.append(Answer(extent.maximum if goal == "max" else extent.minimum, extent.thin))
    value = min(answer.value for answer in found) if goal == "min" else max(answer.value for answer in found)
    return Answer(value, any(answer.thin for answer in found))


def check(result: Result, exact: float, goal: Goal, domains: list[Polytope]) -> None:
    slack = RELATIVE * max(abs(exact), 1e-3)
    assert result.lower <= result.upper
    proven = result.lower if goal != "min" else -result.upper
    assert proven <= (exact if goal != "min" else -exact) + 1e-12 * (1 + abs(exact))
    assert result.lower - slack <= exact <= result.upper + slack
    assert (result.status, result.certified) == ("optimal", True), (result.lower, exact, result.upper)
    assert result.upper - result.lower <= slack
    assert result.witness is not None
    assert any(holds_exactly(domain, result.witness.x) for domain in domains)


def ask_and_compare(seed: int, kind: NetworkKind, *, inputs: int, hidden: list[int], pieces: int) -> bool:
    """Solve a random question and compare; return whether the enumeration could be trusted."""
    rng = np.random.default_rng([seed, inputs, pieces, KINDS.index(kind)])
    network = random_network(seed, [inputs, *hidden, 2], kind)
    inputs, outputs = network.weights[0].shape[1], len(network.biases[-1])
    cases = [random_case(rng, inputs) for _ in range(pieces)]
    goal: Goal = ("lipschitz", "lipschitz", "max", "min")[rng.integers(0, 4)]
    norm = (Norm.LINF, Norm.L1)[rng.integers(0, 2)]
    vector = goal == "lipschitz" and rng.random() < 0.3
    functional = None if vector else rng.integers(-2, 3, outputs).astype(float).tolist()
    try:
        answer = truth(network, cases, goal, norm, functional)
    except ValueError:  # integer coefficients may leave a polytope without interior
        return False
    if answer.thin:
        return False
    domains = [case.domain for case in cases]
    output = None if functional is None else lipc.Functional(dict(enumerate(functional)))
    query = Query(tuple(domains) if pieces > 1 else domains[0], output, norm, goal)
    mode = ("reverse", "forward")[rng.integers(0, 2)]
    result = lipc.solve(lipc.from_weights(*network), query, mode=mode)
    check(result, answer.value, goal, domains)
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "seeds", [range(2), *(pytest.param(each, marks=pytest.mark.slow) for each in (range(2, 5), range(5, 14)))]
)
def test_small_networks(kind: NetworkKind, seeds: range) -> None:
    trusted = sum(ask_and_compare(seed, kind, inputs=2 + seed % 2, hidden=[4, 3], pieces=1) for seed in seeds)
    assert trusted >= len(seeds) // 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 5), marks=pytest.mark.slow)])
def test_small_networks_on_unions(kind: NetworkKind, seeds: range) -> None:
    trusted = sum(ask_and_compare(seed, kind, inputs=2, hidden=[4], pieces=2 + seed % 2) for seed in seeds)
    assert trusted >= len(seeds) // 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inputs", [2, 3, 4])
def test_many_networks(kind: NetworkKind, inputs: int) -> None:
    trusted = sum(
        ask_and_compare(seed, kind, inputs=inputs, hidden=[6, 5][: 1 + seed % 2], pieces=1 + seed % 3)
        for seed in range(100, 130)
    )
    assert trusted >= 20


# f(x) = relu(x0 + x1 - 1) + relu(x0 - x1): gradients (1, 1), (1, -1), (2, 0) or 0.
TWO = Network([np.array([[1.0, 1.0], [1.0, -1.0]]), np.ones((1, 2))], [np.array([-1.0, 0.0]), np.zeros(1)])
UNIT = box([0, 0], [1, 1])
LINE = UNIT.with_rows([[1, 1]], 0.5, 0.5)


def answer(domain: Polytope | tuple[Polytope, ...], goal: Goal = "lipschitz", **options: object) -> Result:
    return lipc.solve(lipc.from_weights(*TWO), Query(domain, goal=goal), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("domain", "constant", "smallest", "largest"),
    [
        (UNIT, 2.0, 0.0, 1.0),
        (UNIT.with_rows([[1, 1]], -np.inf, 1), 2.0, 0.0, 1.0),  # only x0 > x1 is left of the pieces with a slope
        (UNIT.with_rows([[1, 1], [1, -1]], -np.inf, [1, 0]), 0.0, 0.0, 0.0),
        (LINE, 2.0, 0.0, 0.5),  # across the kink x0 = x1
        (UNIT.with_rows([[1, -1]], 0.25, 0.25), 2.0, 0.25, 1.0),
        (UNIT.with_rows([[0.1, 0.7]], 0.4, 0.4), 2.0, None, None),
        (ball([0.25, 0.25], 0.25, norm=Norm.L1), 2.0, 0.0, 0.25),
        (ball([0.25, 0.5], 0.25, norm=Norm.L1), 0.0, 0.0, 0.0),
        (ball([0.75, 0.5], 0, norm=Norm.L1), 2.0, 0.5, 0.5),
        (box([0.75, 0.5], [0.75, 0.5]), 2.0, 0.5, 0.5),
        (box([0.25, 0.5], [0.25, 0.5]), 0.0, 0.0, 0.0),
        (UNIT.with_rows([[1, 1]], 2, np.inf), 2.0, 1.0, 1.0),
    ],
)
def test_thin_domains(domain: Polytope, constant: float, smallest: float | None, largest: float | None) -> None:
    """The constant is over the points of the domain around which the network is linear; the range over all."""
    for goal, exact in (("lipschitz", constant), ("min", smallest), ("max", largest)):
        result = answer(domain, goal)
        assert result.status in ("optimal", "infeasible", "unproven")
        if exact is None:  # few points of floats, if any, lie in it exactly
            assert result.lower <= result.upper
            assert result.certified or "flat" in result.note
            continue
        assert result.lower <= exact + 1e-12
        if not (goal == "lipschitz" and result.status == "infeasible"):
            assert result.upper >= exact - 1e-9
        if result.certified:
            assert result.witness is not None
            assert holds_exactly(domain, result.witness.x)
            assert result.lower == pytest.approx(exact, abs=1e-6)
        elif goal != "lipschitz":  # of an answer of 0 the bounds may keep a rounding error
            assert result.upper - result.lower < 1e-12


class Counted(Scip):
    """SCIP, with the tasks it was given; it may be interrupted, or stop without an answer."""

    def __init__(self, stop_at: int = 10**9, how: type[KeyboardInterrupt] | None = None) -> None:
        super().__init__()
        self.tasks: list[Task] = []
        self.stop_at, self.how = stop_at, how

    def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
        self.tasks.append(task)
        if len(self.tasks) < self.stop_at:
            return super().solve(task, on_progress)
        if self.how is not None:
            raise self.how
        return Outcome(Ending.TIME_LIMIT, np.inf if task.program.sense is Sense.MAXIMIZE else -np.inf, (), 0)


# Over the first f is at most 1, though interval bounds say 2; over the second 1.4; over the third 0.3.
FIRST, SECOND, THIRD = UNIT.with_rows([[1, -1]], -np.inf, 0), box([1, 0], [1.2, 0.1]), box([0, 0], [0.3, 0.3])
INTERVAL: dict[str, Any] = {"method": "interval"}


@pytest.mark.parametrize("domains", spread(list(permutations([FIRST, SECOND, THIRD])), every=2))
def test_the_answer_for_a_union_is_the_largest(domains: tuple[Polytope, ...]) -> None:
    solver = Counted()
    result = answer(domains, "max", solver=solver, **INTERVAL)
    assert (result.status, result.certified) == ("optimal", True)
    assert result.lower == pytest.approx(1.4, abs=1e-9)
    assert result.upper == pytest.approx(1.4, abs=1e-5)
    assert result.witness is not None
    assert holds_exactly(SECOND, result.witness.x)
    assert len(solver.tasks) <= 2  # the third is pruned by its bound
    described: Any = result.to_dict()["query"]
    assert described["domain"]["type"] == "union"
    assert described["domain"]["lower"] == [0.0, 1.0]
    assert [piece["type"] for piece in described["domain"]["pieces"]] == [
        "polytope" if domain is FIRST else "box" for domain in domains
    ]
    json.loads(result.to_json())
    lowest = answer(domains, "min", **INTERVAL)
    assert (lowest.lower, lowest.upper, lowest.certified) == (0.0, 0.0, True)
    constant = answer(domains, **INTERVAL)
    assert (constant.lower, constant.certified) == (2.0, True)


def test_pieces_get_the_best_of_the_others_as_a_cutoff() -> None:
    solver = Counted()
    network = lipc.from_weights(*random_network(3, [2, 12, 8, 1]))
    domains = tuple(ball([x, 0.3], 0.4, norm=Norm.L1) for x in (0.0, 0.5, 1.0))
    result = lipc.solve(network, Query(domains), solver=solver)
    single = [lipc.solve(network, Query(domain)) for domain in domains]
    assert result.certified
    assert result.lower == pytest.approx(max(each.lower for each in single), rel=1e-9)
    cutoffs = [task.cutoff for task in solver.tasks]
    assert all(cutoff is not None for cutoff in cutoffs)
    assert cutoffs == sorted(cutoffs)


@pytest.mark.parametrize(
    ("goal", "how", "stop_at"),
    spread(["lipschitz", "max", "min"], [None, KeyboardInterrupt, SecondInterruptError], [1, 2], every=5),
)
def test_a_union_that_is_cut_short(stop_at: int, how: type[KeyboardInterrupt] | None, goal: Goal) -> None:
    network = random_network(3, [2, 12, 8, 1])
    cases = []
    for x in (0.0, 0.5, 1.0):
        domain = ball([x, 0.3], 0.4, norm=Norm.L1)
        cases.append(Case(domain, oracle.l1_ball([x, 0.3], 0.4)))
    exact = truth(network, cases, goal, Norm.LINF, [1.0]).value
    query = Query(tuple(case.domain for case in cases), goal=goal)
    solver = Counted(stop_at, how)

    options = Options(time_limit=0.4) if how is None else Options()
    try:
        result = lipc.solve(lipc.from_weights(*network), query, solver=solver, options=options)
    except SecondInterruptError:
        assert how is SecondInterruptError
        return
    stopped = len(solver.tasks) >= stop_at
    assert not (stopped and how is SecondInterruptError)
    assert stopped or how is None or goal != "lipschitz"  # a climb may close a range by itself
    assert result.lower <= exact + 1e-9
    assert result.upper >= exact - 1e-9
    if stopped and not result.certified:
        assert result.status == ("time_limit" if how is None else "interrupted")


@pytest.mark.parametrize("compiled", [1, 2])
def test_an_interrupt_while_the_pieces_are_compiled(compiled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_one, calls = lipc.compile, [0]

    def interrupted(*arguments: Any, **options: Any) -> lipc.Compiled:
        calls[0] += 1
        if calls[0] == compiled + 1:
            raise KeyboardInterrupt
        return compile_one(*arguments, **options)

    monkeypatch.setattr("lipc.driver.compile", interrupted)
    result = answer((FIRST, SECOND, THIRD), "max", **INTERVAL)
    assert result.status == "interrupted"
    assert not result.certified
    assert result.lower <= 1.4 <= result.upper < np.inf


def test_without_time_a_union_has_a_valid_pair() -> None:
    result = answer((FIRST, SECOND, THIRD), "max", options=Options(time_limit=0.0))
    assert result.status == "time_limit"
    assert result.lower <= 1.4 <= result.upper < np.inf


def test_empty_pieces_are_left_out() -> None:
    nothing, crossed = UNIT.with_rows([[1, 1]], 3, np.inf), box([1, 0], [0, 1])
    result = answer((nothing, SECOND, crossed), "max")
    assert result.certified
    assert result.lower == pytest.approx(1.4, abs=1e-9)
    assert "domain 1 of 3" in result.note
    assert "domain 3 of 3" in result.note
    with pytest.raises(EmptyDomainError):
        answer((nothing, crossed))
    with pytest.raises(EmptyDomainError):
        answer(nothing)


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ((), "union of nothing"),
        ((UNIT, box([0] * 3, [1] * 3)), "3 entries"),
        (UNIT.with_rows([[np.nan, 1]], 0, 1), "not finite"),
        (UNIT.with_rows([[1, 1]], np.nan, 1), "not finite"),
        (UNIT.with_rows([[1e200, 1]], 0, 1), "beyond"),
        (replace(UNIT, l1=L1Ball(np.zeros(3), 1.0)), "center of 3"),
        (replace(UNIT, l1=L1Ball(np.array([np.nan, 0.0]), 1.0)), "finite center"),
        (replace(UNIT, l1=L1Ball(np.zeros(2), -1.0)), "not negative"),
        (replace(UNIT, row_lower=np.zeros(1)), "number of entries"),
        (UNIT.with_rows([[1, 1]], 1, 0), "ranges from 1 to 0"),
        (UNIT.with_rows([[1, 1]], np.inf, np.inf), "ranges from inf to inf"),
        (UNIT.with_rows([[0, 0]], 1, 2), "empty"),
        (box(0, 1).with_rows([[1.0]], 0, 1), "one entry"),
    ],
)
def test_domains_that_are_refused(domain: Any, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        answer(domain)


def test_a_model_has_one_domain() -> None:
    network = lipc.from_weights(*TWO)
    with pytest.raises(QueryError, match=r"union of 2.*pieces"):
        lipc.compile(network, Query((UNIT, SECOND)))
    assert lipc.compile(network, Query((UNIT,))).mip.binaries > 0
    assert [each.domain for each in Query((UNIT, SECOND)).pieces()] == [UNIT, SECOND]
    one = Query(UNIT)
    assert one.pieces() == (one,)


def test_a_ball_around_one_number_is_around_all() -> None:
    result = answer(ball(0.5, 0.25, norm=Norm.L1), "max")
    assert result.lower == pytest.approx(0.5, abs=1e-9)  # at (0.75, 0.5)
    assert result.query["domain"] == {
        "type": "l1-ball",
        "inputs": 2,
        "lower": [0.25, 0.25],
        "upper": [0.75, 0.75],
        "radius": 0.25,
    }


def test_an_l1_ball_may_be_clipped() -> None:
    clipped = ball([0.1, 0.9], 0.5, (0.0, 1.0), Norm.L1)
    result = answer(clipped, "max")
    # At (0.5, 1): x0 <= x1 all over the ball.
    assert result.lower == pytest.approx(0.5, abs=1e-9)
    assert result.witness is not None
    assert holds_exactly(clipped, result.witness.x)


@pytest.fixture
def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the local search find next to nothing."""
    monkeypatch.setattr("lipc.solving.run.START_SECONDS", -1.0)
    monkeypatch.setattr("lipc.solving.witnesses.SAMPLES", 1)


@pytest.mark.usefixtures("no_search")
def test_a_piece_that_is_not_solved_keeps_its_bound() -> None:
    result = answer((THIRD, SECOND), "max", solver=Counted(1), options=Options(time_limit=0.3))
    assert (result.status, result.certified) == ("time_limit", False)
    assert result.lower < 1.39
    assert 1.4 <= result.upper < 2
    assert (result.lower_kind, result.upper_kind) == ("witness", "rigorous")


@pytest.mark.usefixtures("no_search")
def test_the_solution_of_a_solver_that_is_outside_is_pulled_in() -> None:
    """A solver keeps rows and ball within its tolerance only; a value climbs on to the vertex by itself."""
    domain = replace(UNIT.with_rows([[0.3, 0.7]], -np.inf, 0.6), l1=L1Ball(np.array([0.6, 0.3]), 0.37))
    network = lipc.from_weights(*TWO)
    compiled = lipc.compile(network, Query(domain, goal="max"))
    truth_of = Scip().solve(Task(compiled.mip))
    exact = truth_of.bound

    class Outside(Scip):
        def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:  # noqa: ARG002
            return Outcome(Ending.OPTIMAL, exact, tuple(each * (1 + 1e-4) for each in truth_of.solutions), 1)

    result = lipc.solve(compiled, solver=Outside())
    assert result.certified
    assert result.lower == pytest.approx(exact, rel=1e-6)
    assert result.witness is not None
    assert holds_exactly(domain, result.witness.x)


def test_a_solver_that_stops_for_no_reason_is_not_asked_for_ever() -> None:
    result = answer((THIRD, SECOND), "max", solver=Counted(1), **INTERVAL)
    assert result.lower <= 1.4 <= result.upper


def test_a_solver_that_ignores_the_cutoff_may_say_less() -> None:
    """Its bound is below what is known from another piece: that refutes nothing."""

    class Whole(Counted):
        def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
            return super().solve(replace(task, cutoff=None, start=None), on_progress)

    # By interval bounds at most 1.9 and 1.7; in truth 1.6 and 0.8.
    domains = box([1, 0], [1.3, 0.3]), box([0, 0], [0.9, 0.9]).with_rows([[1, -1]], -np.inf, 0)
    solver = Whole()
    result = answer(domains, "max", solver=solver, **INTERVAL)
    assert len(solver.tasks) == 2
    assert (result.status, result.certified) == ("optimal", True)
    assert result.lower == pytest.approx(1.6, abs=1e-6)
