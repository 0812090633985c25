"""What the formulation costs, and that it is the program: every computed point is feasible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from spread import spread

from lipc.errors import InternalError
from lipc.ir import Builder, Floats, Kind, Lipschitz, Norm, Objective, Origin, Polytope, Program, Sense, evaluate
from lipc.mip import MixedIntegerProgram, Role, choices_of, columns_of, lower
from lipc.passes.bounds import Bounds
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import Trail, run_passes
from tests.ir.sample_programs import Sample, dense, gradients, max_pool, mixed, residual
from tests.mip.mip_solving import violation
from tests.nets import KINDS, random_network

MAXIMIZE = Objective(Sense.MAXIMIZE)


def shape(mip: MixedIntegerProgram) -> dict[str, int]:
    """Return the number of columns by role, of rows, and of nonzeros."""
    counts = {role.value: sum(len(b.entries) for b in mip.columns if b.role is role) for role in Role}
    return {**{role: count for role, count in counts.items() if count}, "rows": len(mip.row_lower)}


def rows_by_name(mip: MixedIntegerProgram) -> dict[str, int]:
    return {block.name: len(block.entries) for block in mip.rows}


def test_a_relu_of_a_dense_sum_costs_three_rows_and_one_copy_of_the_weights() -> None:
    rng = np.random.default_rng(0)
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(4), np.ones(4)), origin=Origin("x"))
    builder.origin = Origin("relu")
    hidden = builder.relu(builder.affine({x: rng.normal(size=(3, 4))}))
    mip = lower(builder.program(builder.affine({hidden: np.ones((1, 3))}), MAXIMIZE))
    assert shape(mip) == {"input": 4, "bit": 3, "on": 3, "off": 3, "rows": 9}
    assert rows_by_name(mip) == {"relu_split": 3, "relu_on_hi": 3, "relu_off_lo": 3}
    # split: weights, on and off; each of the two others reads one part and the bit.
    assert mip.matrix.nnz == 3 * (4 + 2) + 3 * 2 + 3 * 2
    assert mip.binaries == 3


def test_a_relu_of_one_column_has_no_off_part() -> None:
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(3), np.ones(3)), origin=Origin("x"))
    builder.origin = Origin("relu")
    hidden = builder.relu(builder.affine({x: csr_array(np.diag([1.0, -2.0, 3.0]))}, 0.5))
    mip = lower(builder.program(builder.affine({hidden: np.ones((1, 3))}), MAXIMIZE))
    assert shape(mip) == {"input": 3, "bit": 3, "on": 3, "rows": 9}
    assert rows_by_name(mip) == {"relu_off_sign": 3, "relu_on_hi": 3, "relu_off_lo": 3}


def test_a_value_that_several_read_has_columns_of_its_own() -> None:
    builder = Builder()
    builder.origin = Origin("s")
    x = builder.input(Polytope.box(-np.ones(3), np.ones(3)))
    shared = builder.affine({x: np.random.default_rng(1).normal(size=(2, 3))})
    mip = lower(builder.program(builder.affine({builder.relu(shared): [[1.0, 1.0]], shared: [[1.0, 0.0]]}), MAXIMIZE))
    assert shape(mip) == {"input": 3, "value": 2, "bit": 2, "on": 2, "rows": 2 + 6}
    assert rows_by_name(mip)["s_def"] == 2


def test_a_switch_over_free_bits_costs_five_rows() -> None:
    builder = Builder()
    builder.origin = Origin("s")
    x = builder.input(Polytope.box(-np.ones(3), np.ones(3)))
    free = builder.input(Polytope.one_of(2), Kind.BIT, Origin("choice"))
    switched = builder.switch(builder.affine({x: np.random.default_rng(1).normal(size=(2, 3))}), free)
    mip = lower(builder.program(builder.affine({switched: [[1.0, 1.0]]}), MAXIMIZE))
    assert shape(mip) == {"input": 3, "bit": 2, "on": 2, "off": 2, "rows": 1 + 5 * 2}
    assert rows_by_name(mip) == {
        "choice_domain": 1,
        "s_split": 2,
        "s_on_hi": 2,
        "s_off_lo": 2,
        "s_on_lo": 2,
        "s_off_hi": 2,
    }


def test_a_conditional_alone_costs_two_rows() -> None:
    builder = Builder()
    builder.origin = Origin("step")
    x = builder.input(Polytope.box([-1.0, -2.0], [3.0, 1.0]))
    mip = lower(builder.program(builder.affine({builder.conditional(x): [[1.0, 1.0]]}), MAXIMIZE))
    assert shape(mip) == {"input": 2, "bit": 2, "rows": 4}
    # operand <= upper * bit, operand >= lower * (1 - bit)
    np.testing.assert_allclose(mip.matrix.toarray(), [[1, 0, -3, 0], [0, 1, 0, -1], [1, 0, -1, 0], [0, 1, 0, -2]])
    np.testing.assert_allclose(mip.row_upper[:2], 0)
    np.testing.assert_allclose(mip.row_lower[2:], [-1, -2])


@pytest.mark.parametrize("sense", Sense)
def test_a_stable_neuron_costs_nothing(sense: Sense) -> None:
    network = random_network(0, [3, 6, 4, 1])
    network.biases[0][:] = [9, -9, 9, -9, 9, -9]
    network.biases[1][:] = -network.weights[1] @ np.maximum(network.biases[0], 0) + [50, -50, 50, 0]
    program = replace(dense(network).program, objective=Objective(sense))
    mip = lower(run_passes(program, [Fuse(), Bounds(), PruneStable(), Fuse()]).program)
    assert shape(mip) == {"input": 3, "bit": 1, "on": 1, "off": 1, "rows": 3}
    assert [block.entries.tolist() for block in mip.columns] == [[0, 1, 2], [3], [3], [3]]
    assert mip.sense is sense


def test_an_affine_question_has_no_rows_at_all() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([0, 0], [1, 2]))
    mip = lower(builder.program(builder.affine({x: [[2.0, -1.0]]}, 3.0), MAXIMIZE))
    assert shape(mip) == {"input": 2, "rows": 0}
    assert (mip.cost.tolist(), mip.constant) == ([2, -1], 3.0)


@pytest.mark.parametrize(
    ("mode", "norm", "outputs", "bits"),
    [
        ("reverse", Norm.LINF, 1, 5 + 3),
        ("reverse", Norm.L1, 1, 5 + 6),
        ("reverse", Norm.LINF, 2, 5 + 3 + 2),
        ("forward", Norm.LINF, 1, 5),
        ("forward", Norm.L1, 1, 5),
        ("forward", Norm.L1, 2, 5 + 2),
    ],
)
def test_bits_of_the_modes(mode: Mode, norm: Norm, outputs: int, bits: int) -> None:
    program = with_norm(dense(random_network(1, [3, 5, outputs])).program, norm)
    assert lower(run_passes(program, [Jacobian(mode)]).program).binaries == bits


@pytest.mark.parametrize("objective", [None, Objective(Sense.MAXIMIZE, Lipschitz())])
def test_only_scalar_objectives_are_lowered(objective: Objective | None) -> None:
    program = replace(dense(random_network(0, [2, 3, 1])).program, objective=objective)
    with pytest.raises(InternalError, match="no scalar objective"):
        lower(program)


SAMPLES: dict[str, Sample] = {
    "dense": dense(random_network(0, [3, 6, 5, 1])),
    "dense, small box": dense(random_network(1, [4, 8, 8, 3]), 0.35, 0.6),
    "residual": residual(2, outputs=2),
    "max pool": max_pool(3),
    "mixed": mixed(4),
    **{kind: dense(random_network(5, [2, 5, 3, 1], kind)) for kind in KINDS},
}


def with_norm(program: Program, norm: Norm) -> Program:
    return replace(program, objective=Objective(Sense.MAXIMIZE, Lipschitz(norm)))


def pipeline(program: Program, mode: Mode) -> Trail:
    first = [Fuse(), Bounds(), PruneStable(), Fuse()]
    return run_passes(program, [*first, Jacobian(mode), Bounds(), PruneStable(), Fuse()])


@pytest.mark.parametrize(
    ("name", "mode", "norm", "reduce"),
    spread(list(SAMPLES), ["reverse", "forward"], [Norm.LINF, Norm.L1], [True, False], every=3),
)
def test_computed_points_are_feasible_and_have_their_value(name: str, mode: Mode, norm: Norm, reduce: bool) -> None:
    sample = SAMPLES[name]
    program = with_norm(sample.program, norm)
    trail = pipeline(program, mode) if reduce else run_passes(program, [Jacobian(mode)])
    mip = lower(trail.program)
    domain = sample.domain
    points = domain.lower + np.random.default_rng(2).uniform(0.01, 0.99, (8, domain.size)) * (
        domain.upper - domain.lower
    )
    sizes = gradient_norms(sample, points, norm)
    for point, size in zip(points, sizes, strict=True):
        choices = trail.extend({0: point})
        values = evaluate(trail.program, choices)
        columns = columns_of(mip, trail.program, values)
        assert violation(mip, columns) < 1e-9
        assert mip.cost @ columns + mip.constant == pytest.approx(size, abs=1e-6)
        # ... and back: the same inputs and bits.
        found = choices_of(mip, columns)
        for value, entries in found.items():
            np.testing.assert_array_equal(entries, values[value][0])
        assert found.keys() >= choices.keys()


def gradient_norms(sample: Sample, points: Floats, norm: Norm) -> Floats:
    rows = np.abs(gradients(sample, points))
    sizes: Floats = (rows.sum(axis=2) if norm is Norm.LINF else rows.max(axis=2)).max(axis=1)
    return sizes


@pytest.mark.parametrize("name", SAMPLES)
def test_blocks_cover_columns_and_rows_and_names_are_unique(name: str) -> None:
    mip = lower(pipeline(SAMPLES[name].program, "reverse").program)
    for blocks, names, total in (
        (mip.columns, mip.column_names(), len(mip.cost)),
        (mip.rows, mip.row_names(), len(mip.row_lower)),
    ):
        assert [block.start for block in blocks] == np.cumsum([0, *[len(b.entries) for b in blocks]])[:-1].tolist()
        assert len(names) == total == len({each.lower() for each in names})
    assert mip.matrix.has_canonical_format
    assert mip.matrix.shape == (len(mip.row_lower), len(mip.cost))
    assert np.isfinite(mip.matrix.data).all()
    assert np.isfinite(mip.column_lower).all() and np.isfinite(mip.column_upper).all()
    assert (mip.integer == np.concatenate([np.full(len(b.entries), b.role is Role.BIT) for b in mip.columns])).all()


def test_values_of_solvers_are_rounded_to_bits() -> None:
    sample = SAMPLES["dense"]
    program = run_passes(sample.program, [Jacobian("forward")]).program
    mip = lower(program)
    columns = np.linspace(-0.2, 1.2, len(mip.cost))
    for block in mip.columns:
        if block.role is Role.BIT:
            np.testing.assert_array_equal(choices_of(mip, columns)[block.value], columns[block.columns] > 0.5)
        elif block.role is Role.INPUT:
            np.testing.assert_array_equal(choices_of(mip, columns)[block.value], columns[block.columns])
