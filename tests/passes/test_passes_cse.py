"""What is computed twice is computed once, and no choice is lost."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from lipc.ir import Affine, Builder, Conditional, Input, Interval, Kind, Polytope, Program, Switch, as_dense
from lipc.passes.cse import CommonSubexpressionElimination
from lipc.passes.rewrite import add_exactly
from tests.ir.sample_programs import rational_values
from tests.passes.rewriting import bit_count, check_pass, points_of, random_program, text

CSE = CommonSubexpressionElimination()
BOX = Polytope.box([-1.0, -1.0], [1.0, 1.0])
WEIGHTS = np.array([[1.0, -2.0], [0.5, 3.0]])


def kinds(program: Program) -> list[str]:
    return [type(op).__name__ for op in program.ops]


def only(program: Program, kind: type) -> object:
    (value,) = program.find(kind)
    return program.ops[value]


def two_relus(first: float, second: float) -> Program:
    """Return ``first * relu(Wx + 1) + second * relu(Wx + 1)``, everything written twice."""
    builder = Builder()
    x = builder.input(BOX)
    left, right = (builder.relu(builder.affine({x: WEIGHTS}, 1.0)) for _ in range(2))
    return builder.program(builder.affine({left: [[first, first]], right: [[second, second]]}))


def test_a_whole_neuron_written_twice() -> None:
    done = CSE.apply(two_relus(0.5, 0.25)).program
    assert kinds(done) == ["Input", "Affine", "Conditional", "Switch", "Affine"]
    (term,) = done.ops[-1].terms  # type: ignore[union-attr]
    np.testing.assert_array_equal(term.matrix, [[0.75, 0.75]])


def test_coefficients_whose_sum_would_be_rounded_stay_apart() -> None:
    program = two_relus(0.1, 0.2)
    done = CSE.apply(program).program
    assert kinds(done) == ["Input", "Affine", "Conditional", "Switch", "Affine", "Affine"]
    copy, result = done.ops[-2:]
    assert isinstance(copy, Affine) and isinstance(result, Affine)
    np.testing.assert_array_equal(as_dense(copy.terms[0].matrix), np.eye(2))
    assert result.operands == (3, 4)
    for point in ([0.3, -0.7], [1.0, 1.0], [-1.0, 0.1]):
        old, new = (rational_values(each, {0: point}) for each in (program, done))
        assert new[done.result] == old[program.result]


def test_terms_that_cancel() -> None:
    done = CSE.apply(two_relus(0.1, -0.1)).program
    assert kinds(done)[-1] == "Affine"
    assert rational_values(done, {0: [1.0, 0.0]})[done.result] == [0]


def test_inputs_are_choices_of_their_own() -> None:
    builder = Builder()
    first, second = builder.input(BOX), builder.input(BOX)
    program = builder.program(builder.linear((1.0, first), (1.0, second)))
    done = CSE.apply(program).program
    assert len(list(done.find(Input))) == 2
    assert text(done) == text(program)


@pytest.mark.parametrize(
    ("change", "merges"),
    [
        ({}, True),
        ({"order": True}, True),
        ({"bias": -0.0}, True),
        ({"bias": 5e-324}, False),
        ({"weight": np.nextafter(0.5, 1)}, False),
        ({"sparse": True}, False),
        ({"operand": True}, False),
    ],
)
def test_what_is_the_same(change: dict[str, object], merges: bool) -> None:
    builder = Builder()
    x, y, z = (builder.input(BOX) for _ in range(3))
    matrix = np.diag([1.0, change.get("weight", 0.5)])
    like = csr_array(matrix) if change.get("sparse") else matrix
    first = builder.affine({x: np.diag([1.0, 0.5]), y: WEIGHTS}, 0.0)
    other = z if change.get("operand") else y
    terms = {other: WEIGHTS, x: like} if change.get("order") else {x: like, other: WEIGHTS}
    second = builder.affine(terms, change.get("bias", 0.0))  # type: ignore[arg-type]
    program = builder.program(builder.affine({first: [[1.0, 0.0]], second: [[0.0, 1.0]]}))
    assert (len(list(CSE.apply(program).program.find(Affine))) == 2) == merges


def test_the_same_numbers_in_another_order_are_another_matrix() -> None:
    builder = Builder()
    x = builder.input(BOX)
    rows = [csr_array(np.array(row)) for row in ([[1.0, 0.0], [0.0, 2.0]], [[0.0, 1.0], [2.0, 0.0]])]
    program = builder.program(builder.linear(*((1.0, builder.affine({x: each})) for each in rows)))
    assert len(list(CSE.apply(program).program.find(Affine))) == 3


def numbers(readers: str) -> Program:
    """Return conditionals of one value, each read by a relu (r) or as numbers (n)."""
    builder = Builder()
    x = builder.input(BOX)
    parts = []
    for reader in readers:
        bits = builder.conditional(x)
        parts.append(builder.switch(x, bits) if reader == "r" else builder.affine({bits: np.eye(2)}))
    return builder.program(builder.linear(*((2.0**k, part) for k, part in enumerate(parts))))


@pytest.mark.parametrize(("readers", "left"), [("rr", 1), ("rn", 1), ("nr", 1), ("nn", 2), ("nrn", 2), ("rnnr", 2)])
def test_bits_that_are_more_than_relus_stay_choices(readers: str, left: int) -> None:
    # Where x is 0 the value may be that of any choice of the bits that are read as numbers.
    program = numbers(readers)
    result = CSE.apply(program)
    assert bit_count(result.program) == 2 * left
    reached = set()
    free = list(program.find(Conditional))
    for choice in range(2 ** len(free)):
        bits = {value: [float(choice >> k & 1)] * 2 for k, value in enumerate(free)}
        reached.add(rational_values(program, {0: [0.0, 0.0], **bits})[program.result][0])
    still = set()
    free = list(result.program.find(Conditional))
    for choice in range(2 ** len(free)):
        bits = {value: [float(choice >> k & 1)] * 2 for k, value in enumerate(free)}
        still.add(rational_values(result.program, {0: [0.0, 0.0], **bits})[result.program.result][0])
    assert still == reached


def test_bounds_of_both_hold_for_the_one() -> None:
    program = two_relus(1.0, 1.0)
    first, second = program.find(Switch)
    bounds = {
        first: Interval(np.array([0.0, 0.0]), np.array([3.0, 4.0])),
        second: Interval(np.array([0.0, 0.0]), np.array([5.0, 2.0])),
    }
    done = CSE.apply(program.with_bounds(bounds)).program
    (known,) = (done.bounds[value] for value in done.find(Switch))
    np.testing.assert_array_equal(known.upper, [3.0, 2.0])


def test_bits_that_count_as_numbers_may_be_read_twice() -> None:
    builder = Builder()
    x = builder.input(BOX)
    free = builder.input(Polytope.box([0, 0], [1, 1]), Kind.BIT)
    first, second = (builder.switch(x, free) for _ in range(2))
    program = builder.program(builder.linear((0.1, first), (0.2, second)))
    done = CSE.apply(program).program
    assert kinds(done) == ["Input", "Input", "Switch", "Affine", "Affine"]


def test_exact_sums() -> None:
    ones = np.ones((1, 2))
    assert add_exactly(0.1 * ones, 0.2 * ones) is None
    assert add_exactly(1e308 * ones, 1e308 * ones) is None
    np.testing.assert_array_equal(add_exactly(0.5 * ones, 0.25 * ones), [[0.75, 0.75]])
    sparse = add_exactly(csr_array([[0.1, 0.0]]), csr_array([[0.0, 0.2]]))
    assert isinstance(sparse, csr_array)
    np.testing.assert_array_equal(sparse.toarray(), [[0.1, 0.2]])
    mixed = add_exactly(csr_array([[0.1, 0.0]]), np.array([[0.0, 0.2]]))
    assert isinstance(mixed, np.ndarray)
    cancelled = add_exactly(csr_array([[0.1, 0.2]]), csr_array([[-0.1, 0.0]]))
    assert cancelled is not None and cancelled.nnz == 1


@pytest.mark.parametrize("continuous", [True, False])
@pytest.mark.parametrize("seed", range(15))
def test_random_programs(seed: int, continuous: bool) -> None:
    program = random_program(seed, continuous=continuous)
    done = check_pass(program, CSE, points_of(seed), continuous=continuous).program
    assert len(done.ops) <= len(program.ops) + 1
    assert text(CSE.apply(done).program) == text(done)
