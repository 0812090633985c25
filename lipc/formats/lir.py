"""``.lir`` files: the text of a program, and beside it ``model.lir.npz`` with its large constants.

The first line of such a text names the other file and the SHA-256 of its bytes, so that the two cannot be mixed up.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lipc.diagnostics import Diagnostic, SourceError, SourceText
from lipc.errors import ModelError
from lipc.formats.arrays import LARGEST as LARGEST_CONSTANTS
from lipc.formats.arrays import npz_bytes, read_npz
from lipc.formats.output import gzipped, is_special, is_stdout, write_files
from lipc.ir import Program, print_program, print_with_constants
from lipc.ir.parser import Sidecar, read_program
from lipc.ir.text_numbers import quoted

EXTERNAL = 64
"""Constants of more numbers stand in the file beside the text."""

LARGEST_TEXT = 2**30
"""Bytes of a text, unpacked."""


def constants_path(path: str | Path) -> Path:
    """Return where the constants of a text belong: ``model.lir.npz`` beside ``model.lir`` or ``model.lir.gz``."""
    return Path(path).with_name(Path(path).name.removesuffix(".gz") + ".npz")


def write_lir(
    program: Program, path: str | Path, *, external: int | None = EXTERNAL, elide: int | None = None
) -> tuple[Path, ...]:
    """Write a program as text; packed if the path ends in ``.gz``.

    All files appear whole or not at all, the constants first. To standard output, a pipe or a device everything is
    written in line.

    Parameters
    ----------
    external
        Constants of more numbers than this go to the file of constants; `None`: none do.
    elide
        Constants of more numbers than this are left out: such a text cannot be read back.

    Returns
    -------
    tuple of Path
        The files that were written; empty for standard output.

    Raises
    ------
    OutputError
        The destination cannot be written.
    """
    path = Path(path)
    files: list[tuple[Path, list[bytes]]] = []
    if external is None or elide is not None or is_stdout(path) or is_special(path):
        text = print_program(program, elide=elide)
    else:
        text, constants = print_with_constants(program, external)
        if constants:
            content, beside = npz_bytes(constants), constants_path(path)
            files.append((beside, [content]))
            text = f"constants {quoted(beside.name)} sha256 {quoted(hashlib.sha256(content).hexdigest())}\n{text}"
    chunks = [f"{text}\n".encode()]
    files.append((path, list(gzipped(chunks)) if path.name.endswith(".gz") else chunks))
    write_files(files)
    return tuple(path for path, _ in files if not is_stdout(path))


def read_lir(path: str | Path, content: bytes | None = None) -> Program:
    """Read a program, packed or not, with its constants.

    Parameters
    ----------
    content
        What the file holds, if it was read before, as from standard input.

    Raises
    ------
    SourceError
        With the place of everything that is wrong in the text, or that is wrong with the file of constants.
    ModelError
        The file cannot be read or is no text.
    """
    path = Path(path)
    text = _read_text(path, content)

    def load(sidecar: Sidecar | None) -> Mapping[str, NDArray[Any]]:
        return {} if sidecar is None else _load(path, sidecar)

    return read_program(SourceText(str(path), text), load)


def _read_text(path: Path, content: bytes | None) -> str:
    where = str(path)
    try:
        with path.open("rb") if content is None else io.BufferedReader(io.BytesIO(content)) as stream:
            packed = stream.peek(2)[:2] == b"\x1f\x8b"  # a pipe cannot be read again
            content = (gzip.GzipFile(fileobj=stream) if packed else stream).read(LARGEST_TEXT + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ModelError(f"the packed file is broken: {error}", where=where) from error
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", where=where) from error
    if len(content) > LARGEST_TEXT:
        raise ModelError(f"a text of more than {LARGEST_TEXT} bytes", where=where, hint="keep large constants apart")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(f"is no text: byte {error.start} is not UTF-8", where=where) from error


def _load(path: Path, sidecar: Sidecar) -> dict[str, NDArray[Any]]:
    """Return the constants of a text; what is wrong with them is said where the text names the file."""

    def refuse(message: str, hint: str, *, at_digest: bool = False) -> SourceError:
        span = sidecar.digest_span if at_digest else sidecar.name_span
        return SourceError([Diagnostic(message, span, hint)])

    if not sidecar.name or sidecar.name != Path(sidecar.name).name or "\0" in sidecar.name or "\\" in sidecar.name:
        raise refuse("the file of constants is named without a folder", "it stands beside the program")
    file = path.with_name(sidecar.name)
    try:
        if file.stat().st_size > LARGEST_CONSTANTS:
            raise refuse(f"{sidecar.name} has more than {LARGEST_CONSTANTS} bytes", "")
        content = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise refuse(f"cannot read {sidecar.name}: {reason}", "it belongs beside the program") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sidecar.digest.lower():
        hint = f"write the program again; if the constants were changed on purpose, put {digest} here"
        raise refuse(f"{sidecar.name} is not the file that this program was written with", hint, at_digest=True)
    try:
        return read_npz(content)
    except ValueError as error:
        raise refuse(f"{sidecar.name} is broken: {error}", "write the program again") from error
