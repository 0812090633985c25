"""Messages between processes, by pipes: a mark, a length, and what was pickled."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import IO, Any

HEAD = struct.Struct("<8sQ")
MARK = b"lipc-msg"
"""Every message begins with this and its length: what a library prints is not unpickled."""


@dataclass(frozen=True)
class Ready:
    """The service was started."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a service answered."""

    content: Any


def write_message(sink: IO[bytes], message: object) -> None:
    """Write a message and what a reader needs to know of it beforehand."""
    content = pickle.dumps(message)
    sink.write(HEAD.pack(MARK, len(content)))
    sink.write(content)
    sink.flush()


def read_message(source: IO[bytes]) -> Any:
    """Return the next message.

    Raises
    ------
    EOFError
        If there is none, or only a part of one.
    ValueError
        If what stands there is something else.
    """
    head = source.read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError
    mark, length = HEAD.unpack(head)
    if mark != MARK:
        raise ValueError("no message")
    content = source.read(length)
    if len(content) < length:
        raise EOFError
    return pickle.loads(content)
