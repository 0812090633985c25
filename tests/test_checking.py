"""Solutions of all solvers are accepted; corrupted ones, and claims that no point reaches, are not."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import oracle
import pytest
from nets import random_network
from solution_files import solved
from spread import spread

import lipc
from lipc import Norm, Query, box, from_weights
from lipc.checking import Check, check
from lipc.errors import LipcError, SolutionError
from lipc.formats import read_sidecar
from lipc.solving.start import start_columns

NET = random_network(3, (3, 5, 4, 1))
DOMAIN = box([-1.0] * 3, [1.0] * 3)
QUERIES = {
    "linf": Query(DOMAIN),
    "l1": Query(DOMAIN, norm=Norm.L1),
    "max": Query(DOMAIN, 0, goal="max"),
    "min": Query(DOMAIN, 0, goal="min"),
}


def write(folder: Path, query: Query = QUERIES["linf"], mode: str = "reverse", ending: str = "mps", net=NET) -> Path:
    compiled = lipc.compile(from_weights(*net), query, mode=mode)
    lipc.write_model(compiled.mip, folder / f"model.{ending}", facts=compiled.facts())
    return folder / "model.map.json"


def truth(goal: str) -> float:
    of = (NET.weights, NET.biases, -np.ones(3), np.ones(3))
    if goal in ("max", "min"):
        found = oracle.output_range(*of, functional=np.ones(1))
        return found.maximum if goal == "max" else found.minimum
    return oracle.lipschitz(*of, input_norm=goal).value


@pytest.mark.parametrize(
    ("solver", "goal"), spread(["scip", "highs", "cbc", "glpsol", "gurobi"], ["linf", "l1", "max", "min"], every=3)
)
def test_what_solvers_find_is_accepted(solver: str, goal: str, tmp_path: Path) -> None:
    mode = {"linf": "reverse", "l1": "forward"}.get(goal, "auto")
    sidecar = write(tmp_path, QUERIES[goal], mode)
    (tmp_path / "model.mps").rename(tmp_path / "m.mps")  # not needed for the check
    for file in solved(tmp_path, solver, "m.mps"):
        (tmp_path / "m.mps").unlink(missing_ok=True)
        found = check(sidecar, file)
        assert found.accepted, (file.name, found.problems)
        assert found.certified == pytest.approx(truth(goal), rel=1e-6)
        assert found.claimed is None or found.claimed == pytest.approx(truth(goal), rel=1e-5)


@pytest.mark.parametrize("solver", ["highs", "glpsol", "scip"])
def test_what_solvers_find_of_an_lp_file_is_accepted(solver: str, tmp_path: Path) -> None:
    # Rows of two sides are two rows there.
    sidecar = write(tmp_path, QUERIES["linf"], "forward", "lp")
    for file in solved(tmp_path, solver, "model.lp"):
        found = check(sidecar, file)
        assert found.accepted, (file.name, found.problems)
        assert found.certified == pytest.approx(truth("linf"), rel=1e-6)


@pytest.mark.parametrize("kind", ["zero as a difference", "identity as a difference"])
@pytest.mark.parametrize("ending", ["mps", "lp"])
def test_programs_without_bits_or_rows(kind, ending: str, tmp_path: Path) -> None:
    net = random_network(0, (1, 2, 1), kind)
    sidecar = write(tmp_path, Query(box([-1.0], [1.0])), "forward", ending, net)
    for file in solved(tmp_path, "highs", f"model.{ending}"):
        found = check(sidecar, file)
        assert found.accepted, (file.name, found.problems)
        assert found.certified == (1.0 if kind.startswith("identity") else 0.0)


def test_a_pattern_without_interior_is_not_confirmed(tmp_path: Path) -> None:
    # All biases are 0: the big-M rows hold at 0 for every pattern, and the solvers' optimum is nobody's gradient.
    net = random_network(0, (3, 5, 4, 2), "zero biases")
    sidecar = write(tmp_path, Query(DOMAIN), net=net)
    file = solved(tmp_path, "highs")[0]
    found = check(sidecar, file)
    true = oracle.lipschitz(net.weights, net.biases, -np.ones(3), np.ones(3)).value
    assert found.claimed is not None
    assert found.certified is not None
    assert found.claimed > true * 1.1
    assert found.certified <= true
    assert not found.accepted
    assert "has no interior: no point has its gradient" in found.problems[-1]


class Solution:
    """A solution that is accepted, made without a solver, and its texts in two formats."""

    def __init__(self, folder: Path) -> None:
        compiled = lipc.compile(from_weights(*NET), QUERIES["linf"])
        lipc.write_model(compiled.mip, folder / "model.mps", facts=compiled.facts())
        self.mip, self.sidecar = compiled.mip, folder / "model.map.json"
        self.file = folder / "model.sol"
        columns = start_columns(compiled)
        assert columns is not None
        self.columns = columns
        self.names = self.mip.column_names()
        self.objective = -self.mip.objective(columns)

    def scip(self, columns=None, objective: float | None = None) -> str:
        values = self.columns if columns is None else columns
        lines = [f"objective value:   {self.objective if objective is None else objective!r}"]
        lines += [f"{name}  {float(value)!r} \t(obj:0)" for name, value in zip(self.names, values, strict=True)]
        return "\n".join(lines) + "\n"

    def glpk(self, rows: int | None = None) -> str:
        count = self.mip.matrix.shape[0] if rows is None else rows
        lines = [f"s mip {count} {len(self.names)} o {self.objective!r}"]
        lines += [f"i {row} 0" for row in range(1, count + 1)]
        lines += [f"j {place} {value!r}" for place, value in enumerate(self.columns.tolist(), 1)]
        return "\n".join(lines) + "\ne o f\n"

    def with_value(self, name: str, value: float) -> str:
        columns = self.columns.copy()
        columns[self.names.index(name)] = value
        return self.scip(columns)

    def check(self, text: str | bytes, **options: float) -> Check:
        self.file.write_bytes(text.encode() if isinstance(text, str) else text)
        return check(self.sidecar, self.file, **options)


@pytest.fixture
def solution(tmp_path: Path) -> Solution:
    return Solution(tmp_path)


def test_the_solution_is_accepted_in_several_forms(solution: Solution) -> None:
    plain = "".join(
        f"{name} {value!r}\n" for name, value in zip(solution.names, solution.columns.tolist(), strict=True)
    )
    signed = plain.replace(" 0.0\n", " -0.0\n")
    assert signed != plain
    for text in (
        solution.scip(),
        solution.glpk(),
        plain,
        signed,
        gzip.compress(solution.scip().encode()),
        "a log\n\nof a solver\n" + solution.glpk(),
    ):
        found = solution.check(text)
        assert found.accepted, found.problems
        assert found.certified == pytest.approx(-solution.objective, rel=1e-9)


def _swapped(solution: Solution) -> str:
    """Return the solution with two columns of different values in each other's place."""
    columns = solution.columns.copy()
    first, second = (solution.names.index(name) for name in ("input_0", "input_1"))
    assert abs(columns[first] - columns[second]) > 0.1
    columns[[first, second]] = columns[[second, first]]
    return solution.scip(columns)


