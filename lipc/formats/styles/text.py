"""Pieces that the readers of solution files share: numbered lines, numbers, values by column."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lipc.errors import SolutionError
from lipc.ir import Floats

LARGEST = 1 << 29
"""More bytes are no solution of a program of ours: a gzip file of zeros must not fill the memory."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity|1\.#\w+)(\(\w*\))?|unknown|invalid", re.IGNORECASE | re.ASCII)
_SHOWN = 40


@dataclass(frozen=True)
class Line:
    """A line of a file: its number, from 1, and its words."""

    number: int
    text: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """The lines of a file.

    Parameters
    ----------
    where
        What errors call the file.
    lines
        All of them, empty ones too.
    complete
        Whether the last one ends with a newline.
    """

    where: str
    lines: tuple[Line, ...]
    complete: bool

    def error(self, message: str, line: Line | None = None, hint: str = "") -> SolutionError:
        """Return an error at a line, or about the whole file."""
        where = self.where if line is None else f"{self.where}:{line.number}"
        return SolutionError(message, where=where, hint=hint)

    def truncated(self, what: str) -> SolutionError:
        """Return the error of a file that ends too early."""
        return self.error(f"the file is truncated: {what}", self.lines[-1] if self.lines else None)

    def find(self, test: Callable[[Line], object]) -> list[int]:
        """Return the positions of the lines that pass a test."""
        return [position for position, line in enumerate(self.lines) if test(line)]


def text_of(data: str | bytes, where: str) -> Text:
    """Return the lines of a file, unpacked if it is a gzip file.

    Raises
    ------
    SolutionError
        If it is empty, too large, not text, or a broken gzip file.
    """
    if isinstance(data, bytes):
        data = _decoded(_unpacked(data, where), where)
    odd = next((character for character in data if character < " " and character not in "\t\n\r"), None)
    if odd is not None:
        line = data[: data.index(odd)].count("\n") + 1
        raise SolutionError(f"the file is not text: it holds the character {odd!r}", where=f"{where}:{line}")
    if not data.strip():
        raise SolutionError("the file is empty", where=where)
    lines = data.removeprefix("\ufeff").split("\n")
    complete = not lines[-1]
    texts = lines[:-1] if complete else lines
    return Text(where, tuple(Line(at, text, tuple(text.split())) for at, text in enumerate(texts, 1)), complete)


def _unpacked(data: bytes, where: str) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            data = unpacker.decompress(data, LARGEST + 1)
        except zlib.error as error:
            raise SolutionError(f"the gzip file is broken: {error}", where=where) from None
        if not unpacker.eof and len(data) <= LARGEST:
            raise SolutionError("the gzip file is truncated", where=where)
    if len(data) > LARGEST:
        raise SolutionError(f"the file has more than {LARGEST} bytes", where=where)
    return data


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SolutionError(f"the file is not text: byte 0x{data[error.start]:02x}", where=f"{where}:{line}") from None


def number_of(text: str) -> float | None:
    """Return a number as solvers write it; `None` if it is none. NaN and infinities are numbers here."""
    if _NUMBER.fullmatch(text):
        return float(text)
    return math.nan if _NOT_FINITE.fullmatch(text) else None


def finite_or_none(text: str) -> float | None:
    """Return a number that may be missing: what a solver prints where it has none is not finite."""
    number = number_of(text)
    return number if number is not None and math.isfinite(number) else None


def shown(text: str) -> str:
    """Return a word of a file for a message, cut if it is long."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


class Values:
    """The values of the columns, as a file names them one by one.

    Parameters
    ----------
    columns
        Their names, in the order of the program.
    """

    def __init__(self, text: Text, columns: Sequence[str]) -> None:
        self.text, self.columns = text, columns
        self.places = {name: place for place, name in enumerate(columns)}
        self.values = np.full(len(columns), np.nan)
        self.lines: dict[int, Line] = {}

    def number(self, word: str, line: Line) -> float:
        """Return the finite number that a word is.

        Raises
        ------
        SolutionError
            If it is none.
        """
        value = number_of(word)
        if value is None:
            raise self.text.error(f"{shown(word)} is not a number", line)
        if not math.isfinite(value):
            raise self.text.error(f"the value {shown(word)} is not finite", line)
        return value

    def put(self, name: str, word: str, line: Line) -> None:
        """Take a value by the name of its column."""
        if name not in self.places:
            raise self.text.error(
                f"the program has no column {shown(name)}", line, hint="is it the solution of another program?"
            )
        self.put_at(self.places[name], word, line)

    def put_at(self, place: int, word: str, line: Line) -> None:
        """Take a value by the position of its column, from 0."""
        if not 0 <= place < len(self.columns):
            raise self.text.error(f"there is no column {place + 1}: the program has {len(self.columns)}", line)
        if place in self.lines:
            first = self.lines[place].number
            raise self.text.error(f"column {self.columns[place]!r} has a value already, on line {first}", line)
        self.lines[place] = line
        self.values[place] = self.number(word, line)

    def complete(self) -> Floats:
        """Return the values of a format that lists every column.

        Raises
        ------
        SolutionError
            If one is missing.
        """
        missing = self.missing()
        if missing:
            rest = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise self.text.error(f"there is no value for column {self.columns[missing[0]]!r}{rest}")
        return self.values

    def or_zero(self) -> Floats:
        """Return the values of a format that leaves out zeros."""
        return np.where(np.isnan(self.values), 0.0, self.values)

    def missing(self) -> list[int]:
        """Return the positions of the columns without a value."""
        return [place for place in range(len(self.columns)) if place not in self.lines]


def data_lines(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines that are neither empty nor a comment."""
    for line in lines:
        if line.words and not line.text.lstrip().startswith("#"):
            yield line
