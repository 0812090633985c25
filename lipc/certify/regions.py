"""Regions of activation patterns: their widest points, or proofs that they have no interior.

Only patterns whose region has an interior count: the chain rule is the generalized Jacobian for networks in general
position (Jordan & Dimakis 2020, Theorem 2), and a pattern that holds on a thin set only may have a larger "gradient"
than the function has anywhere. Linear programs propose; what is proven is proven in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from lipc.bounds.lp import LinearProgram, solve_linear_program
from lipc.certify.witness import Bits, exact_norm, reach_of
from lipc.ir import Conditional, Floats, Norm, Program, evaluate, pullback, pushforward
from lipc.ir.exact import Dyadic, ExactInterpreter, round_up

NEGLIGIBLE = 1e-11
"""A derivative this much smaller than the sum of the absolute products behind it is taken for 0 in a proposal."""


@dataclass(frozen=True, eq=False)
class Conflict:
    """Bits that cannot hold together on any open set: for each conditional named, entries and their bits."""

    bits: Mapping[int, tuple[NDArray[np.int64], NDArray[np.bool_]]]


@dataclass(frozen=True, eq=False)
class Region:
    """What is known of the region of a pattern.

    Parameters
    ----------
    point
        Its widest point, by floating point; `None` if it seems to have no interior.
    conflict
        A proof that it has none; `None` if there is no proof.
    """

    point: Floats | None
    conflict: Conflict | None = None


class Regions:
    """Regions of activation patterns of one network: their widest points, or proofs that they have no interior.

    Parameters
    ----------
    program
        A network of one input.
    deadline
        The time of `time.monotonic` after which nothing is found or proven any more.
    relevant
        For each conditional, which of its bits matter to the result and are not decided by bounds, shape ``(n,)``;
        the others make no halfspace. Default: all.
    """

    def __init__(self, program: Program, relevant: Bits | None = None, *, deadline: float = np.inf) -> None:
        self.program = program
        self.deadline = deadline
        self.input, self.domain = program.network_input()
        self.conditionals = list(program.find(Conditional))
        self.relevant = relevant or {value: np.ones(program.ops[value].size, bool) for value in self.conditionals}
        self.exact = ExactInterpreter(program)

    def widest(self, bits: Bits, *, prove: bool = False) -> Region:
        """Find the widest interior point of a pattern's region by one linear program.

        Maximize t such that every pre-activation is on its side of 0 by t times the norm of its gradient.

        Parameters
        ----------
        prove
            If there seems to be none, look for a proof.
        """
        rows, offsets, places = self._halfspaces(bits)
        scale = np.abs(rows).sum(axis=1)
        # A row without a gradient holds everywhere or nowhere; the exact check of the point decides.
        slanted = scale > 0
        wrong = np.flatnonzero(~slanted & (offsets < 0))
        if len(wrong) and not prove:
            return Region(None)
        for row in wrong.tolist():
            # Where the constant is wrong by rounding alone nothing is proven, and the other rows decide.
            proof = self._prove(bits, places, [(row, Fraction(1))])
            if proof is not None:
                return Region(None, proof)
        used = np.flatnonzero(slanted)
        size = self.domain.size
        matrix = np.hstack([rows[used] / scale[used, None], -np.ones((len(used), 1))])
        limits = -offsets[used] / scale[used]
        dense = self.domain.rows.toarray()
        domain_rows = np.hstack([np.vstack([dense, -dense]), np.zeros((2 * len(dense), 1))])
        domain_limits = np.concatenate([self.domain.row_lower, -self.domain.row_upper])
        finite = np.isfinite(domain_limits)
        solution = solve_linear_program(
            LinearProgram(
                cost=np.append(np.zeros(size), 1.0),
                matrix=np.vstack([matrix, domain_rows[finite]]),
                row_lower=np.concatenate([limits, domain_limits[finite]]),
                lower=np.append(self.domain.lower, -np.inf),
                upper=np.append(self.domain.upper, 1.0),
            ),
            self.deadline - monotonic(),
        )
        if solution is None:
            return Region(None)
        if solution.value > 0:
            return Region(self.domain.clip(solution.point[:-1]))
        if not prove:
            return Region(None)
        weights = solution.multipliers[: len(used)] / scale[used]
        return Region(None, self._conflict(bits, places, used, weights))

    def norm_bound(self, bits: Bits, norm: Norm) -> float:
        """Return a float at or above the norm of the Jacobian that the chain rule gives for a pattern."""
        anchor = self.domain.clip(np.zeros(self.domain.size))
        values = self.exact.evaluate(anchor, {value: bits[value] for value in self.conditionals})
        result = self.program.result
        gradients = [
            self.exact.pullback(values, {result: Dyadic.of(unit)}, self.input)
            for unit in np.eye(self.program.ops[result].size)
        ]
        return round_up(max(exact_norm(gradient, norm) for gradient in gradients))

    def _halfspaces(self, bits: Bits) -> tuple[Floats, Floats, list[tuple[int, int]]]:
        """Return rows g, offsets h and places: ``g @ x + h > 0`` on the region, one for each relevant neuron."""
        center = self.domain.clip(np.zeros(self.domain.size))
        choices: dict[int, Floats] = {self.input: center[None, :]}
        choices.update({value: bits[value].astype(np.float64)[None, :] for value in self.conditionals})
        values = evaluate(self.program, choices)
        slopes = self._slopes(values)
        reach = reach_of(self.program, bits, self.input)
        places: list[tuple[int, int]] = []
        rows: list[Floats] = [np.zeros((0, self.domain.size))]
        offsets: list[Floats] = [np.zeros(0)]
        for value in self.conditionals:
            operand = self.program.ops[value].operands[0]
            chosen = np.flatnonzero(self.relevant[value])
            sign = np.where(bits[value][chosen], 1.0, -1.0)
            slope = slopes[value]
            if operand in reach:
                slope[np.abs(slope).sum(axis=1) <= NEGLIGIBLE * reach[operand][chosen]] = 0.0
            rows.append(sign[:, None] * slope)
            offsets.append(sign * (values[operand][0][chosen] - slope @ center))
            places.extend((value, entry) for entry in chosen.tolist())
        return np.vstack(rows), np.concatenate(offsets), places

    def _slopes(self, values: list[Floats]) -> dict[int, Floats]:
        """Return the gradients of the relevant pre-activations of each conditional, shape ``(k, n)``.

        Forward or in reverse, by which has fewer directions.
        """
        chosen = {value: np.flatnonzero(self.relevant[value]) for value in self.conditionals}
        operands = {value: self.program.ops[value].operands[0] for value in self.conditionals}
        size = self.domain.size
        if size < sum(map(len, chosen.values())):
            pushed = pushforward(self.program, values, np.eye(size), self.input)
            return {
                value: pushed[operands[value]].T[rows] if operands[value] in pushed else np.zeros((len(rows), size))
                for value, rows in chosen.items()
            }
        slopes: dict[int, Floats] = {}
        for value, rows in chosen.items():
            units = np.zeros((len(rows), self.program.ops[value].size))
            units[np.arange(len(rows)), rows] = 1.0
            slopes[value] = pullback(self.program, values, units, self.input, of=operands[value])
        return slopes

    def _conflict(
        self, bits: Bits, places: list[tuple[int, int]], used: NDArray[np.int64], weights: Floats
    ) -> Conflict | None:
        """Return a proof from the multipliers of the linear program: as they are, or made exact."""
        largest = weights.max(initial=0.0)
        support = np.flatnonzero(weights > 1e-9 * largest)
        if not len(support):
            return None
        chosen = [(int(used[k]), Fraction(float(weights[k]))) for k in support]
        proof = self._prove(bits, places, chosen)
        if proof is None and len(support) <= self.domain.size + 1:
            exact = self._exact_multipliers(bits, [places[row] for row, _ in chosen])
            if exact is not None:
                proof = self._prove(bits, places, [(row, w) for (row, _), w in zip(chosen, exact, strict=True)])
        return proof

    def _prove(self, bits: Bits, places: list[tuple[int, int]], weights: list[tuple[int, Fraction]]) -> Conflict | None:
        """Return the conflict if the weighted sum of signed pre-activations is nowhere positive, decided exactly.

        On an interior point of the region every summand with a gradient is positive, so the sum would be.
        """
        members = [places[row] for row, _ in weights]
        if self.domain.rows.shape[0] or any(weight < 0 for _, weight in weights):
            return None
        anchor = self.domain.clip(np.zeros(self.domain.size))
        values = self.exact.evaluate(anchor, {value: bits[value] for value in self.conditionals})
        total = Fraction(0)
        gradient = [Fraction(0)] * self.domain.size
        for (value, entry), (_, weight) in zip(members, weights, strict=True):
            signed = weight if bits[value][entry] else -weight
            operand = self.program.ops[value].operands[0]
            total += signed * values[operand].fraction(entry)
            row = self._row(values, operand, entry)
            if len(weights) > 1 and not any(row):
                return None
            gradient = [g + signed * r for g, r in zip(gradient, row, strict=True)]
        for slope, at, low, high in zip(gradient, anchor, self.domain.lower, self.domain.upper, strict=True):
            total += slope * ((Fraction(high) if slope > 0 else Fraction(low)) - Fraction(at))
        # With a single row without gradient the sum is its constant: it must be on the wrong side, not 0.
        if total > 0 or (total == 0 and not any(gradient) and len(weights) == 1):
            return None
        return self._with_ancestors(bits, members)

    def _row(self, values: list[Dyadic], operand: int, entry: int) -> list[Fraction]:
        unit = np.zeros(self.program.ops[operand].size)
        unit[entry] = 1.0
        return self.exact.pullback(values, {operand: Dyadic.of(unit)}, self.input).fractions()

    def _exact_multipliers(self, bits: Bits, members: list[tuple[int, int]]) -> list[Fraction] | None:
        """Return positive rational multipliers under which the signed gradients cancel; `None` if not unique."""
        anchor = self.domain.clip(np.zeros(self.domain.size))
        values = self.exact.evaluate(anchor, {value: bits[value] for value in self.conditionals})
        columns = []
        for value, entry in members:
            row = self._row(values, self.program.ops[value].operands[0], entry)
            columns.append(row if bits[value][entry] else [-slope for slope in row])
        equations = [list(equation) for equation in zip(*columns, strict=True)]
        kernel = _kernel_vector(self._independent(equations), len(members), self.deadline)
        if kernel is None:
            return None
        if all(entry <= 0 for entry in kernel):
            kernel = [-entry for entry in kernel]
        return kernel if all(entry >= 0 for entry in kernel) else None

    def _independent(self, equations: list[list[Fraction]]) -> list[list[Fraction]]:
        """Return as many equations as there are unknowns, the most independent ones by a pivoted QR in floats.

        Leaving some out cannot make a wrong proof: whatever comes of it is checked.
        """
        unknowns = len(equations[0]) if equations else 0
        if len(equations) <= unknowns:
            return equations
        numbers = np.array([[float(entry) for entry in equation] for equation in equations])
        _, _, order = qr(numbers.T, mode="economic", pivoting=True)
        return [equations[row] for row in order[:unknowns]]

    def _with_ancestors(self, bits: Bits, members: list[tuple[int, int]]) -> Conflict:
        """Return the members' bits and all bits that their pre-activations are computed from."""
        masks = {value: np.zeros(len(bits[value]), bool) for value in self.conditionals}
        needed: set[int] = set()
        for value, entry in members:
            masks[value][entry] = True
            needed.add(self.program.ops[value].operands[0])
        for value in range(max(needed), -1, -1):
            if value in needed:
                op = self.program.ops[value]
                needed.update(op.operands)
                if isinstance(op, Conditional):
                    masks[value] |= self.relevant[value]
        return Conflict(
            {value: (np.flatnonzero(mask), bits[value][mask]) for value, mask in masks.items() if mask.any()}
        )


def _kernel_vector(equations: list[list[Fraction]], unknowns: int, deadline: float) -> list[Fraction] | None:
    """Return a vector that spans the kernel of a rational matrix; `None` if that is not a line, or too late."""
    pivots: list[int] = []
    rows = [row for row in equations if any(row)]
    for column in range(unknowns):
        if monotonic() > deadline:
            return None
        rank = len(pivots)
        found = next((k for k in range(rank, len(rows)) if rows[k][column]), None)
        if found is None:
            continue
        rows[rank], rows[found] = rows[found], rows[rank]
        lead = rows[rank][column]
        rows[rank] = [entry / lead for entry in rows[rank]]
        for k, row in enumerate(rows):
            if k != rank and row[column]:
                factor = row[column]
                rows[k] = [a - factor * b for a, b in zip(row, rows[rank], strict=True)]
        pivots.append(column)
    free = [column for column in range(unknowns) if column not in pivots]
    if len(free) != 1:
        return None
    vector = [Fraction(0)] * unknowns
    vector[free[0]] = Fraction(1)
    for rank, column in enumerate(pivots):
        vector[column] = -rows[rank][free[0]]
    return vector
