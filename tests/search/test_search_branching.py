"""The search on the SDP bound, whole: against the enumeration of all regions, at every report, and cut short."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import count
from time import monotonic

import numpy as np
import pytest

import lipc
from lipc import Norm, Options, Query, Result, box, from_weights
from lipc.bounds.quadratic import FREE
from lipc.bounds.sdp import Sdp
from lipc.certify import Certifier
from lipc.certify.regions import Region, Regions
from lipc.driver import Report
from lipc.errors import QueryError
from lipc.ir import Builder, Floats, Lipschitz, Objective, Polytope, Program, Sense
from lipc.search.ascent import Found
from lipc.search.branching import BranchAndBound
from lipc.search.incumbents import Incumbents
from lipc.search.shown import Shown
from tests import oracle
from tests.ir.sample_programs import dense, question
from tests.nets import ABSOLUTE, IDENTITY, ZERO, Network, random_network
from tests.test_random_networks import Question, check, draw, program_of, truth

OWN = "branch and bound on the SDP bound"


def worst_start(program: Program, *_: object, **__: object) -> Found:
    """Return a corner, so that the search has to find its own witnesses."""
    domain = program.network_input()[1]
    return Found(domain.clip(domain.lower), 0.0)


def lipschitz_question(seed: int) -> Question:
    """Return a random question that the search answers: every activation, defect, domain and output."""
    return draw(seed)._replace(goal="lipschitz", norm=(Norm.LINF, Norm.L1)[seed // 2 % 2])


def check_reports(reports: list[Report], result: Result, exact: float) -> None:
    """Every pair on the way is right, and none is wider than the one before."""
    noise = 1e-11 * (1 + abs(exact))
    lower, upper = -np.inf, np.inf
    for report in reports:
        assert report.lower - noise <= exact <= report.upper + noise
        assert report.lower >= lower
        assert report.upper <= upper
        lower, upper = report.lower, report.upper
    assert result.lower >= lower
    assert result.upper <= upper


def ask_and_compare(seed: int) -> bool:
    """Search for the answer of a random question and compare; return whether the enumeration could be trusted."""
    asked = lipschitz_question(seed)
    try:
        answer = truth(asked)
    except ValueError:  # integer coefficients may leave a domain without an interior
        return False
    if answer.thin:
        return False
    reports: list[Report] = []
    options = Options(search="bab", seed=seed)
    level = seed // 2 % 4
    result = lipc.solve(program_of(asked), asked.query(), level=level, options=options, on_report=reports.append)
    check(asked, result, answer.value)
    check_reports(reports, result, answer.value)
    assert (result.lower_kind, result.upper_kind, result.solver) == ("witness", "rigorous", OWN)
    return True


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, 5), (30, 5), *(pytest.param(each, 10, marks=pytest.mark.slow) for each in range(0, 60, 10))],
)
def test_random_questions(first: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.search.branching.COMPILED_AFTER", first // 10 % 3)
    if first % 20:
        monkeypatch.setattr("lipc.solving.witnesses.ascend", worst_start)
    trusted = sum(ask_and_compare(seed) for seed in range(first, first + count))
    assert trusted >= 0.8 * count


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 20))
def test_many_random_questions(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.search.branching.COMPILED_AFTER", first // 40 % 3)
    if first % 40:
        monkeypatch.setattr("lipc.solving.witnesses.ascend", worst_start)
    trusted = sum(ask_and_compare(seed) for seed in range(first, first + 20))
    assert trusted >= 16


@pytest.mark.parametrize("first", [0, pytest.param(6, marks=pytest.mark.slow)])
def test_the_solver_says_the_same(first: int) -> None:
    for seed in range(first, first + 6):
        asked = lipschitz_question(seed)
        own, by_solver = (
            lipc.solve(program_of(asked), asked.query(), options=Options(search=search))  # type: ignore[arg-type]
            for search in ("bab", "mip")
        )
        assert own.status == by_solver.status == "optimal"
        assert own.lower == pytest.approx(by_solver.lower, rel=2e-6, abs=1e-12)
        assert max(own.lower, by_solver.lower) <= min(own.upper, by_solver.upper)


class Tree:
    """A search that certifies the points it is told of itself."""

    def __init__(self, net: Network, norm: Norm = Norm.LINF, deadline: float = np.inf, gap: float = 1e-6) -> None:
        self.net, self.norm, self.gap = net, norm, gap
        self.program = dense(net, norm=norm).program
        self.certifier = Certifier(self.program)
        self.attained = 0.0
        self.search = BranchAndBound(self.program, lambda: self.attained * (1 + gap), self.take, deadline)

    def take(self, x: Floats) -> None:
        witness = self.certifier.witness(x)
        self.attained = self.attained if witness is None else max(self.attained, witness.value)

    def exact(self) -> float:
        inputs = self.net.weights[0].shape[1]
        answer = oracle.lipschitz(*self.net, -np.ones(inputs), np.ones(inputs), None, self.norm.value)
        assert not answer.thin
        return answer.value

    def check(self, exact: float) -> None:
        """The pair is right, and closed if the search says so."""
        assert self.attained <= exact * (1 + 1e-11)
        assert self.search.upper >= exact * (1 - 1e-11)
        if self.search.is_complete:
            assert self.search.upper <= max(self.attained * (1 + self.gap), self.search.left)


def test_it_ends_at_nodes_and_goes_on() -> None:
    tree = Tree(random_network(4, (3, 7, 6, 1)))
    exact = tree.exact()
    tree.search.relax()
    uppers = [tree.search.upper]
    for most in count(1):
        tree.search.run(most_nodes=most)
        assert tree.search.nodes <= most
        tree.check(exact)
        uppers.append(tree.search.upper)
        if tree.search.is_complete:
            break
    assert len(uppers) > 5
    assert uppers == sorted(uppers, reverse=True)
    assert tree.attained == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 4), marks=pytest.mark.slow)])
@pytest.mark.parametrize("most", [0, 1, 3])
def test_few_open_nodes_go_deep_first(most: int, seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.search.frontier.MOST_OPEN", most)
    for seed in seeds:
        for norm in (Norm.LINF, Norm.L1):
            tree = Tree(random_network(seed, (3, 6, 5, 2)), norm)
            exact, widest = tree.exact(), 0
            tree.search.relax()
            tree.check(exact)
            roots, entries = len(tree.search.open), tree.search.unrolled.inputs + tree.search.unrolled.switches

            def look(tree: Tree = tree, exact: float = exact) -> None:
                nonlocal widest
                tree.check(exact)
                widest = max(widest, len(tree.search.open))

            tree.search.run(look)
            assert tree.search.is_complete
            assert widest <= max(most, roots) + entries
            assert tree.attained == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("times", [range(2, 6), pytest.param(range(12), marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "step", ["_bound", "_decide", "_split", "_leaf", "_push", "_drop", "_may_be", "_lower", "_visit", "_look"]
)
def test_an_interrupt_anywhere_leaves_a_valid_bound(step: str, times: range, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each of its steps, for the first few times."""
    monkeypatch.setattr(Incumbents, "is_due", lambda *_: step == "_look")
    net = random_network(4, (3, 6, 5, 1))
    exact = Tree(net).exact()
    stopped = 0
    for at in times:
        tree, calls, honest = Tree(net), 0, getattr(BranchAndBound, step)
        tree.search.relax()

        def interrupted(
            search: BranchAndBound, *args: object, honest: object = honest, at: int = at, **more: object
        ) -> object:
            nonlocal calls
            calls += 1
            if calls == at // 2 and at % 2:
                raise KeyboardInterrupt
            found = honest(search, *args, **more)  # type: ignore[operator]
            if calls == at // 2:
                raise KeyboardInterrupt
            return found

        with monkeypatch.context() as patch:
            patch.setattr(BranchAndBound, step, interrupted)
            try:
                tree.search.run()
            except KeyboardInterrupt:
                stopped += 1
        tree.check(exact)
    assert stopped > 2


