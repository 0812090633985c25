"""``python -m benchmarks.engines``: what a task costs beside its work, and what it costs to start, per engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from time import perf_counter, process_time

from lipc.engine import Engine, Seat
from lipc.engine.processes import Processes

SIZES = (1_000, 100_000)
"""Bytes of a request, and of its answer."""


@dataclass(frozen=True)
class Echo:
    """A service that does nothing."""

    def start(self) -> Callable[[bytes], bytes]:
        """Return what answers."""
        return bytes


def measured(engine: Engine, seats: int, tasks: int, content: bytes) -> tuple[float, float, float]:
    """Return seconds until the first answer, and wall and CPU seconds of this process for each task after that."""
    inbox: SimpleQueue[int] = SimpleQueue()
    begun = perf_counter()
    hired: list[Seat] = [engine.hire(Echo(), partial(inbox.put, place)) for place in range(seats)]
    for seat in hired:
        assert seat.is_ready(60)
        seat.ask(content)
        assert seat.answer(60) is not None
    first = perf_counter() - begun
    while not inbox.empty():
        inbox.get()
    begun, cpu = perf_counter(), process_time()
    asked = answered = 0
    for seat in hired:
        seat.ask(content)
        asked += 1
    while answered < tasks:
        seat = hired[inbox.get()]
        assert seat.answer(60) is not None
        answered += 1
        if asked < tasks:
            seat.ask(content)
            asked += 1
    spent = (perf_counter() - begun) / tasks, (process_time() - cpu) / tasks
    for seat in hired:
        seat.stop()
    return first, *spent


def show(name: str, engine: Engine, seats: int, tasks: int) -> None:
    """Print a line for each size."""
    for size in SIZES:
        first, wall, cpu = measured(engine, seats, tasks, bytes(size))
        cells = f"{size // 1000} kB | {seats} | {first:.2f} s | {1e3 * wall:.2f} ms | {1e3 * cpu:.2f} ms"
        print(f"| {name} | {cells} |", flush=True)


def main() -> None:
    """Measure and print a table."""
    print(
        "| engine | request and answer | seats | until all have answered once | per task, wall | per task, CPU here |"
    )
    print("|---|---|---|---|---|---|")
    show("processes", Processes(2), 2, 2000)
    from distributed import LocalCluster

    from lipc.engine.cluster import Cluster

    begun = perf_counter()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local:
        print(f"(LocalCluster: {perf_counter() - begun:.2f} s until it is up)")
        begun = perf_counter()
        cluster = Cluster(local.scheduler_address)
        print(f"(connecting: {perf_counter() - begun:.2f} s)")
        show("Dask, scheduler and workers here", cluster, cluster.size, 2000)
        cluster.close()


if __name__ == "__main__":
    from benchmarks import engines

    engines.main()  # the service has to come from a module that others can import
