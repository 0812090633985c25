"""Fusion: an affine map that reads an affine map becomes one, where that does not densify."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lipc.ir import Affine, Floats, Matrix, Op, Program, Term, add, compose, entries, nonzero_columns
from lipc.passes.base import Pass, PassResult
from lipc.passes.dce import DeadCodeElimination


@dataclass(frozen=True)
class Fuse(Pass):
    """Substitute affine operands of affine operations.

    The product must have no more nonzeros than what disappears: the outer factor, and those rows of the inner map that
    nobody else reads. Convolutions in a chain therefore stay apart, selections and constants always vanish.
    Coefficients are rounded once per product (relative 2^-53 times the inner dimension).
    """

    name: ClassVar[str] = "fuse"
    exact: ClassVar[bool] = False

    def apply(self, program: Program) -> PassResult:
        """Return the program with affine chains fused and the dead links dropped."""
        readers = _readers(program)
        ops: list[Op] = []
        for op in program.ops:
            ops.append(_fused(op, ops, readers) if isinstance(op, Affine) else op)
        fused = Program(tuple(ops), program.result, program.objective).with_bounds(program.bounds)
        cleaned = DeadCodeElimination().apply(fused)
        return PassResult(cleaned.program, cleaned.sources)


def _readers(program: Program) -> list[NDArray[np.int64]]:
    """Return how many operations read each entry of each value; the result is read once more."""
    readers: list[NDArray[np.int64]] = [np.zeros(op.size, np.int64) for op in program.ops]
    readers[program.result] += 1
    for op in program.ops:
        if isinstance(op, Affine):
            for term in op.terms:
                readers[term.operand] += nonzero_columns(term.matrix)
        else:
            for operand in op.operands:
                readers[operand] += 1
    return readers


def _fused(op: Affine, ops: list[Op], readers: list[NDArray[np.int64]]) -> Affine:
    """Return an affine operation with its affine operands substituted where it pays."""
    terms: dict[int, Matrix] = {}
    bias: Floats = op.bias
    for term in op.terms:
        inner = ops[term.operand]
        products = _products(term.matrix, inner, readers[term.operand]) if isinstance(inner, Affine) else None
        if products is None or not isinstance(inner, Affine):
            products = {term.operand: term.matrix}
        else:
            bias = bias + term.matrix @ inner.bias
        for operand, matrix in products.items():
            terms[operand] = add(terms[operand], matrix) if operand in terms else matrix
    kept = tuple(Term(operand, matrix) for operand, matrix in terms.items() if entries(matrix))
    return replace(op, terms=kept, bias=bias)


def _products(outer: Matrix, inner: Affine, readers: NDArray[np.int64]) -> dict[int, Matrix] | None:
    """Return the matrices of ``outer @ inner`` by operand, or `None` where the product would densify."""
    if not entries(outer):
        return {}
    own = nonzero_columns(outer) & (readers == 1)
    budget = entries(outer) + sum(entries(term.matrix[np.flatnonzero(own)]) for term in inner.terms)
    products: dict[int, Matrix] = {}
    for term in inner.terms:
        products[term.operand] = compose(outer, term.matrix)
        budget -= entries(products[term.operand])
        if budget < 0:
            return None
    return products
