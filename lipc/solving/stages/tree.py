"""The stage of our own search: branch and bound on the SDP bound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

import numpy as np

from lipc.engine import Engine
from lipc.engine.processes import Processes
from lipc.errors import QueryError
from lipc.options import Options
from lipc.search.branching import BranchAndBound
from lipc.search.parallel import ParallelSearch
from lipc.solvers.base import Ending
from lipc.solving.stages.handoff import Handoff, in_forward_mode
from lipc.solving.stages.state import State

BOUND_SECONDS, BOUND_SHARE = 4.0, 0.25
"""Time for the SDP bound alone, where a solver is to search: seconds, and at most this part of the time limit."""

SEARCH = "branch and bound on the SDP bound"
"""What a result names as its solver where our own search was one."""


def branch(run: State) -> Ending | None:
    """Search on the SDP bound; return `None` where a solver is to go on, with that bound for a start."""
    with ExitStack() as stack:
        return _branch(run, stack)


@contextmanager
def _engine(options: Options) -> Iterator[Engine | None]:
    """Return a context with what searches for this process; `None`: it searches alone."""
    if options.scheduler:
        from lipc.engine.cluster import Cluster

        cluster = Cluster(options.scheduler)
        try:
            yield cluster
        finally:
            cluster.close()
    else:
        yield None if options.jobs == 1 else Processes(options.jobs)


def _branch(run: State, stack: ExitStack) -> Ending | None:
    begun = monotonic()
    deadline = run.started + run.options.time_limit
    own = run.options.search != "mip"
    if not own:
        _note_jobs(run, "a solver of mixed-integer programs searches")
    try:
        compiled = in_forward_mode(run.compiled) if run.options.handoff and run.is_lipschitz else run.compiled
        parts = (compiled.reduced_exactly, run.goal, run.witnesses.offer, deadline)
        engine = stack.enter_context(_engine(run.options)) if own else None
        tree = BranchAndBound(*parts) if engine is None else ParallelSearch(*parts, engine=engine)
        if run.options.handoff:
            tree.hand_over = Handoff(run, compiled, tree)
    except QueryError as error:
        if run.options.search == "bab":
            raise
        _note_jobs(run, error.message)
        return None
    if own:
        run.engines.append(SEARCH)
    try:
        tree.relax(np.inf if own else begun + min(BOUND_SECONDS, BOUND_SHARE * run.options.time_limit))
        _on_tree(run, tree)
        if own:
            tree.run(lambda: _on_tree(run, tree))
    except QueryError:  # numbers too far apart for its factorizations
        if run.options.search == "bab":
            raise
        return None
    finally:
        _take_bounds(run, tree)
        run.nodes += tree.nodes
        run.note = tree.trouble or run.note
        run.seconds["solve"] += monotonic() - begun
    if run.is_closed() and (run.has_value or tree.is_void):
        if tree.handed == -np.inf:
            run.engines = [SEARCH]
        return run.closed_ending(void=tree.is_void)
    if own and not tree.is_complete:
        return Ending.TIME_LIMIT
    if run.options.search == "bab":
        run.note = "the search ended at patterns that it could neither reach nor refute"
        return Ending.UNPROVEN
    return None


def _take_bounds(run: State, tree: BranchAndBound) -> None:
    run.pair.take_proof(tree.upper)
    if tree.handed > -np.inf:
        run.pair.take_claim(tree.claimed)


def _on_tree(run: State, tree: BranchAndBound) -> None:
    _take_bounds(run, tree)
    run.report("search", tree.nodes)


def _note_jobs(run: State, reason: str) -> None:
    """Say that several processes were asked for in vain."""
    if run.options.jobs > 1:
        run.note = f"jobs have no effect: {reason}"
