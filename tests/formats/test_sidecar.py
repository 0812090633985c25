"""The sidecar explains every column, compactly, and reads back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from format_programs import program, random_program

from lipc import __version__
from lipc.errors import InternalError, LipcError
from lipc.formats import read_sidecar, sidecar, sidecar_text
from lipc.formats.arrays import packed, unpacked
from lipc.ir import Sense
from lipc.mip import Block, Role


def fields(block: Block):
    return block.name, block.start, block.entries.tolist(), block.value, block.role, block.source


@pytest.mark.parametrize("seed", range(10))
def test_round_trip(tmp_path, seed):
    given = random_program(seed)
    path = tmp_path / "model.map.json"
    path.write_bytes(sidecar_text(sidecar(given, facts={"query": {"norm": "l1"}, "removed": [1, 2]})))
    read = read_sidecar(path)
    assert [fields(block) for block in read.columns] == [fields(block) for block in given.columns]
    assert [fields(block) for block in read.rows] == [fields(block) for block in given.rows]
    assert (read.sense, read.constant) == (given.sense, given.constant)
    assert read.generator == f"lipc {__version__}"
    assert read.facts == {"query": {"norm": "l1"}, "removed": [1, 2]}
    assert read.column_names() == given.column_names()


def test_content_of_a_small_one():
    given = program(
        [[1.0] * 5],
        columns=(
            Block("x", 0, np.arange(2, 5), 7, Role.INPUT, "net.onnx: x"),
            Block("a", 3, np.array([0, 4]), 8, Role.BIT),
        ),
        sense=Sense.MAXIMIZE,
        constant=0.1,
    )
    content = sidecar(given, facts={"source": "net.onnx"})
    read = json.loads(sidecar_text(content))
    assert isinstance(read.pop("program"), str)
    assert read == {
        "schema": 2,
        "generator": f"lipc {__version__}",
        "objective": {"sense": "maximize", "sign": -1, "scale": 1.0, "constant": 0.1},
        "source": "net.onnx",
        "columns": [
            {
                "name": "x",
                "start": 0,
                "count": 3,
                "role": "input",
                "value": 7,
                "range": [2, 5],
                "source": "net.onnx: x",
            },
            {"name": "a", "start": 3, "count": 2, "role": "bit", "value": 8, "entries": [0, 4]},
        ],
        "rows": [{"name": "c", "start": 0, "count": 1, "value": 0, "range": [0, 1]}],
    }


def test_a_range_of_a_million_is_one_short_line():
    big = program(np.zeros((1, 1_000_000)), rows=[(0.0, 1.0)])
    text = sidecar_text(sidecar(big, facts={}))
    assert text.isascii()
    described, program_line = text.split(b' "program": ')
    assert len(described) < 400
    assert len(program_line) < 1_000_000  # arrays of nine bytes for each column and more


@pytest.mark.parametrize("seed", range(10))
def test_the_program_itself_comes_back(tmp_path, seed):
    given = random_program(seed)
    path = tmp_path / "model.map.json"
    path.write_bytes(sidecar_text(sidecar(given, facts={})))
    read = read_sidecar(path).program()
    assert (read.matrix != given.matrix).nnz == 0
    for name in ("row_lower", "row_upper", "column_lower", "column_upper", "integer", "cost", "column_scale"):
        np.testing.assert_array_equal(getattr(read, name), getattr(given, name), err_msg=name)
    assert (read.constant, read.objective_scale, read.sense) == (given.constant, given.objective_scale, given.sense)


def test_version_1_is_read_and_has_no_program(tmp_path):
    path = tmp_path / "model.map.json"
    content = valid()
    content["schema"] = 1
    del content["program"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="does not hold the program"):
        read_sidecar(path).program()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-8], "packed arrays"),
        (lambda text: "!" + text, "packed arrays are broken"),
        (lambda _: "", "packed arrays"),
        (lambda _: packed({}), "no array"),
        (lambda text: packed(unpacked(text) | {"cost": np.zeros(7)}), "'cost' does not fit"),
        (lambda text: packed(unpacked(text) | {"row_upper": np.full(1, np.nan)}), "'row_upper' does not fit"),
        (lambda text: packed(unpacked(text) | {"data": np.full(2, np.inf)}), "something else than numbers"),
        (lambda text: packed(unpacked(text) | {"indices": np.array([0, 5])}), "indices"),
    ],
)
def test_a_broken_program_is_a_value_error(tmp_path, change, message):
    path = tmp_path / "model.map.json"
    content = valid()
    content["program"] = change(content["program"])
    path.write_text(json.dumps(content))
    read = read_sidecar(path)
    with pytest.raises(ValueError, match=message):
        read.program()


@pytest.mark.parametrize(("sense", "original"), [(Sense.MAXIMIZE, 2.5 + 3.0), (Sense.MINIMIZE, -2.5 + 3.0)])
def test_the_original_objective(tmp_path, sense, original):
    path = tmp_path / "m.map.json"
    path.write_bytes(sidecar_text(sidecar(program([[1.0]], constant=3.0, sense=sense), facts={})))
    assert read_sidecar(path).original(-2.5) == original


def test_facts_may_not_hide_the_sidecars_own_keys():
    with pytest.raises(InternalError, match="'rows'"):
        sidecar(program([[1.0]]), facts={"rows": []})


def valid() -> dict:
    return json.loads(sidecar_text(sidecar(program([[1.0, 2.0]]), facts={})))


def without(key):
    return lambda content: content.pop(key)


def put(value, *path):
    def change(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


BREAKS = {
    "old": (put(0, "schema"), "schema version 0"),
    "no schema": (without("schema"), "schema version None"),
    "no columns": (without("columns"), "no key 'columns'"),
    "no objective": (without("objective"), "no key 'objective'"),
    "sense": (put("best", "objective", "sense"), "best"),
    "sign": (put(-1, "objective", "sign"), "cannot be -1"),
    "constant": (put("3", "objective", "constant"), "not a finite number"),
    "bool": (put(True, "objective", "constant"), "not a finite number"),
    "role": (put("king", "columns", 0, "role"), "king"),
    "no role": (lambda content: content["columns"][0].pop("role"), "no key 'role'"),
    "count": (put(3, "columns", 0, "count"), "3 columns or rows but the range"),
    "range": (put([0], "columns", 0, "range"), "but the range"),
    "negative": (put([-1, 1], "columns", 0, "range"), "entry numbers"),
    "float": (put([0.0, 2.0], "columns", 0, "range"), "entry numbers"),
    "start": (put(1, "columns", 0, "start"), "starts at 1, not at 0"),
    "true": (put(True, "columns", 0, "value"), "'value' is bool, not int"),
    "block": (put(7, "columns", 0), "not an object"),
    "list": (put({}, "rows"), "'rows' is dict, not list"),
    "name": (put(None, "rows", 0, "name"), "'name' is NoneType, not str"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_sidecar_is_one_error_with_the_file(tmp_path, name):
    change, message = BREAKS[name]
    content = valid()
    path = tmp_path / "broken.map.json"
    path.write_text(json.dumps(content))
    read_sidecar(path)
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(LipcError, match=message.replace("[", r"\[")) as caught:
        read_sidecar(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b"nul", b"[" * 100_000])
def test_not_json_at_all(tmp_path, text):
    path = tmp_path / "m.map.json"
    path.write_bytes(text)
    with pytest.raises(LipcError, match="JSON") as caught:
        read_sidecar(path)
    assert caught.value.where == str(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(LipcError, match="No such file"):
        read_sidecar(tmp_path / "none.map.json")
