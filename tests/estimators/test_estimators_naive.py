"""The product of operator norms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipc.estimators.naive import Naive
from tests.estimators.estimator_cases import estimate, reference_cases

NUMPY = {"linf": np.inf, "l1": 1, "l2": 2}


def test_the_product_is_that_of_numpy_and_of_the_peer_where_the_peer_is_right(shared: Path) -> None:
    agreed = 0
    for case in reference_cases(shared):
        found = estimate(Naive(), case.program).value
        order = NUMPY[case.norm]
        assert found == pytest.approx(np.prod([np.linalg.norm(weight, order) for weight in case.weights]), rel=1e-9)
        peer = case.reference["peers"].get("NaiveUB")
        # The peer multiplies by the norm of the column c instead of that of the row c': for c = (1, -1) by 1 instead of
        # 2 in l_inf, by 2 instead of 1 in l_1; and c and W_n count apart. For c = (1) there is no difference.
        if peer is not None and case.name.split("_")[1].endswith("-1"):
            assert found == pytest.approx(peer["value"], rel=1e-5)
            agreed += 1
    assert agreed == 8


def test_the_functional_counts_with_the_dual_norm() -> None:
    # c = (1, -1), W = I: y[0] - y[1] changes by 2 in l_inf. The norm of l_inf of c itself is 1.
    import lipc
    from lipc import Query

    program = lipc.from_weights([np.eye(2), np.eye(2)], [np.zeros(2), np.zeros(2)]).program
    assert estimate(Naive(), Query(output="y[0] - y[1]").ask(program)).value == pytest.approx(2, rel=1e-12)
    in_l1 = estimate(Naive(), Query(output="y[0] - y[1]", norm=lipc.Norm.L1).ask(program)).value
    assert in_l1 == pytest.approx(1, rel=1e-12)
