"""A batch: many jobs, at the seats of an engine, with results that come as they are finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from math import inf, isfinite
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic

from lipc.batches.answers import Answer
from lipc.batches.keys import Digests, key_of
from lipc.batches.results import Found, Results, named_after
from lipc.batches.work import OUT_OF_MEMORY, Solving, check_cap, failure
from lipc.engine import Engine, Seat
from lipc.engine.processes import Processes
from lipc.errors import EngineError, QueryError, printable
from lipc.jobs import Job, read_jobs
from lipc.options import Options
from lipc.record import Record

TRIES = 2
"""A job whose process is lost is done again, once: the process may have been ended from outside."""

GRACE_SECONDS = 60.0
"""Beyond twice its time limit, compiling included, a job is given up with its process."""

READY_SECONDS = 120.0
"""A process that has not come up by then never will."""

TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """Where a batch is.

    Parameters
    ----------
    jobs
        How many there are in all.
    resumed
        How many were done before this run.
    done
        How many are done, these included.
    closed, failed
        How many of the done ones have a closed pair, or ended in an error.
    running
        How many are being worked on.
    seconds
        Since the start.
    aside
        Lines of the file of results that were set aside.
    """

    jobs: int
    resumed: int = 0
    done: int = 0
    closed: int = 0
    failed: int = 0
    running: int = 0
    seconds: float = 0.0
    aside: int = 0

    @property
    def remaining(self) -> float:
        """An estimate of the seconds that are left; infinite as long as nothing is known."""
        fresh = self.done - self.resumed
        if self.done == self.jobs:
            return 0.0
        return self.seconds / fresh * (self.jobs - self.done) if fresh else inf


def batch(
    jobs: str | Path | Iterable[Job],
    *,
    out: str | Path | None = None,
    options: Options | None = None,
    workers: int = 1,
    engine: Engine | None = None,
    memory: int | None = None,
    retry: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Iterator[Answer]:
    """Solve many questions, and yield each answer when it is there.

    A job that fails is an answer with its error. Processes are started once; a model is read once by each.

    Parameters
    ----------
    jobs
        Jobs, or a file of them (`lipc.jobs`).
    out
        A file that takes a line of JSON for each answer. What it holds of these jobs already is not done again, and
        yielded first; lines of other jobs, or of models that have changed, go to a file beside it, ``.old``. Without a
        file everything is done, and nothing is kept.
    options
        How to solve, where a job does not say.
    workers
        How many processes of this machine.
    engine
        Where to solve instead: `lipc.engine.cluster.Cluster`. It stays open.
    memory
        The most bytes that a job may use, where it does not say; on an engine of processes only.
    retry
        Do jobs again that failed before.
    on_progress
        Called whenever something has changed, and about twice a second.

    Yields
    ------
    Answer
        In the order in which they are finished.

    Raises
    ------
    SourceError, ModelError
        If the file of jobs cannot be read, with all mistakes in it.
    QueryError
        If two jobs have one id, or memory cannot be capped there.
    OutputError
        If the file of results cannot be written, or holds something else.
    EngineError
        If no process can be started.
    """
    listed = read_jobs(jobs) if isinstance(jobs, str | Path) else tuple(jobs)
    options = options or Options()
    if workers < 1:
        raise QueryError("there is at least one process")
    capped = memory is not None or any(job.memory is not None for job in listed)
    if capped and engine is not None:
        raise QueryError("a cluster caps the memory of its workers by itself", hint="dask worker --memory-limit")
    if capped:
        check_cap()
    seen: dict[str, Job] = {}
    for job in listed:
        if seen.setdefault(job.id, job) is not job:
            raise QueryError(f"two jobs have the id {job.id!r}", where=job.where)
    # Processes of this machine begin in the same folder.
    service = Solving(options, memory, None if engine is None else str(Path.cwd()))
    run = _Run(listed, options, service, memory, engine or Processes(min(workers, max(1, len(listed)))), on_progress)
    return run.answers(out, retry=retry)


@dataclass(eq=False)
class _Place:
    """A seat, the position of the job it is at, and when that is given up."""

    seat: Seat = field(init=False)
    ready: bool = False
    job: int | None = None
    until: float = inf


@dataclass(eq=False)
class _Run:
    """The state of a batch."""

    jobs: Sequence[Job]
    options: Options
    service: Solving
    memory: int | None
    engine: Engine
    on_progress: Callable[[Progress], None]
    keys: list[str] = field(default_factory=list)
    waiting: deque[int] = field(default_factory=deque)
    tries: dict[int, int] = field(default_factory=dict)
    places: list[_Place] = field(default_factory=list)
    inbox: SimpleQueue[_Place] = field(default_factory=SimpleQueue)
    refused: int = 0
    trouble: str = ""
    started: float = field(default_factory=monotonic)
    found: Found = field(default_factory=lambda: Found({}, 0, False))
    done: int = 0
    closed: int = 0
    failed: int = 0

    def answers(self, out: str | Path | None, *, retry: bool) -> Iterator[Answer]:
        """Yield what is done already, and then what is done now."""
        digests = Digests()
        self.keys = [key_of(job, self.options, self.memory, digests) for job in self.jobs]
        with ExitStack() as stack:
            results = None if out is None else stack.enter_context(Results(out))
            if results is not None:
                self.found = results.find(self.jobs, self.keys, retry=retry)
            for place, record in self.found.done.items():
                yield self._count(place, record)
            self.waiting.extend(place for place in range(len(self.jobs)) if place not in self.found.done)
            stack.callback(self._dismiss)
            for place, record in self._records():
                if results is not None:
                    results.add(record)
                yield self._count(place, record)
            self._tell()

    def _count(self, place: int, record: Record) -> Answer:
        self.done += 1
        self.closed += bool(record["certified"])
        self.failed += record["status"] == "error"
        self._tell()
        return Answer(self.jobs[place], record)

    def _tell(self) -> None:
        running = sum(place.job is not None for place in self.places)
        counts = (len(self.jobs), len(self.found.done), self.done, self.closed, self.failed, running)
        self.on_progress(Progress(*counts, monotonic() - self.started, self.found.aside))

    def _records(self) -> Iterator[tuple[int, Record]]:
        """Yield the position of each job with its record."""
        while self.waiting or any(place.job is not None for place in self.places):
            self._hire()
            self._assign()
            try:
                place = self.inbox.get(timeout=TICK_SECONDS)
            except Empty:
                self._tell()
                place = None
            if place is not None and place in self.places:
                yield from self._hear(place)
            for late in [each for each in self.places if monotonic() > each.until]:
                yield from self._give_up(late)

    def _hire(self) -> None:
        """See to it that there are as many seats as there is work for."""
        busy = sum(place.job is not None for place in self.places)
        wanted = min(self.engine.size - self.refused, busy + len(self.waiting))
        while len(self.places) < wanted:
            place = _Place()
            try:
                place.seat = self.engine.hire(self.service, partial(self.inbox.put, place))
            except OSError as error:
                self._refuse(error.strerror or str(error))
                wanted -= 1
                continue
            place.until = monotonic() + READY_SECONDS
            self.places.append(place)
        if not self.places and self.waiting:
            raise EngineError(f"no process could be started: {printable(self.trouble)[:300]}")

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        self.trouble = reason

    def _assign(self) -> None:
        """Give every seat that is ready a job."""
        for place in self.places:
            if place.ready and place.job is None and self.waiting:
                place.job = self.waiting.popleft()
                job = self.jobs[place.job]
                limit = job.limits(self.options).time_limit
                place.until = monotonic() + 2 * limit + GRACE_SECONDS if isfinite(limit) else inf
                place.seat.ask(job)

    def _hear(self, place: _Place) -> Iterator[tuple[int, Record]]:
        """Take what a seat has to say; it may be nothing yet."""
        if not place.ready:
            if place.seat.is_ready(0.0):
                place.ready, place.until = True, inf
            elif place.seat.is_lost:
                self._remove(place)
                self._refuse(place.seat.reason)
            return
        if place.job is None:
            if place.seat.is_lost:
                self._remove(place)
            return
        record = place.seat.answer(0.0)
        if record is not None:
            job, place.job, place.until = place.job, None, inf
            if record["error"] == OUT_OF_MEMORY:  # a new process has none of what this one may still hold
                self._remove(place)
            yield job, self._complete(job, record)
        elif place.seat.is_lost:
            self._remove(place)
            yield from self._lost(place)

    def _lost(self, place: _Place) -> Iterator[tuple[int, Record]]:
        """Do a job again whose process is gone, or say that it cannot be done."""
        assert place.job is not None
        job = place.job
        self.tries[job] = self.tries.get(job, 0) + 1
        if self.tries[job] < TRIES:
            self.waiting.appendleft(job)
            return
        reason = printable(place.seat.reason)[:300] or "no reason is known"
        yield job, self._complete(job, failure(self.jobs[job], f"its process was lost, {TRIES} times: {reason}"))

    def _give_up(self, place: _Place) -> Iterator[tuple[int, Record]]:
        """End what takes too long."""
        self._remove(place)
        if place.job is None:
            self._refuse("it did not come up in time")
            return
        limit = self.jobs[place.job].limits(self.options).time_limit
        error = f"did not stop at its time limit of {limit:g} s, nor {GRACE_SECONDS:g} s after twice of it"
        yield place.job, self._complete(place.job, failure(self.jobs[place.job], error))

    def _remove(self, place: _Place) -> None:
        self.places.remove(place)
        place.seat.stop()

    def _complete(self, place: int, record: Record) -> Record:
        """Return a record with where it belongs in front."""
        return {**named_after(self.jobs[place]), "key": self.keys[place], **record}

    def _dismiss(self) -> None:
        with ExitStack() as stack:  # all are stopped, even if another interrupt comes meanwhile
            for place in self.places:
                stack.callback(place.seat.stop)
        self.places = []
