"""Witnesses: a point of the domain whose gradient, or value, is known exactly proves a bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.points import Inside
from lipc.ir import (
    Affine,
    Conditional,
    Floats,
    Norm,
    Objective,
    Program,
    Sense,
    Switch,
    evaluate,
    pullback,
)
from lipc.ir.exact import Dyadic, ExactInterpreter, round_down, round_up

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
        Shape ``(n,)``: the gradient at `x` of the output that attains the value, each entry rounded to nearest.
    output
        Which entry of the program's result that is.
    """

    x: Floats
    value: float
    gradient: Floats
    output: int


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
        output = self._steepest_output(x)
        gradient = self._gradient(values, self.program.result, output)
        return Witness(x, round_down(exact_norm(gradient, self.objective.lipschitz.norm)), gradient.floats(), output)

    def _value_witness(self, x: Floats, values: list[Dyadic]) -> Witness:
        value = values[self.program.result].fraction(0)
        rounded = round_down(value) if self.objective.sense is Sense.MAXIMIZE else round_up(value)
        return Witness(x, rounded, self._gradient(values, self.program.result, 0).floats(), 0)

    def _gradient(self, values: list[Dyadic], value: int, entry: int) -> Dyadic:
        """Return the exact gradient of one entry of a value."""
        unit = np.zeros(self.program.ops[value].size)
        unit[entry] = 1.0
        return self.exact.pullback(values, {value: Dyadic.of(unit)}, self.input)

    def _steepest_output(self, x: Floats) -> int:
        """Return the entry of the result whose gradient has the largest norm, by floating point: any would be sound."""
        size = self.program.ops[self.program.result].size
        if size == 1 or self.objective.lipschitz is None:
            return 0
        values = evaluate(self.program, {self.input: np.repeat(x[None, :], size, axis=0)})
        gradients = pullback(self.program, values, np.eye(size), self.input)
        return int(np.argmax(self.objective.lipschitz.norm.dual_of(gradients)))

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


def exact_norm(gradient: Dyadic, norm: Norm) -> Fraction:
    """Return the dual norm of a gradient, exactly."""
    magnitudes = [abs(entry) for entry in gradient.fractions()]
    return sum(magnitudes, Fraction(0)) if norm is Norm.LINF else max(magnitudes, default=Fraction(0))


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
