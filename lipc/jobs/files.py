"""Files of jobs: a model and a question on each line, as CSV or JSON Lines.

The keys are the options of the command line (`lipc.jobs.values.KEYS`), the values what stands behind them there; in
JSON also numbers and arrays of them. Files are looked for from the folder of the job file. All mistakes of a file are
found in one run, each with its line and column.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lipc.diagnostics import SourceError, SourceText, Span, did_you_mean
from lipc.errors import ModelError, QueryError
from lipc.jobs.entries import Entry, Mistakes, csv_entries, json_entries
from lipc.jobs.job import Job
from lipc.jobs.stated import PassWords, Words
from lipc.jobs.values import KEYS, Raw

ENDINGS = (".csv", ".jsonl", ".ndjson")


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
