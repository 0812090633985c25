"""Nodes of the search that a solver of mixed-integer programs finishes.

A node with few entries left is compiled with its decisions: what they and the best value decide tightens all other
bounds (`lipc.solving.narrow`), and the solver looks for more than that value. What it says is its word, so it lowers
the bound that is claimed, not the one that is proven. Where its solution cannot be certified, the search goes on.
"""

from __future__ import annotations

from time import monotonic

import numpy as np

from lipc.compiler import Compiled, compile  # noqa: A004 - the verb of a compiler
from lipc.errors import QueryError, SolverFailedError
from lipc.mip import choices_of
from lipc.search.branching import BranchAndBound
from lipc.search.nodes import Node
from lipc.solvers.base import Ending, Outcome, Task
from lipc.solving.correspondence import Correspondence
from lipc.solving.narrow import BELOW_ATTAINED, narrow
from lipc.solving.node_columns import NodeColumns, check_forward
from lipc.solving.stages.state import State

PROGRAMS = 100
"""Linear programs that tighten the bounds of one node."""


def in_forward_mode(compiled: Compiled) -> Compiled:
    """Return a question compiled in forward mode, if it is not."""
    try:
        check_forward(compiled)
    except QueryError:
        return compile(compiled.network, compiled.query, mode="forward")
    return compiled


class Handoff:
    """Hands nodes to the solver of a run.

    Parameters
    ----------
    compiled
        The question in forward mode, of which `tree` searches `reduced_exactly`.
    """

    def __init__(self, run: State, compiled: Compiled, tree: BranchAndBound) -> None:
        self.run, self.compiled, self.tree = run, compiled, tree
        self.columns = NodeColumns(compiled, tree)
        self.correspondence = Correspondence(compiled)
        self.deadline = run.started + run.options.time_limit
        run.pair.slack = max(run.pair.slack, run.solver.slack(compiled.mip))

    def __call__(self, node: Node, free: int) -> float | None:
        """Return the bound that the solver claims of a node; `None` if it does not take it, or not to its end.

        Parameters
        ----------
        free
            Signs and switches that are not decided.
        """
        run, seconds = self.run, self.deadline - monotonic()
        if free > run.options.handoff or not run.has_value or seconds <= 0:
            return None
        sides = self.columns.of(node)
        cutoff = run.pair.lower * (1 - BELOW_ATTAINED)
        narrowed = None if sides is None else narrow(self.compiled, *sides, cutoff, PROGRAMS, seconds)
        if narrowed is None:
            return run.target()
        task = Task(
            narrowed.program,
            start=None,
            cutoff=run.pair.lower,
            time_limit=max(self.deadline - monotonic(), 0.0),
            gap=run.options.gap,
            threads=run.options.threads,
            seed=run.options.seed,
        )
        try:
            outcome = run.solver.solve(task, lambda _: None)
        except SolverFailedError:
            return None
        if run.solver.version() not in run.engines:
            run.engines.append(run.solver.version())
        run.nodes += outcome.nodes
        if outcome.ending is Ending.INTERRUPTED:
            raise KeyboardInterrupt
        return self._claim(outcome, task)

    def _claim(self, outcome: Outcome, task: Task) -> float | None:
        """Return what an outcome says of a node, if that is all there is to say."""
        if outcome.ending is Ending.INFEASIBLE:
            return self.run.target()
        if outcome.ending is not Ending.OPTIMAL:
            return None
        for columns in outcome.solutions:
            if np.isfinite(columns).all():
                choices = self.correspondence.recover(choices_of(task.program, columns))
                region = self.run.regions.widest(self.correspondence.bits(choices))
                if region.point is not None:
                    self.run.witnesses.offer(region.point)
        target = self.run.target()
        return target if outcome.bound <= target else None
