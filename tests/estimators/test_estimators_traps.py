"""What public code has been seen to get wrong, and answers worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import lipc
from lipc import Functional, Norm, Query, ball, box
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError
from lipc.estimators.catalogue import ESTIMATORS
from lipc.frontends.lip import parse_lip
from lipc.ir import Program
from tests.nets import ABSOLUTE, IDENTITY, ZERO

UPPERS = ["fastlip", "recurjac", "jacobian-crown", "zlip", "liplp", "lipmip"]
BOUNDS = [*UPPERS, "jacobian-crown{nodes=50}", "random{samples=200}", "ascent"]
ALL = [*BOUNDS, "clever{batches=5,batch=16}"]


def method_of(text: str) -> Estimator:
    (method,) = ESTIMATORS.parse(text, "method")
    return method


def run(text: str, program: Program) -> Estimate:
    return method_of(text).estimate(program, Limits())


JACOBIAN = np.array([[1.0, 2.0], [3.0, -1.0]])
BY_NORMS = [
    (Norm.LINF, Norm.LINF, 4.0),  # the larger row
    (Norm.LINF, Norm.L1, 5.0),  # (1, 2) + (3, -1) = (4, 1)
    (Norm.L1, Norm.LINF, 3.0),  # the largest entry
    (Norm.L1, Norm.L1, 4.0),  # the larger column
    (Norm.L2, Norm.LINF, np.sqrt(10)),
    (Norm.L2, Norm.L1, np.sqrt(17)),
]


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize(("norm", "output_norm", "expected"), BY_NORMS)
def test_c_is_measured_in_the_dual_norm(method: str, norm: Norm, output_norm: Norm, expected: float) -> None:
    program = Query(norm=norm, output_norm=output_norm).ask(lipc.from_weights([JACOBIAN], [np.zeros(2)]).program)
    # In l_2 the relaxation sees a polytope around the ball, and mixes outputs where it chooses one.
    room = 0.5 if norm is Norm.L2 and method == "liplp" else 1e-6
    assert expected * (1 - 1e-6) <= run(method, program).value <= expected * (1 + room)


@pytest.mark.parametrize("method", ALL)
def test_in_l_1_the_largest_entry_counts_wherever_it_stands(method: str) -> None:
    for place in range(3):
        gradient = np.array([[0.5, 0.25, -0.75]])
        gradient[0, place] = -7.0
        program = Query(norm=Norm.L1).ask(lipc.from_weights([gradient], [np.zeros(1)]).program)
        assert run(method, program).value == pytest.approx(7.0, rel=1e-6)


@pytest.mark.parametrize("method", UPPERS)
def test_an_upper_bound_is_not_an_ulp_below(method: str) -> None:
    """One region only, so that nothing but rounding is in the way: sums of numbers that no float holds."""
    rng = np.random.default_rng(0)
    for size in (30, 300):
        gradient = rng.uniform(0.1, 0.2, (1, size))
        first = np.eye(size) / 3.0
        program = Query().ask(lipc.from_weights([first, gradient], [np.full(size, 1.0), np.zeros(1)]).program)
        third = Fraction(1.0 / 3.0)
        truth = sum((Fraction(entry) * third for entry in gradient[0].tolist()), Fraction(0))
        value = run(method, program).value
        assert Fraction(value) >= truth
        assert value == pytest.approx(float(truth), rel=1e-5)


@pytest.mark.parametrize(("net", "truth", "chain_rule"), [(IDENTITY, 1.0, 2.0), (ZERO, 0.0, 1.0)])
def test_patterns_without_an_interior_do_not_count(net: tuple[object, object], truth: float, chain_rule: float) -> None:
    program = Query(box(-1.0, 1.0)).ask(lipc.from_weights(*net).program)  # type: ignore[arg-type]
    assert run("jacobian-crown", program).value >= chain_rule
    found = run("jacobian-crown{nodes=50}", program)
    assert found.value == pytest.approx(truth, abs=1e-12)
    assert "0 refuted" not in found.note
    assert run("lipmip", program).value == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize("method", ["random", "ascent"])
def test_a_kink_has_no_gradient(method: str) -> None:
    """Both neurons of x = relu(x) - relu(-x) tie at 0; the chain rule says 0, 1 or 2 there."""
    network = lipc.from_weights(*IDENTITY)
    with pytest.raises(RefusedError, match="at none of the points is there a gradient"):
        run(method, Query(box(0.0, 0.0)).ask(network.program))
    found = run(method, Query(box(0.0, 1e-300)).ask(network.program))
    assert found.value == 1.0


@pytest.mark.parametrize("method", ALL)
def test_a_clipped_ball_is_clipped(method: str) -> None:
    """relu(x) + 3 relu(-x): the steep side lies outside of the clipped ball."""
    network = lipc.from_weights([np.array([[1.0], [-1.0]]), np.array([[1.0, 3.0]])], [np.zeros(2), np.zeros(1)])
    clipped = Query(ball(0.05, 0.1, clip=(0.0, 1.0))).ask(network.program)
    assert run(method, clipped).value == pytest.approx(1.0, rel=1e-6)
    whole = Query(ball(0.05, 0.1)).ask(network.program)
    assert run(method, whole).value >= 3.0 * (1 - 1e-12)


@pytest.mark.parametrize("method", ALL)
def test_a_union_of_slopes_by_hand(method: str) -> None:
    """|x| on both sides of 0."""
    found = run(method, Query(box(-1.0, 2.0)).ask(lipc.from_weights(*ABSOLUTE).program))
    kind = found.kind or method_of(method).kind
    # Neither interval nor zonotope knows that the two neurons exclude each other.
    assert found.value == pytest.approx(1.0, rel=1e-6) or (kind is Kind.UPPER and 1.0 <= found.value <= 2.0 + 1e-9)


OTHER_GRAPHS = {
    "residual": "relu(A * x + [0.1, -0.2]) + x",
    "leaky": "leaky_relu(A * x, 0.25)",
    "max": "[max(x[0], x[1]), x[1]]",
}
STEEPEST = {"residual": 4.0, "leaky": 3.0, "max": 1.0}
"""In l_inf, largest output: I + (rows of A that are on); rows of A; a coordinate."""


@pytest.mark.parametrize("method", BOUNDS)
@pytest.mark.parametrize("graph", OTHER_GRAPHS)
def test_graphs_that_are_no_chains(method: str, graph: str) -> None:
    text = f"network n {{\n  input x[2]\n  A = [[1, 2], [-1, 1]]\n  output y = {OTHER_GRAPHS[graph]}\n}}\n"
    program = Query(box(-1.0, 1.0)).ask(parse_lip(text).program)
    found = run(method, program)
    kind = found.kind or method_of(method).kind
    if kind is Kind.LOWER:
        assert found.value <= STEEPEST[graph]
        assert found.value == pytest.approx(STEEPEST[graph], rel=1e-9)
    else:
        assert STEEPEST[graph] <= found.value <= 2 * STEEPEST[graph] * (1 + 1e-9)
    if kind is Kind.EXACT:
        assert found.value == pytest.approx(STEEPEST[graph], rel=2e-6)


def test_weighted_outputs() -> None:
    program = Query(output=Functional({0: 3.0, 1: -2.0})).ask(lipc.from_weights([JACOBIAN], [np.zeros(2)]).program)
    for method in ALL:  # 3 (1, 2) - 2 (3, -1) = (-3, 8)
        assert run(method, program).value == pytest.approx(11.0, rel=1e-6)
