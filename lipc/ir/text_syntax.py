"""From the text of a program to its parse tree, and messages about places in it."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, TypeAlias

from lipc.diagnostics import Diagnostic, SourceError, SourceText, Span, character_name, did_you_mean, in_order
from lipc.grammars import grammar
from lipc.ir.text_numbers import TokenError

Node: TypeAlias = Any
"""A `lark.Tree` or `lark.Token`; lark has no types of its own to check against."""

LONGEST_TEXT = 2**28
"""Characters; larger constants belong into a file of their own."""

MOST_MESSAGES = 20

_WORDS = {
    "$END": "the end of the text",
    "VALUE": "a value such as %1",
    "REFERENCE": "a reference such as $c0",
    "INT": "a whole number",
    "SHAPE": "a shape such as 3x4",
    "NUMBER": "a number",
    "ROW": "a list of numbers in brackets",
    "SPARSE_ROW": "a sparse row such as 0: {1: 2.5}",
    "STRING": "a text in quotes",
    "NORM": "'linf' or 'l1'",
    "KIND": "'vec' or 'bits'",
    "SENSE": "'maximize' or 'minimize'",
}
"""What the terminals of the grammar are called in messages; those of one spelling are quoted."""

_STATEMENT = frozenset({"BOUNDS", "OUTPUT", "SENSE", "VALUE"})
_FORMS = frozenset({"ROW", "LSQB", "ZEROS", "ONES", "EYE", "DIAG", "SELECT", "SCATTER", "CSR", "DENSE", "VEC"})

_BEGIN = "program { %0: vec[2] = "
_AT_TOKEN: dict[str, tuple[str, ...]] = {
    "a single '=' defines a value": ("program { %0: vec[2] == input", "program { %0: vec[2] := input"),
    "a list is not closed, or the rows of a matrix are not in brackets of their own": (
        _BEGIN + "affine [1.0",
        _BEGIN + "affine [[1.0, 2.0",
        _BEGIN + "affine [%1]",
        _BEGIN + "affine [[1.0], 2.0]",
        _BEGIN + "affine [[1.0], [2.0",
        _BEGIN + "input box [1.0",
        _BEGIN + "input box [0.0] .. [1.0",
    ),
    "a matrix is not closed: its ']' is missing": (
        _BEGIN + "affine [[1.0] * %0",
        _BEGIN + "affine [[1.0] %0",
        _BEGIN + "affine [[1.0], [2.0] * %0",
        _BEGIN + "affine [[1.0], [2.0] %0",
    ),
    "a comma is missing between two rows": (
        _BEGIN + "affine [[1.0] [2.0]]",
        _BEGIN + "affine [[1.0], [2.0] [3.0]]",
        _BEGIN + "affine csr<1x1> {0: {} 1: {}}",
        _BEGIN + "affine csr<1x1> {0: {}, 1: {} 2: {}}",
    ),
    "the matrix stands before the value: 2.0 * %0": (_BEGIN + "affine %0 * 2.0", _BEGIN + "affine 2.0 * %0 * 2.0"),
    "terms are added: write + -1.0 * %1": (
        _BEGIN + "affine %0 - %1",
        _BEGIN + "affine 2.0 * %0 - %1",
        _BEGIN + "affine [1.0] * %0 - %1",
        _BEGIN + "affine [1.0] - %1",
        _BEGIN + "affine %0 -1.0 * %1",
        _BEGIN + "affine 2.0 * %0 -1.0 * %1",
        _BEGIN + "affine [1.0] * %0 -1.0 * %1",
        _BEGIN + "affine [1.0] -1.0 * %1",
    ),
    "between a factor and a value stands a '*'": (_BEGIN + "affine 2.0 %0", _BEGIN + "affine 2.0 [1.0]"),
    "the name of a value begins with %": ("program { 0: vec[2]", "program { x: vec[2]"),
}
"""Common mistakes, by texts that stop at the same token in the same state of the parser."""

_AT_PLACE: dict[str, tuple[str, ...]] = {
    "a program begins with 'program {'": ("}", "program }"),
    "after the end of the program stands something": (_BEGIN + "input space }}",),
    "the size of the value is missing: write vec[3] or bits[3]": ("program { %0: vec =", "program { %0: bits ="),
    "a value is defined here; that is written %1: vec[3] = ..., and a product MATRIX * VALUE": ("program { %0 =",),
    "bounds are written LOWER .. UPPER": (
        _BEGIN + "input box [1.0], [2.0]",
        _BEGIN + "input box [1.0] [2.0]",
        "program { bounds %0: [1.0], [2.0]",
        "program { bounds %0: [1.0] [2.0]",
    ),
    "a domain is written box [0.0] .. [1.0], or space": (_BEGIN + "input [1.0] .. [2.0]",),
    "a vector is written [1.0, 2.0], or 0.5 * ones(2)": (
        _BEGIN + "input box 0.0 .. 1.0",
        "program { bounds %0: 0.0 ..",
    ),
    "a switch reads a value and bits: switch %1, %2": (_BEGIN + "switch %1 %2",),
    "the name of an origin stands in quotes, on one line": (_BEGIN + "input space @ x",),
}
"""Common mistakes, by texts that stop in the same state of the parser, whatever the token."""

_INSTEAD = {
    "relu": "a relu is two operations: %2: bits[3] = conditional %1, then %3: vec[3] = switch %1, %2",
    "constant": "a constant is written affine [1.0, 2.0]",
}
"""What stands for operations of other languages."""


class Report:
    """Collects what is wrong with a text."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.diagnostics: list[Diagnostic] = []

    def error(self, message: str, place: Node | Span, hint: str = "") -> None:
        """Add an error at a node, a token or a span."""
        span = place if isinstance(place, Span) else self.span(place)
        self.diagnostics.append(Diagnostic(message, span, hint))

    def within(self, token: Node, error: TokenError, hint: str = "") -> None:
        """Add an error within a token."""
        self.error(error.message, self.source.span(token.start_pos + error.start, token.start_pos + error.end), hint)

    def span(self, node: Node) -> Span:
        """Return the place of a tree or a token."""
        place: Node = getattr(node, "meta", node)
        return self.source.span(place.start_pos, place.end_pos)

    def check(self) -> None:
        """Raise a `SourceError` if there is an error; of more than 20, the first ones."""
        if self.diagnostics:
            raise SourceError(_first(in_order(self.diagnostics)))


