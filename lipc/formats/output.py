"""Writing: a file appears whole or not at all, a pipe is written as it comes."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol, TextIO

from lipc.errors import OutputError
from lipc.formats.lp import lp_chunks
from lipc.formats.mps import mps_chunks
from lipc.formats.sidecar import sidecar, sidecar_text
from lipc.mip import MixedIntegerProgram

STDOUT = "-"
_STDOUT_PATHS = (STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_OWN_SIDECAR = re.compile(rb'\{\s*"schema": \d+,\s*"generator": "lipc ')
_GZIP_LEVEL = 1  # on model files, level 4 takes twice as long for 5 percent less
_ISAL_LEVEL = 2  # the largest that is fast: a fifth of the time, for 1 percent less


class Format(Enum):
    """A format of model files; the value is the ending without its dot."""

    MPS = "mps"
    MPS_GZ = "mps.gz"
    LP = "lp"
    LP_GZ = "lp.gz"

    @property
    def ending(self) -> str:
        """The ending of file names, with its dot."""
        return f".{self.value}"

    def chunks(self, program: MixedIntegerProgram, header: Sequence[str] = ()) -> Iterator[bytes]:
        """Return the blocks of a file in this format."""
        write = lp_chunks if self in (Format.LP, Format.LP_GZ) else mps_chunks
        text = write(program, header=header)
        return gzipped(text) if self in (Format.MPS_GZ, Format.LP_GZ) else text


def format_of(path: str | Path) -> Format:
    """Return the format that the ending of a path stands for.

    Raises
    ------
    OutputError
        Any other ending; lists the known ones.
    """
    found = _ending_of(path)
    if found is None:
        endings = ", ".join(known.ending for known in Format)
        raise OutputError("the ending says no format of model files", where=str(path), hint=f"use one of {endings}")
    return found


def sidecar_path(path: str | Path) -> Path:
    """Return where the sidecar of a model file belongs: ``model.map.json`` beside ``model.mps.gz``."""
    found = _ending_of(path)
    return Path(path).with_name(Path(path).name.removesuffix(found.ending if found else "") + ".map.json")


def is_own_sidecar(path: Path) -> bool:
    """Whether a file is a sidecar of lipc, by how it begins."""
    try:
        with path.open("rb") as stream:
            return _OWN_SIDECAR.match(stream.read(100)) is not None
    except OSError:
        return False


def is_stdout(path: str | Path) -> bool:
    """Whether a destination stands for standard output: ``-``, or a path like ``/dev/stdout``."""
    return str(path) in _STDOUT_PATHS


def check_destination(
    destination: str | Path,
    map_file: str | Path | None = None,
    format: Format | None = None,  # noqa: A002 - as in `write_model`
) -> None:
    """Refuse what `write_model` would refuse because of the names alone; before the work, that is.

    Raises
    ------
    OutputError
        The ending says no format, or the sidecar would go to standard output or over the model.
    """
    _check_path(Path(destination))
    if format is None and not is_stdout(destination) and not is_special(Path(destination)):
        format_of(destination)
    if map_file is None:
        return
    _check_path(Path(map_file))
    if is_stdout(map_file):
        raise OutputError("the sidecar cannot go to standard output", where=str(map_file), hint="name a file")
    if not is_stdout(destination) and os.path.realpath(destination) == os.path.realpath(map_file):
        raise OutputError("the model and its sidecar cannot be one file", where=str(map_file), hint="name another one")


def check_writable(path: str | Path) -> None:
    """Refuse a file that `write_atomically` could not replace, before the work that fills it.

    Raises
    ------
    OutputError
        There is no such folder, it is a folder itself, or may not be written.
    """
    _checked_target(Path(path))


def write_model(
    program: MixedIntegerProgram,
    destination: str | Path,
    *,
    header: Sequence[str] = (),
    format: Format | None = None,  # noqa: A002 - the word users of the command line know
    facts: Mapping[str, object] | None = None,
    map_file: str | Path | None = None,
) -> tuple[Path, ...]:
    """Write a program to a file or, for ``-``, to standard output.

    Parameters
    ----------
    destination
        A path, or ``-``. A pipe or a device is written directly; a file appears whole or not at all.
    header
        Comments at the top of the file.
    format
        By default what the ending says; MPS for standard output, pipes and devices without such an ending.
    facts
        If given, `sidecar` with these facts goes beside a file (but not beside a pipe); both appear or neither.
    map_file
        Where the sidecar goes instead, for a pipe too.

    Returns
    -------
    tuple of Path
        The files that were written; empty for standard output.

    Raises
    ------
    OutputError
        The destination cannot be written, or its ending says no format.
    """
    check_destination(destination, map_file, format)
    path = Path(destination)
    piped = is_stdout(path) or is_special(path)
    chosen = format or _ending_of(path) or Format.MPS
    files: list[tuple[Path, Iterable[bytes]]] = [(path, chosen.chunks(program, header))]
    if map_file is not None or (facts is not None and not piped):
        beside = sidecar_path(path) if map_file is None else Path(map_file)
        files.append((beside, [sidecar_text(sidecar(program, facts=facts or {}))]))
    write_files(files)
    return tuple(path for path, _ in files if not is_stdout(path))


def write_atomically(path: str | Path, chunks: Iterable[bytes]) -> None:
    """Write a file that appears whole or not at all.

    The blocks go to a temporary file in the same folder, which replaces `path` once it is safe on the disk. Whatever
    happens before (an error, Ctrl-C, a full disk), an existing file is untouched and nothing is left behind. A
    symbolic link stays one, an existing file keeps its permissions. A pipe or a device is written directly.

    Raises
    ------
    OutputError
        No such folder, no permission, a full disk, a folder instead of a file.
    """
    write_files([(Path(path), chunks)])


def write_stdout(chunks: Iterable[bytes], *, before_last: Callable[[], None] | None = None) -> bool:
    """Write to standard output, for a pipe.

    A reader that has had enough (``lipc ... -o - | head``) is no error: the rest is not written, nothing is raised or
    printed, and the result is False.

    Parameters
    ----------
    before_last
        Called when all but the last byte is out.

    Raises
    ------
    OutputError
        Anything else that goes wrong, such as a full disk behind a redirection.
    """
    if sys.stdout is None:
        raise OutputError("cannot be written: it is closed", where="standard output")
    try:
        sys.stdout.flush()  # what was printed before comes first
        for chunk in _then(chunks, before_last and (lambda: _flushed(before_last))):
            rest = memoryview(chunk)
            while rest:  # with PYTHONUNBUFFERED this is a bare file, which may take less than it is given
                rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        discard(sys.stdout)
        return False
    except OSError as error:
        discard(sys.stdout)
        raise _failure("standard output", error) from error
    return True


def _flushed(action: Callable[[], None]) -> None:
    """Do something when what was written before has left: a full disk is told first."""
    sys.stdout.buffer.flush()
    action()


def gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Compress blocks to a gzip file without a time or a name in it, so that equal models make equal files.

    By the library isal where it is installed (the extra ``gzip``), else by zlib: other bytes, but the same text.
    """
    compressor = _compressor()
    for chunk in chunks:
        packed = compressor.compress(chunk)
        if packed:
            yield packed
    yield compressor.flush()


