"""What a result says of its question, in full and as plain values: enough to ask it again and to check the answer.

Numbers are written by ``repr`` in JSON and so come back the same; an infinite side is null.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from lipc.errors import EmptyDomainError, QueryError
from lipc.frontends.network import Network
from lipc.ir import Floats, L1Ball, Norm, Polytope
from lipc.query import Differences, Functional, Query

SCHEMA = 1
"""Of the JSON of a result."""

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Asked:
    """The files of a model, the question, and the limits under which it was answered, as plain values."""

    model: Record
    question: Record
    options: Record


def model_record(network: Network) -> Record:
    """Return which files a network was read from, how, and what its input is; no files for one made in memory."""
    files = [Path(name) for name in network.files]
    return {
        "path": network.files[0] if network.files else None,
        "files": [{"name": _name(file, files[0]), "sha256": _digest(file)} for file in files],
        "drop_softmax": network.dropped_softmax,
        "input_shape": list(network.input_shape),
    }


def _name(file: Path, first: Path) -> str:
    """Return what a file is called from the folder of the first."""
    try:
        return file.relative_to(first.parent).as_posix()
    except ValueError:
        return file.as_posix()


def _digest(file: Path) -> str | None:
    """Return the SHA-256 of a file; `None` if it cannot be read (any more), or only once."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
    except OSError:
        return None


def question_record(query: Query, network: Network) -> Record:
    """Return a question of a network in full, as it stands after all defaults."""
    inputs = network.program.network_input()[1].size
    asked = query.asked_output
    output: Record | None = None
    if isinstance(asked, Functional):
        weights = {str(entry): float(weight) for entry, weight in asked.weights.items()}
        output = {"weights": weights, "constant": float(asked.constant)}
    elif asked is not None:
        output = {"differences_of": asked.of}
    return {
        "goal": query.goal,
        "norm": query.norm.value,
        "output": output,
        "output_norm": query.output_norm.value,
        "domains": _domain_records(query, inputs),
    }


def _domain_records(query: Query, inputs: int) -> list[Record]:
    """Return the domains; of a union without those whose bounds cross, unless that leaves none."""
    records = []
    for piece in query.pieces():
        with suppress(EmptyDomainError):
            records.append(_domain_record(piece.fitting_domain(inputs)))
    return records


def _domain_record(domain: Polytope) -> Record:
    record: Record = {"lower": domain.lower.tolist(), "upper": domain.upper.tolist()}
    if domain.rows.shape[0]:
        record["rows"] = [
            {
                "entries": domain.rows.indices[start:stop].tolist(),
                "weights": domain.rows.data[start:stop].tolist(),
                "lower": _side(float(domain.row_lower[row])),
                "upper": _side(float(domain.row_upper[row])),
            }
            for row, (start, stop) in enumerate(zip(domain.rows.indptr[:-1], domain.rows.indptr[1:], strict=True))
        ]
    if domain.l1 is not None:
        record["l1_ball"] = {"center": domain.l1.center.tolist(), "radius": float(domain.l1.radius)}
    return record


def _side(side: float) -> float | None:
    return side if np.isfinite(side) else None


def question_of(record: Mapping[str, Any]) -> Query:
    """Return the question of a record.

    Raises
    ------
    QueryError
        If it is none.
    """
    try:
        output = record["output"]
        asked: Functional | Differences | None = None
        if output is not None and "differences_of" in output:
            of = output["differences_of"]
            asked = Differences(None if of is None else int(of))
        elif output is not None:
            weights = {int(entry): _number(weight) for entry, weight in output["weights"].items()}
            asked = Functional(weights, _number(output["constant"]))
        domains = tuple(_domain_of(each) for each in record["domains"])
        domain = domains if len(domains) != 1 else domains[0]
        return Query(domain, asked, Norm(record["norm"]), record["goal"], Norm(record["output_norm"]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise QueryError(f"the question cannot be read: {type(error).__name__}: {error}") from None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def numbers_of(values: Sequence[object]) -> Floats:
    """Return a list of numbers as an array.

    Raises
    ------
    TypeError, OverflowError
        If it holds anything else.
    """
    if not isinstance(values, list):
        raise TypeError("a list of numbers is missing")
    return np.array([_number(value) for value in values], np.float64)


def _domain_of(record: Mapping[str, Any]) -> Polytope:
    domain = Polytope.box(numbers_of(record["lower"]), numbers_of(record["upper"]))
    rows = record.get("rows", [])
    if rows:
        pointers = np.cumsum([0, *(len(row["entries"]) for row in rows)])
        entries = np.array([entry for row in rows for entry in row["entries"]], np.int64)
        if len(entries) and not 0 <= entries.min() <= entries.max() < domain.size:
            raise IndexError("a half-space names an input that does not exist")
        weights = np.concatenate([numbers_of(row["weights"]) for row in rows])
        sides = [[-np.inf if row["lower"] is None else _number(row["lower"]) for row in rows]]
        sides.append([np.inf if row["upper"] is None else _number(row["upper"]) for row in rows])
        matrix = csr_array((weights, entries, pointers), shape=(len(rows), domain.size))
        domain = domain.with_rows(matrix, *sides)
    ball = record.get("l1_ball")
    if ball is None:
        return domain
    return replace(domain, l1=L1Ball(numbers_of(ball["center"]), _number(ball["radius"])))
