"""The file of results: a line for each job that is done, added as it comes, and read again to go on."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISFIFO, S_ISSOCK
from types import TracebackType

from lipc.batches.keys import Digests
from lipc.diagnostics import Diagnostic, SourceError, SourceText
from lipc.errors import OutputError
from lipc.formats.output import write_files
from lipc.jobs import Job
from lipc.record import Record

SET_ASIDE = ".old"
"""The ending of the file beside it that takes results of other jobs, or of models that have changed."""


@dataclass(frozen=True)
class Found:
    """What a file of results holds of the jobs of a batch.

    Parameters
    ----------
    done
        By the position of a job, its record.
    aside
        How many lines were of no job, or of a file that has changed.
    torn
        Whether the last line was cut off.
    """

    done: dict[int, Record]
    aside: int
    torn: bool


class Results:
    """A file of results that is open for more.

    Raises
    ------
    OutputError
        If it cannot be written, or read again, or somebody else is writing it.
    SourceError
        If there is something else in it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.descriptor = self._open()
        except (OSError, ValueError) as error:
            raise self._failure(error) from error

    def _open(self) -> int:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        try:
            _check(descriptor, str(self.path))
            _lock(descriptor, str(self.path))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def __enter__(self) -> Results:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.descriptor)

    def _failure(self, error: OSError | ValueError) -> OutputError:
        return OutputError(f"cannot be written: {getattr(error, 'strerror', None) or error}", where=str(self.path))

    def find(self, jobs: Sequence[Job], keys: Sequence[str], *, retry: bool) -> Found:
        """Return what is done already; lines of no use are set aside, and a torn last one is cut off.

        Parameters
        ----------
        keys
            Of the jobs.
        retry
            Whether jobs that failed are to be done again.
        """
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        lines = [each + b"\n" for each in data[:whole].split(b"\n")[:-1]]
        records = self._parse(data[:whole].decode("utf-8", "replace")) if whole else []
        waiting: dict[str, list[int]] = defaultdict(list)
        for place in reversed(range(len(jobs))):
            waiting[keys[place]].append(place)
        unchanged = _Unchanged()
        done: dict[int, Record] = {}
        aside: list[bytes] = []
        kept: list[bytes] = []
        for line, record in zip(lines, records, strict=True):
            places = waiting.get(str(record.get("key")), [])
            usable = bool(places) and unchanged(record) and not (retry and record.get("status") == "error")
            if not usable:
                aside.append(line)
                continue
            # Of several jobs that ask the same, the one of that name.
            place = next((each for each in reversed(places) if jobs[each].id == record.get("id")), places[-1])
            places.remove(place)
            named = {**record, **named_after(jobs[place])}
            done[place] = named
            kept.append(line if named == record else line_of(named))
        torn = whole < len(data)
        if kept != lines:
            self._replace(kept, aside)
        elif torn:
            os.truncate(self.descriptor, whole)
        return Found(done, len(aside), torn)

    def _parse(self, text: str) -> list[Record]:
        """Return the records of whole lines."""
        source = SourceText(str(self.path), text)
        records: list[Record] = []
        start = 0
        for line in text.split("\n")[:-1]:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict) or "key" not in record:
                message, hint = "is no result of a batch", "name another file for the results, or remove this one"
                raise SourceError([Diagnostic(message, source.span(start, start + max(1, len(line))), hint)])
            records.append(record)
            start += len(line) + 1
        return records

    def _replace(self, kept: list[bytes], aside: list[bytes]) -> None:
        """Rewrite the file, whole or not at all; what is set aside is safe before."""
        if aside:
            with self.path.with_name(self.path.name + SET_ASIDE).open("ab") as old:
                old.writelines(aside)
        write_files([(self.path, kept)])
        os.close(self.descriptor)
        self.descriptor = self._open()

    def add(self, record: Record) -> None:
        """Add a line; what was added survives the end of this process, whatever it is.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        data = memoryview(line_of(record))
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError as error:
            raise self._failure(error) from error


def line_of(record: Record) -> bytes:
    """Return the line of a record."""
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def named_after(job: Job) -> Record:
    """Return what a line says of where its job stands."""
    return {"id": job.id, "line": job.line}


class _Unchanged:
    """Tells whether the files of a model are those that a result speaks of."""

    def __init__(self) -> None:
        self.digests = Digests()

    def __call__(self, record: Record) -> bool:
        model = record.get("model")
        if not isinstance(model, dict) or not isinstance(model.get("path"), str):
            return True  # of a job that failed; its key has the digest of the model
        folder = Path(model["path"]).parent
        return all(self.digests.of(str(folder / each["name"])) == each["sha256"] for each in model["files"])


def _check(descriptor: int, where: str) -> None:
    """Refuse what cannot be read again."""
    mode = os.fstat(descriptor).st_mode
    if S_ISFIFO(mode) or S_ISSOCK(mode):
        message, hint = "is a pipe, and what it took cannot be read again", "'-' is standard output"
        raise OutputError(message, where=where, hint=hint)


def _lock(descriptor: int, where: str) -> None:
    """Take the file for this process alone, as far as the system knows how."""
    flock: Callable[[int, int], None] | None = None
    with suppress(ImportError):
        from fcntl import LOCK_EX, LOCK_NB, flock
    if flock is None:
        return
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        raise OutputError("is being written by another batch", where=where, hint="name another file") from None
    except OSError:  # a file system without locks
        return
