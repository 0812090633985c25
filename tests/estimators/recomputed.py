"""The numbers of the estimators anew, for chains of layers over boxes, in plain numpy: shares no code with lipc.

Nothing is rounded outward here, so that a number agrees with lipc's up to rounding, from either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Floats: TypeAlias = NDArray[np.float64]
Box: TypeAlias = tuple[Floats, Floats]


@dataclass(frozen=True)
class Net:
    """``weights[k]`` of shape (outputs, inputs), the last with the functional multiplied in: one output."""

    weights: Sequence[Floats]
    biases: Sequence[Floats]
    box: Box

    @property
    def hidden(self) -> int:
        return len(self.weights) - 1


def dual(magnitudes: Floats, norm: str) -> float:
    return float({"linf": magnitudes.sum, "l1": magnitudes.max, "l2": lambda: np.linalg.norm(magnitudes)}[norm]())


def mapped(matrix: Floats, box: Box, bias: Floats | float = 0.0) -> Box:
    positive, negative = np.maximum(matrix, 0), np.minimum(matrix, 0)
    low, high = box
    return positive @ low + negative @ high + bias, positive @ high + negative @ low + bias


def decided(sums: Box) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which neurons are on, and which off: those that are 0 everywhere too."""
    return (sums[0] >= 0) & (sums[1] > 0), sums[1] <= 0


def interval_sums(net: Net) -> list[Box]:
    """Bounds of the pre-activations of every hidden layer."""
    found, box = [], net.box
    for weight, bias in zip(net.weights[:-1], net.biases[:-1], strict=True):
        found.append(mapped(weight, box, bias))
        box = np.maximum(found[-1][0], 0), np.maximum(found[-1][1], 0)
    return found


def crown_sums(net: Net) -> list[Box]:
    """The same by backward substitution (CROWN with adaptive slopes), met with intervals."""
    found: list[Box] = []
    box = net.box
    for layer in range(net.hidden):
        low, high = mapped(net.weights[layer], box, net.biases[layer])
        unit = np.eye(len(low))
        above, below = _crown(net, found, unit, layer), -_crown(net, found, -unit, layer)
        unclear = (low < 0) & (high > 0)
        low, high = np.where(unclear, np.maximum(low, below), low), np.where(unclear, np.minimum(high, above), high)
        found.append((low, high))
        box = np.maximum(low, 0), np.maximum(high, 0)
    return found


def _crown(net: Net, sums: list[Box], rows: Floats, layer: int) -> Floats:
    """Upper bounds of ``rows @ z``, z the pre-activations of a layer."""
    constant = np.zeros(len(rows))
    for each in range(layer, -1, -1):
        constant = constant + rows @ net.biases[each]
        rows = rows @ net.weights[each]
        if each:
            low, high = sums[each - 1]
            unclear = (low < 0) & (high > 0)
            width = np.where(unclear, high - low, 1.0)
            steep = np.where(unclear, high / width, low >= 0)
            offset = np.where(unclear, -low * high / width, 0.0)
            flat = np.where(unclear, high > -low, low >= 0)
            constant = constant + np.maximum(rows, 0) @ offset
            rows = np.maximum(rows, 0) * steep + np.minimum(rows, 0) * flat
    return constant + np.maximum(rows, 0) @ net.box[1] + np.minimum(rows, 0) @ net.box[0]


def switched(box: Box, sums: Box) -> Box:
    """Bounds of an adjoint times the bits of a layer."""
    low, high = box
    on, off = decided(sums)
    return (
        np.where(on, low, np.where(off, 0.0, np.minimum(low, 0))),
        np.where(on, high, np.where(off, 0.0, np.maximum(high, 0))),
    )


def fastlip(net: Net, norm: str, *, linear: bool = False) -> float:
    sums = crown_sums(net) if linear else interval_sums(net)
    box = net.weights[-1][0], net.weights[-1][0]
    for layer in range(net.hidden - 1, -1, -1):
        box = mapped(net.weights[layer].T, switched(box, sums[layer]))
    return dual(np.maximum(-box[0], box[1]), norm)


