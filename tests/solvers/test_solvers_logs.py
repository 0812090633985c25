"""Dual bounds in logs, as the solvers printed them."""

from __future__ import annotations

import pytest

from lipc.solvers import logs

LINES = [
    (
        logs.CBC,
        "Cbc0010I After 0 nodes, 1 on tree, -1.1119397 best solution, best possible -5.0058164 (0.58 s)",
        -5.0058164,
    ),
    (
        logs.CBC,
        "Cbc0005I Partial search - best objective -1.1119397 (best possible -5.0058164), took 15154 iterations and 72 "
        "nodes (1.00 seconds)",
        -5.0058164,
    ),
    (logs.GLPK, "+ 26580: >>>>>  -1.579670638e+00 >=  -1.912831737e+00  21.1% (949; 1199)", -1.912831737),
    (logs.HIGHS, "  Dual bound        -5.02725808549", -5.02725808549),
    (logs.SCIP, "Dual Bound         : +1.00000000000000e+00", 1.0),
    (logs.GUROBI, "Best objective 1.1e+02, best bound 1.2e+02, gap 9.0909%", 120.0),
]


@pytest.mark.parametrize(("patterns", "line", "bound"), LINES)
def test_a_bound_is_read_and_never_too_high(patterns: tuple[logs.BoundPattern, ...], line: str, bound: float) -> None:
    for each in (patterns, logs.ANY):
        found = logs.bound_in(line, each)
        assert found is not None and found < bound and found == pytest.approx(bound, rel=2e-7)


@pytest.mark.parametrize(
    "line",
    [
        "+ 31270: mip =  -1.579670638e+00 >=     tree is empty   0.0% (0; 3929)",
        "+   147: mip =     not found yet >=              -inf        (1; 0)",
        "Lower bound:                    -5.006",
        "  Dual bound        inf",
        "best possible",
        "Dual bound .",
        "",
    ],
)
def test_what_states_no_bound_gives_none(line: str) -> None:
    assert logs.bound_in(line, logs.ANY) is None
