"""What comes of a job, and tables of many."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipc.errors import ResultError
from lipc.jobs import Job
from lipc.jobs.stated import RADIUS
from lipc.record import Record

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a job.

    Parameters
    ----------
    job
        What was asked.
    record
        The line of the file of results: that of `lipc.Result.to_dict`, with ``id``, ``line``, ``key``, ``error`` and
        ``seconds``.
    """

    job: Job
    record: Record

    @property
    def error(self) -> str:
        """Why there is no result; empty if there is one."""
        return str(self.record["error"])

    @property
    def status(self) -> str:
        """The status of the result, or ``error``."""
        return str(self.record["status"])

    @property
    def certified(self) -> bool:
        """Whether the pair is closed."""
        return bool(self.record["certified"])

    @property
    def lower(self) -> float:
        """The lower side, of a certified radius what is proven; NaN without a result, and infinite sides are those."""
        return _side(self.record, "lower", float("-inf"))

    @property
    def upper(self) -> float:
        """The upper side; of a certified radius the most that exact constants prove."""
        return _side(self.record, "upper", float("inf"))


def _side(record: Record, side: str, infinite: float) -> float:
    names = {"lower": "radius", "upper": "limit"} if record["query"].get("objective") == RADIUS else {}
    value = record[names.get(side, side)]
    if value is None:
        return float("nan") if record["status"] == "error" else infinite
    return float(value)


def to_pandas(answers: str | Path | Iterable[Answer]) -> pd.DataFrame:
    """Return a table with a row for each answer; its index are the ids.

    Columns: ``model``, ``status``, ``lower``, ``upper``, ``gap``, ``certified``, ``norm``, ``objective``, ``output``,
    ``unstable`` neurons, ``nodes``, ``seconds``, ``error``, ``line``, ``x`` (the witness, a list; of a certified radius
    the point of another class that was found).

    Parameters
    ----------
    answers
        Answers, or the name of a file of results.

    Raises
    ------
    ImportError
        If pandas is not installed.
    ResultError
        If the file cannot be read.
    """
    import pandas as pd

    records = _read(answers) if isinstance(answers, str | Path) else [each.record for each in answers]
    rows = [_row(record) for record in records]
    return pd.DataFrame(rows, index=pd.Index([str(each["id"]) for each in records], name="id"))


def _read(path: str | Path) -> list[Record]:
    try:
        lines = Path(path).read_bytes().split(b"\n")[:-1]  # a last line without an end was cut off
        return [json.loads(line) for line in lines]
    except OSError as error:
        raise ResultError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except ValueError as error:
        raise ResultError(f"holds something else than results: {error}", where=str(path)) from None


def _row(record: Record) -> dict[str, Any]:
    query, size = record["query"], record.get("size")
    witness = record.get("witness") or record.get("adversarial")
    return {
        "model": query["model"],
        "status": record["status"],
        "lower": _side(record, "lower", float("-inf")),
        "upper": _side(record, "upper", float("inf")),
        "gap": record.get("gap"),
        "certified": record["certified"],
        "norm": query.get("norm"),
        "objective": query.get("objective"),
        "output": query.get("output"),
        "unstable": size and size["neurons"]["unstable"],
        "nodes": record.get("nodes"),
        "seconds": record["seconds"],
        "error": record["error"],
        "line": record["line"],
        "x": witness and witness["x"],
    }
