"""What load() reads: .npy and .npz without pickles, and .csv; sizes are checked before anything is allocated."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lipc.diagnostics import did_you_mean
from lipc.frontends.lip.report import Budget, Mistake
from lipc.frontends.lip.values import Constant, shape_words
from lipc.ir import Floats

MAX_CSV_BYTES = 2**26
"""Of a .csv file; larger constants are better kept as .npy."""

ENDINGS = (".npz", ".npy", ".csv")

BROKEN = (ValueError, EOFError, OSError, KeyError, SyntaxError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise at broken files (RuntimeError: an encrypted or unknown archive)."""


@dataclass(frozen=True, eq=False)
class Archive:
    """Named arrays in an .npz file, read when they are named."""

    path: Path
    shown: str
    names: tuple[str, ...]


@dataclass
class Loader:
    """Reads the files that a text loads, each array once.

    Parameters
    ----------
    folder
        What relative paths are relative to.
    budget
        What the arrays are counted in.
    """

    folder: Path
    budget: Budget
    _known: dict[tuple[Path, str], Constant] = field(default_factory=dict)

    def files(self) -> tuple[str, ...]:
        """Return the files of which something was read, in that order."""
        return tuple(dict.fromkeys(str(path) for path, _ in self._known))

    def load(self, name: str) -> Constant | Archive:
        """Return what a file holds.

        Raises
        ------
        Mistake
            If the file is missing or broken, or holds anything but finite real numbers.
        """
        path = self.folder / name
        if "\0" in name or path.suffix.lower() not in ENDINGS:
            raise Mistake(f"cannot tell what '{name}' holds", f"load() reads {', '.join(ENDINGS)}")
        if path.suffix.lower() == ".npz":
            return Archive(path, name, self._open(path, name, _members))
        key = (path, "")
        if key not in self._known:
            read = self._csv if path.suffix.lower() == ".csv" else self._array
            self._known[key] = _checked(self._open(path, name, read), name)
        return self._known[key]

    def member(self, archive: Archive, name: str) -> Constant:
        """Return an array of an archive.

        Raises
        ------
        Mistake
            If there is none of this name, or it is anything but finite real numbers.
        """
        if name not in archive.names:
            names = ", ".join(archive.names[:12]) + (", .." if len(archive.names) > 12 else "")
            hint = did_you_mean(name, archive.names) or f"it holds {names or 'nothing'}"
            raise Mistake(f"{archive.shown} holds no array '{name}'", hint)
        key = (archive.path, name)
        if key not in self._known:

            def read(path: Path) -> NDArray[Any]:
                with zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as stream:
                    return self._stream(stream)

            self._known[key] = _checked(self._open(archive.path, archive.shown, read), f"{archive.shown}: {name}")
        return self._known[key]

    def _open(self, path: Path, name: str, read: Callable[[Path], Any]) -> Any:
        """Return what `read` makes of a regular file, with its complaints in words."""
        try:
            if path.exists() and not path.is_file():
                raise Mistake(f"'{name}' is not a file")
            return read(path)
        except FileNotFoundError:
            raise Mistake(f"there is no file '{name}'", f"looked for in {self.folder.absolute()}") from None
        except BROKEN as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).split("\n")[0]
            raise Mistake(f"'{name}' cannot be read: {reason or 'it is broken or cut off'}") from None

    def _array(self, path: Path) -> NDArray[Any]:
        with path.open("rb") as stream:
            return self._stream(stream)

    def _stream(self, stream: IO[bytes]) -> NDArray[Any]:
        """Return an array in numpy's format after a look at its header: shape and kind."""
        numpy_format: Any = np.lib.format  # untyped in older numpy
        version = numpy_format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"its format {version} is unknown")
        reader = numpy_format.read_array_header_1_0 if version == (1, 0) else numpy_format.read_array_header_2_0
        shape, fortran, dtype = reader(stream)
        if dtype.kind not in "fiub":
            raise ValueError(f"it holds {dtype}, not real numbers")
        if len(shape) > 2:
            raise ValueError(f"it has {len(shape)} dimensions; vectors and matrices are read")
        count = math.prod(shape)
        self.budget.spend(count)
        data = stream.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise ValueError("it is cut off")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")

    def _csv(self, path: Path) -> NDArray[Any]:
        """Return a matrix, or a vector if there is one row or one column; `#` starts a comment."""
        if path.stat().st_size > MAX_CSV_BYTES:
            raise ValueError(f"it has more than {MAX_CSV_BYTES} bytes; save it as .npy")
        text = path.read_text(encoding="utf-8-sig")
        rows: list[list[float]] = []
        for number, line in enumerate(StringIO(text), 1):
            fields = line.split("#")[0].strip().rstrip(",").replace(";", ",")
            if not fields:
                continue
            try:
                rows.append([float(entry) for entry in (fields.split(",") if "," in fields else fields.split())])
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
            if len(rows[-1]) != len(rows[0]):
                message = f"line {number} has {len(rows[-1])} numbers, the first has {len(rows[0])}"
                raise ValueError(message)
        self.budget.spend(sum(map(len, rows)))
        matrix = np.array(rows, np.float64)
        return matrix.reshape(-1) if 1 in matrix.shape else matrix


def _members(path: Path) -> tuple[str, ...]:
    with zipfile.ZipFile(path) as file:
        return tuple(name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy"))


def _checked(array: NDArray[Any], name: str) -> Constant:
    """Return an array as a constant: nonempty, finite, and the same numbers in double precision."""
    if not array.size:
        raise Mistake(f"'{name}' is empty: its shape is {shape_words(array.shape)}")
    with np.errstate(all="ignore"):
        numbers: Floats = np.array(array, np.float64)
        same = array.dtype.itemsize < 8 or bool((numbers.astype(array.dtype) == array).all())
    bad = np.argwhere(~np.isfinite(numbers))
    if len(bad):
        at = f"[{', '.join(map(str, bad[0]))}]" if numbers.ndim else ""
        raise Mistake(f"'{name}' holds {numbers[tuple(bad[0])]} at {at or 'its only entry'}", "numbers must be finite")
    if not same:
        raise Mistake(f"'{name}' holds {array.dtype} numbers that double precision cannot hold", "round them first")
    return Constant(numbers)
