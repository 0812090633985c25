"""Print a program for people: a line per operation, large constants by their shape."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from lipc.ir.matrix import Matrix, entries
from lipc.ir.polytope import Floats
from lipc.ir.program import Conditional, Input, Kind, Op, Program, Switch

SHOWN_NUMBERS = 16


def print_program(program: Program) -> str:
    """Return the text of a program; constants of more than 16 numbers are given by shape and count."""
    lines = [f"  %{value}: {op.kind.value}[{op.size}] = {_operation(op)}" for value, op in enumerate(program.ops)]
    for value, op in enumerate(program.ops):
        lines[value] = f"{lines[value]:<60} # {op.origin.name}" if op.origin.name else lines[value]
    return "\n".join(["program {", *lines, f"  {_objective(program)}", "}"])


def _operation(op: Op) -> str:
    if isinstance(op, Input):
        rows = f" with {op.domain.rows.shape[0]} rows" if op.domain.rows.shape[0] else ""
        word = "free" if op.kind is Kind.BIT else "input"
        return f"{word} {_vector(op.domain.lower)} .. {_vector(op.domain.upper)}{rows}"
    if isinstance(op, Conditional):
        return f"conditional %{op.operand}"
    if isinstance(op, Switch):
        return f"switch %{op.operand}, %{op.bit}"
    summands = [f"{_matrix(term.matrix)} * %{term.operand}" for term in op.terms]
    return "affine " + " + ".join([*summands, _vector(op.bias)])


def _objective(program: Program) -> str:
    objective = program.objective
    if objective is None:
        return f"output %{program.result}"
    if objective.lipschitz is None:
        return f"{objective.sense.value} %{program.result}"
    return f"{objective.sense.value} lipschitz(%{program.result}, norm = {objective.lipschitz.norm.value})"


def _vector(vector: Floats) -> str:
    if len(vector) and bool((vector == vector[0]).all()):
        return f"{vector[0]:g}" if len(vector) == 1 else f"{vector[0]:g}*ones"
    if len(vector) > SHOWN_NUMBERS:
        return f"vec<{len(vector)}>"
    return "[" + ", ".join(f"{number:g}" for number in vector) + "]"


def _matrix(matrix: Matrix) -> str:
    rows, columns = matrix.shape
    if isinstance(matrix, csr_array):
        return f"csr<{rows}x{columns}, {entries(matrix)}>"
    if matrix.size > SHOWN_NUMBERS:
        return f"dense<{rows}x{columns}>"
    return np.array2string(matrix, separator=", ", formatter={"float_kind": lambda x: f"{x:g}"}).replace("\n", "")
