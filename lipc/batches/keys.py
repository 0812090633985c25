"""Which jobs are the same: a digest of all that was asked, files by what is in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from lipc.jobs import Job
from lipc.options import Options

FILES = ("halfspaces", "vnnlib")
NUMBERS = ("box", "center")
OF_A_RADIUS = ("label", "max_radius", "tolerance")


class Digests:
    """The SHA-256 of files, each read once."""

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}

    def of(self, path: str) -> str | None:
        """Return the digest of a file; `None` if it cannot be read."""
        if path not in self._known:
            try:
                self._known[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            except (OSError, ValueError):
                self._known[path] = None
        return self._known[path]


def key_of(job: Job, default: Options, memory: int | None, digests: Digests) -> str:
    """Return a digest of what a job asks, and under which limits; names and places do not count.

    Parameters
    ----------
    default, memory
        What holds where the job says nothing.
    """
    words: dict[str, Any] = {each.name: getattr(job.words, each.name) for each in fields(job.words)}
    for name in OF_A_RADIUS:
        if words[name] is None:  # the keys of other jobs stay those of the version before
            del words[name]
    for name in FILES:
        words[name] = words[name] and digests.of(words[name])
    words["center"] = _numbers(words["center"], digests.of)
    words["box"] = words["box"] and [_numbers(each, digests.of) for each in words["box"]]
    limits = {name: _finite(value) for name, value in asdict(job.limits(default)).items()}
    asked = {
        "model": digests.of(job.model) or job.model,
        "words": words,
        "passes": asdict(job.passes),
        "options": limits,
        "memory": memory if job.memory is None else job.memory,
        "flags": [job.drop_softmax, job.trust_bounds],
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def _numbers(given: Any, digest: Callable[[str], str | None]) -> Any:
    """Return numbers as plain values, those in a file by its digest."""
    if isinstance(given, np.ndarray):
        return given.tolist()
    if isinstance(given, str):
        try:
            return [float(given)]
        except ValueError:
            return digest(given)
    return given


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value
