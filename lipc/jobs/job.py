"""A job: a model and what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lipc.errors import QueryError
from lipc.jobs.stated import PassWords, Words
from lipc.jobs.values import Raw
from lipc.options import Options

OF_ONE_PAIR = ("gap", "safe_upper")
"""The options that a certified radius does not take: it has a tolerance, and solves no pair to its end."""

WHAT_A_RADIUS_TAKES = (
    "it takes center, clip, norm, label, max-radius, tolerance, mode, search, time-limit, threads, seed, memory and "
    "drop-softmax"
)


@dataclass(frozen=True, eq=False)
class Job:
    """A model and what is asked of it.

    Parameters
    ----------
    id
        What results call it; by default the number of its line.
    model
        The path of the model.
    words
        The question, as it was stated.
    where
        The place it stands at, for messages: ``jobs.csv:17``; empty if it stands nowhere.
    line
        Its line, from 1; of a job that stands in no file its number.
    options
        The fields of `Options` that it names.
    passes
        The options that choose the passes.
    drop_softmax, trust_bounds
        As for `lipc.solve`.
    memory
        The most bytes that it may use; `None`: what the batch says.
    more
        The values of further keys that a reader allows, as they stand there.
    """

    id: str
    model: str
    words: Words = field(default_factory=Words)
    where: str = ""
    line: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    passes: PassWords = field(default_factory=PassWords)
    drop_softmax: bool = False
    trust_bounds: bool = False
    memory: int | None = None
    more: Mapping[str, Raw] = field(default_factory=dict)

    def limits(self, default: Options) -> Options:
        """Return how to solve it: what it says, over `default`."""
        return replace(default, **self.options)

    def check(self) -> None:
        """Check what can be seen without reading a file.

        Raises
        ------
        QueryError
            If what it asks contradicts itself.
        """
        self.words.check()
        if self.words.asks_radius:
            given: dict[str, object] = {
                "level": self.passes.level,
                "passes": self.passes.passes,
                "bounds": self.passes.bounds,
            }
            given |= {"trust-bounds": self.trust_bounds or None}
            given |= {name.replace("_", "-"): self.options.get(name) for name in OF_ONE_PAIR}
            for name, value in given.items():
                if value is not None:
                    raise QueryError(f"'{name}' says nothing of a certified radius", hint=WHAT_A_RADIUS_TAKES)
