"""The exceptions of lipc: one root for what a user can mend, one for what is our own fault."""

from __future__ import annotations


class LipcError(Exception):
    """Something the user can mend: the command line prints it on one line and exits with 2.

    Parameters
    ----------
    message
        What is wrong.
    where
        Where it is: a file, ``file:line:col`` or an ONNX node; may be empty.
    hint
        What to do instead; may be empty.
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        self.message = message
        self.where = where
        self.hint = hint
        text = f"{where}: {message}" if where else message
        super().__init__(f"{text}; {hint}" if hint else text)


class ModelError(LipcError):
    """A network that cannot be read, or that holds something lipc does not support."""


class QueryError(LipcError):
    """A question that cannot be asked of this network (wrong size, empty domain, unknown output)."""


class OutputError(LipcError):
    """A result that cannot be written (no such folder, disk full, unknown ending)."""


class SolverError(LipcError):
    """A solver that is missing, fails, or leaves no answer."""


class SolverFailedError(SolverError):
    """A solver that broke down while it solved; what was known before still holds."""


class InternalError(Exception):
    """A broken promise inside lipc (invalid IR, contradicting bounds): a bug, never a user's mistake."""
