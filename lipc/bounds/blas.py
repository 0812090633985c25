"""Linear algebra by one thread: matrices of some tens of rows gain nothing by a second one."""

from __future__ import annotations

from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which BLAS takes one thread.

    Its threads wait for one another by spinning: on a machine with other work a bound took 15 times the CPU seconds.
    """
    from threadpoolctl import threadpool_limits

    context: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return context
