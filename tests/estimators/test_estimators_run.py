"""Several methods on one question, with methods made for the test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import lipc
from lipc.certify import Certifier
from lipc.diagnostics import SourceError
from lipc.errors import InternalError, QueryError
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError
from lipc.estimators.catalogue import estimator_names
from lipc.estimators.run import Estimated, estimate
from lipc.ir import Norm, Program
from lipc.query import Query, box
from tests import oracle
from tests.nets import random_network

SLOPES = lipc.from_weights([np.array([[1.0], [1.0]]), np.array([[1.0, 2.0]])], [np.array([0.0, -1.0]), np.zeros(1)])
"""relu(x) + 2 relu(x - 1): slopes 0, 1 and 3."""


@dataclass(frozen=True)
class Corner(Estimator):
    """The slope at the upper end of the domain, called whatever the test wants."""

    called: Kind = Kind.LOWER
    times: float = 1.0
    name: ClassVar[str] = "corner"
    kind: ClassVar[Kind] = Kind.LOWER
    source: ClassVar[str] = "this test"

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        assert limits.seed == 7
        witness = Certifier(program).witness(program.network_input()[1].upper)
        assert witness is not None
        return Estimate(self.times * witness.value, "linf", kind=self.called, witness=witness)


@dataclass(frozen=True)
class Never(Estimator):
    """Refuses."""

    name: ClassVar[str] = "never"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = "this test"

    def estimate(self, program: Program, limits: Limits) -> Estimate:  # noqa: ARG002
        raise RefusedError("not for me")


@dataclass(frozen=True)
class Lie(Corner):
    """Says 0 of everything."""

    def estimate(self, program: Program, limits: Limits) -> Estimate:  # noqa: ARG002
        return Estimate(0.0, "l_inf", kind=Kind.UPPER)


def test_over_a_union_the_largest_counts() -> None:
    pieces = (box(-2.0, -1.0), box(1.5, 2.0), box(0.0, 0.5))
    (found,) = estimate(SLOPES, Query(pieces), methods=[Corner()], seed=7)
    assert found.value == 3.0
    assert found.estimate is not None
    assert found.estimate.witness is not None
    assert found.estimate.witness.x[0] == 2.0
    assert found.kind is Kind.LOWER


def test_an_upper_bound_of_a_piece_makes_the_whole_no_more_than_that() -> None:
    @dataclass(frozen=True)
    class Mixed(Corner):
        def estimate(self, program: Program, limits: Limits) -> Estimate:  # noqa: ARG002
            solved = program.network_input()[1].upper[0] > 1
            return Estimate(3.0 if solved else 1.0, "linf", kind=Kind.EXACT if solved else Kind.UPPER)

    Mixed.kind = Kind.EXACT
    (found,) = estimate(SLOPES, Query((box(1.5, 2.0), box(0.0, 0.5))), methods=[Mixed()])
    assert (found.value, found.kind) == (3.0, Kind.UPPER)


def test_a_refusal_does_not_end_the_others() -> None:
    seen: list[str] = []

    def tell(answer: Estimated) -> None:
        seen.append(answer.method)

    first, second = estimate(SLOPES, Query(box(1.5, 2.0)), methods=[Never(), Corner()], seed=7, on_estimate=tell)
    assert first.refusal == "not for me"
    assert np.isnan(first.value)
    assert second.value == 3.0
    assert seen == ["never", "corner"]
    record = json.loads(first.to_json())
    assert record["value"] is None and record["refusal"] == "not for me" and record["kind"] == "upper"
    record = json.loads(second.to_json())
    assert record["witness"]["x"] == [2.0]
    assert record["source"] == "this test"


def test_a_contradiction_stops() -> None:
    query = Query(box(1.5, 2.0))
    with pytest.raises(InternalError, match=r"at most 2\.7, corner.* at least 3\.0"):
        estimate(SLOPES, query, methods=[Corner(), Corner(Kind.UPPER, 0.9)], seed=7)
    # A guess may be anything.
    assert len(estimate(SLOPES, query, methods=[Corner(), Corner(Kind.HEURISTIC, 0.9)], seed=7)) == 2


def test_an_unknown_method_and_a_range_are_mistakes_of_the_call() -> None:
    with pytest.raises(SourceError, match="there is no method 'fastlib'"):
        estimate(SLOPES, methods="fastlib")
    with pytest.raises(QueryError, match="Lipschitz questions"):
        estimate(SLOPES, Query(goal="max"), methods=[Corner()])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 9))])
def test_all_methods_at_once_on_tiny_networks(seed: int) -> None:
    """Methods by default, over a union: against the exact value by enumeration, which shares no code with them."""
    net = random_network(seed, (2, 4, 3, 2))
    norm = [Norm.LINF, Norm.L1, Norm.L2][seed % 3]
    corners = [(np.array([-1.0, -0.5]), np.array([0.0, 0.5])), (np.array([0.2, 0.1]), np.array([0.9, 1.0]))]
    truth = max(
        np.abs(norm.dual_of(region.jacobian)).max()
        for lower, upper in corners
        for region in oracle.regions(*net, lower, upper)[0]
    )
    domains = tuple(box(lower, upper) for lower, upper in corners)
    answers = estimate(lipc.from_weights(*net), Query(domains, norm=norm), time_limit=30)
    assert [each.method for each in answers] == estimator_names()
    answered = [each for each in answers if each.estimate is not None]
    assert len(answered) >= len(answers) - 1
    for each in answered:
        if each.kind in (Kind.UPPER, Kind.EXACT):
            assert each.value >= truth * (1 - 1e-12), each.method
        if each.kind in (Kind.LOWER, Kind.EXACT):
            assert each.value <= truth * (1 + 2e-6), each.method
    assert answers[0].kind is Kind.EXACT
    # One that lies is found out by the others.
    with pytest.raises(InternalError, match="corner says at most"):
        estimate(lipc.from_weights(*net), Query(domains, norm=norm), methods=["random", Lie()])
