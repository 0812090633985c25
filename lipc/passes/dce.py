"""Dead code elimination: drop what the result does not depend on. Inputs stay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from lipc.ir import Affine, Conditional, Input, Op, Program, Switch, Term
from lipc.passes.base import Pass, PassResult, kept_whole


def renumber(op: Op, new_values: dict[int, int]) -> Op:
    """Return an operation that reads the new values."""
    if isinstance(op, Affine):
        return replace(op, terms=tuple(Term(new_values[term.operand], term.matrix) for term in op.terms))
    if isinstance(op, Conditional):
        return replace(op, operand=new_values[op.operand])
    if isinstance(op, Switch):
        return replace(op, operand=new_values[op.operand], bit=new_values[op.bit])
    return op


@dataclass(frozen=True)
class DeadCodeElimination(Pass):
    """Keep the inputs and the operations that the result depends on."""

    name: ClassVar[str] = "dce"
    exact: ClassVar[bool] = True

    def apply(self, program: Program) -> PassResult:
        """Return the program without dead operations."""
        pruned, new_values = without_dead_code(program)
        return PassResult(pruned, kept_whole(program, new_values))


def without_dead_code(program: Program) -> tuple[Program, dict[int, int]]:
    """Return the program of the inputs and of what the result depends on, and the new values of those that stay."""
    live = {program.result}
    for value in range(program.result, -1, -1):
        if value in live:
            live.update(program.ops[value].operands)
    live.update(program.find(Input))
    new_values: dict[int, int] = {}
    ops: list[Op] = []
    for value in sorted(live):
        new_values[value] = len(ops)
        ops.append(renumber(program.ops[value], new_values))
    bounds = {new_values[value]: known for value, known in program.bounds.items() if value in live}
    return Program(tuple(ops), new_values[program.result], program.objective).with_bounds(bounds), new_values
