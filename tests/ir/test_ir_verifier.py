from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from lipc.errors import InternalError
from lipc.ir import (
    Affine,
    Builder,
    Conditional,
    Input,
    Interval,
    Kind,
    Lipschitz,
    Objective,
    Op,
    Origin,
    Polytope,
    Program,
    Sense,
    Switch,
    Term,
    verify,
)

HERE = Origin("here")


def valid() -> Program:
    """Return %0 = input[2], %1 = affine[3], %2 = conditional, %3 = switch, %4 = free bits[3], %5 = affine[1]."""
    builder = Builder()
    builder.origin = HERE
    x = builder.input(Polytope.box([-1, -1], [1, 1]))
    z = builder.affine({x: csr_array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])})
    relu = builder.relu(z)
    builder.input(Polytope.one_of(3), Kind.BIT)
    return builder.program(builder.affine({relu: np.ones((1, 3))}))


def changed(value: int, **fields: object) -> Callable[[Program], Program]:
    """Return what replaces fields of one operation."""

    def change(program: Program) -> Program:
        ops: list[Op] = list(program.ops)
        ops[value] = replace(ops[value], **fields)  # type: ignore[arg-type]
        return replace(program, ops=tuple(ops))

    return change


def bounded(value: int, lower: list[float], upper: list[float]) -> Callable[[Program], Program]:
    return lambda program: program.with_bounds({value: Interval(np.array(lower), np.array(upper))})


def not_canonical() -> csr_array:
    matrix = csr_array((np.ones(4), np.array([1, 0, 0, 1]), np.array([0, 2, 3, 4])), shape=(3, 2))
    assert not matrix.has_canonical_format
    return matrix


def conditional_of_bits(program: Program) -> Program:
    return replace(program, ops=(*program.ops[:3], Conditional(HERE, 2, 3)), result=3)


BOX = Polytope.box([-1, -1], [1, 1])
BROKEN: dict[str, tuple[Callable[[Program], Program], str]] = {
    "operand after its user": (changed(2, operand=3), "%2 (Conditional 'here'): an operand must stand before its user"),
    "operand is the value itself": (changed(3, operand=3), "an operand must stand before its user"),
    "negative operand": (changed(2, operand=-1), "an operand must stand before its user"),
    "affine of a later value": (changed(5, terms=(Term(7, np.ones((1, 3))),)), "an operand must stand before its user"),
    "conditional of bits": (conditional_of_bits, "%3 (Conditional 'here'): reads reals"),
    "conditional of another size": (changed(2, size=2), "%2 (Conditional 'here'): has the size of its operand"),
    "switch of bits": (changed(3, operand=2), "%3 (Switch 'here'): reads reals, then bits"),
    "switch by reals": (changed(3, bit=1), "%3 (Switch 'here'): reads reals, then bits"),
    "switch of another size": (changed(3, size=2), "%3 (Switch 'here'): has the size of its operands"),
    "switch of two sizes": (changed(3, operand=0), "has the size of its operands"),
    "operand twice": (
        changed(5, terms=(Term(3, np.ones((1, 3))), Term(3, np.ones((1, 3))))),
        "%5 (Affine 'here'): reads no value twice",
    ),
    "bias of integers": (changed(5, bias=np.zeros(1, int)), "has a finite float64 bias"),
    "bias that is a matrix": (changed(5, bias=np.zeros((1, 1))), "has a finite float64 bias"),
    "bias not a number": (changed(5, bias=np.array([np.nan])), "has a finite float64 bias"),
    "bias infinite": (changed(5, bias=np.array([np.inf])), "has a finite float64 bias"),
    "bias of another size": (changed(5, bias=np.zeros(2)), "its matrix is 2 x 3, not (1, 3)"),
    "matrix of another shape": (changed(5, terms=(Term(3, np.ones((1, 2))),)), "its matrix is 1 x 3, not (1, 2)"),
    "dense matrix of float32": (
        changed(5, terms=(Term(3, np.ones((1, 3), np.float32)),)),
        "its matrix holds finite float64",
    ),
    "dense matrix with an infinity": (changed(5, terms=(Term(3, np.full((1, 3), np.inf)),)), "finite float64"),
    "sparse matrix not a number": (
        changed(1, terms=(Term(0, csr_array(np.full((3, 2), np.nan))),)),
        "its matrix holds finite float64",
    ),
    "sparse matrix out of order": (
        changed(1, terms=(Term(0, not_canonical()),)),
        "%1 (Affine 'here'): its sparse matrix is canonical",
    ),
    "empty box": (changed(0, domain=Polytope.box([0, 1], [1, 0])), "%0 (Input 'here'): has a nonempty box"),
    "box not a number": (changed(0, domain=Polytope.box([0, np.nan], [1, 1])), "has a nonempty box"),
    "rows of another size": (changed(0, domain=replace(BOX, rows=csr_array((1, 3)))), "has rows of its size"),
    "rows without limits": (changed(0, domain=replace(BOX, rows=csr_array((1, 2)))), "has rows of its size"),
    "bits outside [0, 1]": (
        changed(4, domain=Polytope.box([0, 0, 0], [1, 2, 1])),
        "%4 (Input 'here'): has bits within [0, 1]",
    ),
    "no such result": (lambda program: replace(program, result=6), "the result %6 does not exist"),
    "negative result": (lambda program: replace(program, result=-1), "the result %-1 does not exist"),
    "objective of several entries": (
        lambda program: replace(program, result=3, objective=Objective(Sense.MAXIMIZE)),
        "an objective without a norm needs a result of size 1",
    ),
    "smallest Lipschitz constant": (
        lambda program: replace(program, objective=Objective(Sense.MINIMIZE, Lipschitz())),
        "a Lipschitz constant can only be maximized",
    ),
    "bounds of another size": (bounded(1, [0.0], [1.0]), "the bounds of %1 do not have its size"),
    "contradicting bounds": (bounded(1, [0, 0, 1], [1, 1, 0.5]), "contradicting bounds of %1 (lower > upper"),
    "bounds not a number": (bounded(5, [np.nan], [1]), "contradicting bounds of %5"),
}


def test_the_valid_program_is_valid() -> None:
    program = valid()
    verify(program)
    verify(replace(program, objective=Objective(Sense.MINIMIZE)))
    verify(replace(program, result=3, objective=Objective(Sense.MAXIMIZE, Lipschitz())))
    verify(bounded(1, [0, 0, 0], [0, 0, np.inf])(program))
    assert [type(op) for op in program.ops] == [Input, Affine, Conditional, Switch, Input, Affine]


@pytest.mark.parametrize("name", BROKEN)
def test_every_rule_is_checked(name: str) -> None:
    change, words = BROKEN[name]
    with pytest.raises(InternalError) as raised:
        verify(change(valid()))
    assert str(raised.value).startswith("invalid program: ")
    assert words in str(raised.value)


def test_the_builder_verifies() -> None:
    builder = Builder()
    x = builder.input(Polytope.space(2))
    builder.append(Switch(HERE, x, x, 2))
    with pytest.raises(InternalError, match="reads reals, then bits"):
        builder.program(1)


def test_bounds_of_a_value_that_does_not_exist() -> None:
    with pytest.raises(InternalError, match="%9"):
        verify(bounded(9, [0.0], [1.0])(valid()))
