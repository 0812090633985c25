"""Between a network as asked and the columns of the mixed-integer program it was compiled to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipc.certify import Bits, Conflict
from lipc.compiler import Compiled
from lipc.ir import Conditional, Floats, evaluate
from lipc.mip import NoGood, Role, choices_of, columns_of

FREE = 2
"""Codes of bits from here on are columns; 0 and 1 are decided bits."""


class Correspondence:
    """Reads solutions as activation patterns, and writes points and patterns as columns.

    Attributes
    ----------
    codes
        What became of each bit of the network, by conditional: `FREE` + its column, 0 or 1 if bounds decided it, NaN if
        it does not matter.
    relevant
        For each conditional, which of its bits are columns.
    """

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.input, self.domain = compiled.asked.network_input()
        columns = {
            block.value: np.arange(block.start, block.start + len(block.entries), dtype=np.float64) + FREE
            for block in compiled.mip.columns
            if block.role in (Role.BIT, Role.INPUT)
        }
        recovered = compiled.recover(columns)
        self.codes: dict[int, Floats] = {value: recovered[value] for value in compiled.asked.find(Conditional)}
        self.relevant: Bits = {value: codes >= FREE for value, codes in self.codes.items()}

    def choices(self, columns: Floats) -> dict[int, Floats]:
        """Return the input and the bits of the network in a solution; NaN for bits that do not matter."""
        return self.compiled.recover(choices_of(self.compiled.mip, columns))

    def bits(self, choices: dict[int, Floats]) -> dict[int, NDArray[np.bool_]]:
        """Return a whole pattern: bits that do not matter are those at the input of the choices."""
        x = self.domain.clip(choices[self.input])
        at_x = evaluate(self.compiled.asked, {self.input: x[None, :]})
        return {value: np.where(np.isnan(choices[value]), at_x[value][0], choices[value]) > 0.5 for value in self.codes}

    def columns_at(self, x: Floats) -> Floats | None:
        """Return the columns at a point of the domain, shape ``(columns,)``; `None` if they are not all known."""
        values = evaluate(self.compiled.asked, {self.input: x[None, :]})
        choices = {value: values[value][0] for value in (self.input, *self.codes)}
        extended = self.compiled.lowered.extend(self.compiled.reduced.extend(choices))
        if any(np.isnan(array).any() for array in extended.values()):
            return None
        program = self.compiled.program
        return columns_of(self.compiled.mip, program, evaluate(program, extended))

    def conflict_cut(self, conflict: Conflict) -> NoGood | None:
        """Return the cut that excludes bits which cannot hold together; `None` if they are not all known."""
        columns: list[NDArray[np.int64]] = []
        ones: list[NDArray[np.bool_]] = []
        for value, (entries, bits) in conflict.bits.items():
            codes = self.codes[value][entries]
            if np.isnan(codes).any():
                return None
            free = codes >= FREE
            if (codes[~free] != bits[~free]).any():
                return None
            columns.append(codes[free].astype(np.int64) - FREE)
            ones.append(bits[free])
        return NoGood(np.concatenate(columns), np.concatenate(ones))

    def pattern_cut(self, choices: dict[int, Floats]) -> NoGood:
        """Return the cut that excludes exactly the bits of a solution."""
        columns: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        ones: list[NDArray[np.bool_]] = [np.zeros(0, bool)]
        for value, codes in self.codes.items():
            free = self.relevant[value]
            columns.append(codes[free].astype(np.int64) - FREE)
            ones.append(choices[value][free] > 0.5)
        return NoGood(np.concatenate(columns), np.concatenate(ones))
