"""Imports point one way: a room imports from those above it in docs/architecture.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENTRANCES = {"__init__", "__main__"}


def rooms() -> list[str]:
    """Return the rooms in the order of the document."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return re.findall(r"^    ([a-z]+)(?:\.py|/) ", text, re.MULTILINE)


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the rooms that a module imports from, at any time; not those it names for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom):
            module = str(node.module)
            names = [f"lipc.{each.name}" for each in node.names] if module == "lipc" else [module]
        else:
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[1] for name in names if name.startswith("lipc.") and name != "lipc.__version__")
        yield from imported(node)


def test_the_document_names_every_room_once() -> None:
    there = {path.stem for path in (ROOT / "lipc").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(rooms()) == sorted(there - ENTRANCES)


@pytest.mark.parametrize("room", rooms())
def test_a_room_imports_from_those_above_it(room: str) -> None:
    order, path = rooms(), ROOT / "lipc" / room
    above = set(order[: order.index(room) + 1])
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
        below = set(imported(ast.parse(file.read_text(encoding="utf-8")))) - above
        assert not below, f"{file.relative_to(ROOT)} imports from {', '.join(sorted(below))}"
