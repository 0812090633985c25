"""The SDP bound by compiled kernels, where numba is installed: the same numbers up to rounding, and the same proofs."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipc.bounds import kernels
from lipc.bounds.quadratic import Quadratic
from lipc.bounds.sdp import LAST_BARRIER, STEPS, Point, Probes, Sdp
from lipc.bounds.unrolled import Unrolled
from lipc.ir import Floats


def _call(kernel: Callable[..., Any], *arguments: object) -> Any:
    """Call a kernel; an interrupt while numba takes the arguments apart is raised as such, not as its SystemError."""
    try:
        return kernel(*arguments)
    except SystemError as error:
        cause: BaseException | None = error
        while isinstance(cause, SystemError):
            cause = cause.__cause__
        if isinstance(cause, (KeyboardInterrupt, SystemExit)):
            raise cause from None
        raise


def restrict(
    unrolled: Unrolled, objective: Floats, slack: float, direction: Floats, states: NDArray[np.int8]
) -> Quadratic:
    """Return `lipc.bounds.quadratic.restrict`."""
    signs, switches, links, shifts, weights, constant = _call(
        kernels.restrict, unrolled.direct, unrolled.through, unrolled.bits, objective, direction, states
    )
    return Quadratic(signs, switches, links, shifts, weights, constant, slack)


def lacking(wanted: NDArray[np.uint64], count: int, had: NDArray[np.uint64]) -> NDArray[np.uint64] | None:
    """Return `lipc.search.conflicts.lacking`."""
    valid, flags = _call(kernels.lacking, wanted, count, had)
    return flags if valid else None


class CompiledSdp(Sdp):
    """The bound F of one quadratic."""

    def __init__(self, quadratic: Quadratic) -> None:
        self.quadratic = quadratic
        self.size = len(quadratic.weights)
        self._form = quadratic.links, quadratic.shifts, quadratic.weights, quadratic.constant, quadratic.free_signs

    def at(self, multipliers: Floats) -> Point | None:
        """See `Sdp.at`."""
        valid, matrix, factor, y, value = _call(kernels.evaluate, *self._form, multipliers)
        return Point(multipliers, matrix, factor, y, value) if valid else None

    def bounds(
        self, multipliers: Floats, matrix: Floats, y: Floats, pull: Floats | None = None, sides: Floats | None = None
    ) -> Floats:
        """See `Sdp.bounds`."""
        pull, sides = np.zeros_like(y) if pull is None else pull, np.zeros(y.shape[1]) if sides is None else sides
        _, shifts, weights, constant, free_signs = self._form
        form = weights, shifts, constant, self.quadratic.slack, free_signs, multipliers, matrix
        columns = zip(y.T.copy(), pull.T.copy(), sides, strict=True)
        return np.array([_call(kernels.bound, *form, guess, pulled, side) for guess, pulled, side in columns])

    def derivatives(self, point: Point, barrier: float) -> tuple[Floats, Floats]:
        """See `Sdp.derivatives`."""
        links, shifts, _, _, free_signs = self._form
        gradient, hessian = _call(kernels.derivatives, links, shifts, free_signs, point.factor, point.y, barrier)
        return gradient, np.triu(hessian) + np.triu(hessian, 1).T

    def minimize(
        self,
        start: Point,
        target: float,
        *,
        steps: int = STEPS,
        last: float = LAST_BARRIER,
        give_up: bool = False,
        deadline: float = np.inf,
    ) -> Point:
        """See `Sdp.minimize`; the deadline is looked at before the first step."""
        if start.value <= target or not steps or monotonic() > deadline:
            return start
        _, *parts = _call(kernels.minimize, *self._form, start.multipliers, target, steps, last, give_up)
        return Point(*parts)

    def lowest(self, multipliers: Floats, target: float, steps: int) -> Point | None:
        """See `Sdp.lowest`."""
        valid, *parts = _call(kernels.minimize, *self._form, multipliers, target, steps, LAST_BARRIER, True)
        return Point(*parts) if valid else None

    def probe(self, point: Point) -> Probes:
        """See `Sdp.probe`."""
        links, shifts, _, _, free_signs = self._form
        return Probes(*_call(kernels.probe, links, shifts, free_signs, point.factor, point.y, point.multipliers))

    def without(self, point: Point, probes: Probes, room: float) -> Floats:
        """See `Sdp.without`."""
        parts = probes.high, probes.low, probes.inverse, probes.linked, probes.double
        result: Floats = _call(
            kernels.without, *self._form, self.quadratic.slack, point.multipliers, point.matrix, point.y, *parts, room
        )
        return result


def compile_kernels(deadline: float) -> bool:
    """Compile what was not compiled before, some seconds the first time; return whether there was time for all.

    Parameters
    ----------
    deadline
        The time of `time.monotonic` after which no further kernel is begun.
    """
    one, none, unit = np.ones(1), np.zeros(1), np.eye(1)
    index, bit = np.zeros(1, np.int64), np.ones(1, np.int8)
    form = unit, none, one, 0.0, 1
    word = np.zeros((1, 1), np.uint64)
    calls: list[Callable[[], object]] = [
        lambda: kernels.lacking(word, 1, word[0]),
        lambda: kernels.restrict(unit, 0 * unit, index, np.ones(2), none, bit),
        lambda: kernels.add_rows(none.copy(), one, unit, 0, 1, 0, 1),
        lambda: kernels.factorize(unit.copy()),
        lambda: kernels.solve(unit, one),
        lambda: kernels.evaluate(*form, one),
        lambda: kernels.products(unit, unit),
        lambda: kernels.derivatives(unit, none, 1, unit, one, 0.1),
        lambda: kernels.minimize(*form, one, 0.0, 1, 0.1, True),
        lambda: kernels.bound(one, none, 0.0, 0.0, 1, one, unit, one, none, 0.0),
        lambda: kernels.probe(unit, none, 1, unit, one, one),
        lambda: kernels.without(*form, 0.0, one, unit, one, one, one, unit, unit, unit, 0.0),
    ]
    for call in calls:
        if monotonic() > deadline:
            return False
        _call(call)
    return True
