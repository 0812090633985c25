"""What a pass is: a program in, an equivalent program out, and the way back for a solution.

A pass is a frozen dataclass; its fields are its options and its command-line syntax (``bounds{method=linear}``).
The contract: valid IR in, valid IR out, the same optimum, and every optimal solution of the new program can be turned
into one of the old. The pipeline verifies the program after each pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lipc.ir import Choices, Conditional, Floats, Input, Program


@dataclass(frozen=True, eq=False)
class Source:
    """Where the entries of an input or conditional of the old program are found in the new one.

    Parameters
    ----------
    values
        Shape ``(n,)``: the values of the new program; without meaning where no entry is taken.
    take
        Shape ``(n,)``: entry ``i`` of the old value is entry ``take[i]`` of ``values[i]``; -1: it is a constant.
    constant
        Shape ``(n,)``: that constant; NaN where the entry does not matter to the result. Of entries that are one entry
        of the new program, and do not matter there, none matters as long as they fit together.
    flip
        Shape ``(n,)``: where set, the old bit is 1 minus the new one. Never set for a constant.
    """

    values: NDArray[np.int64]
    take: NDArray[np.int64]
    constant: Floats
    flip: NDArray[np.bool_]

    @staticmethod
    def of(value: int, take: NDArray[np.int64], constant: Floats) -> Source:
        """Return the source of entries that one value holds, none of them flipped."""
        return Source(np.full(len(take), value), take, constant, np.zeros(len(take), bool))

    @staticmethod
    def whole(value: int, size: int, flip: NDArray[np.bool_] | None = None) -> Source:
        """Return the source of a value that was kept whole."""
        flipped = np.zeros(size, bool) if flip is None else flip
        return Source(np.full(size, value), np.arange(size), np.full(size, np.nan), flipped)

    def renumbered(self, new_values: Mapping[int, int]) -> Source:
        """Return where the entries are after values were renumbered; those of values that went do not matter."""
        values, take = self.values.copy(), self.take.copy()
        for value, held in self.parts:
            values[held] = new_values.get(value, -1)
            take[held] = self.take[held] if value in new_values else -1
        return Source(values, take, self.constant, self.flip & (take >= 0))

    @cached_property
    def parts(self) -> tuple[tuple[int, NDArray[np.int64]], ...]:
        """Each value of the new program that holds entries, with the old entries that it holds."""
        held = np.flatnonzero(self.take >= 0)
        values = self.values[held]
        return tuple((value, held[values == value]) for value in np.unique(values).tolist())

    def recover(self, choices: Choices) -> Floats:
        """Return the old entries, shape ``(n,)``, from choices of the new program; NaN where those lack the value."""
        entries: Floats = self.constant.copy()
        for value, held in self.parts:
            if value in choices:
                new = np.asarray(choices[value]).reshape(-1)[self.take[held]]
                entries[held] = np.where(self.flip[held], 1.0 - new, new)
        return entries

    def extend(self, old: Floats, new: dict[int, Floats], program: Program) -> None:
        """Write the old entries into choices of the new program; what is there already stays.

        Parameters
        ----------
        old
            Shape ``(n,)``.
        new
            Choices of the new program so far, NaN where an entry is not known.
        program
            The new program, for the sizes of its values.
        """
        given = np.asarray(old).reshape(-1)
        entries: Floats = np.where(self.flip, 1.0 - given, given)
        for value, held in self.parts:
            known = new.setdefault(value, np.full(program.ops[value].size, np.nan))
            open_entries = held[np.isnan(known[self.take[held]])]
            known[self.take[open_entries]] = entries[open_entries]


@dataclass(frozen=True, eq=False)
class PassResult:
    """A new program and the correspondence of its choices (inputs and conditionals) to those of the old one.

    Parameters
    ----------
    program
        The new program.
    sources
        For every input and conditional of the old program that still matters, where its entries went.
    complete
        From choices of the new program that come from the old one, all of them: fills inputs that the pass added.
    """

    program: Program
    sources: Mapping[int, Source]
    complete: Callable[[dict[int, Floats]], dict[int, Floats]] = dict

    def recover(self, choices: Choices) -> dict[int, Floats]:
        """Return choices of the old program, arrays of shape ``(n,)``, NaN where they do not matter."""
        return {value: source.recover(choices) for value, source in self.sources.items()}

    def extend(self, choices: Choices) -> dict[int, Floats]:
        """Return choices of the new program for which it computes at least what the old one did.

        Bits that are one bit in the new program (see `merge-duplicates`) must be consistent, as those at a point are
        unless it lies on a kink; where they are not, the first is taken.
        """
        ops = self.program.ops
        # Inputs without entries are choices, too, which no source writes.
        extended: dict[int, Floats] = {value: np.empty(0) for value in self.program.find(Input) if not ops[value].size}
        for value, source in self.sources.items():
            if value in choices:
                source.extend(choices[value], extended, self.program)
        return self.complete(extended)


def kept_whole(program: Program, new_values: Mapping[int, int] | None = None) -> dict[int, Source]:
    """Return the sources of the inputs and conditionals that a pass only renumbered, or left where they were."""
    if new_values is None:
        new_values = {value: value for value in range(len(program.ops))}
    return {
        value: Source.whole(new_values[value], op.size)
        for value, op in enumerate(program.ops)
        if isinstance(op, Input | Conditional) and value in new_values
    }


class Pass(ABC):
    """A transformation of programs; subclasses are frozen dataclasses."""

    name: ClassVar[str]

    exact: ClassVar[bool] = False
    """Whether the pass computes no number anew, or without rounding: then a bound of the new program's optimum is a
    rigorous bound of the answer to the old one. A pass that says nothing is not trusted."""

    @abstractmethod
    def apply(self, program: Program) -> PassResult:
        """Return the new program and how choices correspond."""
