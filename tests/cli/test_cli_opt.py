"""`lipc opt`, and the options that choose passes in every command."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_process import command

import lipc as library
from lipc.cli.main import main
from lipc.formats.lir import read_lir
from lipc.ir import Conditional, Program
from lipc.passes.base import PassResult, kept_whole
from lipc.passes.fuse import Fuse
from lipc.passes.pipeline import named_pipeline, print_pipeline
from lipc.passes.run import VALIDATE

Call = Callable[..., Any]
BOX = ("--box", "0", "1")
NET = """
network net {
  input x[2]
  h = relu([1, 1; 1, -1] * x)
  output y = [2, 1] * h
}
query { domain box -1 .. 1 }
"""
"""On the whole square its constant is 4; where x >= 0 it is also 4 in l_inf, and 3 in l_1."""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.lip"
    path.write_text(NET, encoding="utf-8")
    return str(path)


def test_without_passes_the_program_is_printed_as_it_was_read(lipc: Call, net: str) -> None:
    shown = lipc("opt", net)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("program {\n  %0: vec[2] = input box")
    assert "maximize lipschitz(" in shown.out
    assert shown.out.count("conditional") == 1


def test_what_is_printed_is_read_again(lipc: Call, net: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first.lir", tmp_path / "second.lir"
    assert lipc("opt", net, "-O2", "-o", first) == (0, "", "")
    assert lipc("opt", first, "-o", second) == (0, "", "")
    assert first.read_bytes() == second.read_bytes()
    assert lipc("opt", first).out == first.read_text(encoding="utf-8")


def test_passes_one_at_a_time_are_the_pipeline(lipc: Call, net: str, tmp_path: Path) -> None:
    pipeline = print_pipeline(named_pipeline(2, "forward"))
    whole = lipc("opt", net, "--passes", pipeline).out
    file = tmp_path / "step.lir"
    source = net
    for each in re.findall(r"[a-z-]+(?:{[^}]*})?", pipeline):
        assert lipc("opt", source, "--passes", each, "-o", file).code == 0
        source = str(file)
    assert lipc("opt", file).out == whole
    assert lipc("opt", net, "-O2", "--mode", "forward").out == whole
    assert lipc(net, "--emit", "ir", "--mode", "forward").out == whole


@pytest.mark.parametrize("level", range(4))
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_the_answer_is_the_same_at_every_level(lipc: Call, net: str, level: int, mode: str) -> None:
    content = json.loads(lipc("solve", net, f"-O{level}", "--mode", mode, "--json").out)
    assert content["certified"]
    assert content["lower"] == 4.0


def test_a_lowered_program_is_compiled_as_the_network_is(lipc: Call, net: str, tmp_path: Path) -> None:
    """The Jacobian is in it, so only lowering is left; its bounds have to be trusted to be used."""
    file = tmp_path / "lowered.lir"
    lipc("opt", net, "-O2", "-o", file)
    trusted = lipc(file, "--trust-bounds", "--passes", "").out
    direct = lipc(net).out
    assert _body(trusted) == _body(direct)
    assert lipc("solve", file).out.startswith("maximum of the output = 4\n")
    assert "asks a question of its own" in lipc("solve", file, "--norm", "l1").err
    lipc("opt", net, "-O2", "--mode", "forward", "-o", file)
    shown = lipc("solve", file)
    assert shown.code == 2
    assert "cannot be certified" in shown.err


def _body(mps: str) -> str:
    """Return the text of a model without its comments."""
    return "".join(line for line in mps.splitlines(keepends=True) if not line.startswith("*"))


def test_bounds_in_a_file_are_believed_only_if_asked(
    lipc: Call, net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that claims that no neuron is ever on: believed, the constant would be 0."""
    file = tmp_path / "lie.lir"
    lipc("opt", net, "--passes", "bounds", "-o", file)
    text = file.read_text(encoding="utf-8")
    (bits,) = re.findall(r"(%\d+): bits\[2\] = conditional", text)
    lie = re.sub(rf"bounds {bits}: .*", f"bounds {bits}: [0.0, 0.0] .. [0.0, 0.0]", text)
    assert lie != text
    file.write_text(lie, encoding="utf-8")
    assert json.loads(lipc("solve", file, "--json").out)["lower"] == 4.0
    assert "changes the" in lipc("solve", file, "--trust-bounds").err  # validation notices
    monkeypatch.setenv(VALIDATE, "0")
    trusting = json.loads(lipc("solve", file, "--trust-bounds", "--json").out)
    assert trusting["size"]["neurons"]["off"] == 2


