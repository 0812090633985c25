"""Files of jobs: a model and a question on each line, as CSV or JSON Lines.

The keys are the options of the command line (`lipc.job_values.KEYS`), the values what stands behind them there; in JSON
also numbers and arrays of them. Files are looked for from the folder of the job file. All mistakes of a file are found
in one run, each with its line and column.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lipc.diagnostics import Diagnostic, SourceError, SourceText, Span, did_you_mean
from lipc.errors import ModelError, QueryError
from lipc.job_values import KEYS, Raw
from lipc.options import Options
from lipc.stated import PassWords, Words

MOST_ERRORS = 20
"""After which a file is given up."""

ENDINGS = (".csv", ".jsonl", ".ndjson")

_CELL = re.compile(r'"(?:[^"]|"")*"|[^,\r\n]*')
_BLANK = re.compile(r"[ \t\r\n]*")


OF_ONE_PAIR = ("gap", "safe_upper")
"""The options that a certified radius does not take: it has a tolerance, and solves no pair to its end."""

WHAT_A_RADIUS_TAKES = (
    "it takes center, clip, norm, label, max-radius, tolerance, mode, search, time-limit, threads, seed, memory and "
    "drop-softmax"
)


@dataclass(frozen=True, eq=False)
class Job:
    """A model and what is asked of it.

    Parameters
    ----------
    id
        What results call it; by default the number of its line.
    model
        The path of the model.
    words
        The question, as it was stated.
    where
        The place it stands at, for messages: ``jobs.csv:17``; empty if it stands nowhere.
    line
        Its line, from 1; of a job that stands in no file its number.
    options
        The fields of `Options` that it names.
    passes
        The options that choose the passes.
    drop_softmax, trust_bounds
        As for `lipc.solve`.
    memory
        The most bytes that it may use; `None`: what the batch says.
    more
        The values of further keys that a reader allows, as they stand there.
    """

    id: str
    model: str
    words: Words = field(default_factory=Words)
    where: str = ""
    line: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    passes: PassWords = field(default_factory=PassWords)
    drop_softmax: bool = False
    trust_bounds: bool = False
    memory: int | None = None
    more: Mapping[str, Raw] = field(default_factory=dict)

    def limits(self, default: Options) -> Options:
        """Return how to solve it: what it says, over `default`."""
        return replace(default, **self.options)

    def check(self) -> None:
        """Check what can be seen without reading a file.

        Raises
        ------
        QueryError
            If what it asks contradicts itself.
        """
        self.words.check()
        if self.words.asks_radius:
            given = {"level": self.passes.level, "passes": self.passes.passes, "bounds": self.passes.bounds}
            given |= {"trust-bounds": self.trust_bounds or None}
            given |= {name.replace("_", "-"): self.options.get(name) for name in OF_ONE_PAIR}
            for name, value in given.items():
                if value is not None:
                    raise QueryError(f"'{name}' says nothing of a certified radius", hint=WHAT_A_RADIUS_TAKES)


@dataclass(frozen=True)
class Entry:
    """A key of one job with its value, and where both stand."""

    name: str
    value: Raw
    key_span: Span
    span: Span


def read_jobs(path: str | Path, more: Iterable[str] = ()) -> tuple[Job, ...]:
    """Return the jobs of a file, ``.csv`` or ``.jsonl``.

    Parameters
    ----------
    more
        Further keys that are allowed; what they mean is the caller's business (`Job.more`).

    Raises
    ------
    SourceError
        With all mistakes that were found (of many, the first), and their places.
    ModelError
        If the file cannot be read, or its name has another ending.
    """
    name = str(path)
    if not name.endswith(ENDINGS):
        raise ModelError("the ending says no format of jobs", where=name, hint=f"use one of {', '.join(ENDINGS)}")
    try:
        text = Path(name).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", where=name) from error
    except UnicodeDecodeError as error:
        raise ModelError("is not a text in UTF-8", where=name) from error
    except ValueError as error:  # a path with a NUL character
        raise ModelError(f"cannot be read: {error}", where=repr(name)) from error
    return parse_jobs(text, name, more)


def parse_jobs(text: str, name: str, more: Iterable[str] = ()) -> tuple[Job, ...]:
    """Return the jobs that a text holds; `name` says where from, and by its ending in which format.

    Raises
    ------
    SourceError
        As `read_jobs`.
    """
    return _Reader(SourceText(name, text), tuple(more)).jobs()


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


class _Reader:
    """Reads one text."""

    def __init__(self, source: SourceText, more: Sequence[str]) -> None:
        self.source, self.more = source, more
        self.known = [*KEYS, *more]
        self.mistakes = Mistakes()
        self.folder = os.path.dirname(source.name)  # noqa: PTH120 - a path stays the text that it is
        self.ids: dict[str, int] = {}

    def jobs(self) -> tuple[Job, ...]:
        lines = csv_entries if self.source.name.endswith(".csv") else json_entries
        jobs = [self._job(span, entries) for span, entries in lines(self.source, self.mistakes)]
        if not jobs and not self.mistakes.found:
            self.mistakes.add(self.source.span(0), "there is no job in the file")
        self.mistakes.stop()
        return tuple(job for job in jobs if job is not None)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)  # noqa: PTH118

    def _job(self, span: Span, entries: list[Entry]) -> Job | None:
        """Return the job of one line; `None` if something is wrong with it."""
        before = len(self.mistakes.found)
        given: dict[str, dict[str, Any]] = {"job": {}, "words": {}, "options": {}, "passes": {}, "more": {}}
        spans: dict[str, Span] = {}
        for entry in entries:
            name = self._known(entry, spans)
            if name is None or entry.value is None:
                continue
            if name in self.more:
                given["more"][name] = entry.value
                continue
            key = KEYS[name]
            try:
                given[key.field][key.name] = key.read(entry.value, self._path)
            except ValueError as error:
                self.mistakes.add(entry.span, f"'{name}' is {_shown(entry.value)}, but takes {error}")
            except QueryError as error:
                self.mistakes.add(entry.span, error.message, error.hint)
        if "model" not in spans:
            self.mistakes.add(span, "the job names no model", "give it a 'model'")
        if len(self.mistakes.found) == before:
            self._check(span, spans, given)
        line = span.line
        name = given["job"].pop("id", str(line))
        first = self.ids.setdefault(name, line)
        if first != line:
            self.mistakes.add(spans.get("id", span), f"the id '{name}' is that of line {first}, too")
        if len(self.mistakes.found) > before:
            return None
        words, passes = Words(**given["words"]), PassWords(**given["passes"])
        where = f"{self.source.name}:{line}"
        job = Job(name, words=words, where=where, line=line, options=given["options"], passes=passes,
                  more=given["more"], **given["job"])  # fmt: skip
        try:
            job.check()
        except QueryError as error:
            self.mistakes.add(span, error.message, error.hint)
            return None
        return job

    def _known(self, entry: Entry, spans: dict[str, Span]) -> str | None:
        """Return the name of a key as `KEYS` has it; `None` if there is none, or it stands there twice."""
        name = entry.name if entry.name in self.more else entry.name.replace("_", "-")
        if name not in self.known:
            hint = did_you_mean(name, self.known) or f"the keys are: {', '.join(self.known)}"
            self.mistakes.add(entry.key_span, f"'{entry.name}' is no key of a job", hint)
            return None
        if name in spans:
            self.mistakes.add(entry.key_span, f"'{name}' stands there twice")
            return None
        if entry.value is not None:
            spans[name] = entry.span
        return name

    def _check(self, span: Span, spans: Mapping[str, Span], given: Mapping[str, dict[str, Any]]) -> None:
        """Check what values say of each other."""
        try:
            Words(**given["words"]).check()
        except QueryError as error:
            at = spans["output"] if "output" in error.message and "output" in spans else span
            self.mistakes.add(at, error.message, error.hint)
        try:
            PassWords(**given["passes"]).understood()
        except SourceError as error:  # its places are those of the value
            for each in error.diagnostics:
                self.mistakes.add(spans["passes"], each.message, each.hint)
        except QueryError as error:
            self.mistakes.add(spans["passes"], error.message, error.hint)


def _shown(value: Raw) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:37]}..."


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
