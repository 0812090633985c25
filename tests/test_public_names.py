"""The names that are promised: other programs import them from here. Add freely; remove or rename with a release."""

from __future__ import annotations

import importlib
import inspect

import pytest

PROMISED = {
    "lipc": "Check Compiled Functional LipcError Network Norm Options Query Result __version__ ball box certify_radius "
    "check compile from_weights solve write_model",
    "lipc.bounds": "interval_bounds linear_bounds",
    "lipc.checking": "Check Violation check",
    "lipc.compiler": "Compiled Neurons ask compile",
    "lipc.diagnostics": "Diagnostic Severity SourceError SourceText Span WARNINGS",
    "lipc.driver": "Options Report solve",
    "lipc.errors": "InternalError LipcError ModelError OutputError QueryError SolutionError SolverError",
    "lipc.formats": "Format lp_chunks mps_chunks read_sidecar write_model",
    "lipc.formats.lir": "read_lir write_lir",
    "lipc.formats.solutions": "SolutionFile read_solution",
    "lipc.frontends": "Network from_weights",
    "lipc.frontends.lip": "parse_lip read_lip",
    "lipc.frontends.onnx": "import_onnx read_onnx",
    "lipc.frontends.vnnlib": "InputProperty parse_vnnlib read_vnnlib",
    "lipc.ir": "Affine Builder Choices Conditional Floats Input Interval Kind L1Ball Lipschitz Matrix Norm Objective "
    "Op Origin Polytope Program Sense Switch Term add as_dense as_matrix compose entries evaluate identity "
    "nonzero_columns parse_program print_program pullback pushforward scatter selection transpose verify",
    "lipc.mip": "Block Formulation MixedIntegerProgram Role add_rows choices_of columns_of lower",
    "lipc.models": "Model network_of read_model",
    "lipc.passes.base": "Pass PassResult Source kept_whole",
    "lipc.passes.bounds": "Bounds",
    "lipc.passes.canonicalize": "Canonicalize",
    "lipc.passes.cse": "CommonSubexpressionElimination",
    "lipc.passes.dce": "DeadCodeElimination",
    "lipc.passes.fold": "Fold",
    "lipc.passes.fuse": "Fuse",
    "lipc.passes.jacobian": "Jacobian",
    "lipc.passes.merge_duplicates": "MergeDuplicates",
    "lipc.passes.pipeline": "describe_pass named_pipeline parse_pipeline pass_names print_pipeline",
    "lipc.passes.prune_stable": "PruneStable",
    "lipc.passes.run": "Step Trail run_passes",
    "lipc.passes.scale": "Scale",
    "lipc.outputs": "Differences Functional parse_functional parse_output",
    "lipc.query": "Differences Functional Query ball box parse_functional parse_output",
    "lipc.radius": "ClassRadius RadiusResult certify_radius",
    "lipc.result": "Result",
    "lipc.solvers.base": "Capabilities Ending Outcome Solver Task",
    "lipc.solvers.custom": "CustomSolver",
    "lipc.solvers.registry": "found_solvers solver_named",
    "lipc.solvers.scip": "Scip",
}


@pytest.mark.parametrize("module", PROMISED)
def test_the_promised_names_are_there_and_documented(module: str) -> None:
    found = importlib.import_module(module)
    for name in PROMISED[module].split():
        thing = getattr(found, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__doc__, f"{module}.{name} has no docstring"
            assert not name.startswith("_")


@pytest.mark.parametrize("module", [name for name in PROMISED if name.count(".") <= 1])
def test_what_a_room_exports_it_says(module: str) -> None:
    found = importlib.import_module(module)
    exported = getattr(found, "__all__", None)
    if exported is not None:
        assert list(exported) == sorted(exported)
        assert set(PROMISED[module].split()) <= set(exported)
