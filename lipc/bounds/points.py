"""Points of domains: one well inside, others by pulling points of the box towards it; exactly within where asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from scipy.linalg import qr
from scipy.sparse import block_array, csr_array

from lipc.bounds.constraints import Constraints
from lipc.bounds.domain import centered, crossed_box, tight_box
from lipc.bounds.lp import LinearProgram, LinearSolution, solve_linear_program
from lipc.bounds.membership import contains, exact_support
from lipc.bounds.rounding import UNIT
from lipc.ir import Floats, Interval, Polytope, identity

FLAT = 1e-9
"""A domain as thin as this part of its box counts as flat: what holds it there is taken for an equation."""

ROOMY = 1e-4
"""A point found by hand that is so far inside all rows, as a part of their ranges over the box, needs no program."""

GRIDS = (44, 36, 28, 20, 10)
"""Entries are put on grids of these powers of 1/2 of their size, so that equations between them hold exactly."""

PULLS = (0, 46, 40, 34, 28, 22, 16, 10, 5)
"""A point that rounding put outside is moved by these powers of 1/2 of the way inside; 0: not at all."""

MOST_ELIMINATION = 1_000_000
"""Equations squared times inputs up to which equations are solved in rational arithmetic."""


def sample(domain: Polytope, random: np.random.Generator, count: int) -> Floats:
    """Return points of a domain with finite bounds, shape ``(count, n)``, all within it up to rounding.

    Half of them are drawn from near its corners or its boundary. The same generator gives the same points.
    """
    return Inside(domain).sample(random, count)


@dataclass(eq=False)
class _Flat:
    """What holds a domain flat: entries of one value, rows that hold with equality at a side, a ball touched only."""

    fixed: dict[int, float] = field(default_factory=dict)
    rows: dict[int, float] = field(default_factory=dict)
    ball: bool = False

    def __len__(self) -> int:
        return len(self.fixed) + len(self.rows) + self.ball


class Inside:
    """A point in the (relative) interior of a domain, and what can be done with it.

    Attributes
    ----------
    point
        Shape ``(n,)``; of a domain that seems empty the point that violates least.
    slack
        How far inside it is, as a part of the width of each constraint; negative if the domain seems empty.
    empty
        Whether the domain is proven to be empty.
    flat
        What holds the domain flat, if it has no interior.
    """

    def __init__(self, domain: Polytope) -> None:
        self.domain = domain
        self.box = tight_box(domain)
        self.flat = _Flat()
        self.empty = crossed_box(domain)
        self.point, self.slack = self._by_hand(), 0.5
        if domain.rows.shape[0]:
            self.slack = self._row_margin(self.point)
            if self.slack < ROOMY:
                self.point, self.slack = self._by_programs()
        self._directions: Floats | None = None
        self._solved: tuple[list[int], list[dict[int, Fraction]], list[Fraction]] | None = None

    def _by_hand(self) -> Floats:
        """Return the middle of the box, or for a ball a point between its center and that middle."""
        middle = self.box.lower + 0.5 * (self.box.upper - self.box.lower)
        thin = np.flatnonzero(self.box.lower == self.box.upper).tolist()
        self.flat.fixed = {column: float(self.box.lower[column]) for column in thin}
        if self.domain.l1 is None:
            return middle
        center, radius = centered(self.domain.l1, self.box)
        self.empty = self.empty or radius < 0
        if (center != self.domain.l1.center).any():
            radius -= 4 * (self.domain.size + 4) * UNIT * self.domain.l1.radius  # it was rounded up
        way = float(np.abs(middle - center).sum())
        share = min(1.0, 0.5 * max(radius, 0.0) / way) if way else 1.0
        return self.domain.clip(center + share * (middle - center))

    def _row_margin(self, x: Floats) -> float:
        """Return how far inside all rows a point is, as a part of their ranges over the box."""
        domain = self.domain
        reach = abs(domain.rows) @ (self.box.upper - self.box.lower)
        values = domain.rows @ x
        room = np.minimum(values - domain.row_lower, domain.row_upper - values)
        return float((room / np.where(reach > 0, reach, 1.0)).min())

    def _by_programs(self) -> tuple[Floats, float]:
        """Return the point that is farthest from every side; again, with what leaves no room taken for equations."""
        domain, low, width = self.domain, self.box.lower, self.box.upper - self.box.lower
        self.flat.fixed = {column: float(low[column]) for column in np.flatnonzero(width == 0).tolist()}
        equations = np.flatnonzero(domain.row_lower == domain.row_upper).tolist()
        self.flat.rows = {row: float(domain.row_upper[row]) for row in equations}
        point, slack = low + 0.5 * width, -np.inf
        while True:
            program = _Margin(domain, self.box, self.flat)
            solution = program.solve()
            if solution is None:
                return domain.clip(point), slack
            point, slack = program.point(solution), solution.value
            if slack < 0:
                # The box proven is as good as the domain's own: the points of the domain all lie in it.
                within = replace(domain, lower=self.box.lower, upper=self.box.upper)
                self.empty = _is_proven_empty(within, program.multipliers(solution))
            if self.empty or abs(slack) > FLAT or not program.flatten(solution):
                return domain.clip(point), slack

    def pulled(self, targets: Floats, origin: Floats | None = None) -> Floats:
        """Return, for targets of shape ``(k, n)``, the largest part of the way to each that stays inside.

        Parameters
        ----------
        origin
            Shape ``(n,)``: a point of the domain from which the ways begin. Default: `point`.

        Returns
        -------
        array of shape ``(k,)``
            At most 1.
        """
        origin = self.point if origin is None else origin
        domain, steps = self.domain, targets - origin
        share = np.ones(len(targets))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for at, move, low, high in (
                (origin, steps, domain.lower, domain.upper),
                (domain.rows @ origin, (domain.rows @ steps.T).T, domain.row_lower, domain.row_upper),
            ):
                room = np.where(move > 0, np.maximum(high - at, 0.0), np.maximum(at - low, 0.0))
                limit = np.where(np.abs(move) > 0, room / np.abs(move), np.inf)
                share = np.minimum(share, limit.min(axis=1, initial=np.inf))
            if domain.l1 is not None:
                # Convex: at a share s of the way the distance is at most (1 - s) times the first plus s times the last.
                first = np.abs(origin - domain.l1.center).sum()
                last = np.abs(targets - domain.l1.center).sum(axis=1)
                limit = np.where(last > domain.l1.radius, (domain.l1.radius - first) / (last - first), np.inf)
                share = np.minimum(share, np.maximum(limit, 0.0))
        return share

    def sample(self, random: np.random.Generator, count: int) -> Floats:
        """Return points as `sample` does."""
        domain, box = self.domain, self.box
        share = random.random((count, domain.size))
        share[: count // 2] = np.round(share[: count // 2]) * (1 - 2e-6) + 1e-6
        targets = domain.clip(box.lower + share * (box.upper - box.lower))
        if domain.is_box:
            return targets
        steps = targets - self.point
        if domain.l1 is not None:
            # A ball reaches far along few inputs only: most entries of a step go, for every number of entries left.
            left = domain.size ** random.random((count, 1))
            kept = random.random((count, domain.size)) * domain.size < left
            kept[np.arange(count), random.integers(0, domain.size, count)] = True
            steps = np.where(kept, steps, 0.0)
        if len(self.flat):
            directions = self._free_directions()
            steps = steps @ directions @ directions.T
        part = self.pulled(self.point + steps)
        part[: count // 2] *= 1 - 1e-6
        part[count // 2 :] *= random.random(count - count // 2)
        return domain.clip(self.point + part[:, None] * steps)

    def _free_directions(self) -> Floats:
        """Return an orthonormal basis, shape ``(n, k)``, of the directions in which a flat domain extends."""
        if self._directions is None:
            free = np.array([column not in self.flat.fixed for column in range(self.domain.size)])
            rows = self.domain.rows[sorted(self.flat.rows)].toarray()[:, free]
            basis = np.eye(int(free.sum()))
            if len(rows):
                orthonormal, triangle, _ = qr(rows.T, pivoting=True)
                diagonal = np.abs(np.diag(triangle))
                rank = int((diagonal > 1e-10 * diagonal.max(initial=0.0)).sum())
                basis = orthonormal[:, rank:]
            self._directions = np.zeros((self.domain.size, basis.shape[1]))
            self._directions[free] = basis
        return self._directions

    def settle(self, x: Floats) -> Floats | None:
        """Return a point of shape ``(n,)`` near another one, exactly within the domain; `None` if none is found."""
        domain = self.domain
        x = domain.clip(np.asarray(x, np.float64).reshape(-1))
        if contains(domain, x):
            return x
        if domain.is_box:
            return None
        for power in PULLS:
            moved = x if power == 0 else domain.clip(x + 2.0**-power * (self.point - x))
            tried = self._on_equations(moved) if self.flat.rows else [moved]
            for point in tried:
                if contains(domain, point):
                    return point
        return None

    def _on_equations(self, x: Floats) -> list[Floats]:
        """Return points near one at which the equations of a flat domain hold exactly, the nearest first.

        The entries solved for are exact only if the others have few digits: they are put on a grid, finer or coarser.
        """
        pivots, rows, sides = self._echelon()
        if not pivots:
            return []
        points = []
        for power in GRIDS:
            unit = 2.0 ** (np.floor(np.log2(max(float(np.abs(x).max()), 1e-300))) - power)
            point = np.round(x / unit) * unit
            fixed = list(self.flat.fixed)
            point[fixed] = [self.flat.fixed[column] for column in fixed]
            point = self.domain.clip(point)
            for pivot, row, side in zip(pivots, rows, sides, strict=True):
                rest = sum((slope * Fraction(float(point[column])) for column, slope in row.items()), Fraction(0))
                point[pivot] = float(side - rest)
            points.append(point)
        return points

    def _echelon(self) -> tuple[list[int], list[dict[int, Fraction]], list[Fraction]]:
        """Return, for each equation, the entry it is solved for, its other slopes and its side: reduced, exactly.

        Entries are chosen where there is most room to both bounds.
        """
        if self._solved is not None:
            return self._solved
        self._solved = ([], [], [])
        if len(self.flat.rows) ** 2 * self.domain.size > MOST_ELIMINATION:
            return self._solved
        room = np.minimum(self.point - self.domain.lower, self.domain.upper - self.point)
        done: list[tuple[int, dict[int, Fraction], Fraction]] = []
        for number, limit in self.flat.rows.items():
            part = slice(self.domain.rows.indptr[number], self.domain.rows.indptr[number + 1])
            entries = zip(self.domain.rows.indices[part].tolist(), self.domain.rows.data[part].tolist(), strict=True)
            row = {column: Fraction(slope) for column, slope in entries}
            side = Fraction(limit)
            for pivot, other, other_side in done:
                row, side = _eliminated(row, side, pivot, other, other_side)
            free = [column for column in row if column not in self.flat.fixed]
            if not free:
                continue
            pivot = max(free, key=lambda column: float(room[column]) * min(1.0, abs(float(row[column]))))
            lead = row.pop(pivot)
            row, side = {column: slope / lead for column, slope in row.items()}, side / lead
            done = [(p, *_eliminated(r, s, pivot, row, side)) for p, r, s in done] + [(pivot, row, side)]
        self._solved = ([p for p, _, _ in done], [r for _, r, _ in done], [s for _, _, s in done])
        return self._solved


def _eliminated(
    row: dict[int, Fraction], side: Fraction, pivot: int, other: dict[int, Fraction], other_side: Fraction
) -> tuple[dict[int, Fraction], Fraction]:
    """Return a row with ``x[pivot] = other_side - other x`` put in."""
    factor = row.get(pivot)
    if not factor:
        return row, side
    left = {column: slope for column, slope in row.items() if column != pivot}
    for column, slope in other.items():
        left[column] = left.get(column, Fraction(0)) - factor * slope
    return {column: slope for column, slope in left.items() if slope}, side - factor * other_side


class _Margin:
    """The linear program for the point farthest from all sides: maximize t, each side being t times its width away.

    Columns: z in [0, 1], ``x = start + width z``; with a ball the distances from its center, in radii; and t.
    """

    def __init__(self, domain: Polytope, box: Interval, flat: _Flat) -> None:
        self.domain, self.box, self.flat = domain, box, flat
        self.start, self.width = box.lower.copy(), box.upper - box.lower
        for column, value in flat.fixed.items():
            self.start[column], self.width[column] = value, 0.0
        self.constraints = Constraints.of(domain, self.start, self.width, flat.rows)

    def solve(self) -> LinearSolution | None:
        """Return the solution of HiGHS."""
        size, constraints = self.domain.size, self.constraints
        margins = np.zeros(len(constraints.sides))
        rows = np.concatenate([constraints.lower_rows, constraints.upper_rows]).tolist()
        margins[: len(rows)] = [float(row not in self.flat.rows) for row in rows]
        if self.domain.l1 is not None:
            margins[-1] = float(not self.flat.ball)
        columns = constraints.matrix.shape[1]
        box = identity(columns)[:size]
        blocks = [
            [constraints.matrix, csr_array(-margins[:, None])],
            [box, csr_array(-np.ones((size, 1)))],
            [-box, csr_array(-np.ones((size, 1)))],
        ]
        return solve_linear_program(
            LinearProgram(
                cost=np.append(np.zeros(columns), 1.0),
                matrix=csr_array(block_array(blocks, format="csr")),
                row_lower=np.concatenate([constraints.sides, np.zeros(size), -np.ones(size)]),
                lower=np.full(columns + 1, -np.inf),
                upper=np.append(np.full(columns, np.inf), 0.5),
            )
        )

    def point(self, solution: LinearSolution) -> Floats:
        """Return the point x of a solution."""
        return self.start + self.width * np.clip(solution.point[: self.domain.size], 0.0, 1.0)

    def multipliers(self, solution: LinearSolution) -> Floats:
        """Return a multiplier for each row of the domain, positive for its upper side."""
        return self.constraints.multipliers(solution.multipliers)

    def flatten(self, solution: LinearSolution) -> bool:
        """Take for equations what has a multiplier where nothing has room; return whether there is anything new.

        The multipliers add up to 1: by complementary slackness what has one holds with equality everywhere.
        """
        known = len(self.flat)
        held = solution.multipliers > FLAT
        constraints, size = self.constraints, self.domain.size
        lower, upper, count = len(constraints.lower_rows), len(constraints.upper_rows), len(constraints.sides)
        for rows, limits, chosen in (
            (constraints.lower_rows, self.domain.row_lower, held[:lower]),
            (constraints.upper_rows, self.domain.row_upper, held[lower : lower + upper]),
        ):
            new = set(rows[chosen].tolist()) - set(self.flat.rows)
            self.flat.rows.update({row: float(limits[row]) for row in sorted(new)})
        for bounds, first in ((self.box.lower, count), (self.box.upper, count + size)):
            columns = np.flatnonzero(held[first : first + size]).tolist()
            self.flat.fixed.update({k: float(bounds[k]) for k in columns if k not in self.flat.fixed})
        self.flat.ball = self.flat.ball or bool(self.domain.l1 is not None and held[count - 1])
        return len(self.flat) > known


def _is_proven_empty(domain: Polytope, multipliers: Floats) -> bool:
    """Return whether multipliers prove a domain empty: they bound 0 from above by less than 0 (Farkas), exactly."""
    exact = [Fraction(float(multiplier)) for multiplier in multipliers]
    bound = exact_support(domain, [Fraction(0)] * domain.size, exact)
    return bound is None or bound < 0
