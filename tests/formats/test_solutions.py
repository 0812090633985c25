"""Solution files: what the solvers wrote for one small program, and what is wrong with a file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from solution_files import solved

from lipc.errors import LipcError, SolutionError
from lipc.formats.solutions import SolutionFile, read_solution

COLUMNS = ["a_0", "a_1", "x_0", "y_0", "ONE"]
ROWS = 3
VALUES = [1, 0, -0.5, -0.5, 1]

MODEL = """NAME small FREE
ROWS
 N OBJ
 L c_big_1
 G c_big_2
 E c_aff_1
COLUMNS
 MARKER_1 'MARKER' 'INTORG'
 a_0 OBJ -9 c_big_1 1
 a_1 OBJ 0.5 c_big_2 1
 MARKER_2 'MARKER' 'INTEND'
 x_0 OBJ -1 c_aff_1 1
 x_0 c_big_1 0.33333333333333331
 y_0 OBJ 0 c_aff_1 -1
 ONE OBJ 10
RHS
 RHS c_big_1 5
RANGES
 RNG c_big_2 1
BOUNDS
 BV BND a_0
 BV BND a_1
 MI BND x_0
 UP BND x_0 {upper}
 LO BND y_0 -4
 UP BND y_0 7
 FX BND ONE 1
ENDATA
"""
"""Its only solution is `VALUES`, of objective 1.5; with the upper bound -5 of x_0 it has none."""

SCIP = """solution status: optimal solution found
objective value:                                  1.5
a_0                                                 1 \t(obj:-9)
x_0                                              -0.5 \t(obj:-1)
y_0                                              -0.5 \t(obj:0)
ONE                                                 1 \t(obj:10)
"""
HIGHS = """Model status
Optimal

# Primal solution values
Feasible
Objective 1.5
# Columns 5
a_0 1
a_1 0
x_0 -0.5
y_0 -0.5
ONE 1
# Rows 3
c_big_1 0.8333333333333
c_big_2 0
c_aff_1 0

# Dual solution values
None

# Basis
HiGHS_basis_file v2
None
"""
HIGHS_TABLE = """Columns
    Index Status        Lower        Upper       Primal         Dual  Type        Name
        0                   0            1            1               Integer     a_0
        1                   0            1            0               Integer     a_1
        2                -inf         -0.5         -0.5               Continuous  x_0
        3     BS           -4            7         -0.5            0  Continuous  y_0
        4                   1            1            1               Continuous  ONE
Rows
    Index Status        Lower        Upper       Primal         Dual  Name
        0                -inf            5     0.833333               c_big_1
        1                   0            1            0               c_big_2
        2                   0            0            0               c_aff_1

Model status: Optimal

Objective value: 1.5
"""
GLPK = """c Problem:    small
c Rows:       3
c Columns:    5
c Non-zeros:  5
c Status:     INTEGER OPTIMAL
c Objective:  OBJ = 1.5 (MINimum)
c
s mip 3 5 o 1.5
i 1 0.833333333333333
i 2 0
i 3 0
j 1 1
j 2 0
j 3 -0.5
j 4 -0.5
j 5 1
e o f
"""
HIGHS_GLPK = GLPK.replace("s mip 3 5", "s mip 4 5").replace(
    "i 1 0.833333333333333\ni 2 0\ni 3 0\n", "i 1 1.5\ni 2 0.8333333333333\ni 3 0\ni 4 0\n"
)
GLPK_BASIC = """s bas 3 5 f f 1.5
i 1 b 0.833333333333333 0
i 2 l 0 0.5
i 3 s 0 0
j 1 u 1 -9
j 2 b 0 0
j 3 u -0.5 -1
j 4 b -0.5 0
j 5 s 1 10
e o f
"""
GLPK_REPORT = """Problem:    small
Rows:       3
Columns:    5 (2 integer, 2 binary)
Non-zeros:  5
Status:     INTEGER OPTIMAL
Objective:  OBJ = 1.5 (MINimum)

   No.   Row name        Activity     Lower bound   Upper bound
------ ------------    ------------- ------------- -------------
     1 c_big_1              0.833333                           5
     2 c_big_2                     0             0             1
     3 c_aff_1                     0             0             =

   No. Column name       Activity     Lower bound   Upper bound
