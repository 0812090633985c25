"""The stage of a solver, in rounds: its solutions are certified, and patterns that do not count are cut off."""

from __future__ import annotations

from time import monotonic

import numpy as np

from lipc.errors import SolverFailedError
from lipc.ir import Floats, Norm
from lipc.mip import NoGood, exclude
from lipc.solvers.base import Ending, Outcome, Progress, Task
from lipc.solving.stages.state import State


def solve(run: State) -> Ending:
    """Run the solver until the pair is closed, or something else ends the run."""
    begun = monotonic()
    ending = None
    try:
        while ending is None:
            ending = _round(run)
    finally:
        run.seconds["solve"] += monotonic() - begun
    return ending


def _round(run: State) -> Ending | None:
    """Run the solver once and examine its solutions; return why the run is over, or `None` to go on."""
    if run.is_closed() and run.has_value:
        return Ending.OPTIMAL
    share = 0.5 if run.options.safe_upper else 1.0
    remaining = share * run.options.time_limit - (monotonic() - run.started)
    if remaining <= 0:
        return Ending.TIME_LIMIT
    if run.solver.version() not in run.engines:
        run.engines.append(run.solver.version())
    try:
        outcome = run.solver.solve(_task(run, remaining), lambda progress: _on_progress(run, progress))
    except SolverFailedError as error:
        _note(run, str(error))
        return Ending.UNPROVEN
    run.nodes += outcome.nodes
    run.pair.take_claim(run.sign * outcome.bound)
    cuts = _examine(run, outcome)
    _note(run, *outcome.faults, *_refuted(run))
    run.report("solve")
    if outcome.ending in (Ending.TIME_LIMIT, Ending.INTERRUPTED):
        return outcome.ending
    if outcome.ending is Ending.INFEASIBLE and not run.has_value and run.pair.excluded == -np.inf:
        return Ending.INFEASIBLE
    if run.is_closed():
        return run.closed_ending()
    if not cuts or not run.pair.trusted:
        return Ending.UNPROVEN
    run.mip = exclude(run.mip, cuts)
    return None


def _note(run: State, *remarks: str) -> None:
    """Note what a reader should know of the solver, each remark once."""
    new = [remark for remark in remarks if remark not in run.note]
    run.note = "; ".join([run.note, *new] if run.note else new)


def _refuted(run: State) -> list[str]:
    """Return what is to be said of a bound that a witness refutes: nothing that the solver says is worth anything."""
    if run.pair.trusted or not np.isfinite(run.pair.claimed):
        return []
    claimed, attained = (f"{run.sign * value:.8g}" for value in (run.pair.claimed, run.pair.attained))
    side = "above" if run.sign > 0 else "below"
    return [f"{run.solver.version()} claims that nothing is {side} {claimed}; the witness attains {attained}"]


def _task(run: State, seconds: float) -> Task:
    """Return what the solver has to do: find more than what is known to be attained."""
    pair = run.pair
    here = run.best if run.best is not None and pair.attained >= pair.known else None
    return Task(
        run.mip,
        start=None if here is None else run.correspondence.columns_at(here.x),
        cutoff=run.sign * pair.lower if run.has_value else None,
        time_limit=seconds,
        gap=run.options.gap,
        threads=run.options.threads,
        seed=run.options.seed,
    )


def _examine(run: State, outcome: Outcome) -> list[NoGood]:
    """Certify the solver's solutions; return cuts that exclude those patterns which are dealt with."""
    cuts: list[NoGood] = []
    for columns in outcome.solutions:
        if not np.isfinite(columns).all():
            continue
        choices = run.correspondence.choices(columns)
        if not run.is_lipschitz:
            run.witnesses.offer(choices[run.regions.input])
            if not run.is_closed():
                run.witnesses.polish(choices[run.regions.input])
            continue
        claimed = run.mip.objective(columns)
        bar = run.pair.lower * (1 + run.options.gap)
        if (run.best is not None or run.pair.known > 0) and claimed <= bar:
            continue
        cuts += _examine_pattern(run, choices)
    return cuts


def _examine_pattern(run: State, choices: dict[int, Floats]) -> list[NoGood]:
    """Look for an interior point of one pattern; return cuts that exclude it from the next round."""
    bits = run.correspondence.bits(choices)
    region = run.regions.widest(bits, prove=True)
    if region.conflicts:
        run.conflicts += region.conflicts
        return [cut for cut in map(run.correspondence.conflict_cut, region.conflicts) if cut is not None]
    if region.point is not None:
        run.witnesses.offer(region.point)
    # Whether or not a point of this very pattern was certified: what is excluded stays in the upper bound.
    bound = run.regions.norm_bound(bits, run.witnesses.norm, run.witnesses.output_norm)
    if run.witnesses.output_norm is Norm.L1:  # loose for many outputs; the solver's covers the pattern too
        bound = min(bound, run.pair.claimed)
    run.pair.excluded = max(run.pair.excluded, bound)
    return [run.correspondence.pattern_cut(choices)]


def _on_progress(run: State, progress: Progress) -> None:
    if progress.bound is not None:
        run.pair.take_claim(run.sign * progress.bound)
    run.report("solve", progress.nodes)