def test_time_ends_it_with_a_valid_bound() -> None:
    net = random_network(1, (6, 24, 24, 24, 1))
    for seconds in (-1.0, 0.0, 0.4):
        tree = Tree(net, deadline=monotonic() + seconds)
        begun = monotonic()
        tree.search.relax()
        tree.search.run()
        assert monotonic() - begun < seconds + 3.0
        assert not tree.search.is_complete
        sampled = np.random.default_rng(0).uniform(-1, 1, (200, 6))
        values = [witness.value for x in sampled if (witness := tree.certifier.witness(x)) is not None]
        assert tree.search.upper >= max(values)


def test_a_seed_gives_one_search() -> None:
    net = random_network(6, (3, 8, 6, 1))
    query = Query(box(-1.0, np.ones(3)))
    logs: list[list[tuple[float, float, int]]] = []
    for _ in range(2):
        reports: list[Report] = []
        result = lipc.solve(from_weights(*net), query, options=Options(search="bab", seed=5), on_report=reports.append)
        logs.append([(report.lower, report.upper, report.nodes) for report in reports])
        logs[-1].append((result.lower, result.upper, result.nodes))
    assert logs[0] == logs[1]
    assert len(logs[0]) > 3


@pytest.mark.parametrize(("net", "value"), [(IDENTITY, 1.0), (ZERO, 0.0), (ABSOLUTE, 1.0)])
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
def test_patterns_without_interior_are_refuted(net: Network, value: float, norm: Norm) -> None:
    options = Options(search="bab")
    result = lipc.solve(from_weights(*net), Query(box(-1.0, np.ones(1)), norm=norm), options=options)
    assert (result.status, result.lower, result.solver) == ("optimal", value, OWN)
    assert result.upper == pytest.approx(value, rel=2e-6, abs=1e-12)


