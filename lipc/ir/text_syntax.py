"""From the text of a program to its parse tree, and messages about places in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeAlias

from lipc.diagnostics import Diagnostic, SourceError, SourceText, Span, did_you_mean, in_order
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

_SUMMAND = frozenset({"ROW", "VALUE", "NUMBER", "ZEROS"})
_FORM = frozenset({"ROW", "ZEROS", "ONES", "EYE"})

_BEGIN = "program {\n  %0: vec[2] = "
_EXAMPLES: dict[str, tuple[str, ...]] = {
    "the program is not closed: its '}' is missing": (
        _BEGIN + "input space\n  output %0\n",
        _BEGIN + 'input space @ "x"\n',
        _BEGIN + "affine [1.0] ",
        _BEGIN + "affine %0 ",
        "program {",
    ),
    "a text after the end of the program": (_BEGIN + "input space\n}\n}", "program {} program {}"),
    "a program begins with 'program {'": ("program %0", "%0: vec[2] = input space", "{", "module {"),
    "the size of the value is missing: write vec[3] or bits[3]": ("program { %0: vec = input", "program { %0: vec 2"),
    "the type of the value is missing: write %1: vec[3] = ...": ("program { %0 = input space", "program { %0 input"),
    "a single '=' defines a value": ("program { %0: vec[2] == input", "program { %0: vec[2] := input"),
    "a list is not closed, or the rows of a matrix are not in brackets of their own": (
        _BEGIN + "affine [1.0, 2.0\n",
        _BEGIN + "affine [[1.0, 2.0\n",
        _BEGIN + "affine [1.0, [2.0]]",
        _BEGIN + "affine [%1]",
        _BEGIN + "affine [[1.0], 2.0]",
    ),
    "the matrix is not closed: its ']' is missing": (_BEGIN + "affine [[1.0, 2.0] * %0", _BEGIN + "affine [[1.0] %0"),
    "a comma is missing between two rows": (_BEGIN + "affine [[1.0] [2.0]]", _BEGIN + "affine csr<1x1> {0: {} 1: {}}"),
    "between a matrix and a value stands a '*'": (_BEGIN + "affine 2.0 %0", _BEGIN + "affine 2.0 [1.0]"),
    "bounds are written LOWER .. UPPER": (
        _BEGIN + "input box [1.0], [2.0]",
        _BEGIN + "input box [1.0] [2.0]",
        _BEGIN + "input box [1.0] : [2.0]",
        "program { bounds %0: [1.0], [2.0]",
        "program { bounds %0: [1.0] [2.0]",
        "program { bounds %0: [1.0] : [2.0]",
    ),
    "a domain is written box [..] .. [..], or space": (_BEGIN + "input [1.0] .. [2.0]", _BEGIN + "input 0.0 .. 1.0"),
    "a switch reads a value and bits: switch %1, %2": (_BEGIN + "switch %1 %2", _BEGIN + "switch %1\n output"),
    "the name of an origin stands in quotes": (_BEGIN + "input space @ x", _BEGIN + "input space @ 1"),
    "a text in quotes is not closed on its line": (_BEGIN + 'input space @ "x\n', _BEGIN + 'input space @ "x" "y\n'),
}


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


@cache  # building it takes 50 ms, a hundred times as long as a small program
def _parser() -> Any:
    from lark import Lark

    return Lark(grammar("ir.lark"), parser="lalr", propagate_positions=True)


def _syntax_error(source: SourceText, error: Any) -> Diagnostic:
    """Return the message for the place where the parser stopped."""
    text = source.text
    token = getattr(error, "token", None)
    at_end = token is not None and token.type == "$END"
    start = len(text.rstrip()) if at_end else error.pos_in_stream
    found = "" if at_end else _word(text, start)
    expected = set(getattr(error, "accepts", None) or getattr(error, "expected", None) or error.allowed)
    words = [_in_words(name) for name in expected]
    hint = did_you_mean(found, [word.strip("'") for word in words if re.fullmatch(r"'\w+'", word)]) if found else ""
    label = "" if hint else error.match_examples(_parser().parse, _EXAMPLES, use_accepts=True)
    span = source.span(start, start + max(len(found), 1))
    stopped = f"found '{found}'" if found else "the text ends"
    if label:
        return Diagnostic(label, span, hint or f"expected {_listed(expected)}, {stopped}")
    return Diagnostic(f"expected {_listed(expected)}, {stopped}", span, hint)


def _word(text: str, start: int) -> str:
    """Return the word, the number or the character that stands at a place."""
    match = re.compile(r"[%$]?\w{1,40}|-?[0-9.]{1,40}|\.\.|.", re.DOTALL).match(text, start)
    return match.group() if match else ""


def _in_words(terminal: str) -> str:
    """Return what a terminal is called in a message."""
    if terminal in _WORDS:
        return _WORDS[terminal]
    pattern = next((each.pattern for each in _parser().terminals if each.name == terminal), None)
    return f"'{pattern.value}'" if pattern else terminal


def _listed(terminals: Iterable[str]) -> str:
    """Return the terminals that may stand at a place, as words; the many forms of a constant as one."""
    names = set(terminals)
    summary: list[str] = []
    if names >= _FORM:
        constant = {"ROW", "ZEROS", "ONES", "EYE", "DIAG", "SELECT", "SCATTER", "CSR", "DENSE", "VEC", "LSQB", "NUMBER"}
        summary.append("a vector or matrix")
        names -= constant
    words = summary + sorted(_in_words(name) for name in names)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _first(diagnostics: tuple[Diagnostic, ...]) -> list[Diagnostic]:
    """Return the first messages, and how many more there are."""
    shown = list(diagnostics[:MOST_MESSAGES])
    more = len(diagnostics) - len(shown)
    if more:
        shown.append(Diagnostic(f"and {more} more error{'s' if more > 1 else ''}", diagnostics[MOST_MESSAGES].span))
    return shown
