"""From a network and a question to the program a solver gets: its optimum is the answer, its facts are true."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from spread import spread

from lipc.compiler import Compiled, compile, read_model  # noqa: A004 - the verb of a compiler
from lipc.errors import ModelError, QueryError
from lipc.frontends.dense import from_weights
from lipc.ir import Conditional, Floats, Input, Norm, Polytope, Sense, evaluate
from lipc.mip import choices_of
from lipc.passes.jacobian import Mode
from lipc.query import Query, ball, box
from tests.mip.mip_solving import optimum
from tests.nets import KINDS, Network, random_network
from tests.oracle import lipschitz, output_range, regions

MODES: tuple[Mode, ...] = ("reverse", "forward")


def compiled(network: Network, query: Query | None = None, mode: Mode = "auto", method: str = "linear") -> Compiled:
    return compile(from_weights(*network), query, mode=mode, method=method)  # type: ignore[arg-type]


def optimal(program: Compiled) -> tuple[float, Floats]:
    found = optimum(program.mip)
    assert found is not None
    return found


FUNCTIONALS: list[tuple[str | None, list[float] | None]] = [
    (None, None),
    ("y[0] - y[1]", [1.0, -1.0]),
    ("2*y[1] + 3", [0.0, 2.0]),
]


@pytest.mark.parametrize(
    ("functional", "norm", "mode", "method"),
    spread(FUNCTIONALS, [Norm.LINF, Norm.L1], MODES, ["linear", "interval"], every=5),
)
def test_lipschitz_constants(
    functional: tuple[str | None, list[float] | None], norm: Norm, mode: Mode, method: str
) -> None:
    output, row = functional
    network = random_network(0, [3, 6, 4, 2])
    low, high = np.array([-1.0, 0.0, -0.5]), np.array([1.0, 0.5, 2.0])
    exact = lipschitz(*network, low, high, row, norm.value)
    assert not exact.thin
    program = compiled(network, Query(box(low, high), output, norm), mode, method)
    value, columns = optimal(program)
    assert value == pytest.approx(exact.value, rel=1e-6)
    assert program.bound >= exact.value
    # Its choices are those of the network that was asked about.
    choices = program.recover(choices_of(program.mip, columns))
    (network_input,) = program.asked.find(Input)
    point = choices[network_input]
    assert (point >= low - 1e-9).all() and (point <= high + 1e-9).all()
    assert choices.keys() == {network_input, *program.asked.find(Conditional)}


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize("seed", range(3))
def test_ranges(seed: int, goal: str) -> None:
    network = random_network(seed, [3, 6, 4, 2])
    exact = output_range(*network, np.zeros(3), np.ones(3), [1.0, -2.0])
    program = compiled(network, Query(output="y[0] - 2*y[1]", goal=goal))  # type: ignore[arg-type]
    wanted = exact.maximum if goal == "max" else exact.minimum
    assert optimal(program)[0] == pytest.approx(wanted, rel=1e-6, abs=1e-6)
    assert program.bound >= wanted if goal == "max" else program.bound <= wanted
    assert program.mip.sense is (Sense.MAXIMIZE if goal == "max" else Sense.MINIMIZE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_the_optimum_is_never_below_the_constant(kind: str, mode: Mode) -> None:
    network = random_network(1, [2, 5, 4, 1], kind)  # type: ignore[arg-type]
    inputs = network.weights[0].shape[1]
    exact = lipschitz(*network, np.full(inputs, -1.0), np.full(inputs, 1.0))
    program = compiled(network, Query(box(-1, 1)), mode)
    value, _ = optimal(program)
    assert exact.value * (1 - 1e-6) - 1e-9 <= value <= program.bound * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("method", ["linear", "interval"])
@pytest.mark.parametrize("seed", range(6))
def test_decided_neurons_keep_their_sign(seed: int, method: str) -> None:
    network = random_network(seed, [3, 7, 6, 1])
    low, high = np.full(3, 0.2), np.full(3, 0.7)
    program = compiled(network, Query(box(low, high)), method=method)
    points = np.concatenate([region.vertices for region in regions(*network, low, high)[0]])
    facts = program.facts()["neurons"]
    assert isinstance(facts, dict)
    counts = facts["counts"]
    assert counts["total"] == 13 == counts["on"] + counts["off"] + counts["unstable"]
    decided = facts["decided"]
    assert [entry["size"] for entry in decided] == [7, 6]
    assert [entry["name"] for entry in decided] == ["relu_1", "relu_2"]
    assert sum(len(entry["on"]) for entry in decided) == counts["on"] == program.neurons.on
    assert sum(len(entry["off"]) for entry in decided) == counts["off"] == program.neurons.off
    assert counts["on"] + counts["off"] > 0
    for entry, weight, bias in zip(decided, network.weights, network.biases, strict=False):
        sums = points @ weight.T + bias
        assert (sums[:, entry["on"]] >= -1e-12).all()
        assert (sums[:, entry["off"]] <= 1e-12).all()
        points = np.maximum(sums, 0)


def test_linear_bounds_decide_at_least_as_many() -> None:
    for seed in range(5):
        network = random_network(seed, [4, 10, 10, 1])
        query = Query(ball(np.full(4, 0.5), 0.1))
        wide, narrow = (compiled(network, query, method=method) for method in ("interval", "linear"))
        assert narrow.neurons.unstable <= wide.neurons.unstable
        assert narrow.bound <= wide.bound * (1 + 1e-12)
        assert narrow.mip.binaries <= wide.mip.binaries


@pytest.mark.parametrize("mode", MODES)
def test_every_point_can_be_extended_to_the_lowered_program(mode: Mode) -> None:
    network = random_network(3, [3, 8, 6, 2])
    program = compiled(network, Query(box(-1, 1)), mode)
    for point in np.random.default_rng(0).uniform(-1, 1, (10, 3)):
        choices = program.trail.extend({0: point})
        value = evaluate(program.program, choices)[program.program.result][0, 0]
        jacobian = np.eye(3)
        activation = point
        for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
            sums = weight @ activation + bias
            jacobian, activation = (weight @ jacobian) * (sums > 0)[:, None], np.maximum(sums, 0)
        assert value == pytest.approx(np.abs(network.weights[-1] @ jacobian).sum(axis=1).max(), abs=1e-12)
        np.testing.assert_array_equal(program.recover(choices)[0], point)


@pytest.mark.parametrize("mode", MODES)
def test_a_ball_of_radius_zero(mode: Mode) -> None:
    network = random_network(4, [3, 6, 5, 1])
    point = np.array([0.3, -0.2, 0.9])
    program = compiled(network, Query(ball(point, 0.0)), mode)
    assert (program.neurons.unstable, program.mip.binaries) == (0, 0)
    around = lipschitz(*network, point - 1e-6, point + 1e-6)
    assert optimal(program)[0] == pytest.approx(around.value, rel=1e-9)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("goal", ["lipschitz", "max", "min"])
def test_a_constant_function(mode: Mode, goal: str) -> None:
    network = random_network(5, [2, 4, 1])
    program = compiled(network, Query(output="0*y[0] + 2.5", goal=goal), mode)  # type: ignore[arg-type]
    answer = 0.0 if goal == "lipschitz" else 2.5
    assert optimal(program)[0] == answer
    assert program.bound == pytest.approx(answer, abs=1e-12)
    assert program.mip.binaries == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
def test_a_network_of_one_layer(mode: Mode, norm: Norm) -> None:
    weight = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 0.0]])
    program = compiled(Network([weight], [np.zeros(2)]), Query(norm=norm), mode)
    assert optimal(program)[0] == pytest.approx(3.5 if norm is Norm.LINF else 3.0)
    assert program.neurons.total == 0


def test_what_is_said_of_a_program() -> None:
    network = from_weights(*random_network(6, [3, 4, 2]))
    program = compile(network, Query(box(-1, 1), "y[0] - y[1]", Norm.L1))
    assert program.header() == ["model: <weights>", "question: lipschitz of y[0] - y[1], norm l1"]
    ranged = compile(network, Query(output=1, goal="max"))
    assert ranged.header() == ["model: <weights>", "question: max of y[1]"]
    for each in (program, ranged):
        facts = each.facts()
        assert json.loads(json.dumps(facts)) == facts
        assert facts["query"] == each.describe()
        assert each.seconds.keys() == {"import", "bounds", "lower"}
        assert min(each.seconds.values()) >= 0
        assert each.network is network
    assert program.asked.ops[0].size == 3
    assert program.describe()["norm"] == "l1"


def test_the_question_by_default() -> None:
    program = compiled(random_network(7, [2, 3, 2]))
    domain = program.asked.network_input()[1]
    assert (domain.lower.tolist(), domain.upper.tolist()) == ([0, 0], [1, 1])
    assert program.query == Query()
    assert program.describe()["output"] == "all 2, largest (l_inf)"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (Query(Polytope.box([0, 0, 0], [1, 1, 1])), QueryError),
        (Query(output="y[5]"), QueryError),
        (Query(goal="max"), QueryError),
    ],
)
def test_questions_that_do_not_fit(query: Query, error: type[Exception]) -> None:
    with pytest.raises(error):
        compiled(random_network(7, [2, 3, 2]), query)


def test_models_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        read_model(tmp_path)
    with pytest.raises(ModelError):
        read_model(tmp_path / "missing.onnx")
    network = from_weights([[[1.0]]])
    assert read_model(network) is network


@pytest.mark.parametrize(
    ("mode", "inputs", "binaries"), [("auto", 3, 4 + 3), ("auto", 40, 4), ("reverse", 40, 4 + 40), ("forward", 3, 4)]
)
def test_modes(mode: Mode, inputs: int, binaries: int) -> None:
    rng = np.random.default_rng(8)
    # Both signs occur in every sum, so that no neuron and no sign of the gradient is decided.
    network = Network([rng.uniform(1, 2, (4, inputs)), np.array([[1.0, -1.0, 1.0, -1.0]])], [np.zeros(4), np.zeros(1)])
    assert compiled(network, Query(box(-1, 1)), mode).mip.binaries == binaries
