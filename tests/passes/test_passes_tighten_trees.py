"""Tightening by trees: compared with enumeration, stopped early, on a budget, and with a solver that lies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from time import sleep

import numpy as np
import oracle
import pytest
from spread import spread

import lipc
import lipc.solving.stages.tighten
from lipc import from_weights
from lipc.bounds.engine import Engine, Proposal
from lipc.bounds.nodes import Fixed, Tree
from lipc.bounds.relaxation import Relaxation
from lipc.errors import QueryError
from lipc.ir import Floats, Interval, Norm, Program
from lipc.passes.bounds import Bounds
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.pipeline import named_pipeline, parse_pipeline
from lipc.passes.run import run_passes
from lipc.passes.tighten import Goal, Tighten
from tests.ir.sample_programs import dense
from tests.nets import Network, random_network

MODES: tuple[Mode, ...] = ("forward", "reverse")
UNLIMITED = Tighten(seconds=np.inf, method="mip", goal="ranges", nodes=np.inf)
DECIDE = Tighten(seconds=np.inf, method="mip", nodes=np.inf)
WIDTHS = (3, 5, 5, 1)
NOISE = 1e-9
BUSY = 6
"""The seed of a network whose bits take trees of several nodes."""


def network(seed: int) -> Network:
    return random_network(seed, WIDTHS)


def lowered(net: Network, mode: Mode) -> Program:
    return run_passes(dense(net).program, [Bounds(), Jacobian(mode), Bounds(only_new=True)]).program


def named(program: Program, name: str) -> int:
    return next(value for value, op in enumerate(program.ops) if op.origin.name == name)


def true_ranges(net: Network, program: Program) -> dict[int, Interval]:
    """Return the ranges of pre-activations and of values of the Jacobian, by enumeration of the linear regions."""
    low, high = -np.ones(WIDTHS[0]), np.ones(WIDTHS[0])
    names = {op.origin.name for op in program.ops}
    ranges = {}
    for layer in range(1, len(net.weights)):
        regions, thin = oracle.regions(net.weights[: layer + 1], net.biases[: layer + 1], low, high)
        assert not thin
        values = np.concatenate([each.vertices @ each.jacobian.T + each.constant for each in regions])
        if layer < len(net.weights) - 1:
            ranges[named(program, f"layer{layer}")] = Interval(values.min(axis=0), values.max(axis=0))
        if f"d_layer{layer}" in names:
            reach = np.array([np.abs(each.jacobian).sum(axis=1) for each in regions]).max(axis=0)
            ranges[named(program, f"d_layer{layer}")] = Interval(-reach, reach)
        if layer == len(net.weights) - 1 and "gradient" in names:
            gradients = np.array([each.jacobian[0] for each in regions])
            ranges[named(program, "gradient")] = Interval(gradients.min(axis=0), gradients.max(axis=0))
    return ranges


def assert_holds(truth: Interval, bounds: Interval) -> None:
    slack = NOISE * (1 + np.abs(truth.upper).max() + np.abs(truth.lower).max())
    assert (bounds.lower <= truth.lower + slack).all()
    assert (bounds.upper >= truth.upper - slack).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(4))
def test_without_a_limit_ranges_are_those_of_the_enumeration(seed: int, mode: Mode) -> None:
    net = network(seed)
    program = lowered(net, mode)
    after = UNLIMITED.apply(program).program
    by_programs = Tighten(seconds=np.inf).apply(program).program
    gained = 0.0
    ranges = true_ranges(net, program)
    for value, truth in ranges.items():
        found, relaxed = after.bounds[value], by_programs.bounds[value]
        assert_holds(truth, found)
        # Where the neuron's bit, or the sign, is decided nobody wants the range.
        neuron = ranges.get(named(program, program.ops[value].origin.name.removeprefix("d_")), truth)
        wanted = (neuron.lower < 0) & (neuron.upper > 0)
        scale = 1 + np.abs(truth.upper).max() + np.abs(truth.lower).max()
        assert found.lower[wanted] == pytest.approx(truth.lower[wanted], abs=1e-6 * scale)
        assert found.upper[wanted] == pytest.approx(truth.upper[wanted], abs=1e-6 * scale)
        gained += float(((relaxed.upper - relaxed.lower) - (found.upper - found.lower)).sum())
    assert gained > 0.1


@pytest.mark.parametrize(("seed", "mode", "goal"), spread(range(3), MODES, ["bits", "ranges"], every=5))
def test_a_tree_that_is_stopped_early_proves_its_bound(seed: int, mode: Mode, goal: Goal) -> None:
    net = network(seed)
    program = lowered(net, mode)
    truth = true_ranges(net, program)
    for nodes in (1, 2, 3, 7):
        after = Tighten(seconds=np.inf, method="mip", goal=goal, nodes=nodes).apply(program).program
        for value, range_ in truth.items():
            assert_holds(range_, after.bounds[value])


@pytest.mark.parametrize("seed", range(6))
def test_all_bits_are_decided_that_are_never_taken(seed: int) -> None:
    net = network(seed)
    program = lowered(net, "reverse")
    after = DECIDE.apply(program).program
    for value, truth in true_ranges(net, program).items():
        found = after.bounds[value]
        assert ((found.upper <= 0) == (truth.upper <= 1e-7)).all()
        assert ((found.lower >= 0) == (truth.lower >= -1e-7)).all()


def test_trees_decide_what_programs_do_not() -> None:
    def undecided(options: Tighten) -> int:
        left = 0
        for seed in range(6):
            program = lowered(network(seed), "reverse")
            bounds = options.apply(program).program.bounds
            left += sum(int((bounds[v].lower < bounds[v].upper).sum()) for v in program.find(lipc.ir.Conditional))
        return left

    assert undecided(DECIDE) < undecided(Tighten(seconds=np.inf))


def count_programs(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    solved, honestly = count(), Relaxation.extreme

    def extreme(*args: object) -> object:
        next(solved)
        return honestly(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Relaxation, "extreme", extreme)
    return lambda: next(solved)


def test_bits_that_points_take_on_both_sides_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(4, 2)), rng.normal(size=(3, 4)), rng.normal(size=(1, 3))]
    # No bias, and every sign of the second layer is taken near the origin: sampling meets all of them.
    weights[1] = np.abs(weights[1]) * [1.0, -1.0, 1.0, -1.0]
    program = run_passes(dense(Network(weights, [np.zeros(4), np.zeros(3), np.zeros(1)])).program, [Bounds()]).program
    solved = count_programs(monkeypatch)
    after = Tighten("network", method="mip").apply(program).program
    assert solved() == 0
    assert all((after.bounds[v].lower == program.bounds[v].lower).all() for v in program.bounds)


@pytest.mark.parametrize("method", ["lp", "mip"])
@pytest.mark.parametrize("work", [0, 1, 25])
def test_work_is_limited(work: int, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = lowered(network(1), "reverse")
    solved = count_programs(monkeypatch)
    Tighten(seconds=np.inf, method=method, goal="ranges", work=work).apply(program)  # type: ignore[arg-type]
    assert solved() == work


def test_a_budget_of_work_gives_the_same_on_a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    program = lowered(network(1), "reverse")
    options = Tighten(seconds=np.inf, method="mip", goal="ranges", nodes=5, work=60)
    fast = options.apply(program).program.bounds
    honestly = Engine.minimize

    def slowly(engine: Engine, column: int, sign: int, seconds: float = np.inf) -> Proposal | None:
        sleep(0.002)
        return honestly(engine, column, sign, seconds)

    monkeypatch.setattr(Engine, "minimize", slowly)
    slow = options.apply(program).program.bounds
    assert all((fast[v].lower == slow[v].lower).all() and (fast[v].upper == slow[v].upper).all() for v in fast)


@pytest.mark.parametrize("goal", ["bits", "ranges"])
@pytest.mark.parametrize("lie", ["multipliers", "points", "nothing found"])
def test_a_solver_that_lies_costs_tightness_only(lie: str, goal: Goal, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(BUSY)
    program = lowered(net, "reverse")
    truth = true_ranges(net, program)
    honestly, honest_ray, random = Engine.minimize, Engine.ray, np.random.default_rng(0)
    relaxations: list[Relaxation] = []
    made = Relaxation.__init__

    def minimize(engine: Engine, column: int, sign: int, seconds: float = np.inf) -> Proposal | None:
        found = honestly(engine, column, sign, seconds)
        if found is None or random.random() < 0.25:
            return None if lie == "nothing found" else found
        if lie == "points":  # integral where it is not: a node would be closed too early
            return Proposal(found.value, np.round(found.point), found.multipliers)
        if lie == "multipliers":
            scale = random.uniform(0.0, 2.0, len(found.multipliers))
            return Proposal(found.value + 1.0, found.point, found.multipliers * scale)
        return found

    def ray(engine: Engine) -> Floats | None:
        honest = honest_ray(engine)
        return honest if honest is not None else random.normal(size=len(relaxations[-1].row_lower))

    def remember(self: Relaxation, *args: object) -> None:
        made(self, *args)  # type: ignore[arg-type]
        relaxations.append(self)

    monkeypatch.setattr(Engine, "minimize", minimize)
    monkeypatch.setattr(Engine, "ray", ray)
    monkeypatch.setattr(Relaxation, "__init__", remember)
    after = Tighten(seconds=np.inf, method="mip", goal=goal, nodes=50).apply(program).program
    for value, range_ in truth.items():
        assert_holds(range_, after.bounds[value])
    refuted = sum(each.refuted for each in relaxations)
    assert (refuted > 0) == (lie == "multipliers")


@pytest.mark.parametrize(("goal", "mode", "norm"), spread(["bits", "ranges"], MODES, [Norm.LINF, Norm.L1], every=3))
def test_the_optimum_stays_with_a_cutoff_below_it(mode: Mode, norm: Norm, goal: Goal) -> None:
    net = random_network(6, (3, 6, 5, 1))
    domain = lipc.box(-1.0, [1.0, 1.0, 1.0])
    exact = oracle.lipschitz(*net, domain.lower, domain.upper, None, norm.value)
    passes = [*named_pipeline(2, mode)]
    for share in (0.5, 1 - 1e-9):
        tighten = Tighten(seconds=np.inf, cutoff=share * exact.value, method="mip", goal=goal, nodes=20)
        result = lipc.solve(from_weights(*net), lipc.Query(domain, norm=norm), passes=[*passes, tighten])
        assert result.lower == pytest.approx(exact.value, rel=1e-9)
        assert result.certified


@pytest.mark.parametrize("goal", ["bits", "ranges"])
def test_a_cutoff_that_nothing_reaches_is_no_contradiction(goal: Goal) -> None:
    program = lowered(network(3), "reverse")
    cutoff = float(program.bounds[program.result].upper[0] * 0.999)
    after = Tighten(seconds=np.inf, cutoff=cutoff, method="mip", goal=goal).apply(program).program
    for known in after.bounds.values():
        assert (known.lower <= known.upper).all()
        assert np.isfinite(known.lower).all()
        assert np.isfinite(known.upper).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("goal", ["lipschitz", "max", "min"])
def test_a_run_that_tightens_gives_the_exact_answer(goal: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs do so for large networks alone: here for all."""
    monkeypatch.setattr(lipc.solving.stages.tighten, "FEW_INPUTS", 0)
    monkeypatch.setattr(lipc.solving.stages.tighten, "MANY_NEURONS", 1)
    net, stages = network(seed), []
    low, high = -np.ones(WIDTHS[0]), np.ones(WIDTHS[0])
    query = lipc.Query(lipc.box(low, high), goal=goal)  # type: ignore[arg-type]
    result = lipc.solve(from_weights(*net), query, mode="forward", on_report=lambda each: stages.append(each.stage))
    if goal == "lipschitz":
        answer = oracle.lipschitz(*net, low, high).value
    else:
        found = oracle.output_range(*net, low, high, [1.0])
        answer = found.maximum if goal == "max" else found.minimum
    noise = 1e-9 * (1 + abs(answer))
    assert result.status == "optimal"
    assert result.lower - noise <= answer <= result.upper + noise
    assert result.upper - result.lower <= 1e-5 * (1 + abs(answer))
    # A start that the bounds show to be the best leaves nothing to tighten.
    assert "tighten" in stages or "solve" not in stages


