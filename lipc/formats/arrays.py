"""Arrays in files: ``.npz`` archives that are the same whenever their arrays are, also as text within JSON."""

from __future__ import annotations

import base64
import binascii
import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**33
"""Bytes of an archive, unpacked."""

_NPY: Any = np.lib.format
"""Without types of its own before numpy 2.3."""

_LEVEL = 4


def packed(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return arrays as ASCII text, compressed: an archive in base 64."""
    return base64.b64encode(zlib.compress(npz_bytes(arrays), _LEVEL)).decode("ascii")


def unpacked(text: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a text that `packed` made.

    Raises
    ------
    ValueError
        The text is something else, or broken.
    """
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.b64decode(text, validate=True), LARGEST)
    except (zlib.error, binascii.Error, ValueError) as error:
        raise ValueError(f"packed arrays are broken: {error}") from error
    if not unpacker.eof:
        raise ValueError("packed arrays are truncated, or too large")
    return read_npz(content)


def npz_bytes(constants: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a file that `numpy.load` reads; equal constants make equal files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in constants.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, not now
            with archive.open(member, "w", force_zip64=True) as stream:
                _NPY.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def read_npz(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file.

    Nothing is allocated that the file does not hold, whatever its headers say.

    Raises
    ------
    ValueError
        The file is broken, or holds something other than numbers.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > LARGEST:
                raise ValueError(f"more than {LARGEST} bytes")
            for member in members:
                arrays[member.filename.removesuffix(".npy")] = _read_npy(archive.read(member))
    except Exception as error:  # zipfile and numpy raise errors of a dozen kinds on broken files
        raise ValueError(str(error) or type(error).__name__) from error
    return arrays


def _read_npy(content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    version = _NPY.read_magic(stream)
    if version == (1, 0):
        shape, fortran_order, dtype = _NPY.read_array_header_1_0(stream)
    else:
        shape, fortran_order, dtype = _NPY.read_array_header_2_0(stream)
    if dtype.kind not in "fiub":
        raise ValueError(f"an array of {dtype} is none of numbers")
    if min(shape, default=0) < 0:
        raise ValueError(f"an array of shape {shape}")
    start = stream.tell()
    numbers = np.frombuffer(content, dtype, offset=start) if start < len(content) else np.zeros(0, dtype)
    array: NDArray[Any] = numbers.reshape(shape, order="F" if fortran_order else "C").copy()
    return array
