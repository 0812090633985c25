"""Estimators against the exact constants of small networks: uppers never below, lowers never above, not by an ulp.

The regions are those of the enumeration; the gradients of those that count are computed anew in rational arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest

import lipc
from lipc import Functional, Norm, Query, box
from lipc.estimators.base import Estimate, Kind, Limits, RefusedError
from lipc.estimators.catalogue import ESTIMATORS
from lipc.ir import L1Ball, Polytope
from lipc.outputs import Differences
from tests import oracle
from tests.nets import KINDS, Network, random_network

METHODS = (
    "fastlip,fastlip{bounds=linear},recurjac,jacobian-crown,jacobian-crown{nodes=400},zlip,liplp,"
    "liplp{mode=forward,level=1},lipmip{safe},random{samples=500},ascent,clever{batches=20,batch=64}"
)
SLOW = "liplp{mode=forward,level=0},liplp{tighten},liplp{level=3},lipmip"
MOST_OFF = 1e-9
"""The enumeration is in floating point: regions whose norms are this near to the largest are computed exactly."""


@dataclass(frozen=True)
class Question:
    """A network and a query, with its extreme c, and the half-spaces that cut the box."""

    net: Network
    query: Query
    rows: list[list[int]]
    sides: oracle.Sides | None

    @property
    def norm(self) -> str:
        return self.query.norm.value


def question(seed: int) -> Question:
    """A question of every sort in turn."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    net = random_network(seed, [(2, 4, 4, 2), (3, 5, 3), (2, 3, 3, 3, 2)][seed % 3], kind)
    inputs, outputs = net.weights[0].shape[1], len(net.biases[-1])
    low = rng.uniform(-1, 0, inputs) if seed % 4 else -np.ones(inputs)
    high = low + rng.uniform(0.3, 1.5, inputs) if seed % 4 else np.ones(inputs)
    domain, sides = box(low, high), None
    if seed % 5 == 1:
        center, radius = (low + high) / 2, float((high - low).max() * 0.4)
        domain, sides = Polytope(**{**vars(domain), "l1": L1Ball(center, radius)}), oracle.l1_ball(center, radius)
    if seed % 5 == 2:
        row = rng.normal(size=inputs)
        limit = float(row @ (0.7 * low + 0.3 * high))
        domain, sides = domain.with_rows(row, -np.inf, limit), (row[None], np.array([limit]))
    norm = [Norm.LINF, Norm.L1, Norm.L2][seed // 2 % 3]
    unit = np.eye(outputs, dtype=int)
    sort = seed // 7 % 4 if outputs > 1 else 3
    if sort == 0:
        return Question(net, Query(domain, norm=norm), unit.tolist(), sides)
    if sort == 1:
        signs = [[1, *rest] for rest in product((1, -1), repeat=outputs - 1)]
        return Question(net, Query(domain, norm=norm, output_norm=Norm.L1), signs, sides)
    if sort == 2:
        pairs = [(unit[i] - unit[j]).tolist() for i, j in combinations(range(outputs), 2)]
        return Question(net, Query(domain, Differences(), norm=norm), pairs, sides)
    weights = [3, -2, 1][:outputs]
    return Question(net, Query(domain, Functional(dict(enumerate(map(float, weights)))), norm), [weights], sides)


def exact_power(asked: Question) -> Fraction | None:
    """The constant in rational arithmetic, for l_2 its square; `None` if the enumeration is not sure of the regions."""
    domain = asked.query.domain
    assert isinstance(domain, Polytope)
    regions, thin = oracle.regions(*asked.net, domain.lower, domain.upper, asked.sides)
    if thin:
        return None
    candidates = [(region, row) for region in regions for row in asked.rows]
    sizes = np.array([_size(np.array(row) @ region.jacobian, asked.norm) for region, row in candidates])
    near = np.flatnonzero(sizes >= sizes.max() * (1 - MOST_OFF))
    return max(_power(_gradient(asked.net, candidates[k][0].patterns, candidates[k][1]), asked.norm) for k in near)


def _size(gradient: np.ndarray, norm: str) -> float:
    magnitudes = np.abs(gradient)
    return float({"linf": magnitudes.sum(), "l1": magnitudes.max(), "l2": np.sqrt(magnitudes @ magnitudes)}[norm])


def _gradient(net: Network, patterns: Sequence[np.ndarray], row: list[int]) -> list[Fraction]:
    y = [Fraction(weight) for weight in row]
    for weight, pattern in zip(net.weights[:0:-1], patterns[::-1], strict=True):
        y = [value if active else Fraction(0) for value, active in zip(_pulled(weight, y), pattern, strict=True)]
    return _pulled(net.weights[0], y)


def _pulled(weight: np.ndarray, y: list[Fraction]) -> list[Fraction]:
    return [sum((Fraction(w) * v for w, v in zip(column, y, strict=True)), Fraction(0)) for column in weight.T.tolist()]


def _power(gradient: list[Fraction], norm: str) -> Fraction:
    if norm == "l2":
        return sum((entry**2 for entry in gradient), Fraction(0))
    magnitudes = [abs(entry) for entry in gradient]
    return max(magnitudes) if norm == "l1" else sum(magnitudes, Fraction(0))


def check(seed: int, methods: str) -> None:
    asked = question(seed)
    truth = exact_power(asked)
    if truth is None:
        return
    program = asked.query.ask(lipc.from_weights(*asked.net).program)
    for method in ESTIMATORS.parse(methods, "methods"):
        try:
            found = method.estimate(program, Limits(seed=seed))
        except RefusedError as error:
            # Nothing to certify: the gradient is nowhere proven, or reverse mode and l_2.
            assert "l_2" in str(error) or method.kind is Kind.LOWER
            continue
        hold(found, found.kind or method.kind, truth, asked.norm, f"{method}: seed {seed}")


def hold(found: Estimate, kind: Kind, truth: Fraction, norm: str, where: str) -> None:
    power = 2 if norm == "l2" else 1
    assert found.norm == f"l_{norm[1:]}"
    assert found.value >= 0, where
    value = Fraction(found.value) ** power
    if kind in (Kind.UPPER, Kind.EXACT):
        assert value >= truth, where
    if kind is Kind.LOWER:
        assert value <= truth, where
        assert found.witness is not None and found.witness.value == found.value
    if kind is Kind.EXACT:
        # In l_2 the solver's program is about a polytope around the ball; patterns close the pair.
        assert found.value == pytest.approx(float(truth) ** (1 / power), rel=2e-6, abs=1e-300), where
        assert found.witness is not None or truth == 0


@pytest.mark.parametrize("seed", range(9))
def test_every_kind_of_network(seed: int) -> None:
    check(seed, METHODS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(9, 209))
def test_many_networks(seed: int) -> None:
    check(seed, f"{METHODS},{SLOW}")


@pytest.mark.slow
def test_the_branch_and_bound_is_complete() -> None:
    """With enough nodes the pair closes, on every network of which the enumeration is sure."""
    (method,) = ESTIMATORS.parse("jacobian-crown{nodes=20000}", "method")
    sure = 0
    for seed in range(60):
        asked = question(seed)
        truth = exact_power(asked)
        if not truth:
            continue
        sure += 1
        found = method.estimate(asked.query.ask(lipc.from_weights(*asked.net).program), Limits())
        assert found.kind is Kind.EXACT, seed
    assert sure > 40
