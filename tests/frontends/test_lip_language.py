"""The constructs of the .lip language against numpy, the query, the warnings, and the names of operations."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import oracle
import pytest
from numpy.typing import NDArray

import lipc
from lipc.frontends.lip import parse_lip, read_lip
from lipc.frontends.network import Network
from lipc.ir import Affine, Conditional, Input, Norm, Polytope, Switch, evaluate, verify
from lipc.ir.exact import ExactInterpreter
from lipc.query import Differences, Functional, Query, ball, box

Floats = NDArray[np.float64]

EXAMPLES = Path(__file__).parents[2] / "examples"
W = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
V = np.array([0.5, -1.0, 2.0])
POINTS = np.random.default_rng(0).normal(size=(40, 3))


def values(network: Network, points: Floats) -> Floats:
    """Return the outputs of a network at points, one per row."""
    verify(network.program)
    return evaluate(network.program, {next(network.program.find(Input)): points})[network.program.result]


def network_of(expression: str, inputs: int = 3, before: str = "") -> Network:
    constants = f"W = {W.tolist()}\nv = {V.tolist()}\n"
    return parse_lip(f"{constants}network f {{\n  input x[{inputs}]\n  {before}\n  output y = {expression}\n}}")


def relu(x: Floats) -> Floats:
    return np.maximum(x, 0)


CONSTRUCTS: list[tuple[str, Callable[[Floats], Floats]]] = [
    # sums and multiples
    ("x", lambda x: x),
    ("-x", lambda x: -x),
    ("--x + -(-x)", lambda x: 2 * x),
    ("+x - -x", lambda x: 2 * x),
    ("x + 1", lambda x: x + 1),
    ("1 - x", lambda x: 1 - x),
    ("x + v - 2", lambda x: x + V - 2),
    ("v - x - x + 3 * x", lambda x: V + x),
    ("2 * x / 4", lambda x: x / 2),
    ("x * 2", lambda x: 2 * x),
    ("x / 3", lambda x: x / 3),
    ("0.1 * (0.3 * x + 0.7)", lambda x: 0.1 * (0.3 * x + 0.7)),
    ("x - x + 1", lambda x: np.ones_like(x)),
    ("0 * x", lambda x: 0 * x),
    # products
    ("W * x", lambda x: x @ W.T),
    ("W*x+[1,2]", lambda x: x @ W.T + [1, 2]),
    ("x * W'", lambda x: x @ W.T),
    ("transpose(W') * x", lambda x: x @ W.T),
    ("v * x", lambda x: x @ V[:, None]),
    ("x * v", lambda x: x @ V[:, None]),
    ("v' * x", lambda x: x @ V[:, None]),
    ("v .* x", lambda x: V * x),
    ("x .* v", lambda x: V * x),
    ("2 .* x", lambda x: 2 * x),
    ("2.*x", lambda x: 2 * x),
    ("x ./ v", lambda x: x / V),
    ("x ./ 2", lambda x: x / 2),
    ("W * diag(v) * x", lambda x: (V * x) @ W.T),
    ("W * (W' * (W * x))", lambda x: x @ W.T @ W @ W.T),
    ("(W * W') * (W * x)", lambda x: x @ W.T @ (W @ W.T).T),
    ("x[0] * [1, 2]", lambda x: x[:, :1] * [1, 2]),
    ("[3] * x", lambda x: 3 * x),
    ("[[1], [2]] * x[1]", lambda x: x[:, 1:2] * [1, 2]),
    ("(v * v) * x", lambda x: (V @ V) * x),
    # entries
    ("x[0]", lambda x: x[:, :1]),
    ("x[-1]", lambda x: x[:, 2:]),
    ("x[0:2]", lambda x: x[:, :2]),
    ("x[1:]", lambda x: x[:, 1:]),
    ("x[:-1]", lambda x: x[:, :-1]),
    ("x[:]", lambda x: x),
    ("x[0:3:2]", lambda x: x[:, ::2]),
    ("x[::2]", lambda x: x[:, ::2]),
    ("x[[2, 0, 0]]", lambda x: x[:, [2, 0, 0]]),
    ("(W * x + 1)[1]", lambda x: (x @ W.T + 1)[:, 1:]),
    ("W[0] * x", lambda x: x @ W[0][:, None]),
    ("W[0, 1] * x", lambda x: W[0, 1] * x),
    ("W[:, 1] * x[0]", lambda x: x[:, :1] * W[:, 1]),
    ("W[[1, 0], 1:] * x[1:]", lambda x: x[:, 1:] @ W[[1, 0], 1:].T),
    ("x[v[2]]", lambda x: x[:, 2:]),
    # lists
    ("[x; x]", lambda x: np.hstack([x, x])),
    ("[x; 1; v]", lambda x: np.hstack([x, np.ones((len(x), 1)), np.tile(V, (len(x), 1))])),
    ("[x[2], x[0], 5]", lambda x: np.column_stack([x[:, 2], x[:, 0], np.full(len(x), 5.0)])),
    ("[W * x; relu(x)]", lambda x: np.hstack([x @ W.T, relu(x)])),
    ("[1, 2, 3; 4, 5, 6] * x", lambda x: x @ np.array([[1, 2, 3], [4, 5, 6.0]]).T),
    ("[W; v] * x", lambda x: x @ np.vstack([W, V]).T),
    ("[v, 2 * v] * x", lambda x: x @ np.array([V, 2 * V]).T),
    ("[1, 2, v[0]] + x", lambda x: x + np.array([1, 2, V[0]])),
    ("[\n  1,   # a comment\n  2, 3,\n] + x", lambda x: x + np.arange(1, 4)),
    ("relu(\n  x\n  + 1\n)", lambda x: relu(x + 1)),
    # functions
    ("relu(x)", relu),
    ("relu(W * x - 1)", lambda x: relu(x @ W.T - 1)),
    ("leaky_relu(x, 0.1)", lambda x: np.where(x > 0, x, 0.1 * x)),
    ("leaky_relu(x, slope = v)", lambda x: np.where(x > 0, x, V * x)),
    ("abs(x)", np.abs),
    ("clip(x, -0.5, 0.5)", lambda x: np.clip(x, -0.5, 0.5)),
    ("clip(x, lower = [-1, 0, -2], upper = 0)", lambda x: np.clip(x, [-1, 0, -2], 0)),
    ("identity(x)", lambda x: x),
    ("max(x, 0)", relu),
    ("max(0.3, x)", lambda x: np.maximum(x, 0.3)),
    ("max(x, 2 * x, v, 0.1)", lambda x: np.max([x, 2 * x, 0 * x + V, 0 * x + 0.1], axis=0)),
    ("min(x, 2 * x, v, 0.1)", lambda x: np.min([x, 2 * x, 0 * x + V, 0 * x + 0.1], axis=0)),
    ("max(x, x[0])", lambda x: np.maximum(x, x[:, :1])),
    ("x - max(x)", lambda x: x - x.max(axis=1, keepdims=True)),
    ("min(x)", lambda x: x.min(axis=1, keepdims=True)),
    ("max(x[0])", lambda x: x[:, :1]),
    ("maxpool(x, [[0, 1], [1, 2]])", lambda x: np.maximum(x[:, :2], x[:, 1:])),
    ("maxpool(x, [0, 1, 2], [1], [0, 2])", lambda x: np.column_stack([x.max(1), x[:, 1], x[:, [0, 2]].max(1)])),
    ("sum(x)", lambda x: x.sum(axis=1, keepdims=True)),
    ("switch(x, conditional(x))", relu),
    ("switch(x + 1, conditional(x - 1))", lambda x: (x + 1) * (x > 1)),
    ("switch(1, conditional(x))", lambda x: 1.0 * (x > 0)),
    ("switch(x, [1, 0, 1])", lambda x: x * [1, 0, 1]),
    ("conditional(x)", lambda x: 1.0 * (x > 0)),
    ("conditional(x) + 2 * x", lambda x: (x > 0) + 2 * x),
    ("relu(conditional(x) - 0.5)", lambda x: relu((x > 0) - 0.5)),
    ("conditional(x)[1:]", lambda x: 1.0 * (x[:, 1:] > 0)),
    ("switch(conditional(x), conditional(x - 1))", lambda x: 1.0 * (x > 1)),
    # constants
    ("zeros(3) + x", lambda x: x),
    ("ones(2, 3) * x", lambda x: x @ np.ones((3, 2))),
    ("eye(3) * x", lambda x: x),
    ("reshape([1, 2, 3, 4, 5, 6], 2, 3) * x", lambda x: x @ np.arange(1, 7.0).reshape(2, 3).T),
    ("flatten(W)[0:3] .* x", lambda x: x * W[0]),
    ("relu(v) + abs(v) + max(v) + min(v, 0) + sum(W) + x",
     lambda x: x + relu(V) + abs(V) + 2 + np.minimum(V, 0) + W.sum()),
    ("clip(v, -0.1, 0.1) + leaky_relu(v, 0.5) + maxpool(v, [0, 1], [2], [0])[0] + x",
     lambda x: x + np.clip(V, -0.1, 0.1) + np.where(V > 0, V, V / 2) + 0.5),
    ("conditional(v) + switch(v, [1, 0, 1]) + max(W) + x", lambda x: x + (V > 0) + V * [1, 0, 1] + 3),
    ("(1 + 2 * 3 - 4 / 2) * x - (v * v)", lambda x: 5 * x - V @ V),
    ("1e-3 * x + .5 + 5. + 1E2", lambda x: 1e-3 * x + 105.5),
    ("W * [1, 0, 0] + [1, 2] * W * x * [1, 1] - v[0]",
     lambda x: W[:, 0] + (x @ (np.array([1, 2]) @ W))[:, None] * [1, 1] - 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), CONSTRUCTS, ids=[text for text, _ in CONSTRUCTS])
def test_constructs(expression: str, expected: Callable[[Floats], Floats]) -> None:
    found = values(network_of(expression), POINTS)
    np.testing.assert_allclose(found, expected(POINTS), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    "name", ["input", "output", "domain", "box", "linf", "norm", "center", "query", "maximize", "or", "W", "λ", "_1"]
)
def test_words_are_names_wherever_they_can_be(name: str) -> None:
    """In expressions all of them; as names of statements those that start no statement of a network."""
    own = name if name not in ("input", "output") else "other"
    text = f"network {name} {{ input {name}[2]; {own}1 = relu({name}); output y = {own}1 + {name} }}"
    np.testing.assert_array_equal(values(parse_lip(text), POINTS[:, :2]), relu(POINTS[:, :2]) + POINTS[:, :2])


def test_newlines_semicolons_and_comments() -> None:
    texts = [
        "network f{input x[2];h=relu(x);output y=h}",
        "# one\n\n;;network f\n\n{ # two\n ; input x[2] ;;\r\n h = relu( # three\n x) # }\n output y = h\n;\n}\n# 4",
        "network f {\r\n\tinput x[2]\r\n\th = relu(x)\r\n\toutput y = h\r\n}",
        "network f { input x[2]; h = relu(x); output h }",
    ]
    for text in texts:
        np.testing.assert_array_equal(values(parse_lip(text), POINTS[:, :2]), relu(POINTS[:, :2]))


def test_networks_are_applied_to_one_another() -> None:
    text = """
    scale = 2
    network encoder { input x[3]; h = relu(x - 1); output t = [1, 1, 1] * h * scale }
    network pair { input z[2]; output w = [z[0] - encoder([z; 0]); z[1]] }
    network whole { input x[3]; a = pair(x[0:2]); output y = [a; encoder(x); pair(a)] }
    """

    def encoder(x: Floats) -> Floats:
        return 2 * relu(x - 1).sum(axis=1, keepdims=True)

    def pair(z: Floats) -> Floats:
        return np.hstack([z[:, :1] - encoder(np.hstack([z, np.zeros((len(z), 1))])), z[:, 1:]])

    a = pair(POINTS[:, :2])
    np.testing.assert_allclose(values(parse_lip(text), POINTS), np.hstack([a, encoder(POINTS), pair(a)]), rtol=1e-14)
    chosen = parse_lip(text + "query encoder { }")
    assert (chosen.input_shape, chosen.output_shape, chosen.output_name) == ((3,), (1,), "t")
    np.testing.assert_array_equal(values(chosen, POINTS), encoder(POINTS))


def test_operations_carry_names_and_places() -> None:
    text = """network inner {
  input z[1]
  output w = relu(z)
}
network f {
  input x[1]
  h = x - 1
  output y = inner(h)
}"""
    program = parse_lip(text, "net.lip").program
    origins = [(type(op), op.origin.name, op.origin.source) for op in program.ops]
    assert origins == [
        (Input, "x", "net.lip:6:9"),
        (Affine, "h", "net.lip:7:3"),
        (Conditional, "y.w", "net.lip:3:10"),
        (Switch, "y.w", "net.lip:3:10"),
    ]


@pytest.mark.parametrize(
    ("expression", "operations"),
    [("relu(x)", 3), ("W * x + [1, 2]", 2), ("relu(W * x + [1, 2])", 4), ("W * x + x[0:2] + [1, 2]", 2), ("x[0:2]", 2)],
)
def test_one_statement_is_one_or_a_few_operations(expression: str, operations: int) -> None:
    assert len(network_of(expression).program.ops) == operations


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0.1 * (0.3 * x[0])", lambda x, _, n: n(0.1) * n(0.3) * x),
        ("x[0] + 0.1 + 0.2", lambda x, _, n: x + n(0.1) + n(0.2)),
        ("0.1 * x[0] + 0.2 * x[0]", lambda x, _, n: (n(0.1) + n(0.2)) * x),
        ("0.1 * x[0] - (0.2 * x[0] - 0.7) + 0.4", lambda x, _, n: (n(0.1) - n(0.2)) * x + n(0.7) + n(0.4)),
        ("[0.1, 0.2] * x + 0.7 * x[0]", lambda x, y, n: (n(0.1) + n(0.7)) * x + n(0.2) * y),
        ("3 * (([0.1, 0.2] * x + 0.3) + 0.7)", lambda x, y, n: 3 * (n(0.1) * x + n(0.2) * y + n(0.3) + n(0.7))),
        ("max(0.2 * x[0], 0.1) - 0.3", lambda x, _, n: max(n(0.2) * x, n(0.1)) - n(0.3)),
    ],
)
def test_no_coefficient_of_the_network_is_rounded(
    expression: str, expected: Callable[[Fraction, Fraction, type[Fraction]], Fraction]
) -> None:
    """Most of these numbers have no sum and no product in double precision."""
    program = network_of(expression, inputs=2).program
    for point in ([1 / 3, 0.7], [-0.1, 1e-3], [1e5, 2.0]):
        (found,) = ExactInterpreter(program).evaluate(np.array(point))[program.result].fractions()
        assert found == expected(Fraction(point[0]), Fraction(point[1]), Fraction)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "net.lip").write_text("network f { input x[2]; output y = x }", encoding="utf-8-sig")
    assert read_lip(tmp_path / "net.lip").source == str(tmp_path / "net.lip")


@pytest.mark.parametrize("ending", ["npz", "npy", "csv"])
def test_loaded_files(ending: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / f"W.{ending}"
    if ending == "npz":
        np.savez_compressed(path, W=W.astype(np.float32), n=np.int64(3), v=np.array([True, False]))
    elif ending == "npy":
        np.save(path, np.asfortranarray(W))
    else:
        path.write_text("# a matrix\n1, -2, 0.5\n\n0.25 , 3,-1 # second row\n")
    member = ".W" if ending == "npz" else ""
    text = f'w = load("deep/W.{ending}")\nnetwork f {{ input x[3]; output y = w{member} * x }}'
    (tmp_path / "net.lip").write_text(text)
    for network in (
        read_lip(tmp_path / "net.lip"),
        read_lip(str(tmp_path / "net.lip")),
        parse_lip(text, folder=tmp_path),
    ):
        np.testing.assert_allclose(values(network, POINTS), POINTS @ W.T, rtol=1e-14)
    absolute = text.replace("deep/", f"{tmp_path}/deep/")
    np.testing.assert_allclose(values(parse_lip(absolute), POINTS), POINTS @ W.T, rtol=1e-14)


def test_a_csv_of_one_row_or_one_column_is_a_vector(tmp_path: Path) -> None:
    (tmp_path / "row.csv").write_text("1,2,3\n")
    (tmp_path / "column.csv").write_text("1\n2\n3\n")
    text = 'r = load("row.csv")\nc = load("column.csv")\nnetwork f { input x[3]; output y = x + r + c }'
    np.testing.assert_allclose(
        values(parse_lip(text, folder=tmp_path), POINTS), POINTS + np.array([2, 4, 6]), rtol=1e-14
    )


# --- the query ---


def query_of(lines: str, outputs: int = 2, constants: str = "") -> Query:
    network = f"network f {{ input x[2]; output y = zeros({outputs}, 2) * x }}"
    query = parse_lip(f"{constants}\n{network}\nquery {{\n{lines}\n}}").query
    assert query is not None
    return query


def same(found: Polytope | tuple[Polytope, ...] | None, expected: Polytope) -> None:
    assert isinstance(found, Polytope)
    np.testing.assert_array_equal(found.lower, expected.lower)
    np.testing.assert_array_equal(found.upper, expected.upper)
    np.testing.assert_array_equal(found.rows.toarray(), expected.rows.toarray())
    np.testing.assert_array_equal(found.row_lower, expected.row_lower)
    np.testing.assert_array_equal(found.row_upper, expected.row_upper)
    assert (found.l1 is None) == (expected.l1 is None)
    if found.l1 is not None and expected.l1 is not None:
        np.testing.assert_array_equal(found.l1.center, expected.l1.center)
        assert found.l1.radius == expected.l1.radius


UNIT = box([0.0, 0.0], [1.0, 1.0])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("domain box 0 .. 1", UNIT),
        ("domain box [0, -1] .. 1", box([0.0, -1.0], [1.0, 1.0])),
        ("domain box 0..[1,2.5]", box([0.0, 0.0], [1.0, 2.5])),
        ("domain box -c .. c + 1", box([-0.5, -2.0], [1.5, 3.0])),
        ("domain box c .. c", box([0.5, 2.0], [0.5, 2.0])),
        ("domain ball linf center c radius 0.1", ball([0.5, 2.0], 0.1)),
        ("domain ball linf center 0 radius 2 * 3 clip -1 .. 1", ball([0.0, 0.0], 6.0, (-1.0, 1.0))),
        ("domain ball l1 center [[0.5, 2]] radius 0.1", ball([0.5, 2.0], 0.1, norm=Norm.L1)),
        ("domain ball l1 center c radius 3 clip 0 .. 4", ball([0.5, 2.0], 3.0, (0.0, 4.0), Norm.L1)),
        ("where x[0] + 2 * x[1] <= 1", UNIT.with_rows([1, 2], -np.inf, 1)),
        ("where 1 >= x[0] + 2 * x[1]", UNIT.with_rows([1, 2], -np.inf, 1)),
        ("where x[0] + x[1] == 1", UNIT.with_rows([1, 1], 1, 1)),
        ("where 0.25 <= x[0] - x[1] <= 0.5", UNIT.with_rows([1, -1], 0.25, 0.5)),
        ("where x[0] >= x[1]", UNIT.with_rows([1, -1], 0, np.inf)),
        ("where c * x <= 1, x[0] <= 0.5", UNIT.with_rows([[0.5, 2], [1, 0]], -np.inf, [1, 0.5])),
        ("where c * x <= 1\nwhere x[0] <= 0.5", UNIT.with_rows([[0.5, 2], [1, 0]], -np.inf, [1, 0.5])),
        ("where x <= c", UNIT.with_rows(np.eye(2), -np.inf, [0.5, 2])),
        ("where sum(x) - 1 <= 3", UNIT.with_rows([1, 1], -np.inf, 4)),
        ("m = x[0] - x[1]\nwhere -1 <= 2 * m <= 1", UNIT.with_rows([2, -2], -1, 1)),
        ("domain box -1 .. 1\nwhere x[0] <= 0", box([-1.0, -1.0], [1.0, 1.0]).with_rows([1, 0], -np.inf, 0)),
    ],
)  # fmt: skip
def test_domains(line: str, expected: Polytope) -> None:
    same(query_of(line, constants="c = [0.5, 2]").domain, expected)


def test_several_domains() -> None:
    found = query_of("domain box 0 .. 1 or ball l1 center 0 radius 1\n  or box 2 .. 3\nwhere x[0] <= 1").domain
    assert isinstance(found, tuple)
    for piece, expected in zip(
        found, (UNIT, ball([0.0, 0.0], 1.0, norm=Norm.L1), box([2.0, 2.0], [3.0, 3.0])), strict=True
    ):
        same(piece, expected.with_rows([1, 0], -np.inf, 1))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Query()),
        ("maximize lipschitz(y)", Query()),
        ("maximize lipschitz(y, norm = linf)", Query()),
        ("maximize lipschitz(y, norm = l1)", Query(norm=Norm.L1)),
        ("maximize lipschitz(y, norm = l2, outputs = l1)", Query(norm=Norm.L2, output_norm=Norm.L1)),
        ("maximize lipschitz(cross(y))", Query(output=Differences())),
        ("maximize lipschitz(cross(y, 1), norm = l1)", Query(output=Differences(1), norm=Norm.L1)),
        ("maximize lipschitz(y[1], norm = l1)", Query(output=Functional({1: 1.0}), norm=Norm.L1)),
        ("maximize lipschitz(y[0] - 2 * y[1])", Query(output=Functional({0: 1.0, 1: -2.0}))),
        ("maximize lipschitz([1, -1] * y)", Query(output=Functional({0: 1.0, 1: -1.0}))),
        ("maximize y[0]", Query(output=Functional({0: 1.0}), goal="max")),
        ("minimize y[0] - y[1] / 4 + 3", Query(output=Functional({0: 1.0, 1: -0.25}, 3.0), goal="min")),
        ("m = y[0] - y[1]\nmaximize m", Query(output=Functional({0: 1.0, 1: -1.0}), goal="max")),
        ("maximize sum(y)", Query(output=Functional({0: 1.0, 1: 1.0}), goal="max")),
    ],
)
def test_goals(line: str, expected: Query) -> None:
    assert query_of(line) == expected


def test_ends_of_one_name() -> None:
    query = parse_lip("network f { input x[2]; output x }\nquery { where x[0] <= 1; maximize x[1] }").query
    assert query is not None
    assert query.output == Functional({1: 1.0})
    same(query.domain, UNIT.with_rows([1, 0], -np.inf, 1))


# --- warnings ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("network f { input x[2]; h = x; output y = h }", []),
        ("network f { input x[2]; h = x; _h = x; output y = x }", [("unused", 1, 25, "nothing reads 'h'")]),
        ("network f { input x[2]; h = x; output y = x; k = h }", [("unused", 1, 46, "nothing reads 'k'")]),
        ("c = 1; d = 2\nnetwork f { input x[2]; output y = x + d }", [("unused", 1, 1, "nothing reads 'c'")]),
        ("c = 1\nnetwork f { input x[2]; output y = x }\nquery { domain box 0 .. c }", []),
        (
            "c = 1\nnetwork f { input x[2]; c = 2; output y = x + c }\nquery { domain box 0 .. c }",
            [("shadow", 2, 25, "'c' hides the constant of line 1")],
        ),
        (
            "network relu { input x[2]; output y = 2 * x }\nnetwork f { input x[2]; output y = relu(x) }",
            [("shadow", 1, 9, "the network 'relu' hides the function 'relu'")],
        ),
        (
            "network g { input x[2]; output y = x }\nnetwork f { input x[2]; output y = x }",
            [("unused", 1, 9, "nothing applies the network 'g', and it is not the one that is compiled")],
        ),
        ("network g { input x[2]; output y = x }\nnetwork f { input x[2]; output y = g(x) }", []),
        ("network f { input x[3]; output y = x[0:2] }", [("dead-input", 1, 13, "nothing depends on x[2]")]),
        ("network f { input x[6]; output y = x[3] }",
         [("dead-input", 1, 13, "nothing depends on x[0], x[1], x[2] and 2 more")]),
        ("network f { input x[2]; output y = [1, 0] * x }", [("dead-input", 1, 13, "nothing depends on x[1]")]),
        ("network f { input x[2]; output y = relu(x) }", []),
        ("network f { input x[2]; output y = 1 }", [("unused", 1, 19, "nothing reads 'x'")]),
        (
            "network f { input x[2]; h = 0 * x; output y = h + 1 }",
            [("constant-output", 1, 43, "the output does not depend on the input")],
        ),
        ("network f { input x[2]; output y = [1 -2] + x }",
         [("sign-in-list", 1, 37, "this is one entry of the list, not two")]),
        ("network f { input x[2]; output y = [1 - 2] + [1-2] + [1, -2] + x }", []),
    ],
)  # fmt: skip
def test_warnings(text: str, expected: list[tuple[str, int, int, str]]) -> None:
    found = [(w.name, w.span.line, w.span.column, w.message) for w in parse_lip(text).warnings]
    assert found == expected


# --- examples ---


@pytest.mark.parametrize(
    ("name", "expected"), [("two_neurons.lip", 4.0), ("residual.lip", 2.25), ("trained.lip", 2.25)]
)
def test_examples_have_the_constants_of_their_comments(name: str, expected: float) -> None:
    network = read_lip(EXAMPLES / name)
    assert network.warnings == ()
    result = lipc.solve(network, network.query)
    assert (result.status, result.certified) == ("optimal", True)
    assert result.lower == pytest.approx(expected, rel=1e-9)
    assert result.upper == pytest.approx(expected, rel=1e-6)


def test_examples_by_enumeration() -> None:
    weights = np.load(EXAMPLES / "trained.npz")
    trained = oracle.lipschitz([weights["W1"], weights["W2"]], [weights["b1"], weights["b2"]], [-1, -1], [1, 1])
    assert not trained.thin
    assert trained.value == 2.25
    layers = [np.array([[1.0, 1], [1, -1]]), np.array([[2.0, 1]])]
    assert oracle.lipschitz(layers, [np.zeros(2), np.zeros(1)], [-1, -1], [1, 1]).value == pytest.approx(4)


def test_the_residual_example_is_the_function_of_its_comment() -> None:
    points = np.random.default_rng(1).uniform(-2, 2, (200, 2))
    t = np.abs(points[:, 0]) + points[:, 1]
    for _ in range(2):
        t = t + relu(0.5 * t - 1)
    expected = np.where(t > 0, t, 0.1 * t)[:, None]
    np.testing.assert_allclose(values(read_lip(EXAMPLES / "residual.lip"), points), expected, rtol=1e-13)


def test_a_large_constant_is_read_in_seconds() -> None:
    """784 x 100 numbers in the text; takes a tenth of a second."""
    matrix = np.random.default_rng(0).normal(size=(100, 784))
    network = parse_lip(f"W = {matrix.tolist()}\nnetwork f {{ input x[784]; output y = W * x }}")
    (affine,) = (op for op in network.program.ops if isinstance(op, Affine))
    np.testing.assert_array_equal(affine.terms[0].matrix, matrix)


def test_long_rows_of_numbers_are_read_exactly() -> None:
    """Rows are read by the thousand: at the seams too."""
    numbers = np.random.default_rng(1).normal(size=3001)
    for count in (1, 2, 999, 1000, 1001, 2000, 2001, 3001):
        text = ", ".join(map(repr, numbers[:count].tolist()))
        for listed in (f"[{text}]", f"[{text},]", f"[\n{text}\n]", f"[ {text}, 2 - 1][0:{count}]"):
            network = parse_lip(f"v = {listed}\nnetwork f {{ input x[{count}]; output y = x + v }}")
            (affine,) = (op for op in network.program.ops if isinstance(op, Affine))
            np.testing.assert_array_equal(affine.bias, numbers[:count])
