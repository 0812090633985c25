"""Translation validation: a program before and after a pass, run on the same points.

No proof, but an independent check of every single run of a pass: what the pass says of corresponding choices (inputs
and bits) must lead to the same objective and, if the question is the same, to the same values of the result. A bit
whose pre-activation is 0 may be either.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lipc.errors import InternalError
from lipc.ir import Conditional, Floats, Input, Kind, Lipschitz, Polytope, Program, evaluate, pullback
from lipc.ir.norms import steepest
from lipc.passes.base import PassResult

TOLERANCE = 1e-7
"""Relative to the largest absolute value in the program: passes may round, and sums may be taken in another order."""

TRIES = 64
"""For a choice of bits that keeps the rows of its input."""

SEED = 14


def validate_step(name: str, before: Program, result: PassResult, count: int) -> None:
    """Compare the programs before and after a pass on points of the domain.

    Parameters
    ----------
    name
        The pass, for the message.
    before, result
        What it took and what it returned.
    count
        How many points; none are taken where an input has no bounded domain.

    Raises
    ------
    InternalError
        If the two differ by more than rounding: with the point's number, and both values.
    """
    for number, inputs in enumerate(_points(before, count)):
        values = evaluate(before, inputs)
        choices = {value: values[value][0] for value in (*inputs, *before.find(Conditional))}
        extended = result.extend(choices)
        missing = [value for value in result.program.find(Input) if value not in extended]
        if missing:
            raise InternalError(f"pass '{name}' leaves the input %{missing[0]} without a value")
        _compare(name, number, (before, values), (result.program, evaluate(result.program, _without_nan(extended))))
        recovered = result.recover(extended)
        for value, entries in recovered.items():
            known = ~np.isnan(entries) & _decided(before, values, value)
            if not (entries[known] == choices[value][known]).all():
                raise InternalError(f"pass '{name}' does not recover %{value} from what it extended it to")


def _decided(program: Program, values: list[Floats], value: int) -> NDArray[np.bool_]:
    """Return which entries of a choice are not free: all of an input, bits whose operand is clearly not 0."""
    op = program.ops[value]
    if not isinstance(op, Conditional):
        return np.ones(op.size, bool)
    scale = max(1.0, *(float(np.abs(each).max(initial=0.0)) for each in values))
    return np.asarray(np.abs(values[op.operand][0]) > TOLERANCE * scale)


def _compare(name: str, number: int, old: tuple[Program, list[Floats]], new: tuple[Program, list[Floats]]) -> None:
    """Raise if results, objectives or the sides of bits differ."""
    (before, old_values), (after, new_values) = old, new
    scale = max(1.0, *(float(np.abs(each).max(initial=0.0)) for each in (*old_values, *new_values)))
    pairs = [("objective", _objective(before, old_values), _objective(after, new_values))]
    if _question(before) == _question(after):
        pairs.append(("result", old_values[before.result], new_values[after.result]))
    for what, left, right in pairs:
        left, right = left.reshape(-1), right.reshape(-1)
        magnitude = max(scale, float(np.abs(left).max(initial=0.0)))
        if left.shape != right.shape or not (np.abs(left - right) <= TOLERANCE * magnitude).all():
            raise InternalError(f"pass '{name}' changes the {what} at point {number}: {left} becomes {right}")
    for value in after.find(Conditional):
        operand = new_values[after.ops[value].operands[0]]
        wrong = np.where(new_values[value] > 0, -operand, operand) > TOLERANCE * scale
        if wrong.any():
            raise InternalError(f"pass '{name}' gives %{value} a bit on the wrong side at point {number}")


def _question(program: Program) -> Lipschitz | None:
    return program.objective.lipschitz if program.objective else None


def _objective(program: Program, values: list[Floats]) -> Floats:
    """Return the norm of the Jacobian for a Lipschitz question, else the result."""
    question = _question(program)
    if question is None:
        return values[program.result]
    (network_input,) = program.find(Input)
    size = program.ops[program.result].size
    spread = [np.repeat(array, size, axis=0) for array in values]
    gradients = pullback(program, spread, np.eye(size), network_input)
    cotangent = steepest(gradients, question.norm, question.output_norm)
    return np.asarray([question.norm.dual_of(cotangent @ gradients)])


def _without_nan(choices: dict[int, Floats]) -> dict[int, Floats]:
    """Return choices without those that do not matter, or not in all entries: bits are then found anew."""
    return {value: entries for value, entries in choices.items() if not np.isnan(entries).any()}


def _points(program: Program, count: int) -> Iterator[dict[int, Floats]]:
    """Yield choices of all inputs, each of shape ``(1, n)``."""
    drawn = draw(program, np.random.default_rng(SEED), count)
    for number in range(min(map(len, drawn.values()), default=0)):
        yield {value: points[[number]] for value, points in drawn.items()}


def draw(program: Program, random: np.random.Generator, count: int) -> dict[int, Floats]:
    """Return choices of all inputs, each of shape ``(at most count, n)``; none if a domain is not bounded."""
    from lipc.bounds.points import sample

    drawn: dict[int, Floats] = {}
    for value, op in enumerate(program.ops):
        if not isinstance(op, Input):
            continue
        if not (np.isfinite(op.domain.lower).all() and np.isfinite(op.domain.upper).all()):
            return {}
        bits = op.kind is Kind.BIT
        drawn[value] = _bits(op.domain, random, count) if bits else sample(op.domain, random, count)
        count = min(count, len(drawn[value]))
    return {value: points[:count] for value, points in drawn.items()}


def _bits(domain: Polytope, random: np.random.Generator, count: int) -> Floats:
    """Return bits that keep the rows of a polytope, shape ``(at most count, n)``: units, then any."""
    units = np.eye(domain.size)[random.permutation(domain.size)[:TRIES]]
    tried = np.vstack([units, random.integers(0, 2, (TRIES, domain.size)).astype(np.float64)])
    product = (domain.rows @ tried.T).T
    fits = ((product >= domain.row_lower) & (product <= domain.row_upper)).all(axis=1)
    fits &= ((tried >= domain.lower) & (tried <= domain.upper)).all(axis=1)
    found = tried[fits]
    repeated: Floats = found[np.arange(count) % len(found)] if len(found) else found
    return repeated
