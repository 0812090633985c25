"""Upper bounds of polynomials over the unit cube by linear programming, proven from the multipliers.

Products of z_i and ``1 - z_i`` are nonnegative over the cube. With multipliers ``c >= 0`` of such products h

    p  <=  p + sum c_h h  =  lambda + sum over monomials m of rho_m m  <=  lambda + sum max(rho_m, 0)

and the program makes rho 0 and lambda small (Krivine 1964, Handelman 1988). What the solver leaves of rho is paid for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from itertools import combinations_with_replacement, product

import numpy as np
from scipy.sparse import csr_array, kron

from lipc.bounds.lp import LinearProgram, solve_linear_program
from lipc.bounds.rounding import UNIT
from lipc.ir import Floats


@dataclass(frozen=True, eq=False)
class Certificates:
    """Products that are nonnegative over the cube.

    Parameters
    ----------
    products
        Shape ``(products, monomials)``: their coefficients, whole numbers; the first monomial is 1.
    """

    products: csr_array

    def bound(self, polynomial: Floats, seconds: float = np.inf) -> float | None:
        """Return a proven upper bound of a polynomial over the cube; `None` if the solver finds none in time.

        Parameters
        ----------
        polynomial
            Shape ``(monomials,)``.
        """
        unknown = self.products[:, 1:]
        constants = np.asarray(self.products[:, [0]].todense()).reshape(-1)
        wide = np.full(len(polynomial) - 1, np.inf)
        scale = float(np.abs(polynomial).max(initial=0.0))
        if scale == 0:
            return 0.0
        moments = LinearProgram(polynomial[1:] / scale, csr_array(unknown), -constants, -wide, wide)
        solution = solve_linear_program(moments, seconds)
        if solution is None or not np.isfinite(solution.multipliers).all():
            return None
        multipliers = np.maximum(solution.multipliers, 0.0) * scale
        left = polynomial + self.products.T @ multipliers
        sizes = np.abs(polynomial) + abs(self.products).T @ multipliers
        error = (self.products.shape[0] + 8) * UNIT * sizes
        upper = left + error
        above = float(np.maximum(upper[1:], 0.0).sum())
        return float(np.nextafter((upper[0] + above) + (len(left) + 8) * UNIT * (abs(upper[0]) + above), np.inf))


def one_of_each(groups: list[int]) -> Certificates:
    """Return the products of one factor for each group of variables; monomials likewise have one of each, or none.

    The monomial ``(i_1, i_2, ..)``, 0 for none, stands at its place in row-major order of ``groups + 1``.
    """
    return Certificates(csr_array(reduce(kron, map(_factors, groups))))


def _factors(size: int) -> csr_array:
    """Return ``z_i`` and ``1 - z_i`` of a group over 1 and its variables."""
    return csr_array(np.block([[np.zeros((size, 1)), np.eye(size)], [np.ones((size, 1)), -np.eye(size)]]))


def all_products(variables: int, degree: int) -> tuple[Certificates, dict[tuple[int, ...], int]]:
    """Return all products of so many factors, and the places of monomials, which are sorted tuples of variables."""
    places: dict[tuple[int, ...], int] = {(): 0}
    rows, columns, numbers = [], [], []
    for row, factors in enumerate(combinations_with_replacement(range(2 * variables), degree)):
        plain = [factor for factor in factors if factor < variables]
        mirrored = [factor - variables for factor in factors if factor >= variables]
        terms: Counter[tuple[int, ...]] = Counter()
        for chosen in product((False, True), repeat=len(mirrored)):
            taken = [variable for variable, take in zip(mirrored, chosen, strict=True) if take]
            terms[tuple(sorted(plain + taken))] += (-1) ** len(taken)
        for monomial, number in terms.items():
            rows.append(row)
            columns.append(places.setdefault(monomial, len(places)))
            numbers.append(float(number))
    shape = (max(rows, default=-1) + 1, len(places))
    return Certificates(csr_array((np.array(numbers), (np.array(rows), np.array(columns))), shape=shape)), places
