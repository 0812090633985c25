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
from scipy.sparse import block_array, csr_array, hstack

from lipc.bounds.constraints import Constraints
from lipc.bounds.domain import tight_box
from lipc.bounds.lp import LinearProgram, LinearSolution, solve_linear_program
from lipc.bounds.membership import exact_support
from lipc.certify.multipliers import Balance, independent, kernel_vector
from lipc.certify.witness import Bits, jacobian_bound, reach_of
from lipc.ir import Conditional, Floats, Matrix, Norm, Program, evaluate, pullback, pushforward
from lipc.ir.exact import Dyadic, ExactInterpreter

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
        box, plain = tight_box(self.domain), self.domain.is_box
        self.start: Floats = np.zeros(self.domain.size) if plain else box.lower
        self.width: Floats = np.ones(self.domain.size) if plain else box.upper - box.lower
        cube = np.zeros(self.domain.size), np.ones(self.domain.size)
        self.unit = (box.lower, box.upper) if plain else cube
        self.constraints = Constraints.of(self.domain, self.start, self.width)

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
        solution = self._program(rows[used] / scale[used, None], offsets[used] / scale[used], None)
        if solution is None:
            return Region(None)
        if solution.value > 0:
            return Region(self._point(solution))
        if not prove:
            return Region(None)
        return Region(None, self._conflict(bits, places, used, rows, scale, solution))

    def steepest(self, bits: Bits, gradient: Floats) -> Floats | None:
        """Return the point of the closure of a pattern's region where ``gradient @ x`` is largest, by floating point.

        Returns
        -------
        array of shape ``(n,)`` or None
            `None` if the region seems empty.
        """
        rows, offsets, _ = self._halfspaces(bits)
        scale = np.abs(rows).sum(axis=1)
        used = np.flatnonzero(scale > 0)
        solution = self._program(rows[used] / scale[used, None], offsets[used] / scale[used], gradient)
        return None if solution is None else self._point(solution)

    def _program(self, rows: Floats, offsets: Floats, gradient: Floats | None) -> LinearSolution | None:
        """Solve over the domain: ``rows @ x + offsets >= 0`` by as much as possible, or a gradient over that.

        Columns: the point, for a domain with more than bounds in a box of its own as the unit cube; with a ball the
        distances from its center; the margin, if no gradient is given.
        """
        constraints, size = self.constraints, self.domain.size
        rows, offsets = rows * self.width, offsets + rows @ self.start
        scale = np.ones(len(rows))
        if not self.domain.is_box:
            reach = np.abs(rows).sum(axis=1)
            scale = np.where(reach > 0, reach, 1.0)
        columns = constraints.matrix.shape[1]
        cost = np.zeros(columns)
        lower, upper = np.full(columns, -np.inf), np.full(columns, np.inf)
        lower[:size], upper[:size] = self.unit
        if gradient is not None:
            cost[:size] = gradient * self.width
            largest = np.abs(cost).max(initial=0.0)
            cost /= largest if largest > 0 else 1.0
        else:
            cost, lower, upper = np.append(cost, 1.0), np.append(lower, -np.inf), np.append(upper, 1.0)
        solution = solve_linear_program(
            LinearProgram(
                cost=cost,
                matrix=self._matrix(rows / scale[:, None], margin=gradient is None),
                row_lower=np.concatenate([-offsets / scale, constraints.sides]),
                lower=lower,
                upper=upper,
            ),
            self.deadline - monotonic(),
        )
        if solution is None:
            return None
        solution.multipliers[: len(rows)] /= scale
        return solution

    def _matrix(self, rows: Floats, *, margin: bool) -> Matrix:
        """Return the rows of a region above those of the domain, with a column for the margin if there is one.

        Over a box they are dense, as made: sparse ones take longer to build than HiGHS saves by them.
        """
        ones = np.ones((len(rows), 1))
        if self.domain.is_box:
            return np.hstack([rows, -ones]) if margin else rows
        further = self.constraints.matrix.shape[1] - rows.shape[1]
        above = hstack([csr_array(rows), csr_array((len(rows), further))], format="csr")
        if not margin:
            return csr_array(block_array([[above], [self.constraints.matrix]], format="csr"))
        below = [self.constraints.matrix, csr_array((len(self.constraints.sides), 1))]
        return csr_array(block_array([[above, csr_array(-ones)], below], format="csr"))

    def _point(self, solution: LinearSolution) -> Floats:
        """Return the point of a solution, in the box; it may lie outside rows and ball by the solver's tolerance."""
        return self.domain.clip(self.start + self.width * solution.point[: self.domain.size])

    def norm_bound(self, bits: Bits, norm: Norm, output_norm: Norm = Norm.LINF) -> float:
        """Return a float at or above the norm of the Jacobian that the chain rule gives for a pattern."""
        anchor = self.domain.clip(np.zeros(self.domain.size))
        values = self.exact.evaluate(anchor, {value: bits[value] for value in self.conditionals})
        result = self.program.result
        gradients = [
            self.exact.pullback(values, {result: Dyadic.of(unit)}, self.input)
            for unit in np.eye(self.program.ops[result].size)
        ]
        return jacobian_bound(gradients, norm, output_norm)

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
        self,
        bits: Bits,
        places: list[tuple[int, int]],
        used: NDArray[np.int64],
        rows: Floats,
        scale: Floats,
        solution: LinearSolution,
    ) -> Conflict | None:
        """Return a proof from the multipliers of the linear program: as they are, or made exact."""
        weights = solution.multipliers[: len(used)] / scale[used]
        largest = weights.max(initial=0.0)
        support = np.flatnonzero(weights > 1e-9 * largest)
        if not len(support):
            return None
        members = [int(used[k]) for k in support]
        chosen = [(row, Fraction(float(weight))) for row, weight in zip(members, weights[support], strict=True)]
        duals = solution.multipliers[len(used) :]
        of_rows = self.constraints.multipliers(duals)
        by_row = {row: Fraction(float(of_rows[row])) for row in np.flatnonzero(of_rows).tolist()}
        proof = self._prove(bits, places, chosen, by_row)
        if proof is not None:
            return proof
        held = np.flatnonzero(np.abs(of_rows) > 1e-9 * np.abs(of_rows).max(initial=0.0))
        if len(support) + len(held) > self.domain.size + 2:
            return None
        terms = np.vstack(
            [weights[support, None] * rows[members], -of_rows[held, None] * self.domain.rows[held].toarray()]
        )
        balance = Balance.of(terms, self.constraints.ball_multiplier(duals))
        exact = self._exact_multipliers(bits, [places[row] for row in members], held, of_rows[held], balance)
        if exact is None:
            return None
        by_row = dict(zip(held.tolist(), exact[len(members) :], strict=False))
        return self._prove(bits, places, list(zip(members, exact, strict=False)), by_row)

    def _prove(
        self,
        bits: Bits,
        places: list[tuple[int, int]],
        weights: list[tuple[int, Fraction]],
        of_rows: Mapping[int, Fraction] | None = None,
    ) -> Conflict | None:
        """Return the conflict if the weighted sum of signed pre-activations is nowhere positive, decided exactly.

        On an interior point of the region every summand with a gradient is positive, so the sum would be. The largest
        value of the sum over the domain is bounded with the help of multipliers of the domain's rows; any would do.
        """
        members = [places[row] for row, _ in weights]
        if any(weight < 0 for _, weight in weights):
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
        multipliers = [(of_rows or {}).get(row, Fraction(0)) for row in range(self.domain.rows.shape[0])]
        largest = exact_support(self.domain, gradient, multipliers)
        if largest is None:
            return None  # an empty domain proves everything, and is somebody else's business
        total += largest - sum((g * Fraction(at) for g, at in zip(gradient, anchor.tolist(), strict=True)), Fraction(0))
        # With a single row without gradient the sum is its constant: it must be on the wrong side, not 0.
        if total > 0 or (total == 0 and not any(gradient) and len(weights) == 1):
            return None
        return self._with_ancestors(bits, members)

    def _row(self, values: list[Dyadic], operand: int, entry: int) -> list[Fraction]:
        unit = np.zeros(self.program.ops[operand].size)
        unit[entry] = 1.0
        return self.exact.pullback(values, {operand: Dyadic.of(unit)}, self.input).fractions()

    def _exact_multipliers(
        self,
        bits: Bits,
        members: list[tuple[int, int]],
        held: NDArray[np.int64],
        of_rows: Floats,
        balance: Balance,
    ) -> list[Fraction] | None:
        """Return rational multipliers of members and rows under which the gradients balance; `None` if not unique.

        Those of the members are nonnegative, those of the rows have the signs of the given ones.
        """
        anchor = self.domain.clip(np.zeros(self.domain.size))
        values = self.exact.evaluate(anchor, {value: bits[value] for value in self.conditionals})
        columns = []
        for value, entry in members:
            row = self._row(values, self.program.ops[value].operands[0], entry)
            columns.append(row if bits[value][entry] else [-slope for slope in row])
        columns += [[-Fraction(slope) for slope in row] for row in self.domain.rows[held].toarray().tolist()]
        if balance.signs.any():
            columns.append([Fraction(-int(sign)) for sign in balance.signs])
        equations = [list(equation) for equation in zip(*columns, strict=True)]
        equations = [equations[k] for k in np.flatnonzero(balance.equations)]
        kernel = kernel_vector(independent(equations), len(columns), self.deadline)
        if kernel is None:
            return None
        if all(entry <= 0 for entry in kernel[: len(members)]):
            kernel = [-entry for entry in kernel]
        of_members, of_held = kernel[: len(members)], kernel[len(members) : len(members) + len(held)]
        turned = any(multiplier * Fraction(float(y)) < 0 for multiplier, y in zip(of_held, of_rows, strict=True))
        return None if turned or any(entry < 0 for entry in of_members) else of_members + of_held

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
