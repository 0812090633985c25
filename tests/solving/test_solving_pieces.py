"""Pieces of a question, solved by HiGHS from their files: together they give the answer of the enumeration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import highspy
import numpy as np
import oracle
import pytest
from nets import KINDS, NetworkKind, random_network
from spread import spread
from test_random_networks import GAP, Question, draw, program_of, truth

import lipc
import lipc.solving.pieces
from lipc import Compiled, Norm, Options
from lipc.certify import Region
from lipc.errors import QueryError
from lipc.ir import Builder, Conditional, Polytope, evaluate
from lipc.mip import MixedIntegerProgram, Role
from lipc.query import box
from lipc.solving.narrow import Narrowed, narrow
from lipc.solving.pieces import Piece, Split

NOISE = 1e-6
"""The tolerances of HiGHS, relatively."""

LARGEST = 2.0**21
"""No coefficient of a file is larger: rows are brought near 1. HiGHS refuses 1e15."""


def optimum(program: MixedIntegerProgram, path: Path) -> tuple[float, np.ndarray] | None:
    """Return what HiGHS says of the file of a maximization: its optimum, and the columns; `None` without a solution."""
    lipc.write_model(program, path)
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("mip_rel_gap", 1e-9)
    assert highs.readModel(str(path)) == highspy.HighsStatus.kOk
    highs.run()
    if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
        return None
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    # The file has the negative, without the scale and the constant.
    value = -program.objective_scale * highs.getObjectiveValue() + program.constant
    return value, np.array(highs.getSolution().col_value)


def optimum_of(program: MixedIntegerProgram) -> float | None:
    """Return what HiGHS says of a program, as `optimum` does of a file."""
    with TemporaryDirectory() as folder:
        found = optimum(program, Path(folder) / "model.mps")
    return None if found is None else found[0]


def input_in(compiled: Compiled, columns: np.ndarray) -> np.ndarray:
    """Return the point of the network in a solution."""
    blocks = {
        block.value: columns[block.start : block.start + len(block.entries)]
        for block in compiled.mip.columns
        if block.role in (Role.BIT, Role.INPUT)
    }
    return compiled.recover(blocks)[compiled.asked.network_input()[0]]


def check_neurons(compiled: Compiled, piece: Piece, columns: np.ndarray) -> None:
    """The states that a piece names are those of the network, up to kinks, at the point that HiGHS found."""
    asked = compiled.asked
    at, domain = asked.network_input()
    values = evaluate(asked, {at: domain.clip(np.nan_to_num(input_in(compiled, columns)))[None]})
    for neuron in piece.neurons:
        # A builder may call all by one name.
        named = [value for value in asked.find(Conditional) if asked.ops[value].origin.name == neuron.name]
        sums = [values[asked.ops[value].operands[0]][0] for value in named]
        entries = [each[neuron.entry] for each in sums if neuron.entry < len(each)]
        assert max(entry if neuron.on else -entry for entry in entries) >= -1e-5, neuron


def solve_pieces(compiled: Compiled, parts: Split, folder: Path) -> float:
    """Return the answer from all files, each checked against what is said of it."""
    best = parts.lower
    for number, piece in enumerate(parts.pieces):
        assert piece.program.coefficient_range[1] < LARGEST
        found = optimum(piece.program, folder / f"{number}.mps")
        if found is None:
            continue
        value, columns = found
        assert value <= piece.bound + NOISE * (1 + abs(piece.bound))
        assert piece.bound <= parts.upper * (1 + 1e-9)
        check_neurons(compiled, piece, columns)
        best = max(best, value)
    return best


def check_answer(compiled: Compiled, parts: Split, exact: float, folder: Path) -> None:
    """The pieces say the same as the whole; that is the answer, or more where a pattern has no interior."""
    noise = NOISE * (1 + abs(exact)) + GAP * abs(exact)
    found = solve_pieces(compiled, parts, folder)
    whole = optimum(compiled.mip, folder / "whole.mps")
    assert whole is not None
    assert exact - noise <= found <= whole[0] + noise
    assert found <= exact + noise or whole[0] > exact + noise


def ask_and_compare(seed: int, folder: Path) -> int | None:
    """Cut a random question, compare; return how many pieces there were, `None` if the enumeration is no help."""
    asked: Question = draw(seed)._replace(goal="lipschitz", norm=(Norm.LINF, Norm.L1)[seed // 2 % 2])
    asked = asked._replace(cases=asked.cases[:1])
    try:
        answer = truth(asked)
    except ValueError:
        return None
    if answer.thin:
        return None
    compiled = lipc.compile(program_of(asked), asked.query(), mode="forward", level=(2, 1, 3, 0)[seed % 4])
    # Without time for a good witness more is left to cut.
    parts = lipc.split(compiled, 1 + seed % 5)
    noise = NOISE * (1 + abs(answer.value))
    assert parts.lower - noise <= answer.value <= parts.upper + noise
    check_answer(compiled, parts, answer.value, folder)
    return len(parts.pieces)


def leave_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find no witness but by chance, so that something is left to cut."""
    monkeypatch.setattr("lipc.solving.witnesses.Witnesses.start", lambda *_: None)
    monkeypatch.setattr("lipc.search.incumbents.Incumbents.is_due", lambda *_: False)
    monkeypatch.setattr("lipc.solving.pieces.PROGRAMS", 40)


