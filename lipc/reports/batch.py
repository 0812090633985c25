"""The page of a batch: how many questions were answered, how the answers lie, and each of them in a table."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lipc.ir import Floats
from lipc.reports.figures import Picture, against, distribution, has_matplotlib, scatter
from lipc.reports.page import Section, details, facts, in_pictures, page, paragraphs, table
from lipc.reports.radii import is_radius, radii_pictures, radii_table, radii_words
from lipc.reports.words import SUBJECTS, at_least, counted, side

Records = Sequence[Mapping[str, Any]]

MOST_ROWS = 1000
"""Of the table; the slowest and the failed ones come first where there are more."""

SWEPT = re.compile(r"(?:^|\s)([a-z-]+)=([-+.\deE]+)(?=\s|$)")
"""A value in a job's name, as `lipc batch --sweep` writes it: ``7 radius=0.05``."""


def batch_page(records: Records, name: str, shape: tuple[int, int] | None = None) -> str:
    """Return the page of a batch.

    Parameters
    ----------
    records
        The lines of a file of results, one at least.
    name
        Of the file.
    shape
        Rows and columns of an image, where the inputs are one.
    """
    sections = [Section("In words", paragraphs(*_words(records)))]
    drawn = batch_pictures(records, shape)
    sections += in_pictures(drawn)
    failed = [record for record in records if record["status"] == "error"]
    if failed:
        rows = [(str(record["id"]), str(record["error"])) for record in failed[:MOST_ROWS]]
        sections.append(Section("What failed", facts(rows)))
    answered = [record for record in records if record["status"] != "error"]
    constants, radii = _kinds(answered)
    if constants:
        sections.append(Section("Every answer", _listed(constants, _answers)))
    if radii:
        sections.append(Section("Every radius", _listed(radii, radii_table)))
    return page(name, _headline(records), sections)


def _counts(records: Records) -> tuple[int, int, int]:
    """Return how many questions are closed, open, and failed."""
    failed = sum(record["status"] == "error" for record in records)
    closed = sum(bool(record["certified"]) for record in records)
    return closed, len(records) - closed - failed, failed


def _kinds(records: Records) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the answers that are pairs, and those that are certified radii."""
    return [each for each in records if not is_radius(each)], [each for each in records if is_radius(each)]


def _headline(records: Records) -> str:
    closed, opened, failed = _counts(records)
    if not failed and all(map(is_radius, records)):
        radii = [float(record["radius"]) for record in records]
        return f"{len(radii)} certified radii, from {at_least(min(radii))} to {at_least(max(radii))}"
    parts = [f"{closed} answered"]
    parts += [f"{opened} open"] if opened else []
    parts += [f"{failed} failed"] if failed else []
    return f"{counted(len(records), 'question')}: {', '.join(parts)}"


def _words(records: Records) -> list[str]:
    failed = _counts(records)[2]
    constants, radii = _kinds([record for record in records if record["status"] != "error"])
    models = sorted({str(record["query"]["model"]) for record in records})
    shown = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
    seconds = np.array([record["seconds"] for record in records], np.float64)
    return [
        f"{'Network' if len(models) == 1 else 'Networks'}: {shown}.",
        *_pair_words(constants),
        *(radii_words(radii) if radii else []),
        f"{counted(failed, 'question')} failed; the reasons stand below." if failed else "",
        f"Seconds of work: {seconds.sum():.1f} in all, {np.median(seconds):.3g} in the middle, {seconds.max():.3g} at "
        "most.",
    ]


def _pair_words(records: Records) -> list[str]:
    """Return what the pairs say."""
    if not records:
        return []
    closed, opened, _ = _counts(records)
    words = [
        f"{counted(closed, 'answer is', 'answers are')} exact: a witness proves the lower side in exact arithmetic, "
        f"and the upper side agrees within what was asked.",
        f"{counted(opened, 'pair is', 'pairs are')} open: valid bounds, cut short by a limit." if opened else "",
    ]
    kinds = Counter(str(record["upper_kind"]) for record in records if record["certified"])
    if kinds["solver"]:
        words.append(f"Of the upper sides {kinds['solver']} rest on a solver's tolerances, the others on no solver.")
    return words


def batch_pictures(records: Records, shape: tuple[int, int] | None = None) -> list[Picture]:
    """Return the pictures of a batch; none where matplotlib is missing."""
    if not has_matplotlib():
        return []
    pictures = []
    answered, radii = _kinds([record for record in records if record["status"] != "error"])
    for objective, subject in SUBJECTS.items():
        values = _values([record for record in answered if record["query"]["objective"] == objective])
        if len(values) > 1:
            pictures.append(distribution(f"distribution-{objective}", values, subject))
    pictures += _sweeps(answered)
    if len(answered) > 1:
        unstable = np.array([record["size"]["neurons"]["unstable"] for record in answered], np.float64)
        seconds = np.array([record["seconds"] for record in answered], np.float64)
        pictures.append(
            scatter("effort", "Seconds by unstable neurons", unstable, seconds, "unstable neurons", "seconds")
        )
    return pictures + radii_pictures(radii, shape)


def _sides(record: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the proven value, the lower side, of minima the upper one; and the other one."""
    lower, upper = record["lower"], record["upper"]
    return (upper, lower) if record["query"]["objective"] == "min" else (lower, upper)


def _values(records: Records) -> Floats:
    """Return the proven values."""
    return np.array([value for value, _ in map(_sides, records) if value is not None], np.float64)


def _sweeps(records: Records) -> list[Picture]:
    """Return a picture for each key that was swept: a line for each group of jobs that differ in nothing else."""
    by_key: dict[str, dict[str, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        proven, other = _sides(record)
        if proven is None:
            continue
        name = str(record["id"])
        for found in SWEPT.finditer(name):
            rest = (name[: found.start()] + name[found.end() :]).strip()
            by_key[found[1]][rest].append((float(found[2]), proven, np.nan if other is None else other))
    pictures = []
    for key, groups in by_key.items():
        lines = {}
        for rest, points in groups.items():
            at, values, others = np.array(sorted(points)).T
            lines[rest or "all"] = (at, values, others)
        if max(len(at) for at, *_ in lines.values()) > 1:
            title = f"The answer against {key}"
            pictures.append(against(f"against-{key}", title, lines, key, "proven value"))
    return pictures


def _listed(answered: Records, make: Callable[[Records], str]) -> str:
    """Return the table of answers, folded where it is long; of very many the open ones and the slowest."""
    shown = sorted(answered, key=lambda record: record["line"])  # they stand there as they were finished
    if len(answered) > MOST_ROWS:
        slowest = sorted(shown, key=lambda record: (record["certified"], -record["seconds"]))[:MOST_ROWS]
        shown = sorted(slowest, key=lambda record: record["line"])
    text = make(shown)
    if len(shown) < len(answered):
        text = paragraphs(f"{len(shown)} of {len(answered)}: the open ones and the slowest.") + text
    return text if len(shown) <= 20 else details(counted(len(shown), "answer"), text)


def _answers(records: Records) -> str:
    """Return a table of pairs."""
    rows = [
        (
            str(record["id"]),
            str(record["status"]).replace("_", " "),
            side(record["lower"]),
            side(record["upper"]),
            str(record["size"]["neurons"]["unstable"]),
            str(record["nodes"]),
            f"{record['seconds']:.2f}",
        )
        for record in records
    ]
    head = ("question", "status", "lower", "upper", "unstable", "nodes", "seconds")
    return table(head, rows, frozenset({2, 3, 4, 5, 6}))