def _compressor() -> _Compressor:
    wbits = 16 + zlib.MAX_WBITS  # 16: a gzip file
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, wbits)
    compressor: _Compressor = isal_zlib.compressobj(_ISAL_LEVEL, zlib.DEFLATED, wbits)
    return compressor


class _Compressor(Protocol):
    """What `zlib.compressobj` returns."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _ending_of(path: str | Path) -> Format | None:
    return next((known for known in Format if Path(path).name.endswith(known.ending)), None)


def write_files(files: Sequence[tuple[Path, Iterable[bytes]]]) -> None:
    """Write all files or none.

    Files take their places when everything is in a pipe but its last byte: who reads it to the end finds them there.
    A reader that leaves before finds none.
    """
    with contextlib.ExitStack() as stack:
        staged: list[tuple[Path, Path, Path]] = []
        streams = []
        for path, chunks in files:
            if is_stdout(path) or is_special(path):
                streams.append((path, chunks))
                continue
            with _failures(path):
                target = _checked_target(path)
                staged.append((path, _stage(target, chunks, stack), target))

        def place() -> None:
            for path, temporary, target in staged:
                with _failures(path):
                    temporary.replace(target)
            staged.clear()

        for number, (path, chunks) in enumerate(streams, 1):
            last = place if number == len(streams) else None
            if is_stdout(path):
                if not write_stdout(chunks, before_last=last):
                    return
                continue
            with _failures(path), path.open("wb", buffering=0) as handle:
                _write(handle.fileno(), _then(chunks, last))
        place()


def _then(chunks: Iterable[bytes], before_last: Callable[[], None] | None) -> Iterator[bytes]:
    """Yield blocks; something is done before the last byte."""
    if before_last is None:
        yield from chunks
        return
    held = b""
    for chunk in chunks:
        if chunk:
            yield held + chunk[:-1]
            held = chunk[-1:]
    before_last()
    yield held


def _checked_target(path: Path) -> Path:
    """Return the file that a path stands for, once it is plain that it can be replaced."""
    _check_path(path)
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(path.stat().st_mode):
            raise OutputError("is a folder, not a file", where=str(path))
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise OutputError("cannot be written: there is no such folder", where=str(path))
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError("cannot be written: Permission denied", where=str(path))
    return target


def _check_path(path: Path) -> None:
    if "\0" in str(path):
        raise OutputError("cannot be written: no path holds a NUL character", where=repr(str(path)))


def _stage(target: Path, chunks: Iterable[bytes], stack: contextlib.ExitStack) -> Path:
    """Write a temporary file beside the target; the stack removes it unless it has been renamed by then."""
    temporary = target.with_name(f".lipc-{secrets.token_hex(8)}.tmp")
    stack.callback(temporary.unlink, missing_ok=True)
    # os.open makes the file with the permissions that the user's umask says; a tempfile would be private.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        _write(descriptor, chunks)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return temporary


def _write(descriptor: int, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def is_special(path: Path) -> bool:
    """Whether a path is a pipe or a device, or stands for an open file (which must not be replaced)."""
    if path.as_posix().startswith(("/dev/fd/", "/dev/std", "/proc/")):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextlib.contextmanager
def _failures(path: Path) -> Iterator[None]:
    """Turn a failure of the operating system into an `OutputError` that names the path."""
    try:
        yield
    except OSError as error:
        raise _failure(str(path), error) from error


def _failure(where: str, error: OSError) -> OutputError:
    return OutputError(f"cannot be written: {error.strerror or error}", where=where)


def discard(stream: TextIO) -> None:
    """Point a broken stream at nothing, or Python complains at exit about what is still in its buffer."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, stream.fileno())
        finally:
            os.close(null)
