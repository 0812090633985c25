"""The stage of our own search: branch and bound on the SDP bound."""

from __future__ import annotations

from time import monotonic

import numpy as np

from lipc.errors import QueryError
from lipc.search.branching import BranchAndBound
from lipc.search.parallel import ParallelSearch
from lipc.solvers.base import Ending
from lipc.stages.state import State

BOUND_SECONDS = 2.0
"""Time for the SDP bound alone, where a solver is to search."""

SEARCH = "branch and bound on the SDP bound"
"""What a result names as its solver where our own search was one."""


def branch(run: State) -> Ending | None:
    """Search on the SDP bound; return `None` where a solver is to go on, with that bound for a start."""
    begun = monotonic()
    deadline = run.started + run.options.time_limit
    own = run.options.search != "mip"
    try:
        parts = (run.compiled.reduced_exactly, run.goal, run.witnesses.offer, deadline)
        jobs = run.options.jobs
        tree = BranchAndBound(*parts) if jobs == 1 else ParallelSearch(*parts, jobs=jobs)
    except QueryError:
        if run.options.search == "bab":
            raise
        return None
    if own:
        run.engines.append(SEARCH)
    try:
        tree.relax(np.inf if own else begun + BOUND_SECONDS)
        _on_tree(run, tree)
        if own:
            tree.run(lambda: _on_tree(run, tree))
    except QueryError:  # numbers too far apart for its factorizations
        if run.options.search == "bab":
            raise
        return None
    finally:
        run.pair.take_proof(tree.upper)
        run.nodes += tree.nodes
        run.note = tree.trouble
        run.seconds["solve"] += monotonic() - begun
    if run.is_closed() and (run.has_value or tree.is_void):
        run.engines = [SEARCH]
        return run.closed_ending(void=tree.is_void)
    if own and not tree.is_complete:
        return Ending.TIME_LIMIT
    if run.options.search == "bab":
        run.note = "the search ended at patterns that it could neither reach nor refute"
        return Ending.UNPROVEN
    return None


def _on_tree(run: State, tree: BranchAndBound) -> None:
    run.pair.take_proof(tree.upper)
    run.report("search", tree.nodes)
