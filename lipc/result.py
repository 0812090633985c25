"""The answer: a valid pair, its witness, and what it took."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from lipc.certify import Witness
from lipc.compiler import Neurons
from lipc.history import Moment
from lipc.passes.history import Stage
from lipc.record import SCHEMA, Asked


@dataclass(frozen=True)
class Size:
    """The size of the mixed-integer program and of the network behind it.

    Parameters
    ----------
    variables, binaries, rows, nonzeros
        Of the mixed-integer program.
    neurons
        How the passes decided the network's neurons in the end.
    passes
        What each pass did, from the network as it was read on.
    """

    variables: int
    binaries: int
    rows: int
    nonzeros: int
    neurons: Neurons
    passes: tuple[Stage, ...] = ()


@dataclass(frozen=True, eq=False)
class Result:
    """What is known: ``lower <= answer <= upper``.

    Parameters
    ----------
    status
        ``optimal``: the pair is as close as was asked; ``time_limit`` or ``interrupted``: a valid pair all the same;
        ``infeasible``: the domain has no point at which the network has a gradient (it has no interior), and both
        sides are 0;
        ``unproven``: the solver ended, but what it says does not close the pair (numerical trouble).
    lower, upper
        For a Lipschitz constant or a maximum, `lower` is proven by the witness in exact arithmetic, for a minimum
        `upper` is. The other side is the solver's dual bound (kind ``solver``: right up to the solver's tolerances),
        or, where that is all there is, a bound computed with outward rounding (kind ``rigorous``).
    gap
        ``upper - lower`` relative to the larger of the two, or to a millionth of
        the sum of the absolute terms of the objective if that is more.
    lower_kind, upper_kind
        ``witness``, ``solver`` or ``rigorous``.
    certified
        Whether the witness was proven and the pair is as close as was asked.
    note
        What went wrong, if the solver broke down.
    proof_nodes
        Nodes of the branch and bound that proved the upper side without the solver (``safe_upper``).
    asked
        The files with their SHA-256, the question in full, and the limits: what `lipc.verify` needs.
    history
        The pair over time: seconds since the start, lower, upper, nodes; at most 200 moments.
    """

    status: str
    lower: float
    upper: float
    gap: float
    lower_kind: str
    upper_kind: str
    certified: bool
    witness: Witness | None
    solver: str
    nodes: int
    size: Size
    time: dict[str, float]
    query: dict[str, object]
    note: str = ""
    proof_nodes: int = 0
    asked: Asked | None = None
    history: tuple[Moment, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON; an infinite number becomes `None`."""
        return {
            "schema": SCHEMA,
            "status": self.status,
            "lower": _finite(self.lower),
            "upper": _finite(self.upper),
            "gap": _finite(self.gap),
            "lower_kind": self.lower_kind,
            "upper_kind": self.upper_kind,
            "certified": self.certified,
            "witness": self.witness and self.witness.to_dict(),
            "solver": self.solver,
            "nodes": self.nodes,
            "proof_nodes": self.proof_nodes,
            "size": asdict(self.size),
            "time": {stage: round(seconds, 6) for stage, seconds in self.time.items()},
            "query": self.query,
            "note": self.note,
            "history": [[round(at, 6), _finite(low), _finite(high), nodes] for at, low, high, nodes in self.history],
            **(asdict(self.asked) if self.asked else {}),
        }

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from lipc.reports.single import result_fragment

        return result_fragment(self.to_dict())


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None