def test_the_list_names_every_pass_and_pipeline(lipc: Call) -> None:
    shown = lipc("opt", "--list")
    assert (shown.code, shown.err) == (0, "")
    for text in ("bounds{method=linear,only-new=false}", "merge-duplicates", "cse", "-O0  jacobian", "-O3"):
        assert text in shown.out


def test_programs_are_printed_after_passes(lipc: Call, net: str) -> None:
    one = lipc("opt", net, "--passes", "bounds,prune-stable,jacobian", "--print-after", "prune-stable")
    assert one.err.count("// after prune-stable\nprogram {") == one.err.count("// after") == 1
    every = lipc("opt", net, "--passes", "bounds,prune-stable,jacobian", "--print-after", "all")
    assert re.findall(r"// after (\S+)", every.err) == ["bounds", "prune-stable", "jacobian"]


def test_time_passes_is_a_table(lipc: Call, net: str) -> None:
    shown = lipc("opt", net, "--box", "0", "1", "--passes", "bounds,prune-stable", "--time-passes")
    header, first, second = shown.err.splitlines()
    assert header.split() == ["pass", "seconds", "operations", "entries", "unstable", "bits", "|coefficients|"]
    assert first.split()[0] == "bounds"
    assert second.split()[0] == "prune-stable"
    # On [0, 1]^2 the first neuron is always on: bounds find it, pruning keeps what is left.
    assert re.search(r"2 -> 1\b", first)
    assert re.search(r"1 -> 1\b", second)
    assert lipc(net, "--time-passes").err.count("\n") == 1 + len(named_pipeline(2))


def test_elided_constants_cannot_be_read_back(lipc: Call, net: str, tmp_path: Path) -> None:
    file = tmp_path / "elided.lir"
    assert lipc("opt", net, "--elide", "1", "-o", file).code == 0
    shown = lipc("opt", file)
    assert shown.code == 2
    assert re.match(rf"{re.escape(str(file))}:\d+:\d+: error: .*elided", shown.err)


