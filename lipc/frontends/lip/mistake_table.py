"""Mistakes that people make in .lip files, by example: what is said of each, and texts that make it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Blunder:
    """One mistake.

    Parameters
    ----------
    message
        What is wrong; in braces ``previous`` and ``found``, the tokens on both sides of the place, and ``name``, what
        stands before an equals sign.
    hint
        What to write.
    examples
        Texts that make it.
    """

    message: str
    hint: str
    examples: tuple[str, ...]


def _network(*statements: str) -> tuple[str, ...]:
    return tuple(f"network f {{\n{statement}\n}}" for statement in statements)


def _query(*lines: str) -> tuple[str, ...]:
    return tuple(f"query {{\n{line}\n}}" for line in lines)


def _anywhere(*statements: str) -> tuple[str, ...]:
    return (*statements, *_network(*statements), *_query(*statements))


def _each(*templates: str) -> tuple[str, ...]:
    """Return texts with each kind of operand in place of ``@``."""
    return tuple(template.replace("@", operand) for template in templates for operand in OPERANDS)


OPERANDS = ("1", "a", "a[0]", "(a)", "a'", "a.b", "f(a)", "[1, 2]")

PAIRS = tuple(
    f"{left} {right}"
    for left, right in product(OPERANDS, ("2", "2 3", "b", "(b)", "[b]", '"b"'))
    if right[0] not in "([" or (right == "(b)" and left != "a")  # a[0] [b] is an index, and a (b) a call
)

BEFORE_BOUND = ("0", "a", "[0]", "a[0]", "(0)", "zeros(2)", "a'")

TABLE: tuple[Blunder, ...] = (
    Blunder(
        "',' or an operator is missing between {previous} and {found}",
        "entries are separated by commas",
        tuple(
            f"c = {before}{pair}{after}"
            for pair in PAIRS
            for before, after in (("[", "]"), ("[a, ", "]"), ("f(", ")"), ("f(a, ", ")"), ("[a; ", "]"))
        ),
    ),
    Blunder(
        "an operator is missing between {previous} and {found}",
        "to multiply, write '*'; two statements stand on two lines, or have ';' between them",
        _anywhere(*(f"c = {pair}" for pair in PAIRS)) + _network(*(f"output y = {pair}" for pair in PAIRS)),
    ),
    Blunder(
        "'=' is missing after {previous}",
        "as in: name = value",
        _anywhere("c 1", "c [1]", "c (1)", "c a", 'c "a"', "c"),
    ),
    Blunder(
        "a definition is written with '='",
        "as in: name = value",
        _anywhere("c == 1", "c <= 1", "c := 1", "c += 1", "c *= 1", "c: 1", "c.d = 1"),
    ),
    Blunder(
        "a text stands in double quotes",
        'as in load("weights.npz"); a single one transposes, as in W\'',
        ("c = 'a'", "c = f('a')", "c = 'a' + 1", *_network("w = f('a')", "w = 'a'")),
    ),
    Blunder(
        "a definition has one '='",
        "define the other name on a line of its own",
        _anywhere(*_each("c = @ = 1")) + _network(*_each("output y = @ = 1")),
    ),
    Blunder(
        "what stands for '{name}' is missing",
        "as in: name = value",
        (
            *_anywhere("c =", "c =\nd = 1"),
            "c =",
            "network f { c = }",
            *_network("output y ="),
            "network f { output y = }",
        ),
    ),
    Blunder(
        "the operand after {previous} is missing",
        "",
        (
            *_anywhere("c = 1 +", "c = 1 *", "c = -", "c = 1 +\nd = 2"),
            *("c = 1 +", "c = 1 *", "c = -", "c = (1 +)", "c = (1 *)", "c = (-)", "c = [1 +]", "c = [1 *]"),
            *("c = f(1 +)", "c = f(1 *)", "c = [1 +, 2]", "c = f(1 *, 2)", "network f { c = 1 + }"),
        ),
    ),
    Blunder(
        "two operators stand side by side",
        "there are no powers and no '//'; comments start with '#'",
        (*_anywhere("c = 1 * * 2", "c = a - * 2"), "c = [1 * * 2]", "c = (1 * * 2)", "c = f(1 * * 2)"),
    ),
    Blunder(
        "lists are written in square brackets",
        "as in: [1, 2, 3]",
        (
            "c = {1, 2}",
            *_each("c = (@, 2)", "c = 2 * (@, 2)"),
            "c = f((1, 2))",
            *_network("c = {1}"),
            "c = f({1})",
            "c = [{1}]",
            "c = 1 * {1}",
        ),
    ),
    Blunder(
        "an entry is missing between two separators",
        "",
        ("c = [1, , 2]", "c = [a, , 2]", "c = [a,, b]", "c = f(a,, b)", "c = [1,, 2]"),
    ),
    Blunder("an entry is missing before {found}", "", ("c = [, 1]", "c = f(, 1)", "c = [; 1]", "c = a[, 1]")),
    Blunder("a list needs at least one entry", "for zeros write zeros(n)", ("c = []",)),
    Blunder("the index is missing", "as in: x[0] or x[0:2]", ("c = a[]",)),
    Blunder("the brackets are empty", "", ("c = ()", "c = [()]", "c = 2 * ()")),
    Blunder(
        "a name must follow '.'",
        "as in: w.W1",
        ("c = w.", *_anywhere("c = w."), "c = w.1", "c = w.(1)", "c = w.[1]", "c = f(w.)", "c = [w.]"),
    ),
    Blunder("named arguments are written with '='", "as in: norm = l1", ("c = f(a: 1)", "c = f(b, a: 1)")),
    Blunder(
        "the input has no size",
        "as in: input x[2]",
        (*_network("input x", "input x = 1", "input x(2)", "input x 2", "input x: 2"), "network f { input x }"),
    ),
    Blunder("the input has no name", "as in: input x[2]", _network("input [2]", "input 2", "input", "input = 1")),
    Blunder(
        "the output has no name",
        "as in: output y = relu(x)",
        _network("output = a", "output", "output 2", "output [a]", "output (a)"),
    ),
    Blunder(
        "'=' is missing after the name of the output",
        "as in: output y = relu(x)",
        _network("output y relu(a)", "output y 1", "output y [1]", "output y (1)"),
    ),
    Blunder("the network has no name", "as in: network f {{ .. }}", ("network {", "network\n{", "network = 1")),
    Blunder(
        "'{{' is missing after {previous}",
        "as in: network f {{ .. }}",
        ("network f", "network f\ninput x[2]", "network f input", "network f = 1", "network f:", "query f\nmaximize y"),
    ),
    Blunder(
        "'{{' is missing after 'query'",
        "as in: query {{ maximize lipschitz(y) }}",
        ("query", "query\nmaximize y", "query:"),
    ),
    Blunder(
        "a network is defined without arguments",
        "its input has a line of its own: input x[2]",
        ("network f(x) {", "network f[2] {"),
    ),
    Blunder(
        "'box' or 'ball' is missing after 'domain'",
        "as in: domain box 0 .. 1, or domain ball linf center c radius 0.1",
        _query("domain [0] .. [1]", "domain 0 .. 1", "domain a", "domain", "domain = 1", "domain (0) .. 1"),
    ),
    Blunder(
        "the bounds of a box have '..' between them",
        "as in: domain box 0 .. 1",
        _query(
            *(
                f"domain box {bound}{after}"
                for bound in BEFORE_BOUND
                for after in (": 1", ", 1", "", " b", " 1", " [1]", " = 1", " <= 1")
            )
        ),
    ),
    Blunder(
        "'linf' or 'l1' is missing after 'ball'",
        "balls in other norms are not polytopes",
        _query("domain ball center c radius 1", "domain ball l2", "domain ball 1", "domain ball [1]", "domain ball"),
    ),
    Blunder(
        "'center' is missing after {previous}",
        "as in: ball linf center c radius 0.1",
        _query(
            *(
                f"domain ball {norm} {after}"
                for norm in ("linf", "l1")
                for after in ("radius 1", "c", "[1]", "1", "", "(1)")
            )
        ),
    ),
    Blunder(
        "'radius' is missing after the center",
        "as in: ball linf center c radius 0.1",
        _query(
            *(
                f"domain ball linf center {at}{after}"
                for at in BEFORE_BOUND
                for after in ("", " 0.1", " clip 0 .. 1", ", 1", " r", " = 1")
            )
        ),
    ),
    Blunder(
        "'where' stands on a line of its own",
        "",
        _query(*_each("domain box 0 .. @ where x <= 1", "domain ball linf center 0 radius @ where x <= 1")),
    ),
    Blunder(
        "equality is written '=='",
        "as in: where x[0] + x[1] == 1",
        _query(*_each("where @ = 1", "where 0 <= @ = 1", "where a <= 1, @ = 1")),
    ),
    Blunder(
        "a comparison is missing",
        "as in: where x[0] + x[1] <= 1",
        _query(*_each("where @", "where @, x <= 1", "where a <= 1, @")),
    ),
    Blunder(
        "constraints are separated by commas", "", _query(*_each("where x <= @ and x >= 0", "where 0 <= @ and x >= 0"))
    ),
    Blunder(
        "what to {word} is missing",
        "as in: maximize lipschitz(y)",
        (*_query("maximize", "minimize", "maximize = 1"), "query { maximize }"),
    ),
    Blunder(
        "statements end at a new line or ';'",
        "",
        _network("input x[2] c = 1", "input x[2], c = 1", "input x[2] output y = x"),
    ),
)
