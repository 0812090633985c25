"""Queries: the domain, and what to maximize or minimize, into a `Query`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from lipc.diagnostics import did_you_mean
from lipc.frontends.lip import arithmetic
from lipc.frontends.lip.expressions import Evaluator
from lipc.frontends.lip.report import Mistake, Report
from lipc.frontends.lip.scope import Binding, Template
from lipc.frontends.lip.syntax import (
    Ball,
    Box,
    Call,
    Constraint,
    Definition,
    DomainLine,
    Expression,
    GoalLine,
    Line,
    Name,
    Node,
    QueryBlock,
    Text,
    WhereLine,
)
from lipc.frontends.lip.values import Constant, Linear, Value, reference, shape_words
from lipc.frontends.lip.writer import Operand
from lipc.ir import Affine, Floats, Matrix, Norm, Polytope, add, as_dense, as_matrix, compose
from lipc.query import Differences, Functional, Goal, Query, ball, box

INPUT, OUTPUT = 0, 1
"""The values that stand for the two ends of the network."""

USAGE = "it is lipschitz(y, norm = linf, outputs = linf)"

NORMS = {"norm": ("linf", "l1", "l2"), "outputs": ("linf", "l1")}
"""What the named arguments of `lipschitz` may be."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Half-spaces ``lower <= matrix @ x <= upper``."""

    matrix: Matrix
    lower: Floats
    upper: Floats


