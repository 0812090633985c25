"""The standard streams: words on stderr that never fail, answers on stdout that do, one line for an error.

Light on purpose: an error before anything else is imported is told from here, too.
"""

from __future__ import annotations

import os
import sys

NOT_FOUND, USER_ERROR, INTERNAL_ERROR, INTERRUPTED = 1, 2, 3, 130


def say(text: str) -> None:
    """Print a line on stderr if that is possible: a log on a full disk may not cost the answer."""
    if sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        from lipc.formats.output import discard

        discard(sys.stderr)


def colours() -> bool:
    """Whether stderr is a terminal that wants colours (no-color.org)."""
    return sys.stderr is not None and sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def fail(message: str, code: int) -> int:
    """Print an error on one line and return the exit code."""
    text = " ".join(message.split())
    say(f"lipc: {text}" if code == INTERRUPTED else f"lipc: error: {text}")
    return code


def put(text: str) -> None:
    """Print an answer on stdout; a reader that is gone is no error.

    Raises
    ------
    OutputError
        If it cannot be written, as on a full disk.
    """
    from lipc.formats.output import write_stdout

    # A terminal that lacks a character of a file name shows its number.
    write_stdout([f"{text}\n".encode(getattr(sys.stdout, "encoding", None) or "utf-8", "backslashreplace")])


def fill_closed_descriptors() -> None:
    """Occupy the standard descriptors that are closed, or the next file to be opened would be one of them.

    Whatever a library printed would then end up in a model. Writing to a stdout that was closed stays an error.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if descriptor == 1 else os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - a descriptor, for the whole process
