"""The solvers' own readers see exactly the program that was written."""

from __future__ import annotations

import math

import numpy as np
import pytest
from format_programs import (
    INF,
    expected,
    highs_model,
    program,
    random_program,
    read_highs,
    read_scip,
    scip_model,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lipc.errors import OutputError
from lipc.formats import lp_chunks, mps_chunks, write_model
from lipc.ir import Sense
from lipc.mip import Block, Role

READERS = {"highs": read_highs, "scip": read_scip}
ENDINGS = ["mps", "lp", "mps.gz", "lp.gz"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("seed", range(25))
def test_random_program_is_read_bit_for_bit(tmp_path, reader, ending, seed):
    written = random_program(seed)
    path = tmp_path / f"model.{ending}"
    write_model(written, path, header=["a header"])
    read = READERS[reader](path)
    want = expected(written, split=ending.startswith("lp"))
    assert read.columns == want.columns
    assert read.rows == want.rows


@pytest.mark.parametrize("seed", range(12))
def test_columns_keep_their_order_in_both_formats(tmp_path, seed):
    written = random_program(seed)
    for ending in ("mps", "lp"):
        path = tmp_path / f"model.{ending}"
        write_model(written, path)
        assert read_highs(path).order == written.column_names()


def optimum_highs(path) -> float:
    solver = highs_model(path)
    solver.run()
    assert solver.modelStatusToString(solver.getModelStatus()) == "Optimal"
    return solver.getInfo().objective_function_value


def optimum_scip(path) -> float:
    model = scip_model(path)
    model.optimize()
    assert model.getStatus() == "optimal"
    return model.getObjVal()


@pytest.mark.parametrize("seed", range(10))
def test_both_formats_have_one_optimum_in_both_solvers(tmp_path, seed):
    written = random_program(seed)
    found = []
    for ending in ("mps", "lp"):
        path = tmp_path / f"model.{ending}"
        write_model(written, path)
        found += [optimum_highs(path), optimum_scip(path)]
    assert found == pytest.approx([found[0]] * 4, rel=1e-6, abs=1e-6)


def test_optimum_of_a_known_maximisation(tmp_path):
    # max 3 + 2 a - x  with a in {0, 1}, x >= a / 2: 3 + 2 - 1/2
    written = program(
        [[1.0, -2.0]],
        rows=[(-INF, 0.0)],
        bounds=[(0, 1), (-INF, INF)],
        integer=[True, False],
        cost=[2.0, -1.0],
        constant=3.0,
        sense=Sense.MAXIMIZE,
    )
    for ending in ("mps", "lp"):
        path = tmp_path / f"model.{ending}"
        write_model(written, path)
        assert -optimum_highs(path) + 3.0 == pytest.approx(4.5)
        assert -optimum_scip(path) + 3.0 == pytest.approx(4.5)


moderate = st.floats(min_value=1e-6, max_value=9e14)  # from 1e15 on HiGHS rejects a coefficient
moderate = moderate.flatmap(lambda v: st.sampled_from([v, -v]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(moderate, min_size=4, max_size=12))
def test_every_float_survives(tmp_path, values):
    size = len(values)
    sides = np.array(values[::-1])
    written = program(
        np.diag(values),
        rows=[(-INF, side) for side in sides],
        bounds=[(min(v, 0.0), max(v, 0.0)) for v in values],
        cost=[v / 3 for v in values],
    )
    assert size == len(written.cost)
    for ending in ("mps", "lp"):
        path = tmp_path / f"floats.{ending}"
        write_model(written, path)
        for read in READERS.values():
            assert read(path).columns == expected(written).columns
            assert read(path).rows == expected(written).rows


side = st.floats(min_value=-1e9, max_value=1e9).filter(lambda v: v == 0 or abs(v) > 1e-6)


@settings(max_examples=300, deadline=None)
@given(one=side, other=side)
def test_a_ranged_row_is_never_narrower_and_at_most_one_rounding_wider(one, other):
    low, up = sorted((one, other))
    if low == up:
        return
    text = b"".join(mps_chunks(program([[1.0]], rows=[(low, up)]))).decode().splitlines()
    rhs = next((float(line.split()[2]) for line in text if line.startswith(" RHS ")), 0.0)
    width = next(float(line.split()[2]) for line in text if line.startswith(" RNG "))
    read = (rhs - width, rhs) if " L c_0" in text else (rhs, rhs + width)
    assert read[0] <= low
    assert read[1] >= up
    unit = math.ulp(max(abs(low), abs(up)))
    assert low - read[0] <= 2 * unit
    assert read[1] - up <= 2 * unit


def test_a_range_that_only_a_g_row_can_hold_is_exact(tmp_path):
    written = program([[1.0]], rows=[(0.1, 1e9)])
    assert 1e9 - (1e9 - 0.1) != 0.1
    path = tmp_path / "model.mps"
    write_model(written, path)
    assert read_highs(path).rows["c_0"][:2] == (0.1, 1e9)
    assert read_scip(path).rows["c_0"][:2] == (0.1, 1e9)


@pytest.mark.parametrize(
    "word", ["st", "free", "bounds", "binary", "end", "e", "E1", "e1e5", "OBJ", "MARKER", "RHS", "max"]
)
def test_blocks_called_like_keywords(tmp_path, word):
    written = program(
        [[1.0, 2.0]],
        columns=(Block(word, 0, np.arange(2), 0, Role.VALUE),),
        row_blocks=(Block(word, 0, np.arange(1), 0),),
    )
    for ending in ("mps", "lp"):
        path = tmp_path / f"model.{ending}"
        write_model(written, path)
        for read in READERS.values():
            assert read(path).columns == expected(written).columns
            assert read(path).rows == expected(written).rows


@pytest.mark.parametrize("word", ["inf", "Infer", "NaN.x"])
def test_names_that_begin_a_number_are_fine_in_mps_and_refused_in_lp(tmp_path, word):
    written = program([[1.0, 2.0]], columns=(Block(word, 0, np.arange(2), 0, Role.VALUE),))
    write_model(written, tmp_path / "model.mps")
    for read in READERS.values():
        assert read(tmp_path / "model.mps").columns == expected(written).columns
    with pytest.raises(OutputError, match="inf or nan"):
        write_model(written, tmp_path / "model.lp")
    assert not (tmp_path / "model.lp").exists()


@pytest.mark.parametrize("reader", READERS)
def test_more_than_one_block_of_text(tmp_path, reader, monkeypatch):
    """Blocks are cut anywhere: inside a column, inside a row, between integer runs."""
    for size in (1, 2, 3, 7):
        monkeypatch.setattr("lipc.formats.text.BATCH", size)
        for seed in range(6):
            written = random_program(seed)
            for ending in ("mps", "lp"):
                path = tmp_path / f"model.{ending}"
                write_model(written, path)
                want = expected(written, split=ending == "lp")
                assert READERS[reader](path).columns == want.columns
                assert READERS[reader](path).rows == want.rows


@pytest.mark.parametrize("chunks", [mps_chunks, lp_chunks])
def test_blocks_do_not_change_the_text(monkeypatch, chunks):
    for seed in range(20):
        whole = b"".join(chunks(random_program(seed)))
        with monkeypatch.context() as patch:
            patch.setattr("lipc.formats.text.BATCH", 3)
            assert len(list(chunks(random_program(seed)))) > 5
            parts = b"".join(chunks(random_program(seed)))
        # The LP list sections start a new line with each block.
        assert whole.split() == parts.split()


@pytest.mark.parametrize("ending", ["mps", "lp"])
def test_repeated_values_take_the_other_way_and_read_the_same(tmp_path, ending):
    rng = np.random.default_rng(0)
    written = program(rng.choice([1.0, -1.0, 1 / 3, 2e-5], size=(40, 60)), rows=[(-1.0, INF)] * 40)
    path = tmp_path / f"model.{ending}"
    write_model(written, path)
    assert read_highs(path).rows == expected(written).rows
