from __future__ import annotations

import numpy as np
import pytest

from lipc.errors import InternalError, QueryError
from lipc.ir import (
    Builder,
    Conditional,
    Floats,
    Input,
    Kind,
    Lipschitz,
    Norm,
    Objective,
    Origin,
    Polytope,
    Program,
    Sense,
    Switch,
    evaluate,
)
from lipc.passes.jacobian import FEW_INPUTS, Jacobian, Mode
from tests.ir.sample_programs import dense, question
from tests.nets import KINDS, Network, random_network

MODES: tuple[Mode, ...] = ("reverse", "forward")


def jacobian_by_hand(network: Network, bits: list[Floats]) -> Floats:
    """Multiply the weights out, with the bits between them."""
    product = network.weights[0]
    for weight, layer in zip(network.weights[1:], bits, strict=True):
        product = weight @ (layer[:, None] * product)
    return product


def bits_at(network: Network, point: Floats) -> list[Floats]:
    bits = []
    for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
        sums = weight @ point + bias
        bits.append((sums > 0).astype(float))
        point = np.maximum(sums, 0)
    return bits


def dual_norm(rows: Floats, norm: Norm) -> float:
    magnitudes = np.abs(rows)
    return float((magnitudes.sum(axis=1) if norm is Norm.LINF else magnitudes.max(axis=1)).max())


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("widths", [[3, 5, 4, 1], [2, 6, 3], [4, 1], [1, 3, 3, 2], [3, 4]])
def test_extended_choices_give_the_dual_norm_of_the_gradient(widths: list[int], mode: Mode, norm: Norm) -> None:
    rng = np.random.default_rng(4)
    network = random_network(3, widths)
    program = dense(network, norm=norm).program
    result = Jacobian(mode).apply(program)
    conditionals = list(program.find(Conditional))
    for trial in range(12):
        point = rng.uniform(-1, 1, widths[0])
        bits = bits_at(network, point)
        if trial % 2:  # any bits at all: the gradient that the chain rule gives for them
            bits = [(rng.random(len(layer)) < 0.5).astype(float) for layer in bits]
        choices = {0: point, **dict(zip(conditionals, bits, strict=True))}
        extended = result.extend(choices)
        values = evaluate(result.program, extended)
        expected = dual_norm(jacobian_by_hand(network, bits), norm)
        assert values[result.program.result][0, 0] == pytest.approx(expected, abs=1e-12)
        back = result.recover(extended)
        assert back.keys() == choices.keys()
        for value, entries in back.items():
            np.testing.assert_array_equal(entries, choices[value])


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("outputs", [1, 3])
def test_any_v_and_c_give_c_times_jacobian_times_v(mode: Mode, norm: Norm, outputs: int) -> None:
    rng = np.random.default_rng(5)
    network = random_network(6, [3, 5, 4, outputs])
    program = Jacobian(mode).apply(dense(network, norm=norm).program).program
    point = rng.uniform(-1, 1, 3)
    jacobian = jacobian_by_hand(network, bits_at(network, point))
    inputs = {program.ops[value].origin.name: value for value in program.find(Input)}
    for _ in range(30):
        choices: dict[int, Floats] = {0: point}
        output = int(rng.integers(outputs))
        if outputs > 1:
            choices[inputs["output"]] = np.eye(outputs)[output]
        if mode == "forward" and norm is Norm.LINF:
            direction = rng.uniform(-1, 1, 3)
            choices[inputs["v"]] = direction
        elif mode == "forward":
            weights = rng.dirichlet(np.ones(7))[:6]  # nonnegative, sum at most 1
            direction = weights[:3] - weights[3:]
            choices[inputs["v"]] = weights
        elif norm is Norm.L1:
            entry = int(rng.integers(6))
            direction = np.eye(3)[entry % 3] * (1 if entry < 3 else -1)
            choices[inputs["entry"]] = np.eye(6)[entry]
        else:  # the signs are conditionals: nothing is free
            direction = np.sign(jacobian[output])
        value = evaluate(program, choices)[program.result][0, 0]
        assert value == pytest.approx(jacobian[output] @ direction, abs=1e-12)
        assert value <= dual_norm(jacobian, norm) + 1e-12


