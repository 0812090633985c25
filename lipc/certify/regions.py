"""Regions of activation patterns: their widest points, or proofs that they have no interior.

Only patterns whose region has an interior count: the chain rule is the generalized Jacobian for networks in general
position (Jordan & Dimakis 2020, Theorem 2), and a pattern that holds on a thin set only may have a larger "gradient"
than the function has anywhere. Linear programs propose; what is proven is proven in exact arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from time import monotonic
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_array, csr_array, hstack

from lipc.bounds.constraints import Constraints
from lipc.bounds.domain import tight_box
from lipc.bounds.lp import LinearProgram, LinearSolution, solve_linear_program
from lipc.certify.refute import Conflict, Place, Proposal, Refuter
from lipc.certify.witness import Bits, jacobian_bound, reach_of
from lipc.ir import Conditional, Floats, Matrix, Norm, Program, evaluate, pullback, pushforward
from lipc.ir.exact import Dyadic, ExactInterpreter

NEGLIGIBLE = 1e-11
"""A derivative this much smaller than the sum of the absolute products behind it is taken for 0 in a proposal."""

FURTHER, LARGE = 8, 4096
"""Proofs of one kind that are looked for of one pattern; above so many entries of its half-spaces, only one."""


@dataclass(frozen=True, eq=False)
class Region:
    """What is known of the region of a pattern.

    Parameters
    ----------
    point
        Its widest point, by floating point; `None` if it seems to have no interior.
    conflicts
        Proofs that it has none, the one that names the fewest bits first.
    """

    point: Floats | None
    conflicts: tuple[Conflict, ...] = ()

    @property
    def conflict(self) -> Conflict | None:
        """The proof that names the fewest bits; `None` if there is no proof."""
        return self.conflicts[0] if self.conflicts else None


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
        wrong = [places[row] for row in np.flatnonzero(~slanted & (offsets < 0)).tolist()]
        if wrong and not prove:
            return Region(None)
        # Where the constant is wrong by rounding alone nothing is proven, and the other rows decide.
        refuter = Refuter(self.exact, self.relevant, bits, self.deadline) if wrong else None
        proofs = [refuter.prove({place: Fraction(1)}) for place in wrong] if refuter else []
        if any(proofs):
            return Region(None, _ordered(proofs))
        used = np.flatnonzero(slanted)
        sides = Halfspaces(
            rows[used] / scale[used, None], offsets[used] / scale[used], scale[used], [places[k] for k in used]
        )
        solution = self._program(sides.rows, sides.offsets, None)
        if solution is None:
            return Region(None)
        if solution.value > 0:
            return Region(self._point(solution))
        if not prove:
            return Region(None)
        refuter = refuter or Refuter(self.exact, self.relevant, bits, self.deadline)
        return Region(None, _ordered(self._conflicts(refuter, sides, solution)))

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

    def _conflicts(self, refuter: Refuter, sides: Halfspaces, whole: LinearSolution) -> list[Conflict | None]:
        """Return proofs that rest on as few and as early neurons as linear programs find.

        The bits of a late neuron's ancestors are needed too. So the first layers that leave no interior together are
        looked for, then single neurons of the last of these.
        """
        found: list[Conflict | None] = []
        order = np.array([value for value, _ in sides.places])
        before = None
        for value in self.conditionals:
            if value not in order:
                continue
            upto = sides.only(np.flatnonzero(order <= value))
            solution = self._program(upto.rows, upto.offsets, None) if value < order[-1] else whole
            if solution is None:
                return found
            if solution.value > 0:
                before = solution
                continue
            if before is not None:
                found += self._single(refuter, sides, order, value, before)
            if not any(found):
                found += self._several(refuter, upto, solution)
            break
        return found

    def _single(
        self, refuter: Refuter, sides: Halfspaces, order: NDArray[np.int64], value: int, before: LinearSolution
    ) -> list[Conflict | None]:
        """Return proofs that rest on one neuron of a layer and on layers before."""
        heights = sides.rows @ self._point(before) + sides.offsets
        found = []
        for neuron in np.flatnonzero((order == value) & (heights <= 0))[: _further(sides)].tolist():
            part = sides.only(np.append(np.flatnonzero(order < value), neuron))
            solution = self._program(part.rows, part.offsets, None)
            if solution is not None and solution.value <= 0:
                found.append(self._refuted(refuter, part, solution))
        return found

    def _several(self, refuter: Refuter, sides: Halfspaces, solution: LinearSolution) -> list[Conflict | None]:
        """Return proofs from half-spaces without interior: one, then one without its heaviest member, and so on."""
        found = []
        for _ in range(_further(sides)):
            found.append(self._refuted(refuter, sides, solution))
            if found[-1] is None:
                break
            weights = solution.multipliers[: len(sides.places)]
            sides = sides.only(np.delete(np.arange(len(weights)), int(weights.argmax())))
            further = self._program(sides.rows, sides.offsets, None)
            if further is None or further.value > 0:
                break
            solution = further
        return found

    def _refuted(self, refuter: Refuter, sides: Halfspaces, solution: LinearSolution) -> Conflict | None:
        """Return the proof that the multipliers of a linear program make."""
        weights = solution.multipliers[: len(sides.places)]
        support = np.flatnonzero(weights > 1e-9 * weights.max(initial=0.0))
        if not len(support):
            return None
        duals = solution.multipliers[len(weights) :]
        return refuter.refute(
            Proposal(
                [sides.places[k] for k in support],
                weights[support] / sides.scale[support],
                sides.rows[support] * sides.scale[support, None],
                self.constraints.multipliers(duals),
                self.constraints.ball_multiplier(duals),
            )
        )


class Halfspaces(NamedTuple):
    """``rows @ x + offsets > 0`` on the region of a pattern, in l_1 of length 1 by scale, and of which neurons."""

    rows: Floats
    offsets: Floats
    scale: Floats
    places: list[Place]

    def only(self, chosen: NDArray[np.int64]) -> Halfspaces:
        """Return some of them."""
        places = [self.places[k] for k in chosen.tolist()]
        return Halfspaces(self.rows[chosen], self.offsets[chosen], self.scale[chosen], places)


def _further(sides: Halfspaces) -> int:
    return FURTHER if sides.rows.size <= LARGE else 1


def _ordered(found: list[Conflict | None]) -> tuple[Conflict, ...]:
    return tuple(sorted((proof for proof in found if proof is not None), key=lambda proof: proof.size))
