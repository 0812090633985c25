"""The library: its names, every stage on its own, and which room may import which."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import onnx
import oracle
import pytest
from nets import random_network
from onnx import helper, numpy_helper

import lipc
from lipc import Functional, Norm, Query, ball, box, from_weights
from lipc.errors import QueryError
from lipc.formats import lp_chunks, mps_chunks
from lipc.ir import Interval, verify
from lipc.mip import lower
from lipc.passes.bounds import Bounds
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import run_passes
from lipc.solvers.base import Ending, Task
from lipc.solvers.scip import Scip

PACKAGE = Path(lipc.__file__).parent
NET = random_network(0, (2, 5, 4, 2))
DOMAIN = box(-1.0, [1.0, 0.5])


def exact(norm: oracle.Norm = "linf", functional: list[float] | None = None) -> float:
    answer = oracle.lipschitz(*NET, DOMAIN.lower, DOMAIN.upper, functional, norm)
    assert not answer.thin
    return answer.value


def model_proto() -> onnx.ModelProto:
    """Return `NET` as ONNX, in double precision."""
    nodes, tensors, name = [], [], "x"
    for layer, (weight, bias) in enumerate(zip(*NET, strict=True)):
        tensors += [numpy_helper.from_array(weight, f"W{layer}"), numpy_helper.from_array(bias, f"b{layer}")]
        nodes.append(helper.make_node("Gemm", [name, f"W{layer}", f"b{layer}"], [f"z{layer}"], transB=1))
        nodes.append(helper.make_node("Relu", [f"z{layer}"], [f"r{layer}"]))
        name = f"r{layer}"
    kind = onnx.TensorProto.DOUBLE
    inputs = [helper.make_tensor_value_info("x", kind, [1, 2])]
    outputs = [helper.make_tensor_value_info(f"z{layer}", kind, [1, 2])]
    graph = helper.make_graph(nodes[:-1], "network", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_public_names_exist_and_are_documented() -> None:
    assert lipc.__all__ == sorted(lipc.__all__)
    assert dir(lipc) == lipc.__all__
    for name in lipc.__all__:
        thing = getattr(lipc, name)
        if name != "__version__":
            assert inspect.getdoc(thing), name
            # A dataclass without a docstring is given its signature as one.
            assert not inspect.getdoc(thing).startswith(f"{name}("), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lipc.nothing


def test_every_function_of_the_package_has_its_parameters_typed() -> None:
    for name in lipc.__all__:
        thing = getattr(lipc, name)
        if inspect.isfunction(thing):
            signature = inspect.signature(thing)
            assert signature.return_annotation is not inspect.Signature.empty, name
            for parameter in signature.parameters.values():
                assert parameter.annotation is not inspect.Parameter.empty, (name, parameter.name)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_each_stage_on_its_own(mode: str) -> None:
    """From weights to the answer without a file of ours, each stage called by hand on what the last one gave."""
    network = from_weights(*NET)
    asked = Query(DOMAIN, Functional({0: 1.0, 1: -1.0})).ask(network.program)
    verify(asked)
    reduced = run_passes(asked, [Fuse(), Bounds(), PruneStable(), Fuse()]).program
    lowered = run_passes(reduced, [Jacobian(mode), Bounds(), PruneStable(), Fuse()]).program
    assert all(isinstance(known, Interval) for known in lowered.bounds.values())
    program = lower(lowered)
    mps, lp = b"".join(mps_chunks(program)), b"".join(lp_chunks(program))
    assert mps.endswith(b"ENDATA\n")
    assert lp.rstrip().lower().endswith(b"end")
    outcome = Scip().solve(Task(program))
    assert outcome.ending is Ending.OPTIMAL
    assert outcome.bound == pytest.approx(exact(functional=[1, -1]), rel=1e-6)
    values = outcome.solutions[0] @ program.cost + program.constant
    assert values == pytest.approx(exact(functional=[1, -1]), rel=1e-6)


def test_a_program_without_passes_has_the_same_optimum() -> None:
    """The passes are there for speed: the Jacobian alone, with interval bounds, is a correct program."""
    asked = Query(DOMAIN, 0).ask(from_weights(*NET).program)
    program = lower(run_passes(asked, [Jacobian("reverse")]).program)
    assert Scip().solve(Task(program)).bound == pytest.approx(exact(functional=[1, 0]), rel=1e-6)


@pytest.mark.parametrize("kind", ["network", "proto", "path", "text", "compiled"])
def test_models_of_every_kind(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(model_proto(), path)
    models = {"network": from_weights(*NET), "proto": model_proto(), "path": path, "text": str(path)}
    query = Query(DOMAIN, norm=Norm.L1)
    if kind == "compiled":
        result = lipc.solve(lipc.compile(path, query))
    else:
        assert lipc.compile(models[kind], query).mip.binaries > 0
        result = lipc.solve(models[kind], query)
    assert (result.status, result.certified) == ("optimal", True)
    assert result.lower == pytest.approx(exact("l1"), rel=1e-7)
    assert result.upper == pytest.approx(exact("l1"), rel=2e-6)


def test_compiling_changes_nothing_that_was_given() -> None:
    network, query = from_weights(*NET), Query(DOMAIN)
    before = repr(network.program.ops)
    first, second = lipc.compile(network, query), lipc.compile(network, query)
    assert repr(network.program.ops) == before
    assert b"".join(mps_chunks(first.mip)) == b"".join(mps_chunks(second.mip))
    lipc.solve(first)
    assert b"".join(mps_chunks(first.mip)) == b"".join(mps_chunks(second.mip))


@pytest.mark.parametrize(
    ("output", "functional"),
    [
        (0, [1, 0]),
        ("0", [1, 0]),
        ("1", [0, 1]),
        (" 1 ", [0, 1]),
        (np.int64(1), [0, 1]),
        ("y[1]", [0, 1]),
        ("-y[1]", [0, -1]),
        ("y[0] - y[1]", [1, -1]),
        ("2*y[0]+y[1]*3", [2, 3]),
        ("y[0]/4 - .5*y[1] + 7", [0.25, -0.5]),
        ("y[0] - y[0]", [0, 0]),
        ("y[1] + y[1]", [0, 2]),
        (Functional({0: 1.0, 1: 2.0}, 3.0), [1, 2]),
    ],
)
def test_outputs(output: object, functional: list[float]) -> None:
    result = lipc.solve(from_weights(*NET), Query(DOMAIN, output))  # type: ignore[arg-type]
    assert result.lower == pytest.approx(exact(functional=functional), rel=1e-7)


@pytest.mark.parametrize("output", [-1, 2, "2", Functional({-1: 1.0}), Functional({5: 1.0})])
def test_outputs_that_do_not_exist(output: object) -> None:
    with pytest.raises(QueryError):
        lipc.compile(from_weights(*NET), Query(DOMAIN, output))  # type: ignore[arg-type]


@pytest.mark.parametrize("radius", [float("nan"), -1.0, -1e-300])
def test_a_ball_needs_a_radius(radius: float) -> None:
    with pytest.raises(QueryError):
        ball([0.0, 0.0], radius)


def test_the_result_reads_like_the_json() -> None:
    result = lipc.solve(from_weights(*NET), Query(DOMAIN))
    content = result.to_dict()
    assert content["lower"] == result.lower <= result.upper == content["upper"]
    assert content["gap"] == result.gap == pytest.approx(0.0, abs=2e-6)
    assert result.witness is not None
    assert result.witness.x.shape == (2,)


# Which room may import which: only those to its left in the order of the design, and never a solver before its time.
