"""Rounding, magnitudes and degenerate domains: where floating point alone would be wrong."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.sparse import csr_array

from lipc.bounds import interval_bounds, linear_bounds
from lipc.bounds.interval import bits_of, intersect
from lipc.bounds.rounding import SplitMatrix, down, summands, up
from lipc.ir import Builder, Floats, Interval, Polytope, Program
from tests.ir.sample_programs import rational_values

METHODS = {"interval": interval_bounds, "linear": linear_bounds}
FORMS: dict[str, Callable[[Floats], Floats | csr_array]] = {"dense": np.asarray, "csr": csr_array}


def contains(interval: Interval, exact: list[Fraction]) -> bool:
    limits = zip(interval.lower.tolist(), exact, interval.upper.tolist(), strict=True)
    return all(Fraction(low) <= value <= Fraction(high) for low, value, high in limits)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", METHODS)
def test_a_sum_that_floating_point_gets_wrong(form: str, method: str) -> None:
    # The box is a point: without outward rounding the bounds are the rounded sum, which is not the sum.
    wrong = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        row, point, bias = rng.normal(size=(1, 300)), rng.normal(size=300), rng.normal(size=1)
        builder = Builder()
        x = builder.input(Polytope.box(point, point))
        program = builder.program(builder.affine({x: FORMS[form](row)}, bias))
        (exact,) = rational_values(program, {0: point.tolist()})[-1]
        naive = float((row @ point + bias)[0])
        wrong += Fraction(naive) != exact
        bounds = METHODS[method](program)[program.result]
        assert contains(bounds, [exact])
        assert bounds.upper[0] - bounds.lower[0] < 1e-10
    assert wrong >= 6


@pytest.mark.parametrize("method", METHODS)
def test_rounding_adds_up_over_layers(method: str) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        point = rng.uniform(1, 2, 20)
        builder = Builder()
        value = builder.input(Polytope.box(point, point))
        for _ in range(3):
            value = builder.relu(builder.affine({value: rng.normal(size=(20, 20))}, rng.normal(size=20)))
        program = builder.program(builder.affine({value: rng.normal(size=(3, 20))}))
        values = rational_values(program, {0: point.tolist()})
        for made, bounds in METHODS[method](program).items():
            if made in list(range(0, len(values), 3)):
                assert contains(bounds, values[made])


@pytest.mark.parametrize("method", METHODS)
def test_cancellation_of_large_numbers(method: str) -> None:
    # 1e16 x + y - 1e16 x at x = y = 1: the rounded sum may be 0, the sum is 1.
    builder = Builder()
    x = builder.input(Polytope.box([1.0, 1.0], [1.0, 1.0]))
    parts = builder.affine({x: [[1e16, 1.0], [1e16, 0.0]]})
    program = builder.program(builder.affine({parts: [[1.0, -1.0]]}))
    bounds = METHODS[method](program)[program.result]
    assert contains(bounds, [Fraction(1)])


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_affine_maps_of_any_magnitude(data: st.DataObject) -> None:
    # Not so small that products underflow: that has tests of its own.
    numbers = st.sampled_from([0.0, 1.0, -1.0, 1e-200, -1e-200, 1e150, -1e150, 3.7e-8]) | moderate(1e3)
    rows, columns = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    matrix = data.draw(npst.arrays(float, (rows, columns), elements=numbers))
    small = st.sampled_from([0.0, 1.0, -1.0, 1e-9, 1e150, -1e150]) | moderate(10)
    ends = data.draw(npst.arrays(float, (2, columns), elements=small))
    low, high = ends.min(axis=0), ends.max(axis=0)
    bias = data.draw(npst.arrays(float, rows, elements=small))
    builder = Builder()
    x = builder.input(Polytope.box(low, high))
    form = FORMS[data.draw(st.sampled_from(sorted(FORMS)))]
    program = builder.program(builder.affine({x: form(matrix)}, bias))
    exact = rational_range(matrix, bias, low, high)
    for method in METHODS.values():
        bounds = method(program)[program.result]
        for row, (least, most) in enumerate(exact):
            assert Fraction(float(bounds.lower[row])) <= least
            assert Fraction(float(bounds.upper[row])) >= most
            reach = 1e-13 * float(np.abs(matrix[row]) @ np.maximum(np.abs(low), np.abs(high)) + abs(bias[row])) + 1e-290
            assert bounds.lower[row] >= float(least) - reach
            assert bounds.upper[row] <= float(most) + reach


def moderate(most: float) -> st.SearchStrategy[float]:
    return st.floats(-most, most).filter(lambda number: number == 0 or abs(number) > 1e-50)


def rational_range(matrix: Floats, bias: Floats, low: Floats, high: Floats) -> list[tuple[Fraction, Fraction]]:
    """Return the least and the largest value of each row, exactly."""
    ranges = []
    for row, offset in zip(matrix.tolist(), bias.tolist(), strict=True):
        ends = [(Fraction(w) * Fraction(a), Fraction(w) * Fraction(b)) for w, a, b in zip(row, low, high, strict=True)]
        ranges.append((Fraction(offset) + sum(map(min, ends)), Fraction(offset) + sum(map(max, ends))))
    return ranges


def scaled_chain(*scales: float, radius: float) -> Program:
    """Return ``relu(scale_n ... scale_1 x)`` with every scale in a map of its own."""
    builder = Builder()
    value = builder.input(Polytope.box([-radius], [radius]))
    for scale in scales:
        value = builder.affine({value: [[scale]]})
    return builder.program(builder.relu(value))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("scales", "radius"),
    [
        ((1e-200,), 1.0),
        ((1e-200,), 1e-90),
        ((1e150, 1e-150), 1e150),
        ((1e-150, 1e-150), 1.0),
        ((1e-160, 1e-140), 1e10),
        ((1e150, 1e150), 1e-300),
        ((1e-300, 1e300), 1.0),
    ],
)
def test_huge_and_tiny_numbers(scales: tuple[float, ...], radius: float, method: str) -> None:
    program = scaled_chain(*scales, radius=radius)
    bounds = METHODS[method](program)
    for end in (-radius, radius):
        values = rational_values(program, {0: [end]})
        for value, interval in bounds.items():
            assert contains(interval, values[value])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("scales", "radius"), [((1e-200,), 1e-200), ((1e-200, 1e-200), 1e-100), ((5e-324,), 0.25)])
def test_products_below_the_least_number(scales: tuple[float, ...], radius: float, method: str) -> None:
    program = scaled_chain(*scales, radius=radius)
    pre_activation = len(scales)
    bounds = METHODS[method](program)[pre_activation]
    assert contains(bounds, rational_values(program, {0: [radius]})[pre_activation])


@pytest.mark.parametrize(("scales", "radius"), [((1e-200, 1e-200), 1e150), ((1e-160, 1e-170), 1e100)])
def test_coefficients_below_the_least_number(scales: tuple[float, ...], radius: float) -> None:
    program = scaled_chain(*scales, radius=radius)
    bounds = linear_bounds(program)[len(scales)]
    assert contains(bounds, rational_values(program, {0: [radius]})[len(scales)])


@pytest.mark.parametrize("method", METHODS)
def test_zeros_stay_exact(method: str) -> None:
    # Padding, dead entries and rows without weights: 0 is 0, or the bits that read it would be undecided.
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, 0.0, 2.0], [1.0, 0.0, 2.0]))
    z = builder.affine({x: [[0.0, 0.0, 0.0], [0.0, 5.0, 0.0], [3.0, 0.0, 0.0]]})
    program = builder.program(builder.affine({builder.relu(z): np.ones((1, 3))}))
    bounds = METHODS[method](program)
    assert bounds[x].lower.tolist() == [-1, 0, 2]
    assert bounds[z].lower[:2].tolist() == bounds[z].upper[:2].tolist() == [0, 0]
    assert bounds[2].upper.tolist() == [0, 0, 1]


@pytest.mark.parametrize("method", METHODS)
def test_nonnegative_sums_stay_nonnegative(method: str) -> None:
    builder = Builder()
    x = builder.input(Polytope.box([0.0, 0.0], [1.0, 0.3]))
    program = builder.program(builder.relu(builder.affine({x: [[0.1, 0.7], [-0.1, -0.7]]})))
    bounds = METHODS[method](program)[1]
    assert bounds.lower[0] == 0.0
    assert bounds.upper[1] == 0.0


@pytest.mark.parametrize("method", METHODS)
def test_a_box_of_one_point_decides_every_neuron(method: str) -> None:
    rng = np.random.default_rng(0)
    builder = Builder()
    point = rng.normal(size=4)
    value = builder.input(Polytope.box(point, point))
    for _ in range(2):
        value = builder.relu(builder.affine({value: rng.normal(size=(6, builder.size(value)))}, 0.1))
    program = builder.program(value)
    values = rational_values(program, {0: point.tolist()})
    bounds = METHODS[method](program)
    for bit in (2, 5):
        assert bounds[bit].lower.tolist() == bounds[bit].upper.tolist() == [float(entry) for entry in values[bit]]


@pytest.mark.parametrize("form", FORMS)
def test_split_matrices(form: str) -> None:
    rng = np.random.default_rng(2)
    matrix = rng.integers(-3, 4, (5, 4)).astype(float)
    low = rng.integers(-5, 1, 4).astype(float)
    high = low + rng.integers(0, 4, 4)
    split = SplitMatrix.of(FORMS[form](matrix))  # type: ignore[arg-type]
    value, slack = split.lower(low, high)
    exact = rational_range(matrix, np.zeros(5), low, high)
    assert value.tolist() == [float(least) for least, _ in exact]
    chosen = np.where(matrix > 0, np.abs(low), np.abs(high))
    size = (np.abs(matrix) * chosen).sum(axis=1)
    assert ((slack > 0) == (size > 0)).all()
    assert (slack >= 4 * np.spacing(size)).all() or not size.all()
    assert (slack <= 10 * np.spacing(size)).all()
    assert split.count.tolist() == summands(FORMS[form](matrix)).tolist() == (matrix != 0).sum(axis=1).tolist()  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.floats(-1e300, 1e300), st.floats(0, 1e300))
def test_down_and_up(value: float, slack: float) -> None:
    lower, upper = down(np.array([value]), slack)[0], up(np.array([value]), slack)[0]
    assert Fraction(float(lower)) <= Fraction(value) - Fraction(slack)
    assert Fraction(float(upper)) >= Fraction(value) + Fraction(slack)
    if slack == 0:
        assert lower == upper == value


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [
        (-1, 1, (0, 1)),
        (0, 1, (1, 1)),
        (-1, 0, (0, 0)),
        (0, 0, (0, 0)),
        (1, 2, (1, 1)),
        (-2, -1, (0, 0)),
        (-1, 5e-324, (0, 1)),
    ],
)
def test_bits_of_an_interval(low: float, high: float, bits: tuple[int, int]) -> None:
    found = bits_of(Interval(np.array([float(low)]), np.array([float(high)])))
    assert (found.lower[0], found.upper[0]) == bits


def test_the_common_part_of_two_intervals() -> None:
    both = intersect(
        Interval(np.array([0.0, 1.0]), np.array([2.0, 3.0])), Interval(np.array([1.0, 0.0]), np.array([5.0, 2.0]))
    )
    assert (both.lower.tolist(), both.upper.tolist()) == ([1, 1], [2, 2])
