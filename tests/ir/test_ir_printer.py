from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from lipc.ir import Builder, Kind, Lipschitz, Norm, Objective, Origin, Polytope, Sense, print_program


def test_a_small_program() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1, 0], [1, 0.5]), origin=Origin("image"))
    z = builder.affine({x: [[1, -2], [0.25, 1e-9]]}, [0, 3], origin=Origin("Gemm_0"))
    builder.origin = Origin("Relu_1")
    relu = builder.relu(z)
    result = builder.affine({relu: np.ones((1, 2)), x: csr_array([[0.0, 4.0]])}, 0.5, origin=Origin(""))
    program = builder.program(result, Objective(Sense.MAXIMIZE, Lipschitz(Norm.L1)))
    assert print_program(program).splitlines() == [
        "program {",
        "  %0: vec[2] = input [-1, 0] .. [1, 0.5]                     # image",
        "  %1: vec[2] = affine [[1, -2], [0.25, 1e-09]] * %0 + [0, 3] # Gemm_0",
        "  %2: bits[2] = conditional %1                               # Relu_1",
        "  %3: vec[2] = switch %1, %2                                 # Relu_1",
        "  %4: vec[1] = affine [[1, 1]] * %3 + csr<1x2, 1> * %0 + 0.5",
        "  maximize lipschitz(%4, norm = l1)",
        "}",
    ]
    assert str(program) == print_program(program) == print_program(program)


@pytest.mark.parametrize(
    ("objective", "last"),
    [
        (None, "output %1"),
        (Objective(Sense.MINIMIZE), "minimize %1"),
        (Objective(Sense.MAXIMIZE), "maximize %1"),
        (Objective(Sense.MAXIMIZE, Lipschitz()), "maximize lipschitz(%1, norm = linf)"),
    ],
)
def test_questions(objective: Objective | None, last: str) -> None:
    builder = Builder()
    program = builder.program(builder.affine({builder.input(Polytope.space(1)): [[1.0]]}), objective)
    lines = str(program).splitlines()
    assert lines[-2] == f"  {last}"
    assert lines[1].split("#")[0].rstrip() == "  %0: vec[1] = input -inf .. inf"


def test_large_constants_by_their_shape() -> None:
    builder = Builder()
    x = builder.input(Polytope.box(np.arange(20.0), np.full(20, 30.0)))
    wide = builder.affine({x: np.ones((3, 20))}, [1, 2, 3])
    thin = builder.affine({x: csr_array(np.eye(20)), wide: np.ones((20, 3))}, np.arange(20.0))
    free = builder.input(Polytope.one_of(20), Kind.BIT)
    text = str(builder.program(builder.switch(thin, free))).splitlines()
    shown = [line.split("#")[0].rstrip() for line in text[1:5]]
    assert shown == [
        "  %0: vec[20] = input vec<20> .. 30*ones",
        "  %1: vec[3] = affine dense<3x20> * %0 + [1, 2, 3]",
        "  %2: vec[20] = affine csr<20x20, 20> * %0 + dense<20x3> * %1 + vec<20>",
        "  %3: bits[20] = free 0*ones .. 1*ones with 1 rows",
    ]
