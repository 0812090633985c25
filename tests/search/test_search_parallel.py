"""The search by several processes: the same answers, whatever becomes of the processes."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from nets import random_network
from running import children, is_running

import lipc
from lipc import Compiled, Norm, Options, Result
from lipc.driver import Report
from lipc.engine import messages, processes
from lipc.ir import print_program
from lipc.query import box
from lipc.search import parallel
from lipc.search.branching import BranchAndBound
from lipc.search.worker import STEP, Batch, Searcher

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

SEARCH = "branch and bound on the SDP bound"


@pytest.fixture(scope="module")
def question() -> Compiled:
    """A question of some hundred nodes."""
    network = lipc.from_weights(*random_network(3, (5, 14, 12, 2)))
    return lipc.compile(network, lipc.Query(box(-np.ones(5), np.ones(5)), norm=Norm.LINF))


@pytest.fixture(scope="module")
def answer(question: Compiled) -> float:
    return lipc.solve(question, options=Options(search="bab")).lower


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are started after a few nodes, and report often."""
    monkeypatch.setattr(parallel, "ALONE", 5)
    monkeypatch.setattr(parallel, "ROUND", 15)


def search(question: Compiled, jobs: int, on_report: Callable[[Report], None] = lambda _: None) -> Result:
    return lipc.solve(question, options=Options(search="bab", jobs=jobs), on_report=on_report)


def check(result: Result, answer: float) -> None:
    assert (result.status, result.certified, result.solver) == ("optimal", True, SEARCH)
    assert result.lower == answer
    assert result.upper == pytest.approx(answer, rel=2e-6)


