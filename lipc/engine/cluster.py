"""A Dask cluster as an engine: the extra ``lipc[cluster]``.

A request is a task: Dask gives it to a worker that is free, and to another one should that be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from threading import TIMEOUT_MAX, Event
from time import monotonic
from typing import Any

from lipc import __version__
from lipc.engine.base import Service
from lipc.errors import EngineError

CONNECT_SECONDS = 10.0

COUNT_SECONDS = 5.0
"""Workers are counted that often."""

AHEAD = 2
"""Requests for each thread of the cluster at a time, so that none waits for the next one."""

MOST_SERVICES = 4
"""Kept by a worker."""


class Cluster:
    """An engine on the workers of a Dask cluster.

    Parameters
    ----------
    address
        Of the scheduler: ``tcp://host:8786``, or ``host:8786``.

    Raises
    ------
    EngineError
        If Dask is not installed, the scheduler does not answer, or its workers lack this version of lipc.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise EngineError("Dask is not installed", hint="pip install 'lipc[cluster]'") from None
        try:
            self.client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            message = f"no scheduler answers: {type(error).__name__}"
            raise EngineError(message, where=address, hint="start one: dask scheduler; dask worker ADDRESS") from None
        self._counted, self._threads = -COUNT_SECONDS, 0
        try:
            self._check(address)
        except BaseException:
            self.close()
            raise

    def _check(self, address: str) -> None:
        threads = self.client.nthreads()
        if not threads:
            raise EngineError("the scheduler has no workers", where=address, hint=f"start some: dask worker {address}")
        try:
            found = set(self.client.run(_version).values())
        except Exception as error:  # whatever a worker raises
            message = f"the workers cannot run lipc: {type(error).__name__}: {error}"
            raise EngineError(message, where=address, hint="install lipc there") from None
        if found != {__version__}:
            message = f"the workers have lipc {', '.join(sorted(found))}, and this is {__version__}"
            raise EngineError(message, where=address)

    @property
    def size(self) -> int:
        """How many requests are worth having there at a time; changes as workers come and go."""
        now = monotonic()
        if now > self._counted + COUNT_SECONDS:
            self._counted, self._threads = now, sum(self.client.nthreads().values())
        return AHEAD * max(1, self._threads)

    def hire(self, service: Service, on_answer: Callable[[], None] = lambda: None) -> ClusterSeat:
        """Return a seat; it is not at any particular worker."""
        return ClusterSeat(self.client, service, on_answer)

    def close(self) -> None:
        """Hang up; the cluster goes on."""
        with suppress(Exception):  # it may be gone
            self.client.close()


def _version() -> str:
    from lipc import __version__

    return __version__


class ClusterSeat:
    """One task at a time: a `Seat`."""

    def __init__(self, client: Any, service: Service, on_answer: Callable[[], None]) -> None:
        self.reason = ""
        self.is_lost = False
        self._client, self._on_answer = client, on_answer
        self._token = token_hex(8)
        # A task of its own: it goes to each worker once, and Dask makes it again if it is lost with one.
        self._service = client.submit(_itself, service, key=f"lipc-service-{self._token}")
        self._task: Any = None
        self._heard = Event()
        on_answer()

    def is_ready(self, seconds: float) -> bool:  # noqa: ARG002 - the interface's
        """Return whether it can be asked."""
        return not self.is_lost

    def ask(self, request: object) -> None:
        """Give it something to answer."""
        self._heard = heard = Event()
        self._task = self._client.submit(_answer, self._service, self._token, request, key=f"lipc-{token_hex(8)}")

        def hear(_: object) -> None:
            heard.set()
            self._on_answer()

        self._task.add_done_callback(hear)

    def answer(self, seconds: float) -> Any | None:
        """Wait for the answer; `None` if none came in time, or the cluster gave up."""
        if self._task is None:
            return None
        if not self._heard.wait(min(max(seconds, 0.0), TIMEOUT_MAX)):
            self.reason = "it did not answer in time" if seconds > 0 else self.reason
            return None
        task, self._task = self._task, None
        try:
            return task.result(timeout=CONNECT_SECONDS)
        except Exception as error:  # whatever a worker raises, or the scheduler says of it
            self.reason = f"{type(error).__name__}: {error}"
            self.is_lost = True
            return None

    def stop(self) -> None:
        """Take back what is asked; a task that is running goes on, and nobody hears of it."""
        with suppress(Exception):  # the cluster may be gone
            if self._task is not None:
                self._task.cancel()
        self._task = self._service = None


def _itself(service: Service) -> Service:
    return service


def _answer(service: Service, token: str, request: object) -> Any:
    """Answer a request on a worker, by a service that was started before if there is one at rest."""
    from distributed import get_worker

    idle: dict[str, list[Callable[[Any], Any]]] = get_worker().__dict__.setdefault("lipc_services", {})
    resting = idle.setdefault(token, [])
    while len(idle) > MOST_SERVICES:
        del idle[next(iter(idle))]
    try:
        answer = resting.pop()  # not by another thread meanwhile
    except IndexError:
        answer = service.start()
    content = answer(request)
    resting.append(answer)
    return content
