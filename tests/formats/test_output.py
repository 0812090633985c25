"""Files appear whole or not at all; pipes and devices are written as they come."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from format_programs import program, random_program

from lipc.errors import InternalError, OutputError
from lipc.formats import Format, format_of, mps_chunks, read_sidecar, sidecar_path, write_atomically, write_model


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("exists", [True, False])
def test_a_failure_in_the_middle_leaves_nothing(tmp_path, failure, exists):
    path = tmp_path / "model.mps"
    if exists:
        path.write_bytes(b"old")

    def chunks():
        yield b"new"
        assert len(list(tmp_path.iterdir())) == 1 + exists  # the temporary file is in the same folder
        assert not exists or path.read_bytes() == b"old"
        raise failure

    with pytest.raises(failure):
        write_atomically(path, chunks())
    assert [p.name for p in tmp_path.iterdir()] == (["model.mps"] if exists else [])
    assert not exists or path.read_bytes() == b"old"


def failing(number: int):
    def fail(*_args, **_options):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["write", "fsync", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_failure_of_the_system_is_one_error_and_leaves_nothing(tmp_path, monkeypatch, call, number):
    path = tmp_path / "model.mps"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(f"lipc.formats.output.os.{call}", failing(number))
        with pytest.raises(OutputError, match=os.strerror(number)) as caught:
            write_atomically(path, [b"new"])
    assert caught.value.where == str(path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.mps"]
    assert path.read_bytes() == b"old"


def test_a_failed_renaming_leaves_nothing(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing(errno.EPERM))
        with pytest.raises(OutputError):
            write_atomically(tmp_path / "model.mps", [b"new"])
    assert list(tmp_path.iterdir()) == []


def test_short_writes_are_continued(tmp_path, monkeypatch):
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr("lipc.formats.output.os.write", lambda fd, data: write(fd, bytes(data)[:3]))
        write_atomically(tmp_path / "f", [b"0123456789", b"", b"ab"])
    assert (tmp_path / "f").read_bytes() == b"0123456789ab"


def test_folder_as_target_and_missing_folder(tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        write_atomically(tmp_path, [b""])
    with pytest.raises(OutputError, match="no such folder"):
        write_atomically(tmp_path / "none" / "model.mps", [b""])
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_write_permission_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "model.mps"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr("lipc.formats.output.os.access", lambda *_: False)
        with pytest.raises(OutputError, match="Permission denied"):
            write_atomically(path, [b"new"])
    assert path.read_bytes() == b"old"


def test_permissions_are_the_users_own(tmp_path):
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", [b"x"])
    finally:
        os.umask(old)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new").chmod(0o604)
    write_atomically(tmp_path / "new", [b"y"])
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o604


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    write_atomically(tmp_path / "link", [b"x"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"x"


def test_fifo_is_written_not_replaced(tmp_path):
    path = tmp_path / "p.mps"
    os.mkfifo(path)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    reader.start()
    assert write_model(random_program(0), path, facts={}) == (path,)
    reader.join(timeout=5)
    assert found == [b"".join(mps_chunks(random_program(0)))]
    assert path.is_fifo()
    assert [p.name for p in tmp_path.iterdir()] == ["p.mps"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_device():
    with pytest.raises(OutputError, match="No space left"):
        write_model(random_program(0), "/dev/full")
    assert Path("/dev/full").is_char_device()


def test_null_device():
    assert write_model(random_program(0), os.devnull) == (Path(os.devnull),)
    assert Path(os.devnull).is_char_device()


def test_formats_by_ending():
    assert [format_of(f"a.b.{known.value}") for known in Format] == list(Format)
    for wrong in ("model", "model.txt", "model.gz", "model.mps.bz2", "mps", "model.MPS"):
        with pytest.raises(OutputError, match=r"\.mps, \.mps\.gz, \.lp, \.lp\.gz") as caught:
            format_of(wrong)
        assert caught.value.where == wrong
    assert [sidecar_path(f"d/m.x.{known.value}") for known in Format] == [Path("d/m.x.map.json")] * 4


@pytest.mark.parametrize("kind", Format)
def test_gzip_holds_the_same_text_and_no_time(tmp_path, kind):
    path = tmp_path / f"model.{kind.value}"
    write_model(random_program(4), path)
    first = path.read_bytes()
    write_model(random_program(4), path)
    assert path.read_bytes() == first
    if kind in (Format.MPS_GZ, Format.LP_GZ):
        assert first[:2] == b"\x1f\x8b"
        assert first[3:8] == b"\0" * 5  # no file name, no time
        plain = tmp_path / f"model.{kind.value[:-3]}"
        write_model(random_program(4), plain)
        assert gzip.decompress(first) == plain.read_bytes()


def test_model_and_sidecar_appear_together(tmp_path):
    path = tmp_path / "model.lp.gz"
    assert write_model(random_program(1), path, facts={"source": "net.onnx"}) == (path, tmp_path / "model.map.json")
    assert read_sidecar(tmp_path / "model.map.json").facts == {"source": "net.onnx"}
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(InternalError):
        write_model(random_program(1), other / "m.mps", facts={"columns": 1})
    (other / "n.map.json").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_model(random_program(1), other / "n.mps", facts={})
    assert [p.name for p in other.iterdir()] == ["n.map.json"]


def test_the_sidecar_goes_elsewhere_and_both_appear_or_neither(tmp_path):
    path, other = tmp_path / "model.mps", tmp_path / "names.json"
    assert write_model(random_program(1), path, facts={"source": "a"}, map_file=other) == (path, other)
    assert read_sidecar(other).facts == {"source": "a"}
    assert write_model(random_program(1), os.devnull, map_file=other) == (Path(os.devnull), other)
    assert read_sidecar(other).facts == {}
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    link = tmp_path / "sub"
    link.symlink_to(tmp_path)
    for wrong in (tmp_path, tmp_path / "none" / "map.json", path, link / "model.mps", "-", "n" * 300, "a\0b"):
        with pytest.raises(OutputError):
            write_model(random_program(2), path, facts={}, map_file=wrong)
    link.unlink()
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_an_unknown_ending_or_a_bad_program_writes_nothing(tmp_path):
    with pytest.raises(OutputError):
        write_model(random_program(1), tmp_path / "model.txt", facts={})
    with pytest.raises(InternalError):
        write_model(program([[float("nan")]]), tmp_path / "model.mps", facts={})
    assert list(tmp_path.iterdir()) == []
    write_model(random_program(1), tmp_path / "model.txt", format=Format.MPS)
    assert (tmp_path / "model.txt").read_bytes() == b"".join(mps_chunks(random_program(1)))


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from format_programs import random_program
from lipc.errors import OutputError
from lipc.formats import write_model, write_stdout
if sys.argv[2] == "endless":
    done = write_stdout(b"x" * 1000 for _ in range(65536))
    print(f"done {done}", file=sys.stderr)
else:
    if sys.argv[2] == "after print":
        print("before")
    try:
        write_model(random_program(0), sys.argv[3])
    except OutputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
"""


def script(*arguments: str, **options) -> subprocess.Popen[bytes]:
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": str(here.parents[1])}
    environment.pop("PYTHONUNBUFFERED", None)  # what is left in a buffer is half of what these tests are about
    command = [sys.executable, "-c", SCRIPT, str(here), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, **options)


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output(name):
    with script("after print", name, stdout=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=30)
    assert out == b"before\n" + b"".join(mps_chunks(random_program(0)))
    assert (err, process.returncode) == (b"", 0)


def test_a_closed_pipe_is_quiet():
    with script("endless", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(10) == b"x" * 10
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        assert process.wait(timeout=30) == 0
    assert err == b"done False\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_standard_output_on_a_full_disk():
    with Path("/dev/full").open("wb") as full, script("model", "-", stdout=full) as process:
        _, err = process.communicate(timeout=30)
    assert (err, process.returncode) == (b"standard output: cannot be written: No space left on device\n", 2)
