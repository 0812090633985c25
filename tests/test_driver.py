"""The whole way: a network and a question in, a proven pair out, compared with the enumeration of all regions."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
from time import monotonic
from typing import ClassVar, NamedTuple

import numpy as np
import oracle
import pytest
from nets import ABSOLUTE, IDENTITY, KINDS, ZERO, Network, NetworkKind, random_network
from spread import spread

import lipc
from lipc import Functional, Norm, Options, Query, Result, box, from_weights
from lipc.driver import Report
from lipc.mip import Role
from lipc.solvers.base import Ending, Outcome, Progress, SecondInterruptError, Solver, Task
from lipc.solvers.scip import Scip

RELATIVE = 1e-7
UPPER = 1e-6  # the default gap
WIDENED = 1e-8  # what the upper side of an answer of 0 may be widened by


class Question(NamedTuple):
    """A network, a box and what is asked."""

    net: Network
    lower: np.ndarray
    upper: np.ndarray
    functional: np.ndarray | None
    norm: oracle.Norm
    mode: str

    def query(self, goal: str = "lipschitz") -> Query:
        output = None
        if self.functional is not None:
            output = Functional({index: float(weight) for index, weight in enumerate(self.functional)})
        return Query(box(self.lower, self.upper), output, Norm(self.norm), goal)

    def compiled(self, goal: str = "lipschitz") -> lipc.Compiled:
        return lipc.compile(from_weights(*self.net), self.query(goal), mode=self.mode)

    def oracle(self) -> oracle.LipschitzAnswer:
        return oracle.lipschitz(*self.net, self.lower, self.upper, self.functional, self.norm)

    def exact(self) -> float:
        answer = self.oracle()
        assert not answer.thin, "the oracle does not vouch for this network; choose another seed"
        return answer.value


def question(seed: int, kind: NetworkKind = "generic", functional: bool | None = None) -> Question:
    """Return a random question that the oracle vouches for; the seed says norm and mode."""
    for attempt in range(10):
        asked = _draw([seed, KINDS.index(kind), attempt], seed, kind, functional)
        if not asked.oracle().thin:
            return asked
    raise AssertionError("the oracle vouches for none of ten networks")


def _draw(entropy: list[int], seed: int, kind: NetworkKind, functional: bool | None) -> Question:
    rng = np.random.default_rng(entropy)
    depth = int(rng.integers(1, 4))
    # Where all biases are zero, all regions meet in one point: many patterns without interior to exclude.
    widest = 4 if kind == "zero biases" else 6
    widths = [int(rng.integers(1, 4)), *rng.integers(2, widest + 1, depth).tolist(), int(rng.integers(1, 4))]
    net = random_network(int(rng.integers(10**6)), widths, kind)
    inputs, outputs = net.weights[0].shape[1], len(net.biases[-1])
    lower, upper = -2 * rng.random(inputs), 2 * rng.random(inputs) + 0.05
    wanted = rng.random() < 0.4 if functional is None else functional
    row = rng.integers(-2, 3, outputs).astype(float) if wanted else None
    norm: oracle.Norm = "linf" if seed % 2 else "l1"
    return Question(net, lower, upper, row, norm, "reverse" if seed // 2 % 2 else "forward")


def fractions(array: np.ndarray) -> list[list[Fraction]]:
    return [[Fraction(entry) for entry in row] for row in np.atleast_2d(array).tolist()]


def times(matrix: list[list[Fraction]], vector: list[Fraction]) -> list[Fraction]:
    return [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0)) for row in matrix]


def exact_gradient(net: Network, x: np.ndarray, cotangent: np.ndarray, slope: Fraction) -> list[Fraction]:
    """Return the gradient at a point by exact backpropagation; fails where the network has a kink there.

    The activation has slope 1 above zero and `slope` below.
    """
    values, jacobian = fractions(x)[0], [[Fraction(i == j) for j in range(len(x))] for i in range(len(x))]
    for layer, (weight, bias) in enumerate(zip(*net, strict=True)):
        matrix = fractions(weight)
        sums = [a + b for a, b in zip(times(matrix, values), fractions(bias)[0], strict=True)]
        columns = [times(matrix, list(column)) for column in zip(*jacobian, strict=True)]
        jacobian = [list(row) for row in zip(*columns, strict=True)]
        if layer < len(net.biases) - 1:
            for height, row in zip(sums, jacobian, strict=True):
                assert height != 0 or not any(row), "the witness lies on a kink"
            slopes = [Fraction(1) if height > 0 else slope for height in sums]
            jacobian = [[s * entry for entry in row] for s, row in zip(slopes, jacobian, strict=True)]
            values = [s * height for s, height in zip(slopes, sums, strict=True)]
    return times([list(column) for column in zip(*jacobian, strict=True)], fractions(cotangent)[0])


def check_witness(asked: Question, result: Result, slope: float = 0.0) -> None:
    """Compare the witness with exact arithmetic that shares no code with lipc."""
    witness = result.witness
    assert witness is not None
    assert (witness.x >= asked.lower).all()
    assert (witness.x <= asked.upper).all()
    cotangent = np.eye(len(asked.net.biases[-1]))[witness.output] if asked.functional is None else asked.functional
    gradient = exact_gradient(asked.net, witness.x, cotangent, Fraction(slope))
    size = sum(map(abs, gradient)) if asked.norm == "linf" else max(map(abs, gradient))
    assert Fraction(witness.value) <= size * (1 if slope == 0 else 1 + Fraction(1, 10**14))
    assert witness.value == pytest.approx(float(size), rel=1e-14)
    if slope == 0:
        assert witness.gradient.tolist() == [float(entry) for entry in gradient]
    else:  # x = relu(x) - slope * relu(-x) costs a rounding of a slope
        np.testing.assert_allclose(witness.gradient, [float(entry) for entry in gradient], rtol=1e-14, atol=1e-16)
    assert result.lower == witness.value


def check_answer(asked: Question, result: Result) -> None:
    """Compare a finished run with the oracle, on both sides."""
    exact = asked.exact()
    noise = 1e-12 * max(1.0, exact)  # of the oracle's own sums
    assert (result.status, result.certified) == ("optimal", True)
    assert result.lower <= exact + noise
    assert result.upper >= exact - noise
    assert result.lower <= result.upper
    assert result.lower == pytest.approx(exact, rel=RELATIVE, abs=noise)
    assert result.upper == pytest.approx(exact, rel=2 * UPPER, abs=WIDENED)
    check_witness(asked, result)


@pytest.mark.parametrize(("kind", "first"), spread(KINDS, range(0, 24, 4), every=5))
def test_solve_is_the_enumeration(kind: NetworkKind, first: int) -> None:
    for seed in range(first, first + 4):  # both norms in both modes
        asked = question(seed, kind)
        check_answer(asked, lipc.solve(asked.compiled()))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(1000, 1020))
def test_solve_is_the_enumeration_in_every_norm_and_mode(kind: NetworkKind, seed: int) -> None:
    for norm in ("linf", "l1"):
        for mode in ("reverse", "forward"):
            asked = question(seed, kind)._replace(norm=norm, mode=mode)
            check_answer(asked, lipc.solve(asked.compiled()))


KNOWN = [
    (IDENTITY, (-1.0, 2.0), 1.0),
    (ZERO, (-1.0, 2.0), 0.0),
    (ABSOLUTE, (-1.0, 2.0), 1.0),
    (ABSOLUTE, (0.0, 2.0), 1.0),
    (IDENTITY, (0.0, 1.0), 1.0),
]


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize(("net", "domain", "answer"), KNOWN)
def test_patterns_without_interior_do_not_count(
    net: Network, domain: tuple[float, float], answer: float, norm: oracle.Norm, mode: str
) -> None:
    asked = Question(net, np.array([domain[0]]), np.array([domain[1]]), None, norm, mode)
    result = lipc.solve(asked.compiled())
    assert (result.status, result.lower, result.upper) == ("optimal", answer, pytest.approx(answer, abs=1e-9))


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_coefficient_too_small_for_the_file_costs_no_row(mode: str) -> None:
    # The bound of one adjoint is rounded to 4e-31 instead of 0: that entry goes, and with it nothing else.
    net = random_network(12, (2, 5, 6, 2, 2))
    lower = np.array([-0.09785145787712368, -1.9161747309356423])
    upper = np.array([1.5124822705176406, 0.8239110666990193])
    asked = Question(net, lower, upper, np.array([2.0, 2.0]), "linf", mode)
    check_answer(asked, lipc.solve(asked.compiled()))


@pytest.mark.parametrize(
    ("place", "scale", "seed"),
    spread(["first layer", "last layer", "domain"], [1e-7, 1e-5, 1e5, 1e7], range(3), every=5),
)
def test_scales_far_from_one_never_make_the_pair_wrong(place: str, scale: float, seed: int) -> None:
    net = random_network(seed, (2, 5, 5, 1))
    lower, upper = -np.ones(2), np.ones(2)
    if place == "domain":
        lower, upper = scale * lower, scale * upper
    else:
        layer = 0 if place == "first layer" else -1
        net.weights[layer][:] *= scale
    answer = oracle.lipschitz(*net, lower, upper)
    if answer.thin:
        pytest.skip("the oracle does not vouch for this network")
    asked = Question(net, lower, upper, None, "linf", "reverse" if seed % 2 else "forward")
    result = lipc.solve(asked.compiled(), options=Options(time_limit=10))
    assert result.lower <= answer.value * (1 + 1e-12)
    assert result.upper >= answer.value * (1 - 2 * UPPER)
    assert result.lower <= result.upper


@pytest.mark.parametrize(
    ("seed", "kind"), spread(range(20), ["generic", "integer weights", "opposite neurons"], every=4)
)
def test_range_is_the_enumeration(seed: int, kind: NetworkKind) -> None:
    asked = question(seed, kind, functional=True)
    assert asked.functional is not None
    exact = oracle.output_range(*asked.net, asked.lower, asked.upper, asked.functional)
    assert not exact.thin
    for goal, value in (("max", exact.maximum), ("min", exact.minimum)):
        result = lipc.solve(asked.compiled(goal))
        noise = 1e-9 * max(1.0, abs(value))
        assert (result.status, result.certified) == ("optimal", True)
        assert result.lower - noise <= value <= result.upper + noise
        assert result.upper - result.lower <= 2 * UPPER * max(abs(result.lower), abs(result.upper)) + noise
        assert result.witness is not None
        at_witness = float((asked.net(result.witness.x[None, :]) @ asked.functional)[0])
        assert result.witness.value == pytest.approx(at_witness, rel=1e-12, abs=1e-12)
        assert result.witness.value == (result.lower if goal == "max" else result.upper)


@pytest.mark.parametrize(
    ("activation", "seed", "norm", "mode"),
    spread(["leaky_relu", "abs"], range(4), ["linf", "l1"], ["reverse", "forward"], every=3),
)
def test_other_activations_against_sampled_gradients(activation: str, seed: int, norm: oracle.Norm, mode: str) -> None:
    slope = 0.01 if activation == "leaky_relu" else -1.0
    net = random_network(seed, (2, 4, 3, 1))
    lower, upper = np.array([-1.0, -0.5]), np.array([1.0, 1.5])
    asked = Question(net, lower, upper, None, norm, mode)
    result = lipc.solve(from_weights(*net, activation=activation), asked.query(), mode=mode)
    points = lower + np.random.default_rng(seed).random((20_000, 2)) * (upper - lower)
    gradients = sampled_gradients(net, points, slope)
    norms = np.abs(gradients).sum(axis=1) if norm == "linf" else np.abs(gradients).max(axis=1)
    assert (result.status, result.certified) == ("optimal", True)
    assert norms.max() <= result.upper * (1 + 1e-12)
    assert result.lower >= norms.max() * (1 - 1e-9)
    check_witness(asked, result, slope)


def sampled_gradients(net: Network, points: np.ndarray, slope: float) -> np.ndarray:
    slopes, values = [], points
    for weight, bias in zip(net.weights[:-1], net.biases[:-1], strict=True):
        sums = values @ weight.T + bias
        slopes.append(np.where(sums > 0, 1.0, slope))
        values = slopes[-1] * sums
    gradients = np.repeat(net.weights[-1], len(points), axis=0)
    for weight, factors in zip(net.weights[-2::-1], slopes[::-1], strict=True):
        gradients = (gradients * factors) @ weight
    return gradients


def test_a_network_without_neurons() -> None:
    asked = Question(
        Network([np.array([[3.0, -4.0]])], [np.array([1.0])]), -np.ones(2), np.ones(2), None, "linf", "auto"
    )
    for norm, answer in (("linf", 7.0), ("l1", 4.0)):
        for mode in ("reverse", "forward"):
            result = lipc.solve(asked._replace(norm=norm, mode=mode).compiled())
            assert (result.status, result.lower, result.upper) == ("optimal", answer, pytest.approx(answer, rel=1e-7))


# Thin domains: the gradients that count are those at points of the domain, in all directions.


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize("seed", range(6))
def test_domain_of_one_point(seed: int, norm: oracle.Norm, mode: str) -> None:
    net = random_network(seed, (3, 5, 4, 2))
    x = np.random.default_rng(seed).normal(size=3)
    asked = Question(net, x, x, np.array([1.0, -1.0]), norm, mode)
    result = lipc.solve(asked.compiled())
    gradient = exact_gradient(net, x, np.array([1.0, -1.0]), Fraction(0))
    size = sum(map(abs, gradient)) if norm == "linf" else max(map(abs, gradient))
    assert result.status == "optimal"
    assert result.lower == pytest.approx(float(size), rel=1e-12)
    assert result.upper == pytest.approx(float(size), rel=2 * UPPER)
    check_witness(asked, result)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("seed", range(6))
def test_domain_with_fixed_inputs(seed: int, mode: str) -> None:
    net = random_network(seed, (3, 5, 4, 1))
    lower, upper = np.array([-1.0, 0.3, -1.0]), np.array([1.0, 0.3, -1.0])
    result = lipc.solve(Question(net, lower, upper, None, "linf", mode).compiled())
    # One input moves: its segment, densely sampled, meets every region that is not tiny.
    points = np.repeat(lower[None, :], 100_001, axis=0)
    points[:, 0] = np.linspace(-1.0, 1.0, 100_001)
    sampled = np.abs(sampled_gradients(net, points, 0.0)).sum(axis=1).max()
    assert (result.status, result.certified) == ("optimal", True)
    assert result.lower == pytest.approx(sampled, rel=1e-9)
    check_witness(Question(net, lower, upper, None, "linf", mode), result)


# Limits.


def not_trivial() -> Question:
    """Return a question that the local search and the bounds do not settle by themselves."""
    net = random_network(3, (3, 8, 8, 6, 1))
    return Question(net, -np.ones(3), np.ones(3), None, "linf", "reverse")


@cache
def compiled_once(mode: str = "reverse", goal: str = "lipschitz") -> lipc.Compiled:
    """Return that question compiled; of a goal other than the constant its one output."""
    asked = not_trivial()._replace(mode=mode)
    return (asked if goal == "lipschitz" else asked._replace(functional=np.ones(1))).compiled(goal)


@cache
def exact_once() -> float:
    return not_trivial().exact()


@cache
def exact_range() -> oracle.RangeAnswer:
    asked = not_trivial()
    return oracle.output_range(*asked.net, asked.lower, asked.upper, [1.0])


@cache
def hard() -> lipc.Compiled:
    """Return a question that takes SCIP minutes."""
    net = random_network(1, (10, 30, 30, 30, 1))
    return Question(net, -np.ones(10), np.ones(10), None, "linf", "reverse").compiled()


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_time_limit_gives_a_valid_pair(seconds: float, mode: str) -> None:
    asked, compiled, exact = not_trivial()._replace(mode=mode), compiled_once(mode), exact_once()
    begun = monotonic()
    result = lipc.solve(compiled, options=Options(time_limit=seconds))
    assert monotonic() - begun < 2.0
    assert (result.status, result.certified) == ("time_limit", False)
    assert result.lower <= exact <= result.upper
    assert result.lower < result.upper
    if result.witness is not None:
        check_witness(asked, result)


def test_time_limit_is_kept() -> None:
    compiled = hard()
    begun = monotonic()
    result = lipc.solve(compiled, options=Options(time_limit=0.8))
    assert 0.5 < monotonic() - begun < 3.3
    assert result.status == "time_limit"
    assert 0 < result.lower < result.upper < np.inf


def test_a_closed_pair_needs_no_time() -> None:
    """Where local search meets the rigorous bound the question is answered, whatever the limit."""
    asked = Question(Network([np.array([[2.0]])], [np.zeros(1)]), -np.ones(1), np.ones(1), None, "linf", "reverse")
    result = lipc.solve(asked.compiled(), options=Options(time_limit=0.0))
    assert result.lower == 2.0
    assert (result.status == "optimal") == result.certified


def test_reports_are_monotone_and_valid() -> None:
    for asked in (not_trivial(), not_trivial()._replace(mode="forward"), question(5, "zero biases")):
        exact, reports = asked.exact(), list[Report]()
        result = lipc.solve(asked.compiled(), on_report=reports.append)
        assert reports
        lowers = [report.lower for report in reports] + [result.lower]
        uppers = [report.upper for report in reports] + [result.upper]
        assert lowers == sorted(lowers)
        assert uppers == sorted(uppers, reverse=True)
        assert lowers[-1] <= exact * (1 + 1e-12)
        assert uppers[-1] >= exact * (1 - UPPER)
        nodes = [report.nodes for report in reports]
        assert nodes == sorted(nodes)


@pytest.mark.parametrize("goal", ["max", "min"])
def test_reports_of_a_range_are_monotone_and_valid(goal: str) -> None:
    exact = exact_range()
    value, reports = (exact.maximum if goal == "max" else exact.minimum), list[Report]()
    lipc.solve(compiled_once(goal=goal), on_report=reports.append)
    noise = 1e-9 * abs(value)
    assert all(report.lower - noise <= value <= report.upper + noise for report in reports)
    assert [r.lower for r in reports] == sorted(r.lower for r in reports)
    assert [r.upper for r in reports] == sorted((r.upper for r in reports), reverse=True)


@pytest.mark.parametrize("seed", [7, pytest.param(0, marks=pytest.mark.slow)])
def test_a_seed_gives_one_answer(seed: int) -> None:
    runs = [lipc.solve(not_trivial().compiled(), options=Options(seed=seed)).to_dict() for _ in range(2)]
    for run in runs:
        del run["time"], run["history"]
    assert runs[0] == runs[1]


# Interrupts.


def test_ctrl_c_while_scip_runs_gives_a_valid_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.solving.run.START_SECONDS", 0.2)
    compiled, reports = hard(), list[Report]()
    rigorous = compiled.bound

    def interrupt(report: Report) -> None:
        reports.append(report)
        if report.nodes > 0 and reports[-2].nodes == 0:  # SCIP has solved its root: it is at work
            signal.raise_signal(signal.SIGINT)

    # The handler runs in whatever the main thread does then, here in the callback.
    result = lipc.solve(compiled, on_report=interrupt, options=Options(search="mip"))
    assert (result.status, result.certified) == ("interrupted", False)
    assert 0 < reports[-1].lower <= result.lower < result.upper <= rigorous


@pytest.mark.parametrize("delay", [0.1, 0.4])
def test_ctrl_c_while_the_main_thread_waits_for_scip(delay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.solving.run.START_SECONDS", 0.2)
    compiled, main = hard(), threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(delay, signal.pthread_kill, [main, signal.SIGINT])

    def start_when_solving(report: Report) -> None:
        if report.stage == "solve":
            start_once(timer, report)

    # The signal wakes the main thread out of a lock.
    result = lipc.solve(compiled, options=Options(search="mip", time_limit=20), on_report=start_when_solving)
    timer.join()
    assert result.status == "interrupted"
    assert 0 < result.lower < result.upper <= compiled.bound


def start_once(timer: threading.Timer, _: Report) -> None:
    if timer.ident is None:
        timer.start()


@pytest.mark.parametrize("steps", [5, pytest.param(80, marks=pytest.mark.slow)])
def test_ctrl_c_at_any_time_gives_a_valid_pair(steps: int) -> None:
    compiled, exact = compiled_once(), exact_once()
    lipc.solve(compiled)  # what is imported lazily is imported now
    begun = monotonic()
    whole = lipc.solve(compiled)
    seconds = monotonic() - begun
    assert whole.status == "optimal"
    main = threading.main_thread().ident
    assert main is not None
    found = set()
    for step in range(steps):
        result: Result | None = None
        timer = threading.Timer(seconds * step / steps, signal.pthread_kill, [main, signal.SIGINT])
        try:
            result = lipc.solve(compiled, on_report=partial(start_once, timer))
            timer.cancel()
            timer.join()
        except KeyboardInterrupt:
            timer.join()
            if result is None:  # else it came after the end
                found.add("lost")
                continue
        assert result is not None
        found.add(result.status)
        assert result.lower <= exact * (1 + 1e-12)
        assert result.upper >= exact * (1 - UPPER)
    assert found <= {"optimal", "interrupted"}


# Solvers that lie. The lower bound is ours; the upper one is theirs, but never below ours.


class Liar(Solver):
    """Answers each task with the next outcome, and the last one again and again."""

    name: ClassVar[str] = "liar"

    def __init__(self, *answers: Callable[[Task], Outcome]) -> None:
        self.answers = answers
        self.tasks: list[Task] = []

    def version(self) -> str:
        return "liar 1"

    def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
        self.tasks.append(task)
        outcome = self.answers[min(len(self.tasks), len(self.answers)) - 1](task)
        on_progress(Progress(outcome.bound, outcome.nodes))
        return outcome


def filled(task: Task, entry: float) -> np.ndarray:
    return np.full(len(task.program.cost), entry)


def random_columns(task: Task, seed: int) -> np.ndarray:
    program, rng = task.program, np.random.default_rng(seed)
    low, high = np.nan_to_num(program.column_lower, neginf=-9), np.nan_to_num(program.column_upper, posinf=9)
    columns = low + rng.random(len(low)) * (high - low)
    return np.where(program.integer, np.round(columns), columns)


def claims(ending: Ending, bound: float, columns: Callable[[Task], list[np.ndarray]] = lambda _: []) -> Callable:
    return lambda task: Outcome(ending, bound, tuple(columns(task)), 1)


def done(_: Task) -> Outcome:
    return Outcome(Ending.INFEASIBLE, -np.inf, (), 1)


LIES: dict[str, tuple[Callable[[Task], Outcome], ...]] = {
    "bound of zero": (claims(Ending.OPTIMAL, 0.0),),
    "bound of minus infinity": (claims(Ending.OPTIMAL, -np.inf),),
    "bound is not a number": (claims(Ending.OPTIMAL, np.nan),),
    "no bound": (claims(Ending.OPTIMAL, np.inf),),
    "infeasible at once": (done,),
    "not a number": (claims(Ending.OPTIMAL, np.inf, lambda task: [filled(task, np.nan)]), done),
    "infinite": (claims(Ending.OPTIMAL, np.inf, lambda task: [filled(task, np.inf)]), done),
    "huge": (claims(Ending.OPTIMAL, np.inf, lambda task: [filled(task, 1e300)]), done),
    "fractions": (claims(Ending.OPTIMAL, np.inf, lambda task: [filled(task, 0.5)]), done),
    "ones": (claims(Ending.OPTIMAL, 1e9, lambda task: [filled(task, 1.0)]), done),
    "random patterns": (claims(Ending.OPTIMAL, 1e9, lambda task: [random_columns(task, k) for k in range(20)]), done),
    "one pattern for ever": (claims(Ending.OPTIMAL, 1e9, lambda task: [random_columns(task, 1)]),),
    "stopped by the clock": (claims(Ending.TIME_LIMIT, np.inf, lambda task: [random_columns(task, 1)]),),
}


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("lie", LIES)
def test_no_lie_makes_the_lower_bound_wrong(lie: str, mode: str) -> None:
    asked, exact = not_trivial()._replace(mode=mode), exact_once()
    result = lipc.solve(compiled_once(mode), solver=Liar(*LIES[lie]), options=Options(time_limit=0.5))
    assert 0 < result.lower <= exact * (1 + 1e-12)
    assert result.lower <= result.upper < np.inf
    assert result.solver == "liar 1"
    check_witness(asked, result)


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize("lie", LIES)
def test_no_lie_makes_the_witness_of_a_range_wrong(lie: str, goal: str) -> None:
    exact = exact_range()
    result = lipc.solve(compiled_once(goal=goal), solver=Liar(*LIES[lie]), options=Options(time_limit=0.5))
    noise = 1e-12 * max(1.0, abs(exact.maximum), abs(exact.minimum))
    assert result.lower <= result.upper
    if goal == "max":
        assert result.lower <= exact.maximum + noise
    else:
        assert result.upper >= exact.minimum - noise


def test_a_bound_below_the_solvers_own_solution_is_not_certified() -> None:
    """The local search has not found the optimum; the solver has, and claims that there is nothing so large."""
    compiled, exact = compiled_once(), exact_once()
    truth = Scip().solve(Task(compiled.mip))
    first: list[float] = []

    def contradiction(task: Task) -> Outcome:
        first.append(task.cutoff or 0.0)
        return Outcome(Ending.OPTIMAL, 0.5 * exact, truth.solutions, 1)

    result = lipc.solve(compiled, solver=Liar(contradiction), options=Options(time_limit=1.0))
    assert result.lower <= result.upper
    assert result.lower <= exact * (1 + 1e-12)
    if first[0] < 0.999 * exact:  # else the search had the optimum, and the clipped bound happens to be true
        assert not result.certified


def test_optimal_means_closed() -> None:
    """A solver that stops without a bound leaves a gap: the status may not call that optimal."""
    result = lipc.solve(compiled_once(), solver=Liar(*LIES["no bound"]))
    assert not result.certified
    assert result.lower < result.upper
    assert result.status != "optimal"


def test_a_start_that_is_not_the_optimum_does_not_hide_a_wrong_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, exact = compiled_once(), exact_once()
    truth = Scip().solve(Task(compiled.mip))
    # A search that finds nothing: the witness of the start is that of the middle of the box.
    monkeypatch.setattr("lipc.solving.run.START_SECONDS", 0.0)
    monkeypatch.setattr("lipc.search.ascent.SAMPLES", 8)
    liar = Liar(claims(Ending.OPTIMAL, 1e-3, lambda _: list(truth.solutions)))
    result = lipc.solve(compiled, solver=liar, options=Options(time_limit=1.0))
    assert result.lower <= exact * (1 + 1e-12)
    assert result.lower <= result.upper


def test_a_solution_of_the_right_pattern_is_found_from_bits_alone() -> None:
    """The reals of a solution may be anything: the bits say the pattern."""
    compiled, exact = compiled_once(), exact_once()
    truth = Scip().solve(Task(compiled.mip))
    bits = np.zeros(len(compiled.mip.cost), bool)
    for block in compiled.mip.columns:
        bits[block.columns] = block.role is Role.BIT
    best = truth.solutions[0]
    rng = np.random.default_rng(0)
    noisy = np.where(bits, best + rng.uniform(-0.4, 0.4, len(best)) * 0.1, best)
    result = lipc.solve(
        compiled, solver=Liar(lambda _: Outcome(Ending.OPTIMAL, exact, (noisy,), 1)), options=Options(time_limit=5.0)
    )
    assert result.lower == pytest.approx(exact, rel=RELATIVE)


@pytest.mark.parametrize("bound", [np.inf, 1e3])
def test_a_solver_that_was_interrupted(bound: float) -> None:
    exact = exact_once()
    result = lipc.solve(compiled_once(), solver=Liar(claims(Ending.INTERRUPTED, bound)))
    assert (result.status, result.certified) == ("interrupted", False)
    assert result.lower <= exact <= result.upper <= bound


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SecondInterruptError])
def test_an_interrupt_that_leaves_the_solver(interrupt: type[KeyboardInterrupt]) -> None:
    """The first one (between the solver's own handlers) gives the pair, the second one gives up."""

    class Interrupted(Liar):
        def solve(self, task: Task, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:  # noqa: ARG002
            raise interrupt

    if interrupt is SecondInterruptError:
        with pytest.raises(SecondInterruptError):
            lipc.solve(compiled_once(), solver=Interrupted())
        return
    result = lipc.solve(compiled_once(), solver=Interrupted())
    assert result.status == "interrupted"
    assert result.lower <= exact_once() <= result.upper
