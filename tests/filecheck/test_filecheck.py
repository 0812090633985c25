"""The collector of text files that test themselves, and that it can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.filecheck.filecheck import Check, FileCheckError, check, read_runs, run

pytest_plugins = ["pytester"]
OUTPUT = "first line\n  second   [line] of 3\n\nlast line, the fourth\n"


def checks(*texts: str) -> list[Check]:
    """Return checks from texts like ``-NEXT: second``."""
    return [Check(number, *map(str.strip, text.split(":", 1))) for number, text in enumerate(texts, 1)]


@pytest.mark.parametrize(
    "given",
    [
        [": first", ": last"],
        [": first", "-NEXT: second [line]", "-EMPTY:", "-NEXT: last"],
        [": second", "-SAME: [line]", "-SAME: 3"],
        [":  second [line]    of"],
        [": {{sec.nd}} [line] of {{[0-9]+$}}"],
        [": first", "-NOT: third", ": last", "-NOT: fifth"],
        ["-NOT: last", ": first"],
        [": last line", "-NOT: line", "-SAME: fourth", "-NOT: first"],
        [": line", ": line", ": line"],
        ["-NEXT: first"],
        ["-NOT: .*"],
    ],
)
def test_what_holds(given: list[str]) -> None:
    check(OUTPUT, checks(*given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([": third"], "line 1: CHECK: third\nis not there"),
        ([": last", ": first"], "line 2: CHECK: first\nis not there"),
        ([": first", "-NEXT: last"], "line 2: CHECK-NEXT: last\nis not there"),
        ([": first", "-SAME: second"], "line 2: CHECK-SAME: second"),
        ([": line", "-SAME: first"], "line 2: CHECK-SAME: first"),
        (["-SAME: first"], "line 1: CHECK-SAME: first"),
        ([": first", "-EMPTY:"], "line 2: CHECK-EMPTY: \nis not there"),
        ([": last", "-EMPTY:"], "CHECK-EMPTY"),
        ([": last", "-NEXT: first"], "CHECK-NEXT"),
        ([": first", "-NOT: second", ": last"], "line 2: CHECK-NOT: second\nis there, in line 2"),
        ([": first", "-NOT: fourth"], "is there, in line 4"),
        (["-NOT: first", ": second"], "is there, in line 1"),
        (["-NOT: first", ": line"], "is there, in line 1"),
        ([": first", "-NOT: line"], "is there, in line 1"),
        ([": first.line"], "is not there"),
        ([": line"] * 4, "line 4"),
    ],
)
def test_what_does_not_hold(given: list[str], message: str) -> None:
    with pytest.raises(FileCheckError) as error:
        check(OUTPUT, checks(*given))
    assert message in str(error.value)
    assert "last line, the fourth" in str(error.value)


def test_the_report_marks_where_it_was() -> None:
    with pytest.raises(FileCheckError, match="\n> second \\[line\\] of 3\n"):
        check(OUTPUT, checks(": second", ": first"))


def test_runs_and_their_checks() -> None:
    text = "// RUN: lipc a\n// RUN(b): not lipc %s\n  x // CHECK: one\n# CHECK(b): two\n#CHECK-NEXT: three\nCHECK: no\n"
    first, second = read_runs(text)
    assert first == ("", 1, "lipc a", [Check(3, "", "one"), Check(5, "-NEXT", "three")])
    assert second == ("b", 2, "not lipc %s", [Check(4, "", "two")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no RUN line"),
        ("# CHECK: x", "there is no RUN line"),
        ("# RUN: lipc", "without CHECK"),
        ("# RUN: lipc\n# CHECK(a): x", "without CHECK"),
        ("# RUN: lipc\n# RUN(a): lipc\n# CHECK: x", r"\(a\)"),
        ("# RUN: lipc\n# RUN: lipc\n# CHECK: x", "line 2: there is a RUN line"),
        ("# RUN: lipc\n# CHECK-NXT: x", "line 2: there is no CHECK-NXT"),
        ("# RUN-NEXT: lipc\n# CHECK: x", "there is no RUN-NEXT"),
        ("# RUN: lipc\n# CHECK:", "line 2: CHECK: with nothing"),
        ("# RUN:\n# CHECK: x", "line 1: RUN: with nothing"),
        ("# RUN: lipc\n# CHECK-EMPTY: x", "line 2: CHECK-EMPTY"),
    ],
)
def test_files_that_test_nothing_are_errors(text: str, message: str) -> None:
    with pytest.raises(FileCheckError, match=message):
        read_runs(text)


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("lipc --version", "lipc "),
        ("not lipc opt %s", "%s: error: cannot be read"),
        ("not lipc opt %d/no.lip", "no.lip"),
    ],
)
def test_running(command: str, printed: str, tmp_path: Path) -> None:
    path = tmp_path / "missing.lir"
    (each,) = read_runs(f"# RUN: {command}\n# CHECK: x")
    output = run(each, path)
    assert printed.replace("%s", "missing.lir").split(":")[0] in output


@pytest.mark.parametrize("command", ["not lipc --version", "lipc opt %s", "ls", "not", "not ls"])
def test_runs_that_go_wrong(command: str, tmp_path: Path) -> None:
    (each,) = read_runs(f"# RUN: {command}\n# CHECK: x")
    with pytest.raises(FileCheckError, match=r"line 1: (the exit code is|only lipc can be run)"):
        run(each, tmp_path / "missing.lir")


def test_collected_files_pass_and_fail(pytester: pytest.Pytester) -> None:
    folder = Path(__file__).parent
    pytester.makeconftest((folder / "conftest.py").read_text(encoding="utf-8"))
    program = "# RUN: lipc opt %s\nprogram {{ %x: vec[1] = input box [0] .. [1]\n output %x }}\n# CHECK: {}\n"
    for name, text in {"good": "input box [0.0]", "bad": "output %1"}.items():
        pytester.path.joinpath(f"{name}.lir").write_text(program.format(text), encoding="utf-8")
    pytester.path.joinpath("idle.lip").write_text("network n { }\n", encoding="utf-8")
    result = pytester.runpytest("--continue-on-collection-errors", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*bad.lir: line 4: CHECK: output %1", "is not there"])
    result.stdout.fnmatch_lines(["*idle.lip: there is no RUN line"])