def _flipped(solution: Solution) -> str:
    """Return the solution with one bit turned round."""
    name = next(name for name in solution.names if name.startswith("a_relu"))
    return solution.with_value(name, 1.0 - solution.columns[solution.names.index(name)])


def _bit(solution: Solution) -> str:
    return next(name for name in solution.names if name.startswith("a_"))


NOT_CONFIRMED: dict[str, tuple[Callable[[Solution], str | bytes], str]] = {
    "swapped values": (_swapped, "row "),
    "a bit of 0.5": (lambda s: s.with_value(_bit(s), 0.5), "is integral, and has the value 0.5"),
    "a bit of 2": (lambda s: s.with_value(_bit(s), 2.0), "lies outside its bound"),
    "outside the domain": (
        lambda s: s.with_value("input_0", 1.5),
        "column input_0 = 1.5 lies outside its bound 1 (by 0.5)",
    ),
    "huge": (lambda s: s.with_value("input_0", 1e308), "column input_0 = 1e+308 lies outside its bound 1"),
    "pattern of another point": (_flipped, "row "),
    "missing column": (lambda s: s.scip().replace(f"input_1  {float(s.columns[1])!r} \t(obj:0)\n", ""), "row "),
    "claim too large": (lambda s: s.scip(objective=1.01 * s.objective), "the file states the objective"),
    "claim too small": (lambda s: s.scip(objective=0.99 * s.objective), "the file states the objective"),
    "claim of the other sign": (lambda s: s.scip(objective=-s.objective), "the file states the objective"),
    "no solution": (lambda _: "no solution available\n", "the file holds no solution"),
    "infeasible": (lambda s: s.glpk().replace(" o -", " n -"), "the file holds no solution: infeasible"),
}

