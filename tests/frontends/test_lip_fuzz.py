"""Whatever stands in a .lip file: a network that the verifier accepts, or an error in words; and soon."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path
from time import perf_counter

import pytest

from lipc.errors import LipcError
from lipc.frontends.lip import parse_lip
from lipc.ir import verify

EXAMPLES = Path(__file__).parents[2] / "examples"

EVERYTHING = """
c = [0.5, 0.25]; W = [1, -2; 0.5, 3]  # a matrix
network inner { input z[2]; h = leaky_relu(W * z + c, slope = 0.1); output w = [h; max(z) - min(z[0], z[1], 0.5)] }
network f {
  input x[3]
  a = conditional(x[0:2])
  h1 = switch(x[1:3] + [1, 2], a)
  h2 = clip(inner(h1)[[0, 2]], -1, [1, 2]) .* c
  p = maxpool([h2; x], [[0, 1], [2, 3]]) + reshape([1, 2], 2) ./ 4
  output y = [abs(p)'; sum(x)][0:2] - W' * eye(2) * h2 / 3
}
query f {
  m = y[0] - y[1]
  domain box [0, 0, 0] .. 1 or ball l1 center zeros(3) radius 0.5 clip -1 .. 1
      or ball linf center [0, 0, 1] radius 2
  where x[0] + x[1] <= 1, 0 <= x[2] - x[0] <= 1
  where x[0] == 2 * x[1]
  maximize lipschitz(m + 2 * y[1], norm = l1)
}
"""

TOKENS = re.compile(r'\s+|\w+(?:\.\d+)?|"[^"\n]*"|#[^\n]*|\.\.|[<>=]=|\.[*/]|.', re.DOTALL)

WORDS = [
    *TOKENS.findall(
        "network,query,input,output,domain,box,ball,linf,l1,center,radius,clip,or,where,maximize,minimize,lipschitz,"
        "norm,x,y,z,h1,w,f,c,W,relu,abs,max,min,maxpool,sum,conditional,switch,zeros,ones,eye,diag,load,transpose,reshape"
        '===<=>=+-*/.*./..:;,.\'()[]{}0,1,2,3,0.5,1e3,1e999,"trained.npz""none.npy"\n'
    ),
    *("#", ".5", "5.", "-1", "\n", "\n"),
]

SLOWEST = 5.0
"""Seconds that one text may take on a busy machine; the median is some milliseconds."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzz")
    shutil.copy(EXAMPLES / "trained.npz", path)
    return path


@pytest.fixture(scope="module")
def seeds() -> list[str]:
    return [EVERYTHING, *(path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.lip")))]


def mutated(random: random.Random, seeds: list[str]) -> str:
    """Return a text with a few tokens dropped, doubled, swapped or replaced, or characters broken, or pure noise."""
    kind = random.randrange(10)
    if kind == 0:
        return " ".join(random.choice(WORDS) for _ in range(random.randrange(40)))
    if kind == 1:
        return bytes(random.randrange(256) for _ in range(random.randrange(60))).decode("latin-1")
    if kind == 2:
        text = list(random.choice(seeds))
        for _ in range(random.randint(1, 3)):
            text[random.randrange(len(text))] = chr(random.choice([*range(32, 127), 10, 0, 8722, 128512]))
        return "".join(text)
    tokens = TOKENS.findall(random.choice(seeds))
    for _ in range(random.randint(1, 1 + kind // 3)):
        at, other = random.randrange(len(tokens)), random.randrange(len(tokens))
        action = random.randrange(6)
        if action == 0:
            tokens[at : at + random.randint(1, 3)] = []
        elif action == 1:
            tokens.insert(at, tokens[other])
        elif action == 2:
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif action == 3:
            tokens[at] = random.choice(WORDS)
        elif action == 4:
            tokens.insert(at, random.choice(WORDS))
        else:
            tokens = tokens[: max(1, at)]
        tokens = tokens or [" "]
    return "".join(tokens)


def check(text: str, folder: Path) -> str:
    """Return ``network`` or ``error``; anything else is a failure."""
    start = perf_counter()
    try:
        network = parse_lip(text, "fuzz.lip", folder)
    except LipcError as error:
        assert str(error).strip()
        assert "\nTraceback" not in str(error)
        outcome = "error"
    else:
        verify(network.program)
        for warning in network.warnings:
            assert warning.render()
        outcome = "network"
    assert perf_counter() - start < SLOWEST, text
    return outcome


def run(count: int, seed: int, folder: Path, seeds: list[str]) -> dict[str, int]:
    source = random.Random(seed)
    outcomes = {"network": 0, "error": 0}
    for _ in range(count):
        text = mutated(source, seeds)
        try:
            outcomes[check(text, folder)] += 1
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\nfor {text!r}") from error
    return outcomes


def test_everything_parses(folder: Path, seeds: list[str]) -> None:
    assert [check(text, folder) for text in seeds] == ["network"] * 4


def test_mutated_texts(folder: Path, seeds: list[str]) -> None:
    outcomes = run(600, 0, folder, seeds)
    assert outcomes["network"] > 20
    assert outcomes["error"] > 200


@pytest.mark.slow
def test_many_mutated_texts(folder: Path, seeds: list[str]) -> None:
    outcomes = run(50_000, 1, folder, seeds)
    assert outcomes["network"] > 2_000
    assert outcomes["error"] > 20_000
