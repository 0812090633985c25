"""What estimators of gradients share: one output after another, norms rounded up, gradients at many points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import numpy as np

from lipc.bounds.rounding import UNDERFLOW, UNIT
from lipc.certify import Certifier, Witness
from lipc.estimators.base import Limits, RefusedError, question_of
from lipc.ir import Floats, Interval, Norm, Program, evaluate, pullback
from lipc.ir.norms import MOST_SIGNED, climb_signs, sign_rows
from lipc.passes.jacobian import gradient_program

BLOCK_NUMBERS, BLOCK_POINTS = 8_000_000, 4096
"""Numbers held at a time where gradients are computed at many points, and points."""

MOST_TRIED = 100
"""Points that are certified until one is no kink."""


@dataclass(frozen=True, eq=False)
class Cotangents:
    """The extreme c of a question, which weigh its outputs.

    Parameters
    ----------
    rows
        Shape ``(k, m)``.
    summed
        Whether the constant is at most the *sum* of those of the rows, and not the largest: outputs in l_1 that are too
        many for all their signs.
    """

    rows: Floats
    summed: bool

    @staticmethod
    def of(program: Program) -> Cotangents:
        """Return those of a program with a Lipschitz question."""
        size = program.ops[program.result].size
        if question_of(program).output_norm is Norm.LINF or size == 1:
            return Cotangents(np.eye(size), summed=False)
        if size <= MOST_SIGNED:
            return Cotangents(sign_rows(size), summed=False)
        return Cotangents(np.eye(size), summed=True)

    def join(self, bounds: list[float]) -> float:
        """Return an upper bound of the constant from one for each row."""
        if not self.summed:
            return max(bounds)
        return upper_norm(np.array(bounds), Norm.LINF)

    @property
    def note(self) -> str:
        """What a reader must know of it; may be empty."""
        return "the sum of the bounds of the outputs" if self.summed else ""


def bound_gradients(program: Program, limits: Limits, bound: Callable[[Program], float]) -> tuple[float, str]:
    """Return an upper bound of a Lipschitz question from one for each extreme c, and a note.

    Parameters
    ----------
    bound
        Takes the network with ``c' J`` as its result, and returns an upper bound of its dual norm.

    Raises
    ------
    RefusedError
        If time is up before every output has its bound.
    """
    cotangents = Cotangents.of(program)
    found: list[float] = []
    for row in cotangents.rows:
        if found and monotonic() > limits.deadline:
            raise RefusedError(f"time was up after {len(found)} of {len(cotangents.rows)} bounds of the outputs")
        found.append(bound(gradient_program(program, row)))
    return cotangents.join(found), cotangents.note


def upper_norm(magnitudes: Floats, norm: Norm) -> float:
    """Return a float at or above the dual of a norm of vectors whose entries are at most these; shape ``(n,)``."""
    value = float(norm.dual_of(magnitudes))
    if norm is Norm.L1 or not value:
        return value
    # A sum of n numbers, or a root of a sum of n rounded squares, scaled and scaled back.
    return float(np.nextafter(value * (1 + (len(magnitudes) + 8) * UNIT) + UNDERFLOW, np.inf))


def upper_of(gradient: Interval, norm: Norm) -> float:
    """Return a float at or above the dual norm of every vector within an interval."""
    return upper_norm(np.maximum(gradient.magnitude, 0.0), norm)


def joined(*notes: str) -> str:
    """Return the notes that are not empty as one."""
    return "; ".join(filter(None, notes))


def box_note(program: Program) -> str:
    """Return what is to be said of a method that knows of a domain's bounds alone."""
    _, domain = program.network_input()
    return "" if domain.is_box else "over the bounding box of the domain"


def gradient_norms(program: Program, points: Floats, deadline: float = np.inf) -> tuple[Floats, int]:
    """Return the norm of the Jacobian at points of shape ``(k, n)``, in floating point.

    At a kink it is that of one of the pieces there, or of none. For outputs in l_1 and an input norm other than l_1 it
    may be too small: signs are sought by a climb.

    Parameters
    ----------
    deadline
        The time of `time.monotonic` at which to stop; one block of points is always looked at.

    Returns
    -------
    array of shape ``(done,)``, int
        Those of the first points, and how many there are.
    """
    size = program.ops[program.result].size
    step = max(1, min(BLOCK_POINTS, BLOCK_NUMBERS // (sum(op.size for op in program.ops) + size * points.shape[1])))
    found: list[Floats] = []
    for first in range(0, len(points), step):
        if found and monotonic() > deadline:
            break
        found.append(_norms(program, points[first : first + step]))
    norms = np.concatenate([np.zeros(0), *found])
    return norms, len(norms)


def best_witness(certifier: Certifier, points: Floats, norms: Floats) -> Witness:
    """Return the witness of the best of some points that is proven to be no kink.

    Parameters
    ----------
    points, norms
        Shapes ``(k, n)`` and ``(k,)``: the points, and their gradients in floating point.

    Raises
    ------
    RefusedError
        If there is none among the best `MOST_TRIED`.
    """
    for place in np.argsort(-norms, kind="stable")[:MOST_TRIED].tolist():
        witness = certifier.witness(points[place])
        if witness is not None:
            return witness
    raise RefusedError("at none of the points is there a gradient", hint="a domain with an interior")


def _norms(program: Program, points: Floats) -> Floats:
    question = question_of(program)
    network_input, _ = program.network_input()
    values = evaluate(program, {network_input: points})
    size = program.ops[program.result].size
    units = (np.broadcast_to(unit, (len(points), size)) for unit in np.eye(size))
    gradients = (pullback(program, values, unit, network_input) for unit in units)
    if question.output_norm is Norm.L1 and size > 1:
        jacobians = np.stack(list(gradients), axis=1)
        steepest = np.einsum("km,kmn->kn", climb_signs(jacobians, question.norm), jacobians)
        return np.asarray(question.norm.dual_of(steepest))
    norms: Floats = np.zeros(len(points))
    for gradient in gradients:
        norms = np.maximum(norms, question.norm.dual_of(gradient))
    return norms
