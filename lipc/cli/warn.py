"""Warnings: which are shown, and which are errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lipc.cli.streams import colours, say
from lipc.diagnostics import WARNINGS, Diagnostic, Severity, SourceError, did_you_mean, in_order
from lipc.errors import QueryError, printable

MAX_WARNINGS = 20
"""Shown in one run, as many as errors."""


@dataclass(frozen=True)
class WarningFilter:
    """What ``-W`` says.

    Parameters
    ----------
    silent
        Names of the warnings that are not shown.
    errors
        Names of those that are errors.
    """

    silent: frozenset[str] = frozenset()
    errors: frozenset[str] = frozenset()

    @staticmethod
    def of(words: Iterable[str]) -> WarningFilter:
        """Return the filter of the words behind ``-W``; a later word wins.

        Raises
        ------
        QueryError
            If a word names no warning.
        """
        silent: set[str] = set()
        errors: set[str] = set()
        for word in words:
            name = word.removeprefix("error=").removeprefix("no-")
            if word == "none":
                silent = set(WARNINGS)
            elif word == "error":
                errors = set(WARNINGS) - silent
            elif name not in WARNINGS:
                known = [*WARNINGS, "none", "error"]
                hint = did_you_mean(name, known) or f"the warnings are: {', '.join(WARNINGS)}"
                raise QueryError(f"-W{word} names no warning", hint=hint)
            elif word.startswith("no-"):
                silent.add(name)
                errors.discard(name)
            else:
                silent.discard(name)
                if word.startswith("error="):
                    errors.add(name)
        return WarningFilter(frozenset(silent), frozenset(errors))

    def tell(self, name: str, message: str, hint: str = "") -> None:
        """Print a warning that is about no place in a text.

        Raises
        ------
        QueryError
            If it is an error.
        """
        if name in self.silent:
            return
        if name in self.errors:
            raise QueryError(f"{message} [-W{name}]", hint=hint)
        say(f"lipc: warning: {printable(message)} [-W{name}]")
        if hint:
            say(f"hint: {printable(hint)}")

    def show(self, warnings: Iterable[Diagnostic]) -> None:
        """Print warnings on stderr.

        Raises
        ------
        SourceError
            If some of them are errors: with all that would have been shown.
        """
        shown = [
            replace(each, severity=Severity.ERROR) if each.name in self.errors else each
            for each in in_order(warnings)
            if each.name not in self.silent
        ]
        if any(each.severity is Severity.ERROR for each in shown):
            raise SourceError(shown)
        for each in shown[:MAX_WARNINGS]:
            say(each.render(colour=colours()))
        if len(shown) > MAX_WARNINGS:
            say(f"and {len(shown) - MAX_WARNINGS} more warnings (-Wnone shows none)")
