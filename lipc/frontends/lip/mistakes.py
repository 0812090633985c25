"""Syntax errors in words: a table of mistakes that people make, by example, and what is expected for all others.

A mistake is known by what was read last, what came instead, and what could have come: lark's idea of matching errors
by examples, but the examples are parsed once, and a nearly similar one is never taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from lark import Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from lipc.diagnostics import Diagnostic, SourceText, character_name, did_you_mean
from lipc.frontends.lip.functions import FUNCTIONS
from lipc.frontends.lip.mistake_table import TABLE, Blunder
from lipc.frontends.lip.parser import BRACKETS, brackets, parser

Key: TypeAlias = "tuple[str, str, frozenset[str]]"


@dataclass(frozen=True)
class Failure:
    """Where parsing stops.

    Parameters
    ----------
    found
        The token that does not fit.
    previous
        The last one that did, if any.
    accepted
        The types of tokens that would fit.
    """

    found: Token
    previous: Token | None
    accepted: frozenset[str]

    @property
    def key(self) -> Key:
        """What tells one mistake from another."""
        return (self.previous.type if self.previous else "", self.found.type, self.accepted)


HOMES = {
    "maximize": "query",
    "minimize": "query",
    "domain": "query",
    "where": "query",
    "input": "network f",
    "output": "network f",
}
"""Words that start a line, and in which block."""

STARTS = ("network", "query", *HOMES)

CHARACTERS = {
    "<": ("strict comparisons make no closed domain", "write '<='"),
    ">": ("strict comparisons make no closed domain", "write '>='"),
    "!": ("'!' is not in this language", ""),
    "@": ("'@' is not in this language", "the product of matrices is '*'"),
    "^": ("'^' is not in this language", "powers are not piecewise linear; W' is the transposed matrix"),
    "%": ("'%' is not in this language", "comments start with '#'"),
    "&": ("'&' is not in this language", "constraints are separated by commas"),
    "|": ("'|' is not in this language", "the absolute value is abs(x)"),
    '"': ("the text in quotes does not end on its line", ""),
    "“": ("these are typographic quotes", 'write "weights.npz"'),
    "”": ("these are typographic quotes", 'write "weights.npz"'),
    "−": ("this is a typographic minus", "write '-'"),  # noqa: RUF001 - that is the point
    "–": ("this is a dash", "write '-'"),  # noqa: RUF001 - that is the point
    "×": ("'×' is not in this language", "write '*'"),  # noqa: RUF001 - that is the point
    "·": ("'·' is not in this language", "write '*'"),
    "≤": ("'≤' is not in this language", "write '<='"),
    "≥": ("'≥' is not in this language", "write '>='"),
    "…": ("'…' is not in this language", "write '..'"),
}

WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "TEXT": "a text in quotes",
    "END": "the end of the line",
    "$END": "the end of the file",
    "COMPARE": "'<=', '>=' or '=='",
    "ADD": "'+' or '-'",
    "MULTIPLY": "'*' or '/'",
    "COMMA": "','",
    "SEMICOLON": "';'",
    "COLON": "':'",
    "DOT": "'.'",
    "RANGE": "'..'",
    "EQUAL": "'='",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "QUOTE": '"\'"',
}

EXPRESSION = frozenset({"NUMBER", "NAME", "TEXT", "LPAR", "LSQB", "ADD"})
OPERATOR = frozenset({"ADD", "MULTIPLY", "LSQB", "QUOTE", "DOT"})


def explain(error: UnexpectedInput, source: SourceText) -> Diagnostic:
    """Return a syntax error in words."""
    if isinstance(error, UnexpectedCharacters):
        return _character(source, int(error.pos_in_stream))
    unclosed = _bracket(source, _offset(error, source))
    if unclosed is not None:
        return unclosed
    failure = fail(source.text)
    if failure is None:  # only where the two ways to run the parser differ
        return Diagnostic("this does not fit", source.span(_offset(error, source)))
    return _token(source, failure)


def _offset(error: UnexpectedInput, source: SourceText) -> int:
    """Return where an error is; at the end of the text, behind its last token."""
    token = getattr(error, "token", None)
    if token is None or token.type == "$END":
        return len(source.text.rstrip())
    return int(token.start_pos)


def fail(text: str) -> Failure | None:
    """Return where parsing a text stops; `None` if it does not, or at a character that starts no token."""
    interactive = parser().parse_interactive(text)
    previous: Token | None = None
    try:
        for token in interactive.lexer_thread.lex(interactive.parser_state):
            interactive.feed_token(token)
            previous = token
        interactive.feed_eof(previous)
    except UnexpectedCharacters:
        return None
    except UnexpectedToken as error:
        accepted: frozenset[str] = frozenset(interactive.accepts())
        if previous is not None and previous.type == "END":
            previous = None
        return Failure(error.token, previous, accepted)
    return None


@cache
def mistakes() -> dict[Key, Blunder]:
    """Return the table by what tells one mistake from another; made at the first syntax error of a process."""
    known: dict[Key, Blunder] = {}
    for blunder in TABLE:
        for failure in map(fail, blunder.examples):
            if failure is not None:
                known.setdefault(failure.key, blunder)
    return known


def _character(source: SourceText, offset: int) -> Diagnostic:
    character = source.text[offset]
    if source.text.startswith("<-", offset):
        return Diagnostic("a definition is written with '='", source.span(offset, offset + 2), "as in: name = value")
    message, hint = CHARACTERS.get(character, (f"{character_name(character)} is not in this language", ""))
    end = offset + 1
    if character == '"':
        end = offset + len(source.text[offset:].split("\n")[0])
    return Diagnostic(message, source.span(offset, end), hint)


def _bracket(source: SourceText, stop: int) -> Diagnostic | None:
    """Return what is wrong with the brackets up to an offset, if that is why the parser stopped there."""
    opened: list[tuple[int, str]] = []
    for offset, bracket in brackets(source.text):
        if bracket in BRACKETS and not (bracket == "{" and opened and opened[-1][1] != "{"):
            opened.append((offset, bracket))
            continue
        start, other = opened[-1] if opened else (-1, "")
        if BRACKETS.get(other) == bracket:
            opened.pop()
            continue
        # The first bracket from here on that does not fit: the innermost open one is to blame if it stood before.
        if other in ("(", "[") and start < stop and bracket in "{}":
            break
        if offset > stop:
            return None
        if other not in ("(", "["):
            return Diagnostic(f"'{bracket}' closes nothing", source.span(offset))
        place = source.span(start)
        message = f"'{bracket}' does not close the '{other}' of line {place.line}, column {place.column}"
        return Diagnostic(message, source.span(offset), f"'{BRACKETS[other]}' does")
    if opened and opened[-1][0] < stop:
        start, other = opened[-1]
        return Diagnostic(f"'{other}' is never closed", source.span(start), f"'{BRACKETS[other]}' closes it")
    return None


def _token(source: SourceText, failure: Failure) -> Diagnostic:
    """Return what is wrong at a token: by the table, or what is expected."""
    found, previous = failure.found, failure.previous
    span = source.span(*_place(failure, source))
    word = str(previous) if previous is not None else ""
    if word in HOMES and previous is not None and previous.type == "NAME" and found.type != "EQUAL":
        home = HOMES[word]
        span = source.span(int(previous.start_pos), int(previous.end_pos))
        return Diagnostic(
            f"'{word}' belongs into a {home.split()[0]}",
            span,
            f"as in: {home} {{ {word} .. }}",
        )
    known = mistakes().get(failure.key)
    if known is None:
        return Diagnostic(f"expected {_expected(failure.accepted)}, but found {_shown(found)}", span)
    hint = known.hint
    if known.message.startswith("'=' is missing after {previous}"):
        hint = did_you_mean(word, STARTS) or hint
    if word in FUNCTIONS and "operator" in known.message:
        hint = f"a function is called with brackets: {word}(..)"
    words = {
        "found": _shown(found),
        "previous": _shown(previous) if previous is not None else "this",
        "word": word,
        "name": _name_before(source, previous),
    }
    return Diagnostic(known.message.format(**words), span, hint.format(**words))


def _place(failure: Failure, source: SourceText) -> tuple[int, int]:
    """Return the place of the token that does not fit; where a line ends too early, right behind what it ends with."""
    found, previous = failure.found, failure.previous
    start, end = int(found.start_pos), int(found.end_pos)
    if found.type in ("END", "$END", "RBRACE") and previous is not None:
        behind = int(previous.end_pos)
        if found.type != "RBRACE" or "\n" in source.text[behind:start]:
            return behind, behind + 1
    return start, max(end, start + 1)


def _name_before(source: SourceText, equals: Token | None) -> str:
    """Return the name in front of an equals sign."""
    text = source.text[: int(equals.start_pos)].split() if equals is not None else []
    return text[-1].split(";")[-1].split("{")[-1] if text else ""


def _shown(token: Token) -> str:
    if token.type in ("END", "$END"):
        return WORDS[token.type]
    words = " ".join(str(token).split())
    return f"'{words}'" if len(words) <= 24 else f"'{words[:20]} ..'"


def _expected(accepted: frozenset[str]) -> str:
    """Return what could stand somewhere, in words."""
    left = set(accepted) - {"NUMBERS"}
    words = []
    if left >= EXPRESSION:
        words.append("an expression")
        left -= EXPRESSION
    elif left >= OPERATOR:
        words.append("an operator")
        left -= OPERATOR
    if {"END", "$END"} <= left:
        left.remove("$END")
    words += sorted(WORDS.get(name, f"'{name.lower()}'") for name in left)
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "nothing more"
