"""Text files that test themselves: RUN lines call lipc in this process, CHECK lines say what it prints.

::

    // RUN: lipc opt %s --passes cse        calls lipc on this file; 'not lipc ...' expects a mistake to be found
    // CHECK: %2: bits[2] = conditional %1  stands in a line of the output, after what was checked before
    // CHECK-NEXT: ...                      stands in the next line
    // CHECK-SAME: ...                      stands in the same line, further on
    // CHECK-EMPTY:                         the next line is empty
    // CHECK-NOT: ...                       stands nowhere between the checks around it

Comments begin with ``//`` or ``#``. The output is stdout, then stderr. ``{{...}}`` holds a regular expression, all else
is literal; any white space is one space. ``RUN(name)`` and ``CHECK(name)`` belong together, so that one file can be run
in several ways. In a RUN line, ``%s`` is the file and ``%d`` its folder.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lipc.cli.main import main

DIRECTIVE = re.compile(r"(?:#|//)\s*(RUN|CHECK)(?:\((\w+)\))?(-[A-Z]+)?:(.*)")
KINDS = {"RUN": {""}, "CHECK": {"", "-NEXT", "-SAME", "-EMPTY", "-NOT"}}
MISTAKES = {1, 2}
"""Exit codes that 'not' expects; that of an error in lipc is none of them."""


class FileCheckError(Exception):
    """What is wrong with a file, or with what lipc printed for it."""


class Check(NamedTuple):
    """One CHECK line: its line number, ``""`` or ``"-NEXT"`` and so on, and its text."""

    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: CHECK{self.kind}: {self.text}"


class Run(NamedTuple):
    """One RUN line, and the checks of its output."""

    name: str
    line: int
    command: str
    checks: Sequence[Check]


def read_runs(text: str) -> list[Run]:
    """Return the RUN lines of a file with their checks."""
    runs: dict[str, tuple[int, str]] = {}
    checks: dict[str, list[Check]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        found = DIRECTIVE.search(line)
        if found is None:
            continue
        word, name, kind, rest = found[1], found[2] or "", found[3] or "", found[4].strip()
        if kind not in KINDS[word]:
            raise FileCheckError(f"line {number}: there is no {word}{kind}")
        if (not rest) != (kind == "-EMPTY"):
            raise FileCheckError(f"line {number}: {word}{kind}: with nothing, or with something, to check")
        if word == "CHECK":
            checks.setdefault(name, []).append(Check(number, kind, rest))
        elif name in runs:
            raise FileCheckError(f"line {number}: there is a RUN line of that name already")
        else:
            runs[name] = (number, rest)
    if not runs:
        raise FileCheckError("there is no RUN line")
    if runs.keys() != checks.keys():
        alone = ", ".join(f"({name})" for name in sorted(runs.keys() ^ checks.keys()))
        raise FileCheckError(f"a RUN line without CHECK lines, or the other way round: {alone}")
    return [Run(name, *run, checks[name]) for name, run in runs.items()]


def run(each: Run, path: Path) -> str:
    """Call lipc as a RUN line says and return what it printed."""
    words = [word.replace("%s", str(path)).replace("%d", str(path.parent)) for word in shlex.split(each.command)]
    expected_to_fail = words[:1] == ["not"]
    words = words[expected_to_fail:]
    if words[:1] != ["lipc"]:
        raise FileCheckError(f"line {each.line}: only lipc can be run")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words[1:])
    output = "".join(stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    if code not in (MISTAKES if expected_to_fail else {0}):
        raise FileCheckError(f"line {each.line}: the exit code is {code}\n{output}")
    return output


def check(output: str, checks: Sequence[Check]) -> None:
    """Compare an output with checks, in order."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    at, column = -1, 0  # the line of the last match, and where it ends
    forbidden: list[Check] = []
    for each in checks:
        if each.kind == "-NOT":
            forbidden.append(each)
            continue
        start = (at, column)
        if each.kind == "-SAME":
            candidates, column = ([at] if at >= 0 else []), column
        else:
            candidates, column = list(range(at + 1, len(lines))), 0
            candidates = candidates if each.kind == "" else candidates[:1]
        pattern = re.compile("$" if each.kind == "-EMPTY" else _regular(each.text))
        search = pattern.match if each.kind == "-EMPTY" else pattern.search
        match = next(((k, found) for k in candidates if (found := search(lines[k], column))), None)
        if match is None:
            raise FileCheckError(_report(f"{each}\nis not there", lines, start[0]))
        at, column = match[0], match[1].end()
        _check_absent(forbidden, lines, start, (at, match[1].start()))
        forbidden = []
    _check_absent(forbidden, lines, (at, column), (len(lines), 0))


def _check_absent(forbidden: Sequence[Check], lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> None:
    """Raise if something forbidden stands between two places (line, column)."""
    for number in range(max(start[0], 0), min(end[0] + 1, len(lines))):
        part = lines[number][: end[1]] if number == end[0] else lines[number]
        for each in forbidden:
            if re.compile(_regular(each.text)).search(part, start[1] if number == start[0] else 0):
                raise FileCheckError(_report(f"{each}\nis there, in line {number + 1}", lines, start[0]))


def _regular(text: str) -> str:
    """Return the regular expression of a check: literal but for what stands in double braces."""
    parts = re.split(r"\{\{(.*?)\}\}", " ".join(text.split()))
    return "".join(part if k % 2 else re.escape(part) for k, part in enumerate(parts))


def _report(message: str, lines: list[str], at: int) -> str:
    marked = [("> " if number == at else "  ") + line for number, line in enumerate(lines)]
    return "\n".join([message, "in the output ('>': what was matched last):", *marked])
