"""Programs that people write: what cannot be asked of them, and bounds that cannot hold, are mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

TWO = "%x: vec[1] = input box [-1] .. [1] %y: vec[1] = input box [-1] .. [2] %z: vec[1] = affine %x + 3 * %y"
BITS = "%x: bits[2] = input box [0, 0] .. [1, 1]"
EMPTY = "%x: vec[0] = input box [] .. [] %y: vec[1] = affine [2]"
BOUNDED = "%x: vec[1] = input box [0] .. [1] %y: vec[1] = affine -1 * %x bounds %y: [3] .. [4] maximize %y"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def write(statements: str) -> str:
        path = tmp_path / "program.lir"
        path.write_text(f"program {{ {statements} }}", encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (f"{TWO} maximize lipschitz(%z, norm = linf)", "there is no Lipschitz constant of 2 inputs"),
        ("%c: vec[1] = affine [3] maximize lipschitz(%c, norm = l1)", "there is no Lipschitz constant of 0 inputs"),
        (f"{BITS} maximize lipschitz(%x, norm = linf)", "there is no Lipschitz constant of an input of bits"),
        (f"{EMPTY} maximize lipschitz(%y, norm = l1)", "there is no Lipschitz constant of an input without entries"),
        (f"{TWO} output %z", "nothing can be asked of a program of 2 inputs"),
        (f"{BITS} output %x", "nothing can be asked of a program of an input of bits"),
        ("%x: vec[0] = input box [] .. [] output %x", "the result of the program has no entries"),
    ],
)
@pytest.mark.parametrize("command", ["compile", "solve"])
def test_what_nobody_can_answer(lipc: Call, write: Any, command: str, statements: str, message: str) -> None:
    path = write(statements)
    shown = lipc(command, path)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith(f"lipc: error: {path}: {message}")


@pytest.mark.parametrize("statements", [TWO, BITS, EMPTY])
def test_it_can_be_looked_at(lipc: Call, write: Any, statements: str) -> None:
    result = "%x" if statements is BITS else "%y"
    path = write(f"{statements} maximize lipschitz({result}, norm = linf)")
    shown = lipc("opt", path)
    assert (shown.code, shown.err) == (0, "")
    shown = lipc("opt", path, "-O2")
    assert shown.code == 2
    assert "there is no Lipschitz constant of " in shown.err


@pytest.mark.parametrize("statements", ["%c: vec[1] = affine [3] maximize %c", f"{EMPTY} maximize %y"])
def test_a_constant_can_be_written_and_not_solved(lipc: Call, write: Any, statements: str) -> None:
    path = write(statements)
    shown = lipc("compile", path)
    assert (shown.code, shown.err) == (0, "")
    assert "* question: max of the result\n" in shown.out
    shown = lipc("solve", path)
    assert shown.code == 2
    assert f"{path}: without one input, of reals, an answer cannot be certified; " in shown.err


def test_bounds_that_cannot_hold(lipc: Call, write: Any) -> None:
    path = write(BOUNDED)
    message = f"lipc: error: {path}: the bounds 3 .. 4 of entry 0 of operation %1 cannot hold: it lies within -1 .. "
    for args in (["opt", "-O1"], ["solve", "--trust-bounds"], ["compile", "--trust-bounds"]):
        shown = lipc(args[0], path, *args[1:])
        assert (shown.code, shown.out) == (2, "")
        assert shown.err.startswith(message)
    assert lipc("opt", path).code == 0
    shown = lipc("solve", path)
    assert "maximum of the output = 0\n" in shown.out


def test_a_union_is_no_program(lipc: Call, tmp_path: Path) -> None:
    path = tmp_path / "net.lip"
    text = "network f { input x[1]; output y = relu(x) }; query { domain box 0 .. 1 or box 2 .. 3 }"
    path.write_text(text, encoding="utf-8")
    shown = lipc("opt", path)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith(f"lipc: error: {path}: the domain is a union of 2, and a program has one; name one by ")
    assert lipc("opt", path, "--box", "0", "1").code == 0
