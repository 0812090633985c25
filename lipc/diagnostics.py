"""Messages about places in a text: ``file:line:col: error: message``, the line, a caret under the token, a hint."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from unicodedata import combining, east_asian_width
from unicodedata import name as unicode_name

from lipc.errors import ModelError, printable

SHOWN_COLUMNS = 100
"""Of a source line; a longer one is cut around the token."""


WARNINGS = {
    "unused": "a name or network that is defined and never used",
    "shadow": "a name that hides another one",
    "dead-input": "an input entry that nothing reads",
    "constant-output": "an output that does not depend on the input",
    "ignored-property": "a part of a VNN-LIB file that is about the outputs",
    "empty-piece": "a domain of several that holds no point",
    "strict-inequality": "a '<' in a VNN-LIB file, read as '<='",
    "range": "coefficients of a program that span more than 1e8",
    "readers": "a file that not every solver reads",
}
"""The names of warnings, as ``-W`` takes them, and what they are about."""


class Severity(Enum):
    """Whether something is wrong, or only suspicious."""

    ERROR = "error"
    WARNING = "warning"

    @property
    def colour(self) -> str:
        """The SGR code of a terminal."""
        return "1;31" if self is Severity.ERROR else "1;35"


@dataclass(frozen=True, eq=False)
class SourceText:
    """A text that messages point into.

    Parameters
    ----------
    name
        What messages call it: a file as its user named it, or ``--output``.
    text
        All of it.
    """

    name: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        """The offset at which each line starts."""
        return [0, *(newline.end() for newline in re.finditer("\n", self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset in characters, both from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return a line, counted from 1, without its end."""
        start = self._starts[number - 1]
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r")

    def span(self, start: int, end: int | None = None) -> Span:
        """Return the place from `start` to before `end`, offsets in characters; default: one character."""
        return Span(self, start, start + 1 if end is None else end)


@dataclass(frozen=True, eq=False)
class Span:
    """A piece of a text, from `start` to before `end`, in characters."""

    source: SourceText
    start: int
    end: int

    @property
    def line(self) -> int:
        """The line it starts in, from 1."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """The column it starts at, from 1, in characters."""
        return self.source.position(self.start)[1]

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

    def excerpt(self) -> tuple[str, str]:
        """Return the source line, and a line with carets under this piece of it."""
        text, first = self.source.line(self.line), self.column - 1
        last = max(first + 1, min(first + self.end - self.start, len(text)))
        cut = max(0, first - SHOWN_COLUMNS // 2) if len(text) > SHOWN_COLUMNS else 0
        before, marked = printable(text[cut:first]), printable(text[first:last])
        shown = printable(text[cut : cut + SHOWN_COLUMNS])
        carets = "^" * max(1, min(_width(marked), SHOWN_COLUMNS - _width(before)))
        return shown.rstrip(), " " * _width(before) + carets


@dataclass(frozen=True)
class Diagnostic:
    """One message.

    Parameters
    ----------
    message
        What is wrong.
    span
        Where.
    hint
        What to do instead; may be empty.
    severity
        Error or warning.
    name
        Of a warning: what ``-W`` calls it.
    """

    message: str
    span: Span
    hint: str = ""
    severity: Severity = Severity.ERROR
    name: str = ""

    def render(self, *, colour: bool = False) -> str:
        """Return the message as lines for a person; `colour` marks them for a terminal."""

        def paint(code: str, text: str) -> str:
            return f"\x1b[{code}m{text}\x1b[0m" if colour else text

        label = paint(self.severity.colour, f"{self.severity.value}:")
        message = f"{self.message} [-W{self.name}]" if self.name else self.message
        line, carets = self.span.excerpt()
        lines = [f"{paint('1', f'{printable(str(self.span))}:')} {label} {printable(message)}"]
        lines += [f"    {line}", f"    {paint(self.severity.colour, carets)}"]
        if self.hint:
            lines.append(f"{paint('1', 'hint:')} {printable(self.hint)}")
        return "\n".join(lines)


class SourceError(ModelError):
    """Errors in a text, in the order of their places; `str` renders all of them, without colours.

    Parameters
    ----------
    diagnostics
        At least one, of any severity; a warning that is an error by request may stand among them.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = in_order(diagnostics)
        first = self.diagnostics[0]
        super().__init__(first.message, where=str(first.span), hint=first.hint)

    def __str__(self) -> str:
        return self.render()

    def render(self, *, colour: bool = False) -> str:
        """Return all messages as lines for a person."""
        return "\n".join(diagnostic.render(colour=colour) for diagnostic in self.diagnostics)


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return messages in the order of their places, each once."""
    once = {(each.span.source.name, each.span.start, each.message): each for each in diagnostics}
    return tuple(once[key] for key in sorted(once))


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return the hint for a misspelt name; empty if nothing is like it."""
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean '{close[0]}'?" if close else ""


def character_name(character: str) -> str:
    """Return what messages call a character: itself, or its number and name where nothing would be seen."""
    if character.isprintable() and not character.isspace():
        return f"the character '{character}'"
    return f"the character U+{ord(character):04X} {unicode_name(character, '')}".rstrip()


def _width(text: str) -> int:
    """Return the columns that a terminal takes for a text."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)
