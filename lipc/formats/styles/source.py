"""What a reader of solution files reads, and what it returns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lipc.formats.styles.text import Line, Text, Values, shown
from lipc.ir import Floats


@dataclass(frozen=True, eq=False)
class SolutionFile:
    """A solution file as read.

    Parameters
    ----------
    style
        ``scip``, ``highs``, ``highs-table``, ``glpk``, ``glpk-report``, ``cbc``, ``gurobi``, ``gurobi-json`` or
        ``plain``.
    status
        In the words of the file, in lower case: ``optimal``, ``stopped on time``, ...; `None` if it has none.
    objective
        Of the file's program, which minimizes, as the solver claims; `None` if there is none.
    bound
        The solver's bound of the optimum; only Gurobi's JSON has one.
    values
        Shape ``(columns,)``; `None` where the file says that there is no solution, or that this is none. NaN where it
        says nothing of a column: Gurobi's ``.mst`` holds the integral ones alone.
    """

    style: str
    status: str | None
    objective: float | None
    bound: float | None
    values: Floats | None

    @property
    def rounding(self) -> float:
        """How far a printed value may be from the solver's, as a part of it: tables for people have six digits."""
        return 5e-6 if self.style in ("highs-table", "glpk-report") else 1e-12


@dataclass(frozen=True)
class Source:
    """What a reader reads: the text, where its style was recognized, the columns, the numbers of rows it may have."""

    text: Text
    places: list[int]
    values: Values
    rows: tuple[int, ...]

    def single(self) -> int:
        """Return the only place where the style was recognized."""
        if len(self.places) > 1:
            raise self.text.error("here begins a second solution", self.text.lines[self.places[1]])
        return self.places[0]

    def line(self, place: int, missing: str) -> Line:
        """Return a line that must be there."""
        if place >= len(self.text.lines):
            raise self.text.truncated(missing)
        return self.text.lines[place]

    def count(self, word: str, line: Line) -> int:
        """Return a whole number."""
        if not re.fullmatch(r"\d{1,15}", word, re.ASCII):
            raise self.text.error(f"{shown(word)} is not a count", line)
        return int(word)

    def check_rows(self, count: int, line: Line, *, objective: bool = False) -> None:
        """Refuse a number of rows that is not the program's; with that of the `objective`, it may be one more."""
        if count not in self.rows and not (objective and count - 1 in self.rows):
            message = f"the file is of a program of {count} rows, this one has {' or '.join(map(str, self.rows))}"
            raise self.text.error(message, line, hint="is it the solution of another program?")

    def check_columns(self, count: int, line: Line) -> None:
        """Refuse a number of columns that is not the program's."""
        if count != len(self.values.columns):
            message = f"the file is of a program of {count} columns, this one has {len(self.values.columns)}"
            raise self.text.error(message, line, hint="is it the solution of another program?")

    def check_end(self) -> None:
        """Refuse a file whose last line is cut: half a number is a number."""
        if not self.text.complete:
            raise self.text.truncated("its last line has no end")


def put_pair(source: Source, line: Line, words: Sequence[str]) -> None:
    """Take the words of a line for a name and a value."""
    if len(words) != 2:
        raise source.text.error(f"{shown(line.text.strip())} is not a name and a value", line)
    source.values.put(words[0], words[1], line)
