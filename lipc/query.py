"""Questions about networks: where, of which output, in which norm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import index
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from lipc.bounds.points import Inside
from lipc.errors import EmptyDomainError, QueryError
from lipc.ir import Builder, Floats, Input, L1Ball, Lipschitz, Norm, Objective, Origin, Polytope, Program, Sense
from lipc.ir.euclidean import euclidean_factor
from lipc.outputs import Differences, Functional, parse_functional, parse_output

__all__ = ["Differences", "Functional", "Goal", "Query", "ball", "box", "parse_functional", "parse_output"]

Goal = Literal["lipschitz", "max", "min"]

LARGEST_BOUND = 1e100
"""Of a domain. Far beyond any use; larger ones overflow in the products of bounds and weights."""


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
    if norm not in (Norm.LINF, Norm.L1):
        raise QueryError("a domain is a ball in l_inf or l_1; one in l_2 is no polytope", hint="Norm.LINF or Norm.L1")
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
        Which function of the outputs: a `Functional`, `Differences`, a text for `parse_output`, an index, or `None`:
        the one output there is, or for several the vector-valued constant.
    norm
        What perturbations of the input are measured in. For l_2 the upper bound is that of a polytope around the ball.
    goal
        ``lipschitz``: the exact local Lipschitz constant. ``max``, ``min``: the range of the output over the domain.
    output_norm
        What changes of several outputs are measured in, where no function of them is named: l_inf, the largest counts,
        or l_1, their sum.
    """

    domain: Polytope | tuple[Polytope, ...] | None = None
    output: Functional | Differences | str | int | None = None
    norm: Norm = Norm.LINF
    goal: Goal = "lipschitz"
    output_norm: Norm = Norm.LINF

    @property
    def asked_output(self) -> Functional | Differences | None:
        """The function of the outputs, parsed; `None` for all of them."""
        if isinstance(self.output, str):
            return parse_output(self.output)
        if self.output is None or isinstance(self.output, Functional | Differences):
            return self.output
        try:
            return Functional({index(self.output): 1.0})
        except TypeError:
            raise QueryError(f"{self.output!r} names no output", hint="an index, a text or a Functional") from None

    @property
    def functional(self) -> Functional | None:
        """The linear function of the outputs, parsed; `None` for all of them, or their differences."""
        asked = self.asked_output
        return asked if isinstance(asked, Functional) else None

    def attained_by(self, cotangent: Floats, outputs: int) -> Functional:
        """Return which function of a network's outputs weights of the entries of its result stand for.

        Parameters
        ----------
        cotangent
            Shape ``(m,)``: of a program that asks this question, as a witness has it.
        outputs
            Of the network.
        """
        asked = self._fitting_output(outputs)
        if isinstance(asked, Functional):
            return asked
        weights = cotangent if asked is None else cotangent @ asked.matrix(outputs)
        return Functional({int(entry): float(weights[entry]) for entry in np.flatnonzero(weights)})

    def entries(self, outputs: int) -> int:
        """Return how many entries the result has when this is asked of a network with so many outputs."""
        asked = self._fitting_output(outputs)
        return outputs if asked is None else len(asked.pairs(outputs)) if isinstance(asked, Differences) else 1

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
            raise QueryError(f"unknown norm {self.norm!r}", hint="one of: Norm.LINF, Norm.L1, Norm.L2")
        network_input, _ = network.network_input()
        builder = Builder(network.ops)
        old = network.ops[network_input]
        domain = self.fitting_domain(old.size)
        _check_nonempty(domain)
        builder.ops[network_input] = Input(old.origin, domain)
        outputs = network.ops[network.result].size
        result = network.result
        asked = self._fitting_output(outputs)
        if isinstance(asked, Functional):
            row, origin = asked.row(outputs), Origin("output")
            result = builder.affine({result: row} if row.any() else {}, [asked.constant], origin)
        elif asked is not None:
            result = builder.affine({result: asked.matrix(outputs)}, origin=Origin("differences"))
        return builder.program(result, self._objective(several=asked is None))

    def _fitting_output(self, outputs: int) -> Functional | Differences | None:
        """Return the function of the outputs, that of a single output named; `None` for all of several.

        Raises
        ------
        QueryError
            If the goal or the norm of the outputs does not go with it.
        """
        asked = self.asked_output
        if self.output_norm not in (Norm.LINF, Norm.L1):
            raise QueryError("outputs are measured in l_inf or l_1", hint="Norm.LINF or Norm.L1")
        if asked is None and outputs == 1:
            asked = Functional({0: 1.0})
        if not isinstance(asked, Functional) and self.goal != "lipschitz":
            raise QueryError(f"the network has {outputs} outputs", hint="say which one with --output, e.g. 'y[0]'")
        if isinstance(asked, Differences) and self.output_norm is not Norm.LINF:
            raise QueryError("of the differences of outputs the largest is asked", hint="leave out the norm of outputs")
        return asked

    def _objective(self, *, several: bool) -> Objective:
        if self.goal == "lipschitz":
            return Objective(Sense.MAXIMIZE, Lipschitz(self.norm, self.output_norm if several else Norm.LINF))
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
        """Return the question as plain values for JSON; bounds of the domain as their smallest and largest.

        Of several outputs there is their norm, and of differences the pairs of outputs, in the order of the result.
        """
        inputs = network.network_input()[1].size
        outputs = network.ops[network.result].size
        domains = [_description(piece.fitting_domain(inputs)) for piece in self.pieces()]
        asked = self._fitting_output(outputs)
        described: dict[str, object] = {
            "objective": self.goal,
            "norm": self.norm.value,
            "output": str(asked),
            "several_outputs": not isinstance(asked, Functional),
            "domain": domains[0] if len(domains) == 1 else _union_description(domains),
        }
        if asked is None:
            how = "largest (l_inf)" if self.output_norm is Norm.LINF else "sum (l_1)"
            described |= {"output": f"all {outputs}, {how}", "output_norm": self.output_norm.value}
        elif isinstance(asked, Differences):
            pairs = asked.pairs(outputs)
            what = "of all pairs of outputs" if asked.of is None else f"of y[{asked.of}] with the others"
            described |= {"output": f"differences {what}, {len(pairs)}, largest (l_inf)", "differences": pairs}
        if self.norm is Norm.L2 and self.goal == "lipschitz":
            described["upper_factor"] = euclidean_factor(inputs)
        return described


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
