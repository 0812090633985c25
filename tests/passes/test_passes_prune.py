from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from lipc.ir import (
    Affine,
    Builder,
    Conditional,
    Floats,
    Input,
    Interval,
    Kind,
    Origin,
    Polytope,
    Program,
    Switch,
    evaluate,
)
from lipc.passes.bounds import Bounds
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import run_passes
from tests.ir.sample_programs import Sample, dense, max_pool, mixed, residual
from tests.nets import Network, random_network


def with_biases(seed: int, widths: list[int], *biases: list[float]) -> Network:
    """Return a network on [-1, 1] whose hidden pre-activations vary by less than 1 around the given numbers."""
    weights = [0.2 * weight for weight in random_network(seed, widths).weights]
    center, offsets = np.zeros(widths[0]), []
    for weight, bias in zip(weights[:-1], biases, strict=True):
        offsets.append(np.array(bias) - weight @ center)
        center = np.maximum(np.array(bias), 0)
    return Network(weights, [*offsets, np.zeros(widths[-1])])


ON, OFF, OPEN = 5.0, -5.0, 0.0


def kinds(program: Program) -> list[str]:
    return [type(op).__name__ for op in program.ops]


def pruned(program: Program) -> Program:
    return run_passes(program, [Fuse(), Bounds("interval"), PruneStable(), Fuse()]).program


@pytest.mark.parametrize("states", list(product([ON, OFF], repeat=3)))
def test_a_stable_network_is_one_affine_map(states: tuple[float, ...]) -> None:
    network = with_biases(0, [3, 3, 2, 2], list(states), [ON, states[0]])
    program = pruned(dense(network).program)
    # A layer with a single neuron left is a product of two thin matrices, which is not multiplied out.
    thin = states.count(ON) == 1 or (states[0] == OFF and ON in states)
    assert kinds(program) == ["Input", "Affine", "Affine"][: 3 if thin else 2]
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    np.testing.assert_allclose(evaluate(program, {0: points})[program.result], network(points), atol=1e-14)


def test_an_unstable_network_keeps_its_unstable_bits_only() -> None:
    network = with_biases(1, [3, 6, 4, 1], [OPEN, ON, OFF, OPEN, ON, OPEN], [OFF, OPEN, OPEN, ON])
    program = pruned(dense(network).program)
    first, second = program.find(Conditional)
    assert [program.ops[first].size, program.ops[second].size] == [3, 2]
    assert kinds(program) == ["Input", "Affine", "Conditional", "Switch", "Affine", "Conditional", "Switch", "Affine"]
    # The second layer reads the switches, and the neurons that are on as affine functions of the input.
    reading = program.ops[4]
    assert isinstance(reading, Affine)
    assert {term.operand: term.matrix.shape for term in reading.terms} == {0: (2, 3), 3: (2, 3)}
    # Names still say which neuron of the network is meant.
    for value, kept in ((first, [0, 3, 5]), (second, [1, 2])):
        for same in (value, value + 1, value - 1):
            origin = program.ops[same].origin
            np.testing.assert_array_equal(origin.entries(program.ops[same].size), kept)
        assert program.ops[value].origin.name == f"relu{0 if value == first else 1}"


def test_entries_that_nobody_reads_go() -> None:
    rng = np.random.default_rng(2)
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(3), np.ones(3)))
    hidden = builder.relu(builder.affine({x: rng.normal(size=(5, 3))}))
    result = builder.affine(
        {builder.relu(builder.affine({hidden: rng.normal(size=(4, 5)) * [1, 0, 1, 0, 1]})): [[1, 0, 0, 2]]}
    )
    program = PruneStable().apply(builder.program(result)).program
    assert [program.ops[value].size for value in program.find(Conditional)] == [3, 2]
    assert program.ops[0].size == 3


def test_twice_named_neurons_are_numbered_by_the_first_program() -> None:
    # Prune by interval bounds, then by tighter ones: numbers are still those of the first program.
    network = with_biases(3, [2, 5, 1], [OPEN, OFF, OPEN, ON, OPEN])
    program = pruned(dense(network).program)
    (bits,) = program.find(Conditional)
    known = {
        value: Interval(np.zeros(3), np.ones(3))
        if value == bits
        else Interval(np.full(op.size, -9.0), np.full(op.size, 9.0))
        for value, op in enumerate(program.ops)
    }
    known[bits].upper[1] = 0.0
    again = PruneStable().apply(program.with_bounds(known)).program
    (bits,) = again.find(Conditional)
    np.testing.assert_array_equal(again.ops[bits].origin.entries(2), [0, 4])