@pytest.mark.parametrize(
    ("mode", "norm", "outputs", "extra_bits", "free"),
    [
        ("reverse", Norm.LINF, 1, 3, {}),
        ("reverse", Norm.LINF, 2, 3, {"output": 2}),
        ("reverse", Norm.L1, 1, 0, {"entry": 6}),
        ("reverse", Norm.L1, 2, 0, {"entry": 6, "output": 2}),
        ("forward", Norm.LINF, 1, 0, {"v": 3}),
        ("forward", Norm.LINF, 2, 0, {"v": 3, "output": 2}),
        ("forward", Norm.L1, 1, 0, {"v": 6}),
        ("forward", Norm.L1, 2, 0, {"v": 6, "output": 2}),
    ],
)
def test_what_each_mode_costs(mode: Mode, norm: Norm, outputs: int, extra_bits: int, free: dict[str, int]) -> None:
    program = dense(random_network(7, [3, 5, outputs]), norm=norm).program
    made = Jacobian(mode).apply(program).program
    inputs = {op.origin.name: op for op in made.ops if isinstance(op, Input) and op.origin.name != "x"}
    assert {name: op.size for name, op in inputs.items()} == free
    assert {op.kind for name, op in inputs.items() if name != "v"} <= {Kind.BIT}
    assert sum(made.ops[value].size for value in made.find(Conditional)) == 5 + extra_bits
    assert made.objective == Objective(Sense.MAXIMIZE)
    assert made.ops[made.result].size == 1
    # The network itself stands in front, unchanged, and the bits of its neurons are read again.
    assert made.ops[: len(program.ops)] == program.ops
    (bits,) = program.find(Conditional)
    assert sum(isinstance(made.ops[user], Switch) for user in made.users()[bits]) == 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_directions_at_gradients_with_zeros(kind: str, mode: Mode) -> None:
    network = random_network(8, [2, 4, 3, 1], kind)  # type: ignore[arg-type]
    size = network.weights[0].shape[1]
    result = Jacobian(mode).apply(dense(network).program)
    for point in [np.zeros(size), np.full(size, 0.3), np.full(size, -0.7)]:
        value = evaluate(result.program, result.extend({0: point}))[result.program.result][0, 0]
        expected = dual_norm(jacobian_by_hand(network, bits_at(network, point)), Norm.LINF)
        assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
def test_functions_without_slope(mode: Mode, norm: Norm) -> None:
    builder = Builder()
    x = builder.input(Polytope.box([0, 0], [1, 1]))
    constant = builder.relu(builder.constant([1.0, 2.0]))
    for result in (constant, builder.affine({constant: [[1.0, 1.0]]})):
        done = Jacobian(mode).apply(builder.program(result, question(norm)))
        extended = done.extend({x: np.array([0.5, 0.5])})
        assert evaluate(done.program, extended)[done.program.result].tolist() == [[0.0]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("norm", "answer"), [(Norm.LINF, 1.0), (Norm.L1, 1.0)])
def test_the_identity(mode: Mode, norm: Norm, answer: float) -> None:
    builder = Builder()
    x = builder.input(Polytope.box([0, 0, 0], [1, 1, 1]))
    done = Jacobian(mode).apply(builder.program(x, question(norm)))
    extended = done.extend({x: np.zeros(3)})
    assert evaluate(done.program, extended)[done.program.result].tolist() == [[answer]]


def jumping(read: str) -> Program:
    builder = Builder()
    builder.origin = Origin("Step", "model.onnx: node 'Step'")
    x = builder.input(Polytope.box([-1, -1], [1, 1]))
    bits = builder.conditional(x)
    if read == "bits as numbers":
        result = builder.affine({bits: [[1.0, 2.0]], x: [[1.0, 0.0]]})
    elif read == "bits of another value":
        result = builder.switch(builder.linear((2.0, x)), bits)
    else:
        result = builder.switch(x, builder.input(Polytope.box([0, 0], [1, 1]), Kind.BIT))
    return builder.program(result, Objective(Sense.MAXIMIZE, Lipschitz()))


@pytest.mark.parametrize(
    ("read", "words"), [("bits as numbers", "the output jumps"), ("bits of another value", "the output may jump")]
)
def test_functions_that_jump_have_no_jacobian(read: str, words: str) -> None:
    with pytest.raises(QueryError, match=words) as raised:
        Jacobian().apply(jumping(read))
    assert raised.value.where == "model.onnx: node 'Step'"


def test_networks_of_two_inputs_are_an_internal_error() -> None:
    with pytest.raises(InternalError, match="2 inputs"):
        Jacobian().apply(jumping("free bits"))


def test_a_range_question_is_left_alone() -> None:
    program = dense(random_network(0, [2, 3, 1]), norm=None).program
    done = Jacobian().apply(program)
    assert done.program is program
    assert done.extend({0: np.ones(2)}).keys() == {0}


@pytest.mark.parametrize(("inputs", "mode"), [(1, "reverse"), (FEW_INPUTS, "reverse"), (FEW_INPUTS + 1, "forward")])
def test_auto_takes_reverse_for_few_inputs(inputs: int, mode: Mode) -> None:
    program = dense(random_network(0, [inputs, 2, 1])).program
    assert Jacobian().resolved(program) == mode
    assert any(op.origin.name == "v" for op in Jacobian().apply(program).program.ops) == (mode == "forward")


@pytest.mark.parametrize("mode", MODES)
def test_origins_of_the_jacobian_name_their_operation(mode: Mode) -> None:
    program = dense(random_network(0, [2, 3, 1])).program
    made = Jacobian(mode).apply(program).program
    names = {op.origin.name for op in made.ops[len(program.ops) :]}
    prefix = "g_" if mode == "reverse" else "d_"
    assert {f"{prefix}relu0"} <= names
