"""A process that searches some nodes for another one: messages in on stdin, out on stdout.

The first message is the program, answered by `Ready`; then come `Batch`es, each answered by what is `Left` of it. The
process ends with its stdin, whatever it is at: whoever asked is gone.
"""

from __future__ import annotations

import os
import pickle
import struct
import traceback
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import IO, TypeAlias

from lipc.ir import Floats, Program
from lipc.search.branching import BranchAndBound
from lipc.search.nodes import Node

MOST_POINTS = 4
"""Points handed back at a time."""

HEAD = struct.Struct("<8sQ")
MARK = b"lipc-msg"
"""Every message begins with this and its length: what a library prints is not unpickled."""


@dataclass(frozen=True)
class Ready:
    """The program was taken."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Nodes to search, the value that bounds need not go below, and how far to go."""

    nodes: list[Node]
    target: float
    most_nodes: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Left:
    """What is open, the largest bounds of what was dropped and of what cannot be settled, nodes seen, and points."""

    nodes: list[Node]
    highest: float
    unsettled: float
    seen: int
    points: list[Floats]


Message: TypeAlias = Program | Ready | Batch | Left


def write_message(sink: IO[bytes], message: Message) -> None:
    """Write a message and what a reader needs to know of it beforehand."""
    content = pickle.dumps(message)
    sink.write(HEAD.pack(MARK, len(content)))
    sink.write(content)
    sink.flush()


def read_message(source: IO[bytes]) -> Message:
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
    message: Message = pickle.loads(content)
    return message


def main() -> None:
    """Answer messages until there are no more; never returns."""
    # What a library prints may not come between the messages: stdout is stderr from here on.
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    messages: SimpleQueue[Message] = SimpleQueue()
    Thread(target=_listen, args=(source, messages), daemon=True).start()
    try:
        _serve(messages, sink)
    except BaseException:
        traceback.print_exc()  # its last line is the reason that is told
    os._exit(1)


def _listen(source: IO[bytes], messages: SimpleQueue[Message]) -> None:
    """Take messages until they end, and the process with them: in the middle of a batch, too."""
    try:
        while True:
            messages.put(read_message(source))
    except EOFError:
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _serve(messages: SimpleQueue[Message], sink: IO[bytes]) -> None:
    target = float("inf")
    points: list[Floats] = []
    program = messages.get()
    assert isinstance(program, Program)
    tree = BranchAndBound(program, lambda: target, points.append, float("inf"))
    write_message(sink, Ready())
    while True:
        batch = messages.get()
        assert isinstance(batch, Batch)
        target = batch.target
        tree.restart(batch.nodes, monotonic() + batch.seconds)
        before = tree.nodes
        tree.run(most_nodes=before + batch.most_nodes)
        left = Left(tree.open_nodes(), tree.highest, tree.left, tree.nodes - before, points[-MOST_POINTS:])
        points.clear()
        write_message(sink, left)
