"""The stage before a solver's: bounds are tightened as far as the solver will gain by it."""

from __future__ import annotations

from time import monotonic

from lipc.compiler import Compiled
from lipc.passes.jacobian import FEW_INPUTS
from lipc.passes.prune_stable import PruneStable
from lipc.passes.tighten import Tighten
from lipc.solving.narrow import BELOW_ATTAINED
from lipc.solving.stages.state import State

TIGHTEN_SECONDS, TIGHTEN_SHARE = 5.0, 0.05
"""Time for tightening the network, and again for its Jacobian: seconds, and at most this part of the time limit."""

MANY_NEURONS = 30
"""Programs of fewer unstable neurons are solved faster than tightened (measured: PERFORMANCE.md, "Tightening")."""


def tighten(run: State) -> None:
    """Add the SDP bound, or decide bits by trees and tighten the Jacobian's bounds, and lower the program anew.

    Where no bit is decided, and for a range, bounds are tightened where the objective is at least what is attained.
    The regions stay those of the whole domain: what is proven of patterns holds without the cutoff.
    """
    if run.best is None or run.is_closed():
        return
    run.report("tighten")
    begun = monotonic()
    many = run.regions.domain.size > FEW_INPUTS and run.compiled.neurons.unstable >= MANY_NEURONS
    run.take_compiled(_tightened(run, run.best.value) if many else run.compiled.limited())
    run.seconds["bounds"] += monotonic() - begun


def _tightened(run: State, attained: float) -> Compiled:
    """Return the question with bits decided by trees, or bounds tightened above what is attained."""
    seconds = min(TIGHTEN_SECONDS, TIGHTEN_SHARE * run.options.time_limit)
    compiled = run.compiled
    if run.is_lipschitz:
        # Under the cutoff, every program of a tree would carry the whole Jacobian.
        compiled = compiled.with_passes([Tighten("network", seconds, method="mip"), PruneStable()])
    if compiled.neurons.unstable < run.compiled.neurons.unstable:
        return compiled.with_passes([Tighten("jacobian", seconds), PruneStable()])
    cutoff = attained - run.sign * BELOW_ATTAINED * abs(attained)
    return run.compiled.with_passes([Tighten("all", seconds, cutoff), PruneStable()])
