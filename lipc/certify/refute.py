"""Proofs that some bits hold together on no open set, and that name no more bits than they need.

A proof is a combination of signed pre-activations with nonnegative weights, of which an affine function that is nowhere
positive on the domain is an upper bound. Of a neuron ``y = relu(z)`` whose coefficient in the sum is ``c``, the bit is
needed if ``c > 0`` alone: ``c y <= c a z`` for ``c <= 0`` whatever the bit is, and for every ``a`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipc.bounds.membership import exact_support
from lipc.certify.multipliers import Balance, independent, kernel_vector
from lipc.certify.witness import Bits
from lipc.ir import Affine, Conditional, Floats, Program, Switch
from lipc.ir.exact import Dyadic, ExactInterpreter

Place = tuple[int, int]
"""A neuron: its conditional and its entry there."""


@dataclass(frozen=True, eq=False)
class Conflict:
    """Bits that cannot hold together on any open set: for each conditional named, entries and their bits."""

    bits: Mapping[int, tuple[NDArray[np.int64], NDArray[np.bool_]]]

    @property
    def size(self) -> int:
        """How many bits it names."""
        return sum(len(entries) for entries, _ in self.bits.values())


@dataclass(frozen=True, eq=False)
class Proposal:
    """Multipliers of a linear program over a pattern, in floating point.

    Parameters
    ----------
    places
        The neurons whose signed pre-activations are summed.
    weights, gradients
        Their multipliers, shape ``(k,)``, all positive, and their signed gradients, shape ``(k, n)``.
    of_rows
        A multiplier for each row of the domain.
    price
        The multiplier of the domain's ball.
    """

    places: list[Place]
    weights: Floats
    gradients: Floats
    of_rows: Floats
    price: float


@dataclass(frozen=True, eq=False)
class _Sum:
    """A weighted sum of signed pre-activations: its value at the anchor, its gradient, and what it asks of neurons."""

    members: Mapping[Place, Fraction]
    at_anchor: Fraction
    gradient: list[Fraction]
    coefficients: Mapping[int, list[Fraction]]

    @property
    def vanishes(self) -> bool:
        """Whether it is 0 everywhere."""
        return not self.at_anchor and not any(self.gradient)


class Refuter:
    """Makes proofs of proposals, for one pattern, in exact arithmetic.

    Parameters
    ----------
    exact
        Of a network of one input.
    relevant
        For each conditional, which bits are not decided by bounds; the others hold everywhere.
    bits
        The pattern.
    deadline
        The time of `time.monotonic` after which nothing is proven any more.
    """

    def __init__(self, exact: ExactInterpreter, relevant: Bits, bits: Bits, deadline: float) -> None:
        self.exact, self.relevant, self.bits, self.deadline = exact, relevant, bits, deadline
        self.program = exact.program
        self.input, self.domain = self.program.network_input()
        self.anchor = self.domain.clip(np.zeros(self.domain.size))
        self.values = exact.evaluate(self.anchor, {value: bits[value] for value in relevant})
        self.readers = {value: relu_readers(self.program, value) for value in relevant}
        self._adjoints: dict[Place, dict[int, Dyadic]] = {}

    def refute(self, proposal: Proposal) -> Conflict | None:
        """Return a proof made of multipliers: as they are, or made exact."""
        weights = [Fraction(float(weight)) for weight in proposal.weights]
        by_row = {row: Fraction(float(proposal.of_rows[row])) for row in np.flatnonzero(proposal.of_rows).tolist()}
        proof = self.prove(dict(zip(proposal.places, weights, strict=True)), by_row)
        if proof is not None:
            return proof
        of_rows = proposal.of_rows
        held = np.flatnonzero(np.abs(of_rows) > 1e-9 * np.abs(of_rows).max(initial=0.0))
        if len(proposal.places) + len(held) > self.domain.size + 2:
            return None
        terms = [
            proposal.weights[:, None] * proposal.gradients,
            -of_rows[held, None] * self.domain.rows[held].toarray(),
        ]
        balance = Balance.of(np.vstack(terms), proposal.price)
        exact = self._exact_multipliers(proposal.places, held, of_rows[held], balance)
        if exact is None:
            return None
        count = len(proposal.places)
        by_row = dict(zip(held.tolist(), exact[count:], strict=False))
        return self.prove(dict(zip(proposal.places, exact[:count], strict=True)), by_row)

    def prove(
        self, members: Mapping[Place, Fraction], of_rows: Mapping[int, Fraction] | None = None
    ) -> Conflict | None:
        """Return the conflict if the weighted sum of signed pre-activations is nowhere positive, decided exactly.

        Suppose that the bits hold around a point of the domain. The sum is nowhere negative there, and at the point not
        positive: it is 0 there, and so is the affine function above it, which has a minimum there and is 0 everywhere.
        Where it is not, that is a contradiction. Where it is, each summand is 0 around the point; one that has
        a gradient is not.

        Parameters
        ----------
        of_rows
            Multipliers of the domain's rows, with the help of which the largest value is bounded; any would do.
        """
        if any(weight < 0 for weight in members.values()):
            return None
        total = self._sum({place: weight for place, weight in members.items() if weight})
        multipliers = [(of_rows or {}).get(row, Fraction(0)) for row in range(self.domain.rows.shape[0])]
        largest = exact_support(self.domain, total.gradient, multipliers)
        if largest is None:
            return None  # an empty domain proves everything, and is somebody else's business
        from_anchor = zip(total.gradient, self.anchor.tolist(), strict=True)
        if total.at_anchor + largest - sum((g * Fraction(at) for g, at in from_anchor), Fraction(0)) > 0:
            return None
        needed = self._needed(total)
        if total.vanishes and not self._hold_a_gradient(total, needed):
            return None
        return Conflict(
            {value: (np.flatnonzero(mask), self.bits[value][mask]) for value, mask in needed.items() if mask.any()}
        )

    def _sum(self, members: Mapping[Place, Fraction]) -> _Sum:
        at_anchor = Fraction(0)
        gradient = [Fraction(0)] * self.domain.size
        coefficients: dict[int, list[Fraction]] = {}
        for (value, entry), weight in members.items():
            signed = weight if self.bits[value][entry] else -weight
            operand = self.program.ops[value].operands[0]
            at_anchor += signed * self.values[operand].fraction(entry)
            gradient = _add(gradient, signed, self._row((value, entry)))
            for bit, readers in self.readers.items():
                for reader in readers or ():
                    adjoint = self._adjoints_of((value, entry)).get(reader)
                    if adjoint is not None:
                        before = coefficients.get(bit, [Fraction(0)] * self.program.ops[bit].size)
                        coefficients[bit] = _add(before, signed, adjoint.fractions())
        return _Sum(members, at_anchor, gradient, coefficients)

    def _needed(self, total: _Sum) -> dict[int, NDArray[np.bool_]]:
        """Return the bits without which the affine function is no upper bound of the sum.

        A neuron may be a summand, with weight w, and be read by others, with coefficient c. What both make of it,
        ``w s z + c a z``, is ``c a' z`` for an a' in [0, 1] if w <= -c, and then no bit is needed. For w = -c that a'
        is 1 minus the bit, so that where the sum vanishes the bit would not follow from it.
        """
        needed = {value: np.zeros(self.program.ops[value].size, bool) for value in self.relevant}
        ancestors = self._ancestors({self.program.ops[value].operands[0] for value, _ in total.members})
        for value, mask in needed.items():
            if value in ancestors and self.readers[value] is None:
                mask |= self.relevant[value]
            for entry, coefficient in enumerate(total.coefficients.get(value, ())):
                mask[entry] |= bool(coefficient > 0 and self.relevant[value][entry])
        for (value, entry), weight in total.members.items():
            coefficients = total.coefficients.get(value)
            both = weight + (coefficients[entry] if coefficients else 0)
            needed[value][entry] |= bool(both > 0 or (both == 0 and weight > 0 and total.vanishes))
        return needed

    def _hold_a_gradient(self, total: _Sum, needed: dict[int, NDArray[np.bool_]]) -> bool:
        """Add the bits that make sure that a summand has a gradient; return whether any has.

        Where the sum vanishes, so does each difference by which the affine function is above it: neurons with a
        coefficient other than 0 have their bits, or are 0. The others that a summand is computed from are named.
        """
        best: dict[int, NDArray[np.bool_]] | None = None
        for value, entry in total.members:
            if not any(self._row((value, entry))):
                continue
            further = {each: mask.copy() for each, mask in needed.items()}
            further[value][entry] = True
            for each, mask in self._read_by((value, entry)).items():
                known = np.array([bool(c) for c in total.coefficients.get(each, [Fraction(0)] * len(mask))])
                further[each] |= mask & ~known & self.relevant[each]
            if best is None or _count(further) < _count(best):
                best = further
        needed.update(best or {})
        return best is not None

    def _read_by(self, place: Place) -> dict[int, NDArray[np.bool_]]:
        """Return for each conditional the entries on which a pre-activation may depend."""
        value, entry = place
        masks = {each: np.zeros(op.size, bool) for each, op in enumerate(self.program.ops[: value + 1])}
        operand = self.program.ops[value].operands[0]
        masks[operand][entry] = True
        for each in range(operand, -1, -1):
            op, mask = self.program.ops[each], masks[each]
            if isinstance(op, Affine):
                for term in op.terms:
                    masks[term.operand] |= abs(term.matrix).T @ mask.astype(np.float64) > 0
            else:
                for read in op.operands:
                    masks[read] |= mask
        return {each: masks[each] for each in self.relevant if each < operand}

    def _ancestors(self, values: set[int]) -> set[int]:
        """Return values and all that they are computed from."""
        found = set(values)
        for value in range(max(found, default=-1), -1, -1):
            if value in found:
                found.update(self.program.ops[value].operands)
        return found

    def _adjoints_of(self, place: Place) -> dict[int, Dyadic]:
        """Return the derivatives of a pre-activation by every value, the bits held fixed."""
        if place not in self._adjoints:
            value, entry = place
            operand = self.program.ops[value].operands[0]
            unit = np.zeros(self.program.ops[operand].size)
            unit[entry] = 1.0
            self._adjoints[place] = self.exact.adjoints(self.values, {operand: Dyadic.of(unit)}, self.input)
        return self._adjoints[place]

    def _row(self, place: Place) -> list[Fraction]:
        """Return the gradient of a pre-activation by the input."""
        adjoint = self._adjoints_of(place).get(self.input)
        return [Fraction(0)] * self.domain.size if adjoint is None else adjoint.fractions()

    def _exact_multipliers(
        self, places: list[Place], held: NDArray[np.int64], of_rows: Floats, balance: Balance
    ) -> list[Fraction] | None:
        """Return rational multipliers of members and rows under which the gradients balance; `None` if not unique.

        Those of the members are nonnegative, those of the rows have the signs of the given ones.
        """
        columns = []
        for value, entry in places:
            row = self._row((value, entry))
            columns.append(row if self.bits[value][entry] else [-slope for slope in row])
        columns += [[-Fraction(slope) for slope in row] for row in self.domain.rows[held].toarray().tolist()]
        if balance.signs.any():
            columns.append([Fraction(-int(sign)) for sign in balance.signs])
        equations = [list(equation) for equation in zip(*columns, strict=True)]
        equations = [equations[k] for k in np.flatnonzero(balance.equations)]
        kernel = kernel_vector(independent(equations), len(columns), self.deadline)
        if kernel is None:
            return None
        if all(entry <= 0 for entry in kernel[: len(places)]):
            kernel = [-entry for entry in kernel]
        of_members, of_held = kernel[: len(places)], kernel[len(places) : len(places) + len(held)]
        turned = any(multiplier * Fraction(float(y)) < 0 for multiplier, y in zip(of_held, of_rows, strict=True))
        return None if turned or any(entry < 0 for entry in of_members) else of_members + of_held


def relu_readers(program: Program, value: int) -> list[int] | None:
    """Return the switches that read the bits of a conditional; `None` if it is not a ReLU's in all of them."""
    op = program.ops[value]
    assert isinstance(op, Conditional)
    readers = []
    for reader, other in enumerate(program.ops):
        if value in other.operands:
            if not (isinstance(other, Switch) and other.bit == value and other.operand == op.operand):
                return None
            readers.append(reader)
    return readers


def _add(before: list[Fraction], factor: Fraction, summand: list[Fraction]) -> list[Fraction]:
    return [b + factor * s for b, s in zip(before, summand, strict=True)]


def _count(masks: Mapping[int, NDArray[np.bool_]]) -> int:
    return sum(int(mask.sum()) for mask in masks.values())