def speak(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let processes run this instead; `main` is what they should."""
    home = str(Path(lipc.__file__).parents[1])
    imports = "from lipc.engine import messages, worker"
    if "BranchAndBound" in code:
        imports += "; from lipc.search.branching import BranchAndBound"
    text = f"import sys, os, time; sys.path.append({home!r})\n{imports}\n{textwrap.dedent(code)}"
    monkeypatch.setattr(processes, "start_command", lambda: [sys.executable, "-c", text])


def test_a_program_is_the_same_after_a_pipe(question: Compiled) -> None:
    for program in (question.asked, question.reduced_exactly, question.program):
        copy = pickle.loads(pickle.dumps(program))
        assert print_program(copy) == print_program(program)
        assert {*copy.bounds} == {*program.bounds}
        assert copy.objective == program.objective
        with pytest.raises(TypeError):
            copy.bounds[0] = None


def test_a_point_that_is_found_ends_a_batch_soon(question: Compiled, answer: float) -> None:
    """Whoever asked can certify it, and all others prune by it."""
    program = question.reduced_exactly
    tree = BranchAndBound(program, lambda: 0.2 * answer, lambda _: None, np.inf)
    tree.relax()
    search = Searcher(program).start()
    left = search(Batch(tree.open.nodes, 0.2 * answer, 10_000, 60.0))
    assert left.points
    assert left.seen <= 10 * STEP
    assert max(node.bound for node in left.nodes) >= answer
    rest = search(Batch(left.nodes, answer * (1 + 1e-6), 10_000, 60.0))
    assert rest.nodes == [] and rest.points == []


def test_messages() -> None:
    pipe = BytesIO()
    messages.write_message(pipe, messages.Ready())
    size = pipe.tell()
    pipe.seek(0)
    assert messages.read_message(pipe) == messages.Ready()
    for wrong, error in ((b"", EOFError), (pipe.getvalue()[: size - 1], EOFError), (b"hello, world\n" * 9, ValueError)):
        with pytest.raises(error):
            messages.read_message(BytesIO(wrong))


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize("jobs", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_answer_is_that_of_one_process_and_pairs_are_right(question: Compiled, answer: float, jobs: int) -> None:
    reports: list[Report] = []
    result = search(question, jobs, reports.append)
    check(result, answer)
    assert result.note == ""
    for before, after in pairwise(reports):
        assert before.lower <= after.lower <= answer * (1 + 1e-9)
        assert answer * (1 - 1e-9) <= after.upper <= before.upper
    again = search(question, jobs)
    assert (again.lower, again.upper, again.nodes) == (result.lower, result.upper, result.nodes)


@pytest.mark.usefixtures("early")
def test_no_more_processes_than_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    real = processes.Worker.__init__

    def counted(self: processes.Worker, *args: object) -> None:
        started.append(1)
        real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(processes.Worker, "__init__", counted)
    monkeypatch.setattr(parallel, "ALONE", 1)
    small = lipc.compile(lipc.from_weights(*random_network(2, (3, 6, 1))), lipc.Query(box(-np.ones(3), np.ones(3))))
    assert search(small, 64).certified
    assert len(started) < 10


DEAD = {
    "at once": ("os._exit(7)", "exit code 7"),
    "an import that fails": ("import a_module_that_nobody_has", "ModuleNotFoundError"),
    "killed": ("os.kill(os.getpid(), 9)", "SIGKILL"),
    "rubbish": ("print('hello, world ' * 9, flush=True); time.sleep(60)", "answered something else"),
    "deaf": ("os.close(0); os.close(1); time.sleep(60)", ""),
    "in the middle": (
        """
        def fail(*_, **__):
            raise RuntimeError("no luck")
        BranchAndBound.run = fail
        worker.main()
        """,
        "RuntimeError: no luck",
    ),
    "half an answer": (
        """
        real = worker.write_message
        def half(sink, message):
            if isinstance(message, messages.Answer):
                sink.write(messages.HEAD.pack(messages.MARK, 10**6)); sink.flush(); os._exit(0)
            real(sink, message)
        worker.write_message = half
        worker.main()
        """,
        "exit code 0",
    ),
    "a pickle of something else": (
        """
        real = worker.write_message
        worker.write_message = lambda sink, message: real(sink, {} if isinstance(message, messages.Answer) else message)
        worker.main()
        """,
        "",
    ),
    "a pickle that cannot be read": (
        """
        sys.stdout.buffer.write(messages.HEAD.pack(messages.MARK, 20) + b"x" * 20); sys.stdout.flush(); time.sleep(60)
        """,
        "answered something else",
    ),
}


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize("how", DEAD)
def test_processes_that_fail_cost_no_answer(
    how: str, question: Compiled, answer: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, reason = DEAD[how]
    speak(monkeypatch, code)
    result = search(question, 2)
    check(result, answer)
    assert result.note.startswith("2 of 2 processes of the search were lost")
    assert reason in result.note


@pytest.mark.usefixtures("early")
def test_what_libraries_print_is_no_message(
    question: Compiled, answer: float, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    speak(
        monkeypatch,
        """
        real = BranchAndBound.restart
        def loud(self, *args):
            print("hello"); os.write(1, b"hello"); print("hello", file=sys.stderr); real(self, *args)
        BranchAndBound.restart = loud
        worker.main()
        """,
    )
    result = search(question, 2)
    check(result, answer)
    assert result.note == ""
    assert capfdbinary.readouterr() == (b"", b"")


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize("executable", [None, "", "/nowhere/python", "/bin/true", "/bin/echo"])
def test_an_embedded_python(
    executable: str | None, question: Compiled, answer: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiprocessing.spawn.get_executable", lambda: executable)
    result = search(question, 2)
    check(result, answer)
    assert result.note.startswith("2 of 2 processes of the search were lost: ")


@pytest.mark.usefixtures("early")
def test_one_killed_process_is_told_and_the_other_goes_on(
    question: Compiled, answer: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = parallel.ParallelSearch._round
    killed: list[int] = []

    def round_with_a_loss(self: parallel.ParallelSearch) -> None:
        if not killed:
            killed.append(self.workers[0].process.pid)
            os.kill(killed[0], signal.SIGKILL)
        real(self)

    monkeypatch.setattr(parallel.ParallelSearch, "_round", round_with_a_loss)
    result = search(question, 2)
    check(result, answer)
    assert result.note == "1 of 2 processes of the search were lost: ended by SIGKILL"


@pytest.mark.usefixtures("early")
def test_a_process_that_hangs_does_not_outlast_the_time_limit(
    question: Compiled, answer: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak(monkeypatch, "BranchAndBound.run = lambda *_, **__: time.sleep(60)\nworker.main()")
    begun = time.monotonic()
    result = lipc.solve(question, options=Options(search="bab", jobs=2, time_limit=2.0))
    assert time.monotonic() - begun < 12
    assert result.status == "time_limit"
    assert result.lower <= answer <= result.upper
    assert result.note == ""


@pytest.mark.usefixtures("early")
def test_an_interrupt_leaves_a_valid_pair_and_no_process(
    question: Compiled, answer: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[list[processes.Worker]] = []
    real = parallel.ParallelSearch._take

    def interrupted(self: parallel.ParallelSearch, *args: object) -> None:
        rounds.append(list(self.workers))
        if len(rounds) == 2:  # one answer was taken, the next is lost
            raise KeyboardInterrupt
        real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(parallel.ParallelSearch, "_take", interrupted)
    result = search(question, 2)
    assert result.status == "interrupted"
    assert result.lower <= answer <= result.upper
    assert [each.process.returncode for each in rounds[0]] == [-signal.SIGKILL] * 2


@pytest.mark.usefixtures("early")
def test_every_time_at_which_an_interrupt_comes_is_right(
    question: Compiled, answer: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is away, coming back or pushed again counts, wherever the search is stopped."""
    tree = parallel.ParallelSearch(
        question.reduced_exactly, lambda: 0.5 * answer, lambda _: None, np.inf, engine=processes.Processes(2)
    )
    real = BranchAndBound._push

    def checked(self: BranchAndBound, node: object) -> None:
        if self.current == -np.inf and isinstance(self, parallel.ParallelSearch):
            assert self.upper >= answer
        real(self, node)  # type: ignore[arg-type]

    tree.relax()
    monkeypatch.setattr(BranchAndBound, "_push", checked)
    tree.run(lambda: None, 60)
    assert tree.upper >= answer
    assert tree.nodes >= 60


SCRIPT = """
import sys
sys.path[:0] = {paths!r}
import numpy as np
import lipc
from lipc.search import parallel
from lipc.search.worker import STEP, Batch, Searcher
from nets import random_network
parallel.ALONE, parallel.ROUND = 5, {round}
network = lipc.from_weights(*random_network(3, {widths}))
query = lipc.Query(lipc.box(-np.ones(5), np.ones(5)))
result = lipc.solve(network, query, options=lipc.Options(search="bab", jobs=2))
print(result.lower, result.certified, repr(result.note))
"""


def script(widths: tuple[int, ...] = (5, 14, 12, 2), each_round: int = 15) -> str:
    """Return a program without a guard for its main module, that finds lipc by its own path alone."""
    paths = [str(Path(lipc.__file__).parents[1]), str(Path(__file__).parents[1])]
    paths += [path for path in sys.path if path.endswith("site-packages")]
    return SCRIPT.format(paths=paths, widths=widths, round=each_round)


def test_a_script_on_its_own_path_in_a_folder_of_traps(tmp_path: Path, answer: float) -> None:
    for name in ("lipc.py", "numpy.py", "pickle.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')\n")
    (tmp_path / "of").mkdir()
    path = tmp_path / "of" / "script.py"
    path.write_text(script())
    run = subprocess.run(
        [sys.executable, "-S", "-E", path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (run.stdout, run.stderr) == (f"{answer} True ''\n", "")


@pytest.mark.slow
def test_processes_end_with_the_one_that_asked(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(script((5, 30, 30, 2), 10**6))
    with subprocess.Popen([sys.executable, path], stdout=subprocess.DEVNULL) as process:
        begun = time.monotonic()
        while len(found := children(process.pid)) < 2 and time.monotonic() < begun + 60:
            time.sleep(0.1)
        time.sleep(4)  # in the middle of a batch
        process.kill()
    assert len(found) == 2
    time.sleep(1)
    assert not any(map(is_running, found))
