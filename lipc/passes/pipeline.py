"""Pipelines: passes by name, with options, as a text and back; and the named ones.

``bounds{method=linear, only-new},prune-stable`` names two passes; the options are the fields of their dataclasses.
Other packages add passes through the entry point group ``lipc.passes``: the name of an entry point is the pass's, its
object the class.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, fields
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lipc.diagnostics import Diagnostic, SourceError, SourceText, Span, did_you_mean
from lipc.errors import QueryError
from lipc.grammars import grammar
from lipc.passes.base import Pass
from lipc.passes.bounds import Bounds, Method
from lipc.passes.canonicalize import Canonicalize
from lipc.passes.cse import CommonSubexpressionElimination
from lipc.passes.fold import Fold
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.merge_duplicates import MergeDuplicates
from lipc.passes.prune_stable import PruneStable
from lipc.passes.tighten import Tighten

GROUP = "lipc.passes"

BUILT_IN = {
    "bounds": "Bounds",
    "canonicalize": "Canonicalize",
    "cse": "CommonSubexpressionElimination",
    "dce": "DeadCodeElimination",
    "fold": "Fold",
    "fuse": "Fuse",
    "jacobian": "Jacobian",
    "merge-duplicates": "MergeDuplicates",
    "prune-stable": "PruneStable",
    "scale": "Scale",
    "tighten": "Tighten",
}
"""Classes by pass; the file has the name of the pass."""

Level = Literal[0, 1, 2, 3]


def named_pipeline(level: Level, mode: Mode = "auto", method: Method = "linear") -> tuple[Pass, ...]:
    """Return the passes of ``-O0`` to ``-O3``.

    Parameters
    ----------
    level
        0: what lowering needs, the Jacobian. 1: interval bounds and pruning. 2, the default: bounds by `method`, and
        neurons that are equal up to a factor share a bit. 3: bounds are tightened by linear programs, and bits of the
        network decided by small trees of them; the Jacobian knows the SDP bound.
    mode
        How the Jacobian is written.
    method
        How values are bounded, from level 2 on.
    """
    if level == 0:
        return (Jacobian(mode),)
    cse = CommonSubexpressionElimination()
    shared = (cse, Fold(), Canonicalize(), cse, MergeDuplicates()) if level >= 2 else ()
    how = Bounds("interval" if level == 1 else method)
    reduced: tuple[Pass, ...] = (*shared, how, PruneStable())
    jacobian: tuple[Pass, ...] = (
        Jacobian(mode, "sdp" if level == 3 else "nothing"),
        Bounds(how.method, only_new=True),
        PruneStable(),
    )
    if level == 3:  # the network first, for its linear programs are smaller without the Jacobian
        reduced = (*reduced, Tighten("network"), PruneStable(), Tighten("network", method="mip"), PruneStable())
        jacobian = (*jacobian, Tighten("jacobian"), PruneStable())
    return (*reduced, *jacobian, Fuse(), PruneStable())


def pass_names() -> list[str]:
    """Return the names of all passes, those of other packages too, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def pass_class(name: str) -> type[Pass] | None:
    """Return the class of a pass; `None` if there is no such pass.

    Raises
    ------
    QueryError
        If another package registers the name, and what it registers is no pass, or cannot be imported.
    """
    if name in BUILT_IN:
        module = importlib.import_module(f"lipc.passes.{name.replace('-', '_')}")
        found: type[Pass] = getattr(module, BUILT_IN[name])
        return found
    point = next(iter(entry_points(group=GROUP, name=name)), None)
    return None if point is None else _load(point)