@pytest.mark.parametrize("first", [0, *(pytest.param(each, marks=pytest.mark.slow) for each in (12, 24, 36, 48))])
def test_random_questions(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_work(monkeypatch)
    counts = [ask_and_compare(seed, tmp_path) for seed in range(first, first + 12)]
    assert sum(count is not None for count in counts) >= 9
    assert sum((count or 0) > 1 for count in counts) >= 3


@pytest.mark.parametrize("seed", [2068, 2087, 2247])
def test_questions_that_once_failed(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant of 0 (2068), and bounds that the decisions of a piece bring within 1e-15 of one another."""
    if seed // 20 % 2:
        leave_work(monkeypatch)
    assert ask_and_compare(seed, tmp_path) is not None


@pytest.mark.slow
@pytest.mark.parametrize("first", range(2000, 2400, 20))
def test_many_random_questions(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if first % 40:
        leave_work(monkeypatch)
    counts = [ask_and_compare(seed, tmp_path) for seed in range(first, first + 20)]
    assert sum(count is not None for count in counts) >= 15


@pytest.mark.parametrize(("kind", "norm"), spread(KINDS, ["linf", "l1"], every=3))
def test_dense_networks(kind: NetworkKind, norm: oracle.Norm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_work(monkeypatch)
    network = random_network(4, (3, 6, 4, 2), kind)
    inputs = network.weights[0].shape[1]
    answer = oracle.lipschitz(*network, -np.ones(inputs), np.ones(inputs), None, norm)
    query = lipc.Query(box(-np.ones(inputs), np.ones(inputs)), norm=Norm(norm))
    compiled = lipc.compile(lipc.from_weights(*network), query, mode="forward")
    check_answer(compiled, lipc.split(compiled, 6), answer.value, tmp_path)


@pytest.mark.parametrize(("seed", "norm"), spread(range(3), [Norm.LINF, Norm.L1], every=3))
def test_a_residual_network_with_max_pooling_and_twins(
    seed: int, norm: Norm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_work(monkeypatch)
    rng = np.random.default_rng(seed)
    builder = Builder()
    x = builder.input(Polytope.space(3))
    weight, bias = rng.normal(size=(4, 3)), 0.3 * rng.normal(size=4)
    # Twins that are equal, opposite, and larger by a factor.
    h = builder.relu(
        builder.affine(
            {x: np.vstack([weight, weight[:2], -weight[2:], 2 * weight[:1]])},
            [*bias, *bias[:2], *-bias[2:], 2 * bias[0]],
        )
    )
    skipped = builder.affine({h: rng.normal(size=(6, 9)), x: rng.normal(size=(6, 3))}, np.zeros(6))
    pooled = builder.maximum_of_groups(skipped, np.arange(6).reshape(3, 2))
    program = builder.program(
        builder.affine({pooled: rng.normal(size=(2, 3)), x: rng.normal(size=(2, 3))}, np.zeros(2))
    )
    query = lipc.Query(box(-np.ones(3), np.ones(3)), norm=norm)
    exact = lipc.solve(program, query, mode="reverse", options=Options(search="mip"))
    assert exact.certified
    compiled = lipc.compile(program, query, mode="forward")
    parts = lipc.split(compiled, 8)
    assert parts.pieces
    assert solve_pieces(compiled, parts, tmp_path) == pytest.approx(exact.lower, rel=1e-5)


def hard(norm: Norm = Norm.LINF, **asked: object) -> Compiled:
    network = random_network(1, (5, 12, 12, 2))
    return lipc.compile(lipc.from_weights(*network), lipc.Query(box(0, np.ones(5)), norm=norm, **asked), mode="forward")  # type: ignore[arg-type]


def test_without_time_the_pieces_are_the_roots_and_bounded_all_the_same(tmp_path: Path) -> None:
    compiled = hard()
    parts = lipc.split(compiled, 50, Options(time_limit=0.0))
    assert len(parts.pieces) == 2  # one for each output
    assert np.isfinite(parts.upper)
    assert solve_pieces(compiled, parts, tmp_path) == pytest.approx(lipc.solve(compiled).lower, rel=1e-5)


def test_as_many_pieces_as_asked_for_and_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_work(monkeypatch)
    first, second = lipc.split(hard(), 12), lipc.split(hard(), 12)
    assert 12 <= len(first.pieces) <= 14
    assert [piece.bound for piece in first.pieces] == [piece.bound for piece in second.pieces]
    assert [piece.bound for piece in first.pieces] == sorted((piece.bound for piece in first.pieces), reverse=True)
    assert first.upper >= first.pieces[0].bound


def big_ms(program: MixedIntegerProgram) -> float:
    return float((abs(program.matrix) @ (program.integer & (program.column_lower < program.column_upper))).sum())


def test_what_is_decided_in_a_piece_tightens_its_program(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, made = hard(), []
    honest = lipc.solving.pieces.narrow

    def watched(*parts: Any) -> Narrowed | None:
        found = honest(*parts)
        made.append((parts[1], parts[2], found))
        return found

    monkeypatch.setattr(lipc.solving.pieces, "narrow", watched)
    parts = lipc.split(compiled, 12)
    left = [(low, high, found.program) for low, high, found in made if found is not None]
    assert left
    assert len(left) < len(made)  # some are pruned
    sizes = np.zeros(2)
    for low, high, program in left:
        plain = replace(compiled.mip, column_lower=low, column_upper=high)
        assert program.column_names() == plain.column_names()
        sizes += big_ms(program), big_ms(plain)
        decided = compiled.mip.integer & (low == high)
        assert (program.column_lower[decided] == low[decided]).all()
        assert (program.column_upper[decided] == high[decided]).all()
    assert sizes[0] < 0.8 * sizes[1]
    known = parts.lower
    for low, high, found in made:
        if found is None:  # HiGHS finds nothing above what is known, either
            value = optimum_of(replace(compiled.mip, column_lower=low, column_upper=high))
            assert value is None or value <= known * (1 + 2e-6)


def test_without_a_value_known_nothing_but_the_impossible_is_pruned() -> None:
    compiled = hard()
    mip = compiled.mip
    whole = narrow(compiled, mip.column_lower, mip.column_upper, -np.inf, 50, np.inf)
    assert whole is not None
    exact = lipc.solve(compiled).lower
    assert whole.bound >= exact
    assert optimum_of(whole.program) == pytest.approx(exact, rel=1e-5)
    assert narrow(compiled, mip.column_lower, mip.column_upper, 10 * whole.bound, 50, np.inf) is None


def test_a_constant_of_zero_is_answered() -> None:
    # Opposite twins, which only the search brings together: its bounds are a little more than 0.
    weights = [np.array([[1.0, 0.5], [1.0, 0.5]]), np.array([[1.0, -1.0]])]
    network = lipc.from_weights(weights, [np.full(2, -0.5), np.zeros(1)])
    compiled = lipc.compile(network, lipc.Query(box(0, np.ones(2))), mode="forward", level=0)
    parts = lipc.split(compiled, 8)
    assert (parts.lower, parts.pieces) == (0.0, ())
    assert 0 <= parts.upper <= 1e-12


@pytest.mark.parametrize("refused", ["_bound", "widest"])
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
def test_what_the_search_can_do_nothing_about_is_a_piece(
    refused: str, norm: Norm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_work(monkeypatch)
    network = random_network(2, (2, 4, 2))
    query = lipc.Query(box(-np.ones(2), np.ones(2)), norm=norm)
    compiled = lipc.compile(lipc.from_weights(*network), query, mode="forward")
    exact = oracle.lipschitz(*network, -np.ones(2), np.ones(2), None, norm.value).value

    def refuse(*_: object, **__: object) -> Region:
        if refused == "_bound":
            raise QueryError("numbers too far apart")
        return Region(None)

    where = "lipc.search.branching.BranchAndBound._bound" if refused == "_bound" else "lipc.certify.Regions.widest"
    monkeypatch.setattr(where, refuse)
    parts = lipc.split(compiled, 200)
    assert parts.pieces
    assert parts.lower < exact <= parts.upper
    assert solve_pieces(compiled, parts, tmp_path) == pytest.approx(exact, rel=1e-6)


def test_a_neuron_that_a_part_holds_at_zero_contradicts_nothing() -> None:
    seed = 30087
    asked = draw(seed)._replace(goal="lipschitz", norm=Norm.L1)
    compiled = lipc.compile(program_of(asked), asked._replace(cases=asked.cases[:1]).query(), mode="forward", level=0)
    mip = compiled.mip
    part = {"a_value_0": 0, "a_value_1": 1, "a_value.2_0": 0, "a_value.2_1": 0, "a_value.3_0": 0, "a_value.3_1": 0}
    part |= {"v_0": 0, "v_1": 1}
    low, high = mip.column_lower.copy(), mip.column_upper.copy()
    for name, side in part.items():
        low[mip.column_names().index(name)] = high[mip.column_names().index(name)] = side
    # Above this value linear programs prove the first neuron of the last layer to be 0 at least: here it is off.
    found = narrow(compiled, low, high, 1.9929611, 40, np.inf)
    assert found is not None
    assert (found.program.column_lower <= found.program.column_upper).all()
    optimum, plain = optimum_of(found.program), optimum_of(replace(mip, column_lower=low, column_upper=high))
    assert optimum == pytest.approx(plain)
    assert optimum is None or optimum <= found.bound * (1 + NOISE)


def test_what_is_answered_at_once_is_in_no_pieces() -> None:
    network = lipc.from_weights([np.ones((1, 2)), np.ones((1, 1))], [np.ones(1), np.zeros(1)])
    parts = lipc.split(lipc.compile(network, lipc.Query(box(0, np.ones(2))), mode="forward"), 4)
    assert parts.pieces == ()
    assert parts.lower == 2.0 == pytest.approx(parts.upper)


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(QueryError, match="only a Lipschitz constant in l_inf or l_1 is cut into pieces"):
        lipc.split(hard(goal="max", output=0), 4)
    with pytest.raises(QueryError, match="only a Lipschitz constant in l_inf or l_1 is cut into pieces"):
        lipc.split(hard(Norm.L2), 4)
    with pytest.raises(QueryError, match="forward"):
        lipc.split(lipc.compile(lipc.from_weights(*random_network(1, (2, 4, 1))), mode="reverse"), 4)
    with pytest.raises(QueryError, match="at least one"):
        lipc.split(hard(), 0)
