"""Products of spectral norms, and that each is proven."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

from lipc import Norm, Query
from lipc.estimators import operator_norms
from lipc.estimators.autolip import AutoLip
from lipc.estimators.operator_norms import spectral_norm
from lipc.ir import Affine, Program
from lipc.ir.matrix import as_dense
from lipc.models import read_model
from tests.estimators.estimator_cases import estimate, reference_cases


def test_the_product_is_that_of_numpy(shared: Path) -> None:
    for case in reference_cases(shared):
        factor = np.sqrt(case.weights[0].shape[1]) if case.norm == "linf" else 1.0
        product = np.prod([np.linalg.norm(weight, 2) for weight in case.weights]) * factor
        assert estimate(AutoLip(), case.program).value == pytest.approx(product, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_a_spectral_norm_is_never_below_the_exact_one(seed: int) -> None:
    # a b' has the norm |a| |b| exactly, a root of a whole number.
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-9, 10, 7), rng.integers(-9, 10, 5)
    a[0] = b[0] = 1
    square = Fraction(int(a @ a) * int(b @ b))
    for scale in (1.0, 2.0**-600, 2.0**500):
        found = spectral_norm(np.outer(a, b) * scale)
        assert Fraction(found) ** 2 >= square * Fraction(scale) ** 2
        assert found == pytest.approx(float(square) ** 0.5 * scale, rel=1e-11)


def test_the_frobenius_norm_is_not_called_spectral() -> None:
    assert spectral_norm(np.eye(6)) == pytest.approx(1.0, rel=1e-12)
    assert spectral_norm(csr_array(np.eye(6))) == pytest.approx(1.0, rel=1e-12)


def test_the_value_of_power_iteration_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(30, 40))
    truth = np.linalg.norm(matrix, 2)
    guess = operator_norms._largest_eigenvalue
    for part in (1 - 1e-13, 1 - 1e-9, 0.9):  # power iteration that stopped early: nothing less than the norm is proven
        monkeypatch.setattr(operator_norms, "_largest_eigenvalue", lambda gram, part=part: part * guess(gram))
        assert spectral_norm(matrix) >= truth


def test_a_start_that_misses_the_largest_singular_vector_does_no_harm() -> None:
    matrix = np.eye(300)
    matrix[:2, :2] += 0.5 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert 2 <= spectral_norm(csr_array(matrix)) <= 2 * (1 + 1e-9)


def test_what_is_too_large_to_factorize_has_a_looser_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    for matrix in (rng.normal(size=(30, 40)), np.abs(rng.normal(size=(30, 40))), np.diag(np.arange(40.0))):
        truth = np.linalg.norm(matrix, 2)
        loose = np.linalg.norm(np.abs(matrix), 2)
        monkeypatch.setattr(operator_norms, "MOST_ROWS", 10)
        found = spectral_norm(csr_array(matrix))
        assert truth <= found <= min(loose, np.linalg.norm(matrix)) * 1.05
        monkeypatch.undo()


def by_singular_values(program: Program) -> float:
    """Return the sums of products over the graph, the functional and the last layer as one, with norms of `svds`."""
    *_, last, functional = program.ops
    assert isinstance(last, Affine) and isinstance(functional, Affine)
    sizes: list[float] = []
    for op in program.ops[:-2]:
        if isinstance(op, Affine):
            terms = [(term.matrix, sizes[term.operand]) for term in op.terms]
            sizes.append(
                sum(svds(csr_array(matrix), 1, return_singular_vectors=False)[0] * size for matrix, size in terms)
            )
        else:
            sizes.append(sizes[op.operands[0]] if op.operands else 1.0)
    row = as_dense(functional.terms[0].matrix) @ as_dense(last.terms[0].matrix)
    return float(np.linalg.norm(row) * sizes[last.terms[0].operand])


def test_a_residual_network_of_convolutions_takes_seconds(shared: Path) -> None:
    network = read_model(shared / "models" / "cifar10_resnet" / "resnet_2b.onnx")
    program = Query(output="y[0] - y[1]", norm=Norm.L2).ask(network.program)
    start = process_time()
    found = estimate(AutoLip(), program)
    assert process_time() - start < 20
    assert found.value == pytest.approx(by_singular_values(program), rel=1e-6)
