"""Values of expressions: constants, and sums of matrices times values of the program, kept free of rounding.

The network that a file describes is the one that is compiled: where adding or scaling matrices would round, the
evaluator makes an operation of the operand first and works on that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse, vstack

from lipc.ir import Floats, Matrix, as_dense, as_matrix, compose, identity, selection
from lipc.ir import add as add_matrices

if TYPE_CHECKING:
    from lipc.frontends.lip.load import Archive


@dataclass(frozen=True, eq=False)
class Constant:
    """A number, a vector or a matrix: an array of 0, 1 or 2 dimensions, finite."""

    array: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.array.shape

    @property
    def is_single(self) -> bool:
        """Whether it scales and broadcasts: a number or a vector of one entry."""
        return self.array.ndim < 2 and self.array.size == 1

    def of_size(self, size: int) -> Floats:
        """Return the vector, a single entry repeated."""
        return np.broadcast_to(self.array.reshape(-1), (size,))


@dataclass(frozen=True, eq=False)
class Linear:
    """``sum(matrix @ value) + bias``, a vector that depends on the input.

    Parameters
    ----------
    terms
        From values of the program to matrices of shape ``(n, size of the value)``.
    bias
        Shape ``(n,)``.
    value
        The value that this is, if it is nothing but one.
    """

    terms: Mapping[int, Matrix]
    bias: Floats
    value: int | None = None

    @property
    def size(self) -> int:
        """How many entries it has."""
        return len(self.bias)

    @property
    def shape(self) -> tuple[int, ...]:
        """Always one dimension."""
        return self.bias.shape

    @property
    def is_single(self) -> bool:
        """Whether it scales and broadcasts: one entry."""
        return self.size == 1

    @property
    def numbers(self) -> int:
        """How many numbers are stored."""
        return self.size + sum(int(m.nnz) if isinstance(m, csr_array) else m.size for m in self.terms.values())

    @property
    def is_finite(self) -> bool:
        """Whether nothing overflowed."""
        arrays = (m.data if isinstance(m, csr_array) else m for m in self.terms.values())
        return all(bool(np.isfinite(array).all()) for array in (self.bias, *arrays))


@dataclass(frozen=True)
class Quoted:
    """A text, which is of use to load() only."""

    text: str


Value: TypeAlias = "Constant | Linear | Archive | Quoted"


def reference(value: int, size: int) -> Linear:
    """Return a value of the program as it is."""
    return Linear({value: identity(size)}, np.zeros(size), value)


def plus(left: Linear, right: Linear) -> Linear | None:
    """Return the sum of two of one size; `None` if an entry of it would be rounded."""
    bias = left.bias + right.bias
    if not _is_exact_sum(left.bias, right.bias, bias):
        return None
    terms = dict(left.terms)
    for value, matrix in right.terms.items():
        if value in terms:
            total = add_matrices(terms[value], matrix)
            if not _is_exact_sum(terms[value], matrix, total):
                return None
            matrix = total
        terms[value] = matrix
    return Linear(terms, bias)


def shifted(linear: Linear, offset: Floats) -> Linear | None:
    """Return a vector plus a constant one; `None` if the sum would be rounded."""
    return plus(linear, Linear({}, offset)) if offset.any() else linear


def _is_exact_sum(left: Matrix, right: Matrix, total: Matrix) -> bool:
    """Return whether `total` is the sum without rounding (Knuth's TwoSum)."""
    if issparse(total):  # only places where both have an entry can be rounded
        both = (abs(left) > 0).multiply(abs(right) > 0)
        if not both.nnz:
            return True
        rows, columns = both.nonzero()
        left, right, total = (np.asarray(matrix[rows, columns]).reshape(-1) for matrix in (left, right, total))
    else:
        left, right = as_dense(left), as_dense(right)
    virtual = total - left
    error = (left - (total - virtual)) + (right - virtual)
    return bool((error == 0).all())


def scaled(linear: Linear, factors: Floats) -> Linear | None:
    """Return a vector with each entry times a factor, shape ``(n,)``; `None` if a product would be rounded."""
    if (factors == 1).all():
        return linear
    matrices = (matrix.data if isinstance(matrix, csr_array) else matrix for matrix in linear.terms.values())
    units = all(bool(np.isin(array, (-1.0, 0.0, 1.0)).all()) for array in (linear.bias, *matrices))
    if not units and not np.isin(np.abs(factors), (0.0, 1.0, 2.0)).all():
        return None
    scale = identity(linear.size, factors)
    terms = {value: compose(scale, matrix) for value, matrix in linear.terms.items()}
    return Linear(terms, linear.bias * factors + 0.0)


def selected(linear: Linear, entries: NDArray[np.int64]) -> Linear:
    """Return entries of a vector in a new order."""
    if len(entries) == linear.size and (entries == np.arange(linear.size)).all():
        return linear
    if linear.value is not None:
        return Linear({linear.value: selection(entries, linear.size)}, np.zeros(len(entries)))
    return Linear({value: as_matrix(m[entries]) for value, m in linear.terms.items()}, linear.bias[entries])


def stacked(parts: Sequence[Linear]) -> Linear:
    """Return vectors one after another."""
    if len(parts) == 1:
        return parts[0]
    terms: dict[int, Matrix] = {}
    for value in dict.fromkeys(value for part in parts for value in part.terms):
        columns = next(part.terms[value].shape[1] for part in parts if value in part.terms)
        blocks = [part.terms.get(value, csr_array((part.size, columns))) for part in parts]
        dense = not any(issparse(block) for block in blocks)
        terms[value] = np.vstack(blocks) if dense else as_matrix(vstack([csr_array(b) for b in blocks], format="csr"))
    return Linear(terms, np.concatenate([part.bias for part in parts]))


def shape_words(shape: tuple[int, ...]) -> str:
    """Return a shape as messages say it: ``8x2``, ``3 entries``, ``a number``."""
    if not shape:
        return "a number"
    if len(shape) == 1:
        return "1 entry" if shape[0] == 1 else f"{shape[0]} entries"
    return "x".join(map(str, shape))
