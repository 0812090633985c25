"""Networks: statements into operations, and what is suspicious about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipc.frontends.lip.expressions import Evaluator
from lipc.frontends.lip.report import Mistake, Report
from lipc.frontends.lip.scope import Template
from lipc.frontends.lip.syntax import (
    Definition,
    Expression,
    InputLine,
    Name,
    NetworkBlock,
    OutputLine,
    Statement,
    Word,
)
from lipc.frontends.lip.values import Linear, Value, reference
from lipc.frontends.lip.writer import MAX_SIZE, Writer
from lipc.ir import Affine, Input, Op, Origin, Polytope, nonzero_columns

SHOWN_ENTRIES = 3
"""Of a list of entries in a warning."""


@dataclass
class NetworkReader:
    """Reads one network.

    Parameters
    ----------
    block
        What is written.
    evaluator
        Has a scope and a program of its own for this network.
    """

    block: NetworkBlock
    evaluator: Evaluator
    input: InputLine | None = None
    output: OutputLine | None = None
    result: Linear | None = None

    @property
    def report(self) -> Report:
        """Takes what is wrong."""
        return self.evaluator.report

    @property
    def writer(self) -> Writer:
        """Takes the operations."""
        return self.evaluator.writer

    def read(self) -> Template:
        """Return the network; one without operations if anything is wrong with it."""
        errors = len(self.report.errors)
        for statement in self.block.statements:
            self.writer.builder.origin = Origin(statement.name.text, self.report.place(statement.name))
            self._statement(statement)
        name = self.block.name
        if self.input is None:
            self.report.error(name, f"the network '{name.text}' has no input", "as in: input x[2]")
        if self.output is None:
            self.report.error(name, f"the network '{name.text}' has no output", "as in: output y = relu(x)")
        if len(self.report.errors) > errors or self.input is None or self.output is None or self.result is None:
            return Template(name)
        ops = tuple(self.writer.builder.ops)
        ends = (self.input.name.text, self.output.name.text)
        template = Template(name, ops, self.writer.value(self.result), *ends, ops[0].size, self.result.size)
        self._warn(template)
        return template

    def _statement(self, statement: Statement) -> None:
        if isinstance(statement, InputLine):
            self._input(statement)
        elif isinstance(statement, OutputLine):
            self._output(statement)
        else:
            self._define(statement.name, self._value(statement))

    def _value(self, statement: Definition) -> Value | None:
        """Return what a name is to stand for: a vector that depends on the input becomes a value of the program."""
        value = self.evaluator.value(statement.value)
        if isinstance(value, Linear):
            try:
                return self.writer.named(value)
            except Mistake as mistake:
                self.report.mistake(mistake, statement.value)
                return None
        return value

    def _define(self, word: Word, value: Value | None) -> None:
        outer = self.evaluator.scope.outer
        hidden = outer.bindings.get(word.text) if outer else None
        if hidden is not None and word.text not in self.evaluator.scope.bindings:
            line = self.report.line(hidden.word)
            self.report.warn("shadow", word, f"'{word.text}' hides the constant of line {line}", "give it another name")
        self.evaluator.define(word, value)

    def _input(self, statement: InputLine) -> None:
        if self.input is not None:
            message = f"a second input; the first is on line {self.report.line(self.input)}"
            self.report.error(statement, message, "take slices of one input: x[0:2]")
            if statement.name.text not in self.evaluator.scope.bindings:
                self._define(statement.name, None)
            return
        self.input = statement
        size = self.evaluator.whole(statement.size, "the size of the input", 1, MAX_SIZE)
        if size is None:
            self._define(statement.name, None)
            return
        value = self.writer.builder.input(Polytope.space(size))
        self._define(statement.name, reference(value, size))

    def _output(self, statement: OutputLine) -> None:
        if self.output is not None:
            message = f"a second output; the first is on line {self.report.line(self.output)}"
            self.report.error(statement, message, "join them in one: output y = [a; b]")
            if statement.value is not None and statement.name.text not in self.evaluator.scope.bindings:
                self._define(statement.name, None)
            return
        self.output = statement
        word = statement.name
        if statement.value is None:
            expression: Expression = Name(word.start, word.end, word.text)
            self.result = self._vector(expression)
        else:
            expression = statement.value
            self.result = self._vector(expression)
            self._define(word, self.result)
        if word.text in self.evaluator.scope.bindings:
            self.evaluator.scope.bindings[word.text].used = True

    def _vector(self, expression: Expression) -> Linear | None:
        """Return the output as a value of the program, of reals; `None` if anything is wrong, which is noted."""
        value = self.evaluator.value(expression)
        if value is None:
            return None
        try:
            linear = self.writer.linear(self.evaluator.operand(expression, value))
            return reference(self.writer.real(linear), linear.size)
        except Mistake as mistake:
            self.report.mistake(mistake, expression)
            return None

    # --- warnings ---

    def _warn(self, template: Template) -> None:
        for name, binding in self.evaluator.scope.unused():
            hint = f"leave it out, or call it _{name}" if name != template.input_name else ""
            self.report.warn("unused", binding.word, f"nothing reads '{name}'", hint)
        if not self.evaluator.scope.bindings[template.input_name].used or self.input is None or self.output is None:
            return
        if not _depends(template.ops, template.result):
            self.report.warn("constant-output", self.output.name, "the output does not depend on the input")
            return
        unread = np.flatnonzero(~_read_entries(template))
        if len(unread):
            names = [f"{template.input_name}[{entry}]" for entry in unread[:SHOWN_ENTRIES]]
            more = f" and {len(unread) - SHOWN_ENTRIES} more" if len(unread) > SHOWN_ENTRIES else ""
            self.report.warn("dead-input", self.input, f"nothing depends on {', '.join(names)}{more}")


def _depends(ops: tuple[Op, ...], result: int) -> bool:
    """Return whether a value depends on the input at all."""
    depending = [isinstance(op, Input) for op in ops]
    for value, op in enumerate(ops):
        if isinstance(op, Affine):
            depending[value] = any(depending[t.operand] and nonzero_columns(t.matrix).any() for t in op.terms)
        elif op.operands:
            depending[value] = depending[op.operands[0]]
    return depending[result]


def _read_entries(network: Template) -> NDArray[np.bool_]:
    """Return which entries of the input anything depends on."""
    read = np.full(network.inputs, network.result == 0)
    for op in network.ops[1:]:
        if isinstance(op, Affine):
            for term in op.terms:
                if term.operand == 0:
                    read |= nonzero_columns(term.matrix)
        elif 0 in op.operands:
            read[:] = True
    return read
