"""Mixed-integer programs as sparse arrays: no solver object, names made only when written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir import Floats, Sense

Formulation = Literal["bigm", "indicator", "sos1"]
"""How a bit switches a row: by a coefficient, as an indicator constraint, or by a slack that excludes the bit."""


class Role(Enum):
    """What a block of columns stands for in the program it was made from."""

    INPUT = "input"
    """Entries of an `Input` of reals."""
    BIT = "bit"
    """Entries of a `Conditional`, or of an `Input` of bits."""
    VALUE = "value"
    """Entries of an affine value that has columns of its own."""
    ON = "on"
    """The result of a `Switch`: the operand where the bit is 1, else 0."""
    OFF = "off"
    """What a `Switch` withholds: the operand where the bit is 0, else 0."""
    ABOVE = "above"
    """How far the entries of an `Input` lie above the center of its l_1 ball."""
    BELOW = "below"
    """How far they lie below it."""
    COMPLEMENT = "complement"
    """1 minus the bits of a `Conditional`, or of an `Input` of bits (``sos1``)."""
    SLACK = "slack"
    """What a row is relaxed by where a bit does not enforce it (``sos1``)."""


@dataclass(frozen=True, eq=False)
class Block:
    """A run of columns (or rows) made from one value.

    Parameters
    ----------
    name
        Names of the single columns are ``name_0``, ``name_1``, ...; legal in MPS and LP files, unique in its program.
    start
        The first column.
    entries
        Shape ``(k,)``: the entries of the value that the ``k`` columns stand for.
    value
        The value in the program that was lowered.
    role
        What the columns stand for; for rows, `None`.
    source
        Where the operation came from, for the sidecar and for messages.
    priority
        Of columns that are bits: which a solver should branch on first, the larger the earlier.
    """

    name: str
    start: int
    entries: NDArray[np.int64]
    value: int
    role: Role | None = None
    source: str = ""
    priority: int = 0

    @property
    def columns(self) -> slice:
        """The columns (or rows) of the block."""
        return slice(self.start, self.start + len(self.entries))

    def names(self) -> list[str]:
        """Return the names of its columns (or rows)."""
        return [f"{self.name}_{entry}" for entry in self.entries.tolist()]


@dataclass(frozen=True, eq=False)
class Splits:
    """Which rows say ``operand - on - off = 0`` of a switch, and the columns of its parts; shapes ``(k,)``.

    Where the bit is 1 the off part is 0, where it is 0 the on part.
    """

    row: NDArray[np.int64]
    on: NDArray[np.int64]
    off: NDArray[np.int64]
    bit: NDArray[np.int64]

    @staticmethod
    def none() -> Splits:
        """Return no rows."""
        return Splits.joined([])

    @staticmethod
    def joined(parts: Sequence[Splits]) -> Splits:
        """Return the rows of all parts."""
        none = np.zeros(0, np.int64)
        return Splits(
            np.concatenate([none, *(part.row for part in parts)]),
            np.concatenate([none, *(part.on for part in parts)]),
            np.concatenate([none, *(part.off for part in parts)]),
            np.concatenate([none, *(part.bit for part in parts)]),
        )

    def each(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield row, on, off and bit of each."""
        yield from zip(self.row.tolist(), self.on.tolist(), self.off.tolist(), self.bit.tolist(), strict=True)


@dataclass(frozen=True, eq=False)
class Indicators:
    """Rows that hold only where a bit has a value; shapes ``(k,)``, a row at most once.

    Parameters
    ----------
    row
        Which rows; each has one side.
    bit
        The column of the bit.
    when
        The value at which the row holds: 0 or 1.
    """

    row: NDArray[np.int64]
    bit: NDArray[np.int64]
    when: NDArray[np.int64]

    @staticmethod
    def joined(parts: Sequence[Indicators]) -> Indicators:
        """Return the rows of all parts."""
        none = np.zeros(0, np.int64)
        return Indicators(
            np.concatenate([none, *(part.row for part in parts)]),
            np.concatenate([none, *(part.bit for part in parts)]),
            np.concatenate([none, *(part.when for part in parts)]),
        )

    @staticmethod
    def none() -> Indicators:
        """Return no rows."""
        return Indicators.joined([])


