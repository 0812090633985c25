"""Bounding: annotate a program with sound bounds of every value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lipc.bounds import interval_bounds, linear_bounds
from lipc.ir import Program
from lipc.passes.base import Pass, PassResult, kept_whole


@dataclass(frozen=True)
class Bounds(Pass):
    """Compute bounds of every value; bounds the program already has can only become tighter.

    Parameters
    ----------
    method
        ``interval``: interval arithmetic. ``linear``: backward linear relaxation on top of it, over the forward and
        the Jacobian values.
    """

    name: ClassVar[str] = "bounds"
    method: Literal["interval", "linear"] = "linear"

    def apply(self, program: Program) -> PassResult:
        """Return the same operations with bounds."""
        bounds = linear_bounds(program) if self.method == "linear" else interval_bounds(program)
        return PassResult(
            program.with_bounds(bounds), kept_whole(program, {value: value for value in range(len(program.ops))})
        )
