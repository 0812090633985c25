"""``lipc check``, and pipes from lipc through a solver back to lipc."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_process import command

Call = Callable[..., "tuple[int, str, str]"]

LIPC = f"{shlex.quote(sys.executable)} -m lipc"
SOLVED = "certified  4.0, a lower bound"

GLPSOL = f"glpsol --freemps /dev/stdin -w /dev/{'fd/1' if os.geteuid() == 0 else 'stdout'}"
"""It deletes what stands behind -w before it writes: root would be left without /dev/stdout."""

needs_glpsol = pytest.mark.skipif(shutil.which("glpsol") is None, reason="glpsol is not installed")


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def here(models: Path, tmp_path: Path) -> Path:
    """A folder with net.lip, whose Lipschitz constant is 4, and net.onnx."""
    example = Path(__file__).parents[2] / "examples/two_neurons.lip"
    shutil.copy(example, tmp_path / "net.lip")
    shutil.copy(models / "small.onnx", tmp_path / "net.onnx")
    return tmp_path


@pytest.fixture
def solved(lipc: Call, here: Path) -> tuple[Path, Path]:
    """A sidecar and a start solution, which is the optimum of so small a network."""
    assert lipc(here / "net.lip", "-o", here / "m.mps", "--start", here / "m.sol") == (0, "", "")
    return here / "m.map.json", here / "m.sol"


@needs_glpsol
def test_the_pipe_of_the_documentation(lipc: Call, here: Path) -> None:
    line = f"net.onnx --box 0 1 -o - | {GLPSOL}"
    done = shell(f"{LIPC} {line} | {LIPC} check net.map.json -", here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("solution   glpk, optimal\n")
    assert done.stdout.endswith("\naccepted: the claim is certified within 1e-06\n")
    certified = re.search(r"^certified  (\S+),", done.stdout, re.MULTILINE)
    assert certified is not None
    code, out, _ = lipc("solve", here / "net.onnx", "--box", 0, 1, "-q", "--json")
    assert code == 0
    assert float(certified[1]) == pytest.approx(json.loads(out)["lower"], rel=1e-6)


@needs_glpsol
@pytest.mark.parametrize(
    ("form", "source"),
    [
        ("lip", "cat net.lip"),
        pytest.param("lir", f"{LIPC} opt net.lip", marks=pytest.mark.slow),
        pytest.param("lir", f"{LIPC} opt net.lip | gzip", marks=pytest.mark.slow),
    ],
)
def test_a_network_from_a_pipe_to_a_pipe(form: str, source: str, here: Path) -> None:
    line = f"{source} | {LIPC} - --from {form} -o - --map my.json | {GLPSOL} | {LIPC} check my.json -"
    done = shell(line, here)
    assert (done.returncode, done.stderr) == (0, "")
    assert SOLVED in done.stdout
    assert not list(here.glob("*.map.json"))


@needs_glpsol
@pytest.mark.slow
def test_named_pipes(here: Path) -> None:
    lines = [
        "mkfifo p.mps p.sol",
        f"{LIPC} net.lip -o p.mps --map p.map.json &",
        "glpsol --freemps p.mps -w /dev/fd/1 > p.sol &",  # it would delete a file behind -w, and make a new one
        f"{LIPC} check p.map.json p.sol",
    ]
    done = shell("\n".join(lines), here)
    assert done.returncode == 0, done.stderr
    assert SOLVED in done.stdout


def test_check_says_what_it_found(lipc: Call, solved: tuple[Path, Path]) -> None:
    sidecar, solution = solved
    assert lipc("check", sidecar, solution) == (
        0,
        "solution   scip, unknown\n"
        "claimed    4, what the file states\n"
        "computed   4, the program's objective at its columns\n"
        f"{SOLVED}, by exact arithmetic at x = (0.5, 0.25)\n".replace("(0.5, 0.25)", _point(sidecar, solution))
        + "accepted: the claim is certified within 1e-06\n",
        "",
    )


def _point(sidecar: Path, solution: Path) -> str:
    from lipc import check

    found = check(sidecar, solution)
    assert found.witness is not None
    return f"({', '.join(f'{entry:.6g}' for entry in found.witness.x.tolist())})"


def test_exit_codes(lipc: Call, solved: tuple[Path, Path]) -> None:
    sidecar, solution = solved
    text = solution.read_text()
    solution.write_text(text.replace("objective value: -4.0", "objective value: -5.0"))
    code, out, err = lipc("check", sidecar, solution)
    assert (code, err) == (1, "")
    assert "problem    the file states the objective 5, its columns have 4\n" in out
    assert "problem    the claim 5 is not reached: 4 is certified\n" in out
    assert out.endswith("\nnot confirmed\n")
    assert json.loads(lipc("check", sidecar, solution, "--json")[1])["accepted"] is False
    solution.write_text(text[:-5])
    code, out, err = lipc("check", sidecar, solution)
    assert (code, out) == (2, "")
    assert err.startswith(f"{solution}:")
    assert "truncated" in err
    for args, message in (
        ((sidecar, sidecar.with_name("none.sol")), "none.sol: error: cannot be read: No such file or directory\n"),
        ((sidecar.with_name("none.json"), solution), "none.json: cannot read the sidecar: No such file"),
        ((solution, solution), "m.sol: the sidecar is not JSON"),
        ((sidecar, sidecar.parent), "error: cannot be read: Is a directory\n"),
        ((sidecar, solution, "--tolerance", "nan"), "nan is not a finite number"),
        ((sidecar, solution, "--tolerance", "-1"), "-1"),
    ):
        code, out, err = lipc("check", *args)
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1


def test_a_solution_from_standard_input(solved: tuple[Path, Path]) -> None:
    sidecar, solution = solved
    done = shell(f"gzip -c {solution} | {LIPC} check {sidecar} -", sidecar.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert SOLVED in done.stdout
    done = shell(f"{LIPC} check {sidecar} - <&-", sidecar.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("standard input: error: ")


def test_the_sidecar_waits_for_the_solution(solved: tuple[Path, Path]) -> None:
    # In a pipe the sidecar is written while `check` already runs.
    sidecar, solution = solved
    content = sidecar.read_bytes()
    sidecar.unlink()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command("check", sidecar, "-"), **pipes) as checking:
        timer = threading.Timer(0.6, lambda: None)
        timer.start()
        timer.join()
        sidecar.write_bytes(content)
        out, _ = checking.communicate(solution.read_bytes(), 60)
    assert checking.returncode == 0
    assert SOLVED in out.decode()


def test_where_the_sidecar_of_a_pipe_goes(lipc: Call, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "sub").mkdir()
    monkeypatch.chdir(here / "sub")
    network = here / "net.lip"
    for args in ([], ["-o", "-", "--no-map"], ["-o", "-", "--emit", "ir"], ["-o", "/dev/stdout"]):
        assert lipc(network, *args)[0] == 0
        assert not list(here.joinpath("sub").iterdir())
    for _ in range(2):  # it is ours: overwritten
        assert lipc(network, "-o", "-")[0] == 0
        assert [path.name for path in here.joinpath("sub").iterdir()] == ["net.map.json"]
    lipc(network, "-o", "m.mps")
    assert Path("net.map.json").read_bytes() == Path("m.map.json").read_bytes()
    for foreign in ('{"schema": 1}', "", '{"generator": "lipc 0.1"}'):
        Path("net.map.json").write_text(foreign)
        code, out, err = lipc(network, "-o", "-")
        assert (code, out) == (2, "")
        assert "net.map.json: is no sidecar of lipc, and is not overwritten" in err
        assert Path("net.map.json").read_text() == foreign
    code, _, err = lipc(network, "-o", "-", "--map", "x.json", "--no-map")
    assert (code, err) == (2, "lipc: error: --map and --no-map contradict each other\n")


def test_a_full_disk_leaves_no_sidecar(here: Path) -> None:
    done = shell(f"{LIPC} net.lip -o - > /dev/full", here)
    assert (done.returncode, done.stderr) == (
        2,
        "lipc: error: standard output: cannot be written: No space left on device\n",
    )
    assert sorted(path.name for path in here.iterdir()) == ["net.lip", "net.onnx"]


def test_a_reader_that_leaves_early_finds_no_sidecar(models: Path, here: Path) -> None:
    with subprocess.Popen(
        command(models / "hard.onnx", "--box", "0", "1", "-o", "-"), cwd=here, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        writer.stdout.close()
        assert writer.wait(60) == 0
    assert sorted(path.name for path in here.iterdir()) == ["net.lip", "net.onnx"]


def test_a_model_from_standard_input(lipc: Call, here: Path) -> None:
    direct = lipc(here / "net.onnx", "--box", 0, 1)[1].split("\n", 1)[1]
    done = shell(f"cat net.onnx | {LIPC} - --from onnx --box 0 1", here)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n", 1)[1] == direct


@pytest.mark.slow
def test_what_a_model_from_standard_input_lacks(here: Path) -> None:
    done = shell(f"{LIPC} solve <(cat net.lip) --from lip -q", here)
    assert done.stdout.startswith("local Lipschitz constant = 4\n")
    done = shell(f"cat net.lip | {LIPC} solve - -q", here)
    assert (done.returncode, done.stderr) == (
        2,
        "standard input: error: has no ending that says what model it is; say it by --from: onnx, lip, lir\n",
    )
    done = shell(f"cat net.lip | {LIPC} solve - --from onnx -q", here)
    assert done.stderr.startswith("standard input: error: is not an ONNX model")
    done = shell(f"{LIPC} solve - --from lip <&-", here)
    assert done.returncode == 2
    assert done.stderr.count("\n") <= 4
