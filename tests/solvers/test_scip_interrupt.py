"""Ctrl-C while SCIP works in a thread of its own."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest
from nets import random_network

import lipc
from lipc import Query, box, from_weights
from lipc.solvers import scip
from lipc.solvers.base import Ending, Task


@pytest.mark.parametrize("delay", [0.5, 1.0])
def test_scip_has_stopped_when_its_answer_is_read(delay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that interrupts `Thread.join` marks the thread as finished (Python 3.11), and SCIP goes on beside us.

    Then its status is 'unknown', and whoever asks for bounds or solutions races with the solver.
    """
    net = random_network(1, (10, 30, 30, 30, 1))
    program = lipc.compile(from_weights(*net), Query(box(-np.ones(10), np.ones(10))), mode="reverse").mip
    finished = threading.Event()
    optimize = scip._Session._optimize

    def watched(session: scip._Session) -> None:
        optimize(session)
        finished.set()

    stopped_in_time: list[bool] = []
    outcome_of = scip._Session.outcome

    def observed(session: scip._Session) -> object:
        stopped_in_time.append(finished.is_set())
        finished.wait(30)  # a race lost here would take the whole test run with it
        return outcome_of(session)

    monkeypatch.setattr(scip._Session, "_optimize", watched)
    monkeypatch.setattr(scip._Session, "outcome", observed)
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(delay, signal.pthread_kill, [main, signal.SIGINT])
    timer.start()
    outcome = scip.Scip().solve(Task(program, time_limit=20))
    timer.join()
    assert outcome.ending is Ending.INTERRUPTED
    assert stopped_in_time == [True]
    assert np.isfinite(outcome.bound)
