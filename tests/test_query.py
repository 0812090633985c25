from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipc.errors import InternalError, QueryError
from lipc.frontends.dense import from_weights
from lipc.grammars import grammar
from lipc.ir import Input, Lipschitz, Norm, Objective, Polytope, Program, Sense, evaluate
from lipc.query import Functional, Query, ball, box, parse_functional

NETWORK = from_weights([[[1.0, 2.0], [3.0, -4.0], [0.5, 0.5]], [[1.0, 1.0, 0.0], [2.0, 0.0, 1.0]]]).program
ONE_OUTPUT = from_weights([[[1.0, 2.0]]]).program


@pytest.mark.parametrize(
    ("text", "weights", "constant"),
    [
        ("y[0]", {0: 1.0}, 0.0),
        ("-y[3]", {3: -1.0}, 0.0),
        ("+ y[0] - y[1]", {0: 1.0, 1: -1.0}, 0.0),
        ("2*y[0] - 0.5*y[12]", {0: 2.0, 12: -0.5}, 0.0),
        ("y[0]*3 + 1e-3", {0: 3.0}, 1e-3),
        ("y[1]/4-.5", {1: 0.25}, -0.5),
        ("  2 * y [ 1 ] + 1. ", {1: 2.0}, 1.0),
        ("y[0] + y[0] - 3*y[0]", {0: -1.0}, 0.0),
        ("y[0] - y[0]", {0: 0.0}, 0.0),
        ("1 - 2 + 4.5", {}, 3.5),
        ("3.5", {}, 3.5),
        ("2E+2*y[0]", {0: 200.0}, 0.0),
        ("y[007]", {7: 1.0}, 0.0),
    ],
)
def test_expressions(text: str, weights: dict[int, float], constant: float) -> None:
    assert parse_functional(text) == Functional(weights, constant)