def no_sets() -> NDArray[np.int64]:
    """Return no special ordered sets."""
    return np.zeros((0, 2), np.int64)


@dataclass(frozen=True, eq=False)
class MixedIntegerProgram:
    """``constant + objective_scale * cost @ x`` to optimize within bounds and ``row_lower <= matrix @ x <= row_upper``.

    Parameters
    ----------
    matrix
        Shape ``(rows, columns)``, canonical CSR.
    row_lower, row_upper
        Shape ``(rows,)``; one of the two may be infinite.
    column_lower, column_upper
        Shape ``(columns,)``; may be infinite.
    integer
        Shape ``(columns,)``: whether a column is to be integral.
    cost
        Shape ``(columns,)``: the objective in its own sense (the writers turn it round where a format wants that).
    constant
        Added to the objective.
    columns, rows
        Blocks in order, which together cover every column and row.
    column_scale
        Shape ``(columns,)``: a column times this is the entry of the value that it stands for; powers of two.
    objective_scale
        A power of two.
    splits
        Rows and columns of the switches, for cutting planes; rows and columns may be scaled and added to, not moved.
    indicators
        Rows that are indicator constraints (`Formulation` ``indicator``).
    sets
        Shape ``(k, 2)``: pairs of columns, not negative, of which at most one is not 0 (``sos1``).
    """

    matrix: csr_array
    row_lower: Floats
    row_upper: Floats
    column_lower: Floats
    column_upper: Floats
    integer: NDArray[np.bool_]
    cost: Floats
    constant: float
    sense: Sense
    columns: tuple[Block, ...]
    rows: tuple[Block, ...]
    column_scale: Floats
    objective_scale: float = 1.0
    splits: Splits = field(default_factory=Splits.none)
    indicators: Indicators = field(default_factory=Indicators.none)
    sets: NDArray[np.int64] = field(default_factory=no_sets)

    @property
    def formulation(self) -> Formulation:
        """What a solver must understand to read the program."""
        if len(self.indicators.row):
            return "indicator"
        return "sos1" if len(self.sets) else "bigm"

    def objective(self, x: Floats) -> float:
        """Return the objective at a point of shape ``(columns,)``."""
        return float(self.objective_scale * (self.cost @ x) + self.constant)

    @property
    def magnitude(self) -> float:
        """The most that the absolute terms of the objective can add up to; infinite if a column has no bounds."""
        used = self.cost != 0
        widest = np.maximum(np.abs(self.column_lower[used]), np.abs(self.column_upper[used]))
        return float(self.objective_scale * (np.abs(self.cost[used]) @ widest) + abs(self.constant))

    @property
    def coefficient_range(self) -> tuple[float, float]:
        """The smallest and the largest absolute coefficient of a row; ``(1, 1)`` if there is none."""
        sizes = np.abs(self.matrix.data[self.matrix.data != 0])
        return (float(sizes.min()), float(sizes.max())) if len(sizes) else (1.0, 1.0)

    @property
    def binaries(self) -> int:
        """The number of integral columns."""
        return int(self.integer.sum())

    def column_names(self) -> list[str]:
        """Return the names of all columns, in order."""
        return [name for block in self.columns for name in block.names()]

    def row_names(self) -> list[str]:
        """Return the names of all rows, in order."""
        return [name for block in self.rows for name in block.names()]


class Namer:
    """Hand out block names that every reader of MPS and LP files takes, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, *parts: str) -> str:
        """Return a new name made of parts: letters, digits, ``_`` and ``.``, hardly more than 60 characters."""
        text = re.sub(r"[^A-Za-z0-9_.]+", "_", "_".join(part for part in parts if part)).strip("_.")[:60].strip("_.")
        # HiGHS reads a name in an LP file that begins like a number (inf, nan) as one.
        if not text[:1].isalpha() or text[:3].lower() in ("inf", "nan"):
            text = f"v_{text}".rstrip("_")
        base, count = text, 1
        while text.lower() in self._taken:
            count += 1
            text = f"{base}.{count}"
        self._taken.add(text.lower())
        return text
