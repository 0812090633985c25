"""The largest spectral norm of ``A diag(s) B`` over slopes s within 0 and 1: it is convex in s, so s is 0 or 1."""

from __future__ import annotations

from time import monotonic

import numpy as np

from lipc.bounds.rounding import UNIT
from lipc.estimators.operator_norms import length, spectral_norm
from lipc.ir import Floats

MOST_OPEN = 3000
"""Choices of slopes that the search holds at a time; where more are open their bound is what is proven."""

MOST_ROUNDS = 100
"""Of the greedy search, which ends after a few."""

MARGIN = 1e-9
"""A maximum is said to be larger by this part, so that it can be proven."""


def greedy_norm(left: Floats, right: Floats, deadline: float = np.inf) -> tuple[float, bool]:
    """Return the norm that changing slopes one by one ends at, from all ones: at or below the maximum.

    Each change that makes the norm larger is kept at once (``optim_nn_pca_greedy`` of the authors' code).

    Returns
    -------
    float, bool
        The norm, and whether the search came to its end before the deadline.
    """
    slopes = np.ones(left.shape[1])
    matrix = left @ right
    norm = float(np.linalg.norm(matrix, 2))
    for _ in range(MOST_ROUNDS):
        before = norm
        for neuron in range(len(slopes)):
            if monotonic() > deadline:
                return norm, False
            tried = matrix + (1 - 2 * slopes[neuron]) * np.outer(left[:, neuron], right[neuron])
            found = float(np.linalg.norm(tried, 2))
            if found > norm:
                matrix, norm, slopes[neuron] = tried, found, 1 - slopes[neuron]
        if norm == before:
            break
    return norm, True


def largest_norm(left: Floats, right: Floats, deadline: float = np.inf) -> tuple[float, bool]:
    """Return a proven upper bound of the largest norm, and whether it is that up to `MARGIN`.

    Breadth first, neuron by neuron. With the slopes of F open, each ``1/2 + e/2`` with e within -1 and 1, the norm is
    at most that in the middle and half of ``|A_F| |B_F|``.

    Parameters
    ----------
    left, right
        A and B, shapes ``(k, n)`` and ``(n, l)``.
    deadline
        The time of `time.monotonic` at which to prove what is open by then.
    """
    trivial = spectral_norm(left) * spectral_norm(right) * (1 + 4 * UNIT)
    sizes = np.linalg.norm(left, axis=0) * np.linalg.norm(right, axis=1)
    order = np.argsort(-sizes)
    order = order[sizes[order] > 0]
    balance = np.sqrt(np.linalg.norm(right[order], axis=1) / np.linalg.norm(left[:, order], axis=0))
    left, right = left[:, order] * balance, right[order] / balance[:, None]
    if left.shape[0] > right.shape[1]:
        left, right = right.T, left.T
    target = greedy_norm(left, right, deadline)[0] * (1 + MARGIN)
    error = 4 * (len(order) + 8) * UNIT * float(np.linalg.norm(left) * np.linalg.norm(right))
    center = (0.5 * left @ right)[None]
    for depth in range(len(order)):
        half = 0.5 * np.outer(left[:, depth], right[depth])
        center = np.concatenate([center + half, center - half])
        open_left, open_right = left[:, depth + 1 :], right[depth + 1 :]
        radius = 0.5 * spectral_norm(open_left) * spectral_norm(open_right) * (1 + 4 * UNIT) + error
        center, reached = _open(center, target, radius)
        if depth == len(order) - 1 or len(center) > MOST_OPEN or monotonic() > deadline:
            bound = max(target, reached * (1 + MARGIN))
            remaining, _ = _open(center, bound, radius)
            exact = depth == len(order) - 1 and not len(remaining)
            return (bound, True) if exact else (trivial if len(remaining) else min(bound, trivial), False)
        if not len(center):
            break
    return min(target, trivial), True


def _open(center: Floats, target: float, radius: float) -> tuple[Floats, float]:
    """Return the matrices whose norm and radius are not proven to be within a target, and the largest sum of them."""
    if not len(center):
        return center, 0.0
    norms = np.linalg.norm(center, 2, axis=(1, 2))
    unclear = norms + radius > target * (1 - 0.1 * MARGIN)
    below = np.flatnonzero(~unclear)
    if len(below) and not _proven(center[below], target - radius):
        unclear[below] = True
    return center[unclear], float(norms[unclear].max(initial=0.0)) + radius


def _proven(matrices: Floats, target: float) -> bool:
    """Return whether factorizations prove that no norm is larger than a target (see `operator_norms`)."""
    if target <= 0:
        return False
    rows, columns = matrices.shape[1:]
    squares = float(length(matrices.reshape(len(matrices), -1)).max()) ** 2
    gram = matrices @ matrices.transpose(0, 2, 1)
    rounding = 2 * (columns + 4) * UNIT * squares + (rows + 16) * rows * UNIT * (target**2 + squares)
    try:
        np.linalg.cholesky((target**2 * (1 - 4 * UNIT) - rounding) * np.eye(rows) - gram)
    except np.linalg.LinAlgError:
        return False
    return True
