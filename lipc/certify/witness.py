"""Witnesses: a point of the domain whose gradient, or value, is known exactly proves a bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.points import Inside
from lipc.ir import (
    Affine,
    Conditional,
    Floats,
    Lipschitz,
    Norm,
    Objective,
    Program,
    Sense,
    Switch,
    evaluate,
    pullback,
)
from lipc.ir.exact import Dyadic, ExactInterpreter, round_down, round_up
from lipc.ir.norms import MOST_SIGNED, sign_rows, steepest

ROOT_BITS = 80
"""Of a square root at least; a float has 53."""

SMALLEST = 1e-300
"""More than what is lost of sums of products of floats by underflow."""

Bits = Mapping[int, NDArray[np.bool_]]
"""A pattern: for each conditional its bits, shape ``(n,)``."""


@dataclass(frozen=True, eq=False)
class Witness:
    """A point that proves a value.

    Parameters
    ----------
    x
        Shape ``(n,)``, a point of the domain.
    value
        For a Lipschitz question a float at or below the norm of the gradient at `x`; for a range, the value of the
        output at `x`, rounded to the safe side (down for a maximum, up for a minimum).
    gradient
        Shape ``(n,)``: the gradient at `x` of what attains the value, each entry rounded to nearest.
    cotangent
        What that is, as weights of the ``m`` entries of the program's result, shape ``(m,)``: 1 for one of them, and 0
        for the others, or signs where outputs are measured in l_1.
    """

    x: Floats
    value: float
    gradient: Floats
    cotangent: Floats

    @property
    def output(self) -> int | None:
        """Which entry of the result attains the value; `None` if it is a sum of several, with signs."""
        (entries,) = np.nonzero(self.cotangent)
        return int(entries[0]) if len(entries) == 1 else None

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "x": self.x.tolist(),
            "gradient": self.gradient.tolist(),
            "value": self.value,
            "output": self.output,
            "cotangent": self.cotangent.tolist(),
        }


class Certifier:
    """Proves statements about one network with a question, in exact arithmetic.

    Parameters
    ----------
    program
        A network of one input with an objective, as `Query.ask` returns it: the function the statements are about.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.objective: Objective = _objective_of(program)
        self.input, self.domain = program.network_input()
        self.inside = Inside(self.domain)
        self.exact = ExactInterpreter(program)

    def witness(self, x: Floats) -> Witness | None:
        """Return the certificate of a point; one that rounding put outside the domain is moved into it first.

        Returns
        -------
        Witness or None
            `None` if no point of the domain is found there, or it is a kink of the network, where there is no gradient.
        """
        settled = self.inside.settle(x)
        if settled is None:
            return None
        x = settled
        values = self.exact.evaluate(x)
        if self.objective.lipschitz is None:
            return self._value_witness(x, values)
        if not self._differentiable(values):
            return None
        cotangent = self._steepest(x, self.objective.lipschitz)
        gradient = self.exact.pullback(values, {self.program.result: Dyadic.of(cotangent)}, self.input)
        value = round_down(exact_norm(gradient, self.objective.lipschitz.norm))
        return Witness(x, value, gradient.floats(), cotangent)

    def _value_witness(self, x: Floats, values: list[Dyadic]) -> Witness:
        value = values[self.program.result].fraction(0)
        rounded = round_down(value) if self.objective.sense is Sense.MAXIMIZE else round_up(value)
        return Witness(x, rounded, self._gradient(values, self.program.result, 0).floats(), np.ones(1))

    def _gradient(self, values: list[Dyadic], value: int, entry: int) -> Dyadic:
        """Return the exact gradient of one entry of a value."""
        unit = np.zeros(self.program.ops[value].size)
        unit[entry] = 1.0
        return self.exact.pullback(values, {value: Dyadic.of(unit)}, self.input)

    def _steepest(self, x: Floats, question: Lipschitz) -> Floats:
        """Return the c whose gradient has the largest norm, by floating point: any extreme one would be sound."""
        size = self.program.ops[self.program.result].size
        if size == 1:
            return np.ones(1)
        values = evaluate(self.program, {self.input: np.repeat(x[None, :], size, axis=0)})
        gradients = pullback(self.program, values, np.eye(size), self.input)
        return steepest(gradients, question.norm, question.output_norm)

    def _differentiable(self, values: list[Dyadic]) -> bool:
        """Return whether every pre-activation that matters is nonzero, or zero all around the point too."""
        operands = {value: self.program.ops[value].operands[0] for value in self.program.find(Conditional)}
        kinks = {value: values[operand].signs() == 0 for value, operand in operands.items()}
        if not any(kink.any() for kink in kinks.values()):
            return True
        bits = {value: bit | kinks[value] for value, bit in _bits_of(self.program, values).items()}
        reach = reach_of(self.program, bits, self.input)
        matters = _matters(self.program, bits, kinks)
        for value, kink in kinks.items():
            operand = operands[value]
            if operand not in reach:
                continue
            for entry in np.flatnonzero(kink & matters[value] & (reach[operand] > 0)).tolist():
                if any(self._gradient(values, operand, entry).mantissas != 0):
                    return False
        return True


