"""What holds for every method that bounds a network everywhere: no bound is below the constant, by any amount."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from spread import spread

import lipc
from lipc import Query
from lipc.estimators.base import Kind, RefusedError
from lipc.estimators.catalogue import ESTIMATORS
from tests.estimators.estimator_cases import NORMS, NormName, ask, estimate, exact, random_case, reference_cases

METHODS = [
    "naive",
    "autolip",
    "lipsdp",
    "lipsdp{mode=layer}",
    "lipsdp{mode=network}",
    "geolip",
    "seqlip{search=exact}",
    "lipopt",
    "eclipse",
]


def method_of(text: str):
    (method,) = ESTIMATORS.parse(text, "test")
    return method


def check(method: str, seed: int, norm: NormName, output_norm: str) -> None:
    network = random_case(seed)
    if output_norm == "l1" and len(network.weights[-1]) == 1:
        output_norm = "linf"
    truth = exact(seed, norm, output_norm)  # type: ignore[arg-type]
    program = ask(network, norm, output_norm=lipc.Norm(output_norm))
    found = estimate(method_of(method), program)
    assert (found.kind or method_of(method).kind) is Kind.UPPER
    assert found.value >= truth
    assert found.domain == "everywhere"
    inputs = network.weights[0].shape[1]
    if found.norm == f"l_{norm[1:]}":
        assert found.factor == ""
    elif found.norm == "l_2":
        assert found.factor == (f"sqrt({inputs}), l_2 to l_inf" if norm == "linf" else "1, l_2 to l_1")
    else:
        assert (found.norm, norm, found.factor) == ("l_inf", "l2", "1, l_inf to l_2")


@pytest.mark.parametrize(("seed", "method"), spread(range(18), METHODS, every=4))
def test_no_upper_bound_is_below_the_constant_of_random_networks(seed: int, method: str) -> None:
    check(method, seed, NORMS[seed % 3], ("linf", "l1")[seed % 2])


@pytest.mark.slow
@pytest.mark.parametrize("method", [*METHODS, "eclipse{variant=sdp}"])
@pytest.mark.parametrize("seed", range(200))
def test_no_upper_bound_is_below_the_constant_of_many_random_networks(seed: int, method: str) -> None:
    for norm in NORMS:
        for output_norm in ("linf", "l1"):
            check(method, seed, norm, output_norm)


@pytest.mark.parametrize("method", METHODS)
def test_no_upper_bound_is_below_the_reference_values(shared: Path, method: str) -> None:
    for case in reference_cases(shared, sizes="tiny"):
        assert estimate(method_of(method), case.program).value >= case.reference["value"]


@pytest.mark.slow
@pytest.mark.parametrize("method", [*METHODS, "eclipse{variant=sdp}"])
def test_no_upper_bound_is_below_any_reference_value(shared: Path, method: str) -> None:
    answered = 0
    for case in reference_cases(shared):
        try:
            found = estimate(method_of(method), case.program)
        except RefusedError:
            assert method == "lipopt"
            continue
        assert found.value >= case.reference["value"], (case.name, case.norm)
        answered += 1
    assert answered >= 9 if method == "lipopt" else answered == 22


@pytest.mark.parametrize("method", [*METHODS, "seqlip"])
def test_an_affine_network_has_the_dual_norm_of_its_row_in_the_methods_norm(method: str) -> None:
    row = np.array([[3.0, -4.0, 0.0, 12.0]])
    program = lipc.from_weights([row], [np.zeros(1)]).program
    for norm, own in (("linf", 19.0), ("l1", 12.0), ("l2", 13.0)):
        found = estimate(method_of(method), Query(norm=lipc.Norm(norm)).ask(program))
        expected = {"l_inf": 19.0, "l_1": 12.0, "l_2": 13.0}[found.norm]
        if found.factor.startswith("sqrt"):
            expected *= sqrt(4)
        assert found.value >= own
        assert found.value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("method", ["lipsdp{mode=layer}", "seqlip", "lipopt", "eclipse"])
def test_what_needs_a_chain_refuses_another_network(method: str) -> None:
    from lipc.frontends.lip import parse_lip

    network = parse_lip("network n {\n  input x[2]\n  output y = relu(x) + x\n}\n")
    with pytest.raises(RefusedError, match="no chain of affine maps and ReLUs"):
        estimate(method_of(method), Query(output="y[0]").ask(network.program))


@pytest.mark.parametrize("method", ["naive", "autolip", "lipsdp", "geolip"])
def test_residual_connections_are_no_obstacle_to_methods_of_graphs(method: str) -> None:
    from lipc.frontends.lip import parse_lip

    network = parse_lip("network n {\n  input x[2]\n  output y = relu(x) + x\n}\n")
    found = estimate(method_of(method), Query(output="y[0]", norm=lipc.Norm.L2).ask(network.program))
    assert found.value >= 2
    assert found.value == pytest.approx(2, rel=1e-5)


@pytest.mark.parametrize("method", [*METHODS, "seqlip"])
def test_a_range_is_no_question_for_an_estimator(method: str) -> None:
    program = Query(goal="max").ask(lipc.from_weights([np.ones((1, 2))], [np.zeros(1)]).program)
    with pytest.raises(RefusedError, match="answer Lipschitz questions"):
        estimate(method_of(method), program)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_weights_far_from_1_scale_the_bound(method: str, scale: float) -> None:
    network = random_case(0)
    weights = [network.weights[0] * scale, *network.weights[1:]]
    plain = estimate(method_of(method), ask(network)).value
    scaled = estimate(method_of(method), ask(network._replace(weights=weights))).value
    assert scaled == pytest.approx(plain * scale, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-120, 1e-60, 1e40, 1e90, 1e150])
def test_weights_beyond_sense_are_answered_or_refused(method: str, scale: float) -> None:
    network = random_case(0)
    weights = [network.weights[0] * scale, *network.weights[1:]]
    try:
        found = estimate(method_of(method), ask(network._replace(weights=weights)))
    except RefusedError as error:
        assert method not in ("naive", "autolip")
        assert "numbers" in str(error)
    else:
        assert found.value >= exact(0, "linf") * scale * (1 - 1e-12)
