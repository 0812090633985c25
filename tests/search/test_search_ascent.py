from __future__ import annotations

from dataclasses import replace
from time import monotonic

import numpy as np
import pytest

from lipc.bounds.lp import LinearProgram, LinearSolution
from lipc.certify import Certifier, regions
from lipc.ir import Builder, Lipschitz, Norm, Objective, Polytope, Sense
from lipc.search.ascent import ascend
from tests.ir.sample_programs import Sample, dense, max_pool, mixed, question, residual
from tests.nets import ABSOLUTE, IDENTITY, KINDS, ZERO, Network, random_network
from tests.oracle import lipschitz

LATER = 60.0


def found_and_exact(network: Network, norm: Norm, low: float = -1.0, high: float = 1.0) -> tuple[float, float]:
    sample = dense(network, low, high, norm)
    found = ascend(sample.program, norm, deadline=monotonic() + LATER)
    inside = sample.domain.clip(found.x)
    np.testing.assert_array_equal(found.x, inside)
    # The value is the norm of the gradient at the point, or just beside it.
    witness = Certifier(sample.program).witness(found.x)
    assert witness is None or witness.value == pytest.approx(found.value, rel=1e-9, abs=1e-12)
    exact = lipschitz(*network, sample.domain.lower, sample.domain.upper, None, norm.value)
    assert not exact.thin
    return found.value, exact.value


@pytest.mark.parametrize("count", [10, pytest.param(30, marks=pytest.mark.slow)])
def test_never_above_the_exact_constant_and_mostly_there(count: int) -> None:
    reached = 0
    for seed in range(count):
        widths = [[3, 8, 8, 1], [2, 10, 6, 2], [4, 7, 5, 1]][seed % 3]
        found, exact = found_and_exact(random_network(seed, widths), list(Norm)[seed % 2])
        assert found <= exact * (1 + 1e-9)
        reached += found >= exact * (1 - 1e-9)
    # Measured: 29 of 30.
    assert reached >= 0.8 * count


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_networks_with_ties(kind: str, seed: int) -> None:
    found, exact = found_and_exact(random_network(seed, [2, 6, 4, 1], kind), Norm.LINF)  # type: ignore[arg-type]
    assert found <= exact * (1 + 1e-9) + 1e-12
    assert found >= 0.5 * exact


@pytest.mark.parametrize(("network", "answer"), [(IDENTITY, 1.0), (ZERO, 0.0), (ABSOLUTE, 1.0)])
def test_ties_by_hand(network: Network, answer: float) -> None:
    assert found_and_exact(network, Norm.LINF) == (answer, answer)


def test_a_region_that_no_sample_meets_is_climbed_to() -> None:
    # A steep piece of width 2e-7: its neighbours are two flips away from every sample.
    weights = [np.array([[1.0], [1.0]]), np.array([[1e3, -1e3]])]
    network = Network(weights, [np.array([-0.31, -0.31 - 2e-7]), np.zeros(1)])
    found, exact = found_and_exact(network, Norm.LINF)
    assert (found, exact) == pytest.approx((1e3, 1e3))


@pytest.mark.parametrize("sample", [residual(1, outputs=2), max_pool(2), mixed(3)], ids=["residual", "pool", "mixed"])
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
def test_other_programs_are_above_all_samples(sample: Sample, norm: Norm) -> None:
    program = replace(sample.program, objective=question(norm))
    found = ascend(program, norm, deadline=monotonic() + LATER)
    certifier = Certifier(program)
    witness = certifier.witness(found.x)
    assert witness is not None
    assert witness.value == pytest.approx(found.value, rel=1e-12)
    for point in sample.points(100, seed=8):
        other = certifier.witness(point)
        assert other is None or other.value <= found.value * (1 + 1e-12)


@pytest.mark.parametrize("reason", ["deadline", "neither"])
def test_it_stops_after_the_linear_program_at_hand(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = dense(random_network(0, [4, 12, 12, 1]))
    solved: list[float] = []
    solve = regions.solve_linear_program

    def counted(program: LinearProgram, seconds: float) -> LinearSolution | None:
        solved.append(monotonic())
        return solve(program, seconds)

    monkeypatch.setattr(regions, "solve_linear_program", counted)
    deadline = monotonic() + (-1 if reason == "deadline" else LATER)
    found = ascend(sample.program, Norm.LINF, deadline=deadline)
    assert len(solved) > 20 if reason == "neither" else not solved
    # What there is by then is a point all the same.
    witness = Certifier(sample.program).witness(found.x)
    assert witness is not None
    assert witness.value == pytest.approx(found.value)


def test_a_network_without_neurons() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([0.0, 0.0], [1.0, 1.0]))
    program = builder.program(builder.affine({x: [[3.0, -4.0]]}), Objective(Sense.MAXIMIZE, Lipschitz()))
    assert ascend(program, Norm.LINF, deadline=monotonic() + 1).value == 7.0
    assert ascend(program, Norm.L1, deadline=monotonic() + 1).value == 4.0


def test_the_same_point_every_time() -> None:
    sample = dense(random_network(2, [3, 8, 6, 1]))
    first, second = (ascend(sample.program, Norm.LINF, deadline=monotonic() + LATER) for _ in range(2))
    assert first.value == second.value
    np.testing.assert_array_equal(first.x, second.x)
