"""A Dask cluster as an engine: the same answers, also when it loses a worker."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nets import random_network

import lipc
from lipc.engine.cluster import Cluster, ClusterSeat
from lipc.errors import EngineError, QueryError
from lipc.jobs import Job
from lipc.jobs.stated import Words
from lipc.search import parallel

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MODEL = str(Path(__file__).parents[2] / "examples/two_neurons.lip")


@pytest.fixture(scope="module")
def local() -> Iterator[Any]:
    """A cluster of two processes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster:
            yield cluster


@dataclass(frozen=True)
class Adding:
    """A service that counts what its place has seen before."""

    to: int

    def start(self) -> Callable[[int], tuple[int, int, int]]:
        seen: list[int] = []

        def answer(number: int) -> tuple[int, int, int]:
            seen.append(number)
            if number < 0:
                raise ArithmeticError("below zero")
            return self.to + number, len(seen), os.getpid()

        return answer


def test_a_seat_answers_and_a_service_is_started_once_in_each_process(local: Any) -> None:
    cluster = Cluster(local.scheduler_address)
    try:
        assert cluster.size == 4
        told: list[None] = []
        seat = cluster.hire(Adding(10), lambda: told.append(None))
        assert seat.is_ready(0)
        assert seat.answer(0) is None
        found = []
        for number in range(6):
            seat.ask(number)
            found.append(seat.answer(30))
        assert [each and each[0] for each in found] == [10, 11, 12, 13, 14, 15]
        assert len(told) == 7
        counts: dict[int, int] = {}
        for _, seen, process in filter(None, found):
            counts[process] = counts.get(process, 0) + 1
            assert seen == counts[process]
        seat.ask(-1)
        assert seat.answer(30) is None
        assert seat.is_lost and seat.reason == "ArithmeticError: below zero"
        seat.stop()
    finally:
        cluster.close()


def test_a_batch_on_a_cluster_that_loses_a_worker(local: Any) -> None:
    jobs = [Job(str(number), MODEL, Words(box=("-1", repr(number / 8)))) for number in range(8)]
    here = {each.job.id: (each.lower, each.upper) for each in lipc.batch(jobs)}
    cluster = Cluster(local.scheduler_address)
    try:
        found: dict[str, tuple[float, float]] = {}
        for answer in lipc.batch(jobs, engine=cluster):
            assert answer.error == ""
            assert answer.job.id not in found
            found[answer.job.id] = answer.lower, answer.upper
            if len(found) == 3:
                os.kill(next(iter(cluster.client.run(os.getpid).values())), signal.SIGKILL)
    finally:
        cluster.close()
    assert found == here


@pytest.mark.slow
def test_one_question_on_a_cluster(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "ALONE", 5)
    monkeypatch.setattr(parallel, "ROUND", 15)
    network = lipc.from_weights(*random_network(3, (5, 14, 12, 2)))
    query = lipc.Query(lipc.box(-np.ones(5), np.ones(5)))
    alone = lipc.solve(network, query)
    result = lipc.solve(network, query, options=lipc.Options(search="bab", scheduler=local.scheduler_address))
    assert (result.status, result.lower, result.note) == ("optimal", alone.lower, "")
    assert result.upper == pytest.approx(alone.upper, rel=2e-6)
    assert result.nodes > 5


@pytest.mark.slow
def test_one_question_on_a_cluster_that_loses_a_worker(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "ALONE", 5)
    monkeypatch.setattr(parallel, "ROUND", 15)
    network = lipc.from_weights(*random_network(3, (5, 14, 12, 2)))
    query = lipc.Query(lipc.box(-np.ones(5), np.ones(5)))
    alone = lipc.solve(network, query)
    killed: list[int] = []
    real = ClusterSeat.ask

    def ask(self: ClusterSeat, request: object) -> None:
        real(self, request)
        if not killed:
            killed.extend(self._client.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(ClusterSeat, "ask", ask)
    result = lipc.solve(network, query, options=lipc.Options(search="bab", scheduler=local.scheduler_address))
    assert killed
    assert (result.status, result.lower) == ("optimal", alone.lower)
    assert result.upper == pytest.approx(alone.upper, rel=2e-6)


def test_what_is_no_cluster(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.engine.cluster.CONNECT_SECONDS", 0.3)
    with pytest.raises(EngineError, match="no scheduler answers"):
        Cluster("tcp://127.0.0.1:9")
    with pytest.raises(EngineError, match="no scheduler answers"):
        Cluster("nonsense://x")
    monkeypatch.setattr("lipc.engine.cluster.__version__", "0.0.0")
    with pytest.raises(EngineError, match=r"and this is 0\.0\.0"):
        Cluster(local.scheduler_address)
    with pytest.raises(QueryError, match="caps the memory of its workers by itself"):
        lipc.batch([Job("a", MODEL)], engine=object(), memory=2**30)  # type: ignore[arg-type]
