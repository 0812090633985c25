"""States that a point shows to be possible are refuted by no program, and words hold any number of bits."""

from __future__ import annotations

import numpy as np
import pytest

from lipc.bounds.quadratic import FREE
from lipc.bounds.unrolled import unroll
from lipc.ir import Program
from lipc.search import shown
from lipc.search.possible import Possible
from tests.ir.sample_programs import dense, max_pool, mixed, residual
from tests.nets import random_network


def program_of(name: str, seed: int) -> Program:
    if name == "dense":
        return dense(random_network(seed, (3, 20, 21, 1))).program
    return {"residual": residual, "mixed": mixed, "max-pool": max_pool}[name](seed, 1).program


@pytest.mark.parametrize("name", ["dense", "residual", "mixed", "max-pool"])
def test_what_is_shown_is_not_refuted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MOST", 5)
    monkeypatch.setattr("lipc.search.possible.SAMPLES", 3)
    shows = silent = 0
    for seed in range(4):
        program, rng = program_of(name, seed), np.random.default_rng(seed)
        possible = Possible(program, unroll(program).places, np.inf)
        bits = len(possible.places)
        for _ in range(60):
            decided = rng.permutation(bits)[: int(rng.integers(1, 5))]
            states = np.full(bits, FREE, np.int8)
            states[decided] = rng.integers(0, 2, len(decided))
            if possible.shown.allows(states):
                shows += 1
                assert possible.point(states)[0]
            else:
                silent += 1
                if possible.point(states)[0]:
                    assert possible.shown.allows(states)  # by the point that was found just now
    assert shows > 10
    assert silent > 10
