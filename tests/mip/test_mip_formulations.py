"""How the formulations are written, and what keeps readers from taking them for something else."""

from __future__ import annotations

import numpy as np
import pytest

import lipc
from lipc import Query, box, from_weights
from lipc.errors import InternalError, QueryError
from lipc.formats import lp_chunks, mps_chunks
from lipc.ir import parse_program
from lipc.mip import Block, Formulation, MixedIntegerProgram, Role, add_rows, lower
from tests.formats.format_programs import program as small_program

FLIPPED = """program {
  %0: vec[1] = input box [-2.0] .. [1.0]
  %1: bits[1] = conditional %0
  %2: vec[1] = switch %0, %1
  maximize %2
}
"""


def text(program: MixedIntegerProgram, ending: str = "mps") -> str:
    return b"".join((mps_chunks if ending == "mps" else lp_chunks)(program)).decode()


def lowered(formulation: Formulation) -> MixedIntegerProgram:
    return lower(parse_program(FLIPPED), formulation=formulation)


def test_indicators_stand_without_big_m() -> None:
    """relu over [-2, 1]: on <= 0 where the bit is 0; x - on >= 0 where it is 1."""
    program = lowered("indicator")
    bit = program.column_names().index(next(block.name for block in program.columns if block.role is Role.BIT) + "_0")
    assert not program.matrix.toarray()[:, bit].any()
    names, rows = program.row_names(), program.indicators
    found = {names[row]: (column, when) for row, column, when in zip(rows.row, rows.bit, rows.when, strict=True)}
    assert sorted(when for _, when in found.values()) == [0, 1] and {column for column, _ in found.values()} == {bit}
    lines = text(program).splitlines()
    start = lines.index("INDICATORS")
    assert lines[start - 1].startswith(" ") and lines[-1] == "ENDATA"
    assert all(line.split()[0] == "IF" and line.split()[3] in "01" for line in lines[start + 1 : -1])
    assert sum(" -> " in line for line in text(program, "lp").splitlines()) == 2


def test_sets_are_pairs_of_columns_that_are_not_negative() -> None:
    program = lowered("sos1")
    assert program.sets.shape == (2, 2)
    assert (program.column_lower[program.sets] == 0).all()
    np.testing.assert_array_equal(sorted(program.column_upper[program.sets[:, 0]]), [1.0, 2.0])
    lines = text(program).splitlines()
    start = lines.index("SOS")
    names = program.column_names()
    expected = [
        line
        for number, (first, second) in enumerate(program.sets.tolist(), 1)
        for line in (f" S1 set_{number}", f" {names[first]} 1", f" {names[second]} 2")
    ]
    assert lines[start + 1 : -1] == expected
    lp = text(program, "lp")
    assert lp.index("Binaries") < lp.index("\nSOS\n") < lp.index("\nEnd\n")


def test_big_m_needs_neither() -> None:
    program = lowered("bigm")
    assert program.formulation == "bigm" and "SOS" not in text(program) and "INDICATORS" not in text(program)


@pytest.mark.parametrize("name", ["sensor", "Switch"])
def test_a_member_that_gurobi_takes_for_a_set_is_never_written(name: str) -> None:
    from dataclasses import replace

    columns = (Block("x", 0, np.arange(1), 0, Role.VALUE), Block(name, 1, np.arange(1), 0, Role.VALUE))
    given = replace(small_program([[1.0, 1.0]], columns=columns), sets=np.array([[0, 1]]))
    with pytest.raises(InternalError, match="Gurobi"):
        text(given)
    assert f"{name}_0:2" in text(given, "lp")


def test_no_member_of_a_set_begins_with_s() -> None:
    """Whatever the operations are called: free bits take the name of their input."""
    net = from_weights([np.array([[1.0, -2.0], [3.0, 1.0]]), np.eye(2)], [np.zeros(2), np.ones(2)])
    for norm in (lipc.Norm.LINF, lipc.Norm.L1):
        mip = lipc.compile(net, Query(box(-1, 1), norm=norm), mode="reverse", formulation="sos1").mip
        assert len(mip.sets) and "SOS" in text(mip)


def test_an_unknown_formulation_is_refused() -> None:
    net = from_weights([np.eye(1), np.eye(1)], [np.zeros(1), np.zeros(1)])
    with pytest.raises(QueryError, match="formulation 'sos2'"):
        lipc.compile(net, formulation="sos2")  # type: ignore[arg-type]


def test_added_rows_are_widened_by_what_readers_drop() -> None:
    given = lowered("bigm")
    (block,) = [each for each in given.columns if each.role is Role.INPUT]
    (other,) = [each for each in given.columns if each.role is Role.ON]
    added = add_rows(given, {block.name: np.array([[1e-10]]), other.name: np.array([[1.0]])}, upper=0.5)
    # x lies in [-2, 1]: a row that says on + 1e-10 x <= 0.5 says on <= 0.5 + 2e-10.
    assert np.abs(added.matrix.data).min() > 1e-9
    assert 0.5 + 2e-10 <= added.row_upper[-1] <= 0.5 + 2.1e-10
