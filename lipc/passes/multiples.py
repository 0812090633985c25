"""Values that are multiples of others, entry by entry, known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipc.ir import Affine, Floats, Kind, Op
from lipc.passes.rewrite import add_exactly, diagonal_of

MOST_PARTS = 2
"""The floating-point sum of two numbers has the sign of their sum; that of more need not."""


@dataclass(frozen=True, eq=False)
class Multiple:
    """``sum(parts) * base``, entry by entry; no factor is 0.

    Parameters
    ----------
    base
        A value.
    parts
        Shapes ``(n,)``: one array, or two if their sum would be rounded (0.2 z - z).
    """

    base: int
    parts: tuple[Floats, ...]

    @property
    def negative(self) -> NDArray[np.bool_]:
        """Which factors are negative, shape ``(n,)``."""
        return np.asarray(np.sum(self.parts, axis=0) < 0)


class Multiples:
    """What each value of a growing list of operations is a multiple of: the earliest value, maybe itself."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self.ops = ops
        self.known: list[Multiple] = []

    def of(self, value: int) -> Multiple:
        """Return a value as a multiple."""
        while len(self.known) <= value:
            new = len(self.known)
            self.known.append(self._combination(self.ops[new]) or Multiple(new, (np.ones(self.ops[new].size),)))
        return self.known[value]

    def _combination(self, op: Op) -> Multiple | None:
        """Return a sum of multiples of one value as a multiple, `None` if it is no such sum, or 0 somewhere."""
        if not isinstance(op, Affine) or op.bias.any() or not op.terms:
            return None
        bases = {self.known[term.operand].base for term in op.terms}
        if len(bases) > 1 or any(self.ops[operand].kind is Kind.BIT for operand in op.operands):
            return None
        parts: list[Floats] = []
        for term in op.terms:
            factors = diagonal_of(term.matrix)
            for part in self.known[term.operand].parts:
                product = None if factors is None else _multiply_exactly(factors, part)
                if product is None:
                    return None
                _add(parts, product)
        if len(parts) > MOST_PARTS or not np.sum(parts, axis=0).all():
            return None
        return Multiple(bases.pop(), tuple(parts))


def _add(parts: list[Floats], summand: Floats) -> None:
    """Add a summand to the first part where that rounds nothing, else make it a part of its own."""
    for place, part in enumerate(parts):
        total = add_exactly(part[:, None], summand[:, None])
        if total is not None:
            parts[place] = np.asarray(total)[:, 0]
            return
    parts.append(summand)


def _multiply_exactly(left: Floats, right: Floats) -> Floats | None:
    """Return the entrywise product if it rounds nothing, else `None`."""
    with np.errstate(over="ignore", under="ignore"):
        product: Floats = left * right
    if not np.isfinite(product).all():
        return None
    triples = zip(product.tolist(), left.tolist(), right.tolist(), strict=True)
    exact = all(Fraction(p) == Fraction(a) * Fraction(b) for p, a, b in triples)
    return product if exact else None
