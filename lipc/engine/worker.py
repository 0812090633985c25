"""A process that answers for another one: messages in on stdin, out on stdout.

The first message is the service, answered by `Ready`; then come requests, each answered by an `Answer`. The process
ends with its stdin, whatever it is at: whoever asked is gone.
"""

from __future__ import annotations

import os
import traceback
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from lipc.engine.messages import Answer, Ready, read_message, write_message


def main() -> None:
    """Answer messages until there are no more; never returns."""
    # What a library prints may not come between the messages: stdout is stderr from here on.
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    messages: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_listen, args=(source, messages), daemon=True).start()
    try:
        answer = messages.get().start()
        write_message(sink, Ready())
        while True:
            write_message(sink, Answer(answer(messages.get())))
    except BaseException:
        traceback.print_exc()  # its last line is the reason that is told
    os._exit(1)


def _listen(source: IO[bytes], messages: SimpleQueue[Any]) -> None:
    """Take messages until they end, and the process with them: in the middle of a request, too."""
    try:
        while True:
            messages.put(read_message(source))
    except EOFError:
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
