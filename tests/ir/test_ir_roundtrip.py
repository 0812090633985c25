"""Print, parse, print again: the same program to the last bit, and the same text."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from program_strategies import assert_same_program, programs

from lipc.ir import Program, parse_program, print_program, print_with_constants, verify


def check_round_trip(program: Program) -> None:
    verify(program)
    text = print_program(program)
    again = parse_program(text)
    assert_same_program(program, again)
    assert print_program(again) == text
    assert parse_program(text.encode().decode()) is not again
    for external in (0, 3):
        text, constants = print_with_constants(program, external)
        again = parse_program(text, constants=constants)
        assert_same_program(program, again)
        assert print_with_constants(again, external)[0] == text


@given(programs())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_programs(program: Program) -> None:
    check_round_trip(program)


@pytest.mark.slow
@given(programs())
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_random_programs(program: Program) -> None:
    check_round_trip(program)
