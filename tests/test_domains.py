"""Half-spaces, l_1 balls and unions: answers of small networks against enumeration, and domains without interior."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import oracle
import pytest
from nets import KINDS, Network, NetworkKind, random_network

import lipc
from lipc import Query, Result
from lipc.ir import L1Ball, Norm, Polytope
from lipc.query import Goal, box

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
def test_small_networks(kind: NetworkKind) -> None:
    trusted = sum(ask_and_compare(seed, kind, inputs=2 + seed % 2, hidden=[4, 3], pieces=1) for seed in range(14))
    assert trusted >= 9


@pytest.mark.parametrize("kind", KINDS)
def test_small_networks_on_unions(kind: NetworkKind) -> None:
    trusted = sum(ask_and_compare(seed, kind, inputs=2, hidden=[4], pieces=2 + seed % 2) for seed in range(5))
    assert trusted >= 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inputs", [2, 3, 4])
def test_many_networks(kind: NetworkKind, inputs: int) -> None:
    trusted = sum(
        ask_and_compare(seed, kind, inputs=inputs, hidden=[6, 5][: 1 + seed % 2], pieces=1 + seed % 3)
        for seed in range(100, 130)
    )
    assert trusted >= 20
