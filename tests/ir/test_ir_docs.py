"""What docs/ir.md shows, runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lipc.formats import lir
from lipc.ir import parse_program, print_program, text_constants, text_syntax

PAGE = (Path(__file__).parents[2] / "docs" / "ir.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    built, mistaken = blocks("python")
    (shown,) = blocks("lir")
    exec(compile(built, "ir.md", "exec"), {})  # as its reader would
    assert capsys.readouterr().out == shown
    assert print_program(parse_program(shown)) + "\n" == shown
    exec(compile(mistaken, "ir.md", "exec"), {})
    assert "^^^" in capsys.readouterr().out
    parse_program(re.findall('"""(.*?)"""', mistaken, re.DOTALL)[0].replace("%x2", "%x").replace("maximize", "output"))


def test_the_limits() -> None:
    stated = [int(power) for power in re.findall(r"\| 2\^(\d+)", PAGE)]
    limits = [text_syntax.LONGEST_TEXT, text_constants.LARGEST_SIZE, text_constants.MOST_IMPLIED, lir.LARGEST_CONSTANTS]
    assert [2**power for power in stated] == limits
    assert f"the first {text_syntax.MOST_MESSAGES} |" in PAGE
    assert f"more than {lir.EXTERNAL} numbers" in PAGE


def test_the_grammar_names_every_word() -> None:
    """Every word of grammar/ir.lark stands in the summary."""
    grammar = (Path(__file__).parents[2] / "grammar" / "ir.lark").read_text(encoding="utf-8")
    summary = PAGE[PAGE.index("### Grammar") : PAGE.index("### Large constants")]
    rules = "\n".join(line for line in grammar.splitlines() if not line.startswith(("//", "%")))
    words = set(re.findall(r'"([a-z0-9]{2,})"', rules)) - {"entries"}
    assert len(words) > 25
    assert not [word for word in words if not re.search(rf"\b{word}\b", summary)]
