"""Whatever is wrong: one line on stderr that says what, exit code 2, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cli_process import command
from onnx import helper
from spread import spread

BOX = ["--box", "0", "1"]
PREFIX = "lipc: error: "
Call = Callable[..., Any]


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A folder with all that a wrong call may name."""
    small = (models / "small.onnx").read_bytes()
    files = {
        "small.onnx": small,
        "softmax.onnx": (models / "softmax.onnx").read_bytes(),
        "empty.onnx": b"",
        "cut.onnx": small[: len(small) // 2],
        "text.onnx": b"this is no model\n",
        "three.csv": b"1,2,3\n",
        "nan.csv": b"0.5,nan\n",
        "words.csv": b"0.5,much\n",
        "latin.csv": "0.5,\xe9".encode("latin-1"),
        "empty.csv": b"",
        "empty.npy": b"",
        "cut.npy": b"\x93NUMPY\x01\x00",
        "zip.npy": b"PK\x03\x04 not a zip",
        "header.npy": b"\x93NUMPY\x01\x00\x10\x00{'descr': ((('<f\n",
        "existing.mps": b"precious",
        "existing.txt": b"precious",
        "a-file": b"precious",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "complex.npy", np.array([0.5 + 1j, 0.5]))
    np.save(tmp_path / "texts.npy", np.array(["a", "b"]))
    np.save(tmp_path / "object.npy", np.array([0.5, None]), allow_pickle=True)
    np.save(tmp_path / "none.npy", np.zeros(0))
    np.save(tmp_path / "two.npy", np.array([0.5, 0.5]))
    (tmp_path / "half.npy").write_bytes((tmp_path / "two.npy").read_bytes()[:-9])
    np.savez(tmp_path / "archive.npz", np.array([0.5, 0.5]))
    (tmp_path / "archive.npz").rename(tmp_path / "archive.npy")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub.mps").mkdir()
    return tmp_path


MODEL = "{small}"
LONG = "n" * 300

# What is wrong with the model: the call ({x} stands for the file x in a folder), and how the line starts.
BAD_MODELS: list[tuple[list[str], str]] = [
    (["missing.onnx", *BOX], "missing.onnx: error: cannot be read: No such file"),
    (["missing.onnx"], "missing.onnx: error: "),
    (["solve", "missing.onnx"], "missing.onnx: error: "),
    (["{empty.onnx}", *BOX], "{empty.onnx}: error: "),
    (["{cut.onnx}", *BOX], "{cut.onnx}: error: "),
    (["{text.onnx}", *BOX], "{text.onnx}: error: "),
    (["{sub}", *BOX], "{sub}: error: is a folder"),
    (["/dev/null", *BOX], "/dev/null: error: "),
    ([LONG + ".onnx", *BOX], LONG + ".onnx: error: cannot be read: File name too long"),
    (["a\0b.onnx", *BOX], "'a\\x00b.onnx': error: cannot be read"),
    (["{a-file}/model.onnx", *BOX], "{a-file}/model.onnx: error: cannot be read: Not a directory"),
    (["{softmax.onnx}", *BOX], "{softmax.onnx}: node 5 (Softmax) -> 'p': error: operator Softmax is not supported"),
    (["{cut.onnx}", *BOX, "-o", "{existing.mps}"], "{cut.onnx}: error: "),
]

# What is wrong with anything else, and a word that the message must hold.
MISTAKES: list[tuple[list[str], str]] = [
    (["", *BOX], ""),
    (["solve", "", *BOX], ""),
    # flags
    ([MODEL, "--wrong"], "--wrong"),
    (["--wrong"], "--wrong"),
    (["solve"], "MODEL"),
    (["solve", MODEL, "-o", "model.mps"], "-o"),
    ([MODEL, "second.onnx", *BOX], "second.onnx"),
    ([MODEL, "--box", "0"], "--box"),
    ([MODEL, "--norm", "l7", *BOX], "l7"),
    ([MODEL, "--mode", "sideways", *BOX], "sideways"),
    ([MODEL, "--bounds", "none", *BOX], "none"),
    ([MODEL, "--objective", "mean", *BOX], "mean"),
    ([MODEL, "--format", "sav", *BOX], "sav"),
    ([MODEL, "--format", "lp", *BOX, "-o", "{sub}/model.lp"], "--emit is for standard output"),
    (["solve", MODEL, "--json", "--time-limit", "-1", *BOX], "-1"),
    (["solve", MODEL, "--json", "--time-limit", "soon", *BOX], "soon"),
    (["solve", MODEL, "--json", "--time-limit", "nan", *BOX], "nan"),
    (["solve", MODEL, "--json", "--time-limit", "inf", *BOX], "inf"),
    (["solve", MODEL, "--json", "--time-limit", "1e300", *BOX], "1e+300"),
    (["solve", MODEL, "--json", "--gap", "inf", *BOX], "inf"),
    (["solve", MODEL, "--json", "--gap", "-1", *BOX], "-1"),
    (["solve", MODEL, "--json", "--gap", "nan", *BOX], "nan"),
    (["solve", MODEL, "--json", "--threads", "0", *BOX], "0"),
    (["solve", MODEL, "--json", "--threads", "1000", *BOX], "1000"),
    (["solve", MODEL, "--json", "--threads", "99999999999", *BOX], "99999999999"),
    (["solve", MODEL, "--json", "--seed", "-1", *BOX], "-1"),
    (["solve", MODEL, "--json", "--seed", "99999999999", *BOX], "99999999999"),
    # the output
    ([MODEL, "--output", "y[2]", *BOX], "y[2]"),
    ([MODEL, "--output", "2", *BOX], "y[2]"),
    ([MODEL, "--output", "99999999999999999999", *BOX], "y[99999999999999999999]"),
    ([MODEL, "--output", "y[0", *BOX], "y[0"),
    ([MODEL, "--output", "y[0] *", *BOX], "column"),
    ([MODEL, "--output", "y[0]*y[1]", *BOX], "column 6"),
    ([MODEL, "--output", "x[0]", *BOX], "column 1"),
    ([MODEL, "--output", "y[0]/0", *BOX], "zero"),
    ([MODEL, "--output", "1e999*y[0]", *BOX], "finite"),
    ([MODEL, "--output", "", *BOX], "empty"),
    ([MODEL, "--output", "y[0]\ny[1]", *BOX], ""),
    ([MODEL, "--objective", "max", *BOX], "2 outputs"),
    # the domain
    ([MODEL, *BOX, "--center", "0.5", "--radius", "1"], "2 domains"),
    ([MODEL, "--center", "0.5"], "--radius"),
    ([MODEL, "--radius", "0.5"], "--center"),
    ([MODEL, "--clip", "0", "1"], "--clip"),
    ([MODEL, *BOX, "--clip", "0", "1"], "--clip"),
    ([MODEL, "--center", "{three.csv}", "--radius", "1"], "3 entries"),
    ([MODEL, "--center", "{missing.csv}", "--radius", "1"], "missing.csv"),
    ([MODEL, "--center", "{sub}", "--radius", "1"], "sub"),
    ([MODEL, "--center", "{nan.csv}", "--radius", "1"], "undefined"),
    ([MODEL, "--center", "{words.csv}", "--radius", "1"], "much"),
    ([MODEL, "--center", "{latin.csv}", "--radius", "1"], "latin.csv"),
    ([MODEL, "--center", "{empty.csv}", "--radius", "1"], "empty.csv"),
    ([MODEL, "--center", "{empty.npy}", "--radius", "1"], "empty.npy"),
    ([MODEL, "--center", "{cut.npy}", "--radius", "1"], "cut.npy"),
    ([MODEL, "--center", "{zip.npy}", "--radius", "1"], "zip.npy"),
    ([MODEL, "--center", "{texts.npy}", "--radius", "1"], "texts.npy"),
    ([MODEL, "--center", "{complex.npy}", "--radius", "1"], "complex.npy"),
    ([MODEL, "--center", "{cut.npy}", "--radius", "1"], "cut.npy: holds something else than numbers"),
    ([MODEL, "--center", "{zip.npy}", "--radius", "1"], "zip.npy: holds something else than numbers"),
    ([MODEL, "--center", "{archive.npy}", "--radius", "1"], "archive.npy: holds something else than numbers"),
    ([MODEL, "--center", "{object.npy}", "--radius", "1"], "object.npy: holds something else than numbers"),
    ([MODEL, "--center", "{complex.npy}", "--radius", "1"], "complex.npy: holds something else than numbers"),
    ([MODEL, "--center", "{half.npy}", "--radius", "1"], "half.npy: holds something else than numbers"),
    ([MODEL, "--center", "{header.npy}", "--radius", "1"], "header.npy: holds something else than numbers"),
    ([MODEL, "--center", "{none.npy}", "--radius", "1"], "holds no number"),
    ([MODEL, "--center", "1e308", "--radius", "1.7e308"], "infinite"),
    ([MODEL, "--center", "0", "--radius", "1e101"], "1e+101"),
    ([MODEL, "--box", "-1e308", "1e308"], "1e+308"),
    ([MODEL, "--center", LONG, "--radius", "1"], "name too long"),
    ([MODEL, "--center", "a\0b", "--radius", "1"], ""),
    ([MODEL, "--center", "", "--radius", "1"], "--center"),
    ([MODEL, "--center", "0.5", "--radius", "nan"], "nan"),
    ([MODEL, "--center", "0.5", "--radius", "-1"], "-1"),
    ([MODEL, "--center", "0.5", "--radius", "inf"], "infinite"),
    ([MODEL, "--center", "0.5", "--radius", "wide"], "wide"),
    ([MODEL, "--center", "0.5", "--radius", "1", "--clip", "1", "0"], "empty"),
    ([MODEL, "--center", "0.5", "--radius", "1", "--clip", "nan", "1"], "undefined"),
    ([MODEL, "--box", "1", "0"], "empty"),
    ([MODEL, "--box", "nan", "1"], "undefined"),
    ([MODEL, "--box", "-inf", "1"], "infinite"),
    ([MODEL, "--box", "{three.csv}", "{two.npy}"], "3 lower and 2 upper"),
    ([MODEL, "--box", "{three.csv}", "9"], "3 entries"),
    # the destination
    ([MODEL, *BOX, "-o", "{sub}"], "sub"),
    ([MODEL, *BOX, "-o", "{sub.mps}"], "folder"),
    ([MODEL, *BOX, "-o", "{nowhere}/model.mps"], "no such folder"),
    ([MODEL, *BOX, "-o", "{a-file}/model.mps"], "a-file"),
    ([MODEL, *BOX, "-o", "{model.txt}"], ".mps.gz"),
    ([MODEL, *BOX, "-o", "{existing.txt}"], ".mps.gz"),
    ([MODEL, *BOX, "-o", ""], ""),
    ([MODEL, *BOX, "-o", "/dev/full"], "No space left"),
    ([MODEL, *BOX, "-o", "{sub}/" + LONG + ".mps"], "name too long"),
    ([MODEL, *BOX, "-o", "a\0b.mps"], ""),
    ([MODEL, *BOX, "-o", "{new.mps}", "--map", "{nowhere}/map.json"], "no such folder"),
    ([MODEL, *BOX, "-o", "{existing.mps}", "--map", "{nowhere}/map.json"], "no such folder"),
    ([MODEL, *BOX, "-o", "{existing.mps}", "--map", "{sub}"], "folder"),
    ([MODEL, *BOX, "-o", "{existing.mps}", "--map", "{existing.mps}"], "existing.mps"),
    ([MODEL, *BOX, "-o", "{existing.mps}", "--map", "/dev/full"], "No space left"),
    ([MODEL, *BOX, "-o", "/dev/full", "--map", "{existing.txt}"], "No space left"),
    ([MODEL, *BOX, "-o", "{existing.mps}", "--map", "{sub}/../existing.mps"], "one file"),
    ([MODEL, *BOX, "-o", "{existing.mps}", "--map", "-"], "standard output"),
    ([MODEL, *BOX, "-o", "{existing.mps}", "--map", "/dev/stdout"], "standard output"),
    ([MODEL, *BOX, "-o", "{existing.mps}", "--map", "{sub}/" + LONG], "name too long"),
    ([MODEL, *BOX, "-o", "{existing.mps}", "--map", "a\0b"], "NUL"),
    ([MODEL, *BOX, "--map", "{nowhere}/map.json"], "no such folder"),
    ([MODEL, *BOX, "--map", "-"], "standard output"),
    ([MODEL, "--box", "1", "0", "-o", "{existing.mps}"], "empty"),
]


def substituted(args: list[str], folder: Path) -> list[str]:
    named = {path.name for path in folder.iterdir()} | {"missing.csv", "nowhere", "model.txt", "new.mps"}
    for name in sorted(named, key=len, reverse=True):
        args = [arg.replace("{" + name + "}", str(folder / name)) for arg in args]
    return [arg.replace(MODEL, str(folder / "small.onnx")) for arg in args]


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def label(args: list[str]) -> str:
    return " ".join(arg if len(arg) < 40 else "LONG" for arg in args).replace("\0", "NUL")


@pytest.mark.parametrize(("args", "word"), MISTAKES, ids=[label(args) for args, _ in MISTAKES])
def test_a_mistake_is_one_line(
    lipc: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], word: str
) -> None:
    monkeypatch.chdir(folder)
    before = snapshot(folder)
    shown = lipc(*substituted(args, folder))
    assert shown.code == 2
    assert shown.out == ""
    assert shown.err.startswith(PREFIX)
    assert shown.err.count("\n") == 1
    assert shown.err.endswith("\n")
    assert word in shown.err
    assert snapshot(folder) == before