def _load(point: EntryPoint) -> type[Pass]:
    try:
        found = point.load()
    except Exception as error:  # whatever the other package does when it is imported
        raise QueryError(f"the pass '{point.name}' cannot be imported from {point.value}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Pass)):
        raise QueryError(f"'{point.name}', registered as a pass by {point.value}, is no class derived from Pass")
    return found


def describe_pass(name: str) -> tuple[str, str]:
    """Return how a pass is written with the defaults of its options, and the first line of its documentation."""
    found = pass_class(name)
    if found is None:
        raise QueryError(f"there is no pass '{name}'")
    options = ",".join(
        f"{_option_name(each)}={'...' if each.default is MISSING else _value_text(each.default)}"
        for each in _options(found)
    )
    return f"{name}{{{options}}}" if options else name, (found.__doc__ or "").strip().partition("\n")[0]


def print_pipeline(passes: Iterable[Pass]) -> str:
    """Return a text that `parse_pipeline` reads back; options at their default are left out."""
    return ",".join(map(_pass_text, passes))


def _pass_text(each: Pass) -> str:
    options = []
    for option in _options(type(each)):
        value = getattr(each, option.name)
        if value != option.default:
            options.append(_option_name(option) + ("" if value is True else f"={_value_text(value)}"))
    return f"{each.name}{{{','.join(options)}}}" if options else each.name


def _options(found: type[Pass]) -> Iterator[Field[Any]]:
    return (option for option in fields(found) if option.init)  # type: ignore[arg-type]  # passes are dataclasses


def _option_name(option: Field[Any]) -> str:
    return option.name.replace("_", "-")


def _value_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_pipeline(text: str, name: str = "--passes") -> tuple[Pass, ...]:
    """Return the passes that a text names, in order.

    Parameters
    ----------
    text
        ``pass{option=value,flag},pass,...``; empty: no pass.
    name
        What messages call the text.

    Raises
    ------
    SourceError
        With every unknown pass, unknown option and wrong value, and their columns.
    """
    from lark import Lark, UnexpectedInput

    source = SourceText(name, text)
    parser = Lark(grammar("pipeline.lark"), parser="lalr", maybe_placeholders=True)
    try:
        tree = parser.parse(text)
    except UnexpectedInput as error:
        raise SourceError([_syntax_error(source, error)]) from None
    reader = _Reader(source)
    passes = [reader.read(node) for node in tree.children if node is not None]
    if reader.diagnostics:
        raise SourceError(reader.diagnostics)
    return tuple(each for each in passes if each is not None)


def _syntax_error(source: SourceText, error: Any) -> Diagnostic:
    """Return what is wrong with a text that is no pipeline, from lark's exception."""
    start = min(error.pos_in_stream if error.pos_in_stream is not None else len(source.text), len(source.text))
    expected: set[str] = getattr(error, "expected", None) or getattr(error, "allowed", None) or set()
    at_end = getattr(getattr(error, "token", None), "type", "") == "$END"
    words = {"NAME": "a name", "VALUE": "a value", "COMMA": "','", "LBRACE": "'{'", "RBRACE": "'}'", "EQUAL": "'='"}
    wanted = [words[each] for each in sorted(expected) if each in words]
    found = "the text ends too early" if at_end else f"unexpected {source.text[start : start + 1]!r}"
    hint = "write passes like 'bounds{method=linear},prune-stable,jacobian'"
    expectation = f"; expected {' or '.join(wanted)}" if wanted else ""
    return Diagnostic(f"{found}{expectation}", source.span(len(source.text) if at_end else start), hint)


class _Reader:
    """Turns parse trees into passes and collects what is wrong with them."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.diagnostics: list[Diagnostic] = []

    def _complain(self, message: str, token: Any, hint: str = "") -> None:
        span = Span(self.source, token.start_pos, token.end_pos)
        self.diagnostics.append(Diagnostic(message, span, hint))

    def read(self, node: Any) -> Pass | None:
        """Return the pass of a tree; `None` after a complaint."""
        name, *options = (child for child in node.children if child is not None)
        found = pass_class(str(name))
        if found is None:
            known = pass_names()
            hint = did_you_mean(str(name), known) or f"the passes are: {', '.join(known)}"
            self._complain(f"there is no pass '{name}'", name, hint)
            return None
        given = {}
        for option in options:
            key, value = option.children
            field, parsed = self._option(found, key, value)
            if field in given:
                self._complain(f"option '{key}' is given twice", key)
            elif field is not None:
                given[field] = parsed
        missing = [each for each in _options(found) if each.default is MISSING and each.name not in given]
        if missing:
            names = ", ".join(map(_option_name, missing))
            self._complain(f"pass '{name}' needs the option {names}", name, f"write {name}{{{names}=...}}")
        return None if missing or self.diagnostics else found(**given)

    def _option(self, found: type[Pass], key: Any, value: Any) -> tuple[str | None, object]:
        """Return the field and the value of an option; no field after a complaint."""
        known = {_option_name(each): each.name for each in _options(found)}
        field = known.get(str(key).replace("_", "-"))
        if field is None:
            hint = f"its options are: {', '.join(known)}" if known else "it has no options"
            hint = did_you_mean(str(key), list(known)) or hint
            self._complain(f"pass '{found.name}' has no option '{key}'", key, hint)
            return None, None
        kind = get_type_hints(found)[field]
        try:
            return field, _parse_value(kind, None if value is None else str(value))
        except ValueError as error:
            self._complain(f"option '{key}' of pass '{found.name}' {error}", key if value is None else value)
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