SAMPLES: dict[str, Sample] = {
    "dense": dense(random_network(0, [4, 8, 8, 1]), -0.5, 0.6),
    "dense, two outputs": dense(random_network(1, [4, 8, 8, 2]), 0.3, 0.6),
    "residual": residual(1, outputs=2),
    "max pool": max_pool(2),
    "mixed": mixed(3),
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_network_and_jacobian_share_their_bits(name: str, mode: Mode) -> None:
    program = SAMPLES[name].program
    reduced = run_passes(program, [Fuse(), Bounds(), PruneStable(), Fuse()]).program
    lowered = run_passes(reduced, [Jacobian(mode), Bounds(), PruneStable(), Fuse()]).program
    own = [value for value in lowered.find(Conditional) if lowered.ops[value].origin.name != "sign"]
    before = {reduced.ops[value].origin.name: reduced.ops[value].size for value in reduced.find(Conditional)}
    assert sum(lowered.ops[value].size for value in own) <= sum(
        reduced.ops[value].size for value in reduced.find(Conditional)
    )
    assert {lowered.ops[value].origin.name for value in own} <= set(before)
    users = lowered.users()
    shared = 0
    for value in own:
        switches = [user for user in users[value] if isinstance(lowered.ops[user], Switch)]
        for user in switches:
            assert lowered.ops[user].size == lowered.ops[value].size
        shared += len(switches) > 1
    # The values of the last layer are needed by nobody: there, only the Jacobian switches.
    assert shared >= (name != "max pool")
    assert all(
        lowered.ops[switch].operands[1] in set(lowered.find(Conditional)) | set(lowered.find(Input))
        for switch in lowered.find(Switch)
    )


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_carried_bounds_hold(name: str, mode: Mode) -> None:
    sample = SAMPLES[name]
    trail = run_passes(sample.program, [Jacobian(mode), Bounds(), PruneStable(), Fuse()])
    program = trail.program
    assert len(program.bounds) >= len(program.ops) // 2
    rng = np.random.default_rng(0)
    points = sample.points(200)
    choices: dict[int, Floats] = {}
    for value in program.find(Input):
        op = program.ops[value]
        assert isinstance(op, Input)
        if value == 0:
            choices[value] = points
        elif op.kind is Kind.BIT or not op.domain.is_bounded_box:
            choices[value] = np.eye(op.size)[rng.integers(op.size, size=200)]
        else:
            choices[value] = np.sign(rng.normal(size=(200, op.size)))
    values = evaluate(program, choices)
    for value, known in program.bounds.items():
        assert (values[value] >= known.lower - 1e-12).all()
        assert (values[value] <= known.upper + 1e-12).all()


def test_nothing_is_decided_without_bounds() -> None:
    program = dense(with_biases(4, [2, 3, 1], [ON, OFF, OPEN])).program
    kept = PruneStable().apply(program).program
    assert kinds(kept) == kinds(program)
    assert kept.ops[2].size == 3


def test_bits_of_inputs_are_never_decided() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([1.0, 1.0], [2.0, 2.0]))
    free = builder.input(Polytope.box([0, 0], [1, 1]), Kind.BIT, Origin("free"))
    result = builder.affine({builder.switch(x, free): np.ones((1, 2))})
    program = Bounds("interval").apply(builder.program(result)).program
    done = PruneStable().apply(program).program
    assert [op.size for op in done.ops] == [2, 2, 2, 1]
    choices = {0: np.array([1.5, 1.25]), 1: np.array([0.0, 1.0])}
    assert evaluate(done, choices)[done.result].tolist() == [[1.25]]


def test_constant_bits_that_are_read_as_numbers() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0, 1.0, -2.0], [1.0, 2.0, -1.0]))
    result = builder.affine({builder.conditional(x): [[1.0, 10.0, 100.0]]}, 0.5)
    program = Bounds("interval").apply(builder.program(result)).program
    done = PruneStable().apply(program).program
    (bits,) = done.find(Conditional)
    assert done.ops[bits].size == 1
    points = np.array([[0.5, 1.5, -1.5], [-0.5, 1.5, -1.5]])
    np.testing.assert_array_equal(evaluate(done, {0: points})[done.result][:, 0], [11.5, 10.5])


def test_a_choice_of_an_output_that_no_entry_depends_on() -> None:
    # One of two outputs is constant: the choice still ranges over both.
    network = Network([np.ones((2, 2)), np.array([[0.0, 0.0], [1.0, -1.0]])], [np.zeros(2), np.zeros(2)])
    for mode in ("reverse", "forward"):
        trail = run_passes(dense(network).program, [Fuse(), Jacobian(mode), Bounds(), PruneStable(), Fuse()])
        (output,) = (value for value in trail.program.find(Input) if trail.program.ops[value].kind is Kind.BIT)
        assert trail.program.ops[output].size == 2
