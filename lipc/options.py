"""How to solve a question, and what is told while it is solved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lipc.errors import QueryError

Search = Literal["auto", "mip", "bab"]
"""How the upper side comes down: by a solver of mixed-integer programs, or by the branch and bound on the SDP bound."""


@dataclass(frozen=True)
class Report:
    """Where a run is: the stage, seconds since its start, the pair so far, and nodes."""

    stage: str
    elapsed: float
    lower: float
    upper: float
    nodes: int


@dataclass(frozen=True)
class Options:
    """How to solve.

    Parameters
    ----------
    time_limit
        Seconds for the whole run; compiling is not cut short.
    gap
        The relative gap to close.
    threads
        Of the solver.
    seed
        Of the solver, and of the moves away from kinks.
    safe_upper
        Prove the upper side by a branch and bound of our own when the solver has ended, so that it rests on nobody's
        word. With a time limit the solver gets half of it.
    search
        ``mip``: a solver. ``bab``: our own branch and bound on the SDP bound, for Lipschitz constants in l_inf and l_1
        of networks with a few hundred inputs and neurons. ``auto``: that one where it can, and else a solver.
    jobs
        Processes of the branch and bound on the SDP bound.
    handoff
        Nodes of that search with no more signs and neurons left than this are given to the solver, whose word is taken:
        0, none.
    scheduler
        Address of the scheduler of a Dask cluster that does that search instead; empty: none (`lipc.engine.cluster`).
    """

    time_limit: float = float("inf")
    gap: float = 1e-6
    threads: int = 1
    seed: int = 0
    safe_upper: bool = False
    search: Search = "auto"
    jobs: int = 1
    scheduler: str = ""
    handoff: int = 0

    def __post_init__(self) -> None:
        if not (self.time_limit >= 0 and self.gap >= 0 and self.threads >= 1 and self.seed >= 0 and self.jobs >= 1):
            message = "time limit, gap and seed may not be negative, and there is at least one thread and one job"
            raise QueryError(message)
        if self.handoff < 0:
            raise QueryError("a node has at least no signs and neurons left", hint="handoff=0 hands none over")
        alone = self.jobs == 1 and not self.scheduler
        if self.handoff and (self.safe_upper or self.search == "mip" or not alone):
            message = "nodes are handed to a solver by the branch and bound of one process, and its word is taken"
            raise QueryError(message, hint="leave out --handoff, or --safe-upper, --search mip, --jobs and --scheduler")
