"""The jobs of one model at many places: points, VNN-LIB files, and values that are swept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from lipc.diagnostics import did_you_mean
from lipc.errors import QueryError
from lipc.ir import Floats
from lipc.jobs import Job
from lipc.jobs.arrays import read_points
from lipc.jobs.stated import Words
from lipc.jobs.values import KEYS, Key

MOST_VALUES = 1_000_000

PROPERTIES = (".vnnlib", ".vnnlib.gz")
"""The endings of VNN-LIB files."""

SWEPT = {name: key for name, key in KEYS.items() if key.field in ("words", "options")}


@dataclass(frozen=True)
class Sweep:
    """A key and the values that it takes in turn."""

    name: str
    key: Key
    values: tuple[str, ...]

    @staticmethod
    def of(text: str) -> Sweep:
        """Return what a text like ``radius=0.01:0.1:10`` or ``norm=linf,l1`` stands for.

        ``first:last:count`` are that many numbers at even distances, both ends included.

        Raises
        ------
        QueryError
            If it is none, or the key takes no such values.
        """
        where = f"--sweep {text}"
        name, equals, values = text.partition("=")
        name = name.strip().replace("_", "-")
        if not equals or not values.strip():
            raise QueryError("a sweep is a key and values", where=where, hint="radius=0.01:0.1:10, or norm=linf,l1")
        if name not in SWEPT:
            hint = did_you_mean(name, [*SWEPT]) or f"one of: {', '.join(SWEPT)}"
            raise QueryError(f"'{name}' cannot be swept", where=where, hint=hint)
        words = _range(values, where) if values.count(":") == 2 else [each.strip() for each in values.split(",")]
        for word in words:
            try:
                SWEPT[name].read(word, lambda path: path)
            except ValueError as error:
                raise QueryError(f"'{name}' is '{word}', but takes {error}", where=where) from None
        if len(set(words)) < len(words):
            raise QueryError("a value stands there twice", where=where)
        return Sweep(name, SWEPT[name], tuple(words))


def _range(text: str, where: str) -> list[str]:
    """Return the numbers of ``first:last:count``."""
    first, last, count = text.split(":")
    try:
        ends, number = (float(first), float(last)), int(count)
    except ValueError:
        ends, number = (float("nan"), 0.0), 0
    if not (np.isfinite(ends).all() and 1 <= number <= MOST_VALUES):
        raise QueryError("a range is FIRST:LAST:COUNT", where=where, hint="0.01:0.1:10 are 0.01, 0.02, .., 0.1")
    # Twelve digits: 0.30000000000000004 is what nobody asked for.
    return [repr(float(f"{value:.12g}")) for value in np.linspace(*ends, number).tolist()]


@dataclass(frozen=True, eq=False)
class Grid:
    """One model at many places.

    Parameters
    ----------
    model
        Its path.
    words
        What all jobs ask.
    points
        Shape ``(k, n)``: centers, one for each job; the radius is in `words` or swept.
    properties
        VNN-LIB files, one for each job.
    sweeps
        Values that are taken in all combinations.
    common
        Further fields of every `Job`: ``passes``, ``drop_softmax``, ``trust_bounds``.
    """

    model: str
    words: Words = field(default_factory=Words)
    points: Floats | None = None
    properties: Sequence[str] | None = None
    sweeps: Sequence[Sweep] = ()
    common: Mapping[str, Any] = field(default_factory=dict)

    def jobs(self) -> tuple[Job, ...]:
        """Return the jobs; their ids are the row of a point, or the name of a file, and what is swept.

        Raises
        ------
        QueryError
            If what they ask contradicts itself, or there is no such model.
        """
        if not Path(self.model).exists():
            raise QueryError(f"there is no file {self.model}", where="--model")
        found = tuple(self._jobs())
        for job in found:
            job.check()
        return found

    def _jobs(self) -> Iterable[Job]:
        line = 0
        for name, place in self._places():
            for values in product(*(sweep.values for sweep in self.sweeps)):
                line += 1
                words, options = {**place}, dict[str, Any]()
                for sweep, value in zip(self.sweeps, values, strict=True):
                    target = words if sweep.key.field == "words" else options
                    target[sweep.key.name] = sweep.key.read(value, lambda path: path)
                swept = [f"{sweep.name}={value}" for sweep, value in zip(self.sweeps, values, strict=True)]
                id_ = " ".join([name, *swept] if name else swept) or str(line)
                yield Job(id_, self.model, replace(self.words, **words), "", line, options, **self.common)

    def _places(self) -> Iterable[tuple[str, dict[str, Any]]]:
        if self.points is not None:
            yield from ((str(row), {"center": point}) for row, point in enumerate(self.points))
        elif self.properties is not None:
            yield from ((_stem(path), {"vnnlib": path}) for path in self.properties)
        else:
            yield "", {}


def _stem(path: str) -> str:
    return Path(path).name.removesuffix(".gz").removesuffix(".vnnlib")


def properties_in(folder: str) -> tuple[str, ...]:
    """Return the VNN-LIB files in a folder, by name.

    Raises
    ------
    QueryError
        If there is none.
    """
    try:
        found = sorted(each for each in Path(folder).iterdir() if each.name.endswith(PROPERTIES))
    except OSError as error:
        raise QueryError(f"cannot be read: {error.strerror or error}", where=f"--vnnlib-dir {folder}") from None
    if not found:
        raise QueryError("holds no .vnnlib file", where=f"--vnnlib-dir {folder}")
    return tuple(map(str, found))


def points_in(file: str) -> Floats:
    """Return the points of ``--points``; see `lipc.jobs.arrays.read_points`."""
    return read_points(file, "--points")
