"""Certified radii: against the enumeration of all regions, and against a dense search for counterexamples."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import numpy as np
import oracle
import pytest
from nets import KINDS, Network, NetworkKind, random_network

import lipc
from lipc import Norm, Options, certify_radius, from_weights
from lipc.errors import QueryError
from lipc.radius import RadiusResult

TOLERANCE = 1e-3


def margins(net: Network, points: np.ndarray, label: int) -> np.ndarray:
    values = net(points)
    return values[:, [label]] - np.delete(values, label, axis=1)


def exact_radius(net: Network, center: np.ndarray, label: int, norm: oracle.Norm, low: float, high: float) -> float:
    """Return the supremum of radii that exact constants prove, by bisection with the oracle; at most 4."""

    def proves(radius: float) -> bool:
        lower, upper = np.maximum(center - radius, low), np.minimum(center + radius, high)
        sides = None if norm == "linf" else oracle.l1_ball(center, radius)
        gaps = margins(net, center[None], label)[0]
        others = [each for each in range(len(net.biases[-1])) if each != label]
        for gap, other in zip(gaps, others, strict=True):
            row = np.eye(len(net.biases[-1]))[label] - np.eye(len(net.biases[-1]))[other]
            if oracle.lipschitz(*net, lower, upper, row, norm, sides=sides).value * radius >= gap:
                return False
        return True

    below, above = 0.0, 4.0
    if proves(above):
        return above
    for _ in range(30):
        middle = (below + above) / 2
        below, above = (middle, above) if proves(middle) else (below, middle)
    return below


def check(net: Network, center: np.ndarray, norm: oracle.Norm, result: RadiusResult) -> None:
    exact = exact_radius(net, center, result.label, norm, -1.0, 1.0)
    assert result.radius <= exact * (1 + 1e-6)
    assert result.radius >= exact * (1 - 2 * TOLERANCE) or result.status == "max_radius"
    assert result.radius <= result.limit
    # Points of the ball, its corners among them: none is of another class.
    rng = np.random.default_rng(0)
    steps = rng.uniform(-1, 1, (4000, len(center)))
    steps[::2] = np.sign(steps[::2])
    if norm == "l1":
        steps /= np.maximum(np.abs(steps).sum(axis=1, keepdims=True), 1e-9)
    points = np.clip(center + result.radius * 0.999999 * steps, -1, 1)
    assert (margins(net, points, result.label) > 0).all()
    if result.adversarial is not None:
        found = result.adversarial
        assert found.distance >= result.radius
        assert (np.abs(found.x) <= 1).all()
        gap = found.x - center
        length = np.abs(gap).max() if norm == "linf" else np.abs(gap).sum()
        assert found.distance == pytest.approx(length, rel=1e-12)
        values = net(found.x[None])[0]
        assert values[found.output] >= values[result.label] - 1e-12


def case(seed: int, kind: NetworkKind) -> tuple[Network, np.ndarray] | None:
    """Return a classifier and a point of it that is clearly of one class; `None` if there is none."""
    net = random_network(seed, [2, 5, 4, 3], kind)
    if len(net.biases[-1]) < 2:
        return None
    points = np.random.default_rng(seed).uniform(-0.8, 0.8, (50, net.weights[0].shape[1]))
    gaps = np.sort(net(points), axis=1)
    best = int(np.argmax(gaps[:, -1] - gaps[:, -2]))
    return (net, points[best]) if gaps[best, -1] - gaps[best, -2] > 1e-6 else None


@pytest.mark.parametrize(
    ("kind", "norm"),
    [
        ("generic", "linf"),
        ("zero biases", "l1"),
        pytest.param("duplicated neurons", "linf", marks=pytest.mark.slow),
        pytest.param("generic", "l1", marks=pytest.mark.slow),
        pytest.param("zero biases", "linf", marks=pytest.mark.slow),
        pytest.param("duplicated neurons", "l1", marks=pytest.mark.slow),
    ],
)
def test_the_radius_is_that_of_exact_constants(kind: NetworkKind, norm: oracle.Norm) -> None:
    found = case(1, kind)
    assert found is not None
    net, center = found
    result = certify_radius(from_weights(*net), center, norm=Norm(norm), clip=(-1, 1), tolerance=TOLERANCE)
    assert result.certified
    assert result.radius > 0
    check(net, center, norm, result)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_radii_of_random_networks(seed: int, kind: NetworkKind, norm: oracle.Norm) -> None:
    found = case(seed, kind)
    if found is None:
        pytest.skip("no point of a class")
    net, center = found
    check(net, center, norm, certify_radius(from_weights(*net), center, norm=Norm(norm), clip=(-1, 1)))


def test_a_linear_classifier_by_hand() -> None:
    # The margin of class 0 is 3 x0 - x1 + 1, at the center 3; its slope is 4 in l_inf and 3 in l_1.
    model = from_weights([np.array([[2.0, 0.0], [-1.0, 1.0]])], [np.array([1.0, 0.0])])
    for norm, radius in ((Norm.LINF, Fraction(3, 4)), (Norm.L1, Fraction(1))):
        result = certify_radius(model, [1.0, 1.0], norm=norm)
        assert result.status == "optimal"
        assert (1 - TOLERANCE) * radius <= Fraction(result.radius) <= radius
        assert Fraction(result.limit) >= radius
        assert result.adversarial is not None
        assert radius <= Fraction(result.adversarial.distance) <= radius * (1 + Fraction(1, 10**6))
        if norm is Norm.LINF:  # bounds of the one linear piece are exact up to rounding
            assert (result.radius_kind, result.solves) == ("rigorous", 0)


def test_nothing_to_change() -> None:
    constant = from_weights([np.zeros((2, 2))], [np.array([1.0, 0.0])])
    result = certify_radius(constant, [0.5, 0.5], clip=(0, 1))
    assert (result.status, result.radius, result.limit, result.adversarial) == ("max_radius", 0.5, 0.5, None)
    assert certify_radius(constant, [0.5, 0.5], max_radius=0.25).radius == 0.25
    assert certify_radius(constant, [0.5, 0.5]).radius == 2.0**20
    assert result.to_dict()["classes"] == [{"output": 1, "margin": 1.0, "radius": 0.5, "limit": None}]


def test_labels() -> None:
    model = from_weights([np.eye(3)], [np.zeros(3)])
    assert certify_radius(model, [0.0, 2.0, 1.0]).label == 1
    wrong = certify_radius(model, [0.0, 2.0, 1.0], label=0)
    assert (wrong.status, wrong.radius, wrong.certified) == ("misclassified", 0.0, False)
    tied = certify_radius(model, [2.0, 2.0, 1.0])
    assert (tied.status, tied.radius, tied.limit) == ("misclassified", 0.0, 0.0)
    with pytest.raises(QueryError, match=r"no output y\[3\]"):
        certify_radius(model, [0.0, 2.0, 1.0], label=3)


def test_a_time_limit_leaves_a_valid_pair() -> None:
    found = case(1, "generic")
    assert found is not None
    net, center = found
    result = certify_radius(from_weights(*net), center, clip=(-1, 1), options=Options(time_limit=0.0))
    assert result.status == "time_limit"
    assert 0 < result.radius <= exact_radius(net, center, result.label, "linf", -1.0, 1.0) <= result.limit


@pytest.mark.parametrize(
    ("center", "options", "words"),
    [
        ([0.0], {}, "1 entries"),
        ([0.0, inf], {}, "infinite"),
        ([0.0, 2.0], {"clip": (0.0, 1.0)}, "outside the clip: entry 1"),
        ([0.0, 0.0], {"clip": (1.0, 1.0)}, "clip ranges"),
        ([0.0, 0.0], {"clip": (0.0, inf)}, "clip ranges"),
        ([0.0, 0.0], {"norm": Norm.L2}, "l_inf or l_1"),
        ([0.0, 0.0], {"tolerance": 0.0}, "tolerance"),
        ([0.0, 0.0], {"max_radius": -1.0}, "largest radius"),
        ([0.0, 0.0], {"max_radius": inf}, "largest radius"),
    ],
)
def test_calls_that_make_no_sense(center: list[float], options: dict[str, object], words: str) -> None:
    with pytest.raises(QueryError, match=words):
        certify_radius(from_weights([np.eye(2)], [np.zeros(2)]), center, **options)  # type: ignore[arg-type]


def test_only_classifiers() -> None:
    with pytest.raises(QueryError, match="no classes"):
        certify_radius(from_weights([np.ones((1, 2))], [np.zeros(1)]), [0.0, 0.0])
    asked = lipc.Query(output=0).ask(from_weights([np.eye(2)], [np.zeros(2)]).program)
    with pytest.raises(QueryError, match="question of its own"):
        certify_radius(asked, [0.0, 0.0])


def test_what_is_written_says_what_was_asked() -> None:
    network = lipc.from_weights([np.eye(2)], [np.zeros(2)])
    record = certify_radius(network, [1.0, 0.0], norm=Norm.L1, clip=(0, 2), max_radius=0.25).to_dict()
    assert record["schema"] == 1
    query = {"objective": "radius", "norm": "l1", "center": [1.0, 0.0], "clip": [0, 2], "max_radius": 0.25}
    assert {**query, "model": network.source} == record["query"]
    assert record["model"] == {"path": None, "files": [], "drop_softmax": False, "input_shape": [2]}
