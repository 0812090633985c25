"""The linear relaxation: values known by hand, domains that are not boxes, and bounds known before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array

from lipc.bounds import interval_bounds, linear, linear_bounds
from lipc.bounds.domain import is_simplex, support
from lipc.errors import InternalError
from lipc.ir import Builder, Interval, Kind, Polytope
from lipc.passes.bounds import Bounds
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.run import run_passes
from tests.ir.sample_programs import dense, residual
from tests.nets import random_network


def test_values_by_hand() -> None:
    # relu(x) + relu(-x) on [-1, 1]: the chords add up to 1, interval arithmetic says 2.
    builder = Builder()
    x = builder.input(Polytope.box([-1.0], [1.0]))
    program = builder.program(builder.affine({builder.relu(builder.affine({x: [[1.0], [-1.0]]})): [[1.0, 1.0]]}))
    assert interval_bounds(program)[program.result].upper[0] == pytest.approx(2.0)
    bounds = linear_bounds(program)[program.result]
    assert bounds.upper[0] == pytest.approx(1.0)
    assert bounds.lower[0] == pytest.approx(0.0, abs=1e-12)


def test_the_lower_line_follows_the_wider_side() -> None:
    # relu(x) on [-1, 3] lies above x, so relu(x) - x >= 0; on [-3, 1] it lies above 0, so relu(x) + x >= -3.
    for low, high, weight, answer in ((-1.0, 3.0, -1.0, 0.0), (-3.0, 1.0, 1.0, -3.0)):
        builder = Builder()
        x = builder.input(Polytope.box([low], [high]))
        program = builder.program(builder.affine({builder.relu(x): [[1.0]], x: [[weight]]}))
        assert linear_bounds(program)[program.result].lower[0] == pytest.approx(answer, abs=1e-12)


@pytest.mark.parametrize(("weight", "lower", "upper"), [(-0.75, -2.25, 0.75), (-0.25, -0.75, 2.25)])
def test_a_switch_over_other_bits(weight: float, lower: float, upper: float) -> None:
    # v in [-1, 3] switched by a free bit lies between the lines 3/4 (v + 1) and 1/4 (v - 3), by hand.
    builder = Builder()
    v = builder.input(Polytope.box([-1.0], [3.0]))
    bit = builder.input(Polytope.box([0.0], [1.0]), Kind.BIT)
    program = builder.program(builder.affine({builder.switch(v, bit): [[1.0]], v: [[weight]]}))
    bounds = linear_bounds(program)[program.result]
    assert (bounds.lower[0], bounds.upper[0]) == pytest.approx((lower, upper))


def test_what_cancels_over_layers_is_exact() -> None:
    # All neurons are on, so the network is affine and its linear bounds are its range.
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(6, 3)), rng.normal(size=(2, 6))
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(3), np.ones(3)))
    program = builder.program(builder.affine({builder.relu(builder.affine({x: first}, 20.0)): second}))
    bounds = linear_bounds(program)[program.result]
    middle, reach = 20.0 * second.sum(axis=1), np.abs(second @ first).sum(axis=1)
    np.testing.assert_allclose(bounds.upper, middle + reach, rtol=1e-12)
    np.testing.assert_allclose(bounds.lower, middle - reach, rtol=1e-12)


@pytest.mark.parametrize(
    ("domain", "vertices"),
    [
        (Polytope.simplex(3), np.vstack([np.zeros(3), np.eye(3)])),
        (Polytope.one_of(3), np.eye(3)),
        (Polytope.box([-1, 0, 2], [1, 1, 2]), np.array([[a, b, 2] for a in (-1, 1) for b in (0, 1)])),
    ],
)
def test_support(domain: Polytope, vertices: np.ndarray) -> None:
    rows = np.random.default_rng(1).integers(-3, 4, (20, 3)).astype(float)
    largest, error = support(domain, rows)
    np.testing.assert_array_equal(largest, (rows @ vertices.T).max(axis=1))
    assert (error <= 1e-13).all()


def test_simplices_are_told_from_other_polytopes() -> None:
    simplex = Polytope.simplex(3)
    assert is_simplex(simplex)
    assert is_simplex(Polytope.one_of(3))
    others = [
        Polytope.box([0, 0, 0], [1, 1, 1]),
        replace(simplex, rows=csr_of([[1, 1, 0]])),
        replace(simplex, rows=csr_of([[1, 2, 1]])),
        replace(simplex, rows=csr_of([[1, -1, 1]])),
        replace(simplex, row_upper=np.array([2.0])),
        replace(simplex, row_lower=np.array([-1.0])),
        replace(simplex, upper=np.array([1.0, 1.0, 2.0])),
        replace(simplex, lower=np.array([0.0, -1.0, 0.0])),
    ]
    rows = np.random.default_rng(2).normal(size=(10, 3))
    for domain in others:
        assert not is_simplex(domain)
        largest, _ = support(domain, rows)
        matrix = domain.rows.toarray()
        sides = (np.vstack([matrix, -matrix]), np.concatenate([domain.row_upper, -domain.row_lower]))
        box = np.stack([domain.lower, domain.upper], axis=1)
        np.testing.assert_allclose(largest, [-linprog(-row, *sides, bounds=box).fun for row in rows], atol=1e-12)


def csr_of(rows: list[list[float]]) -> csr_array:
    return csr_array(np.array(rows, float))


def test_choices_among_outputs_and_directions_use_the_simplex() -> None:
    # One of three values, each in a range of its own: not the sum of the three.
    builder = Builder()
    choice = builder.input(Polytope.one_of(3), Kind.BIT)
    program = builder.program(builder.affine({choice: [[3.0, -1.0, 2.0]]}, 10.0))
    wide, narrow = interval_bounds(program)[1], linear_bounds(program)[1]
    assert [wide.lower[0], wide.upper[0]] == pytest.approx([9, 15])
    assert [narrow.lower[0], narrow.upper[0]] == pytest.approx([9, 13])
    builder = Builder()
    direction = builder.input(Polytope.simplex(4))
    program = builder.program(builder.affine({direction: [[3.0, -1.0, -3.0, 1.0]]}))
    narrow = linear_bounds(program)[1]
    assert [narrow.lower[0], narrow.upper[0]] == pytest.approx([-3, 3])


def test_bounds_known_before_only_become_tighter() -> None:
    program = dense(random_network(0, [3, 5, 4, 1])).program
    plain = interval_bounds(program)
    half = Interval(plain[1].lower / 2, plain[1].upper * 2)
    for method in (interval_bounds, linear_bounds):
        bounds = method(program.with_bounds({1: half}))
        assert (bounds[1].lower >= half.lower).all()
        assert (bounds[1].upper <= plain[1].upper).all()
        assert (bounds[4].upper <= plain[4].upper + 1e-12).all()
        again = method(program.with_bounds(bounds))
        for value, interval in bounds.items():
            assert (again[value].lower >= interval.lower).all()
            assert (again[value].upper <= interval.upper).all()


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_only_new_leaves_the_network_alone(mode: Mode) -> None:
    network = dense(random_network(3, [3, 6, 5, 2])).program
    bounded = Bounds("interval").apply(network).program
    program = run_passes(bounded, [Jacobian(mode)]).program
    assert program.bounds.keys() == bounded.bounds.keys()
    bounds = linear_bounds(program, only_new=True)
    for value, known in bounded.bounds.items():
        np.testing.assert_array_equal(bounds[value].lower, known.lower)
        np.testing.assert_array_equal(bounds[value].upper, known.upper)
    wide, narrow = interval_bounds(program)[program.result], linear_bounds(program)[program.result]
    assert narrow.upper[0] <= bounds[program.result].upper[0] < wide.upper[0]
    assert Bounds(only_new=True).apply(program).program.bounds.keys() == bounds.keys()


@pytest.mark.parametrize("method", ["interval", "linear"])
def test_a_contradiction_stops(method: str) -> None:
    program = dense(random_network(0, [3, 5, 1])).program
    wrong = interval_bounds(program)[1]
    broken = program.with_bounds({1: Interval(wrong.upper + 1, wrong.upper + 2)})
    with pytest.raises(InternalError, match=r"contradicting bounds of %1"):
        run_passes(broken, [Bounds(method)])  # type: ignore[arg-type]


def test_in_blocks_as_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    program = run_passes(residual(0, outputs=2).program, [Jacobian("forward")]).program
    whole = linear_bounds(program)
    monkeypatch.setattr(linear, "BLOCK_ENTRIES", 1)
    for value, interval in linear_bounds(program).items():
        np.testing.assert_allclose(interval.lower, whole[value].lower, atol=1e-12)
        np.testing.assert_allclose(interval.upper, whole[value].upper, atol=1e-12)


def test_one_value_in_two_ways_counts_its_slopes_together() -> None:
    # x - x through two operations is 0; the coefficients of x must add up before the box is looked at.
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, -1.0], [1.0, 1.0]))
    there, back = builder.linear((3.0, x)), builder.linear((-3.0, x))
    program = builder.program(builder.linear((1.0, there), (1.0, back)))
    bounds = linear_bounds(program)[program.result]
    assert np.abs([bounds.lower, bounds.upper]).max() < 1e-14


def test_the_pass_says_what_it_was_asked() -> None:
    program = dense(random_network(1, [2, 4, 3, 1]), norm=None).program
    result = Bounds("interval").apply(program)
    assert result.program.ops == program.ops
    assert result.program.bounds.keys() == set(range(len(program.ops)))
    looser = interval_bounds(program)[program.result]
    tighter = Bounds().apply(program).program.bounds[program.result]
    assert tighter.upper[0] < looser.upper[0]
