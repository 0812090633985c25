"""Norms of inputs and outputs, and of Jacobians between them.

With perturbations measured in alpha and outputs in beta, the norm of a Jacobian J is the largest ``c' J v``, v in the
unit ball of alpha and c in that of the dual of beta (Jordan & Dimakis 2020, Theorem 1). It is attained at an extreme c:
a unit vector if beta is l_inf, a vector of signs if beta is l_1.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from lipc.ir.polytope import Floats

MOST_SIGNED = 12
"""Outputs up to which the best of all ``2^(m-1)`` signs is sought; with more of them, one that no flip improves."""

CLIMBS = 20
"""Rounds of a climb over signs; each improves the norm, and it ends after a few."""


class Norm(Enum):
    """What perturbations of the input, or changes of the output, are measured in."""

    LINF = "linf"
    L1 = "l1"
    L2 = "l2"

    @property
    def symbol(self) -> str:
        """Its name in prose, like ``l_inf``; the value is its name in options."""
        return f"l_{self.value[1:]}"

    def dual_of(self, gradients: Floats) -> Floats:
        """Return the dual norm of gradients, shape ``(..., n)``: l_1 for l_inf, l_inf for l_1, l_2 for l_2."""
        magnitudes = np.abs(gradients)
        if self is Norm.LINF:
            return np.asarray(magnitudes.sum(axis=-1))
        largest = np.asarray(magnitudes.max(axis=-1, initial=0.0))
        if self is Norm.L1:
            return largest
        scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)  # squares neither over- nor underflow
        return np.asarray(scale * np.sqrt(((magnitudes / scale[..., None]) ** 2).sum(axis=-1)))

    def direction_of(self, gradients: Floats) -> Floats:
        """Return v in the unit ball at which ``gradient @ v`` is the dual norm; shape ``(..., n)`` both."""
        signs = np.where(gradients < 0, -1.0, 1.0)
        if self is Norm.LINF:
            return signs
        if self is Norm.L1:
            chosen = np.abs(gradients).argmax(axis=-1)[..., None]
            return np.where(np.arange(gradients.shape[-1]) == chosen, signs, 0.0)
        length = self.dual_of(gradients)[..., None]
        return np.asarray(gradients / np.where(length > 0, length, 1.0))


def steepest(jacobian: Floats, norm: Norm, output_norm: Norm) -> Floats:
    """Return the extreme c at which the dual norm of ``c' J`` is largest.

    Parameters
    ----------
    jacobian
        Shape ``(m, n)``.
    norm, output_norm
        Of the inputs, and of the outputs: l_inf or l_1.

    Returns
    -------
    array of shape ``(m,)``
        A unit vector, or signs of which the first is positive; for more than `MOST_SIGNED` outputs maybe not the best.
    """
    outputs = len(jacobian)
    if output_norm is Norm.LINF:
        unit = np.zeros(outputs)
        unit[int(np.argmax(norm.dual_of(jacobian)))] = 1.0
        return unit
    if norm is Norm.L1 or outputs > MOST_SIGNED:
        return np.asarray(climb_signs(jacobian[None], norm)[0])
    rows = sign_rows(outputs)
    return np.asarray(rows[int(np.argmax(norm.dual_of(rows @ jacobian)))])


def sign_rows(size: int) -> Floats:
    """Return all vectors of signs whose first is positive, shape ``(2^(size-1), size)``."""
    codes = np.arange(2 ** (size - 1))[:, None] >> np.arange(size - 1)[None, :]
    return np.hstack([np.ones((len(codes), 1)), np.where(codes & 1, -1.0, 1.0)])


def climb_signs(jacobians: Floats, norm: Norm) -> Floats:
    """Return signs c, the first positive, at which the dual norm of ``c' J`` is large; for l_1 the largest.

    In turn, v is the best for c and c the best for v, from the steepest row on.

    Parameters
    ----------
    jacobians
        Shape ``(k, m, n)``.

    Returns
    -------
    array of shape ``(k, m)``
    """
    if norm is Norm.L1:  # the largest sum of a column
        chosen = np.abs(jacobians).sum(axis=1).argmax(axis=1)
        return _signs(np.take_along_axis(jacobians, chosen[:, None, None], axis=2)[:, :, 0])
    first = norm.dual_of(jacobians).argmax(axis=1)
    gradients = jacobians[np.arange(len(jacobians)), first]
    signs = np.zeros(jacobians.shape[:2])
    for _ in range(CLIMBS):
        before, signs = signs, _signs(np.einsum("kmn,kn->km", jacobians, norm.direction_of(gradients)))
        if (before == signs).all():
            break
        gradients = np.einsum("km,kmn->kn", signs, jacobians)
    return signs


def _signs(changes: Floats) -> Floats:
    """Return the signs of changes of the outputs, turned so that the first is positive: c and -c are as good."""
    signs = np.where(changes < 0, -1.0, 1.0)
    return np.asarray(signs * signs[:, :1])
