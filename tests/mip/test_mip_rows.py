"""Rows of one's own: in the network's units, whatever the scaling, and refused if they do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

import lipc
from lipc.errors import QueryError
from lipc.mip import MixedIntegerProgram, add_rows
from lipc.solvers.base import Task
from lipc.solvers.scip import Scip


def maximum(mip: MixedIntegerProgram) -> float:
    return Scip().solve(Task(mip), lambda _: None).bound


def program(scale: float = 1.0) -> MixedIntegerProgram:
    """Return the question for the largest x0 + x1 on a box of a size far from 1, so that columns are scaled."""
    network = lipc.from_weights([np.array([[1.0, 1.0]])])
    return lipc.compile(network, lipc.Query(lipc.box([0, 0], [scale, scale]), goal="max")).mip


@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e9])
def test_a_row_is_in_the_units_of_the_network(scale: float) -> None:
    mip = program(scale)
    assert maximum(mip) == pytest.approx(2 * scale)
    limited = add_rows(mip, {"input": [[1.0, 2.0], [1.0, 0.0]]}, upper=[2 * scale, scale / 2])
    # x0 <= 1/2, x0 + 2 x1 <= 2: the corner (1/2, 3/4).
    assert maximum(limited) == pytest.approx(1.25 * scale)
    assert limited.row_names()[-2:] == ["row_0", "row_1"]


def test_bits_and_values_may_be_read_and_sides_may_be_equal() -> None:
    # Biases keep the two neurons from being one and its opposite, which would share a bit.
    weights = [np.array([[1.0], [-1.0]]), np.array([[1.0, 2.0]])]
    network = lipc.from_weights(weights, [np.array([0.0, 2.0**-30]), np.zeros(1)])
    mip = lipc.compile(network, lipc.Query(lipc.box([-1.0], [1.0]), goal="max")).mip
    assert maximum(mip) == pytest.approx(2.0)
    (bits,) = (block.name for block in mip.columns if block.name.startswith("a_"))
    positive = add_rows(mip, {bits: [[0.0, 1.0]]}, 0.0, 0.0, name="second_off")
    assert maximum(positive) == pytest.approx(1.0)
    both = add_rows(positive, {bits: [[0.0, 1.0]], "input": [[4.0]]}, upper=1.0, name="second_off")
    assert both.row_names()[-2:] == ["second_off_0", "second_off.2_0"]
    assert maximum(both) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("terms", "lower", "upper", "message"),
    [
        ({"inputs": [[1.0, 1.0]]}, 0, 1, "there is no block of columns 'inputs'; the blocks are: input"),
        ({}, 0, 1, "rows need a block of columns"),
        ({"input": [[1.0]]}, 0, 1, r"the matrix of 'input' has shape \(1, 1\), not \(1, 2\)"),
        ({"input": [[1.0, np.nan]]}, 0, 1, "holds NaN or infinite numbers"),
        ({"input": [[1.0, 1.0]]}, 1, 0, "has its lower side above its upper one"),
        ({"input": [[1.0, 1.0]]}, np.nan, 0, "or one that is no number"),
        ({"input": [[1.0, 1.0]]}, -np.inf, np.inf, "a row has no finite side"),
        ({"input": [[1.0, 1.0]]}, [0, 0], 1, "the sides of 1 rows are 1 numbers"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    terms: dict[str, ArrayLike], lower: ArrayLike, upper: ArrayLike, message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        add_rows(program(), terms, lower, upper)
