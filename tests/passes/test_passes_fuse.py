from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from lipc.ir import Affine, Builder, Floats, Polytope, Program, Term, entries, evaluate
from lipc.passes.fuse import Fuse
from tests.ir.sample_programs import dense, max_pool, mixed, residual
from tests.nets import random_network


def convolution_of_images(side: int, kernel: Floats) -> csr_array:
    """Return the matrix of a convolution of ``side x side`` images with zero padding that keeps the size."""
    reach = len(kernel)
    padded = np.zeros((side, side, side + reach - 1, side + reach - 1))
    for i in range(side):
        for j in range(side):
            padded[i, j, i : i + reach, j : j + reach] = kernel
    inner = slice(reach // 2, reach // 2 + side)
    return csr_array(padded[:, :, inner, inner].reshape(side * side, side * side))


def numbers(program: Program) -> int:
    return sum(entries(term.matrix) for op in program.ops if isinstance(op, Affine) for term in op.terms)


def terms(program: Program) -> list[Term]:
    return [term for op in program.ops if isinstance(op, Affine) for term in op.terms]


def test_a_chain_of_convolutions_stays_apart() -> None:
    rng = np.random.default_rng(0)
    builder = Builder()
    value = builder.input(Polytope.box(np.zeros(100), np.ones(100)))
    for _ in range(3):
        value = builder.affine({value: convolution_of_images(10, rng.normal(size=(3, 3)))}, 0.1)
    program = builder.program(value)
    fused = Fuse().apply(program).program
    assert len(fused.ops) == len(program.ops)
    assert numbers(fused) == numbers(program) == 3 * 28**2
    assert all(isinstance(term.matrix, csr_array) for term in terms(fused))


def test_a_chain_that_shrinks_becomes_one_map() -> None:
    rng = np.random.default_rng(1)
    builder = Builder()
    x = builder.input(Polytope.box(np.zeros(9), np.ones(9)))
    wide, narrow = rng.normal(size=(20, 9)), rng.normal(size=(2, 20))
    fused = Fuse().apply(builder.program(builder.affine({builder.affine({x: wide}, 1.0): narrow}, 2.0))).program
    assert len(fused.ops) == 2
    points = rng.random((4, 9))
    np.testing.assert_allclose(evaluate(fused, {0: points})[1], (points @ wide.T + 1) @ narrow.T + 2, atol=1e-13)


def test_batch_normalization_goes_into_the_convolution() -> None:
    rng = np.random.default_rng(1)
    builder = Builder()
    x = builder.input(Polytope.box(np.zeros(64), np.ones(64)))
    scanned = builder.affine({x: convolution_of_images(8, rng.normal(size=(3, 3)))})
    normed = builder.linear((rng.normal(size=64), scanned), bias=rng.normal(size=64))  # batch normalization
    result = builder.affine({builder.relu(normed): rng.normal(size=(12, 64))})
    program = builder.program(result)
    fused = Fuse().apply(program).program
    assert [type(op).__name__ for op in fused.ops] == ["Input", "Affine", "Conditional", "Switch", "Affine"]
    assert numbers(fused) == 22**2 + 12 * 64
    points = rng.random((5, 64))
    np.testing.assert_allclose(
        evaluate(fused, {0: points})[fused.result], evaluate(program, {0: points})[result], atol=1e-12
    )


@pytest.mark.parametrize("readers", [1, 2])
def test_selections_and_constants_vanish(readers: int) -> None:
    rng = np.random.default_rng(2)
    builder = Builder()
    x = builder.input(Polytope.box(np.zeros(5), np.ones(5)))
    picked = builder.select(x, [4, 0, -1, 0], [0.0, 0.0, 2.0, 0.0])
    constant = builder.constant([1.0, -2.0])
    weights, more = rng.normal(size=(3, 4)), rng.normal(size=(3, 2))
    relus = [
        builder.relu(builder.affine({builder.select(picked, [3, 2, 1, 0]): weights, constant: more}))
        for _ in range(readers)
    ]
    result = builder.affine({relu: np.ones((1, 3)) for relu in relus})
    program = builder.program(result)
    fused = Fuse().apply(program).program
    assert len(fused.ops) == 1 + 3 * readers + 1
    points = rng.random((6, 5))
    chosen = np.stack([points[:, 0], np.full(6, 2.0), points[:, 0], points[:, 4]], axis=1)
    expected = readers * np.maximum(chosen @ weights.T + more @ [1.0, -2.0], 0).sum(axis=1)
    np.testing.assert_allclose(evaluate(fused, {0: points})[fused.result][:, 0], expected, atol=1e-13)


def test_what_another_operation_reads_is_fused_only_where_it_pays() -> None:
    rng = np.random.default_rng(3)
    builder = Builder()
    x = builder.input(Polytope.box(np.zeros(6), np.ones(6)))
    hidden = builder.affine({x: rng.normal(size=(2, 6))})
    relu = builder.relu(hidden)  # hidden is needed anyway, so 4 x 2 numbers must not become 4 x 6
    result = builder.affine({hidden: rng.normal(size=(4, 2)), relu: rng.normal(size=(4, 2))})
    fused = Fuse().apply(builder.program(result)).program
    assert numbers(fused) == 12 + 8 + 8
    last = fused.ops[fused.result]
    assert isinstance(last, Affine)
    assert sorted(last.operands) == [1, 3]


def test_terms_that_cancel_vanish() -> None:
    builder = Builder()
    x = builder.input(Polytope.box(np.zeros(2), np.ones(2)))
    there, back = builder.linear((2.0, x), bias=1.0), builder.linear((-2.0, x))
    relu = builder.relu(x)
    result = builder.linear((1.0, there), (1.0, back), (1.0, relu))
    fused = Fuse().apply(builder.program(result)).program
    last = fused.ops[fused.result]
    assert isinstance(last, Affine)
    assert [type(fused.ops[operand]).__name__ for operand in last.operands] == ["Switch"]
    np.testing.assert_array_equal(last.bias, [1, 1])


@pytest.mark.parametrize(
    "program",
    [
        dense(random_network(0, [3, 6, 5, 2])).program,
        residual(1, outputs=2).program,
        max_pool(2).program,
        mixed(3).program,
    ],
)
def test_numbers_never_grow(program: Program) -> None:
    fused = Fuse().apply(program).program
    again = Fuse().apply(fused).program
    assert numbers(again) <= numbers(fused) <= numbers(program)
    assert len(again.ops) <= len(fused.ops) <= len(program.ops)


def test_the_program_that_was_given_is_left_alone() -> None:
    program = residual(4).program
    before = str(program), [term.matrix.copy() for term in terms(program)]
    Fuse().apply(program)
    assert str(program) == before[0]
    for term, matrix in zip(terms(program), before[1], strict=True):
        np.testing.assert_array_equal(
            term.matrix.toarray() if isinstance(term.matrix, csr_array) else term.matrix,
            matrix.toarray() if isinstance(matrix, csr_array) else matrix,
        )
