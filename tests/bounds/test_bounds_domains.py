"""Domains: tight boxes, linear functions over them, points well inside and exactly within, against linear programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog

from lipc.bounds import interval_bounds, linear_bounds
from lipc.bounds.domain import crossed_box, support, tight_box
from lipc.bounds.membership import contains, exact_support
from lipc.bounds.points import Inside, sample
from lipc.frontends import from_weights
from lipc.ir import Conditional, Floats, Input, Interval, L1Ball, Norm, Polytope, Program
from lipc.query import ball, box
from tests.nets import Network, random_network

KINDS = ("box", "ball", "one row", "rows", "rows and ball")


def random_domain(rng: np.random.Generator, kind: str) -> Polytope:
    """Return a domain that may be empty; centers may lie outside the box, sides may be open."""
    size = int(rng.integers(1, 6))
    low = rng.normal(size=size)
    domain = box(low, low + rng.random(size) * 2)
    if "ball" in kind:
        domain = replace(domain, l1=L1Ball(low + rng.uniform(-0.5, 1.5, size), float(rng.random() * size)))
    if "row" in kind:
        count = 1 if kind == "one row" else int(rng.integers(2, 5))
        rows = rng.normal(size=(count, size)) * (rng.random((count, size)) < 0.8)
        middle = rows @ (low + 0.5)
        lower = np.where(rng.random(count) < 0.5, -np.inf, middle - rng.random(count))
        upper = np.where(rng.random(count) < 0.7, middle + rng.random(count), np.inf)
        domain = domain.with_rows(rows, lower, upper)
    return domain


def largest(domain: Polytope, gradient: Floats) -> float | None:
    """Return the largest value of ``gradient @ x`` by scipy, `None` for an empty domain."""
    size = domain.size
    eye, zeros = np.eye(size), np.zeros((domain.rows.shape[0], size))
    rows = domain.rows.toarray()
    matrix = [np.hstack([rows, zeros]), np.hstack([-rows, zeros])]
    limits = [domain.row_upper, -domain.row_lower]
    if domain.l1 is not None:
        total = np.append(np.zeros(size), np.ones(size))[None, :]
        matrix += [np.hstack([eye, -eye]), np.hstack([-eye, -eye]), total]
        limits += [domain.l1.center, -domain.l1.center, np.array([domain.l1.radius])]
    below, sides = np.vstack(matrix), np.concatenate(limits)
    kept = np.isfinite(sides)
    bounds = [*zip(domain.lower, domain.upper, strict=True), *[(0, None)] * size]
    found = linprog(np.append(-gradient, np.zeros(size)), below[kept], sides[kept], bounds=bounds)
    return -found.fun if found.status == 0 else None


def violation(domain: Polytope, points: Floats) -> float:
    """Return by how much points of shape (k, n) lie outside, in floating point."""
    values = points @ domain.rows.toarray().T
    parts = [domain.lower - points, points - domain.upper, domain.row_lower - values, values - domain.row_upper]
    if domain.l1 is not None:
        parts.append((np.abs(points - domain.l1.center).sum(axis=1) - domain.l1.radius)[:, None])
    return max(float(part.max(initial=0.0)) for part in parts)


def exactly_within(domain: Polytope, x: Floats) -> bool:
    """Return whether every constraint holds in rational arithmetic."""
    point = [Fraction(entry) for entry in x.tolist()]
    fits = all(low <= entry <= high for low, entry, high in zip(domain.lower, point, domain.upper, strict=True))
    for row, low, high in zip(domain.rows.toarray().tolist(), domain.row_lower, domain.row_upper, strict=True):
        total = sum((Fraction(a) * b for a, b in zip(row, point, strict=True)), Fraction(0))
        fits = fits and low <= total <= high
    if domain.l1 is not None:
        center = domain.l1.center.tolist()
        fits = fits and sum(abs(a - Fraction(c)) for a, c in zip(point, center, strict=True)) <= domain.l1.radius
    return fits


@pytest.mark.parametrize("count", [20, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_random_domains(kind: str, count: int) -> None:
    rng = np.random.default_rng(KINDS.index(kind))
    empty = 0
    for _ in range(count):
        domain = random_domain(rng, kind)
        gradient = rng.normal(size=domain.size)
        inside = Inside(domain)
        exact = largest(domain, gradient)
        assert inside.empty == (exact is None)
        if exact is None:
            empty += 1
            continue
        check_bounds(domain, kind, gradient, exact)
        check_points(domain, inside, gradient, exact)
    assert empty >= count // 20 or "rows" not in kind


def check_bounds(domain: Polytope, kind: str, gradient: Floats, exact: float) -> None:
    tight = tight_box(domain)
    assert not crossed_box(domain)
    for column, unit in enumerate(np.eye(domain.size)):
        high, low = largest(domain, unit), largest(domain, -unit)
        assert high is not None
        assert low is not None
        assert tight.upper[column] >= high - 1e-9
        assert tight.lower[column] <= -low + 1e-9
        if kind in ("box", "ball", "one row"):
            assert tight.upper[column] == pytest.approx(high, abs=1e-7)
            assert tight.lower[column] == pytest.approx(-low, abs=1e-7)
    value, error = support(domain, gradient[None, :], tight)
    assert 0 <= error[0] < 1e-12
    assert value[0] + error[0] >= exact - 1e-9
    if kind in ("box", "ball", "one row"):
        assert value[0] == pytest.approx(exact, abs=1e-8)
    none = [Fraction(0)] * domain.rows.shape[0]
    bound = exact_support(domain, [Fraction(entry) for entry in gradient.tolist()], none)
    assert bound is not None
    assert bound >= exact - 1e-9
    if not domain.rows.shape[0]:
        assert float(bound) == pytest.approx(exact, abs=1e-8)
        assert value[0] + error[0] >= bound


def check_points(domain: Polytope, inside: Inside, gradient: Floats, exact: float) -> None:
    points = sample(domain, np.random.default_rng(1), 40)
    assert points.shape == (40, domain.size)
    assert (points == sample(domain, np.random.default_rng(1), 40)).all()
    assert violation(domain, points) <= 1e-12
    assert (points @ gradient).max() <= exact + 1e-9
    assert np.ptp(points, axis=0).max() > 0
    assert violation(domain, inside.point[None, :]) == 0
    for point in [*points[:5], inside.point]:
        beyond = domain.clip(point + 1e-8 * (point - inside.point))
        settled = inside.settle(beyond)
        assert settled is not None
        assert exactly_within(domain, settled)
        assert contains(domain, settled)
        np.testing.assert_allclose(settled, point, rtol=0, atol=1e-5)
        assert contains(domain, beyond) == exactly_within(domain, beyond)


def test_multipliers_of_rows_bound_a_linear_function() -> None:
    domain = box([0, 0], [4, 4]).with_rows([[1, 1], [1, -1]], [-np.inf, 1], [3, np.inf])
    # The largest x[1] is 1, at (2, 1): half of each side.
    gradient = [Fraction(0), Fraction(1)]
    assert exact_support(domain, gradient, [Fraction(1, 2), Fraction(-1, 2)]) == 1
    assert exact_support(domain, gradient, [Fraction(1), Fraction(0)]) == 3
    assert exact_support(domain, gradient, [Fraction(0), Fraction(0)]) == 4
    value, _ = support(domain, np.array([[0.0, 1.0]]))
    assert value[0] <= 3
    with pytest.raises(ValueError, match="infinite"):
        exact_support(domain, gradient, [Fraction(-1), Fraction(0)])


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        # 0.1 + 0.2 is more than 0.3, for the floats and for what they stand for.
        ((0.1, 0.2), False),
        ((0.1, np.nextafter(0.2, 0)), True),
        ((0.3, 0.0), True),
        ((np.nextafter(0.3, 1), 0.0), False),
        # In floats 0.25 + 0.1 is 0.35, but what they stand for is more.
        ((0.0, 0.1), False),
        ((0.0, 0.1 - 1e-15), True),
    ],
)
def test_membership_is_decided_exactly(point: tuple[float, float], inside: bool) -> None:
    domain = replace(box([0, 0], [1, 1]).with_rows([[1, 1]], -np.inf, 0.3), l1=L1Ball(np.array([0.25, 0.0]), 0.35))
    assert contains(domain, np.array(point)) == inside == exactly_within(domain, np.array(point))


@pytest.mark.parametrize(
    ("domain", "extent"),
    [
        (box([0, 0], [1, 1]).with_rows([[1, 1]], 1, 1), [1, 1]),
        (box([0, 0, 0], [1, 1, 1]).with_rows([[1, 1, 0], [-1, -1, 0]], [-np.inf] * 2, [1, -1]), [1, 1, 1]),
        (box([0, 0], [1, 1]).with_rows([[1, 1]], -np.inf, 0), [0, 0]),
        (replace(box([-1, -1], [1, 1]), l1=L1Ball(np.zeros(2), 1.0)).with_rows([[1, 1]], 1, np.inf), [1, 1]),
        (box([0, 0], [1, 1]).with_rows([[1, 1]], 0.3, 0.3), [0.3, 0.3]),
        (box([0] * 4, [1] * 4).with_rows([[1, 1, 1, 1], [1, -1, 0, 0]], [1.5, 0], [1.5, 0]), [0.75, 0.75, 1, 1]),
        (box([0, 0.5], [1, 0.5]).with_rows([[1, 2]], -np.inf, 1.5), [0.5, 0]),
        (ball([0.3, 0.2], 0, norm=Norm.L1), [0, 0]),
        (box([0.25, 0.5], [0.25, 0.5]).with_rows([[2, 1]], 1, 1), [0, 0]),
    ],
)
def test_flat_domains(domain: Polytope, extent: list[float]) -> None:
    inside = Inside(domain)
    assert not inside.empty
    points = inside.sample(np.random.default_rng(0), 200)
    assert violation(domain, points) <= 1e-12
    spread = np.ptp(points, axis=0)
    assert (spread <= np.array(extent) + 1e-12).all()
    assert (spread >= 0.5 * np.array(extent)).all()
    for point in points[::20]:
        settled = inside.settle(point)
        assert settled is not None
        assert exactly_within(domain, settled)
        np.testing.assert_allclose(settled, point, rtol=0, atol=1e-6)


def test_a_point_far_outside_is_given_up() -> None:
    domain = box([0, 0], [1, 1]).with_rows([[1, 1]], -np.inf, 0.5)
    assert Inside(domain).settle(np.array([1.0, 1.0])) is None


@pytest.mark.parametrize(
    "domain",
    [
        box([0, 0], [1, 1]).with_rows([[1, 1]], 2.0000001, np.inf),
        box([0, 0], [1, 1]).with_rows([[1, 1], [1, -1]], [1.9, 0.5], [np.inf, np.inf]),
        box([0, 0, 0], [1, 1, 1]).with_rows([[1, -1, 0], [0, 1, -1], [-1, 0, 1]], [0.1] * 3, [np.inf] * 3),
        replace(box([0, 0], [1, 1]), l1=L1Ball(np.array([2.0, 2.0]), 1.999999)),
        replace(box([0, 0], [1, 1]), l1=L1Ball(np.array([0.0, 0.0]), 0.5)).with_rows([[1, 2]], 1.1, np.inf),
    ],
)
def test_empty_domains_are_proven(domain: Polytope) -> None:
    assert Inside(domain).empty


@pytest.mark.parametrize(
    "domain",
    [
        box([0, 0], [1, 1]).with_rows([[1, 1]], 2, np.inf),
        replace(box([0, 0], [1, 1]), l1=L1Ball(np.array([2.0, 2.0]), 2.0)),
        box([0, 0, 0], [1, 1, 1]).with_rows([[1, -1, 0], [0, 1, -1], [-1, 0, 1]], [0.0] * 3, [np.inf] * 3),
    ],
)
def test_domains_of_a_point_are_not_empty(domain: Polytope) -> None:
    inside = Inside(domain)
    assert not inside.empty
    assert inside.settle(inside.point) is not None


def test_a_ball_around_a_point_beside_the_box() -> None:
    # Half of the radius is spent on the way to the box.
    domain = replace(box([0, 0], [1, 1]), l1=L1Ball(np.array([-0.5, 0.5]), 1.0))
    tight = tight_box(domain)
    np.testing.assert_allclose(np.concatenate([tight.lower, tight.upper]), [0, 0, 0.5, 1], atol=1e-14)
    value, error = support(domain, np.array([[1.0, 0.5]]), tight)
    assert value[0] == pytest.approx(0.75, abs=1e-14)
    assert value[0] + error[0] >= 0.75
    assert exact_support(domain, [Fraction(1), Fraction(1, 2)], []) == Fraction(3, 4)


@pytest.mark.parametrize("seeds", [range(4), pytest.param(range(12), marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("find", [interval_bounds, linear_bounds])
def test_bounds_of_values_hold_exactly(kind: str, find: Callable[[Program], dict[int, Interval]], seeds: range) -> None:
    rng = np.random.default_rng(KINDS.index(kind))
    touched = 0
    for seed in seeds:
        domain = random_domain(rng, kind)
        inside = Inside(domain)
        if inside.empty:
            continue
        network = random_network(seed, [domain.size, 6, 4, 1])
        program = from_weights(*network).program
        (network_input,) = program.find(Input)
        placed = replace(program.ops[network_input], domain=domain)
        asked = replace(program, ops=(*program.ops[:network_input], placed, *program.ops[network_input + 1 :]))
        bounds = find(asked)
        extremes = [extreme(domain, row) for row in (*network.weights[0], *-network.weights[0])]
        points = [inside.settle(x) for x in [*extremes, *inside.sample(rng, 10)]]
        for x in [x for x in points if x is not None]:
            layers = exact_pre_activations(network, x)
            values = [op.operand for op in asked.ops if isinstance(op, Conditional)] + [asked.result]
            for value, exact in zip(values, layers, strict=True):
                known = bounds[value]
                for low, entry, high in zip(known.lower.tolist(), exact, known.upper.tolist(), strict=True):
                    assert Fraction(low) <= entry <= Fraction(high)
                    touched += value == values[0] and float(entry) >= high - 1e-9 * max(1, abs(high))
    if find is linear_bounds and kind in ("box", "ball", "one row"):
        assert touched >= len(seeds)


def extreme(domain: Polytope, gradient: Floats) -> Floats:
    """Return a point near which ``gradient @ x`` is largest, by a linear program over all facets."""
    size = domain.size
    rows = np.vstack([domain.rows.toarray(), -domain.rows.toarray()])
    limits = np.concatenate([domain.row_upper, -domain.row_lower])
    if domain.l1 is not None:
        signs = np.array(list(product((1.0, -1.0), repeat=size)))
        rows, limits = np.vstack([rows, signs]), np.append(limits, signs @ domain.l1.center + domain.l1.radius)
    kept = np.isfinite(limits)
    bounds = np.stack([domain.lower, domain.upper], axis=1)
    found = linprog(-gradient, rows[kept], limits[kept], bounds=bounds)
    assert found.status == 0
    return np.asarray(found.x)


def exact_pre_activations(network: Network, x: Floats) -> list[list[Fraction]]:
    """Return what each layer's neurons see, and the output, in rational arithmetic."""
    point = [Fraction(entry) for entry in x.tolist()]
    layers = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        products = [
            sum((Fraction(w) * p for w, p in zip(row, point, strict=True)), Fraction(b))
            for row, b in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        layers.append(products)
        point = [max(entry, Fraction(0)) for entry in products]
    return layers


def test_one_row_is_never_bounded_too_low() -> None:
    """Compared with the least of the dual function, which it takes at 0 or where a coefficient changes its sign."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        size = int(rng.integers(1, 5))
        low = rng.normal(size=size)
        row, gradient = rng.normal(size=size), rng.normal(size=size) * 1e3
        domain = box(low, low + rng.random(size)).with_rows(row, -np.inf, row @ low + rng.random())
        exact = [Fraction(entry) for entry in gradient.tolist()]
        turns = [g / Fraction(a) for g, a in zip(exact, row.tolist(), strict=True)]
        bounds = [exact_support(domain, exact, [turn]) for turn in [Fraction(0), *turns] if turn >= 0]
        value, error = support(domain, gradient[None, :])
        assert Fraction(value[0]) + Fraction(error[0]) >= min(bound for bound in bounds if bound is not None)
