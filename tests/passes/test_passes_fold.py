"""Constants are folded where that rounds nothing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.sparse import csr_array

from lipc.ir import (
    Affine,
    Builder,
    Conditional,
    Input,
    Kind,
    Lipschitz,
    Objective,
    Polytope,
    Program,
    Sense,
    as_dense,
    entries,
)
from lipc.passes.bounds import Bounds
from lipc.passes.fold import Fold
from lipc.passes.jacobian import Jacobian
from lipc.passes.run import run_passes
from tests.ir.sample_programs import rational_values
from tests.passes.rewriting import check_pass, points_of, random_program, text

BOX = Polytope.box([-1.0, -1.0], [1.0, 1.0])


def kinds(program: Program) -> list[str]:
    return [type(op).__name__ for op in program.ops]


def last(program: Program) -> Affine:
    op = program.ops[program.result]
    assert isinstance(op, Affine)
    return op


def test_constants_go_into_the_bias() -> None:
    builder = Builder()
    x = builder.input(BOX)
    half = builder.constant([0.5, 4.0])
    program = builder.program(builder.affine({x: np.eye(2), half: [[2.0, 0.25], [0.0, 1.0]]}, [1.0, -1.0]))
    done = Fold().apply(program).program
    assert kinds(done) == ["Input", "Affine"]
    np.testing.assert_array_equal(last(done).bias, [3.0, 3.0])


def test_constants_of_constants() -> None:
    builder = Builder()
    value = builder.constant([1.0, 2.0])
    for _ in range(5):
        value = builder.relu(builder.affine({value: [[1.0, -1.0], [2.0, 1.0]]}, [0.5, -3.0]))
    program = builder.program(value)
    done = Fold().apply(program).program
    assert kinds(done) == ["Affine"]
    assert [Fraction(x) for x in last(done).bias.tolist()] == rational_values(program, {})[program.result]


def test_a_row_that_would_be_rounded_stays() -> None:
    builder = Builder()
    x = builder.input(BOX)
    tenth = builder.constant([0.1, 0.5])
    program = builder.program(builder.affine({x: np.eye(2), tenth: [[0.1, 1.0], [0.0, 1.0]]}, [0.2, 0.25]))
    done = Fold().apply(program).program
    assert kinds(done) == ["Input", "Affine", "Affine"]
    np.testing.assert_array_equal(last(done).bias, [0.2, 0.75])
    np.testing.assert_array_equal(last(done).terms[1].matrix, [[0.1, 1.0], [0.0, 0.0]])
    assert rational_values(done, {0: [0.0, 0.0]})[-1] == rational_values(program, {0: [0.0, 0.0]})[-1]


def test_sums_beyond_double_precision_stay() -> None:
    builder = Builder()
    huge = builder.constant([1e308])
    program = builder.program(builder.affine({huge: [[10.0]]}))
    assert text(Fold().apply(program).program) == text(program)


@pytest.mark.parametrize("sparse", [False, True])
def test_single_entries_that_are_constant(sparse: bool) -> None:
    # A concatenation of the input and a constant, read by one matrix.
    builder = Builder()
    x = builder.input(BOX)
    joined = builder.affine({x: np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])}, [0.0, 2.0, 0.0])
    matrix = np.array([[1.0, 0.5, 2.0], [3.0, 0.0, 4.0]])
    program = builder.program(builder.affine({joined: csr_array(matrix) if sparse else matrix}, 1.0))
    done = Fold().apply(program).program
    (term,) = last(done).terms
    np.testing.assert_array_equal(as_dense(term.matrix), [[1.0, 0.0, 2.0], [3.0, 0.0, 4.0]])
    assert entries(term.matrix) == 4
    assert isinstance(term.matrix, csr_array) == sparse
    np.testing.assert_array_equal(last(done).bias, [2.0, 1.0])


def test_matrices_without_entries_go() -> None:
    builder = Builder()
    x, y = builder.input(BOX), builder.input(BOX)
    dead = builder.relu(y)
    program = builder.program(builder.affine({x: np.eye(2), dead: np.zeros((2, 2)), y: csr_array((2, 2))}, 1.0))
    done = Fold().apply(program)
    assert kinds(done.program) == ["Input", "Input", "Affine"]
    assert last(done.program).operands == (0,)
    assert np.isnan(done.recover({})[2]).all()


BITS = {"on": [1.0, 2.0], "off": [-1.0, -2.0], "mixed": [1.0, -2.0]}


@pytest.mark.parametrize("bits", BITS)
def test_switches_over_constant_bits(bits: str) -> None:
    builder = Builder()
    x = builder.input(BOX)
    constant = builder.conditional(builder.constant(BITS[bits]))
    program = builder.program(builder.affine({builder.switch(x, constant): np.eye(2)}, 1.0))
    result = Fold().apply(program)
    assert not list(result.program.find(Conditional))
    wanted = (np.array(BITS[bits]) > 0).astype(float)
    np.testing.assert_array_equal(result.recover({0: np.zeros(2)})[constant], wanted)
    point = {0: [0.25, -0.75]}
    assert rational_values(result.program, point)[-1] == rational_values(program, point)[-1]
    assert len(result.program.ops) == {"on": 2, "off": 2, "mixed": 3}[bits]


def test_the_bit_of_a_constant_0_is_free() -> None:
    builder = Builder()
    x = builder.input(BOX)
    program = builder.program(builder.switch(x, builder.conditional(builder.constant([0.0, 0.0]))))
    assert text(Fold().apply(program).program) == text(program)


def test_a_switch_of_0_and_bits_read_as_numbers() -> None:
    builder = Builder()
    x = builder.input(BOX)
    bits = builder.conditional(x)
    zero = builder.switch(builder.constant([0.0, 0.0]), bits)
    known = builder.conditional(builder.constant([3.0, -3.0]))
    program = builder.program(builder.affine({x: np.eye(2), zero: np.eye(2), known: [[5.0, 1.0], [0.5, 1.0]]}))
    done = Fold().apply(program).program
    assert kinds(done) == ["Input", "Affine"]
    np.testing.assert_array_equal(last(done).bias, [5.0, 0.5])


def test_an_input_is_no_constant_even_where_it_is_a_point() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([1.0, 2.0], [1.0, 2.0]))
    free = builder.input(Polytope.box([1], [1]), Kind.BIT)
    wide = builder.affine({free: [[1.0], [1.0]]})
    program = builder.program(builder.linear((1.0, builder.relu(x)), (1.0, wide)))
    assert text(Fold().apply(program).program) == text(program)


def test_continuous_again_once_constants_are_folded() -> None:
    # A switch over bits of another value has no Jacobian, but over constant bits it is a selection.
    builder = Builder()
    x = builder.input(BOX)
    bits = builder.conditional(builder.constant([1.0, -1.0]))
    result = builder.affine({builder.switch(x, bits): [[3.0, 5.0]]})
    program = builder.program(result, Objective(Sense.MAXIMIZE, Lipschitz()))
    done = run_passes(program, [Fold(), Jacobian("reverse"), Bounds()]).program
    assert done.bounds[done.result].upper[0] == pytest.approx(3.0, rel=1e-12)
    assert len(list(done.find(Input))) == 1


@pytest.mark.parametrize("continuous", [True, False])
@pytest.mark.parametrize("seed", range(15))
def test_random_programs(seed: int, continuous: bool) -> None:
    program = random_program(seed, continuous=continuous)
    done = check_pass(program, Fold(), points_of(seed), continuous=continuous).program
    assert len(done.ops) <= len(program.ops)
    assert text(Fold().apply(done).program) == text(done)
