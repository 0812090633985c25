"""Between a network as asked and the columns of the mixed-integer program it was compiled to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lipc.certify import Bits, Conflict
from lipc.compiler import Compiled
from lipc.evidence import FREE
from lipc.ir import Choices, Conditional, Floats, Program, evaluate
from lipc.mip import NoGood, bit_columns, choices_of, columns_of
from lipc.passes.run import Trail


class BitMap:
    """Which bits of a network are which columns of a program that passes made of it.

    Parameters
    ----------
    asked
        The network.
    trail
        From the network to the program.
    columns
        For values of the program, their columns.

    Attributes
    ----------
    codes
        What became of each bit of the network, by conditional: `FREE` + its column, or 1 minus that if the bit is 1
        minus the column; 0 or 1 if bounds decided it, NaN if it does not matter.
    relevant
        For each conditional, which of its bits are columns.
    """

    def __init__(self, asked: Program, trail: Trail, columns: Mapping[int, NDArray[np.int64]]) -> None:
        self.asked, self.trail = asked, trail
        self.input, self.domain = asked.network_input()
        recovered = trail.recover({value: places.astype(np.float64) + FREE for value, places in columns.items()})
        self.codes: dict[int, Floats] = {
            value: recovered.get(value, np.full(asked.ops[value].size, np.nan)) for value in asked.find(Conditional)
        }
        self.relevant: Bits = {value: (codes >= FREE) | (codes < 0) for value, codes in self.codes.items()}

    def recover(self, choices: Choices) -> dict[int, Floats]:
        """Return the input and the bits of the network in choices of the program; NaN for bits that do not matter."""
        recovered = self.trail.recover(choices)
        return {**{value: np.full(len(codes), np.nan) for value, codes in self.codes.items()}, **recovered}

    def bits(self, choices: dict[int, Floats]) -> dict[int, NDArray[np.bool_]]:
        """Return a whole pattern: bits that do not matter are those at the input of the choices."""
        at_x = self._settled(self.domain.clip(choices[self.input]))
        return {value: np.where(np.isnan(choices[value]), at_x[value], choices[value]) > 0.5 for value in self.codes}

    def _at(self, x: Floats) -> dict[int, Floats]:
        """Return the choices of the network at a point."""
        values = evaluate(self.asked, {self.input: x[None, :]})
        return {value: values[value][0] for value in (self.input, *self.codes)}

    def _settled(self, x: Floats) -> dict[int, Floats]:
        """Return the choices at a point, or on a kink of neurons that became one such that their bits fit together.

        Of relu(x) - relu(-x) no bit is left when the compiler is done, but not any two of them give x.
        """
        stages = [self._at(x)]
        for step in self.trail.steps:
            stages.append(step.result.extend(stages[-1]))
        settled = stages.pop()
        for step, stage in zip(reversed(self.trail.steps), reversed(stages), strict=True):
            recovered = step.result.recover(settled)
            settled = dict(stage)
            for value in recovered.keys() & stage.keys():
                settled[value] = np.where(np.isnan(recovered[value]), stage[value], recovered[value])
        return settled

    def conflict_cut(self, conflict: Conflict) -> NoGood | None:
        """Return the cut that excludes bits which cannot hold together.

        `None` if they are not all known, or if no solution has them: two of them are one column.
        """
        columns: list[NDArray[np.int64]] = []
        ones: list[NDArray[np.bool_]] = []
        for value, (entries, bits) in conflict.bits.items():
            codes = self.codes[value][entries]
            if np.isnan(codes).any():
                return None
            free = self.relevant[value][entries]
            if (codes[~free] != bits[~free]).any():
                return None
            _append(columns, ones, codes[free], bits[free])
        return _no_good(columns, ones)

    def pattern_cut(self, choices: dict[int, Floats]) -> NoGood:
        """Return the cut that excludes exactly the bits of a solution."""
        columns: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        ones: list[NDArray[np.bool_]] = [np.zeros(0, bool)]
        for value, codes in self.codes.items():
            free = self.relevant[value]
            _append(columns, ones, codes[free], choices[value][free] > 0.5)
        cut = _no_good(columns, ones)
        assert cut is not None, "bits of one solution agree"
        return cut


class Correspondence(BitMap):
    """Reads solutions as activation patterns, and writes points and patterns as columns."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        super().__init__(compiled.asked, compiled.trail, bit_columns(compiled.mip))

    def choices(self, columns: Floats) -> dict[int, Floats]:
        """Return the input and the bits of the network in a solution; NaN for bits that do not matter."""
        return self.recover(choices_of(self.compiled.mip, columns))

    def columns_at(self, x: Floats) -> Floats | None:
        """Return the columns at a point of the domain, shape ``(columns,)``; `None` if they are not all known."""
        extended = self.trail.extend(self._at(x))
        if any(np.isnan(array).any() for array in extended.values()):
            return None
        program = self.compiled.program
        return columns_of(self.compiled.mip, program, evaluate(program, extended))


def _append(
    columns: list[NDArray[np.int64]], ones: list[NDArray[np.bool_]], codes: Floats, bits: NDArray[np.bool_]
) -> None:
    """Append the columns that codes stand for, and which of them are 1 where the bits are as given."""
    flipped = codes < 0
    columns.append(np.where(flipped, 1 - codes, codes).astype(np.int64) - FREE)
    ones.append(bits ^ flipped)


def _no_good(columns: list[NDArray[np.int64]], ones: list[NDArray[np.bool_]]) -> NoGood | None:
    """Return the cut with each column once; `None` if one would have to be 0 and 1."""
    every, first = np.unique(np.concatenate(columns), return_index=True)
    values = np.concatenate(ones)
    if (values != values[first][np.searchsorted(every, np.concatenate(columns))]).any():
        return None
    return NoGood(every, values[first])
