"""The size of a program, as passes change it."""

from __future__ import annotations

from dataclasses import dataclass

from lipc.ir import Conditional, Program
from lipc.passes.scale import coefficient_range


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
        The range of the absolute values of the matrices' nonzero entries; both 1 without any.
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


def _undecided(program: Program, value: int) -> int:
    known = program.bounds.get(value)
    return program.ops[value].size if known is None else int((known.lower < known.upper).sum())
