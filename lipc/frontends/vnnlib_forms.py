"""Text in parentheses, with places: what VNN-LIB, a part of SMT-LIB, is written in; and messages about it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple, TypeAlias

from lipc.diagnostics import Diagnostic, Severity, SourceError, SourceText, in_order

DEEPEST = 100
"""Parentheses within each other; formulas are walked by recursion."""
MOST_ERRORS = 20
"""After which a file is given up."""

_TOKEN = re.compile(r'[^\s()";|]+|[()]|;[^\r\n]*|"[^"]*"?|\|[^|]*\|?')


class Atom(NamedTuple):
    """A word, number or string from `start` to before `end`; a name without the bars it may stand in."""

    text: str
    start: int
    end: int


class Form(NamedTuple):
    """What stands in a pair of parentheses, from `start` to before `end`, these included."""

    items: list[Expression]
    start: int
    end: int


Expression: TypeAlias = "Atom | Form"


class PlacedError(Exception):
    """What is wrong with an expression; whoever knows how to go on behind it reports it."""

    def __init__(self, place: Expression, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.place, self.message, self.hint = place, message, hint


class Messages:
    """The errors and warnings about one text.

    Parameters
    ----------
    source
        The text.
    """

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self._errors: list[Diagnostic] = []
        self._warnings: dict[tuple[str, int], Diagnostic] = {}

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The warnings so far, in order."""
        return in_order(self._warnings.values())

    def error(self, place: Expression, message: str, hint: str = "") -> None:
        """Note an error.

        Raises
        ------
        SourceError
            If there are too many already.
        """
        full = len(self._errors) == MOST_ERRORS
        if full:
            message, hint = "too many errors: this one and what follows are not shown", ""
        self._errors.append(Diagnostic(message, self.source.span(place.start, place.end), hint))
        if full:
            self.stop_if_wrong()

    def mistake(self, mistake: PlacedError) -> None:
        """Note an error that was raised."""
        self.error(mistake.place, mistake.message, mistake.hint)

    def warn(self, name: str, place: Expression, message: str, hint: str = "", *, once: bool = False) -> None:
        """Note a warning; with `once`, only the first of its name."""
        span = self.source.span(place.start, place.end)
        warning = Diagnostic(message, span, hint, Severity.WARNING, name)
        self._warnings.setdefault((name, 0 if once else place.start), warning)

    def stop_if_wrong(self) -> None:
        """Raise a `SourceError` of all errors, if there is one."""
        if self._errors:
            raise SourceError(self._errors)

    def line(self, place: Expression) -> int:
        """Return the line that an expression starts in."""
        return self.source.position(place.start)[0]

    def quote(self, place: Expression) -> str:
        """Return the text of an expression on one line, cut if it is long."""
        text = " ".join(self.source.text[place.start : min(place.end, place.start + 200)].split())
        return f"'{text}'" if len(text) <= 60 else f"'{text[:57]}...'"


def read_forms(messages: Messages, commands: Collection[str]) -> Iterator[Form]:
    """Yield the outermost forms of a text one after the other, with no recursion.

    Parameters
    ----------
    messages
        Of the text; get what is wrong with its parentheses.
    commands
        The words that begin outermost forms only: one further inside tells that a parenthesis is missing before it.
    """
    stack: list[Form] = []
    astray = False  # text outside of parentheses is reported once, not word by word
    for match in _TOKEN.finditer(messages.source.text):
        token, start, end = match.group(), match.start(), match.end()
        first = token[0]
        if first == ";":
            continue
        if first == "(":
            astray = False
            stack.append(Form([], start, end))
            if len(stack) > DEEPEST:
                messages.error(stack[-1], f"more than {DEEPEST} parentheses within each other")
                return
        elif first == ")":
            if not stack:
                messages.error(Atom(token, start, end), "this ')' closes nothing")
                continue
            form = stack.pop()
            form = Form(form.items, form.start, end)
            if stack:
                stack[-1].items.append(form)
            else:
                yield form
        else:
            if first in '"|' and (len(token) == 1 or token[-1] != first):
                messages.error(Atom(token, start, start + 1), f"this {first} has no partner")
                return
            atom = Atom(token[1:-1] if first == "|" else token, start, end)
            if not stack:
                if not astray:
                    messages.error(atom, f"stray text {messages.quote(atom)}", "a command stands in parentheses")
                astray = True
                continue
            if token in commands and not stack[-1].items and len(stack) > 1:
                messages.error(stack[0], f"this '(' is not closed before line {messages.line(atom)}", "add a ')'")
                del stack[:-1]
            stack[-1].items.append(atom)
    if stack:
        messages.error(stack[0], "this '(' is never closed", "add a ')'")
