"""An upper bound that rests on no solver's word: branch and bound over bits with bounds proven from multipliers.

The nodes fix bits of the program. HiGHS proposes multipliers for the linear relaxation of a node; the bound that they
prove is computed with outward rounding (`lipc.bounds.relaxation`), and so is a proof that nothing is left of a node. A
pattern that holds only on a thin set of the network is refuted in rational arithmetic (`lipc.certify.regions`). What
the search leaves open is a valid bound at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import numpy as np

from lipc.bounds.interval import interval_bounds
from lipc.bounds.nodes import BitNodes, Fixed, Tree, split
from lipc.bounds.relaxation import Relaxation
from lipc.certify import Bits, Conflict, Regions
from lipc.compiler import Compiled
from lipc.ir import Conditional, Floats, Input, Interval, Kind, Norm, Program, Sense
from lipc.mip import NoGood
from lipc.passes.base import Pass
from lipc.passes.bounds import Bounds
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import Step, Trail, run_passes
from lipc.passes.tighten import Tighten
from lipc.solving.correspondence import BitMap

TIGHTEN_SECONDS = 10.0
"""At most, before the search; with a time limit at most a quarter of what is left."""


class SafeSearch:
    """The search over the nodes of one compiled question. Values are in the sense of a maximization.

    Parameters
    ----------
    target
        Returns the value that the bound need not go below: what is attained, and the gap; asked again and again.
    on_point
        Takes a point inside a region whose gradient may be larger than what is attained.
    conflicts
        Bits that are known not to hold together on any open set.
    deadline
        The time of `time.monotonic` at which to stop.
    tighten
        Tighten all bounds by linear programs first, as far as the target is reached.
    """

    def __init__(
        self,
        compiled: Compiled,
        target: Callable[[], float],
        on_point: Callable[[Floats], None],
        conflicts: list[Conflict],
        deadline: float,
        *,
        tighten: bool = False,
    ) -> None:
        self.target, self.on_point, self.deadline = target, on_point, deadline
        objective = compiled.asked.objective
        assert objective is not None, "a compiled question has an objective"
        self.lipschitz = objective.lipschitz
        self.sign = 1.0 if objective.sense is Sense.MAXIMIZE else -1.0
        trail = trail_to_one_value(compiled)
        known = interval_bounds(trail.program)[trail.program.result]
        trail = self._tightened(trail) if tighten else trail
        self.program = trail.program
        self.relaxation = _relaxation(self.program, known)
        first = self.relaxation.first
        self.places = {
            value: np.arange(first[value], first[value + 1])
            for value, op in enumerate(self.program.ops)
            if isinstance(op, Input | Conditional)
        }
        self.map = BitMap(compiled.asked, trail, self.places)
        self.regions = Regions(compiled.asked, self.map.relevant, deadline=deadline)
        self.nodes = BitNodes(self.relaxation, filter(self._is_of_bits, self.places))
        self.no_goods = [cut for cut in map(self.map.conflict_cut, conflicts) if cut is not None]
        self.tree = Tree(self._branch)
        self.highest = -np.inf  # the largest bound of a node that was cut off
        self.left = -np.inf  # the largest bound of a pattern that can be neither refuted nor branched on

    def _tightened(self, trail: Trail) -> Trail:
        """Tighten where the objective is beyond the target: what is proven then is proven of that part alone."""
        target = self.target()
        seconds = min(TIGHTEN_SECONDS, (self.deadline - monotonic()) / 4)
        if not np.isfinite(target) or seconds <= 0:
            return trail
        passes = [Tighten(seconds=seconds, cutoff=self.sign * target), PruneStable()]
        # Not the same function any more where the target is not reached: there is nothing to validate.
        further = run_passes(trail.program, passes, validate=0)
        return Trail(trail.start, trail.steps + further.steps)

    def _is_of_bits(self, value: int) -> bool:
        return self.program.ops[value].kind is Kind.BIT

    def run(self, on_node: Callable[[], None] = lambda: None, most_nodes: float = np.inf) -> None:
        """Search until nothing above the target is open, or time is up, or about so many nodes were seen.

        Parameters
        ----------
        on_node
            Called now and then, with `upper` valid.
        """
        while not self.is_complete and not self._is_late() and self.nodes.count < most_nodes:
            self.tree.plunge(self._is_late)
            on_node()

    def _is_late(self) -> bool:
        return monotonic() > self.deadline

    @property
    def is_complete(self) -> bool:
        """Whether nothing that may be above the target is open."""
        return self.tree.bound <= self.target()

    @property
    def is_void(self) -> bool:
        """Whether every pattern was refuted."""
        return self.is_complete and self.highest == -np.inf

    @property
    def upper(self) -> float:
        """A proven bound of the answer, in the sense of a maximization."""
        # Below the target nothing was looked for, and bounds that were tightened hold above it alone.
        return max(self.left, self.tree.bound, self.target())

    def _branch(self, fixed: Fixed) -> tuple[list[Fixed], float]:
        """Bound a node; return what it splits into, the best first, and the bound."""
        implied = self._implied(fixed)
        if implied is None:
            return [], -np.inf
        seconds = self.deadline - monotonic()
        bound, point = self.nodes.bound(implied, self.program.result, 0, int(self.sign), seconds)
        self.highest = max(self.highest, bound if bound <= self.target() else -np.inf)
        if bound <= self.target():
            return [], bound
        free = self.nodes.free(implied)
        if point is None:
            # The solver failed, and nothing is proven: any split will do.
            return split(implied, free[0], 0.5) if free else self._leaf(implied, None, bound), bound
        chosen = self.nodes.undecided(free, point)
        if chosen is not None:
            return split(implied, chosen, point[chosen]), bound
        return self._settle(implied, free, point, bound), bound

    def _implied(self, fixed: Fixed) -> Fixed | None:
        """Return the fixed bits with those that conflicts imply; `None` if one holds."""
        fixed = dict(fixed)
        changed = True
        while changed:
            changed = False
            for cut in self.no_goods:
                open_bits = []
                for column, one in zip(cut.columns.tolist(), cut.ones.tolist(), strict=True):
                    known = fixed.get(column)
                    if known is None:
                        open_bits.append((column, one))
                        if len(open_bits) > 1:
                            break
                    elif known != one:
                        open_bits = [(-1, False), (-1, False)]
                        break
                if not open_bits:
                    return None
                if len(open_bits) == 1:
                    fixed[open_bits[0][0]] = not open_bits[0][1]
                    changed = True
        return fixed

    def _settle(self, fixed: Fixed, free: list[int], point: Floats, bound: float) -> list[Fixed]:
        """Look at the pattern of a point that is above the target: a better witness, or one that does not count."""
        if self.lipschitz is not None:
            _, cut = self._examine(point)
            wanted = {} if cut is None else dict(zip(cut.columns.tolist(), cut.ones.tolist(), strict=True))
            if cut is not None and all(fixed.get(column, one) == one for column, one in wanted.items()):
                self.no_goods.append(cut)
                return self._around(fixed, {column: one for column, one in wanted.items() if column not in fixed})
        if bound <= self.target():
            return []
        if not free:
            return self._leaf(fixed, point, bound)
        chosen = max(free, key=lambda column: self.nodes.weight[column])
        return split(fixed, chosen, float(point[chosen]))

    def _leaf(self, fixed: Fixed, point: Floats | None, bound: float) -> list[Fixed]:
        """Bound one pattern: by its linear program, or for a constant by the norm of its gradient, exactly."""
        if self.lipschitz is not None:
            if point is None:
                middle = 0.5 * (self.relaxation.lower + self.relaxation.upper)
                point = np.array([float(fixed.get(column, value)) for column, value in enumerate(middle.tolist())])
            bits, cut = self._examine(point)
            if cut is None:
                bound = min(bound, self.regions.norm_bound(bits, self.lipschitz.norm, self.lipschitz.output_norm))
            else:
                wanted = zip(cut.columns.tolist(), cut.ones.tolist(), strict=True)
                if all(fixed.get(column) == one for column, one in wanted):
                    return []
        self.highest = max(self.highest, bound)
        if bound > self.target():
            self.left = max(self.left, bound)
        return []

    @staticmethod
    def _around(fixed: Fixed, path: Fixed) -> list[Fixed]:
        """Return nodes that cover all of a node but the bits of a path together."""
        children = []
        so_far = dict(fixed)
        for column, one in path.items():
            children.append({**so_far, column: not one})
            so_far[column] = one
        return children

    def _examine(self, point: Floats) -> tuple[Bits, NoGood | None]:
        """Return the pattern at a point, and the cut that a proof against it makes; offer a point of its interior."""
        choices = {value: point[places] for value, places in self.places.items()}
        for value, entries in choices.items():
            if isinstance(self.program.ops[value], Conditional):
                choices[value] = np.round(entries)
        bits = self.map.bits(self.map.recover(choices))
        region = self.regions.widest(bits, prove=True)
        if region.conflict is not None:
            return bits, self.map.conflict_cut(region.conflict)
        if region.point is not None:
            self.on_point(region.point)
        return bits, None


def trail_to_one_value(compiled: Compiled) -> Trail:
    """Return the way from the question to the last program with one value as its objective, before any rounding.

    Unlike `Compiled.exact_trail` it may end behind the Jacobian; where it would not, the Jacobian is made here.
    """
    kept: list[Step] = []
    for step in compiled.trail.steps:
        if not step.transformation.exact:
            break
        kept.append(step)
    while kept and not _is_scalar(kept[-1].after):
        kept.pop()
    trail = Trail(compiled.asked, tuple(kept))
    passes: list[Pass] = [Bounds(), PruneStable()]
    if not _is_scalar(trail.program):
        question = compiled.asked.objective.lipschitz if compiled.asked.objective else None
        mode: Mode = "forward" if question is not None and question.norm is Norm.L2 else "auto"
        passes += [Jacobian(mode), Bounds(only_new=True), PruneStable()]
    return Trail(trail.start, trail.steps + run_passes(trail.program, passes).steps)


def _is_scalar(program: Program) -> bool:
    return program.objective is not None and program.objective.lipschitz is None


def _relaxation(program: Program, objective: Interval) -> Relaxation:
    """Return the relaxation, with the objective free to be below what was asked: a bound is to be found there, too."""
    bounds = interval_bounds(program)
    known = bounds[program.result]
    bounds[program.result] = Interval(
        np.minimum(known.lower, objective.lower), np.maximum(known.upper, objective.upper)
    )
    return Relaxation(program, bounds)