class Backwards:
    """Bounds of the adjoints of all layers, each by substitution of those behind it."""

    def __init__(self, net: Net, *, hull: bool) -> None:
        self.net, self.hull, self.sums = net, hull, crown_sums(net)
        self.boxes: dict[int, Box] = {net.hidden - 1: (net.weights[-1][0], net.weights[-1][0])}
        for layer in range(net.hidden - 2, -2, -1):  # -1: the gradient itself
            low, high = mapped(net.weights[layer + 1].T, switched(self.boxes[layer + 1], self.sums[layer + 1]))
            unit = np.eye(len(low))
            above, below = self.upper(unit, layer), -self.upper(-unit, layer)
            tight = np.maximum(low, below), np.minimum(high, above)
            if layer >= 0:  # where bits are decided nobody needs a bound
                open_ = (self.sums[layer][0] < 0) & (self.sums[layer][1] > 0)
                tight = np.where(open_, tight[0], low), np.where(open_, tight[1], high)
            self.boxes[layer] = tight

    def upper(self, rows: Floats, layer: int) -> Floats:
        """Upper bounds of ``rows @ adjoint`` of a layer."""
        constant = np.zeros(len(rows))
        for each in range(layer + 1, self.net.hidden):
            rows = rows @ self.net.weights[each].T
            (low, high), sums = self.boxes[each], self.sums[each]
            on, off = decided(sums)
            mixed = (low < 0) & (high > 0)
            width = np.where(mixed, high - low, 1.0)
            up = np.where(mixed, high / width if self.hull else 0.0, high > 0)
            up_offset = np.where(mixed, -low * high / width if self.hull else high, 0.0)
            down = np.where(mixed, -low / width if self.hull else 0.0, low < 0)
            down_offset = np.where(mixed, low * high / width if self.hull else low, 0.0)
            up, down = (np.where(on, 1.0, np.where(off, 0.0, slope)) for slope in (up, down))
            up_offset, down_offset = (np.where(on | off, 0.0, offset) for offset in (up_offset, down_offset))
            positive, negative = np.maximum(rows, 0), np.minimum(rows, 0)
            constant = constant + positive @ up_offset + negative @ down_offset
            rows = positive * up + negative * down
        return np.asarray(constant + rows @ self.net.weights[-1][0])


def recurjac(net: Net, norm: str) -> float:
    low, high = Backwards(net, hull=False).boxes[-1]
    return dual(np.maximum(-low, high), norm)


def jacobian_crown(net: Net, norm: str) -> float:
    found = Backwards(net, hull=True)
    low, high = found.boxes[-1]
    entrywise = dual(np.maximum(-low, high), norm)
    if norm != "linf":
        return entrywise
    # |g| below its chord, then the sum as one row
    mixed = (low < 0) & (high > 0)
    width = np.where(mixed, high - low, 1.0)
    slope = np.where(mixed, (high + low) / width, np.where(low >= 0, 1.0, -1.0))
    offset = np.where(mixed, -2 * low * high / width, 0.0)
    whole = float(found.upper(slope[None], -1)[0] + offset.sum())
    return min(entrywise, whole)


def zlip(net: Net, norm: str) -> float:
    """Deep zonotopes forwards, slope 1/2 backwards, the l_1 norm by a zonotope of magnitudes."""
    low, high = net.box
    center, spread = (low + high) / 2, np.diag((high - low) / 2)
    sums: list[Box] = []
    for weight, bias, known in zip(net.weights[:-1], net.biases[:-1], interval_sums(net), strict=True):
        center, spread = weight @ center + bias, weight @ spread
        radius = np.abs(spread).sum(axis=1)
        low, high = center - radius, center + radius
        (on, off), (surely_on, surely_off) = decided((low, high)), decided(known)
        low = np.where(surely_on & ~on, 0.0, low)
        high = np.where(surely_off & ~off, 0.0, np.where(surely_on, np.maximum(high, 1e-300), high))
        sums.append((low, high))
        mixed = (low < 0) & (high > 0)
        width = np.where(mixed, high - low, 1.0)
        slope = np.where(mixed, high / width, low >= 0)
        half = np.where(mixed, -low * high / width / 2, 0.0)
        center, spread = slope * center + half, np.hstack([slope[:, None] * spread, np.diag(half)])
    center, spread = net.weights[-1][0], np.zeros((net.weights[-1].shape[1], 0))
    for layer in range(net.hidden - 1, -1, -1):
        radius = np.abs(spread).sum(axis=1)
        reach = np.maximum(np.abs(center - radius), np.abs(center + radius))
        on, off = decided(sums[layer])
        slope = np.where(on, 1.0, np.where(off, 0.0, 0.5))
        half = np.where(on | off, 0.0, reach / 2)
        center, spread = slope * center, np.hstack([slope[:, None] * spread, np.diag(half)])
        center, spread = net.weights[layer].T @ center, net.weights[layer].T @ spread
    radius = np.abs(spread).sum(axis=1)
    low, high = center - radius, center + radius
    entrywise = dual(np.maximum(-low, high), norm)
    if norm != "linf":
        return entrywise
    mixed = (low < 0) & (high > 0)
    width = np.where(mixed, high - low, 1.0)
    slope = np.where(mixed, (high + low) / width, np.where(low >= 0, 1.0, -1.0))
    half = np.where(mixed, high * (1 - slope) / 2, 0.0)
    whole = float((slope * center + half).sum() + np.abs(slope @ spread).sum() + half.sum())
    return min(entrywise, whole)


