"""What a pass is: a program in, an equivalent program out, and the way back for a solution.

A pass is a frozen dataclass; its fields are its options and its command-line syntax (``bounds{method=linear}``).
The contract: valid IR in, valid IR out, the same optimum, and every optimal solution of the new program can be turned
into one of the old. The pipeline verifies the program after each pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lipc.ir import Choices, Conditional, Floats, Input, Program


@dataclass(frozen=True, eq=False)
class Source:
    """Where the entries of an input or conditional of the old program are found in the new one.

    Parameters
    ----------
    value
        The value of the new program; without meaning where no entry is taken.
    take
        Shape ``(n,)``: entry ``i`` of the old value is entry ``take[i]`` of the new one; -1: it is a constant.
    constant
        Shape ``(n,)``: that constant; NaN where the entry does not matter to the result.
    """

    value: int
    take: NDArray[np.int64]
    constant: Floats

    @staticmethod
    def whole(value: int, size: int) -> Source:
        """Return the source of a value that was kept whole."""
        return Source(value, np.arange(size), np.full(size, np.nan))

    def recover(self, choices: Choices) -> Floats:
        """Return the old entries, shape ``(n,)``, from choices of the new program; NaN where those lack the value."""
        taken = self.take >= 0
        entries = self.constant.copy()
        if self.value in choices:
            entries[taken] = np.asarray(choices[self.value]).reshape(-1)[self.take[taken]]
        return entries

    def extend(self, old: Floats, size: int) -> Floats:
        """Return the entries of the new value, shape ``(size,)``, from the old ones."""
        taken = self.take >= 0
        entries = np.full(size, np.nan)
        entries[self.take[taken]] = np.asarray(old).reshape(-1)[taken]
        return entries


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
        """Return choices of the new program for which it computes at least what the old one did."""
        extended = {
            source.value: source.extend(np.asarray(choices[value]), self.program.ops[source.value].size)
            for value, source in self.sources.items()
            if value in choices and (source.take >= 0).any()
        }
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

    @abstractmethod
    def apply(self, program: Program) -> PassResult:
        """Return the new program and how choices correspond."""
