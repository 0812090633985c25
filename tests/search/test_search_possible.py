"""Which states are possible: never refuted where a region has them, whatever the engine says; and what is learned."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from lipc.bounds.engine import Engine
from lipc.bounds.quadratic import FREE
from lipc.bounds.unrolled import unroll
from lipc.certify import Regions
from lipc.ir import Floats, Program
from lipc.search.conflicts import States
from lipc.search.possible import Possible
from tests import oracle
from tests.ir.sample_programs import dense
from tests.nets import KINDS, Network, NetworkKind, random_network

WIDTHS = (2, 4, 3, 1)


def possible_of(program: Program) -> Possible:
    return Possible(program, unroll(program).places, np.inf)


def patterns(net: Network) -> States:
    """Return the patterns of all regions, by enumeration."""
    inputs = net.weights[0].shape[1]
    found, _ = oracle.regions(net.weights, net.biases, -np.ones(inputs), np.ones(inputs))
    return np.array([np.concatenate(region.patterns) for region in found], np.int8)


def partial(rng: np.random.Generator, bits: int) -> States:
    return np.where(rng.random(bits) < rng.random(), rng.integers(0, 2, bits), FREE).astype(np.int8)


def check_conflicts(possible: Possible, regions: States) -> None:
    """No region has states that were learned to be impossible."""
    for pattern in regions:
        assert possible.conflicts.imply(pattern) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_no_region_is_refuted(kind: NetworkKind) -> None:
    for seed in range(2):
        net, rng = random_network(seed, WIDTHS, kind), np.random.default_rng(seed)
        possible, regions = possible_of(dense(net).program), patterns(net)
        bits = regions.shape[1]
        refuted = 0
        # A neuron that is 0 on a whole region is off, for the enumeration as for lipc.
        for states in [partial(rng, bits) for _ in range(40)] + [region.copy() for region in regions[:20]]:
            known = states != FREE
            present = (regions[:, known] == states[known]).all(axis=1).any()
            found, x = possible.point(states)
            refuted += not found
            assert found or not present
            if x is not None:
                assert (np.abs(x) <= 1 + 1e-9).all()
            if possible.shown.allows(states):
                assert found
        check_conflicts(possible, regions)
        assert refuted or kind in ("zero biases", "identity as a difference", "zero as a difference", "dead layer")


def test_states_and_bits_are_those_of_the_network() -> None:
    net = random_network(1, WIDTHS)
    possible = possible_of(dense(net).program)
    points = np.random.default_rng(1).uniform(-1, 1, (50, 2))
    states = possible.states_at(points)
    hidden = np.maximum(points @ net.weights[0].T + net.biases[0], 0) @ net.weights[1].T + net.biases[1]
    np.testing.assert_array_equal(states[:, 4:], hidden > 0)
    bits = possible.bits(states[0])
    np.testing.assert_array_equal(np.concatenate(list(bits.values())), states[0] > 0)
    decided = possible.decided()
    assert ((states == decided) | (decided == FREE)).all()


class Lies:
    """What an engine may say at worst: that there is no point, with numbers of any kind for a proof."""

    def __init__(self, seed: int) -> None:
        self.rng, self.rays = np.random.default_rng(seed), 0

    def ray(self, engine: Engine) -> Floats:
        self.rays += 1
        rows = engine._highs.getNumRow()
        true = np.array(engine._highs.getDualRay()[2]) if engine._highs.getDualRay()[1] else np.zeros(0)
        ray = true if len(true) == rows else self.rng.normal(size=rows)
        kind = self.rays % 5
        if kind == 0:
            return np.full(rows, np.nan)
        if kind == 1:
            return ray * self.rng.choice([-1.0, 1.0], rows)
        if kind == 2:
            return ray + 1e-3 * self.rng.normal(size=rows)
        return 10.0 ** self.rng.uniform(-9, 9, rows) * self.rng.choice([-1.0, 0.0, 1.0], rows)


@pytest.mark.parametrize("kind", ["generic", "integer weights", "zero biases"])
def test_an_engine_that_lies_removes_no_region(kind: NetworkKind, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(2):
        net, lies = random_network(seed, WIDTHS, kind), Lies(seed)
        possible, regions = possible_of(dense(net).program), patterns(net)
        with monkeypatch.context() as patch:
            honest = Engine.minimize
            # It is solved, so that there are rays to corrupt.
            patch.setattr(Engine, "minimize", lambda engine, *args, solve=honest: solve(engine, *args) and None)
            patch.setattr(Engine, "ray", lambda engine, lies=lies: lies.ray(engine))
            for region in regions[:30]:
                for cut in (0.0, 0.3, 0.7):
                    states = np.where(lies.rng.random(len(region)) < cut, FREE, region).astype(np.int8)
                    found, x = possible.point(states)
                    assert found
                    assert x is None
            for _ in range(40):
                possible.point(partial(lies.rng, regions.shape[1]))
        assert lies.rays > 50
        check_conflicts(possible, regions)


@pytest.mark.parametrize("kind", ["zero biases", "opposite neurons", "identity as a difference"])
def test_conflicts_of_regions_without_interior_are_learned(kind: NetworkKind) -> None:
    net = random_network(2, WIDTHS, kind)
    program = dense(net).program
    possible, regions = possible_of(program), patterns(net)
    prover, learned = Regions(program), 0
    for bits in product((0, 1), repeat=regions.shape[1]):
        pattern = np.array(bits, np.int8)
        for conflict in prover.widest(possible.bits(pattern), prove=True).conflicts:
            possible.learn(conflict)
            learned += 1
            assert possible.conflicts.imply(pattern) is None
    assert learned
    check_conflicts(possible, regions)


def test_without_time_nothing_is_refuted() -> None:
    net = random_network(0, WIDTHS)
    program = dense(net).program
    possible = Possible(program, unroll(program).places, 0.0)
    for seed in range(20):
        states = partial(np.random.default_rng(seed), len(possible.places))
        decided = possible.decided()
        if ((states == FREE) | (decided == FREE) | (states == decided)).all():
            assert possible.point(states)[0]
    assert not possible.conflicts.count
