"""The linear relaxation of a program, and bounds that its multipliers prove.

Every row holds at every point of the program exactly as it is written: an affine value with its own weights, a switch
by the rows that lowering makes of it (`lipc.mip.lower`). HiGHS proposes multipliers; the bound they prove is computed
here, rounding counted (Neumaier & Shcherbina, "Safe bounds in linear and mixed-integer linear programming", 2004). A
wrong answer of the solver costs tightness and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from lipc.bounds.engine import Engine
from lipc.bounds.interval import is_relu
from lipc.bounds.rounding import UNDERFLOW, UNIT, summands
from lipc.ir import Affine, Conditional, Floats, Input, Interval, Program, Switch

REFUTED = 1e-6
"""A claim of the solver this far, relatively, beyond what its multipliers prove is refuted."""


@dataclass(frozen=True)
class _SwitchRows:
    """The first of the rows that hold bounds of a switch's operand as coefficients.

    ``hi``: ``on <= u a``. ``lo``: ``z - on >= l (1 - a)``. Unless it is a relu, ``on_lo``: ``on >= l a``, and
    ``off_hi``: ``z - on <= u (1 - a)``.
    """

    bits: int
    hi: int
    lo: int
    on_lo: int = -1
    off_hi: int = -1


class Relaxation:
    """The linear relaxation of a program with bounds that may be tightened.

    Parameters
    ----------
    program
        Any program; its objective does not matter.
    bounds
        Proven bounds of all its values, finite.
    """

    def __init__(self, program: Program, bounds: Mapping[int, Interval]) -> None:
        self.program = program
        rows = _Rows(program, bounds)
        self.first = rows.first
        self.matrix = rows.matrix()
        self.row_lower, self.row_upper = rows.lower, rows.upper
        self.lower = np.concatenate([*(bounds[value].lower for value in range(len(program.ops))), rows.parts.lower])
        self.upper = np.concatenate([*(bounds[value].upper for value in range(len(program.ops))), rows.parts.upper])
        self.switches = rows.switches
        self.refuted = 0
        self._transposed = csr_array(self.matrix.T)
        self._sizes = abs(self._transposed)
        self._counts = summands(self._transposed)
        self.engine = Engine(self.matrix, self.row_lower, self.row_upper, self.lower, self.upper)

    def bounds_of(self, value: int) -> Interval:
        """Return the bounds of a value as they are now."""
        places = slice(self.first[value], self.first[value + 1])
        return Interval(self.lower[places].copy(), self.upper[places].copy())

    def tighten(self, value: int, known: Interval) -> None:
        """Take tighter bounds of a value: for its columns, and for rows that have them as coefficients."""
        start, old = self.first[value], self.bounds_of(value)
        for entry in np.flatnonzero((known.lower > old.lower) | (known.upper < old.upper)).tolist():
            self.lower[start + entry], self.upper[start + entry] = known.lower[entry], known.upper[entry]
            self.engine.set_column(start + entry, known.lower[entry], known.upper[entry])
            for switch, rows in self.switches.items():
                if self.program.ops[switch].operands[0] == value:
                    self._refresh(rows, entry, float(known.lower[entry]), float(known.upper[entry]))

    def _refresh(self, rows: _SwitchRows, entry: int, low: float, high: float) -> None:
        bit = rows.bits + entry
        self._set(rows.hi + entry, bit, -high, -np.inf, 0.0)
        self._set(rows.lo + entry, bit, low, low, np.inf)
        if rows.on_lo >= 0:
            self._set(rows.on_lo + entry, bit, -low, 0.0, np.inf)
            self._set(rows.off_hi + entry, bit, high, -np.inf, high)

    def _set(self, row: int, column: int, coefficient: float, lower: float, upper: float) -> None:
        by_row, by_column = (row, column), (column, row)
        for matrix, (major, minor), entry in (
            (self.matrix, by_row, coefficient),
            (self._transposed, by_column, coefficient),
            (self._sizes, by_column, abs(coefficient)),
        ):
            start, stop = matrix.indptr[major], matrix.indptr[major + 1]
            matrix.data[start + np.searchsorted(matrix.indices[start:stop], minor)] = entry
        self.row_lower[row], self.row_upper[row] = lower, upper
        self.engine.set_coefficient(row, column, coefficient, lower, upper)

    def extreme(self, value: int, entry: int, sign: int, seconds: float = np.inf) -> tuple[float, Floats | None]:
        """Return a proven bound of one entry: a lower one for `sign` 1, an upper one for -1; and the point proposed.

        Returns
        -------
        float, array or None
            The bound, never looser than the one there is. No point if the solver found none.
        """
        column = self.first[value] + entry
        known = self.lower[column] if sign > 0 else -self.upper[column]
        proposal = self.engine.minimize(column, sign, seconds)
        if proposal is None:
            return sign * known, None
        proven = self.proven(column, sign, proposal.multipliers)
        if proven < proposal.value - REFUTED * (1.0 + abs(proposal.value)):
            self.refuted += 1
        return float(sign * max(known, proven)), proposal.point

    def any_point(self, seconds: float = np.inf) -> Floats | None:
        """Return a point of the relaxation, as the solver proposes it; `None` if it found none (see `is_refuted`)."""
        proposal = self.engine.minimize(0, 0, seconds)
        return None if proposal is None else proposal.point

    def likely_point(self, columns: NDArray[np.int64], costs: Floats, seconds: float = np.inf) -> Floats | None:
        """Return a point with ``costs @ x[columns]`` small, as the solver proposes it; `None` if it found none."""
        proposal = self.engine.minimize_sum(columns, costs, seconds)
        return None if proposal is None else proposal.point

    def fix(self, column: int, lower: float, upper: float) -> None:
        """Change the bounds of a column for a while: rows that hold bounds as coefficients stay as they are."""
        self.lower[column], self.upper[column] = lower, upper
        self.engine.set_column(column, lower, upper)

    def is_refuted(self) -> bool:
        """Return whether nothing is left: proven, after the solver found no point in the last program."""
        return self.refutation() is not None

    def refutation(self) -> Floats | None:
        """Return multipliers that prove that nothing is left, after the solver found no point in the last program."""
        ray = self.engine.ray()
        if ray is None or not np.isfinite(ray).all():
            return None
        largest = float(np.abs(ray).max(initial=0.0))
        # Any multipliers prove that y A x, which is at least y times the sides, is at most its largest value.
        scaled = [sign * ray / largest for sign in (-1.0, 1.0)] if largest > 0 else []
        return next((each for each in scaled if self._least(each) > 0), None)

    def needed(self, multipliers: Floats, columns: NDArray[np.int64], home: Interval) -> NDArray[np.int64]:
        """Return which fixed columns a refutation needs; the others may have their own bounds again.

        Parameters
        ----------
        columns, home
            The columns that are fixed, and the bounds that they had.
        """
        reduced = -(self._transposed[columns] @ multipliers)
        now = np.minimum(reduced * self.lower[columns], reduced * self.upper[columns])
        loss = np.maximum(now - np.minimum(reduced * home.lower, reduced * home.upper), 0.0)
        order = np.argsort(loss, kind="stable")
        spare = order[np.cumsum(loss[order]) < 0.99 * self._least(multipliers)]
        kept = self.lower[columns].copy(), self.upper[columns].copy()
        self.lower[columns[spare]], self.upper[columns[spare]] = home.lower[spare], home.upper[spare]
        proven = self._least(multipliers) > 0
        self.lower[columns], self.upper[columns] = kept
        return np.setdiff1d(columns, columns[spare]) if proven else columns

    def proven(self, column: int, sign: int, multipliers: Floats) -> float:
        """Return a number at or below ``sign * x[column]`` everywhere in the relaxation, for any multipliers.

        ``sign x_c = y' A x + d' x`` with ``d = sign e_c - A' y``; each summand is bounded on its own.
        """
        return self._least(multipliers, column, sign)

    def _least(self, multipliers: Floats, column: int | None = None, sign: int = 0) -> float:
        """Return a number at or below ``sign * x[column]`` by these multipliers; without a column, below 0."""
        y = np.where(multipliers > 0, multipliers, 0.0) * np.isfinite(self.row_lower)
        y = y + np.where(multipliers < 0, multipliers, 0.0) * np.isfinite(self.row_upper)
        sides = np.where(y > 0, self.row_lower, np.where(y < 0, self.row_upper, 0.0))
        reduced = -(self._transposed @ y)
        error = (self._counts + 3) * UNIT * (self._sizes @ np.abs(y)) + UNDERFLOW
        if column is not None:
            reduced[column] += sign
            error[column] += UNIT * (abs(reduced[column]) + 1.0)
        products = np.where(reduced > 0, reduced * self.lower, reduced * self.upper)
        reach = error * np.maximum(np.abs(self.lower), np.abs(self.upper))
        summed = np.concatenate([y * sides, products, -reach])
        slack = (len(summed) + 4) * UNIT * float(np.abs(summed).sum()) + UNDERFLOW
        bound = float(np.nextafter(float(summed.sum()) - slack, -np.inf))
        return bound if np.isfinite(bound) else -np.inf


class _Rows:
    """Collects the rows of a relaxation; columns are the entries of all values, then the parts of l_1 balls."""

    def __init__(self, program: Program, bounds: Mapping[int, Interval]) -> None:
        self.program, self.bounds = program, bounds
        self.first: list[int] = np.cumsum([0, *(op.size for op in program.ops)]).tolist()
        self.columns = self.first[-1]
        self.count = 0
        self.triplets: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]] = []
        self._sides: list[tuple[Floats, Floats]] = []
        self._parts: list[Floats] = []
        self.switches: dict[int, _SwitchRows] = {}
        for value, op in enumerate(program.ops):
            if isinstance(op, Affine):
                self._affine(value, op)
            elif isinstance(op, Input):
                self._input(value, op)
            elif isinstance(op, Switch):
                self._switch(value, op)
            elif isinstance(op, Conditional):
                self._conditional(value, op)

    @property
    def lower(self) -> Floats:
        return np.concatenate([np.zeros(0), *(low for low, _ in self._sides)])

    @property
    def upper(self) -> Floats:
        return np.concatenate([np.zeros(0), *(high for _, high in self._sides)])

    @property
    def parts(self) -> Interval:
        """The bounds of the parts of l_1 balls."""
        limits = np.concatenate([np.zeros(0), *self._parts])
        return Interval(np.zeros(len(limits)), limits)

    def matrix(self) -> csr_array:
        if not self.triplets:  # of a program of its input alone
            return csr_array((self.count, self.columns))
        rows, columns, data = (np.concatenate([part[k] for part in self.triplets]) for k in range(3))
        matrix = csr_array((data, (rows, columns)), shape=(self.count, self.columns))
        matrix.sum_duplicates()
        return matrix

    def _add(self, size: int, parts: list[tuple[int, ArrayLike]], lower: ArrayLike, upper: ArrayLike) -> int:
        """Append ``lower <= sum(coefficient * columns) <= upper`` entry by entry; return the first row."""
        here, each = self.count, np.arange(size)
        for first, coefficient in parts:
            self.triplets.append(
                (here + each, first + each, np.array(np.broadcast_to(coefficient, (size,)), np.float64))
            )
        low, high = (np.array(np.broadcast_to(side, (size,)), np.float64) for side in (lower, upper))
        self._sides.append((low, high))
        self.count += size
        return here

    def _affine(self, value: int, op: Affine) -> None:
        here = self._add(op.size, [(self.first[value], 1.0)], op.bias, op.bias)
        for term in op.terms:
            sparse = csr_array(term.matrix).tocoo()
            columns = sparse.col.astype(np.int64) + self.first[term.operand]
            self.triplets.append((sparse.row.astype(np.int64) + here, columns, -sparse.data))

    def _input(self, value: int, op: Input) -> None:
        domain, start = op.domain, self.first[value]
        if domain.rows.shape[0]:
            here = self._add(domain.rows.shape[0], [], domain.row_lower, domain.row_upper)
            sparse = csr_array(domain.rows).tocoo()
            self.triplets.append((sparse.row.astype(np.int64) + here, sparse.col.astype(np.int64) + start, sparse.data))
        if domain.l1 is not None:
            ball, size = domain.l1, op.size
            above, below = self.columns, self.columns + size
            self.columns += 2 * size
            self._parts += [np.full(2 * size, ball.radius)]
            self._add(size, [(start, 1.0), (above, -1.0), (below, 1.0)], ball.center, ball.center)
            here = self._add(1, [], -np.inf, ball.radius)
            both = np.arange(above, above + 2 * size)
            self.triplets.append((np.full(2 * size, here), both, np.ones(2 * size)))

    def _conditional(self, value: int, op: Conditional) -> None:
        """Append ``z <= u a`` and ``z >= l (1 - a)``, which the rows of a relu over this bit imply."""
        users = [user for user in self.program.ops if isinstance(user, Switch) and user.bit == value]
        if any(is_relu(self.program, user) for user in users):
            return
        known, bits, operand = self.bounds[op.operand], self.first[value], self.first[op.operand]
        self._add(op.size, [(operand, 1.0), (bits, -np.maximum(known.upper, 0.0))], -np.inf, 0.0)
        low = np.minimum(known.lower, 0.0)
        self._add(op.size, [(operand, 1.0), (bits, low)], low, np.inf)

    def _switch(self, value: int, op: Switch) -> None:
        known, size = self.bounds[op.operand], op.size
        on, z, bits = self.first[value], self.first[op.operand], self.first[op.bit]
        hi = self._add(size, [(on, 1.0), (bits, -known.upper)], -np.inf, 0.0)
        lo = self._add(size, [(z, 1.0), (on, -1.0), (bits, known.lower)], known.lower, np.inf)
        if is_relu(self.program, op):
            self._add(size, [(z, 1.0), (on, -1.0)], -np.inf, 0.0)
            self.switches[value] = _SwitchRows(bits, hi, lo)
            return
        on_lo = self._add(size, [(on, 1.0), (bits, -known.lower)], 0.0, np.inf)
        off_hi = self._add(size, [(z, 1.0), (on, -1.0), (bits, known.upper)], -np.inf, known.upper)
        self.switches[value] = _SwitchRows(bits, hi, lo, on_lo, off_hi)
