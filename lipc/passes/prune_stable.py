"""Pruning: decided bits become constants, and entries that no longer matter go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir import (
    Affine,
    Builder,
    Conditional,
    Floats,
    Input,
    Interval,
    Kind,
    Matrix,
    Program,
    Switch,
    add,
    compose,
    entries,
    nonzero_columns,
    scatter,
    selection,
)
from lipc.passes.base import Pass, PassResult, Source

Mask = NDArray[np.bool_]
Entries = NDArray[np.int64]


@dataclass(frozen=True)
class PruneStable(Pass):
    """Remove stable neurons with the bounds at hand.

    A switch whose bit is 1 is the identity, one whose bit is 0 is zero. Then rows and columns that the result does
    not depend on are dropped entry by entry. Entries are selected, no number is computed anew: the pass is exact.
    Inputs keep their size.
    """

    name: ClassVar[str] = "prune-stable"
    exact: ClassVar[bool] = True

    def apply(self, program: Program) -> PassResult:
        """Return the program of unstable neurons only; without bounds nothing is decided."""
        rewriter = _Rewriter(program, _decided_bits(program))
        for value in range(len(program.ops)):
            rewriter.rewrite(value)
        return rewriter.finish()


def _decided_bits(program: Program) -> dict[int, Interval]:
    """Return the bounds of every value of bits; ``[0, 1]`` where nothing is known, and for inputs."""
    bits: dict[int, Interval] = {}
    for value, op in enumerate(program.ops):
        if op.kind is Kind.BIT:
            known = None if isinstance(op, Input) else program.bounds.get(value)
            bits[value] = known or Interval(np.zeros(op.size), np.ones(op.size))
    return bits


def live_entries(program: Program, bits: dict[int, Interval]) -> list[Mask]:
    """Return, for each value, which entries the result depends on, given what is known of the bits.

    All switches over one value of bits keep the same undecided entries, so that they go on sharing it whole.
    """
    live: list[Mask] = [np.zeros(op.size, bool) for op in program.ops]
    live[program.result][:] = True
    for value in program.find(Input):
        live[value][:] = True
    count = -1
    while count != (count := sum(int(mask.sum()) for mask in live)):
        for value in range(len(program.ops) - 1, -1, -1):
            _mark_operands(program, bits, live, value)
    return live


def _mark_operands(program: Program, bits: dict[int, Interval], live: list[Mask], value: int) -> None:
    """Mark what the live entries of one value depend on."""
    op, mask = program.ops[value], live[value]
    if isinstance(op, Affine):
        for term in op.terms:
            live[term.operand] |= nonzero_columns(term.matrix[np.flatnonzero(mask)])
    elif isinstance(op, Switch) and mask.any():
        undecided = bits[op.bit].lower < bits[op.bit].upper
        live[op.bit] |= mask & undecided
        mask |= live[op.bit] & undecided
        live[op.operand] |= mask & (bits[op.bit].upper > 0)
    elif isinstance(op, Conditional):
        live[op.operand] |= mask & (bits[value].lower < bits[value].upper)


@dataclass(eq=False)
class _Image:
    """An old value in terms of new ones: ``sum(matrix @ new) + offset``."""

    terms: dict[int, Matrix]
    offset: Floats

    def rows(self, chosen: Entries) -> _Image:
        return _Image({value: matrix[chosen] for value, matrix in self.terms.items()}, self.offset[chosen])


@dataclass(eq=False)
class _Rewriter:
    """Copies a program value by value; `images` says what became of each."""

    program: Program
    bits: dict[int, Interval]
    builder: Builder = field(default_factory=Builder)
    images: list[_Image] = field(default_factory=list)
    bounds: dict[int, Interval] = field(default_factory=dict)
    sources: dict[int, Source] = field(default_factory=dict)
    gathered: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.live = live_entries(self.program, self.bits)

    def rewrite(self, value: int) -> None:
        op = self.program.ops[value]
        self.builder.origin = op.origin
        if isinstance(op, Input):
            new = self.builder.input(op.domain, op.kind)
            image = self._keep(value, np.arange(op.size), new)
            self.sources[value] = Source.whole(new, op.size)
        elif isinstance(op, Affine):
            image = self._affine(value, op)
        elif isinstance(op, Conditional):
            image = self._conditional(value, op)
        else:
            image = self._switch(value, op)
        self.images.append(image)

    def _keep(self, value: int, kept: NDArray[np.int64], new: int) -> _Image:
        """Record that `new` holds the `kept` entries of an old value, and carry its bounds over."""
        size = self.program.ops[value].size
        if value in self.program.bounds:
            self.bounds[new] = self.program.bounds[value].take(kept)
        position = np.full(size, -1)
        position[kept] = np.arange(len(kept))
        return _Image({new: selection(position, len(kept))}, np.zeros(size))

    def _gather(self, value: int, kept: Entries) -> int:
        """Return the new value that holds the `kept` entries of an old one; asked again, the same."""
        key = (value, kept.tobytes())
        if key not in self.gathered:
            self.gathered[key] = new = self._gather_anew(self.images[value].rows(kept), kept)
            if value in self.program.bounds:
                self.bounds[new] = self.program.bounds[value].take(kept)
        return self.gathered[key]

    def _gather_anew(self, part: _Image, kept: Entries) -> int:
        if len(part.terms) == 1 and not part.offset.any():
            ((new, matrix),) = part.terms.items()
            if _is_identity(matrix):
                return new
        terms = {new: matrix for new, matrix in part.terms.items() if entries(matrix)}
        return self.builder.affine(terms, part.offset, self.builder.origin.keep(kept))

    def _affine(self, value: int, op: Affine) -> _Image:
        kept = np.flatnonzero(self.live[value])
        terms: dict[int, Matrix] = {}
        bias = op.bias[kept]
        for term in op.terms:
            rows = term.matrix[kept]
            image = self.images[term.operand]
            bias = bias + rows @ image.offset
            for new, matrix in image.terms.items():
                product = compose(rows, matrix)
                if entries(product):
                    terms[new] = add(terms[new], product) if new in terms else product
        return self._keep(value, kept, self.builder.affine(terms, bias, op.origin.keep(kept)))

    def _conditional(self, value: int, op: Conditional) -> _Image:
        known = self.bits[value]
        decided = known.lower == known.upper
        kept = np.flatnonzero(self.live[value] & ~decided)
        constant = np.where(decided, known.lower, np.nan)
        take = np.full(op.size, -1)
        take[kept] = np.arange(len(kept))
        if not len(kept):
            self.sources[value] = Source.of(-1, take, constant)
            return _Image({}, np.where(decided, known.lower, 0.0))
        new = self.builder.conditional(self._gather(op.operand, kept), op.origin.keep(kept))
        self.sources[value] = Source.of(new, take, constant)
        image = self._keep(value, kept, new)
        return _Image(image.terms, np.where(decided, known.lower, 0.0))

    def _switch(self, value: int, op: Switch) -> _Image:
        known = self.bits[op.bit]
        live = self.live[value]
        kept = np.flatnonzero(live & (known.lower < known.upper))
        passed = np.flatnonzero(live & (known.lower == 1))
        switched = None
        if len(kept):
            (bit,) = self.images[op.bit].terms
            switched = self.builder.switch(self._gather(op.operand, kept), bit, op.origin.keep(kept))
            image = self._keep(value, kept, switched)
            if not len(passed):
                return image
        elif not len(passed):
            return _Image({}, np.zeros(op.size))
        return self._joined(value, switched, kept, passed)

    def _joined(self, value: int, switched: int | None, kept: Entries, passed: Entries) -> _Image:
        """Return a value of its own for a switch that is undecided in some entries and passes others.

        A row of the new value copies one number: substituting it into what reads it is left to `fuse`, which may round.
        """
        op = self.program.ops[value]
        chosen = np.sort(np.concatenate([kept, passed]))
        through = self._gather(op.operands[0], passed)
        terms = {through: scatter(np.searchsorted(chosen, passed), len(chosen))}
        if switched is not None:
            terms[switched] = scatter(np.searchsorted(chosen, kept), len(chosen))
        return self._keep(value, chosen, self.builder.affine(terms, origin=op.origin.keep(chosen)))

    def finish(self) -> PassResult:
        result = self._gather(self.program.result, np.arange(self.program.ops[self.program.result].size))
        return PassResult(self.builder.program(result, self.program.objective, self.bounds), self.sources)


def _is_identity(matrix: Matrix) -> bool:
    if not isinstance(matrix, csr_array) or not matrix.shape[0] == matrix.shape[1] == matrix.nnz:
        return False
    return bool((matrix.indices == np.arange(matrix.shape[0])).all() and (matrix.data == 1).all())