def liplp(net: Net) -> float:
    """The relaxation of the authors' program for l_inf: reverse mode, interval bounds."""
    problem = _Rows()
    sums = interval_sums(net)
    values = problem.columns(*net.box)
    bits = []
    for weight, bias, (low, high) in zip(net.weights[:-1], net.biases[:-1], sums, strict=True):
        z = problem.columns(low, high)
        problem.equal([(z, np.eye(len(low))), (values, -weight)], bias)
        a = problem.columns(decided((low, high))[0].astype(float), (high > 0).astype(float))
        values = problem.columns(np.maximum(low, 0), np.maximum(high, 0))
        eye = np.eye(len(low))
        problem.at_most([(z, eye), (values, -eye)], 0.0)
        problem.at_most([(values, eye), (a, -np.diag(np.maximum(high, 0)))], 0.0)
        problem.at_most([(values, eye), (z, -eye), (a, -np.diag(np.minimum(low, 0)))], -np.minimum(low, 0))
        bits.append(a)
    box = net.weights[-1][0], net.weights[-1][0]
    y = problem.columns(*box)
    for layer in range(net.hidden - 1, -1, -1):
        through = switched(box, sums[layer])
        s = problem.columns(*through)
        (low, high), eye, a = box, np.eye(len(box[0])), bits[layer]
        problem.at_most([(s, eye), (a, -np.diag(high))], 0.0)
        problem.at_most([(s, -eye), (a, np.diag(low))], 0.0)
        problem.at_most([(y, eye), (s, -eye), (a, np.diag(high))], high)
        problem.at_most([(y, -eye), (s, eye), (a, -np.diag(low))], -low)
        box = mapped(net.weights[layer].T, through)
        y = problem.columns(*box)
        problem.equal([(y, np.eye(len(box[0]))), (s, -net.weights[layer].T)], 0.0)
    low, high = box
    t = problem.columns(np.zeros(len(low)), np.maximum(-low, high))
    mixed = (low < 0) & (high > 0)
    width = np.where(mixed, high - low, 1.0)
    slope = np.where(mixed, (high + low) / width, np.where(low >= 0, 1.0, -1.0))
    problem.at_most([(t, np.eye(len(low))), (y, -np.diag(slope))], np.where(mixed, -2 * low * high / width, 0.0))
    return problem.maximum(t)


class _Rows:
    """A linear program, row by row."""

    def __init__(self) -> None:
        self.low: list[float] = []
        self.high: list[float] = []
        self.rows: list[tuple[list[tuple[NDArray[np.int64], Floats]], Floats, bool]] = []

    def columns(self, low: Floats, high: Floats) -> NDArray[np.int64]:
        first = len(self.low)
        self.low += list(low)
        self.high += list(high)
        return np.arange(first, len(self.low))

    def equal(self, terms: list[tuple[NDArray[np.int64], Floats]], side: Floats | float) -> None:
        self.rows.append((terms, np.broadcast_to(side, (len(terms[0][1]),)), True))

    def at_most(self, terms: list[tuple[NDArray[np.int64], Floats]], side: Floats | float) -> None:
        self.rows.append((terms, np.broadcast_to(side, (len(terms[0][1]),)), False))

    def maximum(self, columns: NDArray[np.int64]) -> float:
        cost = np.zeros(len(self.low))
        cost[columns] = -1.0
        parts = {}
        for equal in (True, False):
            chosen = [(terms, side) for terms, side, is_equal in self.rows if is_equal == equal]
            matrix = np.zeros((sum(len(side) for _, side in chosen), len(self.low)))
            first = 0
            for terms, side in chosen:
                for at, block in terms:
                    matrix[first : first + len(side), at] += block
                first += len(side)
            parts[equal] = matrix, np.concatenate([side for _, side in chosen])
        found = linprog(
            cost,
            A_ub=parts[False][0],
            b_ub=parts[False][1],
            A_eq=parts[True][0],
            b_eq=parts[True][1],
            bounds=list(zip(self.low, self.high, strict=True)),
            method="highs",
        )
        assert found.status == 0
        return float(-found.fun)
