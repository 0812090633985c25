"""Print, parse, print again: the same program to the last bit, and the same text."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from nets import random_network
from program_strategies import assert_same_program, programs
from sample_programs import dense, max_pool, mixed, residual
from scipy.sparse import csr_array

from lipc import Query, ball, box, from_weights
from lipc.formats.lir import read_lir, write_lir
from lipc.frontends.onnx import read_onnx
from lipc.ir import (
    Affine,
    Input,
    Matrix,
    Norm,
    Origin,
    Polytope,
    Program,
    Term,
    parse_program,
    print_program,
    print_with_constants,
    verify,
)
from lipc.passes.jacobian import Mode
from lipc.passes.pipeline import Level, named_pipeline
from lipc.passes.run import run_passes


def check_round_trip(program: Program) -> None:
    verify(program)
    text = print_program(program)
    again = parse_program(text)
    assert_same_program(program, again)
    assert print_program(again) == text
    for external in (0, 3):
        text, constants = print_with_constants(program, external)
        again = parse_program(text, constants=constants)
        assert_same_program(program, again)
        assert print_with_constants(again, external)[0] == text


@given(programs())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_programs(program: Program) -> None:
    check_round_trip(program)


@pytest.mark.slow
@given(programs())
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_random_programs(program: Program) -> None:
    check_round_trip(program)


@pytest.mark.parametrize(
    "matrix",
    [
        csr_array((np.ones(2), [1, 1], [0, 1, 2, 2]), shape=(3, 2)),  # as many ones as columns, all in one
        csr_array((np.ones(2), [0, 1], [0, 2, 2, 2]), shape=(3, 2)),
        csr_array((np.ones(2), [1, 0], [0, 1, 2]), shape=(2, 2)),
        csr_array((np.full(3, -0.0), [0, 1, 2], [0, 1, 2, 3]), shape=(3, 3)),
        csr_array((np.array([0.0, -0.0, 0.0]), [0, 1, 2], [0, 1, 2, 3]), shape=(3, 3)),
        csr_array((np.array([0.0, -0.0]), [0, 0], [0, 1, 2]), shape=(2, 1)),
        csr_array((np.array([-0.0, 1.0]), [0, 2], [0, 0, 2]), shape=(2, 3)),
        -np.eye(3),
        np.full((1, 1), -0.0),
    ],
)
def test_matrices_that_are_nearly_something_else(matrix: Matrix) -> None:
    rows, columns = matrix.shape
    origin = Origin("", kept=np.array([-2, -1, 0]))
    ops = (Input(origin, Polytope.space(columns)), Affine(origin, (Term(0, matrix),), np.zeros(rows)))
    check_round_trip(Program(ops, 1))


def real_programs() -> dict[str, Program]:
    return {
        "dense": dense(random_network(0, (3, 6, 5, 2))).program,
        "zero weights": dense(random_network(1, (3, 6, 5, 2), "zero weights"), norm=Norm.L1).program,
        "residual": residual(2, outputs=2).program,
        "max-pool": max_pool(3).program,
        "mixed": mixed(4).program,
    }


def check_after_each_pass(program: Program, level: Level, mode: Mode) -> None:
    steps = run_passes(program, named_pipeline(level, mode)).steps
    for step in steps:
        check_round_trip(step.after)
    assert any(step.name == "jacobian" for step in steps)
    assert level == 0 or steps[-1].after.bounds


@pytest.mark.parametrize(("name", "mode"), [("dense", "forward"), ("max-pool", "reverse"), ("mixed", "forward")])
def test_programs_after_each_pass(name: str, mode: Mode) -> None:
    check_after_each_pass(real_programs()[name], 2, mode)


@pytest.mark.slow
@pytest.mark.parametrize("name", real_programs())
@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("level", get_args(Level))
def test_programs_after_each_pass_of_every_pipeline(name: str, mode: Mode, level: Level) -> None:
    check_after_each_pass(real_programs()[name], level, mode)


@pytest.mark.parametrize("domain", ["ball", "cut", "everything"])
def test_programs_of_questions(domain: str) -> None:
    network = from_weights(*random_network(5, (3, 6, 2)))
    domains = {
        "ball": ball([0.1, 0.2, 0.3], 0.5, norm=Norm.L1),
        "cut": box(-1.0, [1.0, 1.0, 0.5]).with_rows([[1.0, 1.0, 0.0], [0.0, 1.0, -1.0]], [-np.inf, 0.0], 1.0),
    }
    program = network.program if domain == "everything" else Query(domains[domain]).ask(network.program)
    check_round_trip(program)


def test_the_digits_of_the_examples(tmp_path: Path) -> None:
    """A real network, with its constants beside it: the file is for reading."""
    program = read_onnx(Path(__file__).parents[2] / "examples" / "digits.onnx").program
    check_round_trip(program)
    write_lir(program, tmp_path / "digits.lir")
    assert_same_program(program, read_lir(tmp_path / "digits.lir"))
    assert len((tmp_path / "digits.lir").read_text(encoding="utf-8")) < 4000


def test_a_large_network_takes_no_time() -> None:
    """270,000 numbers in the text; 0.25 s on an idle machine."""
    program = dense(random_network(6, (784, 256, 256, 10))).program
    text = print_program(program)
    started = perf_counter()
    again = parse_program(text)
    assert perf_counter() - started < 5
    assert_same_program(program, again)
