"""Outputs in l_1, differences of outputs, perturbations in l_2: proven pairs against the enumeration of all regions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import oracle
import pytest
from nets import KINDS, Network, NetworkKind, random_network
from spread import spread

import lipc
from lipc import Norm, Options, Query, Result, ball, box, from_weights
from lipc.errors import QueryError
from lipc.ir import Builder, Polytope
from lipc.query import Differences
from lipc.verify import verify

RELATIVE = 1e-7
UPPER = 2e-6  # the default gap, and a little


class Domain(NamedTuple):
    """A domain for lipc and for the oracle."""

    polytope: Polytope
    sides: oracle.Sides | None

    @property
    def lower(self) -> np.ndarray:
        return self.polytope.lower

    @property
    def upper(self) -> np.ndarray:
        return self.polytope.upper


def domain(kind: str, size: int) -> Domain:
    """Return a domain of one kind: a box, one cut by half-spaces, an l_1 ball."""
    low, high = np.full(size, -0.9), np.linspace(0.7, 1.3, size)
    if kind == "box":
        return Domain(box(low, high), None)
    if kind == "half-spaces":
        rows, limits = np.vstack([np.ones(size), np.linspace(1, -0.5, size)]), np.array([0.5, 0.25])
        return Domain(box(low, high).with_rows(rows, -np.inf, limits), (rows, limits))
    center = np.full(size, 0.125)
    return Domain(ball(center, 0.75, norm=Norm.L1), oracle.l1_ball(center, 0.75))


def network(seed: int, kind: NetworkKind) -> Network:
    return random_network(seed, [2 + seed % 2, 4, 3, 3], kind)


def check_pair(result: Result, answer: oracle.LipschitzAnswer) -> None:
    if answer.thin:
        pytest.skip("the oracle does not vouch for this one")
    assert result.certified, result
    assert result.lower <= answer.value * (1 + 1e-12) + 1e-15
    assert result.lower == pytest.approx(answer.value, rel=RELATIVE, abs=1e-12)
    assert result.upper >= answer.value * (1 - 1e-12)
    assert result.upper == pytest.approx(answer.value, rel=UPPER, abs=1e-9)


@pytest.mark.parametrize(
    ("shape", "norm", "mode"),
    spread(["box", "half-spaces", "ball"], ["linf", "l1"], ["reverse", "forward"], every=5),
)
def test_outputs_in_l1(shape: str, norm: oracle.Norm, mode: str) -> None:
    net = network(3, "generic")
    where = domain(shape, 3)
    query = Query(where.polytope, norm=Norm(norm), output_norm=Norm.L1)
    answer = oracle.lipschitz(*net, where.lower, where.upper, None, norm, "l1", where.sides)
    largest = oracle.lipschitz(*net, where.lower, where.upper, None, norm, "linf", where.sides)
    assert answer.value > 1.01 * largest.value  # the two norms differ here
    result = lipc.solve(from_weights(*net), query, mode=mode)
    check_pair(result, answer)
    assert result.witness is not None
    assert np.abs(result.witness.cotangent).tolist() == [1.0, 1.0, 1.0]
    assert result.witness.output is None
    assert verify(result.to_dict(), from_weights(*net)).holds


@pytest.mark.parametrize(("of", "norm", "mode"), spread([None, 0, 2], ["linf", "l1"], ["reverse", "forward"], every=5))
def test_differences(of: int | None, norm: oracle.Norm, mode: str) -> None:
    net = network(1, "generic")
    where = domain("half-spaces", 3)
    result = lipc.solve(from_weights(*net), Query(where.polytope, Differences(of), Norm(norm)), mode=mode)
    answer = oracle.cross_lipschitz(*net, where.lower, where.upper, of, norm, where.sides)
    check_pair(result, answer)
    assert result.witness is not None
    pairs = result.query["differences"]
    assert isinstance(pairs, list)
    first, second = pairs[int(np.flatnonzero(result.witness.cotangent)[0])]
    row = np.eye(3)[first] - np.eye(3)[second]
    single = oracle.lipschitz(*net, where.lower, where.upper, row, norm, sides=where.sides)
    assert single.value == pytest.approx(answer.value, rel=1e-12)
    assert verify(result.to_dict(), from_weights(*net)).holds


@pytest.mark.parametrize("shape", ["box", "half-spaces", "ball"])
def test_perturbations_in_l2(shape: str) -> None:
    net = network(1, "generic")
    where = domain(shape, 3)
    result = lipc.solve(from_weights(*net), Query(where.polytope, norm=Norm.L2))
    answer = oracle.lipschitz(*net, where.lower, where.upper, None, "l2", sides=where.sides)
    check_pair(result, answer)
    for other, above in (("linf", True), ("l1", False)):
        constant = oracle.lipschitz(*net, where.lower, where.upper, None, other, sides=where.sides)  # type: ignore[arg-type]
        assert (constant.value > result.upper) == above
    assert verify(result.to_dict(), from_weights(*net)).holds


def test_a_pair_in_l2_without_a_solve_is_valid() -> None:
    net = network(1, "generic")
    where = domain("box", 3)
    result = lipc.solve(from_weights(*net), Query(where.polytope, norm=Norm.L2), options=Options(time_limit=0))
    answer = oracle.lipschitz(*net, where.lower, where.upper, None, "l2")
    assert result.status == "time_limit"
    assert not result.certified
    assert result.lower <= answer.value <= result.upper


@pytest.mark.parametrize(("norm", "output"), spread(list(Norm), [None, "cross", "cross:1"], every=2))
def test_tampered_witnesses_are_found(output: str | None, norm: Norm) -> None:
    net = from_weights(*network(1, "generic"))
    output_norm = Norm.L1 if output is None else Norm.LINF
    content = lipc.solve(net, Query(domain("box", 3).polytope, output, norm, "lipschitz", output_norm)).to_dict()
    assert verify(content, net).holds
    witness = content["witness"]
    assert isinstance(witness, dict)
    for factor in (1.5, -1.0, 0.0):
        changed = [factor * weight for weight in witness["cotangent"]]
        # Signs turned round are as good, but for the sign of the gradient.
        assert not verify(content | {"witness": witness | {"cotangent": changed}}, net).holds


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_all_questions_of_random_networks(kind: NetworkKind, seed: int) -> None:
    net = network(seed, kind)
    inputs, outputs = net.weights[0].shape[1], len(net.biases[-1])
    where = domain(["box", "half-spaces", "ball"][seed % 3] if inputs > 1 else "box", inputs)
    model = from_weights(*net)
    for norm in ("linf", "l1"):
        for mode in ("reverse", "forward"):
            summed = oracle.lipschitz(*net, where.lower, where.upper, None, norm, "l1", where.sides)  # type: ignore[arg-type]
            query = Query(where.polytope, norm=Norm(norm), output_norm=Norm.L1)
            check_pair(lipc.solve(model, query, mode=mode), summed)
            if outputs > 1:
                crossed = oracle.cross_lipschitz(*net, where.lower, where.upper, None, norm, where.sides)  # type: ignore[arg-type]
                check_pair(lipc.solve(model, Query(where.polytope, "cross", Norm(norm)), mode=mode), crossed)
    euclidean = oracle.lipschitz(*net, where.lower, where.upper, None, "l2", sides=where.sides)
    check_pair(lipc.solve(model, Query(where.polytope, norm=Norm.L2)), euclidean)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query(output="cross:3"), r"no output y\[3\]"),
        (Query(output="cross:"), "cannot read the output"),
        (Query(output="cross:-1"), "cannot read the output"),
        (Query(output="cross", goal="max"), "has 3 outputs"),
        (Query(output="all", goal="min"), "has 3 outputs"),
        (Query(output="cross", output_norm=Norm.L1), "the largest is asked"),
        (Query(output_norm=Norm.L2), "l_inf or l_1"),
    ],
)
def test_questions_that_do_not_fit(query: Query, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        query.ask(from_weights(*network(0, "generic")).program)


def test_l2_has_no_reverse_mode_and_no_balls() -> None:
    with pytest.raises(QueryError, match="reverse mode"):
        lipc.compile(from_weights(*network(0, "generic")), Query(norm=Norm.L2), mode="reverse")
    with pytest.raises(QueryError, match="no polytope"):
        ball([0.0, 0.0], 1.0, norm=Norm.L2)


def test_one_output_has_no_differences_and_one_norm() -> None:
    model = from_weights(*random_network(0, [2, 3, 1]))
    with pytest.raises(QueryError, match="no differences"):
        lipc.compile(model, Query(output="cross"))
    summed, largest = (lipc.solve(model, Query(output_norm=norm)) for norm in (Norm.L1, Norm.LINF))
    assert summed.lower == largest.lower
    assert not summed.query["several_outputs"]


def test_a_network_that_is_its_input_alone() -> None:
    builder = Builder()
    program = builder.program(builder.input(Polytope.box(-np.ones(3), np.ones(3))))
    assert lipc.solve(program).lower == 1.0