REFUSED: dict[str, tuple[Callable[[Solution], str | bytes], str]] = {
    "truncated": (lambda s: s.scip()[:-9], "truncated"),
    "truncated for GLPK": (lambda s: s.glpk()[:-9], "truncated"),
    "missing column for GLPK": (
        lambda s: s.glpk().replace(f"j 1 {float(s.columns[0])!r}\n", ""),
        "no value for column",
    ),
    "duplicate column": (
        lambda s: s.scip() + "input_0  1 \t(obj:0)\n",
        "column 'input_0' has a value already, on line",
    ),
    "NaN": (lambda s: s.with_value("input_0", np.nan), "the value 'nan' is not finite"),
    "infinite": (lambda s: s.with_value("input_0", np.inf), "the value 'inf' is not finite"),
    "infinite claim": (lambda s: s.scip(objective=np.inf), "the value 'inf' is not finite"),
    "rows of another program": (lambda s: s.glpk(rows=7), "the file is of a program of 7 rows, this one has"),
    "unknown name": (lambda s: s.scip().replace("input_0 ", "input_99 "), "the program has no column 'input_99'"),
    "binary garbage": (lambda _: bytes(range(256)), "is not text"),
    "a broken gzip": (lambda s: gzip.compress(s.scip().encode())[:-20], "gzip file is truncated"),
    "a picture": (lambda _: b"\x89PNG\r\n\x1a\n", "is not text"),
    "a model": (lambda s: s.sidecar.with_name("model.mps").read_bytes(), "begins no solution file"),
    "a sidecar": (lambda s: s.sidecar.read_bytes(), "holds no 'SolutionInfo'"),
    "nothing": (lambda _: b"", "the file is empty"),
}


@pytest.mark.parametrize("name", NOT_CONFIRMED)
def test_what_is_not_confirmed_is_said_by_name(name: str, solution: Solution) -> None:
    make, message = NOT_CONFIRMED[name]
    assert solution.check(solution.scip()).accepted
    found = solution.check(make(solution))
    assert not found.accepted
    assert any(message in problem for problem in found.problems), found.problems
    # Whatever the file says, what is certified is true.
    assert found.certified is None or found.certified <= truth("linf") * (1 + 1e-12)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_solution_is_refused_by_name(name: str, solution: Solution) -> None:
    make, message = REFUSED[name]
    with pytest.raises(SolutionError) as caught:
        solution.check(make(solution))
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(solution.file))


def test_each_violated_row_is_named_with_its_amount(solution: Solution) -> None:
    columns = solution.columns.copy()
    columns[solution.names.index("input_0")] -= 0.25
    found = solution.check(solution.scip(columns))
    # Recomputed here from the matrix: which rows are violated, and by how much.
    mip, activity = solution.mip, solution.mip.matrix.toarray() @ columns
    outside = np.maximum(mip.row_lower - activity, activity - mip.row_upper)
    expected = {name: by for name, by in zip(mip.row_names(), outside.tolist(), strict=True) if by > 1e-4}
    named = {each.name: each.amount for each in found.violations if each.kind == "row"}
    assert expected
    assert named == pytest.approx(expected, rel=1e-9)