@pytest.mark.parametrize(("args", "start"), BAD_MODELS, ids=[label(args) for args, _ in BAD_MODELS])
def test_a_bad_model_is_one_line_that_starts_with_it(
    lipc: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], start: str
) -> None:
    monkeypatch.chdir(folder)
    before = snapshot(folder)
    shown = lipc(*substituted(args, folder))
    assert (shown.code, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert shown.err.startswith(*substituted([start], folder))
    assert shown.err.endswith("\n")
    assert snapshot(folder) == before


PROCESS_MISTAKES = [
    (["missing.onnx", *BOX], "missing.onnx: error: cannot be read"),
    (["solve", MODEL, "--box", "1", "0", "--json"], PREFIX + "the domain is empty"),
    (["{cut.onnx}", *BOX, "-o", "{existing.mps}"], "{cut.onnx}: error: is not an ONNX model"),
    ([MODEL, *BOX, "-o", "{nowhere}/model.mps"], PREFIX + "{nowhere}/model.mps: "),
    (["solve", MODEL, "--wrong"], PREFIX + "No such option '--wrong'"),
]


@pytest.mark.parametrize(
    "mistake", spread(PROCESS_MISTAKES, every=2), ids=[label(args) for args, _ in PROCESS_MISTAKES]
)
def test_a_mistake_in_a_process(process: Call, folder: Path, mistake: tuple[list[str], str]) -> None:
    args, start = mistake
    before = snapshot(folder)
    shown = process(*substituted(args, folder))
    assert (shown.code, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert shown.err.startswith(*substituted([start], folder))
    assert snapshot(folder) == before


def test_each_operator_that_is_not_supported_is_a_line(lipc: Call, tmp_path: Path) -> None:
    names = ["x", "a", "b", "y"]
    nodes = [helper.make_node("Tanh", [before], [after]) for before, after in pairwise(names)]
    ends = [[helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2])] for name in ("x", "y")]
    model = helper.make_model(helper.make_graph(nodes, "network", *ends), ir_version=8)
    onnx.save(model, tmp_path / "tanh.onnx")
    shown = lipc(tmp_path / "tanh.onnx", *BOX)
    first, second, third = shown.err.splitlines()
    assert (shown.code, shown.out) == (2, "")
    assert first == f"{tmp_path}/tanh.onnx: node 0 (Tanh) -> 'a': error: operator Tanh is not supported"
    assert second == f"{tmp_path}/tanh.onnx: node 1 (Tanh) -> 'b': error: operator Tanh is not supported"
    assert third.startswith(f"{tmp_path}/tanh.onnx: node 2 (Tanh) -> 'y': error: operator Tanh is not supported; ")


