"""The optimum of the mixed-integer program is the answer that enumeration finds."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog
from spread import spread

from lipc.ir import Builder, Floats, Kind, Lipschitz, Norm, Objective, Polytope, Program, Sense, evaluate
from lipc.mip import MixedIntegerProgram, NoGood, Role, choices_of, exclude, lower
from lipc.passes.bounds import Bounds
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import run_passes
from tests.ir.sample_programs import dense
from tests.mip.mip_solving import optimum
from tests.nets import KINDS, Network, random_network
from tests.oracle import lipschitz, output_range

MODES: tuple[Mode, ...] = ("reverse", "forward")


def compiled(network: Network, norm: Norm, mode: Mode, *, linear: bool = True) -> tuple[Program, MixedIntegerProgram]:
    """Return the program that was lowered and its mixed-integer program."""
    program = replace(dense(network).program, objective=Objective(Sense.MAXIMIZE, Lipschitz(norm)))
    bounds = Bounds("linear" if linear else "interval")
    first = [Fuse(), bounds, PruneStable(), Fuse()]
    lowered = run_passes(program, [*first, Jacobian(mode), bounds, PruneStable(), Fuse()]).program
    return lowered, lower(lowered)


@pytest.mark.parametrize(
    ("seed", "mode", "norm", "linear"), spread(range(4), MODES, [Norm.LINF, Norm.L1], [True, False], every=3)
)
def test_lipschitz_constants(seed: int, mode: Mode, norm: Norm, linear: bool) -> None:
    widths = [[2, 5, 4, 1], [3, 6, 1], [2, 4, 3, 2], [3, 4, 3, 3]][seed]
    network = random_network(seed, widths)
    inputs = widths[0]
    answer = lipschitz(*network, np.full(inputs, -1.0), np.full(inputs, 1.0), None, norm.value)
    assert not answer.thin
    program, mip = compiled(network, norm, mode, linear=linear)
    found = optimum(mip)
    assert found is not None
    assert found[0] == pytest.approx(answer.value, rel=1e-6)
    # The choices of the optimum say the same when the program is run on them.
    choices = choices_of(mip, found[1])
    assert evaluate(program, choices)[program.result][0, 0] == pytest.approx(answer.value, rel=1e-5)


@pytest.mark.parametrize("sense", Sense)
@pytest.mark.parametrize("seed", range(4))
def test_ranges(seed: int, sense: Sense) -> None:
    network = random_network(seed, [3, 6, 4, 1])
    answer = output_range(*network, -np.ones(3), np.ones(3), [1.0])
    program = replace(dense(network).program, objective=Objective(sense))
    found = optimum(lower(run_passes(program, [Fuse(), Bounds(), PruneStable(), Fuse()]).program))
    assert found is not None
    assert found[0] == pytest.approx(answer.maximum if sense is Sense.MAXIMIZE else answer.minimum, rel=1e-6, abs=1e-6)


def closed_patterns(network: Network) -> list[tuple[float, Floats]]:
    """Return the gradients that the chain rule gives for every pattern that holds somewhere, ties included."""
    found = []
    sizes = [len(bias) for bias in network.biases[:-1]]
    inputs = network.weights[0].shape[1]
    for pattern in product((0.0, 1.0), repeat=sum(sizes)):
        matrix, constant = np.eye(inputs), np.zeros(inputs)
        rows, limits = [], []
        layers = np.split(np.array(pattern), np.cumsum(sizes)[:-1])
        for weight, bias, active in zip(network.weights[:-1], network.biases[:-1], layers, strict=True):
            matrix, constant = weight @ matrix, weight @ constant + bias
            signs = np.where(active > 0, -1.0, 1.0)
            rows.append(signs[:, None] * matrix)
            limits.append(-signs * constant)
            matrix, constant = matrix * active[:, None], constant * active
        normals, sides = np.concatenate(rows), np.concatenate(limits)
        solved = linprog(np.zeros(inputs), normals, sides, bounds=[(-1, 1)] * inputs)
        if solved.status == 0:
            gradient = (network.weights[-1] @ matrix)[0]
            found.append((float(np.abs(gradient).sum()), gradient))
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_at_ties_between_the_true_constant_and_the_chain_rule(kind: str, mode: Mode) -> None:
    network = random_network(3, [2, 3, 2, 1], kind)  # type: ignore[arg-type]
    inputs = network.weights[0].shape[1]
    exact = lipschitz(*network, np.full(inputs, -1.0), np.full(inputs, 1.0)).value
    chain_rule = max(size for size, _ in closed_patterns(network))
    _, mip = compiled(network, Norm.LINF, mode)
    found = optimum(mip)
    assert found is not None
    assert exact - 1e-6 <= found[0] <= chain_rule + 1e-6
    if kind == "generic":
        assert chain_rule == pytest.approx(exact)


@pytest.mark.parametrize("mode", MODES)
def test_every_pattern_one_by_one(mode: Mode) -> None:
    # With the bits of the neurons fixed, the optimum is the norm of that pattern's gradient, or there is none.
    network = random_network(4, [2, 3, 2, 1])
    program = dense(network).program
    lowered = run_passes(program, [Jacobian(mode)]).program
    mip = lower(lowered)
    blocks = [block for block in mip.columns if block.role is Role.BIT and "relu" in block.name]
    columns = np.concatenate([np.arange(len(mip.cost))[block.columns] for block in blocks])
    assert len(columns) == 5
    expected = sorted(round(size, 6) for size, _ in closed_patterns(network))
    values = []
    for pattern in product((0.0, 1.0), repeat=5):
        found = optimum(mip, dict(zip(columns.tolist(), pattern, strict=True)))
        if found is not None:
            values.append(round(found[0], 6))
    assert sorted(values) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_cut_removes_the_named_combination_only(seed: int) -> None:
    _, mip = compiled(random_network(seed, [2, 4, 1]), Norm.LINF, "forward")
    bits = np.flatnonzero(mip.integer)
    rng = np.random.default_rng(seed)
    cuts = [
        NoGood(bits, rng.random(len(bits)) < 0.5),
        NoGood(bits[:2], np.array([True, False])),
        NoGood(bits[::-1][:1], np.array([True])),
    ]
    cut = exclude(mip, cuts)
    new = cut.matrix.toarray()[mip.matrix.shape[0] :]
    assert new.shape[0] == 3
    for pattern in product((0.0, 1.0), repeat=len(bits)):
        columns = np.zeros(len(mip.cost))
        columns[bits] = pattern
        for k, each in enumerate(cuts):
            named = (columns[each.columns] == each.ones).all()
            row = mip.matrix.shape[0] + k
            assert (cut.row_lower[row] <= new[k] @ columns <= cut.row_upper[row]) == (not named)
    np.testing.assert_array_equal(cut.matrix.toarray()[: mip.matrix.shape[0]], mip.matrix.toarray())
    assert len(cut.row_names()) == len({name.lower() for name in cut.row_names()}) == len(cut.row_lower)
    assert cut.matrix.has_sorted_indices


def test_excluding_pattern_after_pattern_counts_down_to_nothing() -> None:
    network = random_network(5, [2, 3, 1])
    _, mip = compiled(network, Norm.LINF, "forward")
    bits = np.flatnonzero(mip.integer)
    values = []
    while (found := optimum(mip)) is not None:
        values.append(found[0])
        mip = exclude(mip, [NoGood(bits, found[1][bits] > 0.5)])
    assert values == sorted(values, reverse=True)
    # A neuron that bounds decide has no bit, so there may be fewer patterns than by enumeration.
    every = sorted((size for size, _ in closed_patterns(network)), reverse=True)
    assert values[0] == pytest.approx(every[0], rel=1e-6)
    assert len(values) == len(every)
    np.testing.assert_allclose(values, every, rtol=1e-5)
    names = mip.row_names()
    assert len(names) == len({name.lower() for name in names})


def test_a_cut_without_columns_leaves_nothing() -> None:
    _, mip = compiled(random_network(5, [2, 3, 1]), Norm.LINF, "forward")
    nothing = NoGood(np.zeros(0, np.int64), np.zeros(0, bool))
    assert optimum(exclude(mip, [nothing])) is None


def test_no_cut_changes_nothing() -> None:
    _, mip = compiled(random_network(5, [2, 3, 1]), Norm.LINF, "forward")
    assert exclude(mip, []).matrix.shape == mip.matrix.shape


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_switch_of_one_column_whose_bound_is_zero(relu: bool, sign: float) -> None:
    """Where the operand has columns of its own and a side that is 0, the switch still has to follow it."""
    builder = Builder()
    x = builder.input(Polytope.box([-1.0], [1.0]))
    operand = builder.linear((sign, builder.relu(x)))
    bit = builder.conditional(operand) if relu else builder.input(Polytope.box([0.0], [1.0]), Kind.BIT)
    switched = builder.switch(operand, bit)
    # The switch is the operand or 0, so their distance is at most 1, and 0 for relu of something positive.
    result = builder.affine({switched: [[sign]], operand: [[-sign]]})
    for sense, expected in ((Sense.MAXIMIZE, 0.0), (Sense.MINIMIZE, 0.0 if relu and sign > 0 else -1.0)):
        found = optimum(lower(builder.program(result, Objective(sense))))
        assert found is not None
        assert found[0] == pytest.approx(expected, abs=1e-9)
