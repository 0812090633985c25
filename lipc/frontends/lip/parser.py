"""From text to syntax tree, by lark's LALR parser; the tree is made while it parses, so depth costs no stack."""

# ruff: noqa: D102 - the methods of `Tree` are documented by the rules of the grammar that they are named after
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, TypeVar

import numpy as np
from lark import Lark, Token, Transformer, UnexpectedInput

from lipc.diagnostics import Diagnostic, SourceError, SourceText
from lipc.frontends.lip.syntax import (
    Ball,
    Box,
    Call,
    Chain,
    Constraint,
    Definition,
    DomainLine,
    Expression,
    GoalLine,
    Indexed,
    InputLine,
    Item,
    Listing,
    Member,
    Name,
    Named,
    Negated,
    NetworkBlock,
    Node,
    Number,
    Numbers,
    OutputLine,
    QueryBlock,
    Slice,
    Text,
    Transposed,
    WhereLine,
    Word,
)
from lipc.grammars import grammar
from lipc.ir import Floats

MAX_CHARACTERS = 2**24
"""Of a text. Larger constants belong into a file for load()."""

MAX_NESTING = 100
"""Of brackets within brackets."""

BRACKETS = {"(": ")", "[": "]", "{": "}"}

OUTSIDE_OF_TEXT = re.compile(r'"[^"\n]*"|#[^\n]*|([()\[\]{}])')


class Separators:
    """Turns newlines and semicolons outside of brackets into END, and those that mean nothing into nothing.

    It never looks ahead: the lexer is contextual, so a token can be read only when the parser has taken the last.
    """

    always_accept: ClassVar[tuple[str, ...]] = ("NEWLINE", "SEMICOLON")

    def process(self, tokens: Iterator[Token]) -> Iterator[Token]:
        """Yield the tokens that the grammar knows."""
        depth, ended = 0, True
        for token in tokens:
            if token.type == "NEWLINE" or (token.type == "SEMICOLON" and not depth):
                if not depth and not ended:
                    ended = True
                    yield Token.new_borrow_pos("END", token, token)
                continue
            depth = max(0, depth + (token.type in ("LPAR", "LSQB")) - (token.type in ("RPAR", "RSQB")))
            ended = token.type in ("LBRACE", "RBRACE")
            yield token
            if token.type == "RBRACE":
                yield Token.new_borrow_pos("END", "", token)


Found = TypeVar("Found", bound=Node)


def _of(kind: type[Found], children: list[Any]) -> tuple[Found, ...]:
    return tuple(child for child in children if isinstance(child, kind))


def _words(children: list[Any], *types: str) -> list[str]:
    return [str(child) for child in children if isinstance(child, Token) and child.type in types]


def _word(token: Token) -> Word:
    return Word(int(token.start_pos), int(token.end_pos), str(token))


def _place(children: list[Any]) -> tuple[int, int]:
    """Return where the first child starts and the last ends; an END of a line within is none of them."""
    first, last = children[0], children[-1]
    start = first.start_pos if isinstance(first, Token) else first.start
    end = last.end_pos if isinstance(last, Token) else last.end
    return int(start), int(end)


@dataclass(frozen=True, eq=False)
class Plain(Node):
    """Neighbouring entries of a list that are plain numbers: not yet a list themselves."""

    values: Floats

    def singles(self) -> tuple[Number, ...]:
        """Return each number as an entry of its own."""
        return tuple(Number(self.start, self.end, float(value)) for value in self.values)


