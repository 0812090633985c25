"""One model at many places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from batch_files import EXAMPLES

from lipc.batches.grid import Grid, Sweep, properties_in
from lipc.errors import QueryError
from lipc.jobs.arrays import read_points
from lipc.jobs.stated import Words

MODEL = str(EXAMPLES / "two_neurons.lip")


def test_points_times_sweeps() -> None:
    points = np.array([[0.0, 1.0], [0.5, 0.25]])
    sweeps = [Sweep.of("radius=0.1:0.3:3"), Sweep.of("time_limit=1,2")]
    jobs = Grid(MODEL, Words(norm="l1"), points, sweeps=sweeps).jobs()
    assert len(jobs) == len({job.id for job in jobs}) == 12
    assert [job.words.radius for job in jobs[:6]] == [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]
    assert [job.options["time_limit"] for job in jobs[:2]] == [1.0, 2.0]
    assert jobs[7].id == "1 radius=0.1 time-limit=2"
    assert isinstance(jobs[7].words.center, np.ndarray) and jobs[7].words.center.tolist() == [0.5, 0.25]
    assert {job.words.norm for job in jobs} == {"l1"}
    assert [job.line for job in jobs] == [*range(1, 13)]


def test_a_sweep_alone_and_nothing_at_all() -> None:
    jobs = Grid(MODEL, sweeps=[Sweep.of("norm=linf,l1")]).jobs()
    assert [(job.id, job.words.norm) for job in jobs] == [("norm=linf", "linf"), ("norm=l1", "l1")]
    assert [job.id for job in Grid(MODEL).jobs()] == ["1"]


def test_ranges_have_the_numbers_that_people_write() -> None:
    assert Sweep.of("radius=0.1:0.5:5").values == ("0.1", "0.2", "0.3", "0.4", "0.5")
    assert Sweep.of("radius=2:1:1").values == ("2.0",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("radius", "a key and values"),
        ("radius=", "a key and values"),
        ("radios=1", "did you mean 'radius'"),
        ("model=a,b", "cannot be swept"),
        ("radius=0:1", "takes a number that is not negative"),
        ("radius=0:1:0", "FIRST:LAST:COUNT"),
        ("radius=0:x:3", "FIRST:LAST:COUNT"),
        ("radius=0:nan:3", "FIRST:LAST:COUNT"),
        ("radius=1,1", "twice"),
        ("norm=l7", "one of: linf, l1, l2"),
    ],
)
def test_what_is_no_sweep(text: str, words: str) -> None:
    with pytest.raises(QueryError) as caught:
        Sweep.of(text)
    assert words in str(caught.value)


def test_points_without_a_radius_are_refused_before_the_work() -> None:
    with pytest.raises(QueryError, match="belong together"):
        Grid(MODEL, points=np.zeros((2, 2))).jobs()


def test_property_files(tmp_path: Path) -> None:
    for name in ("b.vnnlib", "a.vnnlib.gz", "readme.txt"):
        (tmp_path / name).touch()
    found = properties_in(str(tmp_path))
    assert [Path(each).name for each in found] == ["a.vnnlib.gz", "b.vnnlib"]
    assert [job.id for job in Grid(MODEL, properties=found).jobs()] == ["a", "b"]
    with pytest.raises(QueryError, match=r"holds no \.vnnlib file"):
        properties_in(str(EXAMPLES))
    with pytest.raises(QueryError, match="cannot be read"):
        properties_in(str(tmp_path / "none"))


def test_files_of_points(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(24.0).reshape(2, 3, 4))
    assert read_points(str(path), "--points").tolist() == np.arange(24.0).reshape(2, 12).tolist()
    np.save(path, np.arange(3))
    assert read_points(str(path), "--points").tolist() == [[0.0, 1.0, 2.0]]
    text = tmp_path / "x.csv"
    text.write_text("1, 2\n\n3, 4\n", encoding="utf-8")
    assert read_points(str(text), "--points").tolist() == [[1.0, 2.0], [3.0, 4.0]]
    for content, words in (("1,2\n3\n", "rows of numbers"), ("", "no point"), ("a,b\n", "rows of numbers")):
        text.write_text(content, encoding="utf-8")
        with pytest.raises(QueryError, match=words):
            read_points(str(text), "--points")
    with pytest.raises(QueryError, match="cannot be read"):
        read_points(str(tmp_path / "none.npy"), "--points")