def test_the_solution_of_another_network_of_the_same_shape(solution: Solution, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other", net=random_network(4, (3, 5, 4, 1)))
    solution.file.write_text(solution.scip())
    assert set(solution.names) < set(read_sidecar(other).column_names())  # all names are known
    found = check(other, solution.file)
    assert any(problem.startswith("row ") for problem in found.problems)


def test_the_solution_of_the_same_names_and_other_weights(solution: Solution, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    moved = NET._replace(weights=[*NET.weights[:-1], -1.25 * NET.weights[-1]])
    other = write(tmp_path / "other", net=moved)
    assert read_sidecar(other).column_names() == solution.names
    for text in (solution.scip(), solution.glpk()):
        solution.file.write_text(text)
        found = check(other, solution.file)
        assert any(problem.startswith("row ") for problem in found.problems)


def test_a_looser_tolerance_takes_a_looser_claim(solution: Solution) -> None:
    columns = solution.columns.copy()
    columns[solution.names.index("input_0")] -= 1e-3
    text = solution.scip(columns)
    assert not solution.check(text).accepted
    assert solution.check(text, feasibility=0.1, tolerance=0.1).accepted
    with pytest.raises(LipcError, match="not a finite number"):
        solution.check(text, tolerance=float("nan"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(network=None), "it does not hold the network"),
        (lambda content: content["network"].update(text="program {\n"), "the network in the sidecar:"),
        (lambda content: content["network"].update(arrays=""), "packed arrays"),
        (lambda content: content["network"].update(arrays=content["program"]), "does not fit the network"),
        (lambda content: content.update(program="AAAA"), "packed arrays are broken"),
        (lambda content: content.update(schema=1), "it does not hold the program; write the model again"),
        (lambda content: content.pop("network"), "it does not hold the network"),
    ],
)
def test_a_broken_sidecar_is_one_error(change: Callable[[dict], object], message: str, solution: Solution) -> None:
    content = json.loads(solution.sidecar.read_text())
    change(content)
    solution.sidecar.write_text(json.dumps(content))
    with pytest.raises(LipcError) as caught:
        solution.check(solution.scip())
    assert message in str(caught.value)


def test_a_start_of_gurobi_claims_nothing_and_is_worth_something(solution: Solution) -> None:
    bits = [name for name, integral in zip(solution.names, solution.mip.integer, strict=True) if integral]
    lines = [f"{name} {float(solution.columns[solution.names.index(name)])!r}" for name in bits]
    found = solution.check("\n".join(["# MIP start", *lines]) + "\n")
    assert (found.claimed, found.computed, found.accepted) == (None, None, True)
    assert found.certified == pytest.approx(-solution.objective, rel=1e-9)


def test_the_result_as_json(solution: Solution) -> None:
    found = json.loads(solution.check(solution.scip(objective=-9.0)).to_json())
    assert found["claimed"] == 9.0
    assert found["accepted"] is False
    assert found["certified"] == found["witness"]["value"]
    assert len(found["witness"]["x"]) == 3
    assert found["problems"][0].startswith("the file states the objective 9")


def test_a_program_of_several_inputs_cannot_be_certified(tmp_path: Path) -> None:
    text = """program {
      %0: vec[1] = input box [0.0] .. [1.0]
      %1: vec[1] = input box [0.0] .. [1.0]
      %2: vec[1] = affine [[1.0]] * %0 + [[1.0]] * %1
      maximize %2
    }"""
    (tmp_path / "two.lir").write_text(text)
    compiled = lipc.compile(tmp_path / "two.lir")
    lipc.write_model(compiled.mip, tmp_path / "two.mps", facts=compiled.facts())
    (tmp_path / "two.sol").write_text("x 1\n")
    with pytest.raises(LipcError, match="it does not hold the network"):
        check(tmp_path / "two.map.json", tmp_path / "two.sol")


def test_l2_may_use_up_its_factor(tmp_path: Path) -> None:
    # The program states up to a known factor more than the truth, which no point reaches.
    sidecar = write(tmp_path, Query(DOMAIN, norm=Norm.L2), "forward")
    true = truth("l2")
    for file in solved(tmp_path, "highs"):
        found = check(sidecar, file)
        assert found.accepted, found.problems
        assert found.claimed is not None
        assert found.certified is not None
        assert found.certified <= true * (1 + 1e-12)
        assert true * (1 - 1e-6) <= found.claimed <= true * found.factor * (1 + 1e-6)
        assert 1 < found.factor < 1.1


def test_the_pieces_of_a_split_question(tmp_path: Path) -> None:
    net = random_network(5, (4, 6, 6, 1))
    compiled = lipc.compile(from_weights(*net), Query(box([-1.0] * 4, [1.0] * 4)), mode="forward", level=0)
    parts = lipc.split(compiled, 3)
    true = oracle.lipschitz(net.weights, net.biases, -np.ones(4), np.ones(4)).value
    assert parts.pieces
    for number, piece in enumerate(parts.pieces):
        folder = tmp_path / str(number)
        folder.mkdir()
        lipc.write_model(piece.program, folder / "m.mps", facts=compiled.facts())
        found = check(folder / "m.map.json", solved(folder, "highs", "m.mps")[0])
        assert found.accepted, found.problems
        assert found.certified is not None
        assert found.certified <= true * (1 + 1e-12)
