"""Regions of all patterns of small networks, against their enumeration."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from spread import spread

from lipc.bounds.lp import LinearProgram, LinearSolution
from lipc.certify import Conflict, Regions
from lipc.ir import Builder, Conditional, Floats, Norm, Polytope, Program, evaluate
from tests.ir.sample_programs import dense
from tests.nets import KINDS, Network, random_network
from tests.oracle import regions

Pattern = dict[int, NDArray[np.bool_]]


class Enumerated(NamedTuple):
    """What enumeration knows: for each region its bits, and which of them do not matter there (a zero function)."""

    regions: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]

    def holds(self, bits: NDArray[np.bool_], named: NDArray[np.bool_] | None = None) -> bool:
        """Return whether some region has these bits, as far as they are named and matter."""
        asked = np.ones(len(bits), bool) if named is None else named
        return any((~asked | zero | (active == bits)).all() for active, zero in self.regions)


def enumerated(network: Network, low: Floats, high: Floats) -> Enumerated:
    found, thin = regions(*network, low, high)
    assert not thin
    known = []
    for region in found:
        points, zeros = region.vertices, []
        for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
            sums = points @ weight.T + bias
            zeros.append(np.abs(sums).max(axis=0) < 1e-11)
            points = np.maximum(sums, 0)
        known.append((np.concatenate(region.patterns), np.concatenate(zeros)))
    return Enumerated(known)


def patterns(program: Program) -> list[Pattern]:
    sizes = {value: program.ops[value].size for value in program.find(Conditional)}
    cuts = np.cumsum(list(sizes.values()))[:-1]
    return [
        dict(zip(sizes, np.split(np.array(bits), cuts), strict=True))
        for bits in product((False, True), repeat=sum(sizes.values()))
    ]


def named_bits(program: Program, conflict: Conflict) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the bits of a conflict, and which of all bits it names."""
    bits, named = [], []
    for value in program.find(Conditional):
        ones, mask = np.zeros(program.ops[value].size, bool), np.zeros(program.ops[value].size, bool)
        if value in conflict.bits:
            entries, known = conflict.bits[value]
            ones[entries], mask[entries] = known, True
        bits.append(ones)
        named.append(mask)
    return np.concatenate(bits), np.concatenate(named)


CASES = [
    (kind, seed, widths)
    for kind in KINDS
    for seed, widths in enumerate([[2, 4, 2, 1], [1, 3, 3, 1], [3, 6, 1], [2, 2, 2, 2, 1]])
    if seed == 0 or "as a difference" not in kind
]


@pytest.mark.parametrize("case", spread(CASES, every=3), ids=str)
def test_every_pattern_is_found_or_refuted_rightly(case: tuple[str, int, list[int]]) -> None:
    kind, seed, widths = case
    network = random_network(seed, widths, kind)  # type: ignore[arg-type]
    sample = dense(network)
    known = enumerated(network, sample.domain.lower, sample.domain.upper)
    searched = Regions(sample.program)
    empty = proven = 0
    for pattern in patterns(sample.program):
        bits = np.concatenate(list(pattern.values()))
        region = searched.widest(pattern, prove=True)
        if known.holds(bits):
            assert region.conflict is None
            assert region.point is not None
            assert has_pattern(sample.program, region.point, pattern, known)
            continue
        empty += 1
        proven += region.conflict is not None
        for conflict in region.conflicts:
            ones, named = named_bits(sample.program, conflict)
            assert (ones == bits)[named].all()
            assert not known.holds(bits, named)
    assert proven >= 0.95 * empty


def has_pattern(program: Program, point: Floats, pattern: Mapping[int, NDArray[np.bool_]], known: Enumerated) -> bool:
    """Return whether a point has the bits of a pattern, but for neurons that are zero all around."""
    values = evaluate(program, {0: point})
    operands = np.concatenate([values[program.ops[value].operands[0]][0] for value in pattern])
    bits = np.concatenate(list(pattern.values()))
    right = np.where(bits, operands > 0, operands < 0)
    return any(((right | zero) & ((active == bits) | zero)).all() for active, zero in known.regions)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_proof_the_same_points(kind: str) -> None:
    network = random_network(1, [2, 4, 2, 1], kind)  # type: ignore[arg-type]
    program = dense(network).program
    searched = Regions(program)
    for pattern in patterns(program):
        asked, proved = searched.widest(pattern), searched.widest(pattern, prove=True)
        assert (asked.point is None) == (proved.point is None)
        assert asked.conflict is None


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_norm_of_a_pattern(norm: Norm, outputs: int) -> None:
    network = random_network(2, [3, 4, 2, outputs])
    program = dense(network).program
    for pattern in patterns(program)[::5]:
        product_of_layers = network.weights[0]
        for weight, bits in zip(network.weights[1:], pattern.values(), strict=True):
            product_of_layers = weight @ (bits[:, None] * product_of_layers)
        rows = [[Fraction(entry) for entry in row] for row in exact_product(network, pattern)]
        sizes = [sum(map(abs, row)) if norm is Norm.LINF else max(map(abs, row)) for row in rows]
        bound = Regions(program).norm_bound(pattern, norm)
        magnitudes = np.abs(product_of_layers)
        size = magnitudes.sum(axis=1).max() if norm is Norm.LINF else magnitudes.max()
        assert Fraction(bound) >= max(sizes)
        assert bound == pytest.approx(size, rel=1e-13)


