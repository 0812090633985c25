"""Better points from nodes: what they lean to, what a look may cost, and that it finds what the start did not."""

from __future__ import annotations

import numpy as np
import pytest

from lipc.bounds.quadratic import FREE
from lipc.bounds.sdp import Sdp, first_multipliers
from lipc.ir import Lipschitz, Norm, evaluate
from lipc.search import incumbents
from lipc.search.branching import BranchAndBound
from lipc.search.incumbents import Incumbents
from tests.ir.sample_programs import dense
from tests.nets import random_network


def tree_of(seed: int, points: list[np.ndarray] | None = None) -> BranchAndBound:
    program = dense(random_network(seed, (4, 8, 8, 1)), norm=Norm.LINF).program
    taken = [] if points is None else points
    return BranchAndBound(program, lambda: 0.0, taken.append, np.inf)


@pytest.mark.parametrize("seed", range(4))
def test_bits_lean_to_the_state_that_the_maximizer_violates_less(seed: int) -> None:
    """Recomputed from the network's weights, with a direction and what each neuron passes on."""
    tree = tree_of(seed)
    unrolled = tree.unrolled
    states = np.full(len(unrolled.places), FREE, np.int8)
    quadratic = tree._restrict(0, np.full(4, np.nan), states)
    sdp = Sdp(quadratic)
    point = sdp.at(quadratic.select(first_multipliers(unrolled, quadratic), 4))
    assert point is not None
    v, u = point.y[:4], np.zeros(unrolled.switches)
    u[quadratic.switches] = point.y[4:]
    received = unrolled.direct @ v + unrolled.through @ u
    lean = tree.incumbents.lean(quadratic, point)
    for place, switch in zip(unrolled.bits[quadratic.switches], quadratic.switches, strict=True):
        off, on = abs(u[switch]), abs(u[switch] - received[switch])
        if abs(off - on) > 1e-6 * (off + on):
            assert (lean[place] > 0) == (on < off)
    assert np.abs(lean).max() == 1.0


def test_a_leaning_point_has_the_states_that_are_decided() -> None:
    tree = tree_of(1)
    decided = np.full(len(tree.unrolled.places), FREE, np.int8)
    somewhere = tree.possible.inside.sample(np.random.default_rng(0), 1)
    decided[:3] = tree.possible.states_at(somewhere)[0][:3]
    x = tree.possible.likely_point(decided, np.zeros(len(decided)))
    assert x is not None
    first = next(iter(tree.possible.conditionals))
    sums = evaluate(tree.program, {tree.possible.input: x[None]})[tree.program.ops[first].operands[0]][0]
    assert (np.where(decided[:3] == 1, sums[:3], -sums[:3]) >= -1e-6).all()


def test_a_bit_that_leans_alone_is_what_it_leans_to() -> None:
    """The relaxation of a bit is 1 only where its neuron is on, and 0 only where it is off."""
    tree = tree_of(2)
    free = np.full(len(tree.unrolled.places), FREE, np.int8)
    first = next(iter(tree.possible.conditionals))
    undecided = np.flatnonzero(tree.possible.decided() == FREE)
    assert len(undecided) > 4
    for place in undecided.tolist():
        value, entry = tree.unrolled.places[place]
        if value != first:
            continue
        for side in (1.0, -1.0):
            x = tree.possible.likely_point(free, side * (np.arange(len(free)) == place))
            assert x is not None
            sums = evaluate(tree.program, {tree.possible.input: x[None]})[tree.program.ops[value].operands[0]][0]
            assert side * sums[entry] >= -1e-6


def test_looks_cost_no_more_than_their_share_of_the_nodes() -> None:
    tree = tree_of(3)
    look = incumbents.WALK + incumbents.PROGRAMS
    assert look <= incumbents.AT_FIRST
    for nodes in (0, 100, 1000, 10000):
        while tree.incumbents.is_due(nodes):
            tree.incumbents.spent += look
        allowed = incumbents.AT_FIRST + incumbents.SHARE * nodes
        assert allowed - look < tree.incumbents.spent <= allowed


def test_a_look_is_the_same_every_time_and_counts_its_programs() -> None:
    found = []
    for _ in range(2):
        tree = tree_of(4)
        states = np.full(len(tree.unrolled.places), FREE, np.int8)
        quadratic = tree._restrict(0, np.full(4, np.nan), states)
        point = Sdp(quadratic).at(quadratic.select(first_multipliers(tree.unrolled, quadratic), 4))
        assert point is not None
        searched = Incumbents(tree.program, Lipschitz(Norm.LINF), tree.unrolled, np.inf)
        best = searched.near(states, quadratic, point, tree.possible)
        assert best is not None
        assert best.value == pytest.approx(tree._norm_at(best.x), rel=1e-12)
        assert incumbents.WALK <= searched.spent <= incumbents.WALK + incumbents.PROGRAMS
        found.append((best.value, searched.spent))
    assert found[0] == found[1]


def test_the_search_is_told_of_points_that_the_relaxation_of_a_node_does_not_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without other points looks alone bring the largest gradient near the answer."""
    monkeypatch.setattr(BranchAndBound, "_may_be", lambda *_: True)
    points: list[np.ndarray] = []
    tree = tree_of(5, points)
    tree.relax()
    tree.run(most_nodes=60)
    best = max(map(tree._norm_at, points))
    sampled = tree.possible.inside.sample(np.random.default_rng(1), 20)
    assert best > max(map(tree._norm_at, sampled))
