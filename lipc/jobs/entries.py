"""What stands on the lines of a file of jobs, CSV or JSON Lines: keys and values with their places."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lipc.diagnostics import Diagnostic, SourceError, SourceText, Span
from lipc.jobs.values import Raw

MOST_ERRORS = 20
"""After which a file is given up."""

_CELL = re.compile(r'"(?:[^"]|"")*"|[^,\r\n]*')
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class Entry:
    """A key of one job with its value, and where both stand."""

    name: str
    value: Raw
    key_span: Span
    span: Span


class Mistakes:
    """The mistakes found in a text so far."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def add(self, span: Span, message: str, hint: str = "") -> None:
        """Note one.

        Raises
        ------
        SourceError
            If there are too many already.
        """
        if len(self.found) == MOST_ERRORS:
            self.found.append(Diagnostic("too many errors: this one and what follows are not shown", span))
            self.stop()
        self.found.append(Diagnostic(message, span, hint))

    def stop(self) -> None:
        """Raise a `SourceError` of all, if there are any."""
        if self.found:
            raise SourceError(self.found)


def json_entries(source: SourceText, mistakes: Mistakes) -> Iterator[tuple[Span, list[Entry]]]:
    """Yield the objects of a text in JSON Lines with their places; blank lines are skipped."""
    start = 0
    for line in io.StringIO(source.text, newline="\n"):
        if line.strip():
            try:
                entries = list(_members(source, start, line))
            except json.JSONDecodeError as error:
                # `JSONDecodeError` speaks like "Expecting ',' delimiter".
                mistakes.add(source.span(min(start + error.pos, start + len(line.rstrip()))), f"no JSON: {error.msg}")
            else:
                yield source.span(start, start + len(line.rstrip())), entries
        start += len(line)


def _members(source: SourceText, start: int, line: str) -> Iterator[Entry]:
    """Yield the members of the object on a line; Python's own reader does not say where they stand."""
    decoder = json.JSONDecoder(parse_constant=_no_constant)

    def after_blanks(at: int) -> int:
        found = _BLANK.match(line, at)
        assert found is not None  # it may be empty
        return found.end()

    def expect(at: int, *characters: str) -> int:
        at = after_blanks(at)
        if line[at : at + 1] not in characters:
            raise json.JSONDecodeError(f"expected {' or '.join(map(repr, characters))}", line, at)
        return at + 1

    def value(at: int) -> tuple[Any, int, int]:
        at = after_blanks(at)
        try:
            return (*decoder.raw_decode(line, at), at)
        except _ConstantError as error:
            raise json.JSONDecodeError(str(error), line, at) from None
        except (RecursionError, ValueError) as error:
            if isinstance(error, json.JSONDecodeError):
                raise
            raise json.JSONDecodeError("a value that is too deep or too long", line, at) from None

    at = expect(0, "{")
    if line[after_blanks(at) : after_blanks(at) + 1] == "}":
        at = after_blanks(at) + 1
    else:
        while True:
            at = after_blanks(at)
            if line[at : at + 1] != '"':
                raise json.JSONDecodeError("expected a key in double quotes", line, at)
            name, end, begin = value(at)
            key_span = source.span(start + begin, start + end)
            given, end, begin = value(expect(end, ":"))
            yield Entry(name, given, key_span, source.span(start + begin, start + end))
            at = expect(end, ",", "}")
            if line[at - 1] == "}":
                break
    if after_blanks(at) != len(line):
        raise json.JSONDecodeError("a line holds one object, and nothing behind it", line, after_blanks(at))


class _ConstantError(Exception):
    """NaN or Infinity, which JSON does not have."""


def _no_constant(word: str) -> None:
    raise _ConstantError(f"{word} is no number")


def csv_entries(source: SourceText, mistakes: Mistakes) -> Iterator[tuple[Span, list[Entry]]]:
    """Yield the rows of a text in CSV below its header with their places; blank lines are skipped."""
    header: list[tuple[str, Span]] | None = None
    for span, cells in _rows(source, mistakes):
        if header is None:
            header = [(name.strip(), place) for name, place in cells]
            if len(header) == 1 and ";" in header[0][0]:
                mistakes.add(header[0][1], "the columns are not separated by commas", "write model,box,norm")
                return
            _check_header(header, mistakes)
            continue
        if len(cells) != len(header):
            hint = "quote a value that holds a comma"
            mistakes.add(span, f"the row has {len(cells)} cells, the header {len(header)}", hint)
            continue
        pairs = zip(header, cells, strict=True)
        yield span, [
            Entry(name, text.strip(), key_span, place)
            for (name, key_span), (text, place) in pairs
            if text.strip()
        ]  # fmt: skip


def _check_header(header: list[tuple[str, Span]], mistakes: Mistakes) -> None:
    seen: set[str] = set()
    for name, span in header:
        if not name:
            mistakes.add(span, "a column has no name")
        elif name.replace("_", "-") in seen:
            mistakes.add(span, f"'{name}' stands there twice")
        seen.add(name.replace("_", "-"))


def _rows(source: SourceText, mistakes: Mistakes) -> Iterator[tuple[Span, list[tuple[str, Span]]]]:
    """Yield the rows with the places of their cells."""
    lines = list(io.StringIO(source.text, newline=""))
    reader = csv.reader(io.StringIO(source.text, newline=""), strict=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    first = 0
    try:
        for cells in reader:
            start, end = starts[min(first, len(lines))], starts[min(reader.line_num, len(lines))]
            first = reader.line_num
            text = source.text[start:end].rstrip("\r\n")
            if text.strip():
                span = source.span(start, start + len(text))
                yield span, list(zip(cells, _cell_spans(source, start, text, len(cells)), strict=True))
    except csv.Error as error:
        at = starts[min(first, len(lines) - 1)] if lines else 0
        mistakes.add(source.span(at), f"no CSV: {error}", "is a quote closed?")


def _cell_spans(source: SourceText, start: int, text: str, count: int) -> list[Span]:
    """Return where the cells of a row stand; should that not be clear, all at its beginning."""
    spans, at = [], 0
    while True:
        found = _CELL.match(text, at)
        assert found is not None  # it may be empty
        spans.append(source.span(start + at, start + max(found.end(), at + 1)))
        at = found.end() + 1
        if found.end() >= len(text):
            break
    return spans if len(spans) == count else [source.span(start)] * count