@pytest.mark.parametrize("text", ["0", "1", " 12 "])
def test_a_plain_index_is_an_output(text: str) -> None:
    assert parse_functional(text) == Functional({int(text): 1.0})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at column 1"),
        ("y", "at column 1"),
        ("y[0", "at column 3"),
        ("y[]", "at column 3"),
        ("y[-1]", "at column 3"),
        ("y[0.5]", "at column 4"),
        ("y[0] y[1]", "at column 6"),
        ("y[0] - - y[1]", "at column 8"),
        ("2**y[0]", "at column 3"),
        ("y[0]*y[1]", "at column 6"),
        ("z[0]", "at column 1"),
        ("y[0] + x", "at column 8"),
        ("1/y[0]", "at column 2"),
        ("nan*y[0]", "at column 1"),
        ("y[0]/0", "divides by zero"),
        ("y[0]/0.0e5", "divides by zero"),
        ("1e999*y[0]", "not finite"),
        ("y[0]/1e-320", "not finite"),
        ("1e308 + 1e308", "not finite"),
    ],
)
def test_what_cannot_be_read(text: str, words: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse_functional(text)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


# Numbers of few digits: `str` is for people and shows six.
numbers = st.integers(-99999, 99999).filter(bool).map(lambda number: number / 100)


@settings(deadline=None, max_examples=80)
@given(st.dictionaries(st.integers(0, 40), numbers, min_size=1, max_size=4), numbers | st.just(0.0))
def test_text_there_and_back(weights: dict[int, float], constant: float) -> None:
    functional = Functional(weights, constant)
    assert parse_functional(str(functional)) == functional


@pytest.mark.parametrize("text", ["0.123456789*y[0]", "y[0] / 3", "y[0] + 1234567", "1000001*y[1]"])
def test_text_there_and_back_with_many_digits(text: str) -> None:
    functional = parse_functional(text)
    assert parse_functional(str(functional)) == functional


@pytest.mark.parametrize(
    ("functional", "text"),
    [
        (Functional({0: 1.0}), "y[0]"),
        (Functional({0: -1.0, 2: 1.0}), "-y[0] + y[2]"),
        (Functional({1: -2.5}, -0.5), "-2.5*y[1] - 0.5"),
        (Functional({}, 0.0), "+ 0"),
        (Functional({}, -1.5), "-1.5"),
    ],
)
def test_text_for_people(functional: Functional, text: str) -> None:
    assert str(functional) == text


def test_rows() -> None:
    assert Functional({2: 3.0, 0: -1.0}).row(4).tolist() == [[-1.0, 0.0, 3.0, 0.0]]
    with pytest.raises(QueryError, match=r"no output y\[4\].*y\[0\] \.\. y\[3\]"):
        Functional({4: 1.0}).row(4)


def domain_of(program: Program) -> Polytope:
    return program.network_input()[1]


@pytest.mark.parametrize(
    ("domain", "lower", "upper"),
    [
        (None, [0, 0], [1, 1]),
        (box(-1, 2), [-1, -1], [2, 2]),
        (box([-1, 0], 2), [-1, 0], [2, 2]),
        (box([[-1], [0]], [[1], [0]]), [-1, 0], [1, 0]),
        (ball([0.5, 1.0], 0.25), [0.25, 0.75], [0.75, 1.25]),
        (ball([0.5, 1.0], 0.25, (0.0, 1.0)), [0.25, 0.75], [0.75, 1.0]),
        (ball([[0.0, 5.0]], 0.25, (0.0, 5.0)), [0.0, 4.75], [0.25, 5.0]),
        (ball(0.5, 0.5), [0, 0], [1, 1]),
        (ball([0.5, 1.0], 0), [0.5, 1.0], [0.5, 1.0]),
        (ball([2.0, 1.0], 1.0, (0.0, 1.0)), [1.0, 0.0], [1.0, 1.0]),
    ],
)
def test_domains(domain: Polytope | None, lower: list[float], upper: list[float]) -> None:
    found = domain_of(Query(domain).ask(NETWORK))
    assert (found.lower.tolist(), found.upper.tolist()) == (lower, upper)
    assert found.is_bounded_box


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        (box([0, 0, 0], 1), "3 entries, but the network has 2 inputs"),
        (ball([0.0] * 5, 1), "5 entries"),
        (box(1, 0), "empty: input 0 ranges from 1 to 0"),
        (box([0, 3], [1, 2]), "empty: input 1 ranges from 3 to 2"),
        (ball([0.5, 3.0], 0.25, (0.0, 1.0)), "empty: input 1 ranges from 2.75 to 1"),
        (box(0, INFINITY), "infinite or undefined"),
        (box([-INFINITY, 0], 1), "infinite or undefined"),
        (box([0, NAN], 1), "infinite or undefined"),
        (ball([0.0, NAN], 1), "infinite or undefined"),
        (ball([0.0, 0.0], INFINITY), "infinite or undefined"),
        (ball([INFINITY, 0.0], INFINITY), "infinite or undefined"),
        (ball([1e308, -1e308], 1.7e308), "infinite or undefined"),
        (box(-1e308, 1e308), r"as far as 1e\+308"),
        (box(0, [1, 1.1e100]), r"as far as 1.1e\+100"),
        (Polytope.space(2), "infinite or undefined"),
    ],
)
def test_domains_that_do_not_fit(domain: Polytope, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        Query(domain).ask(NETWORK)
    with pytest.raises(QueryError, match=words):
        Query(domain).describe(NETWORK)


@pytest.mark.parametrize("radius", [-1.0, -5e-324, NAN])
def test_radii(radius: float) -> None:
    with pytest.raises(QueryError, match="radius"):
        ball([0.0], radius)


def test_boxes_of_two_sizes() -> None:
    with pytest.raises(QueryError):
        box([0, 0], [1, 1, 1])


POINTS = np.random.default_rng(0).uniform(size=(20, 2))


@pytest.mark.parametrize(
    ("output", "weights", "constant"),
    [
        (None, None, 0.0),
        (1, [0.0, 1.0], 0.0),
        ("y[0] - 2*y[1] + 3", [1.0, -2.0], 3.0),
        (Functional({1: 4.0}, -1.0), [0.0, 4.0], -1.0),
        ("2.5", [0.0, 0.0], 2.5),
    ],
)
def test_outputs(output: Functional | str | int | None, weights: list[float] | None, constant: float) -> None:
    program = Query(output=output).ask(NETWORK)
    assert program.objective == Objective(Sense.MAXIMIZE, Lipschitz(Norm.LINF))
    before = evaluate(NETWORK, {0: POINTS})[NETWORK.result]
    after = evaluate(program, {0: POINTS})[program.result]
    expected = before if weights is None else (before @ weights + constant)[:, None]
    np.testing.assert_allclose(after, expected, atol=1e-13)


@pytest.mark.parametrize(
    ("query", "objective"),
    [
        (Query(norm=Norm.L1), Objective(Sense.MAXIMIZE, Lipschitz(Norm.L1))),
        (Query(goal="max"), Objective(Sense.MAXIMIZE)),
        (Query(goal="min"), Objective(Sense.MINIMIZE)),
    ],
)
def test_goals(query: Query, objective: Objective) -> None:
    program = query.ask(ONE_OUTPUT)
    assert program.objective == objective
    # The network is not changed by a question.
    assert ONE_OUTPUT.objective is None
    assert not np.isfinite(domain_of(ONE_OUTPUT).lower).any()
    assert isinstance(program.ops[0], Input)
    assert program.ops[0].origin is ONE_OUTPUT.ops[0].origin


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query(goal="max"), "has 2 outputs; say which one"),
        (Query(goal="min"), "has 2 outputs; say which one"),
        (Query(output=2), r"no output y\[2\]; the network has y\[0\] .. y\[1\]"),
        (Query(output="y[0] - y[9]"), r"no output y\[9\]"),
        (Query(output="y[0"), "cannot read the output 'y\\[0'"),
    ],
)
def test_questions_that_do_not_fit(query: Query, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        query.ask(NETWORK)


@pytest.mark.parametrize("output", [-1, Functional({-2: 1.0})])
def test_negative_indices(output: Functional | int) -> None:
    with pytest.raises(QueryError, match="no output"):
        Query(output=output).ask(NETWORK)


@pytest.mark.parametrize("functional", [Functional({0: NAN}), Functional({0: INFINITY}), Functional({0: 1.0}, NAN)])
def test_weights_that_are_not_finite(functional: Functional) -> None:
    with pytest.raises(QueryError):
        Query(output=functional).ask(NETWORK)


@pytest.mark.parametrize(
    ("query", "network", "expected"),
    [
        (Query(), NETWORK, {"objective": "lipschitz", "norm": "linf", "several_outputs": True}),
        (Query(), NETWORK, {"output": "all 2, largest (l_inf)"}),
        (Query(norm=Norm.L1), ONE_OUTPUT, {"norm": "l1", "output": "y[0]", "several_outputs": False}),
        (Query(output="y[1] - y[0]", goal="min"), NETWORK, {"objective": "min", "output": "y[1] - y[0]"}),
        (Query(output=1), NETWORK, {"output": "y[1]", "several_outputs": False}),
        (
            Query(box([-1, 0], [3, 2])),
            NETWORK,
            {"domain": {"type": "box", "inputs": 2, "lower": [-1.0, 0.0], "upper": [2.0, 3.0]}},
        ),
    ],
)
def test_descriptions(query: Query, network: Program, expected: dict[str, object]) -> None:
    described = query.describe(network)
    assert described | expected == described
    assert json.loads(json.dumps(described)) == described


def test_the_grammar_is_found_and_a_missing_one_is_our_fault() -> None:
    assert "output" in grammar("functional.lark")
    with pytest.raises(InternalError, match="missing"):
        grammar("no such grammar")
