"""LipOpt: the derivative as a polynomial in directions and slopes, bounded by linear programs."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, prod
from time import monotonic
from typing import ClassVar

import numpy as np

from lipc.bounds.handelman import Certificates, all_products, one_of_each
from lipc.bounds.rounding import UNIT
from lipc.bounds.unrolled import derivative_slack
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.estimators.layers import layers_of
from lipc.estimators.operator_norms import dual_length
from lipc.ir import Floats, Norm, Program
from lipc.ir.norms import sign_rows

MOST_PRODUCTS = 40_000
"""Columns of a linear program: it takes about a minute."""

MOST_OUTPUTS = 16
"""Functions of the outputs, each with programs of its own."""


@dataclass(frozen=True)
class LipOpt(Estimator):
    """The Krivine hierarchy for ``max c' W_n D .. D W_1 v`` over v in the ball of l_inf and slopes within 0 and 1.

    For small networks: products of factors ``z`` and ``1 - z`` are as many as there are ways to choose them. What the
    linear program says is proven again from its multipliers.

    Parameters
    ----------
    degree
        Of the products: all of so many factors. 0: of one factor for the direction and one for each layer, the least
        in which the polynomial can be written.
    """

    name: ClassVar[str] = "lipopt"
    kind: ClassVar[Kind] = Kind.UPPER
    source: ClassVar[str] = "Latorre, Rolland & Cevher, Lipschitz constant estimation ... via sparse polynomial " + (
        "optimization, ICLR 2020, (7)"
    )

    degree: int = 0

    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the bound, the largest over the functions of the outputs; in l_1 over the corners of the ball."""
        question = question_of(program)
        *inner, last = layers_of(program).dense()
        signed = question.output_norm is Norm.L1 and len(last) > 1
        if len(last) > MOST_OUTPUTS or (signed and 2 ** (len(last) - 1) > MOST_OUTPUTS):
            raise RefusedError(f"{len(last)} outputs are too many for polynomials", hint="ask for a function of them")
        rows = (sign_rows(len(last)) if signed else np.eye(len(last))) @ last
        norm = Norm.L1 if question.norm is Norm.L1 else Norm.LINF
        value = self._largest(inner, rows, norm, limits) if inner else float(dual_length(rows, norm).max())
        slack = derivative_slack(program, len(last))
        value = float(np.nextafter(max(value, 0.0) + (slack.sum() if signed else slack.max()) * (1 + 1e-9), np.inf))
        factor = "1, l_inf to l_2" if question.norm is Norm.L2 else ""
        return Estimate(value, norm.symbol, "everywhere", factor)

    def _largest(self, inner: list[Floats], rows: Floats, norm: Norm, limits: Limits) -> float:
        """Return the bound of the rows times the layers before; rounding of the coefficients is in it."""
        sizes = [len(weight) for weight in inner]
        groups = sizes if norm is Norm.L1 else [inner[0].shape[1], *sizes]
        basis = _Basis.of(groups, self.degree)
        largest = 0.0
        for row in rows:
            paths = _paths([*inner, row[None]])
            total = float(np.abs(paths).sum())
            error = 16 * (sum(sizes) + inner[0].shape[1] + 8) * UNIT * total
            if norm is Norm.LINF:
                polynomials = [np.concatenate([-paths.sum(axis=0)[None], 2 * paths])]  # v = 2 t - 1
            else:
                polynomials = [way * path for path in paths for way in (1.0, -1.0)]
            for polynomial in polynomials:
                found = basis.bound(polynomial, limits.deadline - monotonic())
                if found is None:
                    raise RefusedError("no bound was found within the time limit", hint="a longer one")
                largest = max(largest, found + error)
        return largest


def _paths(weights: list[Floats]) -> Floats:
    """Return the products of weights along all paths, shape ``(inputs, n_1, n_2, ..)``."""
    paths = weights[0].T
    for weight in weights[1:-1]:
        paths = paths[..., None] * weight.T
    return np.asarray(paths * weights[-1][0])


@dataclass(frozen=True, eq=False)
class _Basis:
    """Products, and where the monomials of one variable of each layer stand among theirs."""

    certificates: Certificates
    places: np.ndarray
    groups: list[int]

    @staticmethod
    def of(groups: list[int], degree: int) -> _Basis:
        """Return the products for layers of variables.

        Raises
        ------
        RefusedError
            If they are too many, or the degree is too low.
        """
        variables = sum(groups)
        count = comb(2 * variables + degree - 1, degree) if degree else prod(2 * size for size in groups)
        if 0 < degree < len(groups):
            raise RefusedError(f"the polynomial has degree {len(groups)}, more than {degree}", hint="lipopt")
        if count > MOST_PRODUCTS:
            message = f"the network has {count} products, and linear programs take up to {MOST_PRODUCTS}"
            raise RefusedError(message, hint="for small networks; geolip is for larger ones")
        shape = tuple(size + 1 for size in groups)
        if not degree:
            return _Basis(one_of_each(groups), np.arange(prod(shape)).reshape(shape), groups)
        certificates, found = all_products(variables, degree)
        starts = np.cumsum([0, *groups])[:-1]
        places = np.zeros(shape, np.int64)
        for index in np.ndindex(*shape):
            monomial = tuple(int(start + at - 1) for start, at in zip(starts, index, strict=True) if at)
            places[index] = found[monomial]
        return _Basis(certificates, places, groups)

    def bound(self, polynomial: Floats, seconds: float) -> float | None:
        """Return a bound of a polynomial with a monomial of each layer; the first layer may have the constant 1."""
        coefficients = np.zeros(self.certificates.products.shape[1])
        inner = tuple(slice(size + 1 - have, None) for size, have in zip(self.groups, polynomial.shape, strict=True))
        coefficients[self.places[inner]] = polynomial
        return self.certificates.bound(coefficients, seconds)