def test_a_pass_that_lies_is_an_internal_error(lipc: Call, net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(_: Fuse, program: Program) -> PassResult:
        (bit,) = program.find(Conditional)
        swapped = Program(program.ops, program.ops[bit].operands[0], program.objective)
        return PassResult(swapped, kept_whole(program))

    monkeypatch.setattr(Fuse, "apply", wrong)
    shown = lipc("opt", net, "--passes", "fuse", "--validate", "5")
    assert shown.code == 3
    assert "internal error: pass 'fuse' changes the" in shown.err
    assert "please report this" in shown.err
    assert lipc("opt", net, "--passes", "fuse", "--validate", "0").code == 0


def test_an_unexpected_exception_is_no_traceback(lipc: Call, net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Fuse, "apply", broken)
    shown = lipc("opt", net, "--passes", "fuse")
    assert shown.code == 3
    assert shown.err.startswith("lipc: error: internal error: RuntimeError: a bug; please report this")
    monkeypatch.setenv("LIPC_TRACEBACK", "1")
    assert "Traceback" in lipc("opt", net, "--passes", "fuse").err


MISTAKES = [
    (["--passes", "bonds"], "--passes:1:1: error: there is no pass 'bonds'"),
    (["--passes", "fuse", "-O2"], "-O2 and --passes both choose the passes"),
    (["--passes", "jacobian", "--mode", "forward"], "write jacobian{mode=forward} there"),
    (["--passes", "bounds", "--bounds", "interval"], "write bounds{method=interval} there"),
    (["--passes", "fuse", "--print-after", "bounds"], "--print-after bounds: no such pass is run; these are: fuse"),
    (["--print-after", "bounds"], "--print-after bounds: no such pass is run; choose passes by --passes or -O"),
    (["-o", "program.mps"], "the ending says no textual program; use .lir or .lir.gz"),
    (["-O4"], "4 is not in the range"),
    (["-Wno-such"], "-Wno-such names no warning; the warnings are: unused, shadow, "),
    (["-Wunusd"], "did you mean 'unused'?"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES, ids=[" ".join(options) for options, _ in MISTAKES])
def test_a_mistake_is_told(lipc: Call, net: str, options: list[str], message: str) -> None:
    shown = lipc("opt", net, *options)
    assert (shown.code, shown.out) == (2, "")
    assert message in shown.err


@pytest.mark.parametrize("call", [["compile"], ["solve"]])
def test_a_pipeline_must_state_the_jacobian(lipc: Call, net: str, call: list[str]) -> None:
    shown = lipc(*call, net, "--passes", "bounds,fuse")
    assert shown.code == 2
    assert "add the pass jacobian" in shown.err


def test_warnings_are_shown_silenced_or_errors(lipc: Call, net: str) -> None:
    Path(net).write_text(NET.replace("  h =", "  spare = 2 * x\n  h ="), encoding="utf-8")
    assert re.match(rf"{re.escape(net)}:4:3: warning: .*spare.*\[-Wunused\]\n", lipc("opt", net).err)
    for silent in ("-Wno-unused", "-Wnone"):
        assert lipc("opt", net, silent).err == ""
    for error in ("-Werror", "-Werror=unused"):
        shown = lipc("opt", net, error)
        assert (shown.code, shown.out) == (2, "")
        assert ":4:3: error: " in shown.err
    assert lipc("opt", net, "-Werror", "-Wno-unused").code == 0


def test_options_override_the_question_of_the_file(lipc: Call, net: str) -> None:
    def solved(*options: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(lipc("solve", net, "--json", *options).out)
        return content

    assert solved()["lower"] == 4.0
    assert solved("--norm", "l1")["lower"] == 3.0
    assert solved("--objective", "max")["lower"] == 4.0
    # Where x0 <= -x1 the first neuron is off, and the second leaves the gradient (1, -1).
    third = solved("--box", "-1", "0")
    assert (third["lower"], third["query"]["domain"]["upper"]) == (2.0, [0.0, 0.0])


def test_a_third_party_pass_is_run_by_the_command_line(net: str, tmp_path: Path) -> None:
    (tmp_path / "tiny_pass.py").write_text(THIRD_PARTY, encoding="utf-8")
    info = tmp_path / "tiny_pass-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-pass\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[lipc.passes]\ndouble = tiny_pass:Double\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "LIPC_VALIDATE": "0"}

    def run(*args: str) -> str:
        done = subprocess.run(command(*args), env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert "Multiply the output" in run("opt", "--list")
    assert "affine 3.0 * %5" in run("opt", net, "--passes", "double{factor=3}")
    # The certificate is about the network: what a pass claims beyond it is not believed.
    content = json.loads(run("solve", net, "--passes", "double,jacobian", "--json"))
    assert (content["lower"], content["upper"]) == (4.0, pytest.approx(4.0, rel=1e-6))


THIRD_PARTY = '''
from dataclasses import dataclass
from typing import ClassVar
from lipc.ir import Builder, Program
from lipc.passes.base import Pass, PassResult, kept_whole

@dataclass(frozen=True)
class Double(Pass):
    """Multiply the output."""
    name: ClassVar[str] = "double"
    exact: ClassVar[bool] = True
    factor: float = 2.0

    def apply(self, program: Program) -> PassResult:
        builder = Builder(program.ops)
        result = builder.linear((self.factor, program.result))
        return PassResult(builder.program(result, program.objective), kept_whole(program))
'''


def test_the_command_takes_arguments_as_a_list(net: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["opt", net]) == 0
    assert capfd.readouterr().out.startswith("program {")


def test_programs_of_the_library_are_models(lipc: Call, net: str, tmp_path: Path) -> None:
    file = tmp_path / "net.lir"
    lipc("opt", net, "-o", file)
    assert library.solve(file).lower == library.solve(read_lir(file)).lower == library.solve(net).lower == 4.0


def test_of_many_warnings_the_first_are_shown(lipc: Call, net: str) -> None:
    path = Path(net)
    names = "".join(f"c{number} = {number}\n" for number in range(30))
    path.write_text(names + path.read_text(encoding="utf-8"), encoding="utf-8")
    shown = lipc("opt", net)
    assert shown.code == 0
    assert shown.err.count(": warning: nothing reads") == 20
    assert shown.err.endswith("and 10 more warnings (-Wnone shows none)\n")
    assert lipc("opt", net, "-Wnone").err == ""
