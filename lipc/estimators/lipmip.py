"""LipMIP: this compiler and its solvers."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from lipc.errors import QueryError
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.ir import Program
from lipc.options import Options


@dataclass(frozen=True)
class LipMip(Estimator):
    """The exact constant, by `lipc.solve`; an upper bound where time is up first.

    Any network, norm and domain.

    Parameters
    ----------
    gap
        The relative gap to close.
    safe
        Let the upper side rest on no solver's word, as ``--safe-upper`` does.
    """

    name: ClassVar[str] = "lipmip"
    kind: ClassVar[Kind] = Kind.EXACT
    source: ClassVar[str] = (
        "Jordan, Dimakis, Exactly Computing the Local Lipschitz Constant of ReLU Networks, NeurIPS 2020, section 4"
    )
    gap: float = 1e-6
    safe: bool = False

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the upper side of the pair, and the witness of the lower one.

        Raises
        ------
        RefusedError
            If the network has no Lipschitz constant: its output jumps.
        """
        from lipc.driver import solve

        norm = question_of(program).norm
        seconds = max(0.0, limits.deadline - monotonic())
        options = Options(time_limit=seconds, gap=self.gap, seed=limits.seed, safe_upper=self.safe)
        try:
            result = solve(program.with_bounds({}), options=options)
        except QueryError as error:
            raise RefusedError(error.message, where=error.where, hint=error.hint) from error
        notes = [result.note] if result.note else []
        if result.upper_kind == "solver":
            notes.append("the upper side rests on the solver's tolerances")
        void = result.status == "infeasible"
        if void:
            notes.append("the domain has no interior: there is no gradient")
        kind = None if result.certified or void else Kind.UPPER
        return Estimate(result.upper, norm.symbol, kind=kind, witness=result.witness, note="; ".join(notes))
