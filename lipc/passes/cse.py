"""Common subexpressions: what is computed twice is computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from lipc.ir import Affine, Conditional, Input, Matrix, Op, Program
from lipc.passes.base import Pass, PassResult
from lipc.passes.rewrite import Rewriter, bits_of_relus


@dataclass(frozen=True)
class CommonSubexpressionElimination(Pass):
    """Make identical operations one: same kind, same operands, equal constants.

    Inputs never merge, for each is a choice of its own. So is each bit where its operand is 0, but relus do not depend
    on it: two conditionals of one value become one if relus alone read either. Patterns go in which the bits differ,
    none of which has a region with an interior. Where one affine map reads two values that become one, their matrices
    are added if that rounds nothing.
    """

    name: ClassVar[str] = "cse"
    exact: ClassVar[bool] = True

    def apply(self, program: Program) -> PassResult:
        """Return the program in which no operation stands twice."""
        rewriter = Rewriter(program)
        seen: dict[tuple[object, ...], list[int]] = {}
        of_relus = bits_of_relus(program)
        chosen_freely: set[int] = set()
        for value, op in enumerate(program.ops):
            if isinstance(op, Input):
                rewriter.copy(value)
                continue
            renumbered = rewriter.renumbered(op)
            alike = seen.setdefault(_key(renumbered), [])
            ops = rewriter.builder.ops
            same = next((other for other in alike if _same_matrices(ops[other], renumbered)), None)
            if isinstance(op, Conditional) and value not in of_relus:
                same = None if same in chosen_freely else same
            if same is None:
                same = rewriter.builder.append(renumbered)
                alike.append(same)
            if value not in of_relus:
                chosen_freely.add(same)
            rewriter.place(value, same)
        return rewriter.finish()


def _key(op: Op) -> tuple[object, ...]:
    """Return what identical operations have in common, and cheap to compare: all but their matrices."""
    if isinstance(op, Affine):
        return (Affine, tuple(sorted(op.operands)), (op.bias + 0.0).tobytes())  # -0.0 is 0.0
    return (type(op), op.operands)


def _same_matrices(left: Op, right: Op) -> bool:
    """Return whether two operations of one key read the same matrices, whatever the order of the terms."""
    if not (isinstance(left, Affine) and isinstance(right, Affine)):
        return True
    matrices = {term.operand: term.matrix for term in right.terms}
    return all(_same(term.matrix, matrices[term.operand]) for term in left.terms)


def _same(left: Matrix, right: Matrix) -> bool:
    """Return whether two matrices of one shape are equal and stored alike."""
    if isinstance(left, csr_array) and isinstance(right, csr_array):
        return all(np.array_equal(getattr(left, part), getattr(right, part)) for part in ("indptr", "indices", "data"))
    if isinstance(left, csr_array) or isinstance(right, csr_array):
        return False
    return bool(np.array_equal(left, right))
