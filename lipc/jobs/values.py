"""What may stand in a file of jobs: its keys, the options of the command line, and how their values are read."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, TypeAlias, get_args

import numpy as np

from lipc.errors import QueryError
from lipc.ir import Norm
from lipc.jobs.stated import RADIUS
from lipc.options import Search
from lipc.passes.bounds import Method
from lipc.passes.jacobian import Mode
from lipc.query import Goal

Raw: TypeAlias = Any
"""A value as it stands in the file: a text, or what JSON has."""

Places: TypeAlias = Callable[[str], str]
"""Returns the path of a file that is named."""

Reader: TypeAlias = Callable[[Raw, Places], Any]
"""Returns what a value means; raises `ValueError` with what it should be."""

_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}

YES, NO = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


@dataclass(frozen=True)
class Key:
    """A key of a job.

    Parameters
    ----------
    read
        Returns what a value means.
    field
        Where it belongs: of the `Words` of the question, the `Options`, or the job itself.
    name
        Of the field.
    """

    read: Reader
    field: str
    name: str


def text(raw: Raw, _: Places) -> str:
    """Return a text; a number is one, too."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise ValueError("a text")
    return str(raw)


def file(raw: Raw, places: Places) -> str:
    """Return the path of a file."""
    if not isinstance(raw, str) or "\0" in raw:
        raise ValueError("the name of a file")
    path = places(raw)
    if not os.path.isfile(path):  # noqa: PTH113 - a path stays the text that it is
        raise QueryError(f"there is no file {path}", hint="files are looked for from the folder of the job file")
    return path


def number(raw: Raw, _: Places) -> float:
    """Return a finite number."""
    try:
        value = float("nan") if isinstance(raw, bool) else float(raw)
    except (TypeError, ValueError, OverflowError):
        value = float("nan")
    if not isfinite(value):
        raise ValueError("a number")
    return value


def not_negative(raw: Raw, places: Places) -> float:
    """Return a number that is not negative."""
    try:
        value = number(raw, places)
    except ValueError:
        value = -1.0
    if value < 0:
        raise ValueError("a number that is not negative")
    return value


def positive(most: float) -> Reader:
    """Return the reader of a number above 0 and up to `most`."""

    def read(raw: Raw, places: Places) -> float:
        value = not_negative(raw, places)
        if not 0 < value <= most:
            raise ValueError("a positive number" + (f" up to {most:g}" if isfinite(most) else ""))
        return value

    return read


def whole(least: int, most: int) -> Reader:
    """Return the reader of a whole number within a range."""

    def read(raw: Raw, places: Places) -> int:
        try:
            value = number(raw, places)
        except ValueError:
            value = 0.5
        if value != int(value) or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(value)

    return read


def one_of(*words: str) -> Reader:
    """Return the reader of one of some words."""

    def read(raw: Raw, _: Places) -> str:
        if not isinstance(raw, str) or raw not in words:
            raise ValueError(f"one of: {', '.join(words)}")
        return raw

    return read


def flag(raw: Raw, _: Places) -> bool:
    """Return whether something is wanted."""
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word not in YES + NO:
        raise ValueError("true or false")
    return word in YES


def memory(raw: Raw, _: Places) -> int:
    """Return a number of bytes: ``2G``, ``500M``, or bytes."""
    found = _BYTES.fullmatch(str(raw).strip())
    if found is None or isinstance(raw, bool):
        raise ValueError("an amount of memory like 2G or 500M")
    return int(float(found[1]) * 2 ** _POWERS[found[2].lower()])


def numbers(raw: Raw, places: Places) -> Any:
    """Return an array of numbers, the path of a file of them, or the text of one number."""
    if isinstance(raw, str) and raw.lstrip().startswith("["):
        raw = _list(raw)
    if isinstance(raw, list):
        return _array(raw)
    try:
        return repr(number(raw, places))
    except ValueError:
        if not isinstance(raw, str):
            raise ValueError("a number, a file of numbers or an array") from None
    return file(raw, places)


def two(read: Reader, what: str) -> Reader:
    """Return the reader of two values: an array of two, or two words."""

    def pair(raw: Raw, places: Places) -> tuple[Any, Any]:
        parts = _parts(raw) if isinstance(raw, str) else raw
        if not isinstance(parts, list) or len(parts) != 2:
            raise ValueError(what)
        return read(parts[0], places), read(parts[1], places)

    return pair


def _parts(raw: str) -> list[Raw]:
    """Return the words of a text; as in a shell, but for arrays."""
    if raw.lstrip().startswith("["):
        return _list(raw)
    try:
        return [*shlex.split(raw)]
    except ValueError:  # a quote that is not closed
        return []


def _list(raw: str) -> list[Raw]:
    import json

    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ValueError("an array of numbers like [0.5, 1]")
    return found


def _array(raw: Sequence[Raw]) -> Any:
    if any(isinstance(entry, bool | str) for entry in raw):
        raise ValueError("an array of numbers")
    try:
        array = np.asarray(raw, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("an array of numbers") from None
    if not array.size or not np.isfinite(array).all():
        raise ValueError("an array of finite numbers, not an empty one")
    return array.reshape(-1)


def _keys(field: str, **readers: Reader) -> dict[str, Key]:
    return {name.replace("_", "-"): Key(read, field, name) for name, read in readers.items()}


_linear_norms = [norm.value for norm in (Norm.LINF, Norm.L1)]

KEYS: dict[str, Key] = {
    **_keys("job", model=file, id=text),
    **_keys(
        "words",
        box=two(numbers, "two numbers or files of them: LO HI"),
        center=numbers,
        radius=not_negative,
        ball=one_of(*_linear_norms),
        clip=two(number, "two numbers: LO HI"),
        halfspaces=file,
        vnnlib=file,
        norm=one_of(*(norm.value for norm in Norm)),
        output=text,
        output_norm=one_of(*_linear_norms),
        objective=one_of(*get_args(Goal), RADIUS),
        label=whole(0, 2**31 - 1),
        max_radius=positive(inf),
        tolerance=positive(0.5),
    ),
    **_keys("job", drop_softmax=flag, trust_bounds=flag, memory=memory),
    **_keys("passes", level=whole(0, 3), passes=text, mode=one_of(*get_args(Mode)), bounds=one_of(*get_args(Method))),
    **_keys(
        "options",
        time_limit=not_negative,
        gap=not_negative,
        threads=whole(1, 64),
        seed=whole(0, 2**31 - 1),
        search=one_of(*get_args(Search)),
        safe_upper=flag,
    ),
}
"""The keys of a job, with hyphens; an underscore is one, too."""
