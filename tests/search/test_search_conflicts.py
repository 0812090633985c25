"""Conflicts: what follows from them, against all assignments."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from lipc.bounds import compiled
from lipc.bounds.quadratic import FREE
from lipc.search.conflicts import Conflicts, States, lacking

BITS = 7
ALL = np.array(list(product((0, 1), repeat=BITS)), np.int8)


@pytest.fixture(autouse=True, params=["numpy", "compiled"])
def code(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with both codes."""
    if request.param == "compiled":
        monkeypatch.setattr("lipc.search.conflicts.lacking", compiled.lacking)


def random_conflicts(rng: np.random.Generator, count: int) -> tuple[Conflicts, list[tuple[NDArray[np.int64], States]]]:
    kept, conflicts = [], Conflicts(BITS)
    for _ in range(count):
        bits = np.sort(rng.permutation(BITS)[: int(rng.integers(1, 5))])
        kept.append((bits, rng.integers(0, 2, len(bits)).astype(np.int8)))
        conflicts.add(*kept[-1])
    return conflicts, kept


def allowed(kept: list[tuple[NDArray[np.int64], States]]) -> States:
    """Return the assignments without a conflict."""
    possible = np.ones(len(ALL), bool)
    for bits, states in kept:
        possible &= (ALL[:, bits] != states).any(axis=1)
    return ALL[possible]


def test_what_follows_holds_of_every_assignment_without_a_conflict() -> None:
    refuted = decided = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        conflicts, kept = random_conflicts(rng, int(rng.integers(0, 200 if seed % 10 == 0 else 12)))
        states = np.where(rng.random(BITS) < 0.4, rng.integers(0, 2, BITS), FREE).astype(np.int8)
        before = states.copy()
        known = states != FREE
        left = allowed(kept)
        left = left[(left[:, known] == states[known]).all(axis=1)]
        implied = conflicts.imply(states)
        np.testing.assert_array_equal(states, before)
        if implied is None:
            refuted += 1
            assert not len(left)
            continue
        assert (implied[known] == states[known]).all()
        now = implied != FREE
        decided += int(now.sum() - known.sum())
        assert (left[:, now] == implied[now]).all()
        for bits, wanted in kept:  # nothing more follows of a single conflict
            differs, free = (implied[bits] != wanted) & (implied[bits] != FREE), implied[bits] == FREE
            assert differs.any() or free.sum() > 1
    assert refuted > 30
    assert decided > 30


def test_a_bit_that_may_have_neither_state_is_a_conflict() -> None:
    conflicts = Conflicts(2)
    for state in (0, 1):
        conflicts.add(np.array([0, 1]), np.array([1, state], np.int8))
    assert conflicts.imply(np.array([1, FREE], np.int8)) is None
    assert conflicts.imply(np.array([FREE, FREE], np.int8)) is not None
    implied = conflicts.imply(np.array([FREE, 0], np.int8))
    assert implied is not None
    assert implied.tolist() == [0, 0]


def test_a_conflict_of_no_bits_refutes_everything() -> None:
    conflicts = Conflicts(3)
    assert conflicts.imply(np.full(3, FREE, np.int8)) is not None
    conflicts.add(np.zeros(0, np.int64), np.zeros(0, np.int8))
    assert conflicts.imply(np.full(3, FREE, np.int8)) is None


def test_conflicts_of_several_words() -> None:
    """130 bits take five words; of each conflict all bits but one are as it says, or two."""
    rng = np.random.default_rng(5)
    conflicts = Conflicts(130)
    states = np.full(130, FREE, np.int8)
    follow = []
    for k, bits in enumerate(rng.permutation(130).reshape(13, 10)):
        conflicts.add(bits, np.ones(10, np.int8))
        states[bits[: 9 - k % 2]] = 1
        follow += [] if k % 2 else [bits[9]]
    expected = states.copy()
    expected[follow] = 0
    np.testing.assert_array_equal(conflicts.imply(states), expected)


def test_both_codes_find_the_same() -> None:
    rng = np.random.default_rng(6)
    for count in (0, 1, 50):
        wanted = rng.integers(0, 2**63, (3, 64), dtype=np.uint64) & rng.integers(0, 2**63, (3, 64), dtype=np.uint64)
        for share in (1.0, 0.97, 0.5):
            flags = rng.random(192) < share
            had = np.packbits(flags).view(np.uint64)
            slow, fast = lacking(wanted, count, had), compiled.lacking(wanted, count, had)
            assert (slow is None) == (fast is None)
            if slow is not None:
                np.testing.assert_array_equal(slow, fast)