------ ------------    ------------- ------------- -------------
     1 a_0          *              1             0             1
     2 a_1          *              0             0             1
     3 x_0                      -0.5                        -0.5
     4 y_0
                                -0.5            -4             7
     5 ONE                         1             1             =

End of output
"""
CBC = """Optimal - objective value 1.50000000
      0 a_0                    1                      -9
      2 x_0                 -0.5                      -1
      3 y_0                 -0.5                       0
      4 ONE                    1                      10
"""
CBC_ALL = """Stopped on time - objective value 1.50000000
      0 c_big_1       0.83333333                       0
**       1 c_big_2               -1                       0
      2 c_aff_1                0                       0
      0 a_0                    1                      -9
      1 a_1                    0                     0.5
      2 x_0                 -0.5                      -1
      3 y_0                 -0.5                       0
      4 ONE                    1                      10
"""
GUROBI = """# Solution for model small
# Objective value = 1.5000000000000000e+00
a_0 1
a_1 0
x_0 -0.5
y_0 -0.5
ONE 1
MPS_Rgc_big_2 0
"""
GUROBI_JSON = (
    '{ "SolutionInfo": { "Status": 2, "ObjVal": 1.5, "ObjBound": 1.25, "SolCount": 1}, "Vars": '
    '[ { "VarName": "a_0", "X": 1}, { "VarName": "x_0", "X": -0.5}, { "VarName": "y_0", "X": -0.5}, '
    '{ "VarName": "ONE", "X": 1}, { "VarName": "MPS_Rgc_big_2", "X": 1}]}'
)
PLAIN = "# by hand\na_0 1\na_1 -0.0\n\nx_0 -0.5\ny_0 -5e-1\nONE +1."

WRITTEN = {
    "scip": ("scip", "optimal solution found", 1.5, SCIP),
    "highs": ("highs", "optimal", 1.5, HIGHS),
    "highs-sparse": ("highs", "optimal", 1.5, """Model status
Optimal

