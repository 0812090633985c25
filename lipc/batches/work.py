"""What a process of a batch does: a job at a time, with the networks that it has read before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from errno import ENOMEM
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

from lipc.batches.radii import radius_record
from lipc.errors import LipcError, QueryError
from lipc.frontends import Network
from lipc.jobs import Job
from lipc.options import Options
from lipc.record import SCHEMA, Record

MOST_NETWORKS = 8
"""Kept in memory; the jobs of one model follow each other as a rule."""

OUT_OF_MEMORY = "out of memory"


@dataclass(frozen=True)
class Solving:
    """The service: answers a `Job` by the record of its result.

    Parameters
    ----------
    options
        How to solve what a job does not say.
    memory
        The most bytes a job may use, as far as it does not say; `None`: no limit.
    folder
        Where names of files count from; `None`: where the process is.
    """

    options: Options
    memory: int | None = None
    folder: str | None = None

    def start(self) -> Callable[[Job], Record]:
        """Return what solves jobs; libraries are loaded now, not on the time of the first job."""
        for library in ("lipc.driver", "lipc.frontends.onnx"):
            import_module(library)
        if self.folder is not None:
            os.chdir(self.folder)
        return _Desk(self).answer


class _Desk:
    """Where jobs are solved one after the other."""

    def __init__(self, service: Solving) -> None:
        self.service = service
        self.networks: dict[tuple[str, bool], tuple[tuple[int, int], Network]] = {}

    def answer(self, job: Job) -> Record:
        """Return the record of a job, whatever comes of it."""
        begun = monotonic()
        memory = self.service.memory if job.memory is None else job.memory
        try:
            with capped(memory):
                record = self._solve(job)
        except LipcError as error:
            record = failure(job, " ".join(str(error).split()))
        except MemoryError:
            self.networks.clear()
            record = failure(job, OUT_OF_MEMORY)
        except Exception as error:  # a bug, or a library in need of memory: the other jobs are not to suffer
            reason = f"internal error: {type(error).__name__}: {' '.join(str(error).split())}"
            if memory is not None and _says_memory(error):
                self.networks.clear()
                reason = OUT_OF_MEMORY
            record = failure(job, reason)
        return {**record, "seconds": round(monotonic() - begun, 6)}

    def _solve(self, job: Job) -> Record:
        from lipc.driver import solve

        network = self._network(job)
        if job.words.asks_radius:
            return {**radius_record(job, network, job.limits(self.service.options)), "error": ""}
        result = solve(
            network,
            job.words.understood().of(network),
            passes=job.passes.understood(),
            options=job.limits(self.service.options),
            trust_bounds=job.trust_bounds,
        )
        return {**result.to_dict(), "error": ""}

    def _network(self, job: Job) -> Network:
        """Return the network of a job; one that was read before costs nothing, unless its file has changed."""
        from lipc.models import read_model

        key = (job.model, job.drop_softmax)
        try:
            status = Path(job.model).stat()
            stamp = (status.st_mtime_ns, status.st_size)
        except (OSError, ValueError):
            stamp = (0, 0)
        known = self.networks.get(key)
        if known is not None and known[0] == stamp:
            return replace(known[1], seconds=0.0)
        network = read_model(job.model, drop_softmax=job.drop_softmax)
        if len(self.networks) == MOST_NETWORKS:
            del self.networks[next(iter(self.networks))]
        self.networks[key] = (stamp, network)
        return network


def failure(job: Job, error: str) -> Record:
    """Return the record of a job without an answer."""
    return {
        "schema": SCHEMA,
        "status": "error",
        "lower": None,
        "upper": None,
        "certified": False,
        "query": {"model": job.model},
        "error": error,
    }


def _says_memory(error: Exception) -> bool:
    """Return whether an error is what extension modules, or the loader of them, raise where memory ends."""
    return isinstance(error, SystemError | ImportError) or getattr(error, "errno", None) == ENOMEM


@contextmanager
def capped(memory: int | None) -> Iterator[None]:
    """Return a context in which this process can have no more memory.

    What is counted are the private pages of the process (`RLIMIT_DATA`), threads and libraries included.

    Raises
    ------
    QueryError
        If the system knows no such limit.
    """
    if memory is None:
        yield
        return
    check_cap()
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def check_cap() -> None:
    """Refuse a cap on memory where there is none.

    Raises
    ------
    QueryError
        If the system knows no such limit.
    """
    if find_spec("resource") is None:
        raise QueryError("this system caps no memory", hint="leave out --memory")
