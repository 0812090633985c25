"""The SDP bound of a constant and of gradients holds for every pattern, and as rows no optimum is lost."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog
from spread import spread

import lipc
from lipc import Query, box, from_weights
from lipc.bounds import lipschitz as lipschitz_module
from lipc.bounds.lipschitz import lipschitz_bounds
from lipc.ir import Lipschitz, Norm, Objective, Program, Sense
from lipc.mip import MixedIntegerProgram, lower
from lipc.passes.bounds import Bounds
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import run_passes
from lipc.solving.correspondence import Correspondence
from tests.ir.sample_programs import dense
from tests.mip.mip_solving import optimum, violation
from tests.nets import KINDS, Network, random_network
from tests.oracle import lipschitz

MODES: tuple[Mode, ...] = ("reverse", "forward")
NORMS = (Norm.LINF, Norm.L1)


def asked(network: Network, norm: Norm, output_norm: Norm = Norm.LINF) -> Program:
    return replace(dense(network).program, objective=Objective(Sense.MAXIMIZE, Lipschitz(norm, output_norm)))


def exact_jacobian(network: Network, bits: list[NDArray[np.bool_]]) -> list[list[Fraction]]:
    """Multiply the weights out in rational numbers, with the bits between them."""
    rows = [[Fraction(w) for w in row] for row in network.weights[0].tolist()]
    for weight, layer in zip(network.weights[1:], bits, strict=True):
        kept = [row if bit else [Fraction(0)] * len(row) for row, bit in zip(rows, layer.tolist(), strict=True)]
        columns = list(zip(*kept, strict=True))
        factors = [[Fraction(w) for w in each] for each in weight.tolist()]
        rows = [
            [sum((w * x for w, x in zip(row, column, strict=True)), Fraction(0)) for column in columns]
            for row in factors
        ]
    return rows


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("output_norm", NORMS)
@pytest.mark.parametrize(("seed", "widths"), [(0, [3, 5, 4, 1]), (1, [2, 6, 3]), (2, [4, 3, 3, 2, 2]), (3, [3, 2])])
def test_no_pattern_has_more_in_rational_numbers(seed: int, widths: list[int], norm: Norm, output_norm: Norm) -> None:
    network = random_network(seed, widths)
    found = lipschitz_bounds(asked(network, norm, output_norm))
    assert found is not None
    assert found.gradient is not None
    rng = np.random.default_rng(seed)
    signs = [(1, *rest) for rest in product((1, -1), repeat=widths[-1] - 1)]
    rows = signs if output_norm is Norm.L1 else np.eye(widths[-1], dtype=int).tolist()
    largest = Fraction(0)
    for _ in range(200):
        jacobian = exact_jacobian(network, [rng.integers(0, 2, size) > 0 for size in widths[1:-1]])
        for c in rows:
            gradient = [
                sum((w * x for w, x in zip(c, column, strict=True)), Fraction(0))
                for column in zip(*jacobian, strict=True)
            ]
            for entry, low, high in zip(gradient, found.gradient.lower, found.gradient.upper, strict=True):
                assert Fraction(float(low)) <= entry <= Fraction(float(high))
            sizes = list(map(abs, gradient))
            largest = max(largest, sum(sizes, Fraction(0)) if norm is Norm.LINF else max(sizes))
    assert largest <= Fraction(found.constant)
    assert found.constant < 4 * float(largest)


def limited(network: Network, norm: Norm, mode: Mode) -> MixedIntegerProgram:
    first = [Bounds(), PruneStable()]
    passes = [*first, Jacobian(mode, "sdp"), Bounds(only_new=True), PruneStable(), Fuse(), PruneStable()]
    return lower(run_passes(asked(network, norm), passes).program, limit=True)


def root(mip: MixedIntegerProgram) -> float:
    """Return the optimum of the linear relaxation of a maximization."""
    matrix = mip.matrix.toarray()
    finite = [(sign * matrix[np.isfinite(side)], sign * side[np.isfinite(side)]) for sign, side in _sides(mip)]
    bounds = np.stack([mip.column_lower, mip.column_upper], axis=1)
    found = linprog(
        -mip.cost, np.concatenate([a for a, _ in finite]), np.concatenate([b for _, b in finite]), bounds=bounds
    )
    assert found.status == 0
    return float(mip.objective(found.x))


def _sides(mip: MixedIntegerProgram) -> list[tuple[float, NDArray[np.float64]]]:
    return [(1.0, mip.row_upper), (-1.0, mip.row_lower)]


@pytest.mark.parametrize(("seed", "mode", "norm"), spread(range(4), MODES, NORMS, every=3))
def test_the_optimum_stays_and_the_root_is_no_more_than_the_bound(seed: int, mode: Mode, norm: Norm) -> None:
    widths = [[2, 5, 4, 1], [3, 6, 1], [2, 4, 3, 2], [3, 4, 3, 3]][seed]
    network = random_network(seed, widths)
    answer = lipschitz(*network, np.full(widths[0], -1.0), np.full(widths[0], 1.0), None, norm.value)
    assert not answer.thin
    mip = limited(network, norm, mode)
    found = optimum(mip)
    assert found is not None
    assert found[0] == pytest.approx(answer.value, rel=1e-6)
    bound = lipschitz_bounds(asked(network, norm))
    assert bound is not None
    assert root(mip) <= bound.constant * (1 + 1e-6)


@pytest.mark.parametrize(("kind", "mode", "norm"), spread(KINDS, MODES, NORMS, every=5))
def test_no_point_of_the_network_is_lost(kind: str, mode: Mode, norm: Norm) -> None:
    """Also of networks not in general position, whose bits at kinks may be either."""
    network = random_network(4, [3, 5, 4, 1], kind)  # type: ignore[arg-type]
    inputs = network.weights[0].shape[1]
    query = Query(box(-np.ones(inputs), np.ones(inputs)), norm=norm)
    compiled = lipc.compile(from_weights(*network), query, mode=mode, level=3)
    correspondence = Correspondence(compiled)
    points = np.random.default_rng(0).uniform(-1, 1, (50, inputs))
    for x in [np.zeros(inputs), *points]:
        columns = correspondence.columns_at(x)
        assert columns is None or violation(compiled.mip, columns) < 1e-9


@pytest.mark.parametrize("norm", NORMS)
def test_a_program_that_was_compiled_without_it(norm: Norm) -> None:
    network = random_network(0, [3, 6, 5, 1])
    compiled = lipc.compile(from_weights(*network), Query(box(-np.ones(3), np.ones(3)), norm=norm))
    sharper = compiled.limited()
    assert sharper.limited() is sharper
    assert ("limit" in [block.name.rsplit("_")[-1] for block in sharper.mip.rows]) == (norm is Norm.L1)
    assert "limit" not in [block.name.rsplit("_")[-1] for block in compiled.mip.rows]
    assert sharper.bound <= compiled.bound
    before, after = optimum(compiled.mip), optimum(sharper.mip)
    assert before is not None
    assert after is not None
    assert after[0] == pytest.approx(before[0], rel=1e-7)


def test_other_questions_and_large_networks_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(0, [3, 6, 5, 1])
    assert lipschitz_bounds(asked(network, Norm.L2)) is None
    assert lipschitz_bounds(replace(asked(network, Norm.LINF), objective=Objective(Sense.MAXIMIZE))) is None
    size = 3 + 6 + 5
    monkeypatch.setattr(lipschitz_module, "MOST_WORK", 2 * size**3)
    only = lipschitz_bounds(asked(network, Norm.LINF))
    assert only is not None
    assert only.gradient is None
    assert lipschitz_bounds(asked(network, Norm.L1)) is None
    program = Jacobian("reverse", "sdp").apply(asked(network, Norm.L1)).program
    assert not program.bounds
