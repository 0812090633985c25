"""Scaling: the same program in other units, and answers of any size that are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from spread import spread

import lipc
from lipc.ir import Norm, Sense
from lipc.mip import Block, MixedIntegerProgram, Role, scale
from lipc.passes.jacobian import Mode
from lipc.query import Goal
from tests.nets import random_network
from tests.oracle import lipschitz, output_range


def random_program(seed: int) -> MixedIntegerProgram:
    rng = np.random.default_rng(seed)
    rows, columns = 6, 5
    matrix = rng.normal(size=(rows, columns)) * 10.0 ** rng.integers(-8, 9, (rows, columns))
    matrix[rng.random((rows, columns)) < 0.4] = 0.0
    matrix[3] = 0.0
    low = -(10.0 ** rng.integers(-9, 9, columns))
    integer = rng.random(columns) < 0.4
    low[integer] = 0.0
    return MixedIntegerProgram(
        matrix=csr_array(matrix),
        row_lower=np.where(rng.random(rows) < 0.5, -np.inf, -1.0),
        row_upper=rng.random(rows) * 1e3,
        column_lower=low,
        column_upper=np.where(integer, 1.0, -2 * low),
        integer=integer,
        cost=rng.normal(size=columns) * 10.0 ** rng.integers(-9, -4),
        constant=0.5,
        sense=Sense.MAXIMIZE,
        columns=(Block("x", 0, np.arange(columns), 0, Role.VALUE),),
        rows=(Block("r", 0, np.arange(rows), 0),),
        column_scale=np.ones(columns),
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("sane", [(1.0, 1.0), (2.0**-10, 2.0**20)])
def test_only_the_units_change(seed: int, sane: tuple[float, float]) -> None:
    given = random_program(seed)
    scaled = scale(given, sane)
    x = np.random.default_rng(seed).random(len(given.cost)) * (given.column_upper - given.column_lower)
    y = x / scaled.column_scale
    assert scaled.objective(y) == pytest.approx(given.objective(x), rel=1e-14, abs=1e-300)
    assert (scaled.column_scale[given.integer] == 1).all()
    assert (scaled.column_upper * scaled.column_scale == given.column_upper).all()
    # A row is multiplied as a whole, its sides too: by the same power of two, exactly.
    factors = scaled.row_upper / given.row_upper
    assert (np.exp2(np.round(np.log2(factors))) == factors).all()
    expected = given.matrix.toarray() * scaled.column_scale * factors[:, None]
    assert (scaled.matrix.toarray() == expected).all()
    assert (np.isfinite(scaled.row_lower) == np.isfinite(given.row_lower)).all()


@pytest.mark.parametrize("seed", range(8))
def test_the_units_of_another_program_are_kept_and_rows_brought_near_one(seed: int) -> None:
    whole = random_program(seed)
    like = scale(whole)
    # What is decided in a part may leave a hair of a column.
    part = replace(whole, column_lower=whole.column_lower * 2.0**-50, column_upper=whole.column_upper * 2.0**-50)
    scaled = scale(part, like=like)
    assert (scaled.column_scale == like.column_scale).all()
    assert scaled.objective_scale == like.objective_scale
    assert (scaled.column_upper == like.column_upper * 2.0**-50).all()
    largest = abs(scaled.matrix).max(axis=1).toarray().ravel()
    assert ((largest == 0) | ((largest >= 2.0**-10) & (largest <= 2.0**20))).all()
    assert (scaled.matrix.toarray() == like.matrix.toarray()).all()


@pytest.mark.parametrize("seed", range(10))
def test_magnitudes_are_near_one(seed: int) -> None:
    scaled = scale(random_program(seed), (1.0, 1.0))
    widest = np.maximum(np.abs(scaled.column_lower), np.abs(scaled.column_upper))
    largest = np.abs(scaled.matrix.toarray()).max(axis=1)
    for magnitudes in (widest, largest[largest > 0], np.abs(scaled.cost).max()):
        assert (magnitudes >= 2.0**-0.5).all()
        assert (magnitudes <= 2.0**0.5 * (1 + 1e-15)).all()


def test_a_program_within_sane_limits_is_left_alone() -> None:
    network = random_network(3, [3, 6, 4, 2])
    mip = lipc.compile(lipc.from_weights(*network), lipc.Query(lipc.box(-np.ones(3), np.ones(3)))).mip
    assert (mip.column_scale == 1).all()
    assert mip.objective_scale == 1


@pytest.mark.parametrize(
    ("asked", "size", "seed"),
    spread(
        [("lipschitz", "reverse"), ("lipschitz", "forward"), ("max", "auto")],
        [1e-12, 1e-9, 1e-7, 1e-5, 1e6, 1e12],
        [2, 3],
        every=5,
    ),
)
def test_answers_of_any_size(asked: tuple[Goal, Mode], size: float, seed: int) -> None:
    """Tolerances of solvers are absolute: unscaled, SCIP called wrong answers optimal from 1e-5 down."""
    goal, mode = asked
    network = random_network(seed, [3, 6, 6, 1])
    weights, biases = [*network.weights], [*network.biases]
    weights[-1], biases[-1] = weights[-1] * size, biases[-1] * size
    low, high = -np.ones(3), np.ones(3)
    if goal == "lipschitz":
        exact = lipschitz(weights, biases, low, high).value
    else:
        exact = output_range(weights, biases, low, high, [1.0]).maximum
    result = lipc.solve(
        lipc.from_weights(weights, biases), lipc.Query(lipc.box(low, high), None, Norm.LINF, goal), mode=mode
    )
    assert (result.status, result.certified) == ("optimal", True)
    assert result.lower == pytest.approx(exact, rel=1e-9)
    assert result.upper == pytest.approx(exact, rel=2e-6)
