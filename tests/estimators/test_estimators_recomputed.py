"""Numbers of the estimators against the same methods written anew in numpy, on random networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import lipc
from lipc import Functional, Norm, Query, box
from lipc.estimators.base import Limits
from lipc.estimators.catalogue import ESTIMATORS
from tests.estimators import recomputed
from tests.estimators.recomputed import Net
from tests.nets import KINDS, random_network

WEIGHTS = np.array([2.0, -1.0])
ANEW: dict[str, Callable[[Net, str], float]] = {
    "fastlip": recomputed.fastlip,
    "fastlip{bounds=linear}": lambda net, norm: recomputed.fastlip(net, norm, linear=True),
    "recurjac": recomputed.recurjac,
    "jacobian-crown": recomputed.jacobian_crown,
    "zlip": recomputed.zlip,
}


def network(seed: int) -> tuple[Net, lipc.Network]:
    """A random network of every kind in turn, over a box around 0 that leaves some neurons stable."""
    rng = np.random.default_rng(1000 + seed)
    kind = KINDS[seed % 7]
    widths = [(3, 6, 5, 2), (4, 7, 6, 5, 2), (3, 8, 2)][seed % 3]
    weights, biases = random_network(seed, widths, kind)
    radius = rng.uniform(0.05, 1.0, widths[0])
    center = rng.normal(size=widths[0]) * 0.3
    last = (WEIGHTS @ weights[-1])[None]
    net = Net([*weights[:-1], last], [*biases[:-1], biases[-1] @ WEIGHTS[:, None]], (center - radius, center + radius))
    return net, lipc.from_weights(weights, biases)


def check(seed: int, method: str, norm: str) -> None:
    net, model = network(seed)
    query = Query(box(*net.box), Functional(dict(enumerate(WEIGHTS))), Norm(norm))
    program = query.ask(model.program)
    (estimator,) = ESTIMATORS.parse(method, "method")
    value = estimator.estimate(program, Limits()).value
    assert value == pytest.approx(ANEW[method](net, norm), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("method", list(ANEW))
@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
@pytest.mark.parametrize("seed", range(7))
def test_a_few_networks(seed: int, method: str, norm: str) -> None:
    check(seed, method, norm)


@pytest.mark.slow
@pytest.mark.parametrize("method", list(ANEW))
@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
def test_many_networks(method: str, norm: str) -> None:
    for seed in range(7, 207):
        # Bounds that are 0 but for rounding are of one sign or of both, and RecurJac jumps there.
        if method != "recurjac" or KINDS[seed % 7] != "integer weights":
            check(seed, method, norm)


def relaxed(seed: int) -> None:
    net, model = network(seed)
    program = Query(box(*net.box), Functional(dict(enumerate(WEIGHTS)))).ask(model.program)
    (estimator,) = ESTIMATORS.parse("liplp{mode=reverse,level=1}", "method")
    value = estimator.estimate(program, Limits()).value
    # HiGHS solves both to 1e-7, absolutely.
    assert value == pytest.approx(recomputed.liplp(net), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("seed", range(7))
def test_the_linear_relaxation_of_a_few_networks(seed: int) -> None:
    relaxed(seed)


@pytest.mark.slow
def test_the_linear_relaxation_of_many_networks() -> None:
    for seed in range(7, 107):
        relaxed(seed)
