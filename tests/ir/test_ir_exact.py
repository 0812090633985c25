from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from lipc.ir import Builder, Conditional, Polytope
from lipc.ir.exact import Dyadic, ExactInterpreter, round_down, round_up
from tests.ir.sample_programs import dense, max_pool, mixed, rational_values, residual
from tests.nets import KINDS, random_network

LEAST, MOST = 5e-324, np.finfo(float).max
finite = st.floats(allow_nan=False, allow_infinity=False)
vectors = st.lists(finite | st.sampled_from([0.0, -0.0, LEAST, -LEAST, MOST, 1.0, -1.0]), max_size=8)


@settings(deadline=None)
@given(vectors)
def test_floats_there_and_back(numbers: list[float]) -> None:
    dyadic = Dyadic.of(np.array(numbers))
    assert dyadic.fractions() == [Fraction(number) for number in numbers]
    assert dyadic.floats().tolist() == numbers
    assert dyadic.signs().tolist() == [int(number > 0) - int(number < 0) for number in numbers]
    assert all(type(mantissa) is int for mantissa in dyadic.mantissas)


@settings(deadline=None)
@given(st.lists(st.tuples(finite, finite, st.booleans()), min_size=1, max_size=6))
def test_sums_and_masks_are_exact(numbers: list[tuple[float, float, bool]]) -> None:
    left, right = (np.array([number[side] for number in numbers], float) for side in (0, 1))
    bits = np.array([bit for *_, bit in numbers])
    total = Dyadic.of(left) + Dyadic.of(right)
    assert total.fractions() == [Fraction(a) + Fraction(b) for a, b in zip(left.tolist(), right.tolist(), strict=True)]
    masked = total.masked(bits).fractions()
    assert masked == [value if bit else 0 for value, bit in zip(total.fractions(), bits, strict=True)]


def test_matrices_keep_their_shape() -> None:
    matrix = np.array([[0.5, 0.0], [-3.0, 2.0**-1074]])
    dyadic = Dyadic.of(matrix)
    assert dyadic.mantissas.shape == (2, 2)
    assert dyadic.exponent == -1074
    assert Fraction(int(dyadic.mantissas[1, 0])) * Fraction(2) ** -1074 == -3


@settings(deadline=None)
@given(st.fractions() | st.tuples(finite, finite).map(lambda two: Fraction(two[0]) + Fraction(two[1]) / 3))
def test_rounding_is_to_the_neighbours(number: Fraction) -> None:
    if abs(number) > Fraction(MOST):
        return
    low, high = round_down(number), round_up(number)
    assert Fraction(low) <= number <= Fraction(high)
    if Fraction(low) == number:
        assert low == high
    else:
        assert float(np.nextafter(low, np.inf)) == high


@pytest.mark.parametrize(
    ("number", "low", "high"),
    [
        (Fraction(0), 0.0, 0.0),
        (Fraction(1, 3), 0.3333333333333333, 0.33333333333333337),
        (Fraction(-1, 3), -0.33333333333333337, -0.3333333333333333),
        (Fraction(LEAST) / 4, 0.0, LEAST),
        (-Fraction(LEAST) / 4, -LEAST, 0.0),
        (Fraction(2**53 + 1), 2.0**53, 2.0**53 + 2),
    ],
)
def test_rounding_by_hand(number: Fraction, low: float, high: float) -> None:
    assert (round_down(number), round_up(number)) == (low, high)


def test_rounding_beyond_the_largest_float() -> None:
    assert round_down(Fraction(MOST) * 2) == MOST
    assert round_up(Fraction(MOST) * 2) == np.inf


SAMPLES = {
    "dense": dense(random_network(1, [3, 5, 4, 2])),
    "residual": residual(2),
    "max pool": max_pool(3),
    "mixed": mixed(4),
    **{kind: dense(random_network(5, [2, 4, 3, 1], kind)) for kind in KINDS},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_values_and_gradients_against_rational_arithmetic(name: str) -> None:
    program = SAMPLES[name].program
    exact = ExactInterpreter(program)
    for point in [*SAMPLES[name].points(6), np.zeros(SAMPLES[name].domain.size)]:
        values = exact.evaluate(point)
        expected = rational_values(program, {0: point.tolist()})
        assert [value.fractions() for value in values] == expected
        # The function is affine while the bits are held: the gradient is an exact difference.
        bits = {value: [entry == 1 for entry in expected[value]] for value in program.find(Conditional)}
        for output in range(program.ops[program.result].size):
            unit = np.eye(program.ops[program.result].size)[output]
            gradient = exact.pullback(values, {program.result: Dyadic.of(unit)}, 0).fractions()
            for entry, slope in enumerate(gradient):
                moved = point.copy()
                moved[entry] = point[entry] + 4.0
                step = Fraction(float(moved[entry])) - Fraction(float(point[entry]))
                difference = rational_values(program, {0: moved.tolist(), **bits})[-1][output] - expected[-1][output]
                assert difference == step * slope


def test_prescribed_bits() -> None:
    sample = SAMPLES["dense"]
    rng = np.random.default_rng(0)
    bits = {value: rng.random(sample.program.ops[value].size) < 0.5 for value in sample.program.find(Conditional)}
    point = sample.points(1)[0]
    values = ExactInterpreter(sample.program).evaluate(point, bits)
    held = {value: array.tolist() for value, array in bits.items()}
    expected = rational_values(sample.program, {0: point.tolist(), **held})
    assert [value.fractions() for value in values] == expected


def test_no_digit_is_lost_at_any_magnitude() -> None:
    # 1e300 x - 1e300 x + 1e-300 x: floats say 0, or nothing at all.
    builder = Builder()
    x = builder.input(Polytope.box([-1.0], [1.0]))
    wide = builder.affine({x: [[1e300], [-1e300], [1e-300]]})
    sparse = builder.affine({wide: csr_array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1e-300, 0.0]])})
    program = builder.program(builder.relu(sparse))
    values = ExactInterpreter(program).evaluate(np.array([0.5]))
    tiny = Fraction(1e-300)
    assert values[sparse].fractions() == [tiny / 2, 0, -Fraction(1e300) * tiny / 2]
    assert values[-1].fractions() == [tiny / 2, 0, 0]
    gradient = ExactInterpreter(program).pullback(values, {program.result: Dyadic.of(np.ones(3))}, x)
    assert gradient.fractions() == [tiny]


@pytest.mark.parametrize("make", [np.asarray, csr_array])
def test_matrices_without_rows_or_entries(make: type) -> None:
    builder = Builder()
    x = builder.input(Polytope.box([0.0, 0.0], [1.0, 1.0]))
    nothing = builder.affine({x: make(np.zeros((3, 2)))})
    none = builder.affine({x: make(np.zeros((0, 2)))})
    program = builder.program(builder.affine({nothing: np.ones((1, 3)), none: np.zeros((1, 0))}, 2.0))
    exact = ExactInterpreter(program)
    values = exact.evaluate(np.array([0.5, 0.25]))
    assert values[nothing].fractions() == [0, 0, 0]
    assert values[none].fractions() == []
    assert values[-1].fractions() == [2]
    assert exact.pullback(values, {program.result: Dyadic.of(np.ones(1))}, x).fractions() == [0, 0]
