"""A program as a solver gets it: scaled to magnitudes near 1, minimized; and back again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from lipc.ir import Floats, Sense
from lipc.mip import MixedIntegerProgram, absorb_tiny_coefficients, scale
from lipc.solvers.base import Task

VIOLATED = 1e-4
"""A solution that violates a row by more than this, relative to its terms, was not meant to keep it."""


@dataclass(frozen=True, eq=False)
class Handover:
    """A task, and the program that the solver gets for it.

    Solvers' tolerances are absolute, so all of it is scaled to magnitudes near 1; the file minimizes and leaves the
    constant out. Values of its objective are called costs here.
    """

    task: Task
    program: MixedIntegerProgram

    @staticmethod
    def of(task: Task) -> Handover:
        """Return the handover of a task."""
        return Handover(task, absorb_tiny_coefficients(scale(task.program, (1.0, 1.0))))

    @property
    def sign(self) -> float:
        """-1 for a maximization, which the file minimizes."""
        return -1.0 if self.program.sense is Sense.MAXIMIZE else 1.0

    @property
    def cost(self) -> Floats:
        """What is minimized, shape ``(columns,)``."""
        return self.sign * self.program.cost

    def value(self, cost: float) -> float:
        """Return the objective of the program where the file's is `cost`."""
        return self.sign * self.program.objective_scale * cost + self.program.constant

    def bound(self, cost: float) -> float:
        """Return a bound of the objective, rounded outward, where `cost` bounds the file's from below."""
        if not np.isfinite(cost):
            return self.sign * cost
        value = self.value(cost)
        return float(np.nextafter(value, -self.sign * np.inf)) if self.program.constant else value

    def in_file(self, value: float) -> float:
        """Return the cost at which the objective of the program is `value`."""
        return self.sign * (value - self.program.constant) / self.program.objective_scale

    def start(self) -> Floats | None:
        """Return the start solution in the file's columns, shape ``(columns,)``, within their bounds."""
        if self.task.start is None:
            return None
        columns = self.task.start * self.task.program.column_scale / self.program.column_scale
        return np.clip(columns, self.program.column_lower, self.program.column_upper)

    def back(self, columns: Floats) -> Floats:
        """Return columns of the task's program from columns of the file."""
        return columns * (self.program.column_scale / self.task.program.column_scale)

    def violation(self, columns: Floats) -> float:
        """Return by how much columns of the file violate a row, a bound, integrality or a set.

        Rows count relative to the largest of their terms, or to 1; those of indicators where their bit says so.
        """
        program = self.program
        activity = program.matrix @ columns
        terms = abs(program.matrix).multiply(np.abs(columns)[None, :])
        size = np.maximum(csr_array(terms).max(axis=1).toarray().ravel(), 1.0)
        rows = np.maximum(program.row_lower - activity, activity - program.row_upper) / size
        given = program.indicators
        rows[given.row] = np.where(np.rint(columns[given.bit]) == given.when, rows[given.row], 0.0)
        bounds = np.maximum(program.column_lower - columns, columns - program.column_upper)
        whole = np.abs(columns - np.rint(columns))[program.integer]
        sets = np.abs(columns[program.sets]).min(axis=1)
        return float(np.concatenate([np.zeros(1), rows, bounds, whole, sets]).max())

    @property
    def nothing_is_left(self) -> float:
        """What it bounds the objective by that a solver finds no solution.

        With a start there is one, and the solver contradicts it: that stays visible as an empty range.
        """
        cutoff = self.task.cutoff
        return self.sign * np.inf if cutoff is None or self.task.start is not None else cutoff
