"""Which function of a network's outputs a question is about: a linear one, all of them, or their differences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from lipc.errors import QueryError
from lipc.grammars import grammar
from lipc.ir import Floats

MOST_DIFFERENCES = 100_000
"""Pairs of outputs: each is an output of its own then."""


@dataclass(frozen=True)
class Functional:
    """A linear function of the outputs, ``sum(weights[i] * y[i]) + constant``."""

    weights: Mapping[int, float]
    constant: float = 0.0

    def __str__(self) -> str:
        terms = [f"{_signed(weight)}*y[{entry}]".replace(" 1*", " ") for entry, weight in self.weights.items()]
        if self.constant or not terms:
            terms.append(_signed(self.constant))
        text = " ".join(terms)
        # A sign stays in front of a constant alone: without it, it would be an index.
        return text[2:] if text.startswith("+ ") and self.weights else text.replace("- ", "-", 1)

    def check_finite(self) -> None:
        """Raise a `QueryError` if a number is infinite or NaN."""
        if not np.isfinite([*self.weights.values(), self.constant]).all():
            raise QueryError("the output expression has a number that is not finite")

    def row(self, outputs: int) -> Floats:
        """Return the weights as a matrix of shape ``(1, outputs)``.

        Raises
        ------
        QueryError
            If an output does not exist or a number is not finite.
        """
        self.check_finite()
        row = np.zeros((1, outputs))
        for entry, weight in self.weights.items():
            check_output(entry, outputs)
            row[0, entry] = weight
        return row


def _signed(number: float) -> str:
    """Return a number with its sign apart, with all its digits: ``- 0.1``."""
    return f"{'-' if number < 0 else '+'} {repr(abs(float(number))).removesuffix('.0')}"


@dataclass(frozen=True)
class Differences:
    """The differences ``f_i - f_j`` of outputs, the largest of which is asked for: the cross-Lipschitz constant.

    Differences of one output with the others bound from below how far an input may move before another output exceeds
    that one (Weng et al. 2018, "Evaluating the robustness of neural networks", Theorem 3.2).

    Parameters
    ----------
    of
        Output ``i``; `None`: all pairs.
    """

    of: int | None = None

    def __str__(self) -> str:
        return "cross" if self.of is None else f"cross:{self.of}"

    def pairs(self, outputs: int) -> list[tuple[int, int]]:
        """Return the pairs ``(i, j)``, each unordered one once.

        Raises
        ------
        QueryError
            If there is but one output, no such one, or too many pairs.
        """
        if outputs < 2:
            raise QueryError("a network of one output has no differences of outputs")
        if self.of is None:
            if outputs * (outputs - 1) // 2 > MOST_DIFFERENCES:
                raise QueryError(f"{outputs} outputs are too many for all pairs", hint="ask of one: cross:3")
            return list(combinations(range(outputs), 2))
        check_output(self.of, outputs)
        return [(self.of, other) for other in range(outputs) if other != self.of]

    def matrix(self, outputs: int) -> csr_array:
        """Return the differences as a matrix, shape ``(pairs, outputs)``."""
        pairs = np.array(self.pairs(outputs))
        rows = np.repeat(np.arange(len(pairs)), 2)
        return csr_array((np.tile([1.0, -1.0], len(pairs)), (rows, pairs.reshape(-1))), shape=(len(pairs), outputs))


def check_output(entry: int, outputs: int) -> None:
    """Raise a `QueryError` if a network of so many outputs has no such one."""
    if not 0 <= entry < outputs:
        raise QueryError(f"there is no output y[{entry}]", hint=f"the network has y[0] .. y[{outputs - 1}]")


def parse_output(text: str) -> Functional | Differences | None:
    """Return what a text like ``y[0] - y[1]``, ``all``, ``cross`` or ``cross:3`` stands for; `None` for all outputs.

    Raises
    ------
    QueryError
        If it is none of these.
    """
    word = text.strip()
    if word == "all":
        return None
    if word == "cross":
        return Differences()
    if word.startswith("cross:"):
        if not re.fullmatch(r"[0-9]{1,9}", word[6:]):
            raise QueryError(f"cannot read the output {text!r}", hint="write cross, or cross:3 for those of y[3]")
        return Differences(int(word[6:]))
    return parse_functional(text)


def parse_functional(text: str) -> Functional:
    """Return the linear function that a text like ``y[0] - 2*y[1]``, or a plain index, stands for.

    Raises
    ------
    QueryError
        With the column of the first character that does not fit.
    """
    if re.fullmatch(r"\s*[0-9]+\s*", text):
        return Functional({int(text): 1.0})
    from lark import Lark, UnexpectedInput

    parser = Lark(grammar("functional.lark"), parser="lalr")
    try:
        tree = parser.parse(text)
    except UnexpectedInput as error:
        column = getattr(error, "column", -1)
        where = f"column {column}" if isinstance(column, int) and column > 0 else "the end"
        raise QueryError(
            f"cannot read the output {text!r} at {where}", hint="write a linear expression like 'y[0] - 2*y[1]'"
        ) from None
    return _functional(tree)


def _functional(tree: Any) -> Functional:
    """Return the functional of a parse tree of functional.lark."""
    weights: dict[int, float] = {}
    constant = 0.0
    sign = 1.0
    for child in tree.children:
        if child is None:
            continue
        if isinstance(child, str):
            sign = -1.0 if child == "-" else 1.0
            continue
        entry, factor = _product(child)
        if entry is None:
            constant += sign * factor
        else:
            weights[entry] = weights.get(entry, 0.0) + sign * factor
    functional = Functional(weights, constant)
    functional.check_finite()
    return functional


def _product(tree: Any) -> tuple[int | None, float]:
    """Return output and factor of one summand; no output for a constant."""
    parts = list(tree.children)
    if tree.data == "constant":
        return None, float(parts[0])
    if tree.data == "output":
        return int(parts[0]), 1.0
    if tree.data == "scaled":
        return int(parts[1].children[0]), float(parts[0])
    factor = float(parts[1])
    if tree.data == "divided":
        if factor == 0:
            raise QueryError("the output expression divides by zero")
        factor = 1.0 / factor
    return int(parts[0].children[0]), factor
