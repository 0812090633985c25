"""A comparison as a table: Markdown, CSV, and rows for a page."""

from __future__ import annotations

import csv
import io

import numpy as np

from lipc.comparisons.run import Cell, Comparison

CSV_HEAD = (
    "group",
    "case",
    "method",
    "kind",
    "value",
    "error",
    "seconds",
    "norm",
    "domain",
    "factor",
    "lower",
    "upper",
)

LEAST_SHOWN = 5e-7
"""Relative errors below this are shown as 0: the gap that closes an exact value."""


def summary(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the summary: for each group seconds and relative error, mean and spread."""
    head = ["method", "kind"]
    for group in comparison.groups:
        head += [f"{group}: seconds", f"{group}: error"]
    rows = []
    for method in comparison.methods:
        row = [method, comparison.kinds(method)]
        for group in comparison.groups:
            row += _texts(comparison.cell(group, method))
        rows.append(row)
    return head, rows


def _texts(cell: Cell) -> list[str]:
    if not cell.count:
        return ["-", "does not apply"]
    missing = f" ({cell.refused} refused)" if cell.refused else ""
    return [spread_text(cell.seconds, 3), percent_text(cell.error) + missing]


def spread_text(spread: tuple[float, float], digits: int) -> str:
    """Return mean and deviation of a few digits."""
    mean, deviation = spread
    return "?" if np.isnan(mean) else f"{_plain(mean, digits)} ± {_plain(deviation, 2)}"


def _plain(value: float, digits: int) -> str:
    """Return a number of a few digits, without a power of ten where its whole part has more of them."""
    return f"{value:.0f}" if 10**digits <= abs(value) < 1e6 else f"{value:.{digits}g}"


def percent_text(spread: tuple[float, float]) -> str:
    """Return mean and deviation of a relative error as percentages; of what is tens of times too much, as factors."""
    mean, deviation = spread
    if np.isnan(mean):
        return "?"
    if deviation < LEAST_SHOWN:
        deviation = 0.0
    if abs(mean) < LEAST_SHOWN and not deviation:
        return "0"
    if mean > 10:
        return f"x {_plain(1 + mean, 3)} ± {_plain(deviation, 2)}"
    return f"{'+' if mean >= 0 else ''}{_plain(100 * mean, 3)} % ± {_plain(100 * deviation, 2)}"


def markdown(comparison: Comparison) -> str:
    """Return the summary as a Markdown table."""
    head, rows = summary(comparison)
    rule = ["---", "---", *["---:"] * (len(head) - 2)]
    lines = [head, rule, *rows]
    return "".join("| " + " | ".join(each.replace("|", "\\|") for each in line) + " |\n" for line in lines)


def csv_text(comparison: Comparison) -> str:
    """Return every answer as a line of CSV; numbers are exact, and empty where there is none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_HEAD)
    for row in comparison.rows:
        answer, found = row.answer, row.answer.estimate
        writer.writerow(
            [
                row.case.group,
                row.case.name,
                answer.method,
                answer.kind.value,
                "" if found is None else repr(answer.value),
                "" if np.isnan(row.error) else repr(row.error),
                f"{answer.seconds:.6f}",
                *(("", "", "") if found is None else (found.norm, found.domain, found.factor)),
                repr(row.exact[0]),
                repr(row.exact[1]),
            ]
        )
    return buffer.getvalue()
