"""What is wrong with a text, collected while it is read; and what its constants may cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from lipc.diagnostics import Diagnostic, Severity, SourceError, SourceText, in_order
from lipc.frontends.lip.syntax import Node

MAX_MESSAGES = 20
"""Errors shown of one text."""

MAX_ENTRIES = 2**28
"""Numbers in one constant, and in all constants and matrices that one file makes."""

MAX_PRODUCT = 2**33
"""Multiplications in one product of constants: seconds."""


class Mistake(Exception):  # noqa: N818 - what a user did, before it has a place
    """Something wrong with an expression; `node` is the part of it, by default all of it."""

    def __init__(self, message: str, hint: str = "", node: Node | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.node = node


@dataclass
class Report:
    """Errors and warnings of one text."""

    source: SourceText
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)

    def error(self, node: Node, message: str, hint: str = "") -> None:
        """Note an error."""
        self.errors.append(Diagnostic(message, self.source.span(node.start, node.end), hint))

    def mistake(self, mistake: Mistake, node: Node) -> None:
        """Note what is wrong with an expression."""
        self.error(mistake.node or node, mistake.message, mistake.hint)

    def warn(self, name: str, node: Node, message: str, hint: str = "") -> None:
        """Note a warning of a kind."""
        span = self.source.span(node.start, node.end)
        self.warnings.append(Diagnostic(message, span, hint, Severity.WARNING, name))

    def place(self, node: Node) -> str:
        """Return ``file:line:col`` of a node."""
        return str(self.source.span(node.start, node.end))

    def line(self, node: Node) -> int:
        """Return the line that a node starts in."""
        return self.source.position(node.start)[0]

    def text(self, node: Node, otherwise: str = "this") -> str:
        """Return the words of a node as messages quote them; `otherwise`, if they are long."""
        words = " ".join(self.source.text[node.start : min(node.end, node.start + 100)].split())
        return words if len(words) <= 24 and node.end - node.start <= 100 else otherwise

    def check(self) -> None:
        """Raise what is wrong so far, if anything is.

        Raises
        ------
        SourceError
            With the first 20 errors by place.
        """
        if not self.errors:
            return
        found = in_order(self.errors)
        shown, rest = found[:MAX_MESSAGES], found[MAX_MESSAGES:]
        if rest:
            message = f"and {len(rest)} more error{'s' * (len(rest) > 1)}, the first of them here"
            shown = (*shown, Diagnostic(message, rest[0].span))
        raise SourceError(shown)


@dataclass
class Budget:
    """Counts the numbers that a file has made, so that a short text cannot fill the memory."""

    spent: int = 0

    def spend(self, numbers: int) -> None:
        """Count numbers before they are made.

        Raises
        ------
        Mistake
            If these, or all together, are too many.
        """
        if numbers > MAX_ENTRIES:
            raise Mistake(f"this has {numbers} entries; {MAX_ENTRIES} are the most")
        self.spent += numbers
        if self.spent > MAX_ENTRIES:
            raise Mistake(
                f"with this, the constants and matrices of the file have {self.spent} entries",
                f"{MAX_ENTRIES} are the most",
            )
