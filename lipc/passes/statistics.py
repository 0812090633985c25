"""The size of a program, as passes change it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from lipc.ir import Affine, Conditional, Program


@dataclass(frozen=True)
class Statistics:
    """Counts of one program.

    Parameters
    ----------
    ops
        Operations.
    entries
        Entries of all values.
    unstable
        Bits of conditionals that the program's bounds do not decide.
    smallest, largest
        The range of the absolute values of the matrices' nonzero entries; both 0 without any.
    """

    ops: int
    entries: int
    unstable: int
    smallest: float
    largest: float

    @staticmethod
    def of(program: Program) -> Statistics:
        """Return the counts of a program."""
        smallest, largest = coefficient_range(program)
        unstable = sum(_undecided(program, value) for value in program.find(Conditional))
        return Statistics(len(program.ops), sum(op.size for op in program.ops), unstable, smallest, largest)


def coefficient_range(program: Program) -> tuple[float, float]:
    """Return the least and the largest absolute value of the matrices' nonzero entries; zeros if there is none."""
    smallest, largest = np.inf, 0.0
    for op in program.ops:
        for term in op.terms if isinstance(op, Affine) else ():
            numbers = np.abs(term.matrix.data if isinstance(term.matrix, csr_array) else term.matrix)
            smallest = min(smallest, float(numbers.min(initial=np.inf, where=numbers > 0)))
            largest = max(largest, float(numbers.max(initial=0.0)))
    return (smallest, largest) if largest else (0.0, 0.0)


def _undecided(program: Program, value: int) -> int:
    known = program.bounds.get(value)
    return program.ops[value].size if known is None else int((known.lower < known.upper).sum())
