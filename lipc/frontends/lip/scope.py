"""Names: what they stand for, where they were defined, and whether anything reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lipc.diagnostics import did_you_mean
from lipc.frontends.lip.syntax import Word
from lipc.frontends.lip.values import Value
from lipc.ir import Op


@dataclass
class Binding:
    """What a name stands for; no value where its definition was refused, so that nothing more is said of it.

    Parameters
    ----------
    value
        The value.
    word
        Where it is defined.
    used
        Whether anything reads it.
    is_unknown
        Whether nothing defines it, and that has been said.
    """

    value: Value | None
    word: Word
    used: bool = False
    is_unknown: bool = False


@dataclass
class Scope:
    """The names of a file, a network or a query.

    Parameters
    ----------
    outer
        Where names are looked up that are not defined here.
    later
        Where names will be defined, for messages.
    """

    outer: Scope | None = None
    later: dict[str, Word] = field(default_factory=dict)
    bindings: dict[str, Binding] = field(default_factory=dict)

    def find(self, name: str) -> Binding | None:
        """Return what a name stands for, here or outside."""
        return self.bindings.get(name) or (self.outer.find(name) if self.outer else None)

    def names(self) -> list[str]:
        """Return all names that are known here."""
        known = [name for name, binding in self.bindings.items() if not binding.is_unknown]
        return [*known, *(self.outer.names() if self.outer else ())]

    def ahead(self, name: str) -> Word | None:
        """Return where a name is defined further down."""
        return self.later.get(name) or (self.outer.ahead(name) if self.outer else None)

    def define(self, word: Word, value: Value | None) -> Binding | None:
        """Let a name stand for a value; return what it stands for already, if it does."""
        old = self.bindings.get(word.text)
        if old is not None and not old.is_unknown:
            return old
        self.bindings[word.text] = Binding(value, word, used=old is not None)
        return None

    def unused(self) -> Iterator[tuple[str, Binding]]:
        """Yield the names that nothing reads; those with an underscore in front are meant to be unread."""
        for name, binding in self.bindings.items():
            if not (binding.used or binding.is_unknown) and not name.startswith("_"):
                yield name, binding


@dataclass
class Template:
    """A finished network: to be compiled, or applied in another one.

    Parameters
    ----------
    word
        Its name where it is defined.
    ops
        Its operations, the input first; none if the network was refused.
    result
        The value that is the output.
    input_name, output_name
        The names of its ends.
    inputs, outputs
        Their sizes.
    """

    word: Word
    ops: tuple[Op, ...] = ()
    result: int = 0
    input_name: str = ""
    output_name: str = ""
    inputs: int = 0
    outputs: int = 0
    used: bool = False

    @property
    def is_broken(self) -> bool:
        """Whether it was refused."""
        return not self.ops


def similar(name: str, known: Sequence[str]) -> str:
    """Return the hint for a misspelt name; short ones may differ in one character, the last defined is meant."""
    hint = did_you_mean(name, known)
    if not hint and len(name) > 1:
        near = [other for other in known if len(other) == len(name) and _differences(name, other) == 1]
        hint = f"did you mean '{near[-1]}'?" if near else ""
    return hint


def _differences(left: str, right: str) -> int:
    return sum(a != b for a, b in zip(left, right, strict=True))
