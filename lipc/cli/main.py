"""The entry point. It imports next to nothing, so that Ctrl-C while the rest is imported is one line, too."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence

from lipc.cli.streams import INTERRUPTED, fail, fill_closed_descriptors


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are told on stderr."""
    try:
        from lipc.cli.group import call

        return call(args)
    except KeyboardInterrupt:
        return fail("interrupted", INTERRUPTED)


def run() -> None:
    """Run as a script. A polite kill unwinds the stack, so that temporary files go."""
    try:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        fill_closed_descriptors()
        code = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the answer is out; only the interpreter is left to end
    except KeyboardInterrupt:
        code = fail("interrupted", INTERRUPTED)
    if threading.active_count() > 1:
        # A solver that was given up on still runs in C: the interpreter must not be taken down around it.
        os._exit(code)
    sys.exit(code)