def cancelled_pairs(pairs: int) -> Program:
    """Return ``x0 + sum of (relu(x1) - relu(-x1) - x1)``, many neurons that all tie where x1 is 0, then a ReLU."""
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(2), np.ones(2)))
    rows = np.array([[0.0, 1.0], [0.0, -1.0]] * pairs) * np.repeat(1.0 + np.arange(pairs), 2)[:, None]
    hidden = builder.relu(builder.affine({x: rows}))
    weights = np.array([[1.0, -1.0] * pairs]) / np.repeat(1.0 + np.arange(pairs), 2)
    total = builder.affine({hidden: weights, x: np.array([[1.0, -float(pairs)]])})
    return builder.program(total, question(Norm.LINF))


def test_many_neurons_that_tie() -> None:
    result = lipc.solve(cancelled_pairs(8), options=Options(search="bab", time_limit=60.0), level=0)
    assert (result.status, result.lower) == ("optimal", 1.0)
    assert result.upper <= 1.0 + 1e-6


def test_neurons_that_do_not_matter_are_decided_where_they_hide_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """The points that are offered are thrown away but for full patterns."""
    seen = []
    honest = BranchAndBound._leaf

    def leaf(search: BranchAndBound, node: object, bound: float) -> float:
        seen.append(int((node.states == FREE).sum()))  # type: ignore[attr-defined]
        return honest(search, node, bound)  # type: ignore[arg-type]

    monkeypatch.setattr(BranchAndBound, "_leaf", leaf)
    monkeypatch.setattr(Incumbents, "is_due", lambda *_: False)  # what it finds leaves nothing to be decided
    # A neuron that the objective does not depend on when another one is off.
    weights = [np.array([[1.0, 0.5], [-1.0, 0.25]]), np.array([[1.0, -3.0], [1.0, 1.0]]), np.array([[2.0, 0.5]])]
    net = Network(weights, [np.array([0.1, -0.2]), np.array([-0.3, 0.1]), np.zeros(1)])
    tree = Tree(net)
    exact = tree.exact()
    refused, taken = tree.search.on_point, []

    def take(x: Floats) -> None:
        taken.append(x)
        if len(taken) > 1:
            refused(x)

    tree.search.on_point = take
    tree.search.relax()
    tree.search.run(lambda: tree.check(exact))
    assert tree.search.is_complete
    assert seen
    tree.check(exact)