def exact_product(network: Network, pattern: Pattern) -> list[list[Fraction]]:
    """Return the Jacobian of a pattern in rational numbers."""
    rows = [[Fraction(entry) for entry in row] for row in network.weights[0].tolist()]
    for weight, bits in zip(network.weights[1:], pattern.values(), strict=True):
        kept = [row if bit else [Fraction(0)] * len(row) for row, bit in zip(rows, bits, strict=True)]
        columns = list(zip(*kept, strict=True))
        rows = [
            [
                sum((Fraction(w) * slope for w, slope in zip(line, column, strict=True)), Fraction(0))
                for column in columns
            ]
            for line in weight.tolist()
        ]
    return rows


def test_the_widest_point_is_in_the_middle() -> None:
    # relu(x), relu(1 - x) both active on (0, 1): the widest point is 1/2.
    program = dense(Network([np.array([[1.0], [-1.0]]), np.ones((1, 2))], [np.array([0.0, 1.0]), np.zeros(1)])).program
    (value,) = program.find(Conditional)
    found = Regions(program).widest({value: np.array([True, True])})
    assert found.point is not None
    assert found.point[0] == pytest.approx(0.5)


def test_a_conflict_names_what_its_proof_rests_on() -> None:
    # The second neuron of the first layer has nothing to do with x < 0 and x > 0 at once.
    weights = [np.array([[1.0, 0.0], [0.3, 0.7], [-1.0, 0.0]]), np.ones((1, 3))]
    program = dense(Network(weights, [np.zeros(3), np.zeros(1)])).program
    (value,) = program.find(Conditional)
    for middle in (True, False):
        region = Regions(program).widest({value: np.array([True, middle, True])}, prove=True)
        assert region.point is None
        assert region.conflict is not None
        entries, bits = region.conflict.bits[value]
        assert entries.tolist() == [0, 2]
        assert bits.tolist() == [True, True]


def test_a_conflict_with_the_box() -> None:
    # x + 3 > 0 on [-1, 1]: the bit 0 is refuted by the box alone; so is a constant of the other sign.
    network = Network([np.array([[1.0], [0.0]]), np.ones((1, 2))], [np.array([3.0, -2.0]), np.zeros(1)])
    program = dense(network).program
    (value,) = program.find(Conditional)
    for pattern, named in (([False, False], [0]), ([True, True], [1])):
        region = Regions(program).widest({value: np.array(pattern)}, prove=True)
        assert region.conflict is not None
        assert region.conflict.bits[value][0].tolist() == named


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_linear_program_claims_is_not_believed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The solver says of every pattern that it is empty, with arbitrary multipliers: few numbers, so that some of them
    # come close to a proof.
    rng = np.random.default_rng(0)

    def lie(program: LinearProgram, _: float) -> LinearSolution:
        rows = program.matrix.shape[0]
        multipliers = rng.integers(0, 2, rows) * rng.choice([1.0, 2.0], rows)
        return LinearSolution(-1.0, np.zeros(len(program.cost)), multipliers)

    monkeypatch.setattr("lipc.certify.regions.solve_linear_program", lie)
    network = random_network(2, [2, 3, 2, 1], kind)  # type: ignore[arg-type]
    sample = dense(network)
    known = enumerated(network, sample.domain.lower, sample.domain.upper)
    searched = Regions(sample.program)
    for pattern in patterns(sample.program):
        for _ in range(8):
            region = searched.widest(pattern, prove=True)
            for conflict in region.conflicts:
                ones, named = named_bits(sample.program, conflict)
                assert not known.holds(ones, named)


@pytest.mark.parametrize("bit", [True, False])
def test_a_neuron_that_is_zero_by_cancellation_refutes_nothing(bit: bool) -> None:
    # (1e16 + 1 - 1e16 - 1) times the same neuron: exactly 0, whatever floating point makes of it.
    weights = [np.ones((4, 1)), np.array([[1e16, 1.0, -1e16, -1.0]]), np.ones((1, 1))]
    program = dense(Network(weights, [np.full(4, 5.0), np.zeros(1), np.zeros(1)])).program
    first, second = program.find(Conditional)
    region = Regions(program).widest({first: np.ones(4, bool), second: np.array([bit])}, prove=True)
    assert region.conflict is None


def test_touching_the_box_is_no_interior() -> None:
    # relu(x - 1) on [-1, 1] is active nowhere; with radius 1 + 1e-6 it is.
    network = Network([np.ones((1, 1)), np.ones((1, 1))], [-np.ones(1), np.zeros(1)])
    for radius, found in ((1.0, False), (1 + 1e-6, True)):
        program = dense(network, -radius, radius).program
        (value,) = program.find(Conditional)
        region = Regions(program).widest({value: np.array([True])}, prove=True)
        assert (region.point is not None) == found
        assert (region.conflict is not None) == (not found)


def test_rows_of_the_domain_prove_a_pattern_empty() -> None:
    builder = Builder()
    base = Polytope.simplex(2)
    x = builder.input(base)
    program = builder.program(builder.relu(builder.affine({x: [[1.0, 1.0], [1.0, -1.0]]}, [-1.5, 0.0])))
    (value,) = program.find(Conditional)
    inside = Regions(program).widest({value: np.array([False, True])}, prove=True)
    assert inside.point is not None
    assert inside.point[0] > inside.point[1]
    assert inside.point.sum() < 1
    outside = Regions(program).widest({value: np.array([True, True])}, prove=True)
    assert outside.point is None
    assert outside.conflict is not None
    assert {k: entries.tolist() for k, (entries, _) in outside.conflict.bits.items()} == {value: [0]}
