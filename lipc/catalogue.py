"""Things by name, with options: ``name{option=value,flag},name``, as a text and back.

A thing is made by a frozen dataclass; its fields are its options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from lipc.diagnostics import Diagnostic, SourceError, SourceText, Span, did_you_mean
from lipc.errors import QueryError
from lipc.grammars import grammar

T = TypeVar("T")


@dataclass(frozen=True)
class Catalogue(Generic[T]):
    """What can be named.

    Parameters
    ----------
    what, plural
        What the things are, in messages: ``pass``, ``passes``.
    names
        Returns all names.
    find
        Returns the class of a name, a dataclass; `None` if there is none.
    example
        How one writes some, for hints.
    """

    what: str
    plural: str
    names: Callable[[], list[str]]
    find: Callable[[str], type[T] | None]
    example: str

    def parse(self, text: str, name: str) -> tuple[T, ...]:
        """Return the things that a text names, in order.

        Parameters
        ----------
        text
            ``thing{option=value,flag},thing,...``; empty: nothing.
        name
            What messages call the text.

        Raises
        ------
        SourceError
            With every unknown name, unknown option and wrong value, and their columns.
        """
        from lark import Lark, UnexpectedInput

        source = SourceText(name, text)
        parser = Lark(grammar("pipeline.lark"), parser="lalr", maybe_placeholders=True)
        try:
            tree = parser.parse(text)
        except UnexpectedInput as error:
            raise SourceError([_syntax_error(source, error, f"write {self.plural} like '{self.example}'")]) from None
        reader = _Reader(self, source)
        things = [reader.read(node) for node in tree.children if node is not None]
        if reader.diagnostics:
            raise SourceError(reader.diagnostics)
        return tuple(each for each in things if each is not None)

    def describe(self, name: str) -> tuple[str, str]:
        """Return how a thing is written with the defaults of its options, and the first line of its documentation.

        Raises
        ------
        QueryError
            If there is none of that name.
        """
        found = self.find(name)
        if found is None:
            raise QueryError(f"there is no {self.what} '{name}'")
        options = ",".join(
            f"{_option_name(each)}={'...' if each.default is MISSING else _value_text(each.default)}"
            for each in _options(found)
        )
        return f"{name}{{{options}}}" if options else name, (found.__doc__ or "").strip().partition("\n")[0]


def print_named(things: Iterable[tuple[str, object]]) -> str:
    """Return a text that `Catalogue.parse` reads back, of names and things; options at their default are left out."""
    return ",".join(_text(name, thing) for name, thing in things)


def _text(name: str, thing: object) -> str:
    options = []
    for option in _options(type(thing)):
        value = getattr(thing, option.name)
        if value != option.default:
            options.append(_option_name(option) + ("" if value is True else f"={_value_text(value)}"))
    return f"{name}{{{','.join(options)}}}" if options else name


def _options(found: type[Any]) -> Iterator[Field[Any]]:
    return (option for option in fields(found) if option.init)


def _option_name(option: Field[Any]) -> str:
    return option.name.replace("_", "-")


def _value_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _syntax_error(source: SourceText, error: Any, hint: str) -> Diagnostic:
    """Return what is wrong with a text that cannot be parsed, from lark's exception."""
    start = min(error.pos_in_stream if error.pos_in_stream is not None else len(source.text), len(source.text))
    expected: set[str] = getattr(error, "expected", None) or getattr(error, "allowed", None) or set()
    at_end = getattr(getattr(error, "token", None), "type", "") == "$END"
    words = {"NAME": "a name", "VALUE": "a value", "COMMA": "','", "LBRACE": "'{'", "RBRACE": "'}'", "EQUAL": "'='"}
    wanted = [words[each] for each in sorted(expected) if each in words]
    found = "the text ends too early" if at_end else f"unexpected {source.text[start : start + 1]!r}"
    expectation = f"; expected {' or '.join(wanted)}" if wanted else ""
    return Diagnostic(f"{found}{expectation}", source.span(len(source.text) if at_end else start), hint)


class _Reader(Generic[T]):
    """Turns parse trees into things and collects what is wrong with them."""

    def __init__(self, catalogue: Catalogue[T], source: SourceText) -> None:
        self.catalogue = catalogue
        self.source = source
        self.diagnostics: list[Diagnostic] = []

    def _complain(self, message: str, token: Any, hint: str = "") -> None:
        span = Span(self.source, token.start_pos, token.end_pos)
        self.diagnostics.append(Diagnostic(message, span, hint))

    def read(self, node: Any) -> T | None:
        """Return the thing of a tree; `None` after a complaint."""
        name, *options = (child for child in node.children if child is not None)
        what, found = self.catalogue.what, self.catalogue.find(str(name))
        if found is None:
            known = self.catalogue.names()
            hint = did_you_mean(str(name), known) or f"the {self.catalogue.plural} are: {', '.join(known)}"
            self._complain(f"there is no {what} '{name}'", name, hint)
            return None
        given = {}
        for option in options:
            key, value = option.children
            field, parsed = self._option(str(name), found, key, value)
            if field in given:
                self._complain(f"option '{key}' is given twice", key)
            elif field is not None:
                given[field] = parsed
        missing = [each for each in _options(found) if each.default is MISSING and each.name not in given]
        if missing:
            names = ", ".join(map(_option_name, missing))
            self._complain(f"{what} '{name}' needs the option {names}", name, f"write {name}{{{names}=...}}")
        return None if missing or self.diagnostics else found(**given)

    def _option(self, name: str, found: type[T], key: Any, value: Any) -> tuple[str | None, object]:
        """Return the field and the value of an option; no field after a complaint."""
        known = {_option_name(each): each.name for each in _options(found)}
        field = known.get(str(key).replace("_", "-"))
        if field is None:
            hint = f"its options are: {', '.join(known)}" if known else "it has no options"
            hint = did_you_mean(str(key), list(known)) or hint
            self._complain(f"{self.catalogue.what} '{name}' has no option '{key}'", key, hint)
            return None, None
        kind = get_type_hints(found)[field]
        try:
            return field, _parse_value(kind, None if value is None else str(value))
        except ValueError as error:
            self._complain(f"option '{key}' of {self.catalogue.what} '{name}' {error}", key if value is None else value)
            return None, None


def _parse_value(kind: Any, text: str | None) -> object:
    """Return an option's value from its text and the type of its field.

    Raises
    ------
    ValueError
        With what the value has to be.
    """
    if kind is bool:
        if text not in (None, "true", "false"):
            raise ValueError(f"is true or false, not '{text}'")
        return text != "false"
    if text is None:
        raise ValueError("needs a value")
    if get_origin(kind) is Literal:
        by_text = {_value_text(value): value for value in get_args(kind)}
        if text not in by_text:
            raise ValueError(f"is one of {', '.join(by_text)}, not '{text}'")
        return by_text[text]
    numbers: dict[Any, tuple[Callable[[str], object], str]] = {
        int: (int, "a whole number"),
        float: (float, "a number"),
        str: (str, "a word"),
    }
    if kind not in numbers:
        raise ValueError(f"has the type {kind}, which the command line cannot write")
    convert, words = numbers[kind]
    try:
        return convert(text)
    except ValueError:
        raise ValueError(f"is {words}, not '{text}'") from None
