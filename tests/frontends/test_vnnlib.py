"""VNN-LIB properties: the domains they describe, against formulas evaluated point by point, and every error."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipc.diagnostics import WARNINGS, SourceError
from lipc.errors import LipcError, ModelError, QueryError
from lipc.frontends import from_weights
from lipc.frontends.vnnlib import InputProperty, parse_vnnlib, read_vnnlib
from lipc.ir import Polytope

BOX = "(assert (<= -1 X_0 1))\n(assert (<= -1 X_1 1))\n"


def declared(inputs: int = 2, outputs: int = 1) -> str:
    """Return the declarations, on one line."""
    names = [*(f"X_{i}" for i in range(inputs)), *(f"Y_{i}" for i in range(outputs))]
    return " ".join(f"(declare-const {name} Real)" for name in names) + "\n"


def domains(text: str, **sizes: int) -> tuple[Polytope, ...]:
    """Return the domains of assertions about two inputs and an output."""
    domain = parse_vnnlib(declared(**sizes) + text).domain
    return domain if isinstance(domain, tuple) else (domain,)


def boxes(text: str, **sizes: int) -> list[list[tuple[float, float]]]:
    """Return the bounds of each domain, one pair per input."""
    found = domains(text, **sizes)
    assert all(domain.is_bounded_box for domain in found)
    return [list(zip(domain.lower.tolist(), domain.upper.tolist(), strict=True)) for domain in found]


# --- what is read ---

ONE_INPUT = [
    ("(<= X_0 1) (>= X_0 -1)", (-1, 1)),
    ("(<= -1 X_0) (>= 1 X_0)", (-1, 1)),
    ("(<= -1 X_0 1)", (-1, 1)),
    ("(>= 1 X_0 -1)", (-1, 1)),
    ("(= X_0 0.5)", (0.5, 0.5)),
    ("(= 0.5 X_0)", (0.5, 0.5)),
    ("(<= X_0 1) (>= X_0 -1) (<= X_0 0.5) (>= X_0 -3)", (-1, 0.5)),
    ("(<= (- 0.5) X_0 (/ 1 3))", (-0.5, 1 / 3)),
    ("(<= -1e-05 X_0 1.5E+2)", (-1e-5, 150)),
    ("(<= -.5 X_0 2.)", (-0.5, 2)),
    ("(<= +1 X_0 +2)", (1, 2)),
    ("(<= 0 (* 2 X_0) 3)", (0, 1.5)),
    ("(<= 0 (* X_0 (- 2)) 3)", (-1.5, 0)),
    ("(<= 0 (- X_0) 3)", (-3, 0)),
    ("(<= 1 (+ X_0 X_0 1) 2)", (0, 0.5)),
    ("(<= 1 (- 3 X_0 1 1) 2)", (-1, 0)),
    ("(<= 0 (/ X_0 4) 1)", (0, 4)),
    ("(<= (* 2 3 0.5) (* 3 X_0) (+ (* 2 X_0) 4))", (1, 4)),
    ("(<= 0 |X_0| 1)", (0, 1)),
    ("(and (<= 0 X_0) (and (<= X_0 1)))", (0, 1)),
    ("(or (<= 0 X_0 1))", (0, 1)),
    ("(<= 0 X_0 1) (<= 1 2) (= 3 3)", (0, 1)),
    ("(<= 0.1 X_0 0.30000000000000001665)", (0.1, 0.3)),
    ("(<= 0 X_0 (+ 0.1 0.2))", (0, 0.3)),  # exactly, then rounded: 0.1 + 0.2 in doubles is another number
    ("(<= 0 X_0 5e-324)", (0, 5e-324)),
]


@pytest.mark.parametrize(("conditions", "bounds"), ONE_INPUT, ids=[row[0] for row in ONE_INPUT])
def test_bounds_of_one_input(conditions: str, bounds: tuple[float, float]) -> None:
    assert boxes(f"(assert (and {conditions}))", inputs=1) == [[bounds]]


UNIONS = [
    ("(or (<= X_0 0) (>= X_0 0.5))", [((-1, 0), (-1, 1)), ((0.5, 1), (-1, 1))]),
    ("(or (<= X_0 0) (and (>= X_0 0.5) (<= X_1 0)))", [((-1, 0), (-1, 1)), ((0.5, 1), (-1, 0))]),
    ("(or (and (<= X_0 0) (<= Y_0 1)) (and (<= X_0 0) (>= Y_0 3)))", [((-1, 0), (-1, 1))]),
    ("(or (<= X_0 0) (<= Y_0 1))", [((-1, 1), (-1, 1))]),
    ("(or (<= X_0 0) (<= X_0 Y_0))", [((-1, 1), (-1, 1))]),
    ("(or (<= Y_0 0) (>= Y_0 1))", [((-1, 1), (-1, 1))]),
    ("(and (or (<= X_0 0) (>= X_0 0.5)) (or (= X_1 0) (= X_1 1)))",
     [((-1, 0), (0, 0)), ((-1, 0), (1, 1)), ((0.5, 1), (0, 0)), ((0.5, 1), (1, 1))]),
    ("(or (or (= X_0 0) (= X_0 1)) (and (or (= X_1 0) (= X_1 1)) (<= X_0 0)))",
     [((0, 0), (-1, 1)), ((1, 1), (-1, 1)), ((-1, 0), (0, 0)), ((-1, 0), (1, 1))]),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "expected"), UNIONS, ids=[row[0] for row in UNIONS])
def test_alternatives_are_several_domains(condition: str, expected: list[tuple[object, ...]]) -> None:
    assert boxes(f"{BOX}(assert {condition})") == [list(row) for row in expected]


def test_several_assertions_with_alternatives_multiply_out() -> None:
    text = f"{BOX}(assert (or (<= X_0 0) (>= X_0 0.5)))(assert (or (= X_1 0) (= X_1 1) (= X_1 -1)))"
    assert len(domains(text)) == 6


def test_a_condition_on_several_inputs_is_a_row() -> None:
    text = "(assert (<= (+ (* 2 X_0) (- X_1) 3) 4)) (assert (>= (- (* 2 X_0) X_1) -1)) (assert (= (+ X_1 X_0) 0.5))"
    (domain,) = domains(BOX + text)
    assert domain.rows.toarray().tolist() == [[2, -1], [1, 1]]
    assert (domain.row_lower.tolist(), domain.row_upper.tolist()) == ([-1, 0.5], [1, 0.5])
    assert (domain.lower.tolist(), domain.upper.tolist()) == ([-1, -1], [1, 1])


def test_rows_of_alternatives_stay_with_them() -> None:
    first, second = domains(f"{BOX}(assert (<= X_0 X_1)) (assert (or (<= X_1 (- X_0)) (<= X_0 -0.5)))")
    assert first.rows.toarray().tolist() == [[1, -1], [1, 1]]
    assert first.row_upper.tolist() == [0, 0]
    assert second.rows.toarray().tolist() == [[1, -1]]
    assert second.upper.tolist() == [-0.5, 1]


def test_comments_line_ends_commands_without_effect_and_the_older_declaration() -> None:
    text = (
        "; a ( comment ) )\r\n(set-logic QF_LRA) (set-info :status |any )(| )\n(set-info :source \"a ) ; text\")\n"
        "(declare-fun X_0 () Real) ;(assert (<= X_0 7))\n(assert(<= 0 X_0 1));end\n(check-sat)(get-model)(exit)"
    )  # fmt: skip
    prop = parse_vnnlib(text)
    assert (prop.inputs, prop.outputs, prop.warnings) == (1, 0, ())
    assert isinstance(prop.domain, Polytope)
    assert (prop.domain.lower.tolist(), prop.domain.upper.tolist()) == ([0], [1])


def test_ten_inputs_are_counted_as_numbers() -> None:
    text = "".join(f"(assert (<= {i} X_{i} {i + 1}))" for i in range(12))
    assert boxes(text, inputs=12) == [[(i, i + 1) for i in range(12)]]


# --- against formulas evaluated point by point ---

Tree = tuple[object, ...]


def random_formula(rng: np.random.Generator, depth: int) -> Tree:
    """Return a formula over X_0, X_1 and Y_0 with numbers that are multiples of 1/4."""
    if depth and rng.random() < 0.6:
        return (str(rng.choice(["and", "or"])), *(random_formula(rng, depth - 1) for _ in range(rng.integers(1, 4))))
    operator = str(rng.choice(["<=", ">=", "<", ">", "="], p=[0.35, 0.35, 0.1, 0.1, 0.1]))
    return (operator, *(random_term(rng, 2) for _ in range(2 if rng.random() < 0.8 else 3)))


def random_term(rng: np.random.Generator, depth: int) -> object:
    kind = rng.random()
    if not depth or kind < 0.6:
        return str(rng.choice(["X_0", "X_1", "Y_0"], p=[0.48, 0.48, 0.04])) if kind < 0.3 else quarter(rng)
    if kind < 0.7:
        return ("*", quarter(rng), random_term(rng, depth - 1))
    if kind < 0.75:
        return ("/", random_term(rng, depth - 1), Fraction(2))
    return (str(rng.choice(["+", "-"])), *(random_term(rng, depth - 1) for _ in range(rng.integers(1, 4))))


def quarter(rng: np.random.Generator) -> Fraction:
    return Fraction(int(rng.integers(-6, 7)), 4)


def written(tree: object) -> str:
    if isinstance(tree, tuple):
        return f"({' '.join(map(written, tree))})"
    if isinstance(tree, Fraction):
        return f"(/ {tree.numerator} {tree.denominator})" if tree.denominator == 4 else repr(float(tree))
    return str(tree)


def value(term: object, point: tuple[Fraction, Fraction]) -> Fraction | None:
    """Return the value of a term, `None` if it mentions an output."""
    if isinstance(term, Fraction):
        return term
    if isinstance(term, str):
        return {"X_0": point[0], "X_1": point[1]}.get(term)
    assert isinstance(term, tuple)
    numbers = [value(part, point) for part in term[1:]]
    first, *rest = (Fraction(0) if number is None else number for number in numbers)
    if None in numbers:
        return None
    if term[0] == "+":
        return first + sum(rest)
    if term[0] == "-":
        return first - sum(rest) if rest else -first
    return first * rest[0] if term[0] == "*" else first / rest[0]


def holds(formula: Tree, point: tuple[Fraction, Fraction]) -> bool:
    operator, *parts = formula
    if operator == "and":
        return all(holds(part, point) for part in parts)  # type: ignore[arg-type]
    if operator == "or":
        return any(holds(part, point) for part in parts)  # type: ignore[arg-type]
    numbers = [value(part, point) for part in parts]
    for left, right in pairwise(numbers):
        if left is None or right is None:
            continue
        if not {"<": left <= right, ">": left >= right, "=": left == right}[str(operator)[0]]:
            return False
    return True


def contains(domain: Polytope, point: tuple[Fraction, Fraction]) -> bool:
    """Return whether a point is in a polytope, exactly; its numbers are as short as the formulas'."""
    x = np.array([float(entry) for entry in point])
    row = domain.rows.toarray() @ x
    inside = (domain.lower <= x).all() and (x <= domain.upper).all()
    return bool(inside and (domain.row_lower <= row).all() and (row <= domain.row_upper).all())