FULL = [
    ["{model}", *BOX],
    ["solve", "{model}", *BOX, "--json"],
    pytest.param(["solve", "{model}", *BOX], marks=pytest.mark.slow),
    ["--version"],
    pytest.param(["--help"], marks=pytest.mark.slow),
    ["solve", "--help"],
]


@pytest.mark.parametrize("args", FULL, ids=label)
def test_a_full_disk_behind_standard_output(small: str, args: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(*[arg.replace("{model}", small) for arg in args]),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(PREFIX)
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


@pytest.mark.parametrize("args", FULL, ids=label)
def test_a_closed_standard_output(small: str, args: list[str]) -> None:
    line = ["bash", "-c", 'exec "$@" >&-', "bash", *command(*[arg.replace("{model}", small) for arg in args])]
    done = subprocess.run(line, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(PREFIX + "standard output: cannot be written")
    assert done.stderr.count("\n") == 1


def test_closed_streams_are_no_files(small: str, tmp_path: Path) -> None:
    """Without care, the model would be descriptor 1 or 2, and get what libraries print."""
    path = tmp_path / "model.mps"
    line = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", *command(small, *BOX, "-o", path)]
    assert subprocess.run(line, check=False).returncode == 0
    assert path.read_text().endswith("ENDATA\n")


@pytest.mark.parametrize("target", ["/dev/full", "&-"])
def test_a_log_that_cannot_be_written_costs_no_answer(small: str, target: str) -> None:
    line = ["bash", "-c", f'exec "$@" 2>{target}', "bash", *command("solve", small, "--json")]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)


IMPORT_INTERRUPTED = """
import sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from lipc.cli.main import run
sys.argv[1:] = ["missing.onnx"]
run()
"""


@pytest.mark.parametrize("module", ["click", "lipc.cli.group", "lipc.cli.compile", "numpy", "lipc.compiler"])
def test_ctrl_c_while_importing(module: str) -> None:
    script = IMPORT_INTERRUPTED.replace("sys.argv[1]", repr(module))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.removeprefix("\n")) == (130, "", "lipc: interrupted\n")


@pytest.mark.parametrize("module", ["lipc.cli.main", "lipc.cli.streams"])
def test_ctrl_c_before_the_entry_point(module: str) -> None:
    script = IMPORT_INTERRUPTED.split("from lipc")[0].replace("sys.argv[1]", repr(module)) + "import lipc.__main__\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "lipc: interrupted\n")


@pytest.mark.parametrize("args", FULL, ids=label)
def test_a_reader_that_is_gone(small: str, args: list[str]) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(*[arg.replace("{model}", small) for arg in args]), **pipes) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait(60) in (0, 1)


@pytest.mark.parametrize("size", ["1e18", pytest.param("1e100", marks=pytest.mark.slow), "1e308"])
def test_a_domain_out_of_all_proportion(process: Call, folder: Path, size: str) -> None:
    """A refusal or a valid pair; never warnings of numpy, an internal error or crossed bounds."""
    shown = process("solve", folder / "small.onnx", "--box", f"-{size}", size, "--json", "-q", "--time-limit", "5")
    assert shown.code in (0, 2)
    assert shown.err == "" or (shown.err.startswith(PREFIX) and shown.err.count("\n") == 1)
