"""Questions about networks: where, of which output, in which norm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import index
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from lipc.bounds.points import Inside
from lipc.errors import EmptyDomainError, QueryError
from lipc.grammars import grammar
from lipc.ir import Builder, Floats, Input, L1Ball, Lipschitz, Norm, Objective, Origin, Polytope, Program, Sense

Goal = Literal["lipschitz", "max", "min"]

LARGEST_BOUND = 1e100
"""Of a domain. Far beyond any use; larger ones overflow in the products of bounds and weights."""


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
            if not 0 <= entry < outputs:
                raise QueryError(f"there is no output y[{entry}]", hint=f"the network has y[0] .. y[{outputs - 1}]")
            row[0, entry] = weight
        return row


def _signed(number: float) -> str:
    """Return a number with its sign apart, with all its digits: ``- 0.1``."""
    return f"{'-' if number < 0 else '+'} {repr(abs(float(number))).removesuffix('.0')}"


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


def _numbers(given: ArrayLike, what: str) -> Floats:
    try:
        return np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise QueryError(f"the {what} are not numbers") from None


def box(lower: ArrayLike, upper: ArrayLike) -> Polytope:
    """Return the domain ``lower <= x <= upper``; numbers or arrays of any shape.

    Raises
    ------
    QueryError
        If the two are not numbers, or not as many while neither is one number.
    """
    low, high = _numbers(lower, "lower bounds"), _numbers(upper, "upper bounds")
    try:
        low, high = np.broadcast_arrays(low, high)
    except ValueError:
        raise QueryError(f"the box has {low.size} lower and {high.size} upper bounds") from None
    return Polytope.box(low.reshape(-1), high.reshape(-1))


def ball(center: ArrayLike, radius: float, clip: tuple[float, float] | None = None, norm: Norm = Norm.LINF) -> Polytope:
    """Return the ball around a point in a norm, with `clip` cut by a box ``clip[0] <= x <= clip[1]``.

    Raises
    ------
    QueryError
        If the center is not numbers, or the radius is negative or not a number.
    """
    middle = _numbers(center, "entries of the center").reshape(-1)
    if not radius >= 0:
        raise QueryError(f"the radius is {radius}", hint="it must be a number that is not negative")
    with np.errstate(over="ignore", invalid="ignore"):  # a bound that is not finite is refused with the question
        low, high = middle - radius, middle + radius
        if norm is Norm.L1:  # the box around an l_1 ball must not cut it
            low = np.where(_difference_error(middle, radius, low) < 0, np.nextafter(low, -np.inf), low)
            high = np.where(_difference_error(middle, -radius, high) > 0, np.nextafter(high, np.inf), high)
    if clip is not None:
        low, high = np.maximum(low, clip[0]), np.minimum(high, clip[1])
    within = Polytope.box(low, high)
    return replace(within, l1=L1Ball(middle, float(radius))) if norm is Norm.L1 else within


def _difference_error(left: Floats, right: float, rounded: Floats) -> Floats:
    """Return ``left - right - rounded``, exactly (Knuth's TwoSum)."""
    part = rounded - left
    return np.asarray((left - (rounded - part)) - (right + part))


@dataclass(frozen=True)
class Query:
    """A question about a network.

    Parameters
    ----------
    domain
        Where the input ranges; of one entry: the same bounds for every input. Several: their union, so that the
        answer is the largest over them (for ``min`` the smallest). Default: the box [0, 1].
    output
        Which function of the outputs: a `Functional`, a text for `parse_functional`, an index, or `None`: the one
        output there is, or for several the vector-valued constant with outputs in l_inf.
    norm
        What perturbations of the input are measured in.
    goal
        ``lipschitz``: the exact local Lipschitz constant. ``max``, ``min``: the range of the output over the domain.
    """

    domain: Polytope | tuple[Polytope, ...] | None = None
    output: Functional | str | int | None = None
    norm: Norm = Norm.LINF
    goal: Goal = "lipschitz"

    @property
    def functional(self) -> Functional | None:
        """The function of the outputs, parsed."""
        if isinstance(self.output, str):
            return parse_functional(self.output)
        if self.output is None or isinstance(self.output, Functional):
            return self.output
        try:
            return Functional({index(self.output): 1.0})
        except TypeError:
            raise QueryError(f"{self.output!r} names no output", hint="an index, a text or a Functional") from None

    def pieces(self) -> tuple[Query, ...]:
        """Return the question for each domain on its own."""
        if self.domain is None or isinstance(self.domain, Polytope):
            return (self,)
        return tuple(replace(self, domain=domain) for domain in self.domain)

    def _one_domain(self) -> Polytope:
        """Return the only domain.

        Raises
        ------
        QueryError
            If there is none or several.
        """
        if self.domain is None:
            return box(0.0, 1.0)
        domains = (self.domain,) if isinstance(self.domain, Polytope) else tuple(self.domain)
        if len(domains) == 1:
            return domains[0]
        if not domains:
            raise QueryError("the domain is a union of nothing", hint="name one domain, or several")
        raise QueryError(
            f"the domain is a union of {len(domains)}, and a model has one",
            hint="compile each of Query.pieces(), or solve, which answers for the union",
        )

    def ask(self, network: Program) -> Program:
        """Return the network with this question as its objective.

        Raises
        ------
        QueryError
            If the domain does not fit the input, is empty or a union of several, the output does not exist, or the
            goal is a range and several outputs are left to choose from.
        """
        if self.goal not in get_args(Goal):
            raise QueryError(f"unknown goal {self.goal!r}", hint=f"one of: {', '.join(get_args(Goal))}")
        if not isinstance(self.norm, Norm):
            raise QueryError(f"unknown norm {self.norm!r}", hint="one of: Norm.LINF, Norm.L1")
        network_input, _ = network.network_input()
        builder = Builder(network.ops)
        old = network.ops[network_input]
        domain = self.fitting_domain(old.size)
        _check_nonempty(domain)
        builder.ops[network_input] = Input(old.origin, domain)
        outputs = network.ops[network.result].size
        result = network.result
        functional = self.functional
        if functional is None and outputs == 1:
            functional = Functional({0: 1.0})
        if functional is not None:
            row, origin = functional.row(outputs), Origin("output")
            result = builder.affine({result: row} if row.any() else {}, [functional.constant], origin)
        elif self.goal != "lipschitz":
            raise QueryError(f"the network has {outputs} outputs", hint="say which one with --output, e.g. 'y[0]'")
        return builder.program(result, self._objective())

    def _objective(self) -> Objective:
        if self.goal == "lipschitz":
            return Objective(Sense.MAXIMIZE, Lipschitz(self.norm))
        return Objective(Sense.MAXIMIZE if self.goal == "max" else Sense.MINIMIZE)

    def fitting_domain(self, size: int) -> Polytope:
        """Return the only domain for an input of a size, checked.

        Raises
        ------
        QueryError
            If it has another size, a number that is not finite, or bounds that cross.
        """
        domain = self._one_domain()
        if domain.size == 1 and size != 1:
            domain = _repeated(domain, size)
        if domain.size != size:
            raise QueryError(f"the domain has {domain.size} entries, but the network has {size} inputs")
        if not (np.isfinite(domain.lower).all() and np.isfinite(domain.upper).all()):
            raise QueryError(
                "the domain has an infinite or undefined bound", hint="every input needs two finite bounds"
            )
        largest = max(np.abs(domain.lower).max(initial=0.0), np.abs(domain.upper).max(initial=0.0))
        if largest > LARGEST_BOUND:
            raise QueryError(
                f"the domain reaches as far as {largest:g}", hint=f"bounds may be as large as {LARGEST_BOUND:g}"
            )
        crossed = np.flatnonzero(domain.lower > domain.upper)
        if len(crossed):
            at = int(crossed[0])
            raise EmptyDomainError(
                f"the domain is empty: input {at} ranges from {domain.lower[at]:g} to {domain.upper[at]:g}"
            )
        _check_constraints(domain)
        return domain

    def describe(self, network: Program) -> dict[str, object]:
        """Return the question as plain values for JSON; bounds of the domain as their smallest and largest."""
        inputs = network.network_input()[1].size
        outputs = network.ops[network.result].size
        domains = [_description(piece.fitting_domain(inputs)) for piece in self.pieces()]
        functional = self.functional
        several = functional is None and outputs > 1
        return {
            "objective": self.goal,
            "norm": self.norm.value,
            "output": str(functional) if functional else (f"all {outputs}, largest (l_inf)" if several else "y[0]"),
            "several_outputs": several,
            "domain": domains[0] if len(domains) == 1 else _union_description(domains),
        }


def _description(domain: Polytope) -> dict[str, object]:
    """Return a domain as plain values: its bounds by the smallest and largest, its rows by their number."""
    description: dict[str, object] = {
        "type": "polytope" if domain.rows.shape[0] else "box" if domain.l1 is None else "l1-ball",
        "inputs": domain.size,
        "lower": [float(domain.lower.min()), float(domain.lower.max())],
        "upper": [float(domain.upper.min()), float(domain.upper.max())],
    }
    if domain.rows.shape[0]:
        description["rows"] = int(domain.rows.shape[0])
    if domain.l1 is not None:
        description["radius"] = float(domain.l1.radius)
    return description


def _union_description(pieces: list[dict[str, object]]) -> dict[str, object]:
    ends = {side: np.array([piece[side] for piece in pieces]) for side in ("lower", "upper")}
    return {
        "type": "union",
        "inputs": pieces[0]["inputs"],
        **{side: [float(values.min()), float(values.max())] for side, values in ends.items()},
        "pieces": pieces,
    }


def _check_constraints(domain: Polytope) -> None:
    """Raise a `QueryError` for half-spaces or a ball with senseless numbers, or without a point in the box."""
    rows, ball = domain.rows, domain.l1
    sides = np.concatenate([domain.row_lower, domain.row_upper])
    if rows.shape != (len(domain.row_lower), domain.size) or len(sides) != 2 * rows.shape[0]:
        raise QueryError("the half-spaces of the domain have another number of entries, or of sides, than it has")
    if not np.isfinite(rows.data).all() or np.isnan(sides).any():
        raise QueryError("a half-space of the domain has a number that is not finite")
    finite = sides[np.isfinite(sides)]
    if max(np.abs(rows.data).max(initial=0.0), np.abs(finite).max(initial=0.0)) > LARGEST_BOUND:
        raise QueryError(f"a half-space of the domain has a number beyond {LARGEST_BOUND:g}")
    if ball is not None:
        if len(ball.center) != domain.size:
            raise QueryError(f"the ball has a center of {len(ball.center)} entries, the domain {domain.size}")
        if not (np.isfinite(ball.center).all() and 0 <= ball.radius < np.inf):
            raise QueryError("the ball needs a finite center and a finite radius that is not negative")
        if max(np.abs(ball.center).max(initial=0.0), ball.radius) > LARGEST_BOUND:
            raise QueryError(f"the ball has a number beyond {LARGEST_BOUND:g}")
    low, high = domain.row_lower, domain.row_upper
    crossed = np.flatnonzero((low > high) | (low == np.inf) | (high == -np.inf))
    if len(crossed):
        row = int(crossed[0])
        raise EmptyDomainError(f"the domain is empty: its half-space {row} ranges from {low[row]:g} to {high[row]:g}")


def _check_nonempty(domain: Polytope) -> None:
    """Raise a `QueryError` if half-spaces and ball are proven to leave nothing of the box."""
    if domain.is_box or not Inside(domain).empty:
        return
    count = domain.rows.shape[0]
    what = ["its half-space" if count == 1 else f"its {count} half-spaces"] if count else []
    what += ["its l_1 ball"] if domain.l1 is not None else []
    raise EmptyDomainError(f"the domain is empty: no point of its box lies within {' and '.join(what)}")


def _repeated(domain: Polytope, size: int) -> Polytope:
    """Return the domain of `size` inputs that all have the bounds, or the center of the ball, of one."""
    if domain.rows.shape[0]:
        raise QueryError(f"the half-spaces of the domain have one entry, but the network has {size} inputs")
    ball = domain.l1 and L1Ball(np.repeat(domain.l1.center, size), domain.l1.radius)
    return replace(Polytope.box(np.repeat(domain.lower, size), np.repeat(domain.upper, size)), l1=ball)
