"""Equal neurons: pre-activations that are the same function up to a factor share one bit, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from lipc.ir import Affine, Conditional, Floats, Matrix, Op, Origin, Program, Switch, Term, scatter, selection
from lipc.passes.base import Pass, PassResult, Source
from lipc.passes.rewrite import Rewriter, bits_of_relus, is_relu

Entries = NDArray[np.int64]
Row: TypeAlias = tuple[object, ...]
"""What a function is known by: the same for two entries only if they are one function up to a factor."""


@dataclass(frozen=True)
class MergeDuplicates(Pass):
    """Give neurons whose pre-activations are equal up to a factor one bit.

    Pre-activations are compared by their rows of coefficients, biases included, up to a power of two and the sign; a
    row of one coefficient without a bias, up to any factor. If z' = s z, then ``relu(z')`` is ``s relu(z)`` for a
    positive s and ``z' - s relu(z)`` for a negative one: a row of an affine map, which `fuse` substitutes. Bits of
    which anything but relus depends keep their neurons, so this pass stands before `jacobian`.

    At a kink, where z = 0, bits of equal neurons agree afterwards, and those of opposite ones differ. Patterns go in
    which they do not; none of them has a region with an interior, so a Lipschitz constant can only fall, towards the
    true one.
    """

    name: ClassVar[str] = "merge-duplicates"
    exact: ClassVar[bool] = True

    def apply(self, program: Program) -> PassResult:
        """Return the program in which equal neurons are one."""
        merger = _Merger(program, Rewriter(program))
        for value, op in enumerate(program.ops):
            if isinstance(op, Conditional):
                merger.conditional(value, op)
            elif isinstance(op, Switch) and is_relu(program.ops, op):
                merger.relu(value, op)
            else:
                merger.rewriter.copy(value)
        return merger.rewriter.finish()


class _Neuron(NamedTuple):
    """A bit that stays: an old conditional, its place among the bits that stay, and its factor of its row."""

    conditional: int
    place: int
    factor: Fraction


@dataclass(frozen=True, eq=False)
class _Merged:
    """What became of a conditional of size ``n`` that shares bits.

    Parameters
    ----------
    kept
        The entries whose bits stay.
    owners, places
        Shape ``(n,)``: the old conditional that has the bit of each entry, and its place among those that stay.
    ratios
        Shape ``(n,)``: the pre-activation of each entry over that of the bit's neuron.
    """

    kept: Entries
    owners: Entries
    places: Entries
    ratios: Floats


@dataclass(eq=False)
class _Merger:
    """The program being copied; `bits` has the new bits of each old conditional, `merged` those that share some."""

    program: Program
    rewriter: Rewriter
    bits: dict[int, int] = field(default_factory=dict)
    merged: dict[int, _Merged] = field(default_factory=dict)
    known: dict[Row, _Neuron] = field(default_factory=dict)
    relus: dict[int, int] = field(default_factory=dict)
    rows: dict[int, tuple[csr_array, Entries]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.of_relus = bits_of_relus(self.program)
        self.offsets = np.cumsum([0, *[op.size for op in self.program.ops]])

    def conditional(self, value: int, op: Conditional) -> None:
        """Copy the bits of neurons that were not met before."""
        merged = self._matched(value, op)
        if len(merged.kept) == op.size:
            self.rewriter.copy(value)
            self.bits[value] = self.rewriter.new_values[value]
            return
        builder = self.rewriter.builder
        self.merged[value] = merged
        if len(merged.kept):
            new = builder.conditional(self._gather(op.operand, merged.kept), op.origin.keep(merged.kept))
            self.bits[value] = new
            self._carry_bounds(value, new, merged.kept)
        values = np.array([self.bits[owner] for owner in merged.owners.tolist()])
        unknown = np.full(op.size, np.nan)
        self.rewriter.sources[value] = Source(values, merged.places, unknown, merged.ratios < 0)

    def _matched(self, value: int, op: Conditional) -> _Merged:
        """Return which bits of a conditional stay, and who has the others; remember those that stay."""
        kept: list[int] = []
        neurons: list[_Neuron] = []
        ratios = np.ones(op.size)
        for entry in range(op.size):
            normal = self._normal(op.operand, entry)
            neuron = self.known.get(normal[0]) if normal else None
            ratio = _exact_float(normal[1] / neuron.factor) if normal and neuron else None
            if value in self.of_relus and neuron and ratio is not None:
                neurons.append(neuron)
                ratios[entry] = ratio
                continue
            neurons.append(_Neuron(value, len(kept), normal[1] if normal else Fraction(1)))
            kept.append(entry)
            if normal:
                self.known.setdefault(normal[0], neurons[-1])
        owners = np.array([neuron.conditional for neuron in neurons], np.int64)
        places = np.array([neuron.place for neuron in neurons], np.int64)
        return _Merged(np.array(kept, np.int64), owners, places, ratios)

    def relu(self, value: int, op: Switch) -> None:
        """Replace a relu by the relus of the neurons that stay; one of a negative factor also reads its operand."""
        if op.bit not in self.merged:
            self.rewriter.place(value, self._relu(op.bit, op.origin))
            return
        merged = self.merged[op.bit]
        terms: dict[int, Matrix] = {}
        for owner in dict.fromkeys(merged.owners.tolist()):
            columns = np.where(merged.owners == owner, merged.places, -1)
            relu = self._relu(owner, op.origin.keep(merged.kept) if owner == op.bit else None)
            terms[relu] = selection(columns, self.rewriter.builder.size(relu), np.abs(merged.ratios))
        if op.bit in self.relus:
            self._carry_bounds(value, self.relus[op.bit], merged.kept)
        opposite = np.flatnonzero(merged.ratios < 0)
        if len(opposite):
            terms[self._gather(op.operand, opposite)] = scatter(opposite, op.size)
        self.rewriter.place(value, self.rewriter.builder.affine(terms, origin=op.origin))

    def _relu(self, conditional: int, origin: Origin | None = None) -> int:
        """Return the new relu over the bits of an old conditional that stay, made when it is first wanted."""
        if conditional not in self.relus:
            bits, builder = self.bits[conditional], self.rewriter.builder
            (operand,) = builder.ops[bits].operands
            self.relus[conditional] = builder.switch(operand, bits, origin or builder.ops[bits].origin)
        return self.relus[conditional]

    def _gather(self, value: int, chosen: Entries) -> int:
        """Append some entries of an old value: rows of an affine map, or a selection of any other value."""
        op = self.program.ops[value]
        gathered: Op
        if isinstance(op, Affine):
            terms = tuple(Term(term.operand, term.matrix[chosen]) for term in op.terms)
            gathered = self.rewriter.renumbered(replace(op, terms=terms, bias=op.bias[chosen]))
        else:
            term = Term(self.rewriter.new_values[value], selection(chosen, op.size))
            gathered = Affine(op.origin, (term,), np.zeros(len(chosen)))
        new = self.rewriter.builder.append(replace(gathered, origin=op.origin.keep(chosen)))
        self._carry_bounds(value, new, chosen)
        return new

    def _carry_bounds(self, value: int, new: int, chosen: Entries) -> None:
        if value in self.program.bounds:
            self.rewriter.bounds[new] = self.program.bounds[value].take(chosen)

    def _normal(self, value: int, entry: int) -> tuple[Row, Fraction] | None:
        """Return an entry as a factor times the function that a row stands for; `None` if it is constant."""
        factor = Fraction(1)
        while True:
            op = self.program.ops[value]
            if not isinstance(op, Affine):
                return ("entry", value, entry), factor
            if not op.terms:
                return None
            columns, coefficients = self._row(value, op, entry)
            if len(columns) == 1 and not op.bias[entry]:
                factor *= Fraction(float(coefficients[0]))
                column = int(columns[0])
                value = int(np.searchsorted(self.offsets, column, side="right")) - 1
                entry = column - int(self.offsets[value])
                continue
            if not len(columns):
                return None
            numbers = np.append(coefficients, op.bias[entry])
            mantissas, exponents = np.frexp(numbers)
            sign, leading = float(np.sign(numbers[0])), int(exponents[0])
            # A zero bias has no exponent of its own, and -0.0 is 0.0.
            exponents = np.where(numbers == 0, 0, exponents - leading)
            content = (columns.tobytes(), (sign * mantissas + 0.0).tobytes(), exponents.tobytes())
            return content, factor * Fraction(sign) * Fraction(2) ** leading

    def _row(self, value: int, op: Affine, entry: int) -> tuple[Entries, Floats]:
        """Return where a row has coefficients, as columns of all values side by side, and the coefficients."""
        if value not in self.rows:
            terms = sorted(op.terms, key=lambda term: term.operand)
            joined = csr_array(hstack([csr_array(term.matrix) for term in terms], format="csr"))
            columns = [self.offsets[t.operand] + np.arange(t.matrix.shape[1]) for t in terms]
            self.rows[value] = (joined, np.concatenate(columns))
        joined, columns_of = self.rows[value]
        span = slice(joined.indptr[entry], joined.indptr[entry + 1])
        return columns_of[joined.indices[span]], joined.data[span]


def _exact_float(number: Fraction) -> float | None:
    """Return a rational number as a float if it is one."""
    try:
        near = float(number)
    except OverflowError:
        return None
    return near if Fraction(near) == number else None
