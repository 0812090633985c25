"""A question over a union of domains: piece by piece, each with the best value of the others as a cutoff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

from lipc.certify import Witness
from lipc.compiler import Compiled
from lipc.errors import EmptyDomainError
from lipc.history import History, Moment
from lipc.ir import Polytope
from lipc.options import Options, Report
from lipc.query import Query, box
from lipc.result import Result, Size
from lipc.solvers.base import Ending, SecondInterruptError, Solver
from lipc.solving.pair import relative_gap
from lipc.solving.run import Run

SHORTEST = 0.01
"""Seconds that a piece gets at least; with less left than that the run is over."""


@dataclass(eq=False)
class _Piece:
    """What is known of one domain, in the sense of a maximization.

    `upper` bounds the answer there, `kind` says by whom; `claimed` is that bound without what it was widened by;
    `ending` is `None` until a run has ended.
    """

    compiled: Compiled
    upper: float
    magnitude: float
    size: Size
    kind: str = "rigorous"
    claimed: float = np.inf
    ending: Ending | None = None


class Union:
    """The state of a run over several domains.

    Parameters
    ----------
    query
        With several domains.
    compile_piece
        Compiles the question over one domain.
    """

    def __init__(
        self,
        query: Query,
        compile_piece: Callable[[Query], Compiled],
        solver: Solver,
        options: Options,
        on_report: Callable[[Report], None],
        started: float,
    ) -> None:
        self.query, self.compile_piece = query, compile_piece
        self.solver, self.options, self.on_report, self.started = solver, options, on_report, started
        self.sign = -1.0 if query.goal == "min" else 1.0
        self.pieces: list[_Piece] = []
        self.elsewhere = -np.inf  # a bound of the answer over domains that were not compiled
        self.lower = -np.inf
        self.best: Witness | None = None
        self.notes: list[str] = []
        self.history = History()
        self.engines: list[str] = []
        self.nodes = self.proof_nodes = 0
        self.seconds: dict[str, float] = {}
        self.description: dict[str, object] = {}

    def result(self) -> Result:
        """Compile and run piece by piece; return the pair for the union.

        The pieces with the largest bounds come first, and those whose bound is no more than what is attained already
        are not run at all. With a time limit each open piece gets an even share of what is left.
        """
        ending: Ending | None = None
        try:
            ending = self._compile()
            while ending is None:
                ending = self._round()
        except SecondInterruptError:
            raise
        except KeyboardInterrupt:
            ending = Ending.INTERRUPTED
        try:
            return self._summary(ending)
        except KeyboardInterrupt:
            return self._summary(ending)

    def _compile(self) -> Ending | None:
        """Compile the pieces; one that is proven to be empty is left out."""
        queries = self.query.pieces()
        empty: list[EmptyDomainError] = []
        self.elsewhere = np.inf
        for number, query in enumerate(queries):
            late = number > 0 and self._remaining() <= 0
            try:
                if not late:
                    self._add(self.compile_piece(query))
                    continue
            except EmptyDomainError as error:
                self.notes.append(f"domain {number + 1} of {len(queries)}: {error.message}")
                empty.append(error)
                continue
            except KeyboardInterrupt:
                if not self.pieces:
                    raise
            self._bound_others(queries[number:])
            return Ending.TIME_LIMIT if late else Ending.INTERRUPTED
        if not self.pieces:
            raise empty[0]
        self.elsewhere = -np.inf
        self.pieces.sort(key=lambda piece: -piece.upper)
        return None

    def _add(self, compiled: Compiled) -> None:
        self.description = self.description or compiled.describe()
        size = Run.size_of(compiled, compiled.mip)
        self.pieces.append(_Piece(compiled, self.sign * compiled.bound, compiled.mip.magnitude, size))
        self._count(compiled.seconds)

    def _bound_others(self, queries: Sequence[Query]) -> None:
        """Bound the answer over pieces that there was no time for, by one box around them all."""
        domains = [domain for query in queries if (domain := self._fitting_domain(query)) is not None]
        if not domains:
            self.elsewhere = -np.inf
            return
        low = np.min([domain.lower for domain in domains], axis=0)
        around = box(low, np.max([domain.upper for domain in domains], axis=0))
        self.elsewhere = self.sign * self.compile_piece(replace(self.query, domain=around)).bound

    def _fitting_domain(self, query: Query) -> Polytope | None:
        """Return the domain of a piece; `None` if its bounds cross."""
        inputs = self.pieces[0].compiled.network.program.network_input()[1].size
        try:
            return query.fitting_domain(inputs)
        except EmptyDomainError:
            return None

    def _describe_domain(self) -> object:
        """Return the domains as plain values, without those whose bounds cross."""
        kept = tuple(domain for query in self.query.pieces() if (domain := self._fitting_domain(query)) is not None)
        return replace(self.query, domain=kept).describe(self.pieces[0].compiled.network.program)["domain"]

    def _count(self, seconds: dict[str, float]) -> None:
        for stage, spent in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def _remaining(self) -> float:
        return self.options.time_limit - (monotonic() - self.started)

    def _round(self) -> Ending | None:
        """Run every piece that is still open once; return why the whole is over, or `None` to go on."""
        waiting = [piece for piece in self.pieces if self._is_open(piece)]
        for number, piece in enumerate(waiting):
            if not self._is_open(piece):
                continue
            remaining = self._remaining()
            if remaining <= SHORTEST:
                return Ending.TIME_LIMIT
            others = [each for each in waiting[number:] if self._is_open(each)]
            self._run(piece, max(remaining / len(others), SHORTEST))
            if piece.ending is Ending.INTERRUPTED:
                return Ending.INTERRUPTED
        if any(self._is_open(piece) for piece in self.pieces):
            return None
        return self._ending()

    def _is_open(self, piece: _Piece) -> bool:
        """Return whether a piece may hold more than what is attained, and a run could still tell."""
        again = piece.ending is Ending.TIME_LIMIT and np.isfinite(self.options.time_limit)
        unsettled = piece.ending is None or again
        return unsettled and self._gap(min(piece.upper, piece.claimed), piece.magnitude) > self.options.gap

    def _gap(self, upper: float, magnitude: float) -> float:
        """Return by how much a bound exceeds what is attained, relatively; 0 if it does not."""
        return 0.0 if upper <= self.lower else relative_gap(self.lower, upper, magnitude)

    def _run(self, piece: _Piece, seconds: float) -> None:
        options = replace(self.options, time_limit=seconds)
        below = max([self.elsewhere, *(each.upper for each in self.pieces if each is not piece)])

        def forward(report: Report) -> None:
            """Report what the run of the piece says of the union."""
            low, high = (report.lower, report.upper) if self.sign > 0 else (-report.upper, -report.lower)
            low, high = max(low, self.lower), max(high, below)
            low, high = (low, high) if self.sign > 0 else (-high, -low)
            elapsed = monotonic() - self.started
            self.history.add(Moment(elapsed, low, high, self.nodes + report.nodes))
            self.on_report(Report(report.stage, elapsed, low, high, self.nodes + report.nodes))

        run = Run.of(piece.compiled, self.solver, options, forward, monotonic(), self.lower)
        pair = run.pair
        if pair.bound < piece.upper:
            piece.upper, piece.kind = pair.bound, pair.upper_kind
        piece.claimed = min(piece.claimed, pair.claimed_bound)
        piece.ending, piece.magnitude, piece.size = run.ending, pair.magnitude, run.size()
        if run.best is not None and (self.best is None or pair.attained > self.lower):
            self.best, self.lower = run.best, max(pair.attained, self.lower)
        self.engines += [engine for engine in run.engines if engine not in self.engines]
        self.nodes += run.nodes
        self.proof_nodes += run.proof_nodes
        if run.note and run.note not in self.notes:
            self.notes.append(run.note)
        self._count({stage: spent - piece.compiled.seconds.get(stage, 0.0) for stage, spent in run.seconds.items()})

    def _ending(self) -> Ending:
        """Return what it means that no piece is open any more."""
        endings = {piece.ending for piece in self.pieces}
        if self.best is None and endings == {Ending.INFEASIBLE}:
            return Ending.INFEASIBLE
        closed = self.best is not None and self._is_closed()
        return Ending.OPTIMAL if closed else Ending.UNPROVEN

    def _is_closed(self) -> bool:
        """Return whether no piece exceeds what is attained by more than was asked, but for tolerances of the solver."""
        sides = [(min(piece.upper, piece.claimed), piece.magnitude) for piece in self.pieces]
        sides.append((self.elsewhere, max(piece.magnitude for piece in self.pieces)))
        return all(self._gap(*side) <= self.options.gap for side in sides)

    def _summary(self, ending: Ending) -> Result:
        worst = max(self.pieces, key=lambda piece: piece.upper)
        infeasible = ending is Ending.INFEASIBLE
        floor = 0.0 if self.query.goal == "lipschitz" else -np.inf
        low = max(self.lower, floor)
        high = max(worst.upper, self.elsewhere, low)
        if infeasible:
            low = high = 0.0
        gap = 0.0 if infeasible or high == low else self._gap(high, worst.magnitude)
        kinds = "witness" if self.best is not None else "rigorous", worst.kind
        if self.elsewhere > worst.upper:
            kinds = kinds[0], "rigorous"
        sides = (low, high) if self.sign > 0 else (-high, -low)
        self.history.add(Moment(monotonic() - self.started, *sides, self.nodes))
        return Result(
            status=ending.value,
            lower=sides[0],
            upper=sides[1],
            gap=gap,
            lower_kind=kinds[0] if self.sign > 0 else kinds[1],
            upper_kind=kinds[1] if self.sign > 0 else kinds[0],
            certified=self.best is not None and ending is not Ending.INFEASIBLE and self._is_closed() and gap < np.inf,
            witness=self.best,
            solver=" and ".join(self.engines) or self.solver.version(),
            nodes=self.nodes,
            proof_nodes=self.proof_nodes,
            size=max((piece.size for piece in self.pieces), key=lambda size: size.variables),
            time={**self.seconds, "total": sum(self.seconds.values())},
            query={**self.description, "domain": self._describe_domain()},
            note="; ".join(self.notes),
            history=self.history.thinned(),
        )
