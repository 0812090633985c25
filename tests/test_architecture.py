"""Imports point one way: a room imports from those above it in docs/architecture.md, and few know what is outside."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lipc"
FILES = sorted(PACKAGE.rglob("*.py"))
ENTRANCES = {"__init__", "__main__"}

OUTSIDE = {"pyscipopt": {"solvers"}, "highspy": {"bounds", "solvers"}, "click": {"cli"}, "rich": {"cli"}}
OUTSIDE |= {"onnx": {"frontends", "models"}, "cvxpy": {"bounds"}, "distributed": {"engine"}, "matplotlib": {"reports"}}
OUTSIDE |= {"gurobipy": {"solvers"}, "numba": {"bounds"}, "pandas": {"batches"}}


def rooms() -> list[str]:
    """Return the rooms in the order of the document."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return re.findall(r"^    ([a-z]+)(?:\.py|/) ", text, re.MULTILINE)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield what a file imports (for checking types alone not) and whether that is done only when it is needed."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path} imports by a relative path"
                yield from ((f"{child.module}.{alias.name}", lazy) for alias in child.names)
            elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
                yield from walk(child, lazy or isinstance(child, ast.FunctionDef | ast.Lambda))

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False)


def test_the_document_names_every_room_once() -> None:
    assert sorted(rooms()) == sorted({room_of(path) for path in FILES} - ENTRANCES)


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_point_one_way(path: Path) -> None:
    order, room = rooms(), room_of(path)
    above = set(order if room in ENTRANCES else order[: order.index(room) + 1]) | {"__version__"}
    for module, lazy in imports(path):
        top, *rest = module.split(".")
        if top == "lipc":
            assert rest[0] in above, f"{room} imports {module}"
        elif top in OUTSIDE:
            assert room in OUTSIDE[top], f"{room} imports {module}"
            assert lazy or top not in ("pyscipopt", "highspy"), f"{module} is imported when {path.name} is loaded"
