"""The dialect of MPS and LP, rule by rule: each is there because some reader goes wrong without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from format_programs import INF, program, random_program
from scipy.sparse import csr_array

from lipc.errors import InternalError, OutputError
from lipc.formats import lp_chunks, mps_chunks
from lipc.ir import Sense
from lipc.mip import Block, Role


def mps(given, **options) -> str:
    return b"".join(mps_chunks(given, **options)).decode("ascii")


def lp(given, **options) -> str:
    return b"".join(lp_chunks(given, **options)).decode("ascii")


def section(text: str, name: str) -> list[list[str]]:
    """Return the lines of an MPS section, split into words."""
    lines = text.splitlines()
    start = lines.index(name) + 1
    stop = next(k for k in range(start, len(lines)) if not lines[k].startswith(" "))
    return [line.split() for line in lines[start:stop]]


def bounds_of(low: float, up: float, *, integer: bool = False) -> list[list[str]]:
    return section(mps(program([[1.0]], bounds=[(low, up)], integer=[integer])), "BOUNDS")


def lp_bounds_of(low: float, up: float) -> str:
    text = lp(program([[1.0]], bounds=[(low, up)]))
    return text[text.index("Bounds\n") + 7 : text.index("End\n")]


def test_the_whole_file():
    given = program(
        [[1.0, -1 / 3, 0.0], [2.0, 0.0, 0.0]],
        rows=[(-INF, 5.0), (-2.0, -1.0)],
        bounds=[(0, 1), (-INF, -0.5), (-4, 7)],
        integer=[True, False, False],
        cost=[9.0, 0.0, 0.0],
        sense=Sense.MAXIMIZE,
    )
    assert mps(given, header=["lipc"]).splitlines() == [
        "* lipc",
        "* original objective: maximize; OBJ = -(original)",
        "NAME lipc FREE",
        "ROWS",
        " N OBJ",
        " L c_0",
        " L c_1",
        "COLUMNS",
        " MARKER_1 'MARKER' 'INTORG'",
        " x_0 OBJ -9",
        " x_0 c_0 1",
        " x_0 c_1 2",
        " MARKER_2 'MARKER' 'INTEND'",
        " x_1 c_0 -0.3333333333333333",
        " x_2 OBJ 0",
        "RHS",
        " RHS c_0 5",
        " RHS c_1 -1",
        "RANGES",
        " RNG c_1 1",
        "BOUNDS",
        " BV BND x_0",
        " MI BND x_1",
        " UP BND x_1 -0.5",
        " LO BND x_2 -4",
        " UP BND x_2 7",
        "ENDATA",
    ]
    assert lp(given).splitlines() == [
        "\\ original objective: maximize; OBJ = -(original)",
        "Minimize",
        " OBJ: - 9 x_0 + 0 x_1 + 0 x_2",
        "Subject To",
        " c_0: + 1 x_0 - 0.3333333333333333 x_1 <= 5",
        " c_1_lo: + 2 x_0 >= -2",
        " c_1_hi: + 2 x_0 <= -1",
        "Bounds",
        " -inf <= x_1 <= -0.5",
        " -4 <= x_2 <= 7",
        "Binaries",
        " x_0",
        "End",
    ]


def test_rule_1_name_line_says_free():
    text = mps(random_program(0), header=["x"])
    assert next(line for line in text.splitlines() if not line.startswith("*")) == "NAME lipc FREE"


@pytest.mark.parametrize("sense", Sense)
def test_rule_2_no_objsense_but_a_negated_cost(sense):
    text = mps(program([[1.0]], cost=[3.0], sense=sense))
    maximize = sense is Sense.MAXIMIZE
    assert ["x_0", "OBJ", "-3" if maximize else "3"] in section(text, "COLUMNS")
    assert ("* original objective: maximize; OBJ = -(original)\n" in text) == maximize
    assert "OBJSENSE" not in text
    assert lp(program([[1.0]], sense=sense)).splitlines()[1 if maximize else 0] == "Minimize"


@pytest.mark.parametrize("sense", Sense)
def test_rule_3_the_constant_is_in_a_comment_only(sense):
    given = program([[1.0]], constant=-7.25, sense=sense)
    sign = "-" if sense is Sense.MAXIMIZE else ""
    for text, mark in ((mps(given), "*"), (lp(given), "\\")):
        assert [line for line in text.splitlines() if "7.25" in line] == [
            f"{mark} constant not in this file: original = {sign}OBJ + (-7.25)"
        ]


@pytest.mark.parametrize(
    ("low", "up", "kinds"),
    [
        (0, 1, ["BV"]),
        (0, INF, ["LO", "PL"]),
        (-3, INF, ["LO", "PL"]),
        (-INF, INF, ["FR"]),
        (-INF, 4, ["MI", "UP"]),
        (0, 4, ["LO", "UP"]),
        (1, 1, ["FX"]),
        (0, 0, ["FX"]),
        (-1, 1, ["LO", "UP"]),
    ],
)
def test_rule_4_integer_columns_have_explicit_bounds(low, up, kinds):
    assert [words[0] for words in bounds_of(low, up, integer=True)] == kinds


@pytest.mark.parametrize("integer", ["1", "0", "11", "10", "01", "0110", "1011"])
def test_integer_columns_stand_between_markers(integer):
    size = len(integer)
    given = program(np.eye(size), cost=[0.0] * size, integer=[c == "1" for c in integer])
    lines = section(mps(given), "COLUMNS")
    inside = False
    found = ""
    markers = 0
    for words in lines:
        if words[1] == "'MARKER'":
            assert words[2] == ("'INTEND'" if inside else "'INTORG'")
            inside = not inside
            markers += 1
            assert words[0] == f"MARKER_{markers}"
        else:
            found += "01"[inside]
    assert found == integer
    assert not inside


def test_a_continuous_column_in_the_unit_interval_is_not_binary():
    assert bounds_of(0, 1) == [["LO", "BND", "x_0", "0"], ["UP", "BND", "x_0", "1"]]
    assert "Binaries" not in lp(program([[1.0]], bounds=[(0, 1)]))


def test_rule_5_a_negative_upper_bound_follows_its_lower_bound():
    assert bounds_of(-INF, -2.5) == [["MI", "BND", "x_0"], ["UP", "BND", "x_0", "-2.5"]]
    assert bounds_of(-7, -2.5) == [["LO", "BND", "x_0", "-7"], ["UP", "BND", "x_0", "-2.5"]]
    assert lp_bounds_of(-INF, -2.5) == " -inf <= x_0 <= -2.5\n"


def test_rule_6_infinities_are_kinds_not_numbers():
    for seed in range(20):
        words = mps(random_program(seed)).lower().split()
        assert not {"inf", "-inf", "infinity", "nan", "1e+20", "1e+30"} & set(words)


@pytest.mark.parametrize("value", [1e20, -1e22, 1e300])
def test_rule_6_huge_numbers_are_refused(value):
    for write in (mps, lp):
        for given in (
            program([[value]]),
            program([[1.0]], cost=[value]),
            program([[1.0]], bounds=[(-abs(value), abs(value))]),
            program([[1.0]], rows=[(-INF, value)]),
        ):
            with pytest.raises(OutputError, match=r"(x|c)_0.*1e20"):
                write(given)
        assert write(program([[9e19]]))


def test_rule_7_set_names_are_always_there():
    for seed in range(10):
        text = mps(random_program(seed))
        assert {words[0] for words in section(text, "RHS")} <= {"RHS"}
        assert all(len(words) == 3 for words in section(text, "RHS"))
        assert {words[1] for words in section(text, "BOUNDS")} == {"BND"}


def test_rule_8_columns_are_contiguous_without_duplicates():
    for seed in range(20):
        words = [line for line in section(mps(random_program(seed)), "COLUMNS") if "'MARKER'" not in line]
        names = [line[0] for line in words]
        changes = [name for k, name in enumerate(names) if k == 0 or names[k - 1] != name]
        assert changes == random_program(seed).column_names()
        assert len({(line[0], line[1]) for line in words}) == len(words)


def test_rule_8_a_matrix_with_duplicates_is_refused():
    matrix = csr_array(([1.0, 2.0], [0, 0], [0, 2]), shape=(1, 1))
    with pytest.raises(InternalError, match="twice"):
        mps(replace(program([[1.0]]), matrix=matrix))


def test_rule_9_a_column_without_entries_appears():
    assert ["x_1", "OBJ", "0"] in section(mps(program([[1.0, 0.0]], cost=[1.0, 0.0])), "COLUMNS")
    assert " + 0 x_1" in lp(program([[1.0, 0.0]], cost=[1.0, 0.0]))


def test_explicit_zeros_are_not_written():
    matrix = csr_array(([0.0, 2.0], [0, 1], [0, 2]), shape=(1, 2))
    given = replace(program([[1.0, 1.0]]), matrix=matrix)
    assert "x_0 c_0" not in mps(given)
    assert matrix.nnz == 2  # the program itself is left alone


def test_rule_10_plain_lines():
    for text in (mps(random_program(3), header=["a\tb\r\n\nc", ""]), lp(random_program(3), header=["a\tb\r\nc"])):
        assert not set("\t\r") & set(text)
        assert "\n\n" not in text
        assert not any(line != line.rstrip() for line in text.splitlines())
        assert not [word for word in text.split() if word[0].isdigit() and "D" in word]
    assert mps(random_program(3)).endswith("\nENDATA\n")
    assert lp(random_program(3)).endswith("\nEnd\n")


def test_rule_10_header_is_commented_ascii_and_wrapped():
    text = mps(program([[1.0]]), header=["two\nlines é", "word " * 300])
    comments = text[: text.index("NAME")].splitlines()
    assert comments[0] == "* two lines \\xe9"
    assert all(line.startswith("* ") and len(line) < 200 for line in comments)
    assert sum(line.count("word") for line in comments) == 300


@pytest.mark.parametrize(
    ("low", "up", "kind", "rhs", "width"),
    [
        (-INF, 3, "L", "3", None),
        (-2, INF, "G", "-2", None),
        (4, 4, "E", "4", None),
        (1, 3, "L", "3", "2"),
        (-3, -1, "L", "-1", "2"),
        (-1, 2, "L", "2", "3"),
    ],
)
def test_rule_11_rows_and_ranges(low, up, kind, rhs, width):
    text = mps(program([[1.0]], rows=[(low, up)]))
    assert [kind, "c_0"] in section(text, "ROWS")
    assert section(text, "RHS") == [["RHS", "c_0", rhs]]
    if width is None:
        assert "RANGES" not in text
    else:
        assert section(text, "RANGES") == [["RNG", "c_0", width]]


def test_rule_12_only_the_sections_that_all_readers_know():
    for seed in range(20):
        heads = [line.split()[0] for line in mps(random_program(seed)).splitlines() if line[0] not in " *"]
        order = ["NAME", "ROWS", "COLUMNS", "RHS", "RANGES", "BOUNDS", "ENDATA"]
        assert [head for head in order if head in heads] == heads


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1 / 3, "0.3333333333333333"),
        (1.0, "1"),
        (-3.0, "-3"),
        (10.0, "10"),
        (1e16, "1e+16"),
        (1e-7, "1e-07"),
        (2.0**53 + 2, "9007199254740994"),
    ],
)
def test_rule_13_shortest_numbers_that_round_trip(value, text):
    assert ["x_0", "c_0", text] in section(mps(program([[value]])), "COLUMNS")
    assert f" {text} x_0" in lp(program([[abs(value)]])) or value < 0


def test_rule_13_coefficients_that_solvers_drop_are_said():
    for write in (mps, lp):
        assert "2 coefficients are at most 1e-9" in write(program([[1e-9, 1e-12, 2e-9]]))
        assert "1e-9" not in write(program([[2e-9, 1.0, 0.0]]))


def test_rule_13_coefficients_that_highs_rejects_are_said():
    for write in (mps, lp):
        assert "2 coefficients are at least 1e15" in write(program([[1e15, -2e16, 9e14]]))
        assert "1e15" not in write(program([[9e14]]))


def blocks(name: str, entries=(0,)) -> tuple[Block, ...]:
    return (Block(name, 0, np.array(entries), 0, Role.VALUE),)


@pytest.mark.parametrize("name", ["", "a b", "é", "x[0]", "1x", ".x", "a-b", "$x", "x" * 96])
def test_rule_14_names_that_some_reader_mistakes_are_refused(name):
    for given in (program([[1.0]], columns=blocks(name)), program([[1.0]], row_blocks=blocks(name))):
        for write in (mps, lp):
            with pytest.raises(InternalError, match="name"):
                write(given)
    assert mps(program([[1.0]], columns=blocks("x" * 95)))


def test_rule_14_names_are_unique():
    twice = (*blocks("a"), Block("a", 1, np.array([1]), 0, Role.VALUE))
    for columns in (twice, blocks("a", (3, 3)), blocks("a", (-1, 0))):
        with pytest.raises(InternalError):
            mps(program([[1.0, 1.0]], columns=columns))


@pytest.mark.parametrize("start", [0, 2])
def test_blocks_must_cover_the_columns(start):
    columns = (*blocks("a"), Block("b", start, np.array([1]), 0, Role.VALUE))
    with pytest.raises(InternalError, match="starts at"):
        mps(program([[1.0, 1.0]], columns=columns))
    with pytest.raises(InternalError, match="cover 1 of 2"):
        mps(program([[1.0, 1.0]], columns=blocks("a")))


@pytest.mark.parametrize("pair", [(2.0, 1.0), (np.nan, 1.0), (0.0, np.nan), (INF, INF), (-INF, -INF)])
def test_contradicting_bounds_are_refused(pair):
    for write in (mps, lp):
        with pytest.raises(InternalError, match="x_0"):
            write(program([[1.0]], bounds=[pair]))
        with pytest.raises(InternalError, match="c_0"):
            write(program([[1.0]], rows=[pair]))


def test_broken_numbers_and_free_rows_are_refused():
    for write in (mps, lp):
        for given in (
            program([[np.nan]]),
            program([[INF]]),
            program([[1.0]], cost=[np.nan]),
            program([[1.0]], constant=INF),
            program([[1.0]], rows=[(-INF, INF)]),
        ):
            with pytest.raises(InternalError):
                write(given)


def test_minus_zero_is_zero():
    given = program([[1.0, 1.0]], cost=[0.0, -0.0], sense=Sense.MAXIMIZE, bounds=[(-0.0, 2.0)] * 2, rows=[(-1.0, -0.0)])
    for text in (mps(given), lp(given)):
        assert "-0" not in text.split()
        assert "- 0" not in text


def test_lp_bounds():
    assert lp_bounds_of(-INF, INF) == " x_0 free\n"
    assert lp_bounds_of(0, INF) == " x_0 >= 0\n"
    assert lp_bounds_of(2.5, 2.5) == " x_0 = 2.5\n"
    assert lp_bounds_of(0, 1e15) == " 0 <= x_0 <= 1000000000000000\n"


def test_lp_lines_are_short_and_signs_single():
    given = program(-np.ones((2, 50)) / 3, columns=blocks("x" * 90, range(50)), integer=[True] * 50)
    text = lp(given)
    assert max(map(len, text.splitlines())) < 560
    assert "+ -" not in text
    assert text.count("- 0.3333333333333333 x") == 100


def test_lp_sums_always_have_a_term():
    text = lp(program(np.zeros((2, 1)), cost=[0.0]))
    assert " OBJ: + 0 x_0\n" in text
    assert " c_0: + 0 x_0 <= 1\n c_1: + 0 x_0 <= 1\n" in text
    no_rows = program(np.zeros((0, 1)), row_blocks=(Block("c", 0, np.arange(0), 0),))
    assert " no_rows: + 0 x_0 <= 1\n" in lp(no_rows)
    assert section(mps(no_rows), "ROWS") == [["N", "OBJ"]]


def test_without_columns():
    given = program(np.zeros((0, 0)), columns=blocks("x", ()), row_blocks=(Block("c", 0, np.arange(0), 0),))
    assert mps(given).endswith("COLUMNS\nRHS\nBOUNDS\nENDATA\n")
    with pytest.raises(OutputError, match="without columns"):
        lp(given)


def test_the_same_program_makes_the_same_bytes():
    for seed in range(5):
        for chunks in (mps_chunks, lp_chunks):
            assert b"".join(chunks(random_program(seed))) == b"".join(chunks(random_program(seed)))
