"""Functions written by hand cost what the ones of the builder cost, once `canonicalize` and `cse` have seen them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_array

import lipc
from lipc.ir import (
    Affine,
    Builder,
    Conditional,
    Interval,
    Lipschitz,
    Objective,
    Polytope,
    Program,
    Sense,
    Switch,
    entries,
    identity,
)
from lipc.mip import lower
from lipc.passes.base import Pass
from lipc.passes.bounds import Bounds
from lipc.passes.canonicalize import Canonicalize, stored_well
from lipc.passes.cse import CommonSubexpressionElimination
from lipc.passes.fold import Fold
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian
from lipc.passes.pipeline import parse_pipeline
from lipc.passes.run import run_passes
from tests.ir.sample_programs import rational_values
from tests.passes.rewriting import bit_count, check_pass, points_of, random_program, text

CSE = CommonSubexpressionElimination()
WEIGHTS = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]])
Function = Callable[[Builder, int], int]


def apply(function: Function) -> Program:
    """Return a weighted sum of a function of three pre-activations, and its Lipschitz question."""
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, -1.0], [1.0, 1.0]))
    z = builder.affine({x: WEIGHTS}, [0.25, -0.5, 0.125])
    result = builder.affine({function(builder, z): [[1.0, 2.0, -3.0]]})
    return builder.program(result, Objective(Sense.MAXIMIZE, Lipschitz()))


def row(builder: Builder, number: float) -> int:
    return builder.constant([number] * 3)


def times(builder: Builder, factor: float | list[float], value: int) -> int:
    return builder.linear((np.array(factor) if isinstance(factor, list) else factor, value))


def negative_part(builder: Builder, z: int) -> int:
    """The relu of -z."""
    return builder.relu(times(builder, -1.0, z))


# What is written by hand, what the builder makes of it, and how many bits each of its entries takes.
FUNCTIONS: dict[str, tuple[Function, Function, int]] = {
    "abs": (
        lambda b, z: b.linear((1.0, b.relu(z)), (1.0, negative_part(b, z))),
        lambda b, z: b.abs(z),
        1,
    ),
    "abs as a maximum": (lambda b, z: b.maximum(z, times(b, -1.0, z)), lambda b, z: b.abs(z), 1),
    "z as a difference": (
        lambda b, z: b.linear((1.0, b.relu(z)), (-1.0, negative_part(b, z))),
        lambda b, z: b.linear((1.0, z)),
        1,
    ),
    "leaky relu": (
        lambda b, z: b.linear((1.0, b.relu(z)), (-0.25, negative_part(b, z))),
        lambda b, z: b.leaky_relu(z, 0.25),
        1,
    ),
    "leaky relu as a maximum, beside a relu": (
        lambda b, z: b.linear((1.0, b.maximum(z, times(b, 0.25, z))), (1.0, b.relu(z))),
        lambda b, z: b.linear((1.0, b.leaky_relu(z, 0.25)), (1.0, b.relu(z))),
        1,
    ),
    "several scales": (
        lambda b, z: b.linear((1.0, b.relu(times(b, [2.0, -0.3, 0.1], z))), (1.0, b.relu(z))),
        lambda b, z: b.linear(([3.0, 1.3, 1.1], b.relu(z)), ([0.0, -0.3, 0.0], z)),
        1,
    ),
    "relu of relu of relu": (lambda b, z: b.relu(b.relu(b.relu(z))), lambda b, z: b.relu(z), 1),
    "relu of a scaled relu": (
        lambda b, z: b.relu(times(b, 3.0, b.relu(z))),
        lambda b, z: times(b, 3.0, b.relu(z)),
        1,
    ),
    "relu of minus a relu": (lambda b, z: b.relu(times(b, -3.0, b.relu(z))), lambda b, _: row(b, 0.0), 1),
    "clip as min of max": (
        lambda b, z: b.minimum(b.maximum(z, row(b, -0.5)), row(b, 1.0)),
        lambda b, z: b.clip(z, -0.5, 1.0),
        2,
    ),
    "clip as min of max, the other way round": (
        lambda b, z: b.minimum(row(b, 1.0), b.maximum(row(b, -0.5), z)),
        lambda b, z: b.clip(z, -0.5, 1.0),
        2,
    ),
    "clip as max of min": (
        lambda b, z: b.maximum(b.minimum(z, row(b, 1.0)), row(b, -0.5)),
        lambda b, z: b.clip(z, -0.5, 1.0),
        2,
    ),
    "clip as max of min, the other way round": (
        lambda b, z: b.maximum(row(b, 0.0), b.minimum(row(b, 1.0), z)),
        lambda b, z: b.clip(z, 0.0, 1.0),
        2,
    ),
    "clip of a clip": (
        lambda b, z: b.minimum(
            b.maximum(b.minimum(b.maximum(z, row(b, -0.5)), row(b, 1.0)), row(b, -0.75)), row(b, 2.0)
        ),
        lambda b, z: b.clip(z, -0.5, 1.0),
        6,
    ),
    "leaky relu of slope 0.2 as a maximum, beside a relu": (
        lambda b, z: b.linear((1.0, b.maximum(z, times(b, 0.2, z))), (1.0, b.relu(z))),
        lambda b, z: b.linear((1.0, b.leaky_relu(z, 0.2)), (1.0, b.relu(z))),
        1,
    ),
}
PASSES: list[Pass] = [Fold(), Canonicalize(), CSE]
GRID = [[a / 8, b / 8] for a in range(-8, 9, 3) for b in range(-8, 9, 3)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_by_hand_is_as_good_as_built(name: str) -> None:
    by_hand, built, bits = FUNCTIONS[name]
    hand, reference = apply(by_hand), apply(built)
    done = run_passes(hand, PASSES).program
    assert bit_count(run_passes(hand, [*PASSES, Fold()]).program) <= 3 * bits
    for point in GRID:
        value = rational_values(done, {0: point})[done.result]
        assert value == rational_values(hand, {0: point})[hand.result]
        assert float(value[0]) == pytest.approx(float(rational_values(reference, {0: point})[reference.result][0]))
    assert all(done.ops[op.bit].operand == op.operand for op in done.ops if isinstance(op, Switch))  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("clip of a clip", "z as a difference")])
def test_no_more_rows_than_built(name: str) -> None:
    by_hand, built, _ = FUNCTIONS[name]
    sizes = []
    for function, first in ((by_hand, PASSES), (built, [Fold()])):
        lowering = parse_pipeline("fuse,bounds,jacobian{mode=reverse},bounds{only-new},prune-stable,fuse,prune-stable")
        mip = lower(run_passes(apply(function), [*first, *lowering]).program)
        sizes.append((mip.binaries, *mip.matrix.shape))
    assert sizes[0] <= sizes[1]


def test_nested_clips_have_neurons_that_read_the_value_itself() -> None:
    done = run_passes(apply(FUNCTIONS["clip as min of max"][0]), [*PASSES, Fuse()]).program
    (z,) = {value for value in done.find(Affine) if done.ops[value].operands == (0,)}
    for value in done.find(Conditional):
        (operand,) = done.ops[value].operands
        assert done.ops[operand].operands == (z,)


def test_limits_that_cross_are_left_alone() -> None:
    # min(max(z, 1), -1) is -1 everywhere: neither relu(max(p, q)) with q < 0 nor relu(min(p, q)) with q > 0.
    program = apply(lambda b, z: b.minimum(b.maximum(z, row(b, 1.0)), row(b, -1.0)))
    done = run_passes(program, PASSES).program
    for point in GRID:
        assert rational_values(done, {0: point})[done.result] == rational_values(program, {0: point})[program.result]
    touching = apply(lambda b, z: b.minimum(b.maximum(z, row(b, 1.0)), row(b, 1.0)))
    assert bit_count(run_passes(touching, PASSES).program) == 6


def test_identities_go() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, -1.0], [1.0, 1.0]))
    value = builder.relu(builder.affine({x: np.eye(2)}))
    for _ in range(3):
        value = builder.affine({value: identity(2)})
    program = builder.program(builder.affine({value: np.eye(2)}))
    done = Canonicalize().apply(program).program
    assert [type(op).__name__ for op in done.ops] == ["Input", "Conditional", "Switch"]
    assert done.result == 2


@pytest.mark.parametrize("change", ["bias", "order", "factor", "not square", "bits", "two"])
def test_what_is_no_identity(change: str) -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, -1.0], [1.0, 1.0]))
    bits = builder.conditional(x)
    result = {
        "bias": lambda: builder.affine({x: np.eye(2)}, [0.0, 1e-300]),
        "order": lambda: builder.affine({x: [[0, 1], [1, 0]]}),
        "factor": lambda: builder.linear((np.nextafter(1, 2), x)),
        "not square": lambda: builder.affine({x: [[1, 0], [0, 1], [0, 0]]}),
        "bits": lambda: builder.affine({bits: np.eye(2)}),
        "two": lambda: builder.affine({x: np.eye(2), bits: np.eye(2)}),
    }[change]()
    assert isinstance(Canonicalize().apply(builder.program(result)).program.ops[-1], Affine)


def test_a_negative_factor_alone_stays() -> None:
    program = apply(negative_part)
    done = Canonicalize().apply(program).program
    assert text(done) == text(program)
    assert len(list(done.find(Affine))) == 3


def test_flipped_bits_as_numbers_and_in_other_switches() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, -1.0], [1.0, 1.0]))
    first = builder.conditional(x)
    second = builder.conditional(builder.linear((np.array([-2.0, 0.5]), x)))
    switched = builder.switch(builder.affine({x: [[0.0, 1.0], [1.0, 0.0]]}), second)
    parts = {switched: [[1.0, 2.0]], second: [[4.0, 8.0]], first: [[16.0, 32.0]]}
    program = builder.program(builder.affine(parts, 0.5))
    bounded = program.with_bounds({second: Interval(np.array([0.0, 0.0]), np.array([0.0, 1.0]))})
    result = Canonicalize().apply(bounded)
    np.testing.assert_array_equal(result.sources[second].flip, [True, False])
    new = int(result.sources[second].values[0])
    np.testing.assert_array_equal(result.program.bounds[new].lower, [1.0, 0.0])
    np.testing.assert_array_equal(result.program.bounds[new].upper, [1.0, 1.0])
    for point in ([0.5, 0.25], [-0.5, 0.25], [0.5, -0.25], [-0.5, -0.25]):
        assert rational_values(result.program, {0: point})[-1] == rational_values(program, {0: point})[-1]


def test_a_switch_twice_over_the_same_bits() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, -1.0], [1.0, 1.0]))
    bits = builder.conditional(builder.affine({x: [[1.0, 1.0], [2.0, -1.0]]}))
    program = builder.program(builder.switch(builder.switch(x, bits), bits))
    assert len(list(Canonicalize().apply(program).program.find(Switch))) == 1


def test_chains_of_factors() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0], [1.0]))
    parts = [builder.relu(x)]
    value = x
    for factor in (-2.0, 0.5, -4.0):
        value = times(builder, factor, value)
        parts.append(builder.relu(value))
    # 0.1 * 0.1 is no float: the chain ends there.
    tenth = times(builder, 0.1, times(builder, 0.1, x))
    parts.append(builder.relu(tenth))
    program = builder.program(builder.linear(*((1.0, part) for part in parts)))
    done = run_passes(program, [Canonicalize(), CSE]).program
    assert bit_count(done) == 2
    for point in ([0.3], [-0.7]):
        assert rational_values(done, {0: point})[-1] == rational_values(program, {0: point})[-1]


@pytest.mark.parametrize(
    ("share", "sparse", "becomes_sparse"),
    [(0.01, False, True), (0.01, True, True), (0.15, False, False), (0.15, True, True), (0.9, True, False)],
)
def test_storage(share: float, sparse: bool, becomes_sparse: bool) -> None:
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((64, 64)) < share, rng.normal(size=(64, 64)), 0.0)
    matrix = csr_array(dense) if sparse else dense
    stored = stored_well(matrix)
    assert isinstance(stored, csr_array) == becomes_sparse
    np.testing.assert_array_equal(stored.toarray() if isinstance(stored, csr_array) else stored, dense)
    assert entries(stored) == np.count_nonzero(dense)
    small = dense[:20, :20]
    assert stored_well(small) is small


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed: int) -> None:
    continuous = seed % 3 > 0
    program = random_program(seed, continuous=continuous)
    done = check_pass(program, Canonicalize(), points_of(seed), continuous=continuous).program
    assert text(Canonicalize().apply(done).program) == text(done)
    assert bit_count(CSE.apply(done).program) <= bit_count(CSE.apply(program).program)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_constant_is_that_of_the_function(name: str) -> None:
    by_hand, built, _ = FUNCTIONS[name]
    passes = parse_pipeline("fold,canonicalize,cse,merge-duplicates,bounds,prune-stable,jacobian,bounds,fuse")
    found = lipc.solve(lipc.compile(apply(by_hand), passes=passes))
    reference = lipc.solve(apply(built))
    assert found.status == reference.status == "optimal"
    assert found.lower == pytest.approx(reference.lower, rel=1e-7, abs=1e-9)


def test_after_the_jacobian_programs_stay_valid() -> None:
    for name, (by_hand, _, _) in FUNCTIONS.items():
        trail = run_passes(apply(by_hand), [Jacobian("reverse"), Bounds("interval"), *PASSES], validate=8)
        assert trail.program.objective is not None, name
