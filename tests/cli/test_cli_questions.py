"""The questions of the command line that are more than one function in l_inf over a box; and certified radii."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lipc as library

BOX = ["--box", "0", "1"]
Call = Callable[..., Any]


@pytest.fixture
def cut(tmp_path: Path) -> str:
    """A file of two half-spaces for two inputs."""
    path = tmp_path / "cut.npz"
    np.savez(path, A=np.array([[1.0, 1.0], [1.0, -2.0]]), b=np.array([1.25, 0.5]))
    return str(path)


def test_half_spaces_from_a_file(lipc: Call, small: str, cut: str) -> None:
    content = json.loads(lipc("solve", small, *BOX, "--halfspaces", cut, "--json").out)
    assert content["query"]["domain"]["rows"] == 2
    matrix, sides = np.array([[1.0, 1.0], [1.0, -2.0]]), np.array([1.25, 0.5])
    x = np.array(content["witness"]["x"])
    assert (matrix @ x <= sides).all()
    query = library.Query(library.box([0, 0], [1, 1]).with_rows(matrix, -np.inf, sides))
    assert content["upper"] == pytest.approx(library.solve(small, query).upper, rel=2e-6)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"A": np.ones((1, 3)), "b": np.ones(1)}, "A has 3 columns, but the network has 2 inputs"),
        ({"A": np.ones((2, 2)), "b": np.ones(3)}, "A has shape (2, 2), b (3,)"),
        ({"A": np.ones((2, 2))}, "holds no array 'b'"),
        ({"A": np.ones((1, 2)), "b": np.array([np.nan])}, "not finite"),
        ({"A": np.array([["a", "b"]]), "b": np.ones(1)}, "something else than numbers"),
        ({"A": np.array([[{}, 1]], object), "b": np.ones(1)}, "something else than numbers"),
        ({"A": -np.ones((1, 2)), "b": -3 * np.ones(1)}, "the domain is empty"),
    ],
)
def test_half_spaces_that_do_not_fit(
    lipc: Call, small: str, tmp_path: Path, arrays: dict[str, np.ndarray], words: str
) -> None:
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    shown = lipc("solve", small, *BOX, "--halfspaces", str(path))
    assert shown.code == 2
    assert words in shown.err


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"1,2\n"])
def test_files_that_are_no_archives(lipc: Call, small: str, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.npz"
    path.write_bytes(content)
    for name in (path, tmp_path / "missing.npz", tmp_path):
        shown = lipc("solve", small, *BOX, "--halfspaces", str(name))
        assert shown.code == 2
        assert shown.err.startswith("lipc: error: --halfspaces")


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["--output-norm", "l1"], ["all 2, sum (l_1)", "attained by"]),
        (["--output", "all"], ["all 2, largest (l_inf)"]),
        (["--output", "cross"], ["differences of all pairs", "y[0] - y[1]"]),
        (["--output", "cross:1"], ["differences of y[1]", "y[1] - y[0]"]),
        (["--norm", "l2"], ["a polytope around the l_2 ball: at most 1.0048 times"]),
    ],
)
def test_what_is_shown(lipc: Call, small: str, options: list[str], texts: list[str]) -> None:
    shown = lipc("solve", small, *BOX, *options)
    assert shown.code == 0
    for text in texts:
        assert text in shown.out


def test_a_radius(lipc: Call, small: str, tmp_path: Path) -> None:
    center = tmp_path / "center.csv"
    center.write_text("0.25,0.5\n")
    shown = lipc("certify-radius", small, "--center", str(center), "--clip", "0", "1")
    assert shown.code == 0
    assert shown.out.startswith("certified radius: 0.")
    assert "no counterexample" in shown.out or "largest radius looked at" in shown.out
    content = json.loads(lipc("certify-radius", small, "--center", str(center), "--clip", "0", "1", "--json").out)
    result = library.certify_radius(small, [0.25, 0.5], clip=(0, 1))
    assert content["radius"] == result.radius
    assert content["certified"]
    assert content["classes"][0]["output"] == 1 - content["label"]


def test_radii_of_mistakes(lipc: Call, small: str) -> None:
    wrong = lipc("certify-radius", small, "--center", "0.5", "--label", "7")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert "no output y[7]" in wrong.err
    labels = {lipc("certify-radius", small, "--center", "0.5", "--label", label).code for label in "01"}
    assert labels == {0, 1}
    assert lipc("certify-radius", small).code == 2
    assert lipc("certify-radius", small, "--center", "0.5", "--max-radius", "0").code == 2
