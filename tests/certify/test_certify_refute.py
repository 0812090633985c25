"""Proofs against patterns: which bits they name, and that networks not in general position are solved with them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

import lipc
from lipc import Query, box, from_weights
from lipc.certify import Regions
from lipc.certify.refute import Refuter, relu_readers
from lipc.ir import Builder, Conditional, Polytope, Program
from lipc.ir.exact import ExactInterpreter
from lipc.solvers.base import Outcome, Progress, Task
from lipc.solvers.scip import Scip
from tests import oracle
from tests.ir.sample_programs import dense
from tests.nets import ABSOLUTE, IDENTITY, KINDS, ZERO, Network, NetworkKind, random_network

Pattern = dict[int, NDArray[np.bool_]]


def pattern_of(program: Program, *bits: list[int]) -> Pattern:
    return {value: np.array(of, bool) for value, of in zip(program.find(Conditional), bits, strict=True)}


def named(program: Program, pattern: Pattern) -> list[dict[int, list[int]]]:
    """Return what each conflict of a pattern names, by layer."""
    layers = {value: layer for layer, value in enumerate(program.find(Conditional))}
    found = Regions(program).widest(pattern, prove=True).conflicts
    return [{layers[value]: entries.tolist() for value, (entries, _) in each.bits.items()} for each in found]


# Second layer: y0 + y1 + 1 and -y0 + 2 y1 - 8, of y = relu(x) on [-1, 1]^2.
SIGNS = Network([np.eye(2), np.array([[1.0, 1.0], [-1.0, 2.0]])], [np.zeros(2), np.array([1.0, -8.0])])
SIGNS = Network([*SIGNS.weights, np.ones((1, 2))], [*SIGNS.biases, np.zeros(1)])


@pytest.mark.parametrize("first", [[0, 0], [0, 1], [1, 0], [1, 1]])
def test_bits_that_only_help_are_not_named(first: list[int]) -> None:
    """A sum of ReLUs with coefficients of one sign is on that side whatever the bits are."""
    program = dense(SIGNS).program
    # y0 + y1 + 1 < 0: no bit of the first layer is needed.
    assert {1: [0]} in named(program, pattern_of(program, first, [0, 0]))
    # -y0 + 2 y1 - 8 > 0: the bit of y1 is, for with it off and y1 on the sum is another.
    assert {0: [1], 1: [1]} in named(program, pattern_of(program, first, [1, 1]))


def test_a_neuron_that_is_a_summand_and_is_read_is_not_named_if_both_cancel() -> None:
    # relu(x) and relu(-relu(x) + x / 2 - 1/4): that is nowhere positive, whatever the sign of x.
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(1), np.ones(1)))
    first = builder.relu(x)
    second = builder.relu(builder.affine({first: [[-1.0]], x: [[0.5]]}, -0.25))
    program = builder.program(builder.linear((1.0, first), (1.0, second)))
    for bit in (0, 1):
        assert {1: [0]} in named(program, pattern_of(program, [bit], [1]))


def test_where_the_sum_vanishes_the_bits_behind_a_gradient_are_named() -> None:
    """The zero function has either bit: a proof against it needs to know that it is not that."""
    # z = y0 - y1 of twins is 0 everywhere, whether both are on or off: neither bit of the second layer is refuted.
    twins = Network(
        [np.ones((2, 1)), np.array([[1.0, -1.0]]), np.ones((1, 1))], [np.zeros(2), np.zeros(1), np.zeros(1)]
    )
    program = dense(twins).program
    for both in ([0, 0], [1, 1]):
        for bit in (0, 1):
            assert named(program, pattern_of(program, both, [bit])) == []
    exact, pattern = ExactInterpreter(program), pattern_of(program, [0, 0], [1])
    relevant = {value: np.ones(len(bits), bool) for value, bits in pattern.items()}
    last = max(pattern)
    assert Refuter(exact, relevant, pattern, np.inf).prove({(last, 0): Fraction(1)}) is None
    assert Refuter(exact, relevant, pattern, np.inf).prove({(last, 0): Fraction(-1)}) is None


def test_bits_that_are_not_those_of_a_relu_are_all_named() -> None:
    # switch(x1, x0 > 0) + 2 < 0 holds nowhere; but as the sign of x1 is not that of the bit, the bit is named.
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(2), np.ones(2)))
    first, other = builder.select(x, [0]), builder.select(x, [1])
    bit = builder.conditional(first)
    gate = builder.switch(other, bit)
    program = builder.program(builder.relu(builder.linear((1.0, gate), bias=2.0)))
    assert relu_readers(program, bit) is None
    assert {0: [0], 1: [0]} in named(program, pattern_of(program, [1], [0]))


class Counted(Scip):
    """SCIP, and how often it was called."""

    rounds = 0

    def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
        self.rounds += 1
        return super().solve(task, on_progress)


def check(network: Network, low: float, high: float) -> int:
    """Compare a solved network with the enumeration; return how many rounds it took."""
    size = network.weights[0].shape[1]
    sides = np.full(size, low), np.full(size, high)
    answer = oracle.lipschitz(*network, *sides)
    if answer.thin:
        pytest.skip("the oracle does not vouch for this one")
    solver = Counted()
    result = lipc.solve(from_weights(*network), Query(box(*sides)), solver=solver)
    assert (result.status, result.certified) == ("optimal", True)
    assert result.lower == pytest.approx(answer.value, rel=1e-9, abs=1e-12)
    assert answer.value <= result.upper * (1 + 1e-12) <= answer.value * (1 + 3e-6) + 1e-9
    return solver.rounds


NESTED = Network([np.eye(2), np.eye(2), np.ones((1, 2))], [np.zeros(2), np.zeros(2), np.zeros(1)])


@pytest.mark.parametrize("network", [IDENTITY, ZERO, ABSOLUTE, NESTED])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (-1.0, 0.0)])
def test_ties(network: Network, low: float, high: float) -> None:
    """``relu(x) - relu(-x)`` and its like, ``relu(relu(x))``, with the kink inside and on the boundary of the box."""
    assert check(network, low, high) <= 2


@pytest.mark.parametrize("seed", range(3))
def test_networks_without_biases_are_closed(seed: int) -> None:
    assert check(random_network(seed, [4, 8, 6, 1], "zero biases"), -1.0, 1.0) <= 12


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_larger_networks_without_biases_are_closed(kind: NetworkKind, seed: int) -> None:
    drawn = random_network(seed, [4, 10, 8, 1] if seed % 2 else [3, 8, 6, 6, 1], kind)
    weights = [np.round(weight * 256) / 256 for weight in drawn.weights]  # sums that are 0 are so without rounding
    network = Network(weights, [np.zeros_like(bias) for bias in drawn.biases])
    for low, high in ((-1.0, 1.0), (0.0, 1.0)):
        assert check(network, low, high) <= 40
