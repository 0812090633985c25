"""What docs/language.md shows is what happens: its files, its errors, and every expression and line of its tables."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from lipc.diagnostics import SourceError
from lipc.frontends.lip import load as loading
from lipc.frontends.lip import parse_lip, report, writer
from lipc.frontends.lip import parser as parsing
from lipc.frontends.lip.functions import FUNCTIONS

DOCS = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)


def cells(header: str) -> list[str]:
    """Return the code in the first column of the table with this header."""
    (table,) = re.findall(rf"^\| {header} \|.*\n\|[-|]+\n((?:\|.*\n)+)", DOCS, re.MULTILINE)
    return [code for line in table.splitlines() for code in re.findall(r"`([^`]+)`", line.split("|")[1])]


@pytest.mark.parametrize("position", range(len(BLOCKS)))
def test_blocks(position: int) -> None:
    language, text = BLOCKS[position]
    if language == "text":
        assert BLOCKS[position - 1][0] == "lip"
        return
    following = BLOCKS[position + 1] if position + 1 < len(BLOCKS) else ("", "")
    if following[0] == "text":
        with pytest.raises(SourceError) as raised:
            parse_lip(text)
        assert str(raised.value) == following[1].rstrip("\n")
    else:
        assert parse_lip(text).warnings == ()


def test_there_are_blocks_of_both_kinds() -> None:
    kinds = [language for language, _ in BLOCKS]
    assert kinds.count("lip") >= 3
    assert ("lip", "text") in list(pairwise(kinds))


@pytest.mark.parametrize("expression", cells("expression"))
def test_expressions(expression: str) -> None:
    parse_lip(
        "v = [1, 2, 3]\nW = [1, 2, 3; 4, 5, 6]\n"
        f"network f {{\n  input x[3]\n  a = conditional(x)\n  h = {expression}\n  output y = x\n}}"
    )


@pytest.mark.parametrize("line", cells("line"))
def test_lines_of_a_query(line: str) -> None:
    assert parse_lip(f"v = [1, 2, 3]\nnetwork f {{\n  input x[3]\n  output y = x\n}}\nquery {{\n  {line}\n}}").query


def test_every_function_is_documented() -> None:
    shown = " ".join(cells("expression"))
    assert [name for name in FUNCTIONS if f"{name}(" not in shown] == []


def test_every_warning_is_documented() -> None:
    folder = Path(parsing.__file__).parent
    names = {name for file in folder.glob("*.py") for name in re.findall(r'\.warn\(\s*"([\w-]+)"', file.read_text())}
    assert names == set(cells("warning"))


def test_the_limits_are_those_of_the_code() -> None:
    (table,) = re.findall(r"^\| what \| at most \|\n\|[-|]+\n((?:\|.*\n)+)", DOCS, re.MULTILINE)
    said = [line.split("|")[2].strip().replace(",", "").replace("^", "**") for line in table.splitlines()]
    limits = [parsing.MAX_CHARACTERS, parsing.MAX_NESTING, writer.MAX_SIZE, report.MAX_ENTRIES, report.MAX_PRODUCT]
    limits += [writer.MAX_OPERATIONS, loading.MAX_CSV_BYTES]
    assert [int(a) ** int(b or 1) for a, _, b in (text.partition("**") for text in said)] == limits
