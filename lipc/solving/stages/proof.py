"""The stage after a solver's: the upper side is proven by a branch and bound of our own."""

from __future__ import annotations

from time import monotonic

from lipc.solvers.base import Ending
from lipc.solving.safe import SafeSearch
from lipc.solving.stages.state import State

EASY_NODES = 50
"""A proof that takes more nodes than this begins again with tighter bounds."""

NEARLY_CLOSED = 1e-3
"""A gap that the solver's tolerances may leave where they are magnified by the bounds of the program."""


def settle(run: State, ending: Ending) -> Ending:
    """Prove what a solver's tolerances keep it from: its optimum violates rows a little, and is a little too large.

    Next to values that cancel in the objective that may be more than the gap, and there is nothing to exclude.
    """
    if ending is not Ending.UNPROVEN or run.best is None or not run.pair.claimed_gap <= NEARLY_CLOSED:
        return ending
    begun = monotonic()
    deadline = run.started + run.options.time_limit
    search = SafeSearch(run.compiled, run.target, run.witnesses.offer, run.conflicts, deadline)
    try:
        search.run(lambda: _on_node(run, search), EASY_NODES)
    finally:
        _take_proof(run, search)
        run.seconds["solve"] += monotonic() - begun
    return run.closed_ending() if run.is_closed() else ending


def prove(run: State, ending: Ending) -> Ending:
    """Prove the upper side without the solver; return what the run has come to."""
    run.pair.believes = False
    if ending is Ending.INTERRUPTED or (run.is_closed() and run.best is not None):
        return ending if ending is Ending.INTERRUPTED else Ending.OPTIMAL
    begun = monotonic()
    run.report("prove")
    deadline = run.started + run.options.time_limit
    parts = (run.compiled, run.target, run.witnesses.offer, run.conflicts, deadline)
    try:
        search = SafeSearch(*parts)
        search.run(lambda: _on_node(run, search), EASY_NODES)
        _take_proof(run, search)
        if not search.is_complete:
            search = SafeSearch(*parts, tighten=True)
            search.run(lambda: _on_node(run, search))
            _take_proof(run, search)
    finally:
        run.seconds["solve"] += monotonic() - begun
    if run.is_closed():
        return run.closed_ending(void=search.is_void)
    return Ending.UNPROVEN if search.is_complete else Ending.TIME_LIMIT


def _on_node(run: State, search: SafeSearch) -> None:
    run.pair.take_proof(search.upper)
    run.report("prove", run.proof_nodes + search.nodes.count)


def _take_proof(run: State, search: SafeSearch) -> None:
    run.pair.take_proof(search.upper)
    run.proof_nodes += search.nodes.count