@dataclass
class QueryReader:
    """Reads a query about a network.

    Parameters
    ----------
    block
        What is written.
    network
        What it is about.
    evaluator
        Has a scope and a program of its own, which only serves to write linear functions of the two ends.
    """

    block: QueryBlock
    network: Template
    evaluator: Evaluator
    domain: DomainLine | None = None
    goal: GoalLine | None = None
    regions: list[Polytope] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    output: Functional | Differences | None = None
    norm: Norm = Norm.LINF
    output_norm: Norm = Norm.LINF
    kind: Goal = "lipschitz"

    @property
    def report(self) -> Report:
        """Takes what is wrong."""
        return self.evaluator.report

    def read(self) -> Query:
        """Return the question; of no use if anything was noted to be wrong."""
        builder = self.evaluator.writer.builder
        for size in (self.network.inputs, self.network.outputs):
            builder.input(Polytope.space(size))
        for line in self.block.lines:
            self._line(line)
        regions = self.regions
        if self.domain is None:
            size = self.network.inputs
            regions = [box(np.zeros(size), np.ones(size))] if self.rows else []
        for rows in self.rows:
            regions = [region.with_rows(rows.matrix, rows.lower, rows.upper) for region in regions]
        domain = None if not regions else regions[0] if len(regions) == 1 else tuple(regions)
        return Query(domain, self.output, self.norm, self.kind, self.output_norm)

    def _line(self, line: Line) -> None:
        # Of two ends of one name, the line says which is meant.
        ends = {self.network.output_name: (OUTPUT, self.network.outputs)}
        ends[self.network.input_name] = (INPUT, self.network.inputs)
        if isinstance(line, GoalLine):
            ends[self.network.output_name] = (OUTPUT, self.network.outputs)
        for name, (value, size) in ends.items():
            self.evaluator.scope.bindings[name] = Binding(reference(value, size), self.network.word, used=True)
        if isinstance(line, Definition):
            self.evaluator.define(line.name, self.evaluator.value(line.value))
        elif isinstance(line, DomainLine):
            self._domain(line)
        elif isinstance(line, WhereLine):
            for constraint in line.constraints:
                self._constraint(constraint)
        else:
            self._goal(line)

    # --- the domain ---

    def _domain(self, line: DomainLine) -> None:
        if self.domain is not None:
            message = f"a second domain; the first is on line {self.report.line(self.domain)}"
            self.report.error(line, message, "the union of several is written: domain box .. or box ..")
            return
        self.domain = line
        for region in line.regions:
            found = self._box(region) if isinstance(region, Box) else self._ball(region)
            if found is not None:
                self.regions.append(found)

    def _vector(self, node: Expression, what: str) -> Floats | None:
        """Return a constant with an entry per input; an array of as many is read row by row."""
        value = self.evaluator.constant(node, what)
        if value is None:
            return None
        if value.array.size not in (1, self.network.inputs):
            needed = shape_words((self.network.inputs,))
            words = self.evaluator.operand(node, value)
            self.report.error(node, f"shape mismatch: {self.network.input_name} has {needed}, {words}")
            return None
        return value.of_size(self.network.inputs)

    def _number(self, node: Expression, what: str) -> float | None:
        value = self.evaluator.constant(node, what)
        if value is None:
            return None
        if value.array.size != 1:
            self.report.error(node, f"{what} must be one number, but {self.evaluator.operand(node, value)}")
            return None
        return float(value.array.reshape(()))

    def _box(self, region: Box) -> Polytope | None:
        lower, upper = self._vector(region.lower, "a lower bound"), self._vector(region.upper, "an upper bound")
        if lower is None or upper is None:
            return None
        return self._nonempty(box(lower, upper), region, "the box is empty")

    def _ball(self, region: Ball) -> Polytope | None:
        center, radius = self._vector(region.center, "the center"), self._number(region.radius, "the radius")
        limits = [self._number(node, "a limit of clip") for node in region.clip or ()]
        if center is None or radius is None or None in limits:
            return None
        if radius < 0:
            self.report.error(region.radius, f"the radius is {radius:g}, which is negative")
            return None
        clip = None
        if region.clip is not None:
            low, high = (number for number in limits if number is not None)
            clip = (low, high)
            if low > high:
                place = Node(region.clip[0].start, region.clip[1].end)
                self.report.error(place, f"clip is empty: {low:g} is above {high:g}")
                return None
        found = ball(center, radius, clip, Norm(region.norm.text))
        return self._nonempty(found, region, "clip leaves nothing of the ball")

    def _nonempty(self, region: Polytope, node: Node, message: str) -> Polytope | None:
        crossed = np.flatnonzero(region.lower > region.upper)
        if not len(crossed):
            return region
        at = int(crossed[0])
        name = f"{self.network.input_name}[{at}]"
        self.report.error(node, f"{message}: {name} ranges from {region.lower[at]:g} to {region.upper[at]:g}")
        return None

    def _constraint(self, constraint: Constraint) -> None:
        operands = []
        for node in constraint.operands:
            value = self.evaluator.value(node)
            operands.append(None if value is None else self.evaluator.operand(node, value))
        found: list[Rows] = []
        pairs = zip(constraint.operators, operands[:-1], operands[1:], strict=True)
        for operator, left, right in pairs:
            if left is None or right is None:
                continue
            place = Node(left.node.start, right.node.end)
            try:
                found.append(self._rows(operator, left, right))
            except Mistake as mistake:
                self.report.mistake(mistake, place)
        self.rows += _merged(found)

    def _rows(self, operator: str, left: Operand, right: Operand) -> Rows:
        """Return ``left <= right`` and the like as rows of their difference, a constant side last."""
        if isinstance(left.value, Constant):
            left, right, operator = right, left, {"<=": ">=", ">=": "<="}.get(operator, operator)
        matrix, bias = self._flat(arithmetic.apply(self.evaluator.writer, "-", left, right), INPUT)
        if not (abs(matrix) > 0).sum(axis=1).all():
            raise Mistake(f"this says nothing about the input {self.network.input_name}")
        offset = 0.0 - bias
        lower = offset if operator in (">=", "==") else np.full(len(bias), -np.inf)
        upper = offset if operator in ("<=", "==") else np.full(len(bias), np.inf)
        return Rows(matrix, lower, upper)

    def _flat(self, value: Value, end: int) -> tuple[Matrix, Floats]:
        """Return a value as ``matrix @ end + bias``; operations that the writer made on the way are expanded.

        Raises
        ------
        Mistake
            If it depends on the other end, or on anything that is not linear.
        """
        ops = self.evaluator.writer.builder.ops
        terms, bias = (dict(value.terms), value.bias) if isinstance(value, Linear) else ({}, np.zeros(1))
        while terms and max(terms) > OUTPUT:
            newest = max(terms)
            matrix, op = terms.pop(newest), ops[newest]
            if not isinstance(op, Affine):
                if end == INPUT:
                    raise Mistake("a domain is cut by linear constraints; this is not linear")
                message = f"the question must be linear in '{self.network.output_name}'"
                raise Mistake(message, "make this a part of the network, and its output")
            bias = bias + matrix @ op.bias
            for term in op.terms:
                product = compose(matrix, term.matrix)
                terms[term.operand] = add(terms[term.operand], product) if term.operand in terms else product
        size = (self.network.inputs, self.network.outputs)[end]
        other = terms.pop(1 - end, None)
        if other is not None and abs(other).sum() > 0:
            x, y = self.network.input_name, self.network.output_name
            if end == INPUT:
                raise Mistake(f"'{y}' is the output; a domain is described by the input '{x}'")
            raise Mistake(f"'{x}' is the input; the question is about the output '{y}'")
        matrix = terms.get(end, csr_array((len(bias), size)))
        return as_matrix(matrix), bias

    # --- the goal ---

    def _goal(self, line: GoalLine) -> None:
        if self.goal is not None:
            message = f"a second question; the first is on line {self.report.line(self.goal)}"
            self.report.error(line, message, "one file asks one")
            return
        self.goal = line
        node = line.value
        self.kind = "max" if line.verb == "maximize" else "min"
        if isinstance(node, Call) and node.function.text == "lipschitz" and "lipschitz" not in self.evaluator.networks:
            if line.verb == "minimize":
                self.report.error(line, "a Lipschitz constant can only be maximized", "maximize lipschitz(..)")
            self.kind = "lipschitz"
            target = self._target(node)
            if target is None:
                return
            node = target
            if isinstance(node, Name) and node.name == self.network.output_name:
                return  # all outputs
            if self.output_norm is not Norm.LINF:
                self.report.error(node, "a norm of outputs is for all of them", "write lipschitz(y, outputs = l1)")
            if isinstance(node, Call) and node.function.text == "cross" and "cross" not in self.evaluator.networks:
                self.output = self._differences(node)
                return
        value = self.evaluator.value(node)
        if value is None:
            return
        try:
            self.output = self._functional(node, value)
        except Mistake as mistake:
            self.report.mistake(mistake, node)

    def _target(self, call: Call) -> Expression | None:
        """Return what a Lipschitz constant is asked of, after a look at the norms."""
        names = [argument.name for argument in call.named]
        if len(call.positional) != 1 or len(set(names)) < len(names):
            self.report.error(call, "lipschitz takes one output and a norm", USAGE)
            return None
        for argument in call.named:
            node = argument.value
            word = node.name if isinstance(node, Name) else node.text if isinstance(node, Text) else ""
            known = NORMS.get(argument.name)
            if known is None:
                self.report.error(argument, f"lipschitz has no argument '{argument.name}'", USAGE)
            elif word not in known:
                text = self.report.text(node, "this")
                hint = did_you_mean(word, known) if word.lower() not in NORMS["norm"] else ""
                every = " or ".join(f"{argument.name} = {each}" for each in known)
                self.report.error(node, f"unknown norm '{text}'", hint or every)
            elif argument.name == "norm":
                self.norm = Norm(word)
            else:
                self.output_norm = Norm(word)
        return call.positional[0]

    def _differences(self, call: Call) -> Differences | None:
        """Return the differences of outputs that ``cross(y)`` or ``cross(y, 3)`` stands for."""
        y = self.network.output_name
        first = call.positional[0] if call.positional else None
        fits = isinstance(first, Name) and first.name == y and len(call.positional) <= 2 and not call.named
        if not fits:
            self.report.error(call, "cross takes the output and perhaps a number", f"it is cross({y}) or cross({y}, 3)")
            return None
        of = None
        if len(call.positional) == 2:
            number = self._number(call.positional[1], "the number of an output")
            if number is None:
                return None
            if number not in range(self.network.outputs):
                last = self.network.outputs - 1
                self.report.error(call.positional[1], f"there is no output {y}[{number:g}]", f"the last is {y}[{last}]")
                return None
            of = int(number)
        if self.network.outputs < 2:
            self.report.error(call, f"{y} has one entry, and so no differences")
            return None
        return Differences(of)

    def _functional(self, node: Expression, value: Value) -> Functional:
        operand = self.evaluator.operand(node, value)
        linear = self.evaluator.writer.linear(operand)
        y = self.network.output_name
        if linear.size != 1:
            raise Mistake(f"one number is asked for, but {operand}", f"choose an entry, as in {y}[0]")
        matrix, bias = self._flat(linear, OUTPUT)
        row = as_dense(matrix).reshape(-1)
        if not row.any():
            raise Mistake(f"this does not depend on the output '{y}'")
        if not (np.isfinite(row).all() and np.isfinite(bias).all()):
            raise Mistake("its numbers are too large for double precision")
        return Functional({int(at): float(row[at]) for at in np.flatnonzero(row)}, float(bias[0]))


def _merged(found: list[Rows]) -> list[Rows]:
    """Return the rows of one chain, two of one matrix as one with two bounds."""
    merged: list[Rows] = []
    for rows in found:
        last = merged[-1] if merged else None
        if last is not None and last.matrix.shape == rows.matrix.shape and not abs(last.matrix - rows.matrix).sum():
            merged[-1] = Rows(last.matrix, np.maximum(last.lower, rows.lower), np.minimum(last.upper, rows.upper))
        else:
            merged.append(rows)
    return merged