# Primal solution values
Feasible
Objective 1.5
# Columns -4
a_0 1 0
x_0 -0.5 2
y_0 -0.5 3
ONE 1 4
"""),
    "highs-table": ("highs-table", "optimal", 1.5, HIGHS_TABLE),
    "highs-glpk": ("glpk", "optimal", 1.5, HIGHS_GLPK),
    "glpk": ("glpk", "optimal", 1.5, GLPK),
    "glpk-log": ("glpk", "optimal", 1.5, "GLPSOL--GLPK LP/MIP Solver 5.0\nc is short\n17 lines were written\n" + GLPK),
    "glpk-basic": ("glpk", "optimal", 1.5, GLPK_BASIC),
    "glpk-report": ("glpk-report", "integer optimal", 1.5, GLPK_REPORT),
    "cbc": ("cbc", "optimal", 1.5, CBC),
    "cbc-all": ("cbc", "stopped on time", 1.5, CBC_ALL),
    "gurobi": ("gurobi", None, 1.5, GUROBI),
    "gurobi-json": ("gurobi-json", "optimal", 1.5, GUROBI_JSON),
    "plain": ("plain", None, None, PLAIN),
}  # fmt: skip

NONE = {
    "scip": ("scip", "no solution available", "no solution available\n"),
    "highs": ("highs", "infeasible", "Model status\nInfeasible\n\n# Primal solution values\nNone\n"),
    "highs-table": (
        "highs-table",
        "infeasible",
        "\n".join(line[:49] + " " * 13 + line[62:] if line[8:9].isdigit() else line for line in HIGHS_TABLE.split("\n"))
        .replace("     BS", "       ")
        .replace("0  Continuous", "   Continuous")
        .replace("Optimal", "Infeasible")
        .replace("value: 1.5", "value: inf"),
    ),
    "glpk": ("glpk", "infeasible", GLPK.replace(" o 1.5", " n 0")),
    "highs-glpk": ("glpk", "infeasible", "c Rows: 4\ns mip 4 5 n inf\n"),
    "glpk-report": ("glpk-report", "integer empty", "Problem:    inf\nStatus:     INTEGER EMPTY\n"),
    "cbc": ("cbc", "infeasible", CBC_ALL.replace("Stopped on time", "Infeasible")),
    "cbc-nothing": ("cbc", "stopped on time (no integer solution - continuous used)", CBC.replace(
        "Optimal", "Stopped on time (no integer solution - continuous used)")),
    "gurobi-json": (
        "gurobi-json", "infeasible", '{ "SolutionInfo": { "Status": 3, "ObjBound": 1e+100, "SolCount": 0}}'),
}  # fmt: skip


def read(text: str | bytes) -> SolutionFile:
    return read_solution(text, columns=COLUMNS, rows=ROWS, where="s.sol")


@pytest.mark.parametrize("name", WRITTEN)
def test_each_style_is_recognized_and_read(name: str) -> None:
    style, status, objective, text = WRITTEN[name]
    found = read(text)
    assert (found.style, found.status, found.objective) == (style, status, objective)
    assert found.bound == (1.25 if name == "gurobi-json" else None)
    assert found.values is not None
    assert found.values.tolist() == VALUES


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_may_be_zipped_and_of_bytes_with_carriage_returns(name: str) -> None:
    text = WRITTEN[name][3].encode()
    for data in (text, gzip.compress(text), text.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + text):
        values = read(data).values
        assert values is not None
        assert values.tolist() == VALUES


@pytest.mark.parametrize("name", NONE)
def test_a_file_may_say_that_there_is_no_solution(name: str) -> None:
    style, status, text = NONE[name]
    found = read(text)
    assert (found.style, found.status, found.objective, found.values) == (style, status, None, None)


def test_a_start_of_gurobi_leaves_columns_out() -> None:
    found = read("# MIP start\na_0 1\na_1 0\n")
    assert found.style == "gurobi"
    assert found.values is not None
    np.testing.assert_array_equal(found.values, [1, 0, np.nan, np.nan, np.nan])


@pytest.mark.parametrize("name", WRITTEN)
def test_every_truncation_is_an_error_or_the_same_solution(name: str) -> None:
    # A file cut anywhere, even within a number, must not be taken for another solution.
    text = WRITTEN[name][3]
    for end in range(1, len(text)):
        try:
            found = read(text[:end])
        except LipcError as error:
            assert str(error).startswith("s.sol")
            continue
        if found.style in ("scip", "cbc", "plain"):
            # These leave out zeros or have no end; what is left of them are whole lines, or a file of another style.
            kept = found.values is None or all(
                value in (0, whole) for value, whole in zip(found.values, VALUES, strict=True)
            )
            assert kept or name == "plain"
        else:
            assert found.values is None or found.values.tolist() == VALUES, text[:end]


BROKEN = {
    "unknown name": (SCIP.replace("x_0", "x_7"), "s.sol:4: the program has no column 'x_7'"),
    "twice": (SCIP.replace("y_0", "x_0"), "s.sol:5: column 'x_0' has a value already, on line 4"),
    "nan": (SCIP.replace("-0.5 \t(obj:-1)", "nan \t(obj:-1)"), "s.sol:4: the value 'nan' is not finite"),
    "infinite": (HIGHS.replace("x_0 -0.5", "x_0 -inf"), "s.sol:10: the value '-inf' is not finite"),
    "overflow": (PLAIN.replace("-5e-1", "-5e400"), "s.sol:6: the value '-5e400' is not finite"),
    "no number": (CBC.replace("-0.5 ", "0x5 ", 1), "s.sol:3: '0x5' is not a number"),
    "no digits of ours": (PLAIN.replace("+1.", "1_0"), "s.sol:7: '1_0' is not a number"),
    "three words": (HIGHS.replace("x_0 -0.5", "x_0 -0.5 3"), "s.sol:10: 'x_0 -0.5 3' is not a name and a value"),
    "no objective": ("solution status: unknown\n", "s.sol:1: the file is truncated: the objective value is missing"),
    "two": (SCIP + SCIP, "here begins a second solution"),
    "two of glpk": (GLPK + GLPK, "s.sol:25: here begins a second solution"),
    "columns of highs": (HIGHS.replace("# Columns 5", "# Columns 4"), "s.sol:7: the file is of a program of 4 columns"),
    "rows of highs": (HIGHS.replace("# Rows 3", "# Rows 2"), "s.sol:13: the file is of a program of 2 rows"),
    "table": (HIGHS_TABLE.replace("Integer     a_1", "Integer"), "s.sol:4: "),
    "rows of glpk": (GLPK.replace("mip 3", "mip 5"), "s.sol:8: the file is of a program of 5 rows, this one has 3"),
    "columns of glpk": (GLPK.replace("mip 3 5", "mip 3 6"), "s.sol:8: the file is of a program of 6 columns, this"),
    "column of glpk": (GLPK.replace("j 5", "j 6"), "s.sol:16: there is no column 6: the program has 5"),
    "column 0": (GLPK.replace("j 5", "j 0"), "s.sol:16: there is no column 0"),
    "column twice": (GLPK.replace("j 5", "j 4"), "s.sol:16: column 'y_0' has a value already, on line 15"),
    "column missing": (GLPK.replace("j 2 0\n", ""), "s.sol: there is no value for column 'a_1'"),
    "row twice": (GLPK.replace("i 2", "i 1"), "s.sol:10: row 1 has a value already"),
    "row missing": (GLPK.replace("i 2 0\n", ""), "s.sol: there is no value for row 2 of 3"),
    "row of glpk": (GLPK.replace("i 3", "i 4"), "s.sol:11: there is no row 4: the file has 3"),
    "letter of glpk": (GLPK.replace(" o 1.5", " x 1.5"), "s.sol:8: 's mip 3 5 x 1.5' is not the beginning"),
    "end of glpk": (GLPK.replace("e o f\n", ""), "s.sol:16: the file is truncated: the line 'e o f' is missing"),
    "rows of cbc": (CBC_ALL.replace("      2 c_aff_1                0                       0\n", ""), "2 rows"),
    "missing of cbc": (CBC_ALL.replace("      1 a_1                    0                     0.5\n", ""), "'a_1'"),
    "missing of gurobi": (GUROBI.replace("x_0 -0.5\n", ""), "s.sol: there is no value for column 'x_0'"),
    "missing": ("a_0 1\n", "s.sol: there is no value for column 'a_1' and 3 more"),
    "json": (GUROBI_JSON[:-20], "s.sol:1: "),
    "json of another": ('{"model": 1}', "s.sol:1: the JSON holds no 'SolutionInfo', as Gurobi's solutions do"),
    "json nan": (GUROBI_JSON.replace("-0.5", "NaN"), "s.sol:1: the value 'nan' is not finite"),
    "json word": (GUROBI_JSON.replace("-0.5", '"1"'), "has no name or no number"),
    "json of a huge number": (GUROBI_JSON.replace("-0.5", "9" * 400), "s.sol:1: the value"),
    "json deep": ("[" * 100_000, "s.sol:1: the JSON is nested too deep"),
    "empty": ("\n \n", "s.sol: the file is empty"),
    "comments": ("# nothing\n", "s.sol: the file holds comments only"),
    "prose": ("Dear reader,\n", "s.sol:1: 'Dear reader,' begins no solution file; lipc reads what"),
    "a model": (MODEL, "s.sol:1: 'NAME small FREE' begins no solution file"),
    "control": ("a_0 1\n\x00", "s.sol:2: the file is not text: it holds the character '\\x00'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_said_with_its_line(name: str) -> None:
    text, message = BROKEN[name]
    with pytest.raises(SolutionError) as caught:
        read(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("s.sol")


def test_bytes_that_are_no_text() -> None:
    packed = gzip.compress(SCIP.encode())
    for data, message in (
        (b"a_0 1\n\xff\xfe", "s.sol:2: the file is not text: byte 0xff"),
        (packed[:-10], "s.sol: the gzip file is truncated"),
        (packed[:20] + b"\xff\xff" + packed[22:], "s.sol: the gzip file is broken"),
    ):
        with pytest.raises(SolutionError) as caught:
            read(data)
        assert message in str(caught.value)


@pytest.mark.parametrize("upper", [-0.5, -5.0])
@pytest.mark.parametrize("solver", ["highs", "scip", "cbc", "glpk", "gurobi"])
def test_what_the_solvers_on_this_machine_write(solver: str, upper: float, tmp_path: Path) -> None:
    (tmp_path / "m.mps").write_text(MODEL.format(upper=upper))
    for written in solved(tmp_path, solver, "m.mps"):
        if written.suffix == ".mst":  # holds the integral columns alone
            continue
        found = read(written.read_bytes())
        if upper < -1:
            assert found.values is None
        else:
            assert found.values is not None, written.name
            np.testing.assert_allclose(found.values, VALUES, atol=1e-6)
            assert found.objective == pytest.approx(1.5, abs=1e-6)
            assert found.status is None or "optimal" in found.status
