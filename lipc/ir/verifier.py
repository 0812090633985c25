"""The rules that every program keeps; passes are checked against them."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from lipc.errors import InternalError
from lipc.ir.norms import Norm
from lipc.ir.polytope import Floats
from lipc.ir.program import Affine, Conditional, Input, Kind, Op, Program, Sense, Switch


def verify(program: Program) -> None:
    """Check a program.

    Raises
    ------
    InternalError
        With the value and the rule that is broken: operands stand before their users, sizes and kinds fit, numbers
        are finite, matrices are float64 and canonical, bounds do not cross, the objective fits the result.
    """
    for value, op in enumerate(program.ops):
        for rule, holds in _rules(program, value, op):
            if not holds:
                raise InternalError(f"invalid program: %{value} ({type(op).__name__} '{op.origin.name}'): {rule}")
    _verify_result(program)
    _verify_bounds(program)


def _rules(program: Program, value: int, op: Op) -> list[tuple[str, bool]]:
    """Return the rules for one operation, each with whether it holds."""
    if not all(0 <= operand < value for operand in op.operands):
        return [("an operand must stand before its user", False)]
    read = [program.ops[operand] for operand in op.operands]
    if isinstance(op, Conditional):
        return [
            ("reads reals", read[0].kind is Kind.REAL),
            ("has the size of its operand", op.size == read[0].size),
        ]
    if isinstance(op, Switch):
        return [
            ("reads reals, then bits", (read[0].kind, read[1].kind) == (Kind.REAL, Kind.BIT)),
            ("has the size of its operands", op.size == read[0].size == read[1].size),
        ]
    if isinstance(op, Affine):
        return _affine_rules(op, read)
    return _input_rules(op)


def _affine_rules(op: Affine, read: list[Op]) -> list[tuple[str, bool]]:
    rules = [
        ("reads no value twice", len(set(op.operands)) == len(op.operands)),
        ("has a finite float64 bias", _finite_vector(op.bias)),
    ]
    for term, operand in zip(op.terms, read, strict=True):
        matrix = term.matrix
        fits = matrix.shape == (op.size, operand.size)
        rules.append((f"its matrix is {op.size} x {operand.size}, not {matrix.shape}", fits))
        data = matrix.data if isinstance(matrix, csr_array) else matrix
        rules.append(("its matrix holds finite float64", data.dtype == np.float64 and bool(np.isfinite(data).all())))
        if isinstance(matrix, csr_array):
            rules.append(("its sparse matrix is canonical", bool(matrix.has_canonical_format)))
    return rules


def _input_rules(op: Input) -> list[tuple[str, bool]]:
    domain = op.domain
    bits = op.kind is Kind.REAL or bool((domain.lower >= 0).all() and (domain.upper <= 1).all())
    paired = len(domain.row_upper) == len(domain.row_lower)
    paired = paired and bool((domain.row_lower <= domain.row_upper).all())
    rules = [
        ("has a nonempty box", bool((domain.lower <= domain.upper).all())),
        ("has rows of its size", domain.rows.shape == (len(domain.row_lower), op.size)),
        ("has finite rows", bool(np.isfinite(domain.rows.data).all())),
        ("has two sides for each row, that do not cross", paired),
        ("has bits within [0, 1]", bits),
    ]
    if domain.l1 is not None:
        center, radius = domain.l1.center, domain.l1.radius
        rules += [
            ("has an l_1 ball of reals only", op.kind is Kind.REAL),
            ("has an l_1 ball of its size with a finite center", len(center) == op.size and _finite_vector(center)),
            ("has an l_1 ball with a finite radius that is not negative", 0 <= radius < np.inf),
        ]
    return rules


def _finite_vector(vector: Floats) -> bool:
    return vector.ndim == 1 and vector.dtype == np.float64 and bool(np.isfinite(vector).all())


def _verify_result(program: Program) -> None:
    if not 0 <= program.result < len(program.ops):
        raise InternalError(f"invalid program: the result %{program.result} does not exist")
    objective = program.objective
    if objective is None:
        return
    if objective.lipschitz is None and program.ops[program.result].size != 1:
        raise InternalError("invalid program: an objective without a norm needs a result of size 1")
    if objective.lipschitz is not None and objective.sense is not Sense.MAXIMIZE:
        raise InternalError("invalid program: a Lipschitz constant can only be maximized")
    if objective.lipschitz is not None and objective.lipschitz.output_norm is Norm.L2:
        raise InternalError("invalid program: outputs are measured in linf or l1")


def _verify_bounds(program: Program) -> None:
    for value, interval in program.bounds.items():
        if not 0 <= value < len(program.ops):
            raise InternalError(f"invalid program: there are bounds of %{value}, which does not exist")
        size = program.ops[value].size
        if interval.lower.shape != (size,) or interval.upper.shape != (size,):
            raise InternalError(f"invalid program: the bounds of %{value} do not have its size")
        if not (interval.lower <= interval.upper).all():
            raise InternalError(f"invalid program: contradicting bounds of %{value} (lower > upper, or not a number)")
