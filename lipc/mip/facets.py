"""Cutting planes: facets of the convex hull of one switch over the box of what its operand reads.

Over ``L <= x <= U`` and a bit a, the points ``p = a (w x + b)`` lie below

    sum over j of min(w_j x_j - (1 - a) m_j, a M_j) + a b,    m_j, M_j = the least and the largest w_j x_j,

and above the mirror image: Anderson et al., "Strong mixed-integer programming formulations for trained neural
networks" (2020), Proposition 4, which does not need that the operand's sign decides the bit. Of the exponentially many
choices of a side of each minimum the most violated one at a point is found term by term. The program's own rows leave
this open: they know the range of the operand as a whole, not of its terms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.bounds.rounding import UNIT, down, up
from lipc.ir import Floats
from lipc.mip.program import MixedIntegerProgram
from lipc.mip.rows import append_rows

VIOLATION = 1e-3
"""Cuts that remove less than this part of the range of the product are not worth a row."""

Solve = Callable[[MixedIntegerProgram], "Floats | None"]
"""Returns an optimal point of the linear relaxation of a program, shape ``(columns,)``; None if it finds none."""


@dataclass(frozen=True, eq=False)
class Facets:
    """Cuts ``rows @ x <= upper``; shapes ``(k, columns)`` and ``(k,)``, and how much each is violated relatively."""

    rows: csr_array
    upper: Floats
    violation: Floats


def add_facets(program: MixedIntegerProgram, solve: Solve, *, rounds: int = 10) -> MixedIntegerProgram:
    """Return the program with those facets that the linear relaxation violates, found in rounds.

    Cuts that are slack at the last point are left out. Every cut holds at every integral solution, whatever `solve`
    returns; each is rounded outward.

    Parameters
    ----------
    solve
        Solves the linear relaxation of a program, which has its integrality as it was.
    rounds
        The most often that it is solved, less one.
    """
    found: list[Facets] = []
    current = program
    for _ in range(rounds):
        point = solve(current)
        if point is None:
            break
        facets = violated_facets(program, point)
        if not len(facets.upper):
            break
        found.append(facets)
        current = _with(current, facets)
    point = solve(current) if found else None
    if point is None:
        return program
    tight = [_tight(facets, point) for facets in found]
    for facets in tight:
        if len(facets.upper):
            program = _with(program, facets)
    return program


def violated_facets(program: MixedIntegerProgram, point: Floats, violation: float = VIOLATION) -> Facets:
    """Return the most violated facet of each switch at a point, on either side, if it is violated enough."""
    columns = program.matrix.shape[1]
    pointers, indices, data, upper, found = [0], [], [], [], []
    for split in program.splits.each():
        for sign in (1.0, -1.0):
            cut = _facet(program, split, point, sign)
            if cut is None or cut.violation <= violation:
                continue
            indices.append(cut.columns)
            data.append(cut.coefficients)
            upper.append(cut.upper)
            found.append(cut.violation)
            pointers.append(pointers[-1] + len(cut.columns))
    none: list[Floats] = [np.zeros(0)]
    places = np.concatenate([np.zeros(0, np.int64), *indices])
    rows = csr_array((np.concatenate(none + data), places, np.array(pointers)), shape=(len(upper), columns))
    return Facets(rows, np.array(upper), np.array(found))


@dataclass(frozen=True, eq=False)
class _Cut:
    columns: NDArray[np.int64]
    coefficients: Floats
    upper: float
    violation: float


def _facet(program: MixedIntegerProgram, split: tuple[int, int, int, int], point: Floats, sign: float) -> _Cut | None:
    """Return the facet of one switch that a point violates most: above for `sign` 1, below for -1.

    The row of the split reads ``scale * on + other * off + weights @ x = b``, so that ``p = sign * -scale * on`` is the
    bit times ``sign * (weights @ x - b)``.
    """
    row, on, off, bit = split
    side = program.row_lower[row]
    if side != program.row_upper[row]:
        return None  # tiny coefficients were taken out of it
    inside = slice(program.matrix.indptr[row], program.matrix.indptr[row + 1])
    columns, weights = program.matrix.indices[inside], program.matrix.data[inside]
    scale = weights[columns == on]
    kept = (columns != on) & (columns != off)
    columns, weights = columns[kept].astype(np.int64), sign * weights[kept]
    low, high = program.column_lower[columns], program.column_upper[columns]
    if len(scale) != 1 or bit in columns or not (np.isfinite(low) & np.isfinite(high)).all():
        return None
    ends = np.stack([weights * low, weights * high])
    least, most = ends.min(0), ends.max(0)
    a, x = point[bit], point[columns]
    kept_terms = weights * x - (1.0 - a) * least < a * most
    limit = np.where(kept_terms, weights * x - (1.0 - a) * least, a * most).sum() - a * sign * side
    product = -sign * scale[0] * point[on]
    width = max(float((most - least).sum()), 1e-300)
    # p <= sum over kept of w x + a (M + m - b) - m, with M the sum of the others' most and m that of the kept's least.
    m = _sum(least[kept_terms], -1)
    big = _sum(np.append(most[~kept_terms], -sign * side), 1)
    coefficient = float(np.nextafter(big + m, np.inf))
    row_columns = np.concatenate([columns[kept_terms], [on, bit]])
    row_data = np.concatenate([-weights[kept_terms], [-sign * scale[0], -coefficient]])
    return _Cut(row_columns, row_data, -m, float(product - limit) / width)


def _sum(terms: Floats, side: int) -> float:
    """Return a sum of products of two, rounded up for `side` 1 and down for -1."""
    slack = (len(terms) + 3) * UNIT * float(np.abs(terms).sum())
    total = np.array([terms.sum()])
    return float((up if side > 0 else down)(total, np.array([slack]))[0])


def _with(program: MixedIntegerProgram, facets: Facets) -> MixedIntegerProgram:
    lower = np.full(len(facets.upper), -np.inf)
    return append_rows(program, facets.rows.copy(), lower, facets.upper, "facet", "facets of switches")


def _tight(facets: Facets, point: Floats) -> Facets:
    """Return the cuts that hold with equality, or nearly, at a point."""
    reach = abs(facets.rows) @ np.abs(point) + np.abs(facets.upper)
    tight = np.flatnonzero(facets.rows @ point >= facets.upper - 1e-7 * reach)
    return Facets(csr_array(facets.rows[tight]), facets.upper[tight], facets.violation[tight])
