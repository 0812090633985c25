"""Numbers as text: those of `repr` without a trailing ``.0``, whatever they are."""

from __future__ import annotations

import gzip
import sys

import numpy as np
import pytest

from benchmarks.writers import make
from lipc.formats import gzipped, mps_chunks
from lipc.formats.text import numbers


def expected(value: float) -> str:
    return repr(value + 0.0).removesuffix(".0")


def test_edges() -> None:
    powers = [
        float(f"{sign}{digits}e{power}")
        for sign in ("", "-")
        for digits in ("1", "1.5", "9.999999999999999")
        for power in range(-324, 309)
    ]
    others = [0.0, -0.0, 1.0, -3.0, 0.1, 1 / 3, 5e-324, 2.0**53, 2.0**53 + 2, 123456789.0, np.inf, -np.inf, 100.0]
    near = [np.nextafter(edge, way) for edge in (1e-5, 1e-4, 1e15, 1e16, 1e17) for way in (-np.inf, np.inf)]
    values = [*powers, *others, *near]
    assert numbers(np.array(values)) == [expected(float(value)) for value in values]
    assert numbers(np.zeros(0)) == []


@pytest.mark.parametrize("kind", ["bits", "normal", "single", "integers", "decimals"])
def test_many(kind: str) -> None:
    random = np.random.default_rng(3)
    values = {
        "bits": random.integers(0, 2**64, 40_000, dtype=np.uint64).view(np.float64),
        "normal": random.normal(size=40_000) * 10.0 ** random.integers(-7, 18, 40_000),
        "single": random.normal(size=40_000).astype(np.float32).astype(np.float64),
        "integers": random.integers(-(2**60), 2**60, 10_000).astype(np.float64),
        "decimals": np.round(random.normal(size=10_000), 3),
    }[kind]
    values = values[np.isfinite(values)]
    found = numbers(values)
    assert found == [expected(value) for value in values.tolist()]
    assert (np.array(list(map(float, found))) == values).all()


@pytest.mark.parametrize("installed", [True, False])
def test_both_compressors_hold_the_same_text(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    if installed:
        pytest.importorskip("isal")
    else:
        monkeypatch.setitem(sys.modules, "isal", None)
    text = list(mps_chunks(make("sparse", 20_000)))
    packed = b"".join(gzipped(text))
    assert gzip.decompress(packed) == b"".join(text)
    assert len(packed) < 0.4 * len(b"".join(text))
