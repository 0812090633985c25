"""Solvers that are missing, crash, hang or lie: what is made of it, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from running import children

import lipc
from lipc.cli.main import main
from lipc.errors import QueryError, SolverError, SolverFailedError
from lipc.ir import Floats
from lipc.solvers.base import Ending, Outcome, Progress, SecondInterruptError, Task
from lipc.solvers.custom import CustomSolver
from lipc.solvers.handover import Handover
from lipc.solvers.highs import Highs
from tests.solvers.solving import question


class Impatient(CustomSolver):
    grace = 0.3


@pytest.fixture(scope="module")
def compiled() -> lipc.Compiled:
    return question(2)


@pytest.fixture(scope="module")
def truth(compiled: lipc.Compiled) -> float:
    return lipc.solve(compiled, solver=Highs()).lower


@pytest.fixture(scope="module")
def optimal(compiled: lipc.Compiled) -> tuple[Handover, Floats]:
    """The program as it is handed over, and its optimal columns."""
    handover = Handover.of(Task(compiled.mip))
    (columns,) = Highs().solve(Task(compiled.mip)).solutions
    return handover, columns * compiled.mip.column_scale / handover.program.column_scale


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After every test: no temporary file, no process, no zombie."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    before = children(os.getpid())  # other tests of this process have started helpers of Python
    yield
    assert list(folder.iterdir()) == []
    assert set(children(os.getpid())) <= set(before)


def cbc_text(handover: Handover, columns: Floats, status: str = "Optimal", objective: float | None = None) -> str:
    """Return a solution file in the style of CBC: it has a status, an objective and names."""
    cost = float(handover.cost @ columns) if objective is None else objective
    names = handover.program.column_names()
    lines = [f"{k} {name} {value!r} 0" for k, (name, value) in enumerate(zip(names, columns.tolist(), strict=True))]
    return "\n".join([f"{status} - objective value {cost!r}", *lines]) + "\n"


def json_text(bound: float, status: int = 9) -> str:
    """Return a solution file in the style of Gurobi: it has a bound, and here no solution."""
    return json.dumps({"SolutionInfo": {"Status": status, "ObjBound": bound, "SolCount": 0}}) + "\n"


def run(tmp_path: Path, program: lipc.Compiled, script: str, text: str = "", limit: float = 20.0) -> Outcome:
    """Let a shell script solve a program: $1 is where the solution goes, $2 a file with the text."""
    prepared = tmp_path / "prepared.sol"
    prepared.write_text(text)
    (tmp_path / "fake.sh").write_text(script)
    words = f"sh {tmp_path / 'fake.sh'} {{sol}} {prepared} {{mps}}"
    return Impatient(words).solve(Task(program.mip, time_limit=limit))


def test_an_honest_one_is_believed_its_bound(
    tmp_path: Path, compiled: lipc.Compiled, truth: float, optimal: tuple[Handover, Floats]
) -> None:
    outcome = run(tmp_path, compiled, "cp $2 $1", cbc_text(*optimal))
    assert outcome.ending is Ending.OPTIMAL and not outcome.faults
    assert truth <= outcome.bound + 1e-5 and outcome.bound == pytest.approx(truth, rel=1e-5)
    assert compiled.mip.objective(outcome.solutions[0]) == pytest.approx(truth, rel=1e-6)


def test_an_exit_code_that_lies_is_seen_through(
    tmp_path: Path, compiled: lipc.Compiled, truth: float, optimal: tuple[Handover, Floats]
) -> None:
    outcome = run(tmp_path, compiled, "cp $2 $1; exit 1", cbc_text(*optimal))
    assert outcome.bound == pytest.approx(truth, rel=1e-5)
    assert "exit code 1" in outcome.faults[0]


@pytest.mark.parametrize(
    ("script", "text", "message"),
    [
        ("exit 0", "", r"wrote no solution file \(exit code 0\)"),
        ("echo no licence; exit 3", "", r"wrote no solution file \(exit code 3\); it printed last: no licence"),
        (": > $1", "", "wrote an empty solution file"),
        ("echo Segmentation fault > $1", "", "cannot be read"),
        ("head -c 400 $2 > $1", "cbc", "cannot be read"),
        ("head -c 999 /dev/urandom > $1", "", "cannot be read"),
        ("cp $2 $1; kill -SEGV $$", "cbc", "was ended by the signal SIGSEGV"),
        ("kill -KILL $$", "", "was ended by the signal SIGKILL"),
        ("mkdir $1", "", "something else than a file"),
        ("ln -s nowhere $1", "", "something else than a file"),
        ("head -c 3000000 /dev/zero > $1", "", "wrote 3000000 bytes where a solution has at most"),
    ],
)
def test_one_that_breaks_down_is_a_clear_error(
    tmp_path: Path, compiled: lipc.Compiled, optimal: tuple[Handover, Floats], script: str, text: str, message: str
) -> None:
    with pytest.raises(SolverFailedError, match=message) as error:
        run(tmp_path, compiled, script, cbc_text(*optimal) if text == "cbc" else text)
    assert str(error.value).startswith("sh ") and "\n" not in str(error.value)


def test_a_flood_of_words_does_no_harm(
    tmp_path: Path, compiled: lipc.Compiled, truth: float, optimal: tuple[Handover, Floats]
) -> None:
    script = "head -c 30000000 /dev/zero; yes | head -c 3000000 >&2; cp $2 $1"
    assert run(tmp_path, compiled, script, cbc_text(*optimal)).bound == pytest.approx(truth, rel=1e-5)


def test_one_that_ignores_its_limit_and_the_request_to_end_is_killed(tmp_path: Path, compiled: lipc.Compiled) -> None:
    began = monotonic()
    outcome = run(tmp_path, compiled, "trap '' TERM INT; while :; do sleep 0.1; done", limit=0.5)
    assert monotonic() - began < 5
    assert outcome.ending is Ending.TIME_LIMIT and np.isinf(outcome.bound)
    assert "after its time limit" in outcome.faults[0]


def test_what_a_killed_one_has_written_and_said_counts(
    tmp_path: Path, compiled: lipc.Compiled, optimal: tuple[Handover, Floats]
) -> None:
    handover, columns = optimal
    cost = float(handover.cost @ columns)
    script = f"echo '  Dual bound   {cost - 1.0}'; cp $2 $1; sleep 100"
    outcome = run(tmp_path, compiled, script, cbc_text(handover, columns, "Stopped on time"), limit=0.5)
    assert outcome.ending is Ending.TIME_LIMIT and len(outcome.solutions) == 1
    assert outcome.bound == pytest.approx(handover.value(cost - 1.0), rel=1e-6)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("last", ["exit 0", "sleep 100"])
def test_its_children_end_with_it(tmp_path: Path, compiled: lipc.Compiled, last: str) -> None:
    pids = tmp_path / "pids"
    script = f"(trap '' TERM; sleep 100) & echo $! > {pids}; sleep 100 & echo $! >> {pids}; {last}"
    with pytest.raises(SolverFailedError) if last == "exit 0" else pytest.MonkeyPatch.context():
        run(tmp_path, compiled, script, limit=0.5)
    for pid in pids.read_text().split():
        deadline = monotonic() + 5
        while monotonic() < deadline and _lives(pid):
            sleep(0.02)
        assert not _lives(pid)


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("wrong", [0.5, -0.5])
def test_an_objective_that_is_not_that_of_its_solution_is_a_fault(
    tmp_path: Path, compiled: lipc.Compiled, optimal: tuple[Handover, Floats], wrong: float
) -> None:
    handover, columns = optimal
    text = cbc_text(*optimal, objective=float(handover.cost @ columns) + wrong)
    outcome = run(tmp_path, compiled, "cp $2 $1", text)
    assert np.isinf(outcome.bound) and "states the objective" in outcome.faults[0]


def test_a_solution_that_is_none_proves_nothing(
    tmp_path: Path, compiled: lipc.Compiled, optimal: tuple[Handover, Floats]
) -> None:
    handover, columns = optimal
    outcome = run(tmp_path, compiled, "cp $2 $1", cbc_text(handover, columns + 3.0))
    assert np.isinf(outcome.bound) and "violates its program" in outcome.faults[0]


def test_optimal_without_a_solution_proves_nothing(tmp_path: Path, compiled: lipc.Compiled) -> None:
    outcome = run(tmp_path, compiled, "cp $2 $1", json_text(1e100, status=2))
    assert np.isinf(outcome.bound) and "leaves no solution" in outcome.faults[0]


@pytest.mark.parametrize(("code", "status"), [(8, "unproven"), (9, "time_limit")])
def test_a_bound_that_cuts_the_truth_is_refuted_by_the_witness(
    tmp_path: Path, compiled: lipc.Compiled, truth: float, optimal: tuple[Handover, Floats], code: int, status: str
) -> None:
    handover, columns = optimal
    lie = tmp_path / "lie.json"
    lie.write_text(json_text(float(handover.cost @ columns) + 0.3, code))
    result = lipc.solve(compiled, solver=CustomSolver(f"sh -c 'cp {lie} {{sol}}; : {{mps}}'"))
    assert result.status == status and not result.certified
    assert result.upper_kind == "rigorous" and result.lower <= truth + 1e-9 and result.upper >= truth - 1e-9
    assert "claims that nothing is above" in result.note and "sh" in result.note


def test_infeasible_is_not_believed_against_a_start(tmp_path: Path, compiled: lipc.Compiled, truth: float) -> None:
    lie = tmp_path / "lie.json"
    lie.write_text(json_text(1e100, status=3))
    result = lipc.solve(compiled, solver=CustomSolver(f"sh -c 'cp {lie} {{sol}}; : {{mps}}'"))
    assert result.status == "unproven" and result.upper >= truth - 1e-9 and result.upper_kind == "rigorous"
    assert "no solution" in result.note


def test_one_that_breaks_down_leaves_a_valid_pair(compiled: lipc.Compiled, truth: float) -> None:
    result = lipc.solve(compiled, solver=CustomSolver("false {mps} {sol}"))
    assert result.status == "unproven" and result.lower <= truth + 1e-9 <= result.upper + 2e-9
    assert result.note.startswith("false wrote no solution file (exit code 1)")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "empty"),
        ("solver 'half", "quotation"),
        ("solver {mps}", r"needs \{sol\}"),
        ("solver {sol}", r"needs \{mps\} or \{lp\}"),
        ("solver {mps} {lp} {sol}", "one of them"),
        ("solver {mps} {sol} {limit}", r"\{limit\}.*\{time_limit\}"),
    ],
)
def test_a_command_that_cannot_be_meant(words: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        CustomSolver(words)


def test_a_missing_or_unfit_command_is_told_before_the_work(
    tmp_path: Path, compiled: lipc.Compiled, capfd: pytest.CaptureFixture[str]
) -> None:
    unfit = tmp_path / "unfit"
    unfit.write_bytes(b"\x7fELF nothing of the kind")
    unfit.chmod(0o755)
    with pytest.raises(SolverError, match="cannot be started"):
        CustomSolver(f"{unfit} {{mps}} {{sol}}").solve(Task(compiled.mip))
    with pytest.raises(SolverError, match="no such command"):
        CustomSolver("no-such-solver {mps} {sol}").solve(Task(compiled.mip))
    assert main(["solve", "missing.onnx", "--solver-cmd", "no-such-solver {mps} {sol}"]) == 2
    assert capfd.readouterr().err == (
        "lipc: error: --solver-cmd no-such-solver: there is no such command, or it may not be run\n"
    )


def test_every_place_is_filled(tmp_path: Path, compiled: lipc.Compiled) -> None:
    told = tmp_path / "told"
    script = tmp_path / "fake.sh"
    script.write_text(f'echo "$@" > {told}; cat "$1" > {tmp_path}/model; cat "$7" > {tmp_path}/start')
    columns = lipc.solve(compiled, solver=Highs()).witness
    assert columns is not None
    words = f"sh {script} {{lp}} {{sol}} {{time_limit}} g={{gap}} {{threads}} {{seed}} {{start}}"
    start = question_start(compiled)
    with pytest.raises(SolverFailedError, match="no solution file"):
        CustomSolver(words).solve(Task(compiled.mip, start=start, time_limit=7.2, gap=1e-3, threads=2, seed=5))
    model, solution, *rest = told.read_text().split()
    assert model.endswith(".lp") and solution.endswith(".sol") and rest[:4] == ["8", "g=0.0005", "2", "5"]
    assert (tmp_path / "model").read_text().startswith(("\\", "Minimize"))
    names = [line.split()[0] for line in (tmp_path / "start").read_text().splitlines()]
    assert names == compiled.mip.column_names()


def question_start(compiled: lipc.Compiled) -> Floats:
    from lipc.solving.start import start_columns

    columns = start_columns(compiled)
    assert columns is not None
    return columns


def interrupted(delays: list[float]) -> list[threading.Timer]:
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    timers = [threading.Timer(delay, signal.pthread_kill, [main_thread, signal.SIGINT]) for delay in delays]
    for timer in timers:
        timer.start()
    return timers


def test_ctrl_c_ends_it_and_what_it_said_counts(
    tmp_path: Path, compiled: lipc.Compiled, optimal: tuple[Handover, Floats]
) -> None:
    handover, columns = optimal
    cost = float(handover.cost @ columns)
    seen: list[Progress] = []
    script = tmp_path / "fake.sh"
    script.write_text(f"echo '  Dual bound   {cost - 1.0}'; sleep 100")
    timers = interrupted([0.5])
    solver = Impatient(f"sh {script} {{mps}} {{sol}}")
    outcome = solver.solve(Task(compiled.mip), seen.append)
    timers[0].join()
    assert outcome.ending is Ending.INTERRUPTED
    assert outcome.bound == pytest.approx(handover.value(cost - 1.0), rel=1e-6)
    assert [each.bound for each in seen] == [outcome.bound]


def test_ctrl_c_twice_gives_up(tmp_path: Path, compiled: lipc.Compiled) -> None:
    timers = interrupted([0.3, 0.5])
    with pytest.raises(SecondInterruptError):
        run(tmp_path, compiled, "trap '' TERM INT; while :; do sleep 0.1; done")
    for timer in timers:
        timer.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_lipc_ends_its_solver(tmp_path: Path, number: signal.Signals) -> None:
    import subprocess

    folder = tmp_path / "own"
    folder.mkdir()
    started = tmp_path / "pid"
    script = tmp_path / "fake.sh"
    script.write_text(f"echo $$ > {started}; trap '' TERM INT; while :; do sleep 0.1; done")
    model = tmp_path / "net.lip"
    model.write_text((Path(__file__).parents[2] / "examples/two_neurons.lip").read_text())
    words = [sys.executable, "-m", "lipc", "solve", str(model), "--objective", "max", "-O0", "--bounds", "interval"]
    with subprocess.Popen(
        [*words, "--solver-cmd", f"sh {script} {{mps}} {{sol}}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder)},
    ) as process:
        deadline = monotonic() + 30
        while not (started.exists() and started.read_text().strip()) and monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == (1 if number is signal.SIGINT else 128 + signal.SIGTERM), (out, err)
    assert b"interrupted" in out if number is signal.SIGINT else not out
    assert b"Traceback" not in err
    assert list(folder.iterdir()) == [] and not _lives(started.read_text().strip())
