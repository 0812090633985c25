"""Read programs from text: what `print_program` writes, and what people change in it; see docs/ir.md for the form."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from lipc.diagnostics import Diagnostic, SourceError, SourceText, Span, did_you_mean
from lipc.ir.matrix import identity
from lipc.ir.norms import Norm
from lipc.ir.polytope import Floats, L1Ball, Polytope
from lipc.ir.program import (
    Affine,
    Conditional,
    Input,
    Interval,
    Kind,
    Lipschitz,
    Objective,
    Op,
    Origin,
    Program,
    Sense,
    Switch,
    Term,
)
from lipc.ir.text_constants import LARGEST_SIZE, ConstantReader, Constants, Refused
from lipc.ir.text_numbers import TokenError, quoted, read_string, read_whole
from lipc.ir.text_syntax import MOST_MESSAGES, Node, Report, parse_tree
from lipc.ir.verifier import verify

MOST_NAMES = 1000
"""In a larger program no value of a similar name is looked for."""


@dataclass(frozen=True, eq=False)
class Sidecar:
    """What the first line of a text says of its constants: ``constants "net.lir.npz" sha256 "..."``.

    Parameters
    ----------
    name
        The file, without a folder.
    digest
        The SHA-256 of its bytes, in hexadecimal digits.
    name_span, digest_span
        Where the two stand.
    """

    name: str
    digest: str
    name_span: Span
    digest_span: Span


def parse_program(text: str, name: str = "<text>", constants: Constants = MappingProxyType({})) -> Program:
    """Return the program that a text stands for; it is verified.

    The text of a network of 784-256-256-10 with all 270,000 numbers in it (5.5 MB) takes 0.25 s; a
    sparse matrix of a million entries (28 MB) takes 3 s.

    Parameters
    ----------
    name
        What messages call the text.
    constants
        The arrays that the text refers to, as `print_with_constants` returns them.

    Raises
    ------
    SourceError
        With the place of everything that is wrong; for a mistake in the grammar, of the first one.
    """

    def load(sidecar: Sidecar | None) -> Constants:
        if sidecar is not None and not constants:
            message = f"the constants of this program are in the file {quoted(sidecar.name)}"
            raise SourceError([Diagnostic(message, sidecar.name_span, "read the program from a file beside it")])
        return constants

    return read_program(SourceText(name, text), load)


def read_program(source: SourceText, load: Callable[[Sidecar | None], Constants]) -> Program:
    """Return the program of a text.

    Parameters
    ----------
    load
        Asked for the constants that the text refers to, with what its first line says of them.

    Raises
    ------
    SourceError
        As `parse_program`, and whatever `load` raises.
    """
    tree = parse_tree(source)
    report = Report(source)
    statements = list(tree.children)
    sidecar = _sidecar(statements.pop(0), report) if statements[0].data == "sidecar" else None
    report.check()
    program = _Reader(report, load(sidecar)).program(statements)
    report.check()
    assert program is not None
    verify(program)
    return program


def _sidecar(node: Node, report: Report) -> Sidecar:
    texts = []
    for token in node.children:
        try:
            texts.append(read_string(token))
        except TokenError as error:
            report.within(token, error)
            texts.append("")
    return Sidecar(texts[0], texts[1], report.span(node.children[0]), report.span(node.children[1]))


@dataclass(frozen=True)
class _Value:
    """What is known of a value from the left of its definition, even if the right of it is wrong."""

    name: str
    index: int
    kind: Kind
    size: int | None
    line: int

    def __str__(self) -> str:
        return f"{self.name} ({self.size} {'entry' if self.size == 1 else 'entries'})"


class _Reader:
    """Turns statements into a program; errors go to the report, and reading goes on."""

    def __init__(self, report: Report, stored: Constants) -> None:
        self.report = report
        self.constants = ConstantReader(report, stored)
        self.values: dict[str, _Value] = {}
        self.defined: frozenset[str] = frozenset()
        self.ops: list[Op] = []
        self.question: tuple[int, Objective | None] | None = None
        self.question_line = 0
        self.bounds: dict[int, Interval] = {}

    def program(self, statements: list[Node]) -> Program | None:
        """Return the program, or nothing if there was an error."""
        self.defined = frozenset(str(node.children[0]) for node in statements if node.data == "definition")
        for node in statements:
            if node.data == "definition":
                self.definition(node)
            elif node.data == "bounds":
                self.proven(node)
            elif node.data != "end":
                self.asked(node)
        if self.question is None and not self.question_line:
            hint = "write 'output %1', 'maximize %1', 'minimize %1' or 'maximize lipschitz(%1, norm = linf)'"
            self.report.error("the program does not say what its result is", statements[-1], hint)
        if self.report.diagnostics or self.question is None:
            return None
        result, objective = self.question
        return Program(tuple(self.ops), result, objective).with_bounds(self.bounds)

    def definition(self, node: Node) -> None:
        """Read ``%1: vec[3] = ...``."""
        token, kind_and_size, operation = node.children[:3]
        value = self.declare(token, kind_and_size, operation)
        origin = self.origin(node.children[3]) if len(node.children) > 3 else Origin("")
        try:
            if value.size is None:
                raise Refused
            read = getattr(self, f"_{operation.data}")
            op: Op = read(operation, value, value.size, origin)
        except Refused:
            op = Affine(origin, (), np.zeros(0))  # keeps the numbers of the values; the program is not returned
        self.ops.append(op)
        if str(token) not in self.values:
            self.values[str(token)] = value

    def declare(self, token: Node, type_node: Node, operation: Node) -> _Value:
        """Return what the left of a definition says."""
        name = str(token)
        if name in self.values:
            self.report.error(f"{name} is defined twice, first in line {self.values[name].line}", token)
        kind = Kind(str(type_node.children[0]))
        makes = {"conditional": Kind.BIT, "affine": Kind.REAL, "switch": Kind.REAL}.get(operation.data, kind)
        if kind is not makes:
            article = "an" if operation.data == "affine" else "a"
            written = f"{makes.value}[{type_node.children[1]}]"
            what = "bits" if makes is Kind.BIT else "real numbers"
            self.report.error(f"{article} {operation.data} makes {what}", type_node, f"write {written}")
        size: int | None = read_whole(type_node.children[1])
        if size is not None and size > LARGEST_SIZE:
            self.report.error(f"a value has at most {LARGEST_SIZE} entries", type_node.children[1])
            size = None
        return _Value(name, len(self.ops), makes, size, token.line)

    def operand(self, token: Node) -> tuple[_Value, int]:
        """Return the value that a name stands for, and its size."""
        name = str(token)
        value = self.values.get(name)
        if value is None:
            if name in self.defined:
                hint = "operations stand in the order in which they are computed"
                self.constants.refuse(f"{name} is used before it is defined", token, hint)
            self.constants.refuse(f"there is no value {name}", token, self.alike(name))
        assert value is not None
        if value.size is None:
            raise Refused
        return value, value.size

    def alike(self, name: str) -> str:
        """Return a hint for a misspelt name; none for a number, and none where looking for one would take seconds."""
        if name[1:].isdecimal() or len(self.defined) > MOST_NAMES or len(self.report.diagnostics) > MOST_MESSAGES:
            return ""
        return did_you_mean(name, sorted(self.defined))

    def origin(self, node: Node) -> Origin:
        """Read ``@ "name" "source" kept [0, 2]``."""
        texts = []
        for token in node.children[:2]:
            try:
                texts.append("" if token is None else read_string(token))
            except TokenError as error:
                self.report.within(token, error)
        kept = None
        if len(node.children) > 2:
            with suppress(Refused):
                kept = self.constants.indices(node.children[2])
        return Origin(texts[0], texts[1], kept) if len(texts) == 2 else Origin("")

    def _input(self, node: Node, value: _Value, size: int, origin: Origin) -> Op:
        box, rows, ball = node.children
        if box.data == "space":
            self.constants.afford(2 * size, node)
            domain = Polytope.space(size)
        else:
            low, high = (
                self.constants.vector(part, size, f"the {which} bound of {value.name}", finite=False)
                for which, part in zip(("lower", "upper"), box.children, strict=True)
            )
            self.not_crossing(low, high, box.children)
            domain = Polytope.box(low, high)
        if value.kind is Kind.BIT:
            self.within_bits(domain, box)
        if rows is not None:
            domain = self.with_rows(domain, rows)
        return Input(origin, self.with_ball(domain, ball, value) if ball is not None else domain, value.kind)

    def with_rows(self, domain: Polytope, node: Node) -> Polytope:
        """Read ``rows MATRIX in [..] .. [..]``."""
        part, low_part, high_part = node.children
        read = self.constants.matrix(part, None, domain.size, f"the input has {domain.size} entries")
        rows = read if isinstance(read, csr_array) else csr_array(read)
        low, high = (
            self.constants.vector(part, rows.shape[0], "the bounds of the rows", finite=False)
            for part in (low_part, high_part)
        )
        self.not_crossing(low, high, (low_part, high_part))
        return Polytope(domain.lower, domain.upper, rows, low, high)

    def with_ball(self, domain: Polytope, node: Node, value: _Value) -> Polytope:
        """Read ``ball l1 center [..] radius 0.5``."""
        part, token = node.children
        if value.kind is Kind.BIT:
            self.constants.refuse("bits have no l_1 ball", node, "bits are restricted by rows")
        center = self.constants.vector(part, domain.size, "the center of the ball")
        radius = self.constants.number(token)
        if not 0 <= radius < np.inf:
            self.constants.refuse("a radius is a finite number and not negative", token)
        return Polytope(
            domain.lower, domain.upper, domain.rows, domain.row_lower, domain.row_upper, L1Ball(center, radius)
        )

    def _affine(self, node: Node, value: _Value, size: int, origin: Origin) -> Op:
        terms: dict[int, Term] = {}
        bias: Floats | None = None
        for summand in node.children:
            token = summand.children[1]
            if token is None:
                if bias is not None:
                    self.constants.refuse("a second constant", summand, "add it to the first")
                bias = self.constants.vector(summand.children[0], size, f"the constant of {value.name}")
                continue
            operand, columns = self.operand(token)
            if operand.index in terms:
                self.constants.refuse(f"{operand.name} is read twice", token, "add the two matrices")
            if summand.data == "scaled":
                terms[operand.index] = self.scaled(summand, operand, columns, value)
                continue
            fit = f"it maps {operand} to {value}"
            matrix = self.constants.matrix(summand.children[0], size, columns, fit)
            terms[operand.index] = Term(operand.index, matrix)
        if bias is None:
            self.constants.afford(size, node)
            bias = np.zeros(size)
        return Affine(origin, tuple(terms.values()), bias)

    def scaled(self, node: Node, operand: _Value, size: int, value: _Value) -> Term:
        """Read ``0.5 * %1``, or ``%1``: a multiple of the identity."""
        if size != value.size:
            self.constants.refuse(f"{operand} cannot be added to {value}", node, "write MATRIX * VALUE")
        scale = 1.0 if node.children[0] is None else self.constants.number(node.children[0])
        if not np.isfinite(scale):
            self.constants.refuse("the numbers of a matrix are finite", node.children[0])
        self.constants.afford(size, node)
        return Term(operand.index, identity(size, scale))

    def _conditional(self, node: Node, value: _Value, size: int, origin: Origin) -> Op:
        return Conditional(origin, self.real(node.children[0], size, value), size)

    def _switch(self, node: Node, value: _Value, size: int, origin: Origin) -> Op:
        operand = self.real(node.children[0], size, value)
        bit, bits = self.operand(node.children[1])
        if bit.kind is not Kind.BIT:
            hint = "a switch reads a value and bits: switch %1, %2"
            self.constants.refuse(f"{bit.name} holds real numbers, not bits", node.children[1], hint)
        self.same_size(bit, bits, size, value, node.children[1])
        return Switch(origin, operand, bit.index, size)

    def real(self, token: Node, size: int, value: _Value) -> int:
        """Return the index of an operand that has to be real and of the same size."""
        operand, its_size = self.operand(token)
        if operand.kind is not Kind.REAL:
            hint = "an affine reads them as the numbers 0 and 1"
            self.constants.refuse(f"{operand.name} holds bits, not real numbers", token, hint)
        self.same_size(operand, its_size, size, value, token)
        return operand.index

    def same_size(self, operand: _Value, its_size: int, size: int, value: _Value, token: Node) -> None:
        if its_size != size:
            self.constants.refuse(f"{operand} and {value} differ in size", token)

    def not_crossing(self, low: Floats, high: Floats, nodes: Any) -> None:
        """Refuse a lower bound above its upper bound."""
        crossing = low > high
        if crossing.any():
            entry = int(np.argmax(crossing))
            message = f"the lower bound {low[entry]:g} of entry {entry} is above the upper bound {high[entry]:g}"
            self.constants.refuse(message, self.constants.entry(nodes[0], entry))

    def within_bits(self, domain: Polytope, box: Node) -> None:
        """Refuse bounds of bits outside [0, 1]."""
        for side, outside in enumerate((domain.lower < 0, domain.upper > 1)):
            if outside.any():
                place = self.constants.entry(box.children[side], int(np.argmax(outside))) if box.children else box
                self.constants.refuse("bits lie within [0, 1]", place, "write box zeros(n) .. ones(n)")

    def proven(self, node: Node) -> None:
        """Read ``bounds %1: [..] .. [..]``."""
        token, *parts = node.children
        with suppress(Refused):
            value, size = self.operand(token)
            what = f"the bounds of {value.name}"
            low, high = (self.constants.vector(part, size, what, finite=False) for part in parts)
            self.not_crossing(low, high, parts)
            if value.index in self.bounds:
                self.constants.refuse(f"there are bounds of {value.name} already", token)
            self.bounds[value.index] = Interval(low, high)

    def asked(self, node: Node) -> None:
        """Read the line that says what the result is."""
        if self.question_line:
            self.report.error(f"a second question; the first is in line {self.question_line}", node)
            return
        self.question_line = self.report.span(node).line
        with suppress(Refused):
            value, size = self.operand(node.children[0 if node.data == "output" else 1])
            self.question = value.index, self.objective(node, value, size)

    def objective(self, node: Node, value: _Value, size: int) -> Objective | None:
        if node.data == "output":
            return None
        sense = Sense(str(node.children[0]))
        if node.data == "extremum":
            if size != 1:
                hint = f"pick one: affine select([0], of {size}) * {value.name}"
                self.constants.refuse(f"only a single number can be {sense.value}d; {value} has more", node, hint)
            return Objective(sense)
        if sense is not Sense.MAXIMIZE:
            self.constants.refuse("a Lipschitz constant can only be maximized", node.children[0])
        norms = [node.children[2], node.children[3] or Norm.LINF.value]
        allowed = [("", list(Norm)), (" of outputs", [Norm.LINF, Norm.L1])]
        for norm, (where, known) in zip(norms, allowed, strict=True):
            if norm not in [each.value for each in known]:
                hint = f"write {' or '.join(each.value for each in known)}"
                self.constants.refuse(f"there is no norm '{norm}'{where}", norm, hint)
        return Objective(sense, Lipschitz(*(Norm(str(norm)) for norm in norms)))
