"""Neurons that are equal up to a factor share one bit, and patterns of the network are read back from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array
from spread import spread

import lipc
from lipc import Query, box, from_weights
from lipc.certify import Conflict, Regions
from lipc.compiler import Compiled
from lipc.ir import Affine, Builder, Conditional, Floats, Interval, Norm, Polytope, Program, Switch, evaluate
from lipc.mip import choices_of
from lipc.passes.bounds import Bounds
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.merge_duplicates import MergeDuplicates
from lipc.passes.pipeline import parse_pipeline
from lipc.passes.run import run_passes
from lipc.solving.correspondence import FREE, Correspondence
from tests.ir.sample_programs import dense, rational_values
from tests.mip.mip_solving import optimum
from tests.nets import ABSOLUTE, KINDS, Network, random_network
from tests.oracle import lipschitz
from tests.passes.rewriting import bit_count, check_pass, points_of, random_program

CLASSIC = "cse,fold,canonicalize,cse,merge-duplicates,fuse,dce"
LEVEL_2 = "bounds,prune-stable,jacobian{{mode={}}},bounds{{only-new}},prune-stable,fuse,prune-stable"


def relus(rows: Floats, bias: Floats, *, sparse: bool = False) -> Program:
    """Return a weighted sum of relus of rows of the input; all weights are different."""
    builder = Builder()
    x = builder.input(Polytope.box(np.full(rows.shape[1], -1.0), np.full(rows.shape[1], 1.0)))
    hidden = builder.relu(builder.affine({x: csr_array(rows) if sparse else rows}, bias))
    return builder.program(builder.affine({hidden: 1.0 + np.arange(len(rows))[None, :]}))


def merged_bits(program: Program) -> int:
    return bit_count(MergeDuplicates().apply(program).program)


ROW = np.array([0.3, -0.7, 0.0])
PAIRS: list[tuple[str, Floats, float, float, int]] = [
    ("equal", ROW, 0.1, 0.1, 1),
    ("opposite", -ROW, 0.1, -0.1, 1),
    ("doubled", 2 * ROW, 0.1, 0.2, 1),
    ("an opposite quarter", -ROW / 4, 0.1, -0.025, 1),
    ("other bias", ROW, 0.1, 0.1 + 2e-17, 2),
    ("bias not scaled", 2 * ROW, 0.1, 0.1, 2),
    ("bias of the other sign", -ROW, 0.1, 0.1, 2),
    ("tripled", 3 * ROW, 0.1, 0.1 * 3, 2),
    ("no bias beside one", ROW, 0.0, 0.1, 2),
    ("no bias", -8 * ROW, 0.0, -0.0, 1),
    ("another column", ROW[[0, 2, 1]], 0.1, 0.1, 2),
    ("one more coefficient", ROW + np.array([0, 0, 1e-300]), 0.1, 0.1, 2),
    ("the last digit", np.nextafter(ROW, 1), 0.1, 0.1, 2),
]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("other", "bias", "other_bias", "bits"), [case[1:] for case in PAIRS], ids=[c[0] for c in PAIRS]
)
def test_pairs(other: Floats, bias: float, other_bias: float, bits: int, sparse: bool) -> None:
    assert merged_bits(relus(np.array([ROW, other]), np.array([bias, other_bias]), sparse=sparse)) == bits


def test_extreme_numbers_have_a_normal_form() -> None:
    tiny, large = 5e-324, 2.0**1000
    row = np.array([tiny, large, -1.0])
    assert merged_bits(relus(np.array([row, -row]), np.zeros(2))) == 1
    assert merged_bits(relus(np.array([row, row * np.array([1, 0.5, 1])]), np.zeros(2))) == 2
    # 2^1074 times the other one: not a factor that a float can be, so the neurons stay.
    assert merged_bits(relus(np.array([[tiny, tiny, 0.0], [1.0, 1.0, 0.0]]), np.zeros(2))) == 2


def test_rows_of_one_coefficient_merge_for_any_factor() -> None:
    rows = np.array([[0.3, 0.0], [-0.7, 0.0], [1.0, 0.0], [0.0, 2.0]])
    program = relus(rows, np.zeros(4))
    # 0.3 x and -0.7 x are no exact multiples of each other, but of x, if that has a neuron first.
    assert merged_bits(program) == 4
    assert merged_bits(relus(rows[[2, 0, 1, 3]], np.zeros(4))) == 2
    assert merged_bits(relus(rows[[2, 0, 1, 3]], np.array([0.0, 0.1, 0.0, 0.0]))) == 3


def test_the_program_that_comes_out() -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [-0.5, -1.0], [2.0, 4.0]])
    bias = np.array([1.0, 2.0, -0.5, 2.0])
    program = relus(rows, bias)
    bounded = program.with_bounds({1: Interval(np.arange(4) - 20.0, np.arange(4) + 20.0)})
    done = MergeDuplicates().apply(bounded)
    z, u, opposite, restored = (done.program.ops[value] for value in (1, 3, 4, 5))
    assert isinstance(z, Affine) and isinstance(u, Switch) and isinstance(opposite, Affine)
    np.testing.assert_array_equal(z.terms[0].matrix, rows[:2])
    np.testing.assert_array_equal(z.bias, bias[:2])
    np.testing.assert_array_equal(z.origin.entries(2), [0, 1])
    np.testing.assert_array_equal(done.program.bounds[1].lower, [-20.0, -19.0])
    np.testing.assert_array_equal(opposite.terms[0].matrix, rows[2:3])
    np.testing.assert_array_equal(done.program.bounds[4].upper, [22.0])
    assert isinstance(restored, Affine)
    selected, passed = restored.terms
    np.testing.assert_array_equal(selected.matrix.toarray(), [[1, 0], [0, 1], [0.5, 0], [2, 0]])
    np.testing.assert_array_equal(passed.matrix.toarray(), [[0], [0], [1], [0]])
    np.testing.assert_array_equal(done.recover({2: np.array([1.0, 0.0])})[2], [1, 0, 0, 1])
    fused = run_passes(done.program, [Fuse()]).program
    assert [type(op).__name__ for op in fused.ops] == ["Input", "Affine", "Conditional", "Switch", "Affine"]


def test_across_operations() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, -1.0], [1.0, 1.0]))
    first = builder.affine({x: [[1.0, 2.0], [0.5, -1.0]]}, [0.25, 0.5])
    second = builder.affine({x: [[-2.0, -4.0], [3.0, 1.0], [1.0, -2.0]]}, [-0.5, 0.5, 1.0])
    third = builder.linear((-4.0, first))
    parts = [builder.relu(value) for value in (first, second, third)]
    program = builder.program(
        builder.affine({part: np.ones((1, builder.size(part))) for part in parts}),
    )
    result = MergeDuplicates().apply(program)
    assert [result.program.ops[value].size for value in result.program.find(Conditional)] == [2, 1]
    conditionals = list(program.find(Conditional))
    assert result.sources[conditionals[2]].flip.all()
    for point in ([0.1, 0.2], [-0.9, 0.3], [0.5, -1.0]):
        assert rational_values(program, {0: point})[-1] == rational_values(result.program, {0: point})[-1]


def test_what_is_not_a_neuron_keeps_its_bits() -> None:
    rows, builder = np.array([[1.0, 1.0], [1.0, 1.0]]), Builder()
    x = builder.input(Polytope.box([-1.0, -1.0], [1.0, 1.0]))
    z = builder.affine({x: rows})
    bits = builder.conditional(z)
    for result in (builder.switch(x, bits), builder.affine({bits: np.eye(2)}), bits):
        program = replace(builder.program(builder.switch(z, bits)), result=result)
        assert bit_count(MergeDuplicates().apply(program).program) == 2
    # A relu may still share bits that something else reads too.
    again = builder.relu(builder.affine({x: -2 * rows}))
    both = builder.program(builder.linear((1.0, again), (1.0, builder.switch(x, bits))))
    assert bit_count(MergeDuplicates().apply(both).program) == 2


def test_constant_rows_are_left_to_others() -> None:
    assert merged_bits(relus(np.zeros((3, 2)), np.array([1.0, 1.0, 0.0]))) == 3
    builder = Builder()
    constant = builder.relu(builder.affine({builder.constant([1.0, 1.0]): np.eye(2)}))
    assert merged_bits(builder.program(constant)) == 2


def with_multiples(seed: int, copies: int, widths: list[int]) -> Network:
    """Return a network whose first layer has `copies` neurons that are multiples of its others."""
    rng = np.random.default_rng(seed)
    network = random_network(seed, widths)
    weights, biases = list(network.weights), list(network.biases)
    originals = widths[1] - copies
    for neuron in range(originals, widths[1]):
        source, factor = int(rng.integers(originals)), rng.choice([1.0, -1.0, 2.0, -0.5])
        weights[0][neuron], biases[0][neuron] = factor * weights[0][source], factor * biases[0][source]
    return Network(weights, biases)


@pytest.mark.parametrize("copies", [0, 1, 4])
@pytest.mark.parametrize("seed", range(4))
def test_exactly_the_copies_go(seed: int, copies: int) -> None:
    program = dense(with_multiples(seed, copies, [3, 8, 4, 1])).program
    result = MergeDuplicates().apply(program)
    assert bit_count(result.program) == 12 - copies
    again = MergeDuplicates().apply(result.program).program
    assert bit_count(again) == 12 - copies


@pytest.mark.parametrize("seed", range(30))
def test_random_programs(seed: int) -> None:
    continuous = seed % 3 > 0
    program = random_program(seed, continuous=continuous)
    done = check_pass(program, MergeDuplicates(), points_of(seed), continuous=continuous).program
    assert bit_count(done) <= bit_count(program)


def compiled(network: Network, norm: Norm, mode: Mode, passes: str = CLASSIC) -> Compiled:
    inputs = network.weights[0].shape[1]
    query = Query(box(np.full(inputs, -1.0), np.full(inputs, 1.0)), norm=norm)
    return lipc.compile(from_weights(*network), query, passes=parse_pipeline(f"{passes},{LEVEL_2.format(mode)},scale"))


NETWORKS: dict[str, Network] = {
    **{kind: random_network(2, [2, 6, 4, 1], kind) for kind in KINDS},
    "absolute": ABSOLUTE,
    "multiples": with_multiples(3, 4, [2, 7, 3, 2]),
    "many multiples": with_multiples(4, 6, [3, 8, 4, 1]),
}


@pytest.mark.parametrize(
    ("name", "mode", "norm"), spread(list(NETWORKS), ["reverse", "forward"], [Norm.LINF, Norm.L1], every=3)
)
def test_the_constant_is_found_through_all_passes(name: str, mode: Mode, norm: Norm) -> None:
    network = NETWORKS[name]
    inputs = network.weights[0].shape[1]
    exact = lipschitz(*network, np.full(inputs, -1.0), np.full(inputs, 1.0), None, norm.value)
    assert not exact.thin
    program = compiled(network, norm, mode)
    plain = compiled(network, norm, mode, "dce")
    assert program.mip.binaries <= plain.mip.binaries
    found, before = optimum(program.mip), optimum(plain.mip)
    assert found is not None and before is not None
    # Kinks may make the optimum larger than the constant, never smaller; merging makes it no larger than it was.
    scale = program.mip.objective_scale
    assert exact.value * (1 - 1e-7) <= found[0] * scale <= before[0] * plain.mip.objective_scale * (1 + 1e-6) + 1e-9
    result = lipc.solve(program)
    assert (result.status, result.certified) == ("optimal", True)
    assert result.lower == pytest.approx(exact.value, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
def test_kinks_of_opposite_neurons_are_gone(norm: Norm) -> None:
    # relu(x) - relu(-x) = x: the chain rule says 2 where both bits are set, which they no longer can be.
    for name, constant in (("identity as a difference", 1.0), ("zero as a difference", 0.0)):
        program = compiled(NETWORKS[name], norm, "reverse")
        found = optimum(program.mip)
        assert found is not None
        assert found[0] == pytest.approx(constant, abs=1e-9)


def test_bits_that_vanish_together_still_fit_together() -> None:
    # Once merged and fused nothing is left of relu(x) - relu(-x), but at x = 0 not any two bits make it x.
    program = compiled(NETWORKS["identity as a difference"], Norm.LINF, "reverse")
    assert program.mip.binaries == 0 or not Correspondence(program).relevant[2].any()
    correspondence = Correspondence(program)
    regions = Regions(program.asked, correspondence.relevant)
    for x in (0.0, 0.25, -0.25):
        bits = correspondence.bits({0: np.array([x]), 2: np.full(2, np.nan)})
        assert bits[2].sum() == 1
        assert regions.norm_bound(bits, Norm.LINF) == 1.0


def test_patterns_are_read_from_shared_columns() -> None:
    network = with_multiples(5, 3, [2, 6, 3, 1])
    program = compiled(network, Norm.LINF, "reverse")
    correspondence = Correspondence(program)
    flipped = [value for value, codes in correspondence.codes.items() if (codes < 0).any()]
    shared = np.concatenate([np.where(c < 0, 1 - c, c) for c in correspondence.codes.values()])
    shared = shared[shared >= FREE]
    assert flipped and len(np.unique(shared)) < len(shared)
    rng = np.random.default_rng(0)
    for point in rng.uniform(-1, 1, (20, 2)):
        columns = correspondence.columns_at(point)
        assert columns is not None
        bits = correspondence.bits(correspondence.choices(columns))
        values = evaluate(program.asked, {0: point[None, :]})
        for value, mask in bits.items():
            np.testing.assert_array_equal(mask, values[value][0] > 0.5)


def test_cuts_name_each_column_once() -> None:
    program = compiled(ABSOLUTE, Norm.LINF, "reverse", CLASSIC)
    correspondence = Correspondence(program)
    ((value, codes),) = correspondence.codes.items()
    np.testing.assert_array_equal(codes[1], 1 - codes[0])

    def conflict(*bits: bool) -> Conflict:
        entries: NDArray[np.int64] = np.arange(len(bits))
        return Conflict({value: (entries, np.array(bits))})

    cut = correspondence.conflict_cut(conflict(True, False))
    assert cut is not None
    np.testing.assert_array_equal(cut.columns, [codes[0] - FREE])
    np.testing.assert_array_equal(cut.ones, [True])
    # Both on, or both off, is what no solution can be.
    assert correspondence.conflict_cut(conflict(True, True)) is None
    assert correspondence.conflict_cut(conflict(False, False)) is None
    columns = correspondence.columns_at(np.array([-0.5]))
    assert columns is not None
    pattern = correspondence.pattern_cut(correspondence.choices(columns))
    assert len(pattern.columns) == 1 and not pattern.ones[0]
    assert choices_of(program.mip, columns)


def test_after_the_jacobian_neurons_keep_their_bits() -> None:
    network = dense(random_network(1, [2, 4, 4, 1], "duplicated neurons")).program
    program = run_passes(network, [Jacobian("reverse"), Bounds("interval")]).program
    done = MergeDuplicates().apply(program).program
    assert bit_count(done) == bit_count(program)
    assert len(done.bounds) == len(done.ops)
