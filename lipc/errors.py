"""The exceptions of lipc: one root for what a user can mend, one for what is our own fault."""

from __future__ import annotations

from collections.abc import Sequence


class LipcError(Exception):
    """Something the user can mend: the command line prints `render` and exits with 2.

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

    def render(self, *, colour: bool = False) -> str:
        """Return what the command line prints, ``lipc: error: ...``; `colour` marks it for a terminal."""
        return _line("lipc", str(self), colour)


class ModelError(LipcError):
    """A network, or a file about one, that cannot be read or that holds something lipc does not support."""

    def render(self, *, colour: bool = False) -> str:
        """Return one line as compilers print it: the place first, ``model.onnx: error: ...``."""
        text = f"{self.message}; {self.hint}" if self.hint else self.message
        return _line(self.where or "lipc", text, colour)


class CombinedError(ModelError):
    """Errors that one run found in a model, in its order; `str` and `render` show a line for each.

    Parameters
    ----------
    errors
        At least one.
    """

    def __init__(self, errors: Sequence[ModelError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(first.message, where=first.where, hint=first.hint)

    def __str__(self) -> str:
        return "\n".join(map(str, self._shown()))

    def render(self, *, colour: bool = False) -> str:
        """Return a line for each error; a hint that several share stands behind the last of them."""
        return "\n".join(error.render(colour=colour) for error in self._shown())

    def _shown(self) -> list[ModelError]:
        last = {error.hint: position for position, error in enumerate(self.errors)}
        return [
            error if last[error.hint] == position else ModelError(error.message, where=error.where)
            for position, error in enumerate(self.errors)
        ]


class QueryError(LipcError):
    """A question that cannot be asked of this network (wrong size, empty domain, unknown output)."""


class EmptyDomainError(QueryError):
    """A domain without a point."""


class ResultError(ModelError):
    """A result that cannot be read, or that lacks something."""


class SolutionError(ModelError):
    """A solver's solution file that cannot be read, or that does not fit the program it is said to solve."""


class OutputError(LipcError):
    """A result that cannot be written (no such folder, disk full, unknown ending)."""


class SolverError(LipcError):
    """A solver that is missing, fails, or leaves no answer."""


class EngineError(LipcError):
    """A place to work at that is not there: no process can be started, a cluster does not answer."""


class SolverFailedError(SolverError):
    """A solver that broke down while it solved; what was known before still holds."""


class InternalError(Exception):
    """A broken promise inside lipc (invalid IR, contradicting bounds): a bug, never a user's mistake."""


def printable(text: str) -> str:
    """Return a text on one line without control characters: a terminal must not obey a file."""
    return "".join(character if character.isprintable() else " " if character.isspace() else "?" for character in text)


def _line(place: str, text: str, colour: bool) -> str:
    """Return an error on one line, each run of blanks in it a single one."""
    start, label, rest = (" ".join(printable(part).split()) for part in (f"{place}:", "error:", text))
    return f"\x1b[1m{start}\x1b[0m \x1b[1;31m{label}\x1b[0m {rest}" if colour else f"{start} {label} {rest}"
