"""``lipc MODEL``: files, the sidecar, pipes, and two runs that must agree byte for byte."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_process import command

from lipc.formats import read_sidecar

NOTE = "lipc: note: "
BOX = ("--box", "0", "1")

Call = Callable[..., Any]


def test_version_and_help(lipc: Call) -> None:
    assert lipc("--version").out.startswith("lipc 0.")
    for args in (["--help"], ["-h"], ["compile", "--help"], ["solve", "--help"], ["solve", "-h"]):
        shown = lipc(*args)
        assert (shown.code, shown.err) == (0, "")
        assert "Usage: lipc" in shown.out
    assert "solve" in lipc("--help").out


def test_no_arguments_is_a_mistake_with_help(lipc: Call) -> None:
    shown = lipc()
    assert shown.code == 2
    assert shown.out == ""
    assert "Usage" in shown.err


@pytest.mark.parametrize("ending", ["mps", "lp", "mps.gz", "lp.gz"])
def test_file_and_sidecar(lipc: Call, small: str, tmp_path: Path, ending: str) -> None:
    shown = lipc(small, *BOX, "-o", tmp_path / f"model.{ending}")
    assert shown == (0, "", "")
    assert {path.name for path in tmp_path.iterdir()} == {"model.map.json", f"model.{ending}"}
    content = (tmp_path / f"model.{ending}").read_bytes()
    text = (gzip.decompress(content) if ending.endswith("gz") else content).decode("ascii")
    sidecar = read_sidecar(tmp_path / "model.map.json")
    names = sidecar.column_names()
    assert len(set(names)) == len(names) > 0
    assert all(name in text for name in names)
    assert sidecar.sign == -1
    query = sidecar.facts["query"]
    assert isinstance(query, dict)
    assert (query["model"], query["objective"], query["norm"]) == (small, "lipschitz", "linf")


def test_standard_output_is_the_file(lipc: Call, process: Call, small: str, tmp_path: Path) -> None:
    lipc(small, *BOX, "-o", tmp_path / "model.mps")
    lipc(small, *BOX, "-o", tmp_path / "model.lp")
    mps, lp = ((tmp_path / f"model.{ending}").read_text() for ending in ("mps", "lp"))
    for args in ([small, *BOX], ["compile", small, *BOX], [small, *BOX, "-o", "-"]):
        assert lipc(*args) == (0, mps, "")
    assert lipc(small, *BOX, "--format", "lp") == (0, lp, "")
    assert process(small, *BOX, "-o", "/proc/self/fd/1") == (0, mps, "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "-"])
def test_standard_output_by_other_names(process: Call, small: str, tmp_path: Path, name: str) -> None:
    for ending in ("mps", "lp"):
        content = process(small, *BOX, "--format", ending).out
        call = command(small, *BOX, "-o", name, "--format", ending)
        assert process(small, *BOX, "-o", name, "--format", ending) == (0, content, "")
        path = tmp_path / f"redirected.{ending}"
        with path.open("w") as file:
            file.write("before\n")
            file.flush()
            subprocess.run(call, stdout=file, check=True)
        assert path.read_text() == "before\n" + content


def test_map_says_where_the_sidecar_goes(lipc: Call, small: str, tmp_path: Path) -> None:
    lipc(small, *BOX, "-o", tmp_path / "model.mps")
    beside = (tmp_path / "model.map.json").read_text()
    shown = lipc(small, *BOX, "-o", tmp_path / "other.mps", "--map", tmp_path / "names.json")
    assert shown == (0, "", "")
    assert (tmp_path / "names.json").read_text() == beside
    assert not (tmp_path / "other.map.json").exists()
    shown = lipc(small, *BOX, "--map", tmp_path / "stdout.json")
    assert (shown.code, shown.err) == (0, "")
    assert (tmp_path / "stdout.json").read_text() == beside


def test_default_domain_makes_a_note(lipc: Call, small: str, tmp_path: Path) -> None:
    shown = lipc(small, "-o", tmp_path / "a.mps")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err.startswith(NOTE)
    assert shown.err.count("\n") == 1
    assert lipc(small, *BOX, "-o", tmp_path / "b.mps").err == ""
    assert lipc(small, "--center", "0.5", "--radius", "0.5", "-o", tmp_path / "c.mps").err == ""
    assert (tmp_path / "a.mps").read_bytes() == (tmp_path / "b.mps").read_bytes() == (tmp_path / "c.mps").read_bytes()


def test_an_existing_file_is_replaced(lipc: Call, small: str, tmp_path: Path) -> None:
    path = tmp_path / "model.mps"
    path.write_text("old")
    path.chmod(0o640)
    assert lipc(small, *BOX, "-o", path).code == 0
    assert path.read_text() != "old"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["net work.onnx", "né.onnx", "two\nlines.onnx", "-dash.onnx", "solve"])
def test_odd_names_of_models(lipc: Call, small: str, tmp_path: Path, name: str) -> None:
    model = tmp_path / name
    model.write_bytes(Path(small).read_bytes())
    assert lipc(model, *BOX, "-o", tmp_path / "model.mps") == (0, "", "")
    lines = (tmp_path / "model.mps").read_bytes().decode("ascii").splitlines()
    assert json.loads((tmp_path / "model.map.json").read_bytes())["query"]["model"] == str(model)
    assert all(line[0] in "* NROCBE" for line in lines), "a file name may not break out of its comment"


def test_drop_softmax(lipc: Call, small: str, models: Path, tmp_path: Path) -> None:
    refused = lipc(models / "softmax.onnx", *BOX, "-o", tmp_path / "model.mps")
    assert refused.code == 2
    assert "--drop-softmax" in refused.err
    shown = lipc(models / "softmax.onnx", *BOX, "--drop-softmax", "-o", tmp_path / "model.mps")
    assert shown == (0, "", "")
    lipc(small, *BOX, "-o", tmp_path / "logits.mps")
    without_header = [
        [line for line in (tmp_path / name).read_text().splitlines() if line[0] != "*"]
        for name in ("model.mps", "logits.mps")
    ]
    assert without_header[0] == without_header[1]


@pytest.mark.parametrize("options", [[], ["--format", "lp"]])
def test_a_reader_that_has_had_enough(models: Path, options: list[str]) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(models / "hard.onnx", "-o", "-", *options), **pipes) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        assert writer.stdout.readline()
        writer.stdout.close()
        err = writer.stderr.read().decode()
        assert writer.wait(60) == 0
    assert err.startswith(NOTE)
    assert err.count("\n") == 1


def test_a_shell_pipe(small: str) -> None:
    line = f"'{sys.executable}' -m lipc '{small}' --box 0 1 -o - | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(process: Call, small: str, tmp_path: Path) -> None:
    for mode in ("reverse", "forward"):
        for seed in ("0", "1"):
            done = process(small, *BOX, "--mode", mode, "-o", tmp_path / f"{mode}{seed}.mps.gz", PYTHONHASHSEED=seed)
            assert done == (0, "", "")
        for ending in ("mps.gz", "map.json"):
            first, second = ((tmp_path / f"{mode}{seed}.{ending}").read_bytes() for seed in "01")
            assert first == second


@pytest.mark.slow
def test_two_processes_solve_alike(process: Call, small: str) -> None:
    runs = [json.loads(process("solve", small, *BOX, "--json", PYTHONHASHSEED=seed).out) for seed in ("0", "1")]
    for run in runs:
        del run["time"]
    assert runs[0] == runs[1]


def test_a_new_file_has_the_permissions_of_the_umask(small: str, tmp_path: Path) -> None:
    done = subprocess.run(
        command(small, *BOX, "-o", tmp_path / "model.mps"), preexec_fn=lambda: os.umask(0o027), check=False
    )
    assert done.returncode == 0
    assert (tmp_path / "model.mps").stat().st_mode & 0o777 == 0o640