def _matters(program: Program, bits: Bits, kinks: Bits) -> list[NDArray[np.bool_]]:
    """Return, for each value, which entries the result may depend on near a point.

    Neurons that are off at the point stay off near it and pass nothing; those at a kink count as on, in `bits`.
    """
    matters: list[NDArray[np.bool_]] = [np.zeros(op.size, bool) for op in program.ops]
    matters[program.result][:] = True
    for value in range(program.result, -1, -1):
        op, mask = program.ops[value], matters[value]
        if isinstance(op, Affine):
            for term in op.terms:
                matters[term.operand] |= abs(term.matrix).T @ mask.astype(np.float64) > 0
        elif isinstance(op, Switch):
            matters[op.operand] |= mask & bits[op.bit]
            matters[op.bit] |= mask
        elif isinstance(op, Conditional):
            matters[op.operand] |= mask & kinks[value]
    return matters


def _objective_of(program: Program) -> Objective:
    if program.objective is None:
        raise ValueError("the program asks nothing: apply Query.ask first")
    return program.objective


def _bits_of(program: Program, values: list[Dyadic]) -> dict[int, NDArray[np.bool_]]:
    return {value: values[value].mantissas > 0 for value in program.find(Conditional)}


def exact_norm(gradient: Dyadic, norm: Norm, *, up: bool = False) -> Fraction:
    """Return the dual norm of a gradient: exactly, or in l_2 rounded down (or `up`) at more digits than a float has."""
    magnitudes = [abs(entry) for entry in gradient.fractions()]
    if norm is Norm.LINF:
        return sum(magnitudes, Fraction(0))
    largest = max(magnitudes, default=Fraction(0))
    if norm is Norm.L1 or not largest:
        return largest
    square = sum((entry * entry for entry in magnitudes), Fraction(0))
    shift = ROOT_BITS + max(0, square.denominator.bit_length() - square.numerator.bit_length())
    root = isqrt((square.numerator << 2 * shift) // square.denominator)  # of the square times 4^shift, rounded down
    return Fraction(root + up, 2**shift)


def jacobian_bound(rows: list[Dyadic], norm: Norm, output_norm: Norm) -> float:
    """Return a float at or above the norm of a Jacobian, given exactly by its rows.

    For l_1 and more than `MOST_SIGNED` outputs the sum of the rows' norms, which may be far above.
    """
    if output_norm is Norm.LINF or len(rows) == 1:
        return round_up(max(exact_norm(row, norm, up=True) for row in rows))
    if norm is Norm.L1:
        magnitudes = [[abs(entry) for entry in row.fractions()] for row in rows]
        return round_up(max(sum(column, Fraction(0)) for column in zip(*magnitudes, strict=True)))
    if len(rows) > MOST_SIGNED:
        return round_up(sum((exact_norm(row, norm, up=True) for row in rows), Fraction(0)))
    jacobian = np.array([row.floats() for row in rows])
    if not np.isfinite(jacobian).all():
        return np.inf
    # Entries are rounded to nearest; a sum of m, then n of them errs by less than m + n units each.
    error = 4 * (sum(jacobian.shape) + 8) * np.finfo(np.float64).eps * np.abs(jacobian).sum() + SMALLEST
    return float(np.nextafter(norm.dual_of(sign_rows(len(rows)) @ jacobian).max() + error, np.inf))


def reach_of(program: Program, bits: Bits, network_input: int) -> dict[int, Floats]:
    """Return, per entry of each value, the sum of absolute products by which it depends on the input; 0: not at all."""
    reach: dict[int, Floats] = {network_input: np.ones(program.ops[network_input].size)}
    for value, op in enumerate(program.ops):
        if isinstance(op, Affine):
            parts = [abs(term.matrix) @ reach[term.operand] for term in op.terms if term.operand in reach]
            if parts:
                reach[value] = np.sum(parts, axis=0)
        elif isinstance(op, Switch) and op.operand in reach:
            reach[value] = reach[op.operand] * bits[op.bit]
    return reach
