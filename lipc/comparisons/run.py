"""Run methods on cases and sum up: time, and the relative error against the exact value.

Jordan & Dimakis (NeurIPS 2020), Table 1, with any networks and any methods.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lipc.errors import QueryError
from lipc.estimators.base import Estimator, Kind
from lipc.estimators.run import Estimated, estimate, programs_of
from lipc.frontends import Network
from lipc.ir import Floats
from lipc.jobs import ENDINGS, Job, read_jobs
from lipc.models import read_model
from lipc.query import Query

GROUP = "group"
"""The key of a job file that says in which column of the table a case is counted; by default the file's name."""

NUMBER = re.compile(r"=\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*$")


@dataclass(frozen=True, eq=False)
class Case:
    """A network and a question.

    Parameters
    ----------
    group
        What it is summed up with.
    name
        Of the case alone; ``epoch=10`` gives it a place on an axis.
    network, query
        The question; `None`: what the network asks itself.
    where
        The place it stands at, for messages, like ``jobs.csv:17``; empty if it stands nowhere.
    """

    group: str
    name: str
    network: Network
    query: Query | None
    where: str = ""

    @property
    def place(self) -> float | None:
        """The number that the name ends with, after ``=``."""
        found = NUMBER.search(self.name)
        return float(found[1]) if found else None

    @property
    def axis(self) -> str:
        """What that number is."""
        return self.name.rpartition("=")[0].split()[-1] if self.place is not None else ""


@dataclass(frozen=True, eq=False)
class Row:
    """What a method said of a case.

    Parameters
    ----------
    exact
        The best that is proven of the constant there: a pair, closed where a method was exact.
    """

    case: Case
    answer: Estimated
    exact: tuple[float, float]

    @property
    def error(self) -> float:
        """How far the number is from the exact value, relative to it; NaN where either is not known."""
        low, high = self.exact
        if not np.isfinite(high) or high - low > 1e-4 * high:
            return float("nan")
        return (self.answer.value - high) / high if high else 0.0 if self.answer.value == 0 else float("inf")


@dataclass(frozen=True)
class Cell:
    """A method on the cases of a group.

    Parameters
    ----------
    count
        Cases with an answer.
    refused
        Cases without.
    seconds, error
        Mean and standard deviation, NaN where there is nothing to take them of.
    """

    count: int
    refused: int
    seconds: tuple[float, float]
    error: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All answers, case by case."""

    rows: tuple[Row, ...]

    @property
    def groups(self) -> list[str]:
        """The groups, in order."""
        return list(dict.fromkeys(row.case.group for row in self.rows))

    @property
    def methods(self) -> list[str]:
        """The methods, in order."""
        return list(dict.fromkeys(row.answer.method for row in self.rows))

    def kinds(self, method: str) -> str:
        """Return what the numbers of a method are: of several kinds, all."""
        rows = [row for row in self.rows if row.answer.method == method]
        answered = [row for row in rows if row.answer.estimate is not None] or rows
        return ", ".join(dict.fromkeys(row.answer.kind.value for row in answered))

    def cell(self, group: str, method: str) -> Cell:
        """Return the mean of a method over a group."""
        rows = [row for row in self.rows if (row.case.group, row.answer.method) == (group, method)]
        answered = [row for row in rows if row.answer.estimate is not None]
        seconds = np.array([row.answer.seconds for row in answered])
        errors = np.array([row.error for row in answered])
        return Cell(len(answered), len(rows) - len(answered), _spread(seconds), _spread(errors[~np.isnan(errors)]))


def _spread(values: Floats) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    with np.errstate(invalid="ignore"):
        return float(values.mean()), float(values.std())


def cases_of(path: str, query_of: Callable[[Network], Query | None], *, drop_softmax: bool = False) -> Iterator[Case]:
    """Yield the cases of a file: a model, or a file of jobs.

    Parameters
    ----------
    path
        A model, or a ``.csv`` or ``.jsonl`` file of jobs; such a job may have the key ``group``.
    query_of
        What is asked of a model that is named itself.

    Raises
    ------
    SourceError, ModelError, QueryError
        If a file cannot be read, or a question does not fit.
    """
    stem = Path(path).stem
    if not path.endswith(ENDINGS):
        network = read_model(path, drop_softmax=drop_softmax)
        yield Case(stem, stem, network, query_of(network))
        return
    networks: dict[tuple[str, bool], Network] = {}
    for job in read_jobs(path, [GROUP]):
        key = (job.model, job.drop_softmax)
        if key not in networks:
            networks[key] = read_model(job.model, drop_softmax=job.drop_softmax)
        yield _case(job, networks[key], stem)


def _case(job: Job, network: Network, stem: str) -> Case:
    group = job.more.get(GROUP, stem)
    return Case(str(group), job.id, network, job.words.understood().of(network), job.where)


def compare(
    cases: Sequence[Case],
    methods: str | Sequence[str | Estimator] | None = None,
    *,
    time_limit: float = float("inf"),
    seed: int = 0,
    on_row: Callable[[Case, Estimated], None] = lambda *_: None,
) -> Comparison:
    """Run methods on cases, one after the other.

    Parameters
    ----------
    methods, time_limit, seed
        As for `lipc.estimate`. Errors are relative to what ``lipmip`` or any other exact method says of the case.
    on_row
        Called with each answer when it is there.

    Raises
    ------
    QueryError, InternalError
        As `lipc.estimate`.
    """
    for case in cases:
        _refuse_misfits(case)
    rows: list[Row] = []
    for case in cases:
        tell = partial(on_row, case)
        answers = estimate(
            case.network, case.query, methods=methods, time_limit=time_limit, seed=seed, on_estimate=tell
        )
        exact = _best_pair(answers)
        rows += [Row(case, answer, exact) for answer in answers]
    return Comparison(tuple(rows))


def _refuse_misfits(case: Case) -> None:
    """Raise what is wrong with a question before any work, with its place."""
    try:
        programs_of(case.network, case.query)
    except QueryError as error:
        raise QueryError(error.message, where=error.where or case.where, hint=error.hint) from None


def _best_pair(answers: Sequence[Estimated]) -> tuple[float, float]:
    """Return the largest proven lower side and the smallest proven upper one; they meet where a method was exact."""
    found = [answer for answer in answers if answer.estimate is not None]
    uppers = [answer.value for answer in found if answer.kind in (Kind.EXACT, Kind.UPPER)]
    witnesses = [answer.estimate.witness for answer in found if answer.estimate is not None]
    lowers = [witness.value for witness in witnesses if witness is not None]
    return max(lowers, default=0.0), min(uppers, default=float("inf"))