def parse_tree(source: SourceText) -> Node:
    """Return the parse tree of a program, a `lark.Tree` of grammar/ir.lark.

    Raises
    ------
    SourceError
        Where the text departs from the grammar, with what may stand there.
    """
    from lark import UnexpectedInput

    if len(source.text) > LONGEST_TEXT:
        first = source.span(0, 1)
        hint = "keep large constants in a file of their own"
        raise SourceError([Diagnostic(f"a program of more than {LONGEST_TEXT} characters", first, hint)])
    try:
        return _parser().parse(source.text)
    except UnexpectedInput as error:
        raise SourceError([_syntax_error(source, error)]) from None


@cache  # building it takes 60 ms, a hundred times as long as reading a small program
def _parser() -> Any:
    from lark import Lark

    return Lark(grammar("ir.lark"), parser="lalr", propagate_positions=True)


@cache  # the examples take another 10 ms
def _mistakes() -> dict[tuple[Any, str], str]:
    """Return messages by state of the parser and token; the token is empty where any will do.

    This is what `UnexpectedInput.match_examples` does, but without its guesses where no example fits.
    """
    from lark import UnexpectedInput

    messages = {}
    for table, exact in ((_AT_PLACE, False), (_AT_TOKEN, True)):
        for message, examples in table.items():
            for example in examples:
                try:
                    _parser().parse(example)
                except UnexpectedInput as error:
                    state, token = _where(error, example)
                    messages[state, token if exact else ""] = message
    return messages


def _where(error: Any, text: str) -> tuple[Any, str]:
    """Return the state in which the parser stopped, and the kind of token, or the character, at which it did."""
    token = getattr(error, "token", None)
    state = getattr(error.state, "position", error.state)
    return state, token.type if token is not None else text[error.pos_in_stream : error.pos_in_stream + 1]


def _syntax_error(source: SourceText, error: Any) -> Diagnostic:
    """Return the message for the place where the parser stopped."""
    text = source.text
    state, token = _where(error, text)
    names = set(getattr(error, "accepts", None) or getattr(error, "expected", None) or error.allowed)
    expected = _listed(names)
    if token == "$END":
        end = len(text.rstrip())
        return Diagnostic("the text ends before the program does", source.span(end), f"expected {expected}")
    start = error.pos_in_stream
    found = _word(text, start)
    span = source.span(start, start + len(found))
    hint = did_you_mean(found, [word for name in names for word in re.findall(r"'(\w+)'", _in_words(name))])
    hint = hint or (_INSTEAD.get(found, "") if "AFFINE" in names else "")
    messages = _mistakes()
    message = "" if hint else messages.get((state, token)) or messages.get((state, ""), "")
    shown = f"'{found}'" if found.isprintable() else character_name(found)
    if message:
        return Diagnostic(message, span, f"expected {expected}, found {shown}")
    return Diagnostic(f"expected {expected}, found {shown}", span, hint)


def _word(text: str, start: int) -> str:
    """Return the word, the number or the character that stands at a place."""
    match = re.compile(r"[%$]?\w[\w.]{0,39}|-?[0-9.]{1,40}|.", re.DOTALL).match(text, start)
    return match.group() if match else ""


def _in_words(terminal: str) -> str:
    """Return what a terminal is called in a message."""
    if terminal in _WORDS:
        return _WORDS[terminal]
    pattern = next((each.pattern for each in _parser().terminals if each.name == terminal), None)
    return f"'{pattern.value}'" if pattern else terminal


def _listed(terminals: set[str]) -> str:
    """Return the terminals that may stand at a place in words; many that make one thing by its name."""
    names, summary = set(terminals), []
    if names >= _FORMS:
        names -= _FORMS | {"NUMBER"}
        summary.append("a vector or matrix")
    if names >= _STATEMENT:
        names -= _STATEMENT
        summary.append("a new statement")
    words = sorted(_in_words(name) for name in names) + summary
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _first(diagnostics: tuple[Diagnostic, ...]) -> list[Diagnostic]:
    """Return the first messages, and how many more there are."""
    shown = list(diagnostics[:MOST_MESSAGES])
    more = len(diagnostics) - len(shown)
    if more:
        shown.append(Diagnostic(f"and {more} more error{'s' if more > 1 else ''}", diagnostics[MOST_MESSAGES].span))
    return shown
