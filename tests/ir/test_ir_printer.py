from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from lipc.ir import (
    Builder,
    Interval,
    Kind,
    L1Ball,
    Lipschitz,
    Matrix,
    Norm,
    Objective,
    Origin,
    Polytope,
    Program,
    Sense,
    identity,
    print_program,
    print_with_constants,
    scatter,
    selection,
)


def test_a_small_program() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1, 0], [1, 0.5]), origin=Origin("image"))
    z = builder.affine({x: [[1, -2], [0.25, 1e-9]]}, [0, 3], origin=Origin("Gemm_0", "net.onnx: node 'Gemm_0'"))
    builder.origin = Origin("Relu_1", "", np.array([0, 4]))
    relu = builder.relu(z)
    result = builder.affine({relu: np.ones((1, 2)), x: csr_array([[0.0, 4.0]])}, 0.5, origin=Origin(""))
    bounds = {z: Interval(np.array([-2.0, -np.inf]), np.array([1.0, 4.0]))}
    program = builder.program(result, Objective(Sense.MAXIMIZE, Lipschitz(Norm.L1)), bounds)
    assert print_program(program).splitlines() == [
        "program {",
        '  %0: vec[2] = input box [-1.0, 0.0] .. [1.0, 0.5]           @ "image"',
        '  %1: vec[2] = affine [[1.0, -2.0], [0.25, 1e-09]] * %0 + [0.0, 3.0] @ "Gemm_0" "net.onnx: node \'Gemm_0\'"',
        '  %2: bits[2] = conditional %1                               @ "Relu_1" kept [0, 4]',
        '  %3: vec[2] = switch %1, %2                                 @ "Relu_1" kept [0, 4]',
        "  %4: vec[1] = affine [[1.0, 1.0]] * %3 + 4.0 * select([1], of 2) * %0 + [0.5]",
        "  maximize lipschitz(%4, norm = l1)",
        "  bounds %1: [-2.0, -inf] .. [1.0, 4.0]",
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
    assert lines[1].split("@")[0].rstrip() == "  %0: vec[1] = input space"


def affine_line(matrix: Matrix, bias: object = 0.0) -> str:
    """Return what stands between ``affine`` and the operand."""
    builder = Builder()
    builder.origin = Origin("")
    x = builder.input(Polytope.space(matrix.shape[1]))
    text = print_program(builder.program(builder.affine({x: matrix}, bias)))  # type: ignore[arg-type]
    return text.split(" = affine ")[1].split("\n  output")[0]


@pytest.mark.parametrize(
    ("matrix", "written"),
    [
        (identity(8), "%0"),
        (identity(1, -2.5), "-2.5 * %0"),
        (identity(3, [1, 2, 3]), "diag([1.0, 2.0, 3.0]) * %0"),
        (selection([2, -1, 0], 4), "select([2, -1, 0], of 4) * %0"),
        (selection([3, 4, 5], 9, 0.1), "0.1 * select(3:6, of 9) * %0"),
        (scatter(np.array([4, 1]), 5), "scatter([4, 1], into 5) * %0"),
        (csr_array(np.ones((1, 8))), "csr ones(1, 8) * %0"),
        (csr_array(np.full((1, 8), -3.0)), "-3.0 * csr ones(1, 8) * %0"),
        (csr_array([[1.0, 2.0]]), "csr [[1.0, 2.0]] * %0"),
        (csr_array([[1.0, 2.0], [0.0, 3.0]]), "csr<2x2> {0: {0: 1.0, 1: 2.0}, 1: {1: 3.0}} * %0"),
        (csr_array((3, 2)), "csr<3x2> {} * %0"),
        (np.zeros((3, 4)), "zeros(3, 4) * %0"),
        (np.zeros((2, 0)), "zeros(2, 0) * %0"),
        (np.ones((2, 3)), "ones(2, 3) * %0"),
        (np.full((2, 3), -0.0), "-0.0 * ones(2, 3) * %0"),
        (np.eye(3), "dense eye(3) * %0"),
        (np.eye(2), "[[1.0, 0.0], [0.0, 1.0]] * %0"),
        (np.array([[5e-324, 1e300], [0.1, -0.0]]), "[[5e-324, 1e+300], [0.1, -0.0]] * %0"),
    ],
)
def test_matrices(matrix: Matrix, written: str) -> None:
    assert affine_line(matrix) == written


@pytest.mark.parametrize(
    ("bias", "written"),
    [
        ([0.0, 0.0, -0.0, 0.0, 0.0], " + [0.0, 0.0, -0.0, 0.0, 0.0]"),
        ([7.0] * 5, " + 7.0 * ones(5)"),
        ([1.0] * 5, " + ones(5)"),
        ([-0.0] * 5, " + -0.0 * ones(5)"),
        ([0.0] * 5, ""),
    ],
)
def test_constants_of_affine_maps(bias: list[float], written: str) -> None:
    assert affine_line(identity(5), bias) == f"%0{written}"


def test_long_matrices_take_a_line_per_row() -> None:
    numbers = np.array([[0.1234567890123, -1 / 3], [2 / 3, 1e-17], [3.0, 4.0]])
    assert affine_line(numbers).splitlines() == [
        "[",
        "      [0.1234567890123, -0.3333333333333333],",
        "      [0.6666666666666666, 1e-17],",
        "      [3.0, 4.0]",
        "    ] * %0",
    ]


def test_domains() -> None:
    builder = Builder()
    builder.origin = Origin("")
    plane = Polytope.space(2).with_rows([[1.0, -1.0], [0.0, 2.0]], [-np.inf, 0.0], 1.0)
    builder.input(plane)
    bits = builder.input(Polytope.one_of(6), Kind.BIT)
    box = Polytope.box([0.0, -np.inf], [1.0, np.inf])
    ball = L1Ball(np.array([0.5, 0.0]), 0.1)
    builder.input(Polytope(box.lower, box.upper, box.rows, box.row_lower, box.row_upper, ball))
    assert print_program(builder.program(bits)).splitlines()[1:-2] == [
        "  %0: vec[2] = input space rows csr<2x2> {0: {0: 1.0, 1: -1.0}, 1: {1: 2.0}} in [-inf, 0.0] .. [1.0, 1.0]",
        "  %1: bits[6] = input box zeros(6) .. ones(6) rows csr ones(1, 6) in [1.0] .. [1.0]",
        "  %2: vec[2] = input box [0.0, -inf] .. [1.0, inf] ball l1 center [0.5, 0.0] radius 0.1",
    ]


def large_program() -> Program:
    builder = Builder()
    builder.origin = Origin("")
    x = builder.input(Polytope.box(np.arange(20.0), np.full(20, 30.0)))
    wide = builder.affine({x: np.arange(60.0).reshape(3, 20)}, [1, 2, 3])
    builder.origin = Origin("kept", "", 2 * np.arange(20))
    thin = builder.affine({x: csr_array(np.diag(np.arange(1.0, 20.0), 1)), wide: selection([0, 2] * 10, 3)})
    builder.origin = Origin("")
    return builder.program(builder.affine({thin: identity(20, np.arange(1.0, 21.0))}))


def test_large_constants_are_elided() -> None:
    text = str(large_program())
    assert [line.rstrip() for line in text.splitlines()] == [
        "program {",
        "  %0: vec[20] = input box vec<20, elided> .. 30.0 * ones(20)",
        "  %1: vec[3] = affine dense<3x20, elided> * %0 + [1.0, 2.0, 3.0]",
        "  %2: vec[20] = affine csr<20x20, 19 entries, elided> * %0 + select(ints<20, elided>, of 3) * %1"
        ' @ "kept" kept ints<20, elided>',
        "  %3: vec[20] = affine diag(vec<20, elided>) * %2",
        "  output %3",
        "}",
    ]
    assert "elided" not in print_program(large_program(), elide=60)


def test_large_constants_are_kept_apart() -> None:
    text, constants = print_with_constants(large_program(), 16)
    assert [line.rstrip() for line in text.splitlines()] == [
        "program {",
        "  %0: vec[20] = input box vec<20, $c0> .. 30.0 * ones(20)",
        "  %1: vec[3] = affine dense<3x20, $c1> * %0 + [1.0, 2.0, 3.0]",
        '  %2: vec[20] = affine csr<20x20, $c2> * %0 + select(ints<20, $c3>, of 3) * %1 @ "kept" kept ints<20, $c4>',
        "  %3: vec[20] = affine diag(vec<20, $c5>) * %2",
        "  output %3",
        "}",
    ]
    assert sorted(constants) == ["c0", "c1", "c2.data", "c2.indices", "c2.indptr", "c3", "c4", "c5"]
    whole = {name for name, array in constants.items() if array.dtype == np.int64}
    assert whole == {"c2.indices", "c2.indptr", "c3", "c4"}
    assert constants["c4"].tolist() == list(range(0, 40, 2))


def test_names_of_every_kind() -> None:
    builder = Builder()
    builder.input(Polytope.space(1), origin=Origin('a "b"\\\n\t\x00\u202e', "größe\U0001f600\ud800"))
    assert print_program(builder.program(0)).splitlines()[1].split("@ ")[1] == (
        r'"a \"b\"\\\n\u{9}\u{0}\u{202e}" "größe' + "\U0001f600" + r'\u{d800}"'
    )
