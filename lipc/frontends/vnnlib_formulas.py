"""The formulas of VNN-LIB: what a condition on inputs and outputs says about the inputs, in exact arithmetic."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, product
from math import prod
from typing import NamedTuple, TypeAlias

from lipc.diagnostics import did_you_mean
from lipc.frontends.vnnlib_forms import Atom, Expression, Form, Messages, PlacedError

COMPARISONS = ("<=", ">=", "<", ">", "=")
CONDITIONS = (*COMPARISONS, "and", "or")
ARITHMETIC = ("+", "-", "*", "/")
OPERATORS = (*CONDITIONS, *ARITHMETIC)
REFUSED = ("not", "=>", "xor", "ite", "let", "distinct", "forall", "exists", "!", "true", "false")
"""What SMT-LIB has beyond this."""

MOST_ALTERNATIVES = 1000
MOST_ROWS = 2**21
"""Over all alternatives, when an `and` of several `or` is multiplied out."""
MOST_CHARACTERS = 1000
MOST_BITS = 4096
"""Of a numerator or denominator: exact arithmetic grows."""

VARIABLE = re.compile(r"([XY])_(0|[1-9][0-9]{0,11})")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([-+]?[0-9]+))?")
_LIKE_VARIABLE = re.compile(r"([XYxy])[_\[(]*0*([0-9]+)[\])]*")

Direction: TypeAlias = tuple[tuple[int, Fraction], ...]
"""Inputs and their coefficients, in the order of the inputs; one input alone has the coefficient 1."""


class Row(NamedTuple):
    """``lower <= direction @ x <= upper``, a side that is open being `None`, and where it is said."""

    direction: Direction
    lower: Fraction | None
    upper: Fraction | None
    place: Form

    def allows(self, value: Fraction) -> bool:
        """Return whether the left side may have a value."""
        return (self.lower is None or self.lower <= value) and (self.upper is None or value <= self.upper)


Conjunction: TypeAlias = tuple[Row, ...]
Alternatives: TypeAlias = list[Conjunction]
"""Conjunctions of which one at least holds; ``[()]`` is always true."""


class Linear(NamedTuple):
    """``sum(inputs[i] * x[i]) + constant``, or any function if it depends on outputs."""

    inputs: Mapping[int, Fraction]
    constant: Fraction
    outputs: bool = False

    @property
    def is_constant(self) -> bool:
        """Whether it depends on nothing."""
        return not self.outputs and not any(self.inputs.values())


ZERO, ONE = Fraction(0), Fraction(1)
OF_OUTPUTS = Linear({}, ZERO, outputs=True)


@dataclass(frozen=True, eq=False)
class Formulas:
    """Reads formulas over declared names.

    Parameters
    ----------
    declared
        Where each name is declared.
    messages
        Get what is wrong, comparison by comparison.
    """

    declared: Mapping[str, Atom]
    messages: Messages

    def read(self, formula: Expression) -> Alternatives:
        """Return what a formula says about the inputs; a comparison that mentions an output counts as true."""
        try:
            if isinstance(formula, Atom):
                quoted = self.messages.quote(formula)
                raise PlacedError(formula, f"{quoted} is not a condition", "one looks like (<= X_0 1)")
            operator, operands = self._operator(formula, CONDITIONS, "a condition")
            if operator.text in COMPARISONS:
                return [self._comparison(formula, operator, operands)]
            parts = [self.read(operand) for operand in operands]
            return conjunction(formula, parts) if operator.text == "and" else _disjunction(formula, parts)
        except PlacedError as mistake:
            self.messages.mistake(mistake)
            return [()]

    def _operator(self, form: Form, known: Sequence[str], wanted: str) -> tuple[Atom, list[Expression]]:
        """Return the operator of a form, one of `known`, and its operands, of which there is one at least."""
        if not form.items or isinstance(form.items[0], Form):
            raise PlacedError(form, "an operator is missing behind this '('", f"known: {', '.join(known)}")
        operator, operands = form.items[0], form.items[1:]
        name = operator.text
        if name not in known:
            raise self._unknown_operator(operator, operands, known, wanted)
        if not operands:
            raise PlacedError(form, f"'{name}' of nothing", f"({name} ...) needs operands")
        return operator, operands

    def _unknown_operator(
        self, operator: Atom, operands: Sequence[Expression], known: Sequence[str], wanted: str
    ) -> PlacedError:
        name = operator.text
        if name in REFUSED:
            hint = "write the opposite comparison" if name == "not" else f"supported: {', '.join(OPERATORS)}"
            return PlacedError(operator, f"'{name}' is not supported", hint)
        if name in OPERATORS:
            return PlacedError(operator, f"'{name}' does not make {wanted}", f"here belongs one of {', '.join(known)}")
        if operands and isinstance(operands[0], Atom) and operands[0].text in OPERATORS:
            hint = f"it comes first: ({operands[0].text} ..)"
            return PlacedError(operands[0], "the operator stands in the middle", hint)
        hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
        return PlacedError(operator, f"unknown operator {self.messages.quote(operator)}", hint)

    # --- comparisons ---

    def _comparison(self, form: Form, operator: Atom, operands: Sequence[Expression]) -> Conjunction:
        """Return the rows of a comparison, or of a chain ``(<= 0 X_0 X_1)`` of them."""
        if len(operands) < 2:
            raise PlacedError(form, f"'{operator.text}' compares two terms at least")
        terms = [self._term(operand) for operand in operands]
        rows = []
        for left, right in pairwise(terms):
            difference = _sum(form, left, [right], "-")
            if difference.outputs:
                self._warn_outputs(form)
                continue
            row = _row(form, operator.text, difference)
            if row.direction or not row.allows(ZERO):
                rows.append(row)
            if operator.text in ("<", ">"):
                self._warn_strict(operator)
        return tuple(rows)

    def _warn_outputs(self, form: Form) -> None:
        message = "what a property says about outputs is ignored; it gives the domain of the inputs"
        hint = "--output and --objective say what is asked of the outputs"
        self.messages.warn("ignored-property", form, message, hint, once=True)

    def _warn_strict(self, operator: Atom) -> None:
        message = f"'{operator.text}' is read as '{operator.text}=': a domain holds its boundary"
        self.messages.warn("strict-inequality", operator, message, once=True)

    # --- terms ---

    def _term(self, term: Expression) -> Linear:
        """Return the linear function that a term is."""
        if isinstance(term, Atom):
            return self._atom(term)
        operator, operands = self._operator(term, ARITHMETIC, "a number")
        terms = [self._term(operand) for operand in operands]
        if operator.text == "*":
            return _product(term, terms)
        if operator.text == "/":
            return _quotient(term, terms)
        if operator.text == "-" and len(terms) == 1:
            return _scaled(term, -ONE, terms[0])
        return _sum(term, terms[0], terms[1:], operator.text)

    def _atom(self, atom: Atom) -> Linear:
        if atom.text in self.declared:
            variable = VARIABLE.fullmatch(atom.text)
            assert variable is not None
            return Linear({int(variable[2]): ONE}, ZERO) if variable[1] == "X" else OF_OUTPUTS
        if number := _NUMBER.fullmatch(atom.text):
            if len(atom.text) > MOST_CHARACTERS:
                raise PlacedError(atom, f"a number of more than {MOST_CHARACTERS} characters")
            if abs(int(number[1] or 0)) > 400:
                raise PlacedError(atom, f"{self.messages.quote(atom)} is beyond double precision")
            return Linear({}, Fraction(atom.text))
        raise PlacedError(atom, f"unknown name {self.messages.quote(atom)}", self._like(atom.text))

    def _like(self, name: str) -> str:
        """Return the hint for a name that is not declared."""
        like = _LIKE_VARIABLE.fullmatch(name)
        if like is None:
            return "a term is a number, an input X_i, an output Y_i or a sum or multiple of such"
        meant = f"{like[1].upper()}_{like[2]}"
        if meant in self.declared:
            return f"did you mean '{meant}'?"
        return f"declare it first: (declare-const {meant} Real)"


def conjunction(place: Expression, parts: Sequence[Alternatives]) -> Alternatives:
    """Return what holds if all parts do: one of the alternatives of each of them."""
    common, choices = split(place, parts)
    if len(choices) * len(common) > MOST_ROWS:
        raise _too_many(place)
    return [(*common, *choice) for choice in choices]


def split(place: Expression, parts: Sequence[Alternatives]) -> tuple[Conjunction, Alternatives]:
    """Return what all alternatives of a conjunction have in common, and what each of them has beyond that."""
    common = tuple(row for part in parts if len(part) == 1 for row in part[0])
    several = [part for part in parts if len(part) > 1]
    count = prod(len(part) for part in several)
    rows = sum(count // len(part) * sum(map(len, part)) for part in several)
    if count > MOST_ALTERNATIVES or rows > MOST_ROWS:
        raise _too_many(place)
    return common, [tuple(row for part in choice for row in part) for choice in product(*several)]


def _disjunction(place: Expression, parts: Sequence[Alternatives]) -> Alternatives:
    """Return what holds if one of the parts does."""
    alternatives = [rows for part in parts for rows in part]
    if not all(alternatives):
        return [()]
    if len(alternatives) > MOST_ALTERNATIVES:
        raise _too_many(place)
    return alternatives


def _too_many(place: Expression) -> PlacedError:
    message = f"the alternatives are too many: more than {MOST_ALTERNATIVES}, or of more than {MOST_ROWS} comparisons"
    return PlacedError(place, message, "split the property into several files")


def _row(form: Form, operator: str, difference: Linear) -> Row:
    """Return ``difference <= 0``, ``>= 0`` or ``= 0`` as a row."""
    direction = tuple(sorted((entry, factor) for entry, factor in difference.inputs.items() if factor))
    side, sign = -difference.constant, 1
    if direction:
        first = direction[0][1]
        sign = -1 if first < 0 else 1
        # A bound is of the input itself. Other rows keep their size: their coefficients are rounded once.
        scale = first if len(direction) == 1 else Fraction(sign)
        if scale != 1:
            side /= scale
            direction = tuple((entry, factor / scale) for entry, factor in direction)
    try:
        float(side)
        tiny = any(abs(float(factor)) < sys.float_info.min for _, factor in direction)
    except OverflowError:
        raise PlacedError(form, "a number in this comparison is beyond double precision") from None
    if tiny:
        raise PlacedError(form, "a coefficient in this comparison is too small for double precision")
    at_most = operator[0] == ("<" if sign > 0 else ">")
    equal = operator == "="
    return Row(direction, None if at_most else side, side if at_most or equal else None, form)


# --- arithmetic ---


def _checked(place: Expression, number: Fraction) -> Fraction:
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > MOST_BITS:
        raise PlacedError(place, "the numbers in this term become too long", "write them with fewer digits")
    return number


def _sum(place: Expression, first: Linear, others: Sequence[Linear], operator: str) -> Linear:
    """Return the first term and the others, added or subtracted."""
    inputs, constant = dict(first.inputs), first.constant
    for term in others:
        constant = _checked(place, constant + term.constant if operator == "+" else constant - term.constant)
        for entry, factor in term.inputs.items():
            old = inputs.get(entry, ZERO)
            inputs[entry] = _checked(place, old + factor if operator == "+" else old - factor)
    return Linear(inputs, constant, first.outputs or any(term.outputs for term in others))


def _scaled(place: Expression, factor: Fraction, term: Linear) -> Linear:
    inputs = {entry: _checked(place, factor * old) for entry, old in term.inputs.items()}
    return Linear(inputs, _checked(place, factor * term.constant), term.outputs)


def _product(place: Expression, terms: Sequence[Linear]) -> Linear:
    """Return a product of which at most one factor is not constant; what outputs make of it does not matter."""
    if any(term.outputs for term in terms):
        return OF_OUTPUTS
    result = Linear({}, ONE)
    for term in terms:
        if not (result.is_constant or term.is_constant):
            raise PlacedError(place, "the product of two inputs is not linear", "one factor must be a number")
        factor, other = (result, term) if result.is_constant else (term, result)
        result = _scaled(place, factor.constant, other)
    return result


def _quotient(place: Expression, terms: Sequence[Linear]) -> Linear:
    """Return the first term divided by the others, which must be constant."""
    if len(terms) < 2:
        raise PlacedError(place, "'/' divides by nothing", "write (/ 1 3)")
    if any(term.outputs for term in terms):
        return OF_OUTPUTS
    result = terms[0]
    for divisor in terms[1:]:
        if not divisor.is_constant:
            raise PlacedError(place, "the division by an input is not linear", "a divisor must be a number")
        if not divisor.constant:
            raise PlacedError(place, "division by zero")
        result = _scaled(place, 1 / divisor.constant, result)
    return result
