from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import coo_array, csc_array, csr_array

from lipc.ir import (
    Floats,
    Matrix,
    Polytope,
    add,
    as_dense,
    as_matrix,
    compose,
    entries,
    identity,
    scatter,
    selection,
    transpose,
)

RNG = np.random.default_rng(3)
LEFT = RNG.integers(-2, 3, (4, 3)).astype(float)
RIGHT = RNG.integers(-2, 3, (3, 5)).astype(float)
FORMS: dict[str, Callable[[Floats], Matrix]] = {"dense": lambda matrix: matrix, "csr": csr_array}


def is_clean(matrix: Matrix) -> bool:
    """Whether a CSR matrix is canonical and stores no zero; dense ones are float64 arrays of two dimensions."""
    if isinstance(matrix, csr_array):
        copy = csr_array((matrix.data.copy(), matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
        return bool(copy.has_canonical_format) and bool((copy.data != 0).all()) and copy.dtype == np.float64
    return isinstance(matrix, np.ndarray) and matrix.ndim == 2 and matrix.dtype == np.float64


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("second", FORMS)
def test_products_and_sums_of_dense_and_sparse(first: str, second: str) -> None:
    product = compose(FORMS[first](LEFT), FORMS[second](RIGHT))
    total = add(FORMS[first](LEFT), FORMS[second](2 * LEFT[::-1]))
    np.testing.assert_array_equal(as_dense(product), LEFT @ RIGHT)
    np.testing.assert_array_equal(as_dense(total), LEFT + 2 * LEFT[::-1])
    for made in (product, total):
        assert is_clean(made)
        assert isinstance(made, csr_array) == (first == second == "csr")


@pytest.mark.parametrize("form", FORMS)
def test_transpose_and_entries(form: str) -> None:
    matrix = FORMS[form](LEFT)
    turned = transpose(matrix)
    np.testing.assert_array_equal(as_dense(turned), LEFT.T)
    assert is_clean(turned)
    assert isinstance(turned, csr_array) == (form == "csr")
    assert entries(matrix) == entries(turned) == np.count_nonzero(LEFT)


def test_cancelled_entries_are_not_stored() -> None:
    matrix = csr_array(LEFT)
    assert entries(add(matrix, csr_array(-LEFT))) == 0
    assert entries(compose(csr_array([[1.0, -1.0]]), csr_array([[1.0, 2.0], [1.0, 3.0]]))) == 1


@pytest.mark.parametrize(
    "given",
    [
        coo_array(([1.0, 2.0, 3.0, 0.0], ([0, 0, 1, 1], [2, 2, 0, 1])), shape=(2, 3)),
        csc_array([[0, 0, 3], [3, 0, 0]]),
        csr_array((np.array([3.0, 3.0]), np.array([2, 0]), np.array([0, 1, 2])), shape=(2, 3)),
        [[0, 0, 3], [3, 0, 0]],
        np.array([[0, 0, 3], [3, 0, 0]], np.float32),
    ],
)
def test_as_matrix_makes_float64_in_canonical_form(given: object) -> None:
    matrix = as_matrix(given)  # type: ignore[arg-type]
    assert is_clean(matrix)
    np.testing.assert_array_equal(as_dense(matrix), [[0, 0, 3], [3, 0, 0]])


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
def test_as_matrix_leaves_what_it_was_given(kind: type) -> None:
    given = csr_array((np.array([0, 3, 4], kind), np.array([2, 0, 1]), np.array([0, 2, 3])), shape=(2, 3))
    as_matrix(given)
    assert given.nnz == 3
    np.testing.assert_array_equal(given.toarray(), [[3, 0, 0], [0, 4, 0]])


def test_a_vector_is_one_row() -> None:
    assert as_matrix([1, 2, 3]).shape == (1, 3)


@pytest.mark.parametrize(
    ("columns", "scale", "expected"),
    [
        ([1, 0], 1.0, [[0, 1, 0], [1, 0, 0]]),
        ([2, -1, 2], 1.0, [[0, 0, 1], [0, 0, 0], [0, 0, 1]]),
        ([2, -1, 0], [5.0, 6.0, 7.0], [[0, 0, 5], [0, 0, 0], [7, 0, 0]]),
        ([-5], 1.0, [[0, 0, 0]]),
        ([], 1.0, np.zeros((0, 3))),
    ],
)
def test_selection(columns: list[int], scale: float | list[float], expected: Floats) -> None:
    matrix = selection(columns, 3, scale)
    np.testing.assert_array_equal(matrix.toarray(), expected)
    assert matrix.has_canonical_format


def test_scatter_undoes_a_selection() -> None:
    rows = np.array([4, 0, 2])
    put = scatter(rows, 5)
    np.testing.assert_array_equal(put @ np.array([1.0, 2.0, 3.0]), [2, 0, 3, 0, 1])
    np.testing.assert_array_equal((selection(rows, 5) @ put).toarray(), np.eye(3))
    assert put.has_canonical_format


def test_identity() -> None:
    np.testing.assert_array_equal(identity(3).toarray(), np.eye(3))
    np.testing.assert_array_equal(identity(3, [1.0, -2.0, 0.5]).toarray(), np.diag([1, -2, 0.5]))


def test_polytopes() -> None:
    assert Polytope.box([0.0], [1.0]).is_bounded_box
    assert not Polytope.space(2).is_bounded_box
    assert not Polytope.one_of(2).is_bounded_box
    assert Polytope.simplex(4).size == 4
    clipped = Polytope.box([0.0, -1.0], [1.0, 1.0]).clip(np.array([[2.0, -3.0], [0.5, 0.0]]))
    np.testing.assert_array_equal(clipped, [[1, -1], [0.5, 0]])
    one_of, simplex = Polytope.one_of(3), Polytope.simplex(3)
    for domain, sums in ((one_of, (1.0, 1.0)), (simplex, (0.0, 1.0))):
        np.testing.assert_array_equal(domain.rows.toarray(), [[1, 1, 1]])
        assert (domain.row_lower[0], domain.row_upper[0]) == sums
