"""Values of expressions. What is wrong is noted where it is, and the rest of the text is still read."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from lipc.frontends.lip import arithmetic, indexing
from lipc.frontends.lip.functions import FUNCTIONS, NOT_PIECEWISE_LINEAR, OTHER_WORDS, transpose
from lipc.frontends.lip.load import Archive
from lipc.frontends.lip.report import Mistake, Report
from lipc.frontends.lip.scope import Binding, Scope, Template, similar
from lipc.frontends.lip.syntax import (
    Call,
    Chain,
    Expression,
    Indexed,
    Listing,
    Member,
    Name,
    Negated,
    Node,
    Number,
    Numbers,
    Text,
    Transposed,
    Word,
    postorder,
)
from lipc.frontends.lip.values import Constant, Linear, Quoted, Value, reference, shape_words
from lipc.frontends.lip.writer import Operand, Writer


@dataclass
class Evaluator:
    """Evaluates the expressions of one network, one query, or the constants of a file.

    Parameters
    ----------
    report
        Takes what is wrong.
    scope
        The names that are known.
    networks
        Those defined so far, by name.
    writer
        Takes the operations.
    """

    report: Report
    scope: Scope
    networks: dict[str, Template]
    writer: Writer
    _values: dict[Expression, Value | None] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)

    def value(self, root: Expression) -> Value | None:
        """Return the value of an expression; `None` if something in it is wrong, which is noted."""
        for node in postorder(root):
            self._values[node] = None
            if any(self._values[child] is None for child in node.children):
                continue
            try:
                self._values[node] = self._evaluate(node)
            except Mistake as mistake:
                self.report.mistake(mistake, node)
        value = self._values[root]
        self._values.clear()
        return value

    def operand(self, node: Expression, value: Value) -> Operand:
        """Return a value with the words that messages call it by."""
        return Operand(value, node, self.report.text(node, "what stands here"))

    def _look(self, node: Expression) -> Operand:
        """Return an operand of the node at hand, which has a value."""
        value = self._values[node]
        if value is None:
            raise KeyError(node)
        return self.operand(node, value)

    def _evaluate(self, node: Expression) -> Value | None:
        if isinstance(node, Name):
            return self._name(node)
        if isinstance(node, Number):
            return arithmetic.finite(np.asarray(node.value))
        if isinstance(node, Numbers):
            self.writer.budget.spend(node.values.size)
            return arithmetic.finite(node.values)
        if isinstance(node, Listing):
            self._warn_of_signs(node)
            return indexing.listing(self.writer, [[self._look(entry) for entry in row] for row in node.rows])
        if isinstance(node, Chain):
            return self._chain(node)
        if isinstance(node, Negated):
            return arithmetic.negated(self.writer, self._look(node.operand))
        if isinstance(node, Transposed):
            return transpose(self.writer, (self._look(node.operand),))
        if isinstance(node, Indexed):
            return indexing.indexed(self._look(node.operand), node.subscripts, self._look)
        if isinstance(node, Member):
            return self._member(node)
        if isinstance(node, Call):
            return self._call(node)
        if isinstance(node, Text):
            return Quoted(node.text)
        raise TypeError(node)

    def _name(self, node: Name) -> Value | None:
        binding = self.scope.find(node.name)
        if binding is not None:
            binding.used = True
            return binding.value
        # Said once: from here on the name is known, but has no value.
        self.scope.bindings[node.name] = Binding(None, Word(node.start, node.end, node.name), is_unknown=True)
        if node.name in self.networks:
            self.networks[node.name].used = True
            raise Mistake(f"'{node.name}' is a network", f"apply it to a vector: {node.name}(x)")
        if node.name in FUNCTIONS or node.name == "load":
            raise Mistake(f"'{node.name}' is a function", f"call it: {node.name}(..)")
        ahead = self.scope.ahead(node.name)
        if ahead is not None:
            line = self.report.line(ahead)
            own = ahead.start < node.start
            hint = "it cannot stand in its own definition" if own else f"line {line} defines it; move that before this"
            raise Mistake(f"'{node.name}' is not defined yet", hint)
        raise Mistake(f"unknown name '{node.name}'", similar(node.name, self.scope.names()))

    def define(self, word: Word, value: Value | None) -> None:
        """Let a name stand for a value; an error if it stands for one already."""
        if isinstance(value, Quoted):
            self.report.error(word, f"'{word.text}' would be a text, which stands only in load(..)")
            value = None
        old = self.scope.define(word, value)
        if old is not None:
            message = f"'{word.text}' is defined already, on line {self.report.line(old.word)}"
            self.report.error(word, message, "every name is defined once")

    def _chain(self, node: Chain) -> Value:
        first, *rest = node.operands
        left = self._look(first)
        for operator, operand in zip(node.operators, rest, strict=True):
            part = Expression(node.start, operand.end)
            try:
                value = arithmetic.apply(self.writer, operator, left, self._look(operand))
            except Mistake as mistake:
                mistake.node = mistake.node or part
                raise
            left = Operand(value, part, self.report.text(part, "the left side"))
        return left.value

    def _warn_of_signs(self, node: Listing) -> None:
        """Warn of ``[1 -2]``, which is two entries in Matlab and one here."""
        for entry in node.children:
            for left, right in pairwise(entry.children if isinstance(entry, Chain) else ()):
                between = self.report.source.text[left.end : right.start]
                if between[:1].isspace() and between[-1:] in ("+", "-"):
                    sign, place = between[-1], Node(left.start, right.end)
                    hint = f"for two entries write a comma, for one '{sign} ' with a blank"
                    self.report.warn("sign-in-list", place, "this is one entry of the list, not two", hint)

    def _member(self, node: Member) -> Value:
        operand = self._look(node.operand)
        if not isinstance(operand.value, Archive):
            hint = f"write {operand.words}'" if node.name == "T" else "only what load() reads from an .npz file has any"
            raise Mistake(f"{operand.words} has no member '{node.name}'", hint)
        return self.writer.loader.member(operand.value, node.name)

    def _call(self, node: Call) -> Value | None:
        name = node.function.text
        if name == "load":
            return self._load(node)
        positional = tuple(self._look(argument) for argument in node.positional)
        if name in self.networks:
            return self._apply(node, self.networks[name], positional)
        function = FUNCTIONS.get(name)
        if function is None:
            if name in self._refused:
                return None
            self._refused.add(name)
            raise self._unknown_function(node)
        named = {argument.name: self._look(argument.value) for argument in node.named}
        if len(named) < len(node.named):
            raise Mistake("an argument is given twice", f"it is {function.usage(name)}")
        return function.apply(self.writer, function.bind(name, positional, named))

    def _unknown_function(self, node: Call) -> Mistake:
        name = node.function.text
        hint, ahead = "", self.scope.ahead(name)
        message = f"unknown function '{name}'"
        if self.scope.find(name) is not None:
            message, hint = f"'{name}' is a value, not a function", f"{name} * (..) multiplies, {name}[..] selects"
        elif ahead is not None:
            line = self.report.line(ahead)
            hint = f"a network is applied below its definition; this one starts on line {line}"
        elif name.lower() in NOT_PIECEWISE_LINEAR:
            message = f"'{name}' is not piecewise linear"
            hint = "relu, leaky_relu, abs, clip, max, min and maxpool are"
        else:
            known = [*FUNCTIONS, "load", *self.networks]
            hint = OTHER_WORDS.get(name.lower(), "") or similar(name.lower(), known)
        return Mistake(message, hint, node.function)

    def _load(self, node: Call) -> Value:
        if len(node.positional) != 1 or node.named or not isinstance(node.positional[0], Text):
            raise Mistake("load takes the name of a file in quotes", 'as in load("weights.npz")')
        return self.writer.loader.load(node.positional[0].text)

    def _apply(self, node: Call, network: Template, arguments: tuple[Operand, ...]) -> Value | None:
        """Return the output of a network for another input: its operations are copied."""
        network.used = True
        if network.is_broken:
            return None
        if len(arguments) != 1 or node.named:
            raise Mistake(f"the network '{node.function.text}' is applied to one vector")
        given = self.writer.linear(arguments[0])
        if given.size != network.inputs:
            message = f"the network '{node.function.text}' has {shape_words((network.inputs,))} as its input"
            raise Mistake(f"shape mismatch: {message}, {arguments[0]}", node=arguments[0].node)
        result = self.writer.splice(network.ops, network.result, self.writer.real(given))
        return reference(result, network.outputs)

    def constant(self, node: Expression, what: str) -> Constant | None:
        """Return an expression that must be constant; `None` if it is not, which is noted."""
        value = self.value(node)
        if value is None:
            return None
        if isinstance(value, Constant):
            return value
        words = self.report.text(node, "this")
        why = f"{words} depends on the input" if isinstance(value, Linear) else f"{words} is none"
        self.report.error(node, f"{what} must be a constant, but {why}")
        return None

    def whole(self, node: Expression, what: str, least: int, most: int) -> int | None:
        """Return an expression that must be a constant whole number; `None` if it is not, which is noted."""
        value = self.constant(node, what)
        if value is None:
            return None
        try:
            number = indexing.whole_number(self.operand(node, value), what)
        except Mistake as mistake:
            self.report.mistake(mistake, node)
            return None
        if least <= number <= most:
            return number
        self.report.error(node, f"{what} must be from {least} to {most}, not {number}")
        return None
