"""Coefficients that readers would drop, and names that they would not take."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.sparse import csr_array

from lipc.ir import Builder, Floats, Objective, Origin, Polytope, Sense
from lipc.mip import Block, MixedIntegerProgram, Namer, Role, lower
from lipc.mip.tiny import TINY, absorb_tiny_coefficients
from tests.mip.mip_solving import exact_extremes


def program_of(
    matrix: Floats, sides: Floats, low: Floats, high: Floats, cost: Floats, sense: Sense, constant: float = 0.5
) -> MixedIntegerProgram:
    rows, columns = matrix.shape
    return MixedIntegerProgram(
        matrix=csr_array(matrix),
        row_lower=sides.min(axis=0),
        row_upper=sides.max(axis=0),
        column_lower=low,
        column_upper=high,
        integer=np.zeros(columns, bool),
        cost=cost,
        constant=constant,
        sense=sense,
        columns=(Block("x", 0, np.arange(columns), 0, Role.INPUT),),
        rows=(Block("r", 0, np.arange(rows), 0),),
        column_scale=np.ones(len(cost)),
    )


coefficients = st.sampled_from([0.0, 1.0, -2.5, 1e-9, -1e-9, 1.1e-9, 9e-10, -3e-10, 1e-12, 1e-17, -1e-30])
limits = st.sampled_from([0.0, 1.0, -1.0, 1e-5, 1e6, -1e6, 0.3, -0.7]) | st.floats(-100, 100).map(lambda x: round(x, 3))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_no_solution_is_lost(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    matrix = data.draw(npst.arrays(float, (rows, columns), elements=coefficients))
    cost = data.draw(npst.arrays(float, columns, elements=coefficients))
    ends = data.draw(npst.arrays(float, (2, columns), elements=limits))
    low, high = ends.min(axis=0), ends.max(axis=0)
    if data.draw(st.booleans()):
        high[0] = np.inf
    sides = np.sort(data.draw(npst.arrays(float, (2, rows), elements=limits)), axis=0)
    open_sides = data.draw(npst.arrays(bool, (2, rows)))
    sides = np.where(open_sides, [[-np.inf], [np.inf]], sides)
    sense = data.draw(st.sampled_from(Sense))
    before = program_of(matrix, sides, low, high, cost, sense)
    after = absorb_tiny_coefficients(before)
    bounded = np.isfinite(high)
    new = after.matrix.toarray()
    assert not ((np.abs(new) <= TINY) & (new != 0))[:, bounded].any()
    assert not ((np.abs(after.cost) <= TINY) & (after.cost != 0))[bounded].any()
    np.testing.assert_array_equal(new[:, ~bounded], matrix[:, ~bounded])
    for row in range(rows):
        # new @ x = old @ x - gone @ x, so the new sides must leave room for the range of gone @ x.
        least, most = exact_extremes(matrix[row] - new[row], low, high)
        for side, end, outward in ((before.row_lower, most, -1), (before.row_upper, least, 1)):
            old, moved = float(side[row]), float((after.row_lower if outward < 0 else after.row_upper)[row])
            if not np.isfinite(old):
                assert moved == old
                continue
            needed = Fraction(old) - end
            assert outward * (Fraction(moved) - needed) >= 0
            assert moved == pytest.approx(float(needed), rel=1e-14, abs=1e-14)
    least, most = exact_extremes(cost - after.cost, low, high)
    extreme = most if sense is Sense.MAXIMIZE else least
    assert after.constant == pytest.approx(float(Fraction(before.constant) + extreme), rel=1e-15)


@pytest.mark.parametrize("sense", Sense)
def test_the_objective_is_moved_outward(sense: Sense) -> None:
    # The tiny part adds up to 1e-17 beyond 1, which is no float: the next one is.
    tiny = 1e-17 if sense is Sense.MAXIMIZE else -1e-17
    before = program_of(
        np.ones((1, 2)), np.zeros((2, 1)), np.zeros(2), np.ones(2), np.array([1.0, tiny]), sense, constant=1.0
    )
    moved = Fraction(absorb_tiny_coefficients(before).constant) - Fraction(before.constant)
    assert moved >= Fraction(tiny) if sense is Sense.MAXIMIZE else moved <= Fraction(tiny)


def test_nothing_tiny_is_left_as_it_is() -> None:
    program = program_of(np.array([[1.0, 2.0]]), np.zeros((2, 1)), np.zeros(2), np.ones(2), np.ones(2), Sense.MINIMIZE)
    assert absorb_tiny_coefficients(program) is program


def test_lowered_programs_hold_nothing_tiny() -> None:
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(3), np.ones(3)))
    weights = np.array([[1.0, 1e-12, 0.0], [1e-10, -1.0, 1e-9]])
    hidden = builder.relu(builder.affine({x: weights}))
    program = builder.program(builder.affine({hidden: [[1.0, 1e-11]]}), Objective(Sense.MAXIMIZE))
    mip = lower(program)
    assert (np.abs(mip.matrix.data) > TINY).all()
    assert ((np.abs(mip.cost) > TINY) | (mip.cost == 0)).all()
    # What was dropped from x[0] + 1e-12 x[1] = on + off is in the sides.
    split = next(block for block in mip.rows if block.name.endswith("split")).start
    assert mip.row_lower[split] == pytest.approx(-1e-12)
    assert mip.row_upper[split] == pytest.approx(1e-12)


def test_a_coefficient_at_the_limit_is_dropped_and_one_above_is_kept() -> None:
    matrix = np.array([[1e-9, np.nextafter(1e-9, 1), 1.0]])
    program = program_of(matrix, np.zeros((2, 1)), np.zeros(3), np.ones(3), np.ones(3), Sense.MINIMIZE)
    after = absorb_tiny_coefficients(program)
    np.testing.assert_array_equal(after.matrix.toarray(), matrix * [0, 1, 1])


LEGAL = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
KEYWORDS = {"st", "s.t.", "subject", "bounds", "free", "binary", "generals", "end", "infinity", "inf", "nan"}
pieces = st.text(max_size=80) | st.sampled_from(
    [
        "",
        "a",
        "A",
        "Relu_3",
        "relu.3",
        "/model/layer1/Relu",
        "3",
        "_",
        "..",
        "inf",
        "Infinity",
        "NaN",
        "é",
        "x" * 90,
        "1" * 90,
        "end",
    ]
)


@settings(deadline=None)
@given(st.lists(st.lists(pieces, min_size=1, max_size=3), max_size=30))
def test_names_are_legal_and_unique_without_regard_to_case(parts: list[list[str]]) -> None:
    namer = Namer()
    names = [namer.name(*each) for each in parts]
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert LEGAL.fullmatch(name)
        assert not name.lower().startswith(("inf", "nan"))
        # With the number of an entry no reader has more than 100 characters to take.
        assert len(f"{name}_9999999") <= 80
        assert f"{name}_0".lower() not in KEYWORDS


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("on", "/model/Relu_3"), "on__model_Relu_3"),
        (("", "image"), "image"),
        (("a", ""), "a"),
        (("",), "v"),
        (("", "3x"), "v_3x"),
        (("", "infinite"), "v_infinite"),
        (("", "Größe"), "Gr_e"),
    ],
)
def test_names_by_hand(parts: tuple[str, ...], name: str) -> None:
    namer = Namer()
    assert namer.name(*parts) == name
    assert namer.name(*parts) == f"{name}.2"
    assert namer.name(*parts) == f"{name}.3"


def test_operations_of_one_name_and_names_of_another_case() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1, -1], [1, 1]), origin=Origin("X"))
    weights = np.array([[1.0, 2.0], [2.0, 1.0]])
    for name in ("Relu", "relu", "RELU", "relu_0", "relu 0", ""):
        builder.origin = Origin(name)
        x = builder.relu(builder.affine({x: weights}, -1.0))
    mip = lower(builder.program(builder.affine({x: [[1.0, 1.0]]}), Objective(Sense.MAXIMIZE)))
    for names in (mip.column_names(), mip.row_names()):
        assert len({name.lower() for name in names}) == len(names)
        assert all(LEGAL.fullmatch(name) for name in names)
    assert replace(mip.columns[0], name="y").names() == ["y_0", "y_1"]
