"""The SDP bound: every multiplier is a certificate, in rational arithmetic; its derivatives, and Newton's method."""

from __future__ import annotations

import signal
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from lipc.bounds import compiled, kernels, rounding
from lipc.bounds import quadratic as by_numpy
from lipc.bounds import sdp as newton
from lipc.bounds.quadratic import FREE, Quadratic, restrict
from lipc.bounds.sdp import Point, Sdp, first_multipliers, least_bound
from lipc.bounds.unrolled import Unrolled, unroll
from lipc.ir import Floats, Program
from tests.ir.sample_programs import dense, max_pool, mixed, residual
from tests.nets import random_network

Rational = list[Fraction]
PROGRAMS = ("dense", "residual", "mixed", "max-pool")


@pytest.fixture(autouse=True, params=["numpy", "compiled"])
def code(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with both codes."""
    if request.param == "compiled":
        monkeypatch.setattr(f"{__name__}.Sdp", compiled.CompiledSdp)
        monkeypatch.setattr(f"{__name__}.restrict", compiled.restrict)


def network(name: str, seed: int) -> Program:
    if name == "dense":
        return dense(random_network(seed, (2, 3, 3, 1))).program
    return {"residual": residual, "mixed": mixed, "max-pool": max_pool}[name](seed, 1).program


def random_quadratic(name: str, seed: int) -> tuple[Unrolled, Quadratic]:
    """Return what is left of a network's derivative when some signs and bits are decided, at most five bits free."""
    rng = np.random.default_rng(seed)
    unrolled = unroll(network(name, seed))
    states = rng.integers(0, 2, len(unrolled.places)).astype(np.int8)
    states[rng.permutation(len(states))[: int(rng.integers(1, 6))]] = FREE
    direction = rng.choice([-1.0, 1.0], unrolled.inputs)
    direction[rng.permutation(unrolled.inputs)[:3]] = np.nan
    return unrolled, restrict(unrolled, unrolled.outputs[0], float(unrolled.slack[0]), direction, states)


def usable(name: str, count: int) -> list[tuple[Unrolled, Quadratic]]:
    """Return quadratics with switches."""
    found = [random_quadratic(name, seed) for seed in range(5 * count)]
    return [each for each in found if len(each[1].switches)][:count]


def rational(numbers: Floats) -> Rational:
    return [Fraction(float(number)) for number in numbers]


def solve(matrix: list[Rational], side: Rational) -> Rational:
    """Solve a symmetric system whose matrix must be positive definite: every pivot is checked."""
    rows = [[*row, b] for row, b in zip(matrix, side, strict=True)]
    for k, pivot in enumerate(rows):
        assert pivot[k] > 0, "the matrix is not positive definite"
        for row in rows[k + 1 :]:
            factor = row[k] / pivot[k]
            for column in range(k, len(pivot)):
                row[column] -= factor * pivot[column]
    solution = [Fraction(0)] * len(side)
    for k in reversed(range(len(side))):
        known = sum((rows[k][j] * solution[j] for j in range(k + 1, len(side))), Fraction(0))
        solution[k] = (rows[k][-1] - known) / rows[k][k]
    return solution


def dot(left: Rational, right: Rational) -> Fraction:
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


class Exact:
    """F of some multipliers in rational arithmetic."""

    def __init__(self, quadratic: Quadratic, multipliers: Floats) -> None:
        size, signs = len(quadratic.weights), quadratic.free_signs
        m, links = rational(multipliers), [rational(row) for row in quadratic.links]
        self.matrix = [[(links[i][j] * m[j] + links[j][i] * m[i]) / 2 for j in range(size)] for i in range(size)]
        shifts, weights = rational(quadratic.shifts), rational(quadratic.weights)
        self.linear = [w + k * z for w, k, z in zip(weights, m, shifts, strict=True)]
        self.constant = Fraction(quadratic.constant) + sum(m[:signs], Fraction(0))
        self.y = solve(self.matrix, [b / 2 for b in self.linear])
        self.value = self.constant + dot(self.linear, self.y) / 2

    def where(self, row: Rational, side: Fraction) -> Fraction:
        """Return the largest value where ``row @ y = side``."""
        away = dot(row, self.y) - side
        return self.value - away**2 / dot(row, solve(self.matrix, row))


def objective(quadratic: Quadratic, signs: tuple[int, ...], on: NDArray[np.int64]) -> tuple[Fraction, Rational]:
    """Return the objective for signs and bits of free entries, and the entries."""
    y = [Fraction(sign) for sign in signs]
    for place, bit in enumerate(on.tolist(), quadratic.free_signs):
        links = rational(quadratic.links[:place, place])
        y.append(Fraction(float(quadratic.shifts[place])) - dot(links, y) if bit else Fraction(0))
    return Fraction(quadratic.constant) + dot(rational(quadratic.weights), y), y


def assignments(unrolled: Unrolled, quadratic: Quadratic) -> list[tuple[tuple[int, ...], NDArray[np.int64]]]:
    """Return all signs with all bits of the free switches; those that share a bit agree."""
    places, index = np.unique(unrolled.bits[quadratic.switches], return_inverse=True)
    all_bits = [np.array(bits, np.int64)[index] for bits in product((0, 1), repeat=len(places))]
    return [(signs, bits) for signs in product((-1, 1), repeat=quadratic.free_signs) for bits in all_bits]


def some_multipliers(unrolled: Unrolled, quadratic: Quadratic, seed: int) -> list[Floats]:
    """Return first multipliers, better ones, and such as are far apart."""
    rng = np.random.default_rng(seed)
    first = quadratic.select(first_multipliers(unrolled, quadratic), unrolled.inputs)
    sdp = Sdp(quadratic)
    start = sdp.at(first)
    assert start is not None
    best = sdp.minimize(start, -np.inf)
    central = sdp.minimize(start, -np.inf, last=0.05)
    found = [first, central.multipliers, first * 1e8, first * 1e-8, best.multipliers]
    found += [best.multipliers * rng.uniform(0.5, 2.0, sdp.size) for _ in range(4)]
    found += [10.0 ** rng.uniform(-8, 8, sdp.size) for _ in range(12)]
    # Earlier entries need more than later ones, so these are often valid, and as far apart.
    found += [np.sort(10.0 ** rng.uniform(-8, 8, sdp.size))[::-1].copy() for _ in range(12)]
    return found


@pytest.mark.parametrize("count", [2, pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_any_multipliers_prove_no_more_than_they_do(name: str, count: int) -> None:
    points = 0
    for seed, (unrolled, quadratic) in enumerate(usable(name, count)):
        sdp = Sdp(quadratic)
        truth = max(objective(quadratic, *each)[0] for each in assignments(unrolled, quadratic))
        for multipliers in some_multipliers(unrolled, quadratic, seed):
            point = sdp.at(multipliers)
            if point is None:
                continue
            points += 1
            exact = Exact(quadratic, multipliers)  # checks that Q is positive definite
            bound = Fraction(sdp.certify(point))
            assert bound >= exact.value >= truth
            assert bound >= truth + Fraction(quadratic.slack)
    assert points >= 7 * count


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_best_multipliers_are_proven_closely(name: str) -> None:
    for unrolled, quadratic in usable(name, 4):
        point = minimum(unrolled, quadratic)
        exact = float(Exact(quadratic, point.multipliers).value)
        assert point.value == pytest.approx(exact, rel=1e-9)
        assert Sdp(quadratic).certify(point) <= exact + 1e-9 * (1 + abs(exact))


def minimum(unrolled: Unrolled, quadratic: Quadratic) -> Point:
    sdp = Sdp(quadratic)
    start = sdp.at(quadratic.select(first_multipliers(unrolled, quadratic), unrolled.inputs))
    assert start is not None
    return sdp.minimize(start, -np.inf)


@pytest.mark.parametrize("name", PROGRAMS)
def test_any_guess_of_y_and_any_pull_prove_no_more_than_they_do(name: str) -> None:
    """Of the quadratic with a multiplier of the equation that an entry is what it is."""
    for seed, (unrolled, quadratic) in enumerate(usable(name, 4)):
        sdp, rng = Sdp(quadratic), np.random.default_rng(seed)
        point = minimum(unrolled, quadratic)
        for scale in (0.0, 1e-9, 1e-3, 1.0, 1e6):
            y = point.y + scale * rng.normal(size=sdp.size)
            entry, side = int(rng.integers(sdp.size)), float(rng.normal())
            pull = scale * rng.normal() * np.eye(sdp.size)[entry]
            taken = float(pull[entry]) * side
            bound = sdp.bounds(point.multipliers, point.matrix, y[:, None], pull[:, None], np.array([taken]))[0]
            exact = Exact(quadratic, point.multipliers)
            pulled = [b + Fraction(float(p)) for b, p in zip(exact.linear, pull, strict=True)]
            best = solve(exact.matrix, [b / 2 for b in pulled])
            assert Fraction(float(bound)) >= exact.constant - Fraction(taken) + dot(pulled, best) / 2


@pytest.mark.parametrize("count", [1, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_a_decision_leaves_is_in_closed_form_and_proven(name: str, count: int) -> None:
    for seed, (unrolled, quadratic) in enumerate(usable(name, count)):
        sdp = Sdp(quadratic)
        found = [(objective(quadratic, *each), each) for each in assignments(unrolled, quadratic)]
        for number, multipliers in enumerate(some_multipliers(unrolled, quadratic, seed)[:9]):
            point = sdp.at(multipliers)
            if point is None:
                continue
            probes, exact = sdp.probe(point), Exact(quadratic, multipliers)
            bounds = sdp.without(point, probes, -1.0)
            assert np.isinf(sdp.without(point, probes, np.inf)).all()
            for entry, high in product(range(sdp.size), (True, False)):
                is_sign = entry < quadratic.free_signs
                unit = rational(np.eye(sdp.size)[entry])
                row, side = unit, Fraction(0)
                if is_sign:
                    side = Fraction(1 if high else -1)
                elif high:
                    row, side = rational(quadratic.links[:, entry]), Fraction(float(quadratic.shifts[entry]))
                there = exact.where(row, side)
                gain = (probes.high if high else probes.low)[entry]
                bound = Fraction(float(bounds[0 if high else 1, entry]))
                decided = [value for (value, _), (signs, bits) in found if kept(signs, bits, entry, high)]
                assert bound >= there
                assert bound >= max(decided)
                if number < 4:  # the others are ill-conditioned
                    size = 1 + abs(point.value) + float(np.abs(multipliers).sum())
                    assert float(exact.value - there) == pytest.approx(gain, rel=1e-6, abs=1e-9 * size)
                    assert float(bound - there) <= 1e-6 * size


def kept(signs: tuple[int, ...], bits: NDArray[np.int64], entry: int, high: bool) -> bool:
    return signs[entry] == (1 if high else -1) if entry < len(signs) else bits[entry - len(signs)] == high


def merit(sdp: Sdp, multipliers: Floats, barrier: float) -> float:
    """Return ``F - barrier log det Q`` by dense linear algebra."""
    quadratic = sdp.quadratic
    matrix = (quadratic.links * multipliers + (quadratic.links * multipliers).T) / 2
    linear = quadratic.weights + multipliers * quadratic.shifts
    value = quadratic.constant + multipliers[: quadratic.free_signs].sum()
    value += linear @ np.linalg.solve(matrix, linear) / 4
    return float(value - barrier * np.linalg.slogdet(matrix)[1])


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradient_and_hessian(name: str) -> None:
    for seed, (unrolled, quadratic) in enumerate(usable(name, 4)):
        sdp = Sdp(quadratic)
        for multipliers in some_multipliers(unrolled, quadratic, seed)[:2]:
            point = sdp.at(multipliers * 1.3)
            assert point is not None
            barrier = 0.1 * abs(point.value) / sdp.size
            gradient, hessian = sdp.derivatives(point, barrier)
            scale = point.multipliers
            steps = 1e-5 * np.diag(scale)
            slopes = np.zeros(sdp.size)
            curves = np.zeros((sdp.size, sdp.size))
            for k, step in enumerate(steps):
                ends = [merit(sdp, scale + sign * step, barrier) for sign in (1, -1)]
                slopes[k] = (ends[0] - ends[1]) / 2e-5
                beside = [sdp.at(scale + sign * step) for sign in (1, -1)]
                rows = [sdp.derivatives(each, barrier)[0] for each in beside if each is not None]
                curves[k] = (rows[0] - rows[1]) * scale / 2e-5
            size = abs(point.value)
            np.testing.assert_allclose(gradient * scale, slopes, rtol=1e-5, atol=1e-6 * size)
            np.testing.assert_allclose(hessian * scale * scale[:, None], curves, rtol=1e-5, atol=1e-6 * size)


@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_newtons_method_finds_what_a_general_method_finds(name: str, count: int) -> None:
    for unrolled, quadratic in usable(name, count):
        sdp = Sdp(quadratic)
        first = quadratic.select(first_multipliers(unrolled, quadratic), unrolled.inputs)
        start = sdp.at(first)
        assert start is not None
        values = [sdp.minimize(start, -np.inf, steps=steps).value for steps in (0, 1, 2, 4, 8, 60)]
        assert values == sorted(values, reverse=True)
        assert values[0] == start.value

        def cost(logarithms: Floats, sdp: Sdp = sdp) -> float:
            point = sdp.at(np.exp(logarithms))
            return 1e9 if point is None else point.value

        best, at = np.inf, np.log(first)
        for _ in range(4):  # from where it stopped
            found = minimize(cost, at, method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-9, "xatol": 1e-9})
            best, at = min(best, float(found.fun)), found.x
        size = abs(best) + abs(quadratic.constant)
        assert values[-1] <= best + 1e-3 * size


def test_newtons_method_stops_at_a_target() -> None:
    unrolled, quadratic = usable("dense", 1)[0]
    sdp = Sdp(quadratic)
    start = sdp.at(quadratic.select(first_multipliers(unrolled, quadratic), unrolled.inputs))
    assert start is not None
    assert sdp.minimize(start, np.inf) is start
    best = sdp.minimize(start, -np.inf).value
    middle = (best + start.value) / 2
    assert best <= sdp.minimize(start, middle).value <= middle


def test_newtons_method_stops_in_time() -> None:
    unrolled, quadratic = usable("dense", 1)[0]
    sdp = Sdp(quadratic)
    start = sdp.at(quadratic.select(first_multipliers(unrolled, quadratic), unrolled.inputs))
    assert start is not None
    assert sdp.minimize(start, -np.inf, deadline=0.0) is start
    bounds = [least_bound(unrolled, quadratic, deadline=deadline)[0] for deadline in (0.0, np.inf)]
    assert bounds[0] == pytest.approx(start.value)
    assert bounds[0] > bounds[1]


def test_a_matrix_that_is_not_positive_definite_is_none() -> None:
    for name in PROGRAMS:
        for unrolled, quadratic in usable(name, 4):
            sdp = Sdp(quadratic)
            good = quadratic.select(first_multipliers(unrolled, quadratic), unrolled.inputs)
            links = np.abs(quadratic.links - np.eye(sdp.size))
            if not links.any():
                continue
            reader = int(np.argmax(links.max(axis=0)))
            wild = good.copy()
            wild[reader] *= 1e8  # more than the entries it reads can carry
            assert sdp.at(wild) is None
            assert sdp.at(np.where(np.arange(sdp.size) == reader, 0.0, good)) is None
            assert sdp.at(np.where(np.arange(sdp.size) == reader, np.nan, good)) is None


def test_without_switches_it_is_the_norm_of_a_gradient() -> None:
    for name, seed in product(PROGRAMS, range(4)):
        unrolled = unroll(network(name, seed))
        states = np.random.default_rng(seed).integers(0, 2, len(unrolled.places)).astype(np.int8)
        free = np.full(unrolled.inputs, np.nan)
        quadratic = restrict(unrolled, unrolled.outputs[0], float(unrolled.slack[0]), free, states)
        truth = max(objective(quadratic, *each)[0] for each in assignments(unrolled, quadratic))
        assert truth <= Fraction(quadratic.largest()) <= truth + Fraction(1, 10**9)


def test_compiled_code_leaves_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seed in product(PROGRAMS, range(10)):
        made = []
        for own in (compiled.restrict, by_numpy.restrict):
            monkeypatch.setattr(f"{__name__}.restrict", own)
            made.append(random_quadratic(name, seed)[1])
        for field in ("signs", "switches"):
            np.testing.assert_array_equal(getattr(made[0], field), getattr(made[1], field))
        for field in ("links", "shifts", "weights", "constant", "slack"):
            np.testing.assert_allclose(getattr(made[0], field), getattr(made[1], field), rtol=1e-13, atol=1e-13)


def test_compiled_code_has_the_same_constants() -> None:
    by_sdp = "SMALLEST", "GREATEST", "BARRIER", "LONGEST", "SHORTEST"
    for module, names in ((by_numpy, ("FREE",)), (rounding, ("UNIT", "UNDERFLOW")), (newton, by_sdp)):
        for name in names:
            assert getattr(kernels, name) == getattr(module, name)


def test_kernels_are_compiled_as_long_as_there_is_time() -> None:
    assert compiled.compile_kernels(np.inf)
    assert not compiled.compile_kernels(0.0)


def test_interrupts_during_compiled_code_are_raised_as_such() -> None:
    sdp = compiled.CompiledSdp(Quadratic(np.arange(2), np.zeros(0, int), np.eye(2), np.zeros(2), np.ones(2), 0.0, 0.0))
    assert sdp.at(np.ones(2)) is not None
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for microseconds in range(20, 300):
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, microseconds * 1e-6)
                while True:
                    sdp.at(np.ones(2))
    finally:
        signal.signal(signal.SIGALRM, before)
