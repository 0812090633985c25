"""Arrays that a user names: files, or single numbers."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from lipc.errors import QueryError
from lipc.ir import Floats


def read_numbers(text: str, option: str) -> Floats:
    """Return the numbers in a .npy or text file, or the one number that the text is; shape ``(n,)``.

    Raises
    ------
    QueryError
        If there is no such file, or it holds something else than numbers.
    """
    try:
        return np.array([float(text)])
    except ValueError:
        pass
    if "\0" in text:
        raise QueryError("cannot be read: no path holds a NUL character", where=f"{option} {text!r}")
    path = Path(text)
    try:
        numbers = _npy_numbers(path) if path.suffix == ".npy" else _text_numbers(path)
    except OSError as error:
        raise QueryError(f"cannot be read: {error.strerror or error}", where=f"{option} {text}") from None
    except _BROKEN as error:
        raise QueryError(f"holds something else than numbers: {error}", where=f"{option} {text}") from None
    if not numbers.size:
        raise QueryError("holds no number", where=f"{option} {text}")
    return numbers


def read_points(text: str, option: str) -> Floats:
    """Return the points in a file, shape ``(k, n)``: the rows of a .npy array, or the lines of a text file.

    Of an array of more axes, all behind the first are one.

    Raises
    ------
    QueryError
        If there is no such file, it holds something else than numbers, or its lines have not as many each.
    """
    where = f"{option} {text}"
    if "\0" in text:
        raise QueryError("cannot be read: no path holds a NUL character", where=f"{option} {text!r}")
    path = Path(text)
    try:
        if path.suffix == ".npy":
            with path.open("rb") as handle:
                points = _npy_array(handle)
            points = points.reshape(len(points), -1) if points.ndim > 1 else points.reshape(1, -1)
        else:
            lines = [_line_numbers(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            points = np.array(lines, np.float64)
    except OSError as error:
        raise QueryError(f"cannot be read: {error.strerror or error}", where=where) from None
    except _BROKEN as error:
        raise QueryError(f"holds something else than rows of numbers: {error}", where=where) from None
    if not points.size:
        raise QueryError("holds no point", where=where)
    return points


def read_halfspaces(text: str) -> tuple[Floats, Floats]:
    """Return A, shape ``(m, n)``, and b, shape ``(m,)``, of a .npz file: the half-spaces ``A x <= b``.

    Raises
    ------
    QueryError
        If there is no such file, or it holds something else.
    """
    where = f"--halfspaces {text}"
    hint = "write it by numpy.savez(FILE, A=A, b=b)"
    if "\0" in text:
        raise QueryError("cannot be read: no path holds a NUL character", where=f"--halfspaces {text!r}")
    try:
        with Path(text).open("rb") as handle, zipfile.ZipFile(handle) as archive:
            arrays = {}
            for name in ("A", "b"):
                if f"{name}.npy" not in archive.namelist():
                    raise QueryError(f"holds no array '{name}'", where=where, hint=hint)
                with archive.open(f"{name}.npy") as member:
                    arrays[name] = _npy_array(member)
    except OSError as error:
        raise QueryError(f"cannot be read: {error.strerror or error}", where=where) from None
    except _BROKEN as error:
        raise QueryError(f"holds something else than numbers: {error}", where=where, hint=hint) from None
    matrix, sides = np.atleast_2d(arrays["A"]), np.atleast_1d(arrays["b"])
    if matrix.ndim != 2 or sides.ndim != 1 or len(matrix) != len(sides):
        shapes = f"A has shape {arrays['A'].shape}, b {arrays['b'].shape}"
        raise QueryError(shapes, where=where, hint="A needs a row for each entry of b, and a column for each input")
    if not (np.isfinite(matrix).all() and np.isfinite(sides).all()):
        raise QueryError("has a number that is not finite", where=where)
    return matrix, sides


# NumPy evaluates the header of a .npy file: a broken one fails in many ways; so does a broken archive.
_BROKEN = (
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
    SyntaxError,
    TokenError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def _text_numbers(path: Path) -> Floats:
    return np.array(_line_numbers(path.read_text(encoding="utf-8")))


def _line_numbers(text: str) -> list[float]:
    return [float(word) for word in text.replace(",", " ").replace(";", " ").split()]


def _npy_numbers(path: Path) -> Floats:
    # Not `np.load`, which goes by the content: a zip archive would be opened as one, whatever its name.
    with path.open("rb") as handle:
        return _npy_array(handle).reshape(-1)


def _npy_array(handle: IO[bytes]) -> Floats:
    """Return the array in a .npy file."""
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("ignore")  # of files that Python 2 wrote
        read_array: Callable[..., Any] = np.lib.format.read_array  # untyped in older numpy
        entries = read_array(handle, allow_pickle=False)
        if entries.dtype.kind not in "buif":
            raise ValueError(f"its entries are of type {entries.dtype}")
        return np.asarray(entries, np.float64)
