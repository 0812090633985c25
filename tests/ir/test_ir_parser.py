"""What the parser accepts beyond what the printer writes, and that nothing else comes out of it than a program."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from time import perf_counter

import numpy as np
import pytest
from scipy.sparse import csr_array

from lipc.errors import LipcError
from lipc.ir import (
    Affine,
    Input,
    Kind,
    Lipschitz,
    Norm,
    Objective,
    Program,
    Sense,
    evaluate,
    parse_program,
    print_program,
    verify,
)

TEXT = """
# A network of two neurons, written by hand.
program {
  %x: vec[2] = input box [0, 0] .. [1, 1]   @ "x"
  %z: vec[2] = affine [[1, -2],             // a row per neuron
                       [.5, 3.]] * %x + [0.1, -3e-1]
  %active: bits[2] = conditional %z
  %relu: vec[2] = switch %z, %active        @ "hidden" "by hand"
  bounds %relu: zeros(2) .. [1.1, 3.2]
  %y: vec[1] = affine [1] + [[1, -1]] * %relu
  maximize lipschitz(%y, norm = l1)
  bounds %x: [0, 0] .. [1, 1]
}
"""


def test_a_program_written_by_hand() -> None:
    program = parse_program(TEXT)
    assert [op.kind for op in program.ops] == [Kind.REAL, Kind.REAL, Kind.BIT, Kind.REAL, Kind.REAL]
    assert [op.origin.name for op in program.ops] == ["x", "", "", "hidden", ""]
    assert program.ops[3].origin.source == "by hand"
    assert program.objective == Objective(Sense.MAXIMIZE, Lipschitz(Norm.L1))
    assert program.result == 4
    assert {value: interval.upper.tolist() for value, interval in program.bounds.items()} == {3: [1.1, 3.2], 0: [1, 1]}
    points = np.array([[1.0, 0.5], [0.25, 1.0]])
    hidden = np.maximum(points @ np.array([[1, 0.5], [-2, 3]]) + [0.1, -0.3], 0)
    assert np.allclose(evaluate(program, {0: points})[4], hidden @ [[1], [-1]] + 1, atol=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("  ", "\t"),
        " ".join(re.sub(r"(#|//).*", "", TEXT).split()),
        re.sub(r"([][:=,*+{}()@]|\.\.)", r" \1 ", re.sub(r"(#|//).*", "", TEXT)),
    ],
    ids=["other line ends", "tabs", "one line", "spaces everywhere"],
)
def test_white_space_does_not_matter(text: str) -> None:
    assert print_program(parse_program(text)) == print_program(parse_program(TEXT))


def test_names_are_free() -> None:
    text = TEXT.replace("%active", "%17").replace("%z", "%0").replace("%x", "%x_1")
    assert print_program(parse_program(text)) == print_program(parse_program(TEXT))


def matrix_of(text: str, columns: int, rows: int) -> object:
    program = parse_program(
        f"program {{ %0: vec[{columns}] = input space %1: vec[{rows}] = affine {text} * %0 output %1 }}"
    )
    op = program.ops[1]
    assert isinstance(op, Affine)
    return op.terms[0].matrix


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eye(2)", csr_array(np.eye(2))),
        ("-3 * eye(2)", csr_array(-3 * np.eye(2))),
        ("diag([1, 2])", csr_array(np.diag([1.0, 2.0]))),
        ("diag(2 * ones(3))", csr_array(2 * np.eye(3))),
        ("select([2, 0], of 3)", csr_array([[0.0, 0, 1], [1, 0, 0]])),
        ("0.5 * select([2, -1, 2], of 3)", csr_array([[0, 0, 0.5], [0, 0, 0], [0, 0, 0.5]])),
        ("select(1:3, of 4)", csr_array([[0.0, 1, 0, 0], [0, 0, 1, 0]])),
        ("select(1:1, of 4)", csr_array((0, 4))),
        ("scatter([2, 0], into 3)", csr_array([[0.0, 1], [0, 0], [1, 0]])),
        ("scatter([0, 0], into 1)", csr_array([[1.0, 1.0]])),
        ("csr [[1, 2], [3, 4]]", csr_array([[1.0, 2], [3, 4]])),
        ("2 * csr ones(1, 3)", csr_array([[2.0, 2, 2]])),
        ("csr<2x3> { 1 : { 0 : 1 , 2 : -1 } }", csr_array([[0.0, 0, 0], [1, 0, -1]])),
        ("csr<2x3> {0: {}, 1: {0: 1}}", csr_array([[0.0, 0, 0], [1, 0, 0]])),
        ("[[1, 2], [3, 4]]", np.array([[1.0, 2], [3, 4]])),
        ("[\n [1,\n 2]\n , # the first\n [3, 4] ]", np.array([[1.0, 2], [3, 4]])),
        ("zeros(2, 3)", np.zeros((2, 3))),
        ("-2 * ones(2, 3)", np.full((2, 3), -2.0)),
        ("dense eye(2)", np.eye(2)),
        ("[[], []]", np.zeros((2, 0))),
    ],
)
def test_forms_of_matrices(text: str, expected: object) -> None:
    assert isinstance(expected, csr_array | np.ndarray)
    rows, columns = expected.shape
    matrix = matrix_of(text, columns, rows)
    assert type(matrix) is type(expected)
    assert isinstance(matrix, csr_array | np.ndarray)
    assert matrix.dtype == np.float64
    dense = [each.toarray() if isinstance(each, csr_array) else each for each in (matrix, expected)]
    assert np.array_equal(*dense)


def test_forms_of_rows() -> None:
    """The rows of a domain are sparse however they are written."""
    text = "program { %0: vec[2] = input space rows [[1, 0], [1, 1]] in [-inf, 0] .. ones(2) output %0 }"
    op = parse_program(text).ops[0]
    assert isinstance(op, Input)
    assert isinstance(op.domain.rows, csr_array)
    assert op.domain.rows.nnz == 3
    assert op.domain.rows.toarray().tolist() == [[1, 0], [1, 1]]
    assert op.domain.row_lower.tolist() == [-np.inf, 0]


def test_deep_and_long_texts() -> None:
    """Nothing recurses: not in brackets that nest, which are no programs, nor in programs of many operations."""
    lines = "\n".join(f"%value{k}: vec[1] = affine %valeu{k}" for k in range(900))
    with pytest.raises(LipcError, match="and 880 more errors"):
        parse_program(f"program {{ {lines}\noutput %value0 }}")
    for opening in ("[", "{", "(", "program {", "eye(", "csr ", "2.0 * ", '"', "\\"):
        with pytest.raises(LipcError):
            parse_program("program { %0: vec[1] = affine " + opening * 100_000)
    count = 1000
    lines = "\n".join(f"%{k + 1}: vec[1] = affine %{k}" for k in range(count))
    assert len(parse_program(f"program {{ %0: vec[1] = input space\n{lines}\noutput %{count}}}").ops) == count + 1
    terms = " + ".join(f"[[{k}.0]] * %{k}" for k in range(count))
    inputs = "\n".join(f"%{k}: vec[1] = input space" for k in range(count))
    op = parse_program(f"program {{ {inputs}\n%y: vec[1] = affine {terms}\noutput %y}}").ops[-1]
    assert isinstance(op, Affine)
    assert [float(term.matrix[0, 0]) for term in op.terms] == list(range(count))


# What a mutation starts from: between them they have every construct of the grammar.
SEEDS = (
    TEXT,
    """program {
  %0: vec[3] = input box -inf * ones(3) .. [1.0, inf, 2.5] rows csr<2x3> {0: {0: 1.0, 2: -1.0}} in zeros(2) .. ones(2)
  %1: bits[3] = input box zeros(3) .. ones(3) rows csr ones(1, 3) in [1.0] .. [1.0] @ "c\\u{e9}"
  %2: vec[3] = switch %0, %1 @ "s" "n.lip:1:2" kept [0, 5, 7]
  %3: vec[2] = affine select([2, -1], of 3) * %2 + -0.0 * ones(2)
  output %3
}""",
    """program {
  %0: vec[2] = input space ball l1 center [0.0, 1.0] radius 0.5
  %1: vec[2] = affine diag([1.0, 2.0]) * %0 + zeros(2)
  %2: vec[2] = affine %1 + 2.0 * %0 + [1.0, -2.0] @ "" kept 3:5
  %3: vec[4] = affine 0.5 * scatter([3, 0], into 4) * %2
  %4: vec[4] = affine dense eye(4) * %3 + ones(4)
  %5: vec[1] = affine csr [[1.0, 2.0, 3.0, 4.0]] * %4 + [7.0]
  minimize %5
}""",
    """program {
  %0: vec[2] = affine vec<2, $c0>
  %1: vec[2] = affine dense<2x2, $c3> * %0
  %2: vec[2] = affine csr<2x2, $c2> * %0 + select(ints<2, $c1>, of 2) * %1
  output %2
}""",
)
CONSTANTS = {
    "c0": np.array([1.0, 2.0]),
    "c1": np.array([0, 1]),
    "c2.data": np.array([1.0]),
    "c2.indices": np.array([1]),
    "c2.indptr": np.array([0, 0, 1]),
    "c3": np.eye(2),
}
TOKEN = re.compile(r'"[^"]*"|[%$]?\w+|\.\.|-?[0-9.]+(?:e-?\d+)?|\s+|.', re.DOTALL)
WORDS = (
    *("program", "{", "}", "[", "]", "(", ")", "<", ">", "..", ",", ":", "=", "*", "+", "-", "@", "$c0", "#", "//"),
    *(
        "%0",
        "%1",
        "%x",
        "vec",
        "bits",
        "input",
        "affine",
        "conditional",
        "switch",
        "box",
        "space",
        "rows",
        "in",
        "ball",
    ),
    *("zeros", "ones", "eye", "diag", "select", "scatter", "csr", "dense", "ints", "of", "into", "elided", "entries"),
    *("inf", "-inf", "nan", "1e999", "-0.0", "5e-324", "0", "1", "2", "3", "-1", "99999999999999999999", "2x2", "0:2"),
    *("bounds", "maximize", "minimize", "output", "lipschitz", "norm", "l1", "linf", '"', '"\\u{d800}"', "[1.0, 2.0]"),
    *("{0: 1.0}", "[[1.0, 2.0], [3.0, 4.0]]", "\x00", "\u2028", "é", "\uff11", "\\", "\n", "kept", "radius", "center"),
)


def mutants(count: int, seed: int) -> Iterator[str]:
    """Yield texts with a few tokens deleted, doubled, swapped, replaced or broken."""
    source = random.Random(seed)
    tokens = [TOKEN.findall(text) for text in SEEDS]
    for _ in range(count):
        parts = list(source.choice(tokens))
        for _ in range(source.choice((1, 1, 1, 2, 3, 8))):
            place = source.randrange(len(parts))
            change = source.randrange(8)
            if change == 0:
                del parts[place : place + source.choice((1, 1, 4, 20))]
            elif change == 1:
                parts[place:place] = parts[place : place + source.choice((1, 4, 20))]
            elif change == 2:
                other = source.randrange(len(parts))
                parts[place], parts[other] = parts[other], parts[place]
            elif change == 3:
                parts.insert(place, source.choice(WORDS))
            elif change == 4:
                broken = list(parts[place])
                broken[source.randrange(len(broken))] = chr(
                    source.choice((source.randrange(128), source.randrange(70000)))
                )
                parts[place] = "".join(broken)
            elif change == 5:
                parts[place] = source.choice(WORDS)
            else:
                numbers = [index for index, part in enumerate(parts) if part[0].isdigit()]
                if numbers:
                    parts[source.choice(numbers)] = source.choice(
                        ("0", "1", "2", "0.5", "-1.0", "-0.0", "1e300", "5e-324")
                    )
            parts = parts or ["x"]
        yield "".join(parts)


def check_mutants(count: int, seed: int) -> tuple[int, int]:
    """Return how many texts were programs, and how many were refused."""
    programs = 0
    for text in mutants(count, seed):
        started = perf_counter()
        try:
            program = parse_program(text, constants=CONSTANTS)
        except LipcError as error:
            assert str(error)
            assert perf_counter() - started < 5
            continue
        verify(program)
        again = parse_program(print_program(program))
        assert print_program(again) == print_program(program)
        programs += 1
    return programs, count - programs


def test_a_program_or_an_error() -> None:
    programs, refused = check_mutants(1500, seed=0)
    assert programs > 100
    assert refused > 500


@pytest.mark.slow
def test_a_program_or_an_error_for_many_texts() -> None:
    programs, refused = check_mutants(60_000, seed=1)
    assert programs > 4000
    assert refused > 20_000


def test_the_seeds_are_programs() -> None:
    for text in SEEDS:
        assert isinstance(parse_program(text, constants=CONSTANTS), Program)