def test_what_can_be_neither_reached_nor_refuted_stays_in_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Regions, "widest", lambda *_, **__: Region(None))
    net = random_network(4, (2, 5, 4, 1))
    tree = Tree(net)
    tree.search.on_point = lambda _: None
    tree.search.relax()
    tree.search.run()
    exact = tree.exact()
    assert tree.search.is_complete is (tree.search._open_bound == -np.inf)
    assert tree.search.left >= exact * (1 - 1e-11)
    assert tree.search.upper >= tree.search.left
    query = Query(box(-1.0, np.ones(2)))
    monkeypatch.setattr("lipc.solving.witnesses.ascend", worst_start)
    monkeypatch.setattr(Shown, "allows", lambda *_: True)
    result = lipc.solve(from_weights(*net), query, options=Options(search="bab"))
    assert result.upper >= exact * (1 - 1e-11)
    assert result.status == "unproven" or result.lower == pytest.approx(exact)


@pytest.mark.parametrize("search", ["auto", "mip", "bab"])
def test_a_domain_without_gradients_is_infeasible(search: str) -> None:
    """It lies in a kink."""
    net = Network([np.array([[1.0, 0.0], [0.5, 1.0]]), np.array([[1.0, 2.0]])], [np.array([-0.5, 0.0]), np.zeros(1)])
    query = Query(box([0.5, -1.0], [0.5, 1.0]))
    result = lipc.solve(from_weights(*net), query, options=Options(search=search))  # type: ignore[arg-type]
    assert (result.status, result.certified) == ("infeasible", False)


@pytest.mark.parametrize("search", ["auto", "mip", "bab"])
def test_a_piece_of_a_union_below_the_other_one(search: str) -> None:
    net = random_network(2, (2, 6, 5, 1))
    pieces = (box(-1.0, [0.0, 0.5]), box([0.0, -1.0], [1.0, 1.0]))
    result = lipc.solve(from_weights(*net), Query(pieces), options=Options(search=search))  # type: ignore[arg-type]
    exact = max(oracle.lipschitz(*net, piece.lower, piece.upper).value for piece in pieces)
    assert result.status == "optimal"
    assert result.lower == pytest.approx(exact, rel=1e-6)
    assert (result.solver == OWN) or search == "mip"


def test_questions_that_it_does_not_answer() -> None:
    program = dense(random_network(0, (2, 4, 3)), norm=Norm.L2).program
    with pytest.raises(QueryError, match="l_inf and l_1"):
        BranchAndBound(program, lambda: 0.0, lambda _: None, np.inf)
    largest = replace(dense(random_network(0, (2, 4, 1))).program, objective=Objective(Sense.MAXIMIZE))
    with pytest.raises(QueryError, match="l_inf and l_1"):
        BranchAndBound(largest, lambda: 0.0, lambda _: None, np.inf)
    many = dense(random_network(0, (2, 4, 15)), norm=Norm.L1).program
    summed = replace(many, objective=Objective(Sense.MAXIMIZE, Lipschitz(Norm.L1, Norm.L1)))
    with pytest.raises(QueryError, match="too many outputs"):
        BranchAndBound(summed, lambda: 0.0, lambda _: None, np.inf)


@pytest.mark.parametrize("way", ["compiled", "without numba", "without a folder", "without time"])
def test_compiled_code_takes_over(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.search.branching.COMPILED_AFTER", 1)
    if way == "without numba":
        monkeypatch.setitem(sys.modules, "lipc.bounds.compiled", None)
        monkeypatch.delattr("lipc.bounds.compiled")
    elif way == "without time":
        monkeypatch.setattr("lipc.bounds.compiled.compile_kernels", lambda _: False)
    elif way == "without a folder":

        def fail(_: float) -> bool:
            raise RuntimeError("cannot cache function")

        monkeypatch.setattr("lipc.bounds.compiled.compile_kernels", fail)
    tree = Tree(random_network(3, (3, 8, 8, 1)))
    tree.search.relax()
    tree.search.run()
    assert tree.search.nodes > 3
    tree.check(tree.exact())
    assert tree.search.is_complete
    assert (tree.search.sdp is not Sdp) is (way == "compiled")