def test_the_gradient_is_a_value_of_the_jacobian() -> None:
    program = lowered(network(1), "reverse")
    gradient, layer = named(program, "gradient"), named(program, "layer1")

    def width(options: Tighten, value: int) -> float:
        known = options.apply(program).program.bounds[value]
        return float((known.upper - known.lower).sum())

    untouched = Tighten(seconds=0.0)
    assert width(Tighten("jacobian"), gradient) < width(untouched, gradient)
    assert width(Tighten("jacobian"), layer) == width(untouched, layer)
    assert width(Tighten("network"), gradient) > width(Tighten("jacobian"), gradient)


def test_options_are_written_and_refused() -> None:
    (parsed,) = parse_pipeline("tighten{method=mip,goal=ranges,nodes=inf,work=1000,seconds=inf}")
    assert parsed == Tighten(seconds=np.inf, method="mip", goal="ranges", nodes=np.inf, work=1000)
    for options in ({"nodes": -1}, {"work": float("nan")}):
        with pytest.raises(QueryError, match="cannot take"):
            Tighten(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("most", range(1, 16))
def test_a_tree_has_a_bound_whenever_it_stops(most: int) -> None:
    """Leaves of depth 3 are worth their bits as a number; a node is bounded by its best leaf, and a little more."""
    closed: list[float] = [-np.inf]
    seen: list[Fixed] = []

    def branch(fixed: Fixed) -> tuple[list[Fixed], float]:
        seen.append(fixed)
        depth = len(fixed)
        bound = sum(2**bit * fixed.get(bit, True) for bit in range(3)) + 0.5 * (3 - depth)
        if depth == 3:
            closed.append(bound)
            return [], bound
        return [{**fixed, depth: False}, {**fixed, depth: True}], bound

    tree = Tree(branch)
    while tree.bound > -np.inf and len(seen) < most:
        tree.plunge(lambda: len(seen) >= most)
        # The best leaf, worth 7, is either still open or closed.
        assert max(tree.bound, *closed) >= 7.0
    assert len(seen) == most
    assert (tree.bound == -np.inf) == (most == 15)
