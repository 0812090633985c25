"""Points just beyond the kinks around a point: the nearest ones, those reached by few inputs, and those far beyond."""

from __future__ import annotations

import numpy as np

from lipc.ir import Floats

OVERSHOOT = 1e-3
"""Of a step, relatively: a point is a little beyond the kink, not on it."""


def crossings(x: Floats, values: Floats, slopes: Floats, lower: Floats, upper: Floats) -> Floats:
    """Return points of a box beyond kinks, as the linear piece at `x` sees them.

    Parameters
    ----------
    x, lower, upper
        Shape ``(n,)``: a point, and the sides of a box that holds it.
    values, slopes
        Shapes ``(k,)`` and ``(k, n)``: pre-activations at `x` and their gradients.

    Returns
    -------
    array of shape ``(points, n)``
        For each kink that the box reaches three points: the one beyond it that is nearest in l_inf, the one that is
        nearest in l_1, and the corner of the box that is farthest beyond it.
    """
    direction = -np.sign(np.where(values == 0, -1.0, values))[:, None] * np.sign(slopes)
    room = np.where(direction > 0, upper - x, x - lower)
    rates = np.abs(slopes)
    needed = np.abs(values) * (1 + OVERSHOOT) + np.finfo(np.float64).tiny
    reached = (rates * room).sum(axis=1) > needed
    direction, room, rates, needed = direction[reached], room[reached], rates[reached], needed[reached]
    steps = [np.minimum(room, _lengths(rates, room, needed)[:, None]), _greedy(rates, room, needed), room]
    return np.asarray(np.clip(x + np.concatenate([direction * step for step in steps]), lower, upper))


def _lengths(rates: Floats, room: Floats, needed: Floats) -> Floats:
    """Return for each row the least t with ``rates @ min(room, t)`` at what is needed."""
    order = np.argsort(room, axis=1)
    rates, room = np.take_along_axis(rates, order, 1), np.take_along_axis(room, order, 1)
    spent = np.cumsum(rates * room, axis=1) - rates * room  # by the inputs that have no more room
    left = np.cumsum(rates[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(over="ignore"):  # an input without a rate: as far as there is room
        lengths = (needed[:, None] - spent) / np.maximum(left, np.finfo(np.float64).tiny)
    first = np.argmax(lengths <= room, axis=1)
    return np.asarray(np.take_along_axis(np.minimum(lengths, room), first[:, None], 1)[:, 0])


def _greedy(rates: Floats, room: Floats, needed: Floats) -> Floats:
    """Return steps, shape ``(k, n)``, that use up the inputs of the largest rates first."""
    order = np.argsort(-rates, axis=1)
    rates, room = np.take_along_axis(rates, order, 1), np.take_along_axis(room, order, 1)
    spent = np.cumsum(rates * room, axis=1) - rates * room
    steps = np.empty_like(rates)
    with np.errstate(over="ignore"):  # an input without a rate: as far as there is room
        lengths = (needed[:, None] - spent) / np.maximum(rates, np.finfo(np.float64).tiny)
    np.put_along_axis(steps, order, np.clip(lengths, 0.0, room), 1)
    return steps
