"""Bounding: annotate a program with sound bounds of every value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lipc.bounds import interval_bounds, linear_bounds
from lipc.ir import Program
from lipc.passes.base import Pass, PassResult, kept_whole

Method = Literal["interval", "linear"]


@dataclass(frozen=True)
class Bounds(Pass):
    """Compute bounds of every value; bounds the program already has can only become tighter.

    Parameters
    ----------
    method
        ``interval``: interval arithmetic. ``linear``: backward linear relaxation on top of it, over the forward and
        the Jacobian values.
    only_new
        Leave values alone that have bounds already: after `jacobian`, those of the network.
    """

    name: ClassVar[str] = "bounds"
    exact: ClassVar[bool] = True
    method: Method = "linear"
    only_new: bool = False

    def apply(self, program: Program) -> PassResult:
        """Return the same operations with bounds."""
        linear = self.method == "linear"
        bounds = linear_bounds(program, only_new=self.only_new) if linear else interval_bounds(program)
        return PassResult(program.with_bounds(bounds), kept_whole(program))
