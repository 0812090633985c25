"""Relus of a maximum or minimum with a constant: a clip written as nested functions has neurons side by side too.

With ``w = r + p`` and ``r = relu(n)``, w is ``max(p, p + n)``; with ``w = p - r`` it is ``min(p, p - n)``. If one of
the two is a constant q, then ``relu(max(A, q)) = relu(A)`` for q < 0, and ``relu(min(A, q)) = relu(A) - relu(A - q)``
for q > 0, where ``A - q`` is n or -n. Either way w has the sign of A, and is 0 where A is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipc.ir import Affine, Builder, Floats, Kind, Matrix, Switch, as_dense, entries, identity
from lipc.passes.rewrite import add_exactly, diagonal_of, is_relu

Summand = tuple[float, int]
"""A factor and a value."""


def unnested(builder: Builder, value: int) -> tuple[int, list[Summand]]:
    """Return A and summands such that ``relu(value) = relu(A) + sum(factor * summand)``, and the two have one sign.

    A is the value itself, and there are no summands, if it is no such maximum or minimum.
    """
    summands: list[Summand] = []
    while True:
        step = _step(builder, value)
        if step is None:
            return value, summands
        value, more = step
        summands += more


@dataclass(frozen=True, eq=False)
class _Sum:
    """``sum(matrix @ value) + bias``."""

    terms: dict[int, Matrix]
    bias: Floats


def _step(builder: Builder, value: int) -> tuple[int, list[Summand]] | None:
    """Return A and the summands for the outermost relu that is in the way, `None` if there is none."""
    total = _sum_of(builder, value)
    for operand, matrix in total.terms.items():
        relu, sign = builder.ops[operand], _unit(matrix)
        if not sign or not isinstance(relu, Switch) or not is_relu(builder.ops, relu):
            continue
        rest = {other: each for other, each in total.terms.items() if other != operand}
        if rest:
            constant = _constant(rest, total.bias, sign, _sum_of(builder, relu.operand))
            larger = rest
            summands = [(-1.0, operand)]
        else:
            constant = total.bias
            larger = {relu.operand: sign * identity(builder.size(value))}
            summands = [(-1.0, operand), (1.0, relu.operand)]
        if constant is None or (sign * constant >= 0).any():
            continue
        found = _affine(builder, larger, total.bias, value)
        return found, summands if sign < 0 else []
    return None


def _constant(rest: dict[int, Matrix], bias: Floats, sign: float, inner: _Sum) -> Floats | None:
    """Return ``rest + bias + sign * inner``, right in its sign, if that is a constant."""
    if rest.keys() != inner.terms.keys():
        return None
    if any(abs(as_dense(matrix) + sign * as_dense(inner.terms[value])).any() for value, matrix in rest.items()):
        return None
    constant: Floats = bias + sign * inner.bias
    return constant


def _sum_of(builder: Builder, value: int) -> _Sum:
    """Return a value as a sum, seen through sums and differences of whole values as far as nothing is rounded."""
    op = builder.ops[value]
    if not isinstance(op, Affine):
        return _Sum({value: identity(op.size)}, np.zeros(op.size))
    total = _Sum({term.operand: term.matrix for term in op.terms}, op.bias)
    waiting = list(total.terms)
    while waiting:
        operand = waiting.pop()
        seen = _seen_through(builder, total, operand) if operand in total.terms else None
        if seen is not None:
            waiting += [each for each in seen.terms if each not in total.terms]
            total = seen
    return total


def _seen_through(builder: Builder, total: _Sum, operand: int) -> _Sum | None:
    """Return a sum with one operand replaced by what it is the sum of; `None` if that would round, or it is none."""
    op, sign = builder.ops[operand], _unit(total.terms[operand])
    if not sign or not isinstance(op, Affine) or not all(_unit(term.matrix) for term in op.terms):
        return None
    bias = add_exactly(total.bias[:, None], sign * op.bias[:, None])
    terms: dict[int, Matrix] = {other: matrix for other, matrix in total.terms.items() if other != operand}
    for term in op.terms:
        matrix: Matrix | None = sign * term.matrix
        if term.operand in terms and matrix is not None:
            matrix = add_exactly(terms[term.operand], matrix)
        if bias is None or matrix is None or builder.ops[term.operand].kind is Kind.BIT:
            return None
        terms[term.operand] = matrix
    if bias is None:
        return None
    return _Sum({other: matrix for other, matrix in terms.items() if entries(matrix)}, as_dense(bias)[:, 0])


def _unit(matrix: Matrix) -> float:
    """Return 1 or -1 if a matrix is that times the identity, else 0."""
    factors = diagonal_of(matrix)
    if factors is None or not len(factors) or abs(factors[0]) != 1 or (factors != factors[0]).any():
        return 0.0
    return float(factors[0])


def _affine(builder: Builder, terms: dict[int, Matrix], bias: Floats, like: int) -> int:
    """Append a sum, unless it is a value that there is."""
    if len(terms) == 1 and not bias.any():
        ((value, matrix),) = terms.items()
        if _unit(matrix) > 0:
            return value
    return builder.affine(terms, bias, builder.ops[like].origin)
