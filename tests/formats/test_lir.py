"""Textual programs as files: the constants beside them, what is wrong with those, and whole files or none."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from lipc.diagnostics import SourceError
from lipc.errors import LipcError, ModelError, OutputError
from lipc.formats.lir import constants_path, npz_bytes, read_lir, read_npz, write_lir
from lipc.ir import Builder, Origin, Polytope, Program, parse_program, print_program


def program_of(seed: int = 0) -> Program:
    """Return a program with large constants of every kind."""
    rng = np.random.default_rng(seed)
    builder = Builder()
    x = builder.input(Polytope.box(rng.normal(size=100) - 9, rng.normal(size=100) + 9), origin=Origin("x"))
    dense = builder.affine({x: rng.normal(size=(30, 100))}, rng.normal(size=30))
    builder.origin = Origin("sparse", "", rng.permutation(200)[:100])
    matrix = csr_array(random_array((100, 100), density=0.1, format="csr", rng=rng))
    sparse = builder.affine({x: matrix, dense: rng.normal(size=(100, 30))})
    return builder.program(builder.select(sparse, rng.permutation(100)))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_lir(program_of(), tmp_path / "net.lir")
    return tmp_path / "net.lir"


def test_a_file_and_its_constants(tmp_path: Path) -> None:
    program, path = program_of(), tmp_path / "net.lir"
    assert write_lir(program, path) == (tmp_path / "net.lir.npz", path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["net.lir", "net.lir.npz"]
    text = path.read_text(encoding="utf-8")
    digest = hashlib.sha256((tmp_path / "net.lir.npz").read_bytes()).hexdigest()
    assert text.splitlines()[0] == f'constants "net.lir.npz" sha256 "{digest}"'
    assert len(text) < 1500
    assert print_program(read_lir(path)) == print_program(program)
    with np.load(tmp_path / "net.lir.npz", allow_pickle=False) as arrays:
        assert arrays["c2"].tobytes() == program.ops[1].terms[0].matrix.tobytes()  # type: ignore[union-attr]
        assert {array.dtype.name for array in arrays.values()} == {"float64", "int64"}


@pytest.mark.parametrize("external", [0, 64, 10**6, None])
@pytest.mark.parametrize("name", ["net.lir", "net.lir.gz", 'o"d\nd.lir'])
def test_thresholds_and_names(tmp_path: Path, name: str, external: int | None) -> None:
    program = program_of()
    files = write_lir(program, tmp_path / name, external=external)
    expected = {tmp_path / name}
    if external is not None and external < 1000:
        expected.add(tmp_path / f"{name.removesuffix('.gz')}.npz")
        assert constants_path(tmp_path / name) in expected
    assert set(files) == set(tmp_path.iterdir()) == expected
    assert print_program(read_lir(tmp_path / name)) == print_program(program)
    content = (tmp_path / name).read_bytes()
    assert (content[:2] == b"\x1f\x8b") is name.endswith(".gz")


def test_equal_programs_make_equal_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = []
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        write_lir(program_of(), tmp_path / folder / "net.lir.gz")
        contents.append({each.name: each.read_bytes() for each in (tmp_path / folder).iterdir()})
        monkeypatch.setattr("time.localtime", lambda *_: time.struct_time((2031, 5, 4, 3, 2, 1, 0, 1, 0)))
    assert contents[0] == contents[1]


def test_small_programs_are_one_file(tmp_path: Path) -> None:
    builder = Builder()
    program = builder.program(builder.affine({builder.input(Polytope.space(2)): [[1.0, 2.0]]}))
    assert write_lir(program, tmp_path / "net.lir") == (tmp_path / "net.lir",)
    assert (tmp_path / "net.lir").read_text(encoding="utf-8") == print_program(program) + "\n"


def test_elided_files_are_for_people(tmp_path: Path) -> None:
    assert write_lir(program_of(), tmp_path / "net.lir", elide=16) == (tmp_path / "net.lir",)
    with pytest.raises(SourceError, match="was elided when the program was printed"):
        read_lir(tmp_path / "net.lir")


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="a system without /dev")
def test_pipes_take_everything_in_line(tmp_path: Path) -> None:
    pipe = tmp_path / "net.lir"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        assert write_lir(program_of(), pipe) == (pipe,)
        assert reader.stdout is not None
        text = reader.stdout.read().decode()
    assert print_program(parse_program(text)) == print_program(program_of())
    assert list(tmp_path.iterdir()) == [pipe]


def test_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert write_lir(program_of(), "-") == ()
    assert capfdbinary.readouterr().out.decode() == print_program(program_of()) + "\n"


def refusal(path: Path) -> tuple[int, int, str, str]:
    with pytest.raises(SourceError) as caught:
        read_lir(path)
    (error,) = caught.value.diagnostics
    assert error.span.source.name == str(path)
    return error.span.line, error.span.column, error.message, error.hint


def seal(path: Path, content: bytes) -> None:
    """Put other constants beside a text, and their digest into it."""
    before = hashlib.sha256(constants_path(path).read_bytes()).hexdigest()
    constants_path(path).write_bytes(content)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(before, hashlib.sha256(content).hexdigest()), encoding="utf-8")


def test_constants_that_are_missing(written: Path) -> None:
    constants_path(written).unlink()
    message = "cannot read net.lir.npz: No such file or directory"
    assert refusal(written) == (1, 11, message, "it belongs beside the program")


def test_constants_of_another_program(written: Path, tmp_path: Path) -> None:
    write_lir(program_of(1), tmp_path / "other.lir")
    constants_path(written).write_bytes((tmp_path / "other.lir.npz").read_bytes())
    line, column, message, hint = refusal(written)
    assert (line, column, message) == (1, 32, "net.lir.npz is not the file that this program was written with")
    assert hashlib.sha256(constants_path(written).read_bytes()).hexdigest() in hint


def test_a_wrong_digest(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    written.write_text(text.replace('sha256 "', 'sha256 "x', 1), encoding="utf-8")
    assert refusal(written)[2] == "net.lir.npz is not the file that this program was written with"
    start = text.index('sha256 "') + 8
    written.write_text(text[:start] + text[start : start + 64].upper() + text[start + 64 :], encoding="utf-8")
    read_lir(written)


@pytest.mark.parametrize("length", [0, 1, 30, 1000, -1])
def test_truncated_constants(written: Path, length: int) -> None:
    content = constants_path(written).read_bytes()[:length]
    constants_path(written).write_bytes(content)
    assert "is not the file" in refusal(written)[2]
    write_lir(program_of(), written)
    seal(written, content)
    assert refusal(written)[2].startswith("net.lir.npz is broken: ")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/etc/passwd", "../net.lir.npz", "sub/net.npz", "a\\\\b.npz", "\\u{0}", "\\u{d800}"]
)
def test_constants_elsewhere(written: Path, name: str) -> None:
    text = written.read_text(encoding="utf-8")
    written.write_text(text.replace('"net.lir.npz"', f'"{name}"'), encoding="utf-8")
    line, column, message, _ = refusal(written)
    assert (line, column) == (1, 11)
    assert message.startswith(("the file of constants is named without a folder", "cannot read "))


def test_arrays_that_do_not_fit(written: Path) -> None:
    arrays = read_npz(constants_path(written).read_bytes())
    seal(written, npz_bytes(arrays | {"c2": arrays["c2"][:, :99]}))
    assert refusal(written)[2] == "the constant c2 has the shape (30, 99), not (30, 100)"
    seal(written, npz_bytes({name: array for name, array in arrays.items() if name != "c2"}))
    assert refusal(written)[2] == "there is no constant c2"
    seal(written, npz_bytes(arrays | {"c2": arrays["c2"].astype(np.float32)}))
    assert refusal(written)[2] == "the constant c2 holds float32, not float64"


def npz_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def npy_of(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(text: str) -> bytes:
    padded = text.encode() + b" " * (118 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


BROKEN = {
    "objects": npz_of("c0.npy", npy_of(np.array([{}, []], object))),
    "records": npz_of("c0.npy", npy_of(np.zeros(2, [("a", float)]))),
    "texts": npz_of("c0.npy", npy_of(np.array(["a", "b"]))),
    "an absurd shape": npz_of("c0.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (10**15,), }")),
    "an absurd size": npz_of(
        "c0.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000,), }") + b"\0" * 16
    ),
    "a negative size": npz_of(
        "c0.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }") + b"\0" * 8
    ),
    "no header": npz_of("c0.npy", b"hello"),
    "code": npz_of("c0.npy", header("__import__('os').abort()")),
    "brackets": npz_of("c0.npy", header("(" * 110)),
    "no zip file": b"PK\x03\x04" + b"x" * 100,
    "nothing": b"",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_constants(written: Path, kind: str) -> None:
    seal(written, BROKEN[kind])
    line, column, message, _ = refusal(written)
    assert (line, column) == (1, 11)
    assert message.startswith("net.lir.npz is broken: ")


def test_constants_that_other_programs_write(written: Path) -> None:
    """Arrays in other orders, packed, with a member that is not asked for: what `numpy.savez_compressed` makes."""
    expected = print_program(read_lir(written))
    arrays = read_npz(constants_path(written).read_bytes())
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, **{name: np.asfortranarray(array) for name, array in arrays.items()}, empty=np.zeros((0, 3))
    )
    seal(written, buffer.getvalue())
    assert print_program(read_lir(written)) == expected


def test_fuzzed_constants(written: Path) -> None:
    """Whatever the bytes, an error names the file; most flips are in numbers and are no errors."""
    rng = np.random.default_rng(0)
    content = constants_path(written).read_bytes()
    headers = [place for place in range(len(content)) if content[place : place + 2] in (b"PK", b"\x93N")]
    broken = 0
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(3):
            changed[int(rng.choice(headers)) + int(rng.integers(100)) - len(content)] = int(rng.integers(256))
        seal(written, bytes(changed))
        try:
            read_lir(written)
        except LipcError as error:
            assert "net.lir" in str(error)
            broken += 1
    assert broken > 50


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "is no text: byte 0 is not UTF-8"),
        (b"program \x00", "expected '{'"),
        (b"\x1f\x8b", "the packed file is broken: "),
        (gzip.compress(b"program {", mtime=0)[:-6], "the packed file is broken: "),
        (gzip.compress(b"program {", mtime=0)[:-6] + b"xxxxxx", "the packed file is broken: "),
        (b"\x1f\x8b" + b"x" * 50, "the packed file is broken: "),
        (b"", "the text ends before the program does"),
    ],
)
def test_files_that_are_no_programs(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "net.lir").write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        read_lir(tmp_path / "net.lir")
    assert str(tmp_path / "net.lir") in str(caught.value)


def test_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "net.lir").write_bytes(b"\xef\xbb\xbfprogram { %0: vec[1] = input space output %0 }")
    assert read_lir(tmp_path / "net.lir").result == 0


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_files_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "net.lir"
    if kind == "folder":
        path.mkdir()
    with pytest.raises(ModelError, match="cannot be read: "):
        read_lir(path)


def test_texts_that_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.formats.lir.LARGEST_TEXT", 1000)
    (tmp_path / "net.lir.gz").write_bytes(gzip.compress(b" " * 1001))
    with pytest.raises(ModelError, match="a text of more than 1000 bytes"):
        read_lir(tmp_path / "net.lir.gz")


def test_constants_that_are_too_large(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.formats.lir.LARGEST_CONSTANTS", 1000)
    assert refusal(written)[2] == "net.lir.npz has more than 1000 bytes"
    monkeypatch.setattr("lipc.formats.arrays.LARGEST", 1000)
    packed = io.BytesIO()
    np.savez_compressed(packed, c0=np.zeros(10_000))
    seal(written, packed.getvalue())
    assert refusal(written)[2] == "net.lir.npz is broken: more than 1000 bytes"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such folder"):
        write_lir(program_of(), tmp_path / "nowhere" / "net.lir")
    (tmp_path / "net.lir").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_lir(program_of(), tmp_path / "net.lir")
    assert [each.name for each in tmp_path.iterdir()] == ["net.lir"]


WRITER = """
import sys
sys.path[:0] = sys.argv[2:]
from test_lir import program_of
from lipc.formats.lir import write_lir
seed = 0
print("ready", flush=True)
while True:
    seed += 1
    write_lir(program_of(seed), sys.argv[1])
"""


def test_a_killed_process_leaves_nothing_half_written(tmp_path: Path) -> None:
    """At any moment there is a text that fits its constants, or one that says that it does not."""
    path = tmp_path / "net.lir"
    write_lir(program_of(0), path)
    stale = 0
    for delay in (0.02, 0.05, 0.11):
        tests = Path(__file__).parent
        command = [sys.executable, "-c", WRITER, str(path), str(tests), str(tests.parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        try:
            read_lir(path)
        except SourceError as error:
            assert "is not the file that this program was written with" in str(error)
            stale += 1
    assert stale < 3