class Tree(Transformer):  # type: ignore[misc]
    """One method per rule of the grammar; each takes all its tokens and nodes."""

    def start(self, children: list[Any]) -> list[Item]:
        return [child for child in children if isinstance(child, Definition | NetworkBlock | QueryBlock)]

    def network(self, children: list[Any]) -> NetworkBlock:
        statements = tuple(child for child in children if isinstance(child, Definition | InputLine | OutputLine))
        return NetworkBlock(*_place(children), _word(children[1]), statements)

    def definition(self, children: list[Any]) -> Definition:
        return Definition(*_place(children), _word(children[0]), children[2])

    def input(self, children: list[Any]) -> InputLine:
        return InputLine(*_place(children), _word(children[1]), children[3])

    def output(self, children: list[Any]) -> OutputLine:
        return OutputLine(*_place(children), _word(children[1]), children[3] if len(children) > 3 else None)

    def query(self, children: list[Any]) -> QueryBlock:
        named = _word(children[1]) if children[1].type == "NAME" else None
        kinds = Definition | DomainLine | WhereLine | GoalLine
        return QueryBlock(*_place(children), named, tuple(child for child in children if isinstance(child, kinds)))

    def domain(self, children: list[Any]) -> DomainLine:
        return DomainLine(*_place(children), tuple(child for child in children if isinstance(child, Box | Ball)))

    def box(self, children: list[Any]) -> Box:
        return Box(*_place(children), children[1], children[3])

    def ball(self, children: list[Any]) -> Ball:
        center, radius, *clip = _of(Expression, children)
        return Ball(*_place(children), _word(children[1]), center, radius, (clip[0], clip[1]) if clip else None)

    def where(self, children: list[Any]) -> WhereLine:
        return WhereLine(*_place(children), _of(Constraint, children))

    def constraint(self, children: list[Any]) -> Constraint:
        return Constraint(*_place(children), tuple(_words(children, "COMPARE")), _of(Expression, children))

    def goal(self, children: list[Any]) -> GoalLine:
        return GoalLine(*_place(children), str(children[0]), children[1])

    def chain(self, children: list[Any]) -> Expression:
        if len(children) == 1:
            only: Expression = children[0]
            return only
        return Chain(*_place(children), tuple(_words(children, "ADD", "MULTIPLY")), _of(Expression, children))

    def signed(self, children: list[Any]) -> Expression:
        negative = _words(children, "ADD").count("-") % 2
        return Negated(*_place(children), children[-1]) if negative else self.group(children)

    def group(self, children: list[Any]) -> Expression:
        start, end = _place(children)
        (inner,) = _of(Expression, children)
        return replace(inner, start=start, end=end)

    def indexed(self, children: list[Any]) -> Indexed:
        subscripts = tuple(child for child in children[1:] if isinstance(child, Expression | Slice))
        return Indexed(*_place(children), children[0], subscripts)

    def slice(self, children: list[Any]) -> Slice:
        parts: list[Expression | None] = [None, None, None]
        position = 0
        for child in children:
            if isinstance(child, Token):
                position += 1
            else:
                parts[position] = child
        return Slice(*_place(children), (parts[0], parts[1], parts[2]))

    def transposed(self, children: list[Any]) -> Transposed:
        return Transposed(*_place(children), children[0])

    def member(self, children: list[Any]) -> Member:
        return Member(*_place(children), children[0], str(children[2]))

    def number(self, children: list[Any]) -> Number:
        return Number(*_place(children), float(children[0]))

    def name(self, children: list[Any]) -> Name:
        return Name(*_place(children), str(children[0]))

    def text(self, children: list[Any]) -> Text:
        return Text(*_place(children), str(children[0])[1:-1])

    def numbers(self, children: list[Any]) -> Plain:
        entries = [float(entry) for entry in children[0].split(",")]
        return Plain(*_place(children), np.array(entries, np.float64))

    def row(self, children: list[Any]) -> Plain | tuple[Expression, ...]:
        entries = [child for child in children if isinstance(child, Plain | Expression)]
        plain = _of(Plain, children)
        if len(plain) == len(entries):
            return Plain(plain[0].start, plain[-1].end, np.concatenate([entry.values for entry in plain]))
        return tuple(
            single for entry in entries for single in (entry.singles() if isinstance(entry, Plain) else (entry,))
        )

    def listing(self, children: list[Any]) -> Expression:
        start, end = _place(children)
        rows = [child for child in children if isinstance(child, Plain | tuple)]
        if len(rows) == 1 and isinstance(rows[0], Plain):
            return Numbers(start, end, rows[0].values)
        return Listing(start, end, tuple(row.singles() if isinstance(row, Plain) else row for row in rows))

    def call(self, children: list[Any]) -> Call:
        return Call(*_place(children), _word(children[0]), _of(Expression, children), _of(Named, children))

    def named(self, children: list[Any]) -> Named:
        return Named(*_place(children), str(children[0]), children[2])


@cache
def parser() -> Lark:
    """Return the parser, made once per process: making its tables takes as long as a hundred small files."""
    return Lark(
        grammar("network.lark"),
        parser="lalr",
        lexer="contextual",
        postlex=Separators(),
        transformer=Tree(),
        keep_all_tokens=True,
        maybe_placeholders=False,
    )


def parse(source: SourceText) -> list[Item]:
    """Return the items of a text.

    Raises
    ------
    SourceError
        At the first token that does not fit, or where the text is larger or deeper than it may be.
    """
    from lipc.frontends.lip.mistakes import explain

    if len(source.text) > MAX_CHARACTERS:
        message = f"the text has {len(source.text)} characters; {MAX_CHARACTERS} are the most"
        raise SourceError([Diagnostic(message, source.span(0), 'keep large constants in a file: load("weights.npz")')])
    _check_nesting(source)
    try:
        items: list[Item] = parser().parse(source.text)
    except UnexpectedInput as error:
        raise SourceError([explain(error, source)]) from None
    return items


def _check_nesting(source: SourceText) -> None:
    depth = 0
    for offset, bracket in brackets(source.text):
        depth += 1 if bracket in BRACKETS else -1
        if depth > MAX_NESTING:
            message = f"brackets are nested deeper than {MAX_NESTING}"
            raise SourceError([Diagnostic(message, source.span(offset), "name a part of it on a line of its own")])


def brackets(text: str) -> Iterator[tuple[int, str]]:
    """Yield offset and character of each bracket outside of texts in quotes and comments."""
    for match in OUTSIDE_OF_TEXT.finditer(text):
        if match[1]:
            yield match.start(), match[1]