def check_random_formulas(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    steps = [Fraction(k, 8) for k in range(-16, 17)]
    points = [(steps[i], steps[j]) for i, j in rng.integers(len(steps), size=(60, 2))]
    read, empty, several = 0, 0, 0
    for _ in range(count):
        formula = random_formula(rng, 3)
        truth = [holds(formula, point) and max(map(abs, point)) <= 1 for point in points]
        try:
            found = domains(f"{BOX}(assert {written(formula)})")
        except SourceError as error:
            if "linear" in str(error):  # a product of inputs
                continue
            assert "the domain is empty" in str(error), written(formula)
            assert not any(truth), written(formula)
            empty += 1
            continue
        assert [any(contains(domain, point) for domain in found) for point in points] == truth, written(formula)
        read, several = read + 1, several + (len(found) > 1)
    assert min(read, 4 * empty, 4 * several) > count / 4


@pytest.mark.parametrize("seed", range(3))
def test_random_formulas_hold_where_the_domains_are(seed: int) -> None:
    check_random_formulas(seed, 150)


@pytest.mark.slow
def test_many_random_formulas_hold_where_the_domains_are() -> None:
    check_random_formulas(100, 20_000)


# --- warnings ---


def warnings_of(text: str) -> list[tuple[str, int, int, str]]:
    found = parse_vnnlib(text).warnings
    assert {each.name for each in found} <= WARNINGS.keys()
    return [(each.name, each.span.line, each.span.column, each.message) for each in found]


def test_the_first_condition_on_outputs_is_pointed_at() -> None:
    text = declared() + BOX + "(assert (or (and (<= X_0 0) (<= Y_0 3)) (and (>= Y_0 5))))\n(assert (<= Y_0 X_0))"
    ((name, line, column, message),) = warnings_of(text)
    assert (name, line, column) == ("ignored-property", 4, 29)
    assert "about outputs is ignored" in message


def test_a_strict_inequality_is_read_with_its_boundary() -> None:
    text = declared() + "(assert (<= 0 X_1 1))\n(assert (< 0 X_0))\n(assert (> 1 X_0))\n"
    ((name, line, column, message),) = warnings_of(text)
    assert (name, line, column, message) == (
        "strict-inequality", 3, 10, "'<' is read as '<=': a domain holds its boundary"
    )  # fmt: skip


def test_a_strict_inequality_of_outputs_is_ignored_like_all_about_them() -> None:
    assert [name for name, *_ in warnings_of(declared() + BOX + "(assert (< Y_0 3))")] == ["ignored-property"]


def test_empty_alternatives_are_left_out() -> None:
    rows = ["(<= X_0 0)", "(>= X_0 2)", "(<= 2 1)", "(<= (+ X_0 X_1) -3)", "(and (<= X_1 X_0) (>= (- X_1 X_0) 1))"]
    text = declared() + BOX + "(assert (or\n" + "\n".join(rows) + "))"
    ((low, high),) = [(domain.lower, domain.upper) for domain in domains(text.split("\n", 1)[1])]
    assert (low.tolist(), high.tolist()) == ([-1, -1], [0, 1])
    start = "this alternative is empty and left out: "
    assert warnings_of(text) == [
        ("empty-piece", 6, 1, start + "'(>= X_0 2)' contradicts '(<= -1 X_0 1)' in line 2"),
        ("empty-piece", 7, 1, start + "'(<= 2 1)' never holds"),
        ("empty-piece", 8, 1, start + "'(<= (+ X_0 X_1) -3)' holds nowhere between the bounds of its inputs"),
        ("empty-piece", 9, 19, start + "'(>= (- X_1 X_0) 1)' contradicts '(<= X_1 X_0)' in line 9"),
    ]


def test_a_row_that_touches_the_box_in_a_corner_holds() -> None:
    (domain,) = domains(f"{BOX}(assert (<= (+ X_0 X_1) -2))")
    assert domain.row_upper.tolist() == [-2]
    with pytest.raises(SourceError, match="holds nowhere"):
        domains(f"{BOX}(assert (<= (+ X_0 X_1) -2.0000000000000005))")


# --- errors ---

D = declared()

# An assertion in line 2 (after the declarations of X_0, X_1 and Y_0), and the place, text and hint of the error.
ERRORS = [
    # parentheses
    ("(assert (<= X_0 1)", 2, 1, "this '(' is never closed", "add a ')'"),
    ("(assert (<= X_0 1)\n(assert (>= X_0 0))", 2, 1, "this '(' is not closed before line 3", "add a ')'"),
    ("(assert (<= X_0 1)))", 2, 20, "this ')' closes nothing", ""),
    ("assert (<= X_0 1)", 2, 1, "stray text 'assert'", "a command stands in parentheses"),
    ('(set-info :source "open)', 2, 19, 'this " has no partner', ""),
    ("(assert (<= |X_0 1))", 2, 13, "this | has no partner", ""),
    ("(" * 101, 2, 101, "more than 100 parentheses within each other", ""),
    # commands
    ("()", 2, 1, "a command is missing behind this '('", "declare-const, declare-fun, assert"),
    ("((assert (<= X_0 1)))", 2, 1, "this '(' is not closed before line 2", "add a ')'"),
    ("((<= X_0 1))", 2, 1, "a command is missing behind this '('", "known: "),
    ("(asert (<= X_0 1))", 2, 2, "unknown command 'asert'", "did you mean 'assert'?"),
    ("(<= X_0 1)", 2, 2, "unknown command '<='", "known: declare-const"),
    ("(define-fun f () Real 1.0)", 2, 2, "unknown command 'define-fun'", "did you mean 'declare-fun'?"),
    ("(vnnlib-version <2.0>)", 2, 2, "'vnnlib-version' belongs to VNN-LIB 2.0", "in VNN-LIB 1.0"),
    ("(declare-network f)", 2, 2, "'declare-network' belongs to VNN-LIB 2.0", "in VNN-LIB 1.0"),
    # declarations
    ("(declare-const X_1 Real)", 2, 16, "'X_1' is declared twice, first in line 1", ""),
    ("(declare-const X_3 Real)", 2, 16, "'X_3' is declared, but 'X_2' is not", "without a gap"),
    ("(declare-const Y_9 Real)", 2, 16, "'Y_9' is declared, but 'Y_1' is not", "without a gap"),
    ("(declare-const eps Real)", 2, 16, "'eps' is neither an input nor an output", "they are X_0, .. and Y_0, .."),
    ("(declare-const X_02 Real)", 2, 16, "'X_02' is neither an input nor an output", ""),
    ("(declare-const X_2 Int)", 2, 20, "'X_2' must be of type Real, not 'Int'", ""),
    ("(declare-const X_2)", 2, 1, "this declares no number", "write (declare-const X_0 Real)"),
    ("(declare-const X_2 Real 0)", 2, 1, "this declares no number", "write (declare-const X_0 Real)"),
    ("(declare-fun X_2 (Real) Real)", 2, 1, "this declares no number", "write (declare-fun X_0 () Real)"),
    # conditions
    ("(assert)", 2, 1, "'assert' takes one condition, not 0", ""),
    ("(assert (<= X_0 1) (>= X_0 0))", 2, 1, "'assert' takes one condition, not 2", ""),
    ("(assert X_0)", 2, 9, "'X_0' is not a condition", "one looks like (<= X_0 1)"),
    ("(assert true)", 2, 9, "'true' is not a condition", ""),
    ("(assert ())", 2, 9, "an operator is missing behind this '('", "known: <=, >="),
    ("(assert ((<= X_0 1)))", 2, 9, "an operator is missing behind this '('", "known: <=, >="),
    ("(assert (+ X_0 1))", 2, 10, "'+' does not make a condition", "here belongs one of <=, >=, <, >, =, and, or"),
    ("(assert (not (<= X_0 1)))", 2, 10, "'not' is not supported", "write the opposite comparison"),
    ("(assert (let ((a 1)) (<= X_0 a)))", 2, 10, "'let' is not supported", "supported: <=, >="),
    ("(assert (=> (<= X_0 1) (>= X_1 0)))", 2, 10, "'=>' is not supported", "supported: <=, >="),
    ("(assert (X_0 <= 1))", 2, 14, "the operator stands in the middle", "it comes first: (<= ..)"),
    ("(assert (=< X_0 1))", 2, 10, "unknown operator '=<'", "did you mean"),
    ("(assert (near X_0 1))", 2, 10, "unknown operator 'near'", "known: <=, >=, <, >, =, and, or"),
    ("(assert (and))", 2, 9, "'and' of nothing", ""),
    ("(assert (or (<= X_0 1) (or)))", 2, 24, "'or' of nothing", ""),
    ("(assert (<= X_0))", 2, 9, "'<=' compares two terms at least", ""),
    # terms
    ("(assert (<= X_2 1))", 2, 13, "unknown name 'X_2'", "declare it first: (declare-const X_2 Real)"),
    ("(assert (<= x0 1))", 2, 13, "unknown name 'x0'", "did you mean 'X_0'?"),
    ("(assert (<= X[1] 1))", 2, 13, "unknown name 'X[1]'", "did you mean 'X_1'?"),
    ("(assert (<= X_O 1))", 2, 13, "unknown name 'X_O'", "a term is a number"),
    ("(assert (<= X_0 1.2.3))", 2, 17, "unknown name '1.2.3'", "a term is a number"),
    ("(assert (<= X_0 inf))", 2, 17, "unknown name 'inf'", "a term is a number"),
    ("(assert (<= X_0 1_0))", 2, 17, "unknown name '1_0'", "a term is a number"),
    ("(assert (<= X_0 1e999))", 2, 17, "'1e999' is beyond double precision", ""),
    ("(assert (<= X_0 1e309))", 2, 9, "a number in this comparison is beyond double precision", ""),
    ("(assert (<= (+ X_0 (* 1e-310 X_1)) 1))", 2, 9,
     "a coefficient in this comparison is too small for double precision", ""),
    (f"(assert (<= X_0 {'1' * 1001}))", 2, 17, "a number of more than 1000 characters", ""),
    ("(assert (<= X_0 (* 1e400 1e400 1e400 1e400)))", 2, 17, "the numbers in this term become too long", ""),
    ("(assert (<= X_0 (<= 1 2)))", 2, 18, "'<=' does not make a number", "here belongs one of +, -, *, /"),
    ("(assert (<= X_0 (sin 1)))", 2, 18, "unknown operator 'sin'", "known: +, -, *, /"),
    ("(assert (<= X_0 (1 + 1)))", 2, 20, "the operator stands in the middle", "it comes first: (+ ..)"),
    ("(assert (<= X_0 ((+ 1) 1)))", 2, 17, "an operator is missing behind this '('", "known: +, -, *, /"),
    ("(assert (<= X_0 (+)))", 2, 17, "'+' of nothing", ""),
    ("(assert (<= (* X_0 X_1) 1))", 2, 13, "the product of two inputs is not linear", "one factor must be a number"),
    ("(assert (<= (/ 1 X_0) 1))", 2, 13, "the division by an input is not linear", "a divisor must be a number"),
    ("(assert (<= X_0 (/ 1 (- 2 2))))", 2, 17, "division by zero", ""),
    ("(assert (<= X_0 (/ 2)))", 2, 17, "'/' divides by nothing", "write (/ 1 3)"),
]  # fmt: skip

FOLLOWED = ("assert (<= X_0 1)", "((assert (<= X_0 1)))")
"""In which a second error is what the first one makes of the rest."""


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), ERRORS, ids=[row[0][:40] for row in ERRORS])
def test_an_error_has_a_place(text: str, line: int, column: int, message: str, hint: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_vnnlib(D + text + "\n", "prop.vnnlib")
    first = caught.value.diagnostics[0]
    assert (first.span.line, first.span.column, first.message) == (line, column, message)
    assert hint in first.hint
    assert len(caught.value.diagnostics) == (2 if text in FOLLOWED else 1)
    assert caught.value.render().startswith(f"prop.vnnlib:{line}:{column}: error: {message}\n    ")


# Everything is said twice; the place and text of the error about the domain as a whole.
DOMAIN_ERRORS = [
    ("", 1, 16, "X_0 has no lower and no upper bound"),
    ("(assert (<= 0 X_1 1))\n(assert (<= X_0 1))", 1, 16, "X_0 has no lower bound"),
    ("(assert (<= 0 X_0 1))\n(assert (>= X_1 0))", 1, 41, "X_1 has no upper bound"),
    ("(assert (<= 0 X_0 1))\n(assert (<= 0 (+ X_0 X_1) 1))", 1, 41, "X_1 has no lower and no upper bound"),
    ("(assert (<= 0 X_0 1))\n(assert (or (<= 0 X_1 1) (<= 0 X_1)))", 1, 41,
     "X_1 has no upper bound in 1 of 2 alternatives"),
    ("(assert (<= 0 X_0 1 2))\n(assert (>= X_0 1.5))", 3, 9,
     "the domain is empty: '(>= X_0 1.5)' contradicts '(<= 0 X_0 1 2)' in line 2"),
    ("(assert (>= X_0 (/ 1 3)))\n(assert (<= X_0 0.33333333333333333333333))", 3, 9,
     "the domain is empty: '(<= X_0 0.33333333333333333333333)' contradicts '(>= X_0 (/ 1 3))' in line 2"),
    ("(assert (<= (- X_0 X_1) -1))\n(assert (<= (- X_1 X_0) 0.5))", 3, 9,
     "the domain is empty: '(<= (- X_1 X_0) 0.5)' contradicts '(<= (- X_0 X_1) -1)' in line 2"),
    ("(assert (<= 2 1))", 2, 9, "the domain is empty: '(<= 2 1)' never holds"),
    (BOX + "(assert (or (<= X_0 -2) (>= X_1 2)))", 4, 13,
     "the domain is empty: '(<= X_0 -2)' contradicts '(<= -1 X_0 1)' in line 2"),
    (BOX + "(assert (>= (+ X_0 X_1) 3))", 4, 9,
     "the domain is empty: '(>= (+ X_0 X_1) 3)' holds nowhere between the bounds of its inputs"),
    (BOX + "(assert (or " + "(= X_0 0) (= X_0 1)" * 501 + "))", 4, 9,
     "the alternatives are too many: more than 1000, or of more than 2097152 comparisons"),
    (BOX + "(assert (or (= X_0 0) (= X_0 1)))\n" * 10, 13, 1,
     "the alternatives are too many: more than 1000, or of more than 2097152 comparisons"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "message"), DOMAIN_ERRORS, ids=[row[3] for row in DOMAIN_ERRORS])
def test_an_error_about_the_domain(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_vnnlib(D + text)
    first = caught.value.diagnostics[0]
    assert (first.message, first.span.line, first.span.column) == (message, line, column)


def test_both_empty_alternatives_are_named() -> None:
    with pytest.raises(SourceError) as caught:
        parse_vnnlib(f"{D}{BOX}(assert (or (<= X_0 -2)\n(>= X_1 2)))")
    assert [each.span.line for each in caught.value.diagnostics] == [4, 5]


@pytest.mark.parametrize("text", ["", "; nothing\n", "(declare-const Y_0 Real)"])
def test_a_property_without_inputs(text: str) -> None:
    with pytest.raises(SourceError, match="no input is declared"):
        parse_vnnlib(text)


def test_several_errors_are_reported_in_order() -> None:
    text = D + "(assert (<= X_0 (sin 1)))\n(asert)\n(assert (or (<= X_9 1) (not (<= X_0 1)) (<= X_0)))\n)"
    with pytest.raises(SourceError) as caught:
        parse_vnnlib(text)
    places = [(each.span.line, each.span.column) for each in caught.value.diagnostics]
    assert places == [(2, 18), (3, 2), (4, 17), (4, 25), (4, 41), (5, 1)]


def test_no_more_than_twenty_errors_are_shown() -> None:
    with pytest.raises(SourceError) as caught:
        parse_vnnlib(D + ")\n" * 1000)
    messages = [each.message for each in caught.value.diagnostics]
    assert messages == ["this ')' closes nothing"] * 20 + ["too many errors: this one and what follows are not shown"]
    with pytest.raises(SourceError) as caught:
        parse_vnnlib(D + ")\n" * 20)
    assert len(caught.value.diagnostics) == 20


def test_alternatives_of_many_inputs_are_limited() -> None:
    size = 20_000
    text = declared(size, 0) + f"(assert (and {' '.join(f'(<= 0 X_{i} 1)' for i in range(size))}))"
    text += f"(assert (or {' '.join(f'(<= X_0 0.{k})' for k in range(100, 1000))}))"
    with pytest.raises(SourceError, match="900 domains of 20000 inputs are too large"):
        parse_vnnlib(text)


# --- files ---


def test_a_file_and_its_compressed_form(tmp_path: Path) -> None:
    text = D + BOX
    for name, content in {
        "a.vnnlib": text.encode(),
        "a.vnnlib.gz": gzip.compress(text.encode()),
        "parts.gz": gzip.compress(D.encode()) + gzip.compress(BOX.encode()),
        "bom.vnnlib": b"\xef\xbb\xbf" + text.encode(),
        "windows.vnnlib": text.replace("\n", "\r\n").encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
        prop = read_vnnlib(tmp_path / name)
        assert isinstance(prop.domain, Polytope)
        assert prop.domain.lower.tolist() == [-1, -1]
        assert (prop.inputs, prop.outputs, prop.source) == (2, 1, str(tmp_path / name))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    packed = gzip.compress((D + BOX).encode())
    cases = {
        "latin.vnnlib": (b"; \xe9\n", "is not a text in UTF-8"),
        "cut.gz": (packed[:-10], "is broken or cut off"),
        "head.gz": (packed[:5], "is broken or cut off"),
        "garbled.gz": (packed[:20] + b"\xff\xff\xff\xff" + packed[24:], "is broken or cut off"),
        "tail.gz": (packed + b"tail", "is broken or cut off"),
        "bomb.gz": (gzip.compress(bytes(2**26 + 1), 1), "has more than 67108864 bytes"),
        "onnx.vnnlib": (b"\x08\x07\x12\x07pytorch", "stray text"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError) as caught:
            read_vnnlib(tmp_path / name)
        assert message in str(caught.value), name
        assert caught.value.where.startswith(str(tmp_path / name))
    for path, message in (
        (tmp_path / "none.vnnlib", "No such file"),
        (tmp_path, "Is a directory"),
        (Path("a\0b"), "null"),
    ):
        with pytest.raises(ModelError, match=message):
            read_vnnlib(path)


def test_a_property_must_fit_the_network() -> None:
    network = from_weights([np.ones((3, 2)), np.ones((2, 3))], [np.zeros(3), np.zeros(2)])
    parse_vnnlib(declared(2, 2) + BOX, "p.vnnlib").check_fits(network)
    parse_vnnlib(declared(2, 0) + BOX, "p.vnnlib").check_fits(network)
    with pytest.raises(QueryError, match=r"p\.vnnlib: the property declares 1 outputs, but the network has 2"):
        parse_vnnlib(declared(2, 1) + BOX, "p.vnnlib").check_fits(network)
    with pytest.raises(QueryError, match=r"p\.vnnlib: the property declares 1 inputs, but the network has 2"):
        parse_vnnlib(declared(1, 2) + "(assert (<= 0 X_0 1))", "p.vnnlib").check_fits(network)


PLAIN = re.compile(r"\((<=|>=)\s+X_([0-9]+)\s+([^\s()]+)\)")


def independent_box(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the box of the bounds in a text, the tightest of each."""
    text = re.sub(r";[^\n]*", "", text)
    size = len(re.findall(r"declare-const\s+X_", text))
    lower, upper = np.full(size, -np.inf), np.full(size, np.inf)
    for sign, entry, number in PLAIN.findall(text):
        position = int(entry)
        if sign == "<=":
            upper[position] = min(upper[position], float(number))
        else:
            lower[position] = max(lower[position], float(number))
    return lower, upper


def test_public_properties_are_read_as_a_plain_reader_does(shared: Path) -> None:
    paths = sorted((shared / "models").rglob("*.vnnlib"))
    assert len(paths) >= 10
    for path in paths:
        text = path.read_text()
        prop = read_vnnlib(path)
        found = prop.domain if isinstance(prop.domain, tuple) else (prop.domain,)
        assert prop.inputs == len(re.findall(r"declare-const X_", text))
        assert prop.outputs == len(re.findall(r"declare-const Y_", text))
        assert [each.name for each in prop.warnings] == ["ignored-property"]
        pieces = re.findall(r"^ *\(and .*$", text, re.MULTILINE) if path.name == "prop_6.vnnlib" else []
        pieces = [piece for piece in pieces if "X_" in piece]
        assert len(found) == max(1, len(pieces)), path
        declarations = "\n".join(re.findall(r"\(declare-const X.*", text))
        for domain, piece in zip(found, pieces or [text], strict=True):
            lower, upper = independent_box(declarations + piece if pieces else text)
            assert domain.rows.shape[0] == 0
            np.testing.assert_array_equal(domain.lower, lower)
            np.testing.assert_array_equal(domain.upper, upper)


# --- the documentation ---


def test_the_page_on_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its property has the domains that it says, its Python runs, its error is what is printed."""
    page = (Path(__file__).parents[2] / "docs/questions.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```vnnlib\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "property.vnnlib").write_text(example)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        exec(compile(block, "questions.md", "exec"), names)  # as its reader would
    answers = [names[name].lower for name in ("constant", "largest", "smallest")]
    assert answers == pytest.approx([2.0, 1.0, 0.5], rel=1e-6)
    assert [piece.domain.lower.tolist() for piece in names["pieces"]] == [[-0.5, 0.0], [0.5, 0.0]]
    assert [piece.domain.upper.tolist() for piece in names["pieces"]] == [[0.0, 1 / 3], [1.0, 1 / 3]]
    assert (names["parts"].lower, names["parts"].pieces) == (2.0, ())
    with pytest.raises(SourceError) as caught:
        parse_vnnlib(example.replace("(<= X_0 1)", "(<= x0 1)", 1), "property.vnnlib")
    shown = re.sub("^    ", "", page[page.index("    property.vnnlib:") :].split("\n\n")[0], flags=re.MULTILINE)
    assert caught.value.render() == shown


# --- nonsense ---

SAMPLE = (
    declared(3, 2)
    + "; a comment\n(assert (<= 0.25 X_0 1e0)) (assert (>= X_1 (- 0.5)))\n(assert (< X_1 (/ 1 3)))\n"
    + "(assert (or (and (<= X_2 1) (>= X_2 0) (<= Y_0 Y_1)) (and (= X_2 (* 2 0.75)) (> Y_1 3))))\n"
    + "(assert (or (<= (+ (* 2 X_0) (- X_1)) 3) (and (<= X_0 X_2) (<= (/ X_1 4) |X_0|))))\n(check-sat)\n"
)
TOKENS = re.findall(r"[^\s()]+|[()]|\s+", SAMPLE)
ODD = ["let", "not", "\0", "\x1b[2J", "é", "1e999", '"', "|", ";", "X_7"]


def mutations(seed: int, count: int) -> Iterator[str]:
    """Yield the sample with a few tokens or characters dropped, doubled, exchanged or replaced."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        parts = list(SAMPLE if rng.random() < 0.3 else TOKENS)
        for _ in range(rng.integers(1, 4)):
            at, other = rng.integers(len(parts), size=2)
            kind = rng.integers(5)
            if kind == 0:
                del parts[at]
            elif kind == 1:
                parts.insert(at, parts[other])
            elif kind == 2:
                parts[at], parts[other] = parts[other], parts[at]
            elif kind == 3:
                parts[at] = str(rng.choice([*TOKENS, *ODD]))
            else:
                del parts[at : at + int(rng.integers(30))]
            parts = parts or [" "]
        yield "".join(parts)


def check_mutations(seed: int, count: int) -> None:
    """Whatever a text holds, it is read or refused; what is read has finite bounds that do not cross."""
    read = 0
    for text in mutations(seed, count):
        try:
            prop = parse_vnnlib(text)
        except LipcError as error:
            assert error.render()
            continue
        read += 1
        check_property(prop)
    assert count / 25 < read < count


def check_property(prop: InputProperty) -> None:
    found = prop.domain if isinstance(prop.domain, tuple) else (prop.domain,)
    assert found
    for domain in found:
        assert domain.size == prop.inputs
        assert np.isfinite([domain.lower, domain.upper]).all()
        assert (domain.lower <= domain.upper).all()
        assert (domain.row_lower <= domain.row_upper).all()
        assert np.isfinite(domain.rows.data).all()
    assert all(each.render() for each in prop.warnings)


def test_mutated_properties_are_read_or_refused() -> None:
    check_mutations(0, 1000)


@pytest.mark.slow
def test_many_mutated_properties_are_read_or_refused() -> None:
    check_mutations(1, 40_000)


def enormous(length: int) -> list[str]:
    """Return texts of some hundred thousand characters where the length is 100000."""
    return [
        "(" * 10 * length,
        ")" * 10 * length,
        "x " * 5 * length,
        "(assert " * 2 * length,
        '"' * (length + 1),
        "(assert (<= X_0 (+ " + "(/ 1 3) (/ 1 7) (/ 1 11) " * (length // 5) + ")))",
        "(assert (<= X_0 (* " + "1e300 " * length + ")))",
        "(assert (and " + "(or (= X_0 0) (= X_0 1)) " * (length // 10) + "))",
        "(assert (or " + "(= X_0 0) " * length + "))",
    ]


@pytest.mark.parametrize(
    "text",
    [
        *enormous(20_000),
        *(pytest.param(text, marks=pytest.mark.slow) for text in enormous(100_000)),
        "(assert (<= X_0 " + "(- " * 90 + "1" + ")" * 90 + "))",
        "(assert (<= X_0 " + "(- " * 200 + "1" + ")" * 200 + "))",
        "(assert " + "(and " * 97 + "(<= X_0 1)" + ")" * 98,
    ],
    ids=lambda text: text[:24],
)
def test_texts_out_of_all_proportion_end_soon(text: str) -> None:
    with pytest.raises(LipcError):
        parse_vnnlib(D + text)
