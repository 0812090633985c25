"""Pictures of a comparison: errors by method, and values against what the cases are named after."""

from __future__ import annotations

from typing import Any

import numpy as np

from lipc.comparisons.run import Comparison, Row
from lipc.estimators.base import Kind
from lipc.reports.figures import FIRST, INK, MUTED, SECOND, THIRD, Picture, drawing, figure_of

DASHES = ("-", "--", ":", "-.")
COLOURS = {Kind.EXACT: INK, Kind.UPPER: SECOND, Kind.LOWER: FIRST, Kind.HEURISTIC: THIRD}

WIDE = 100.0
"""Places whose largest is so many times the smallest are drawn on a logarithmic axis; it shows powers of ten alone."""


def _plain_numbers(axis: Any) -> None:
    """Write the numbers of a logarithmic axis without powers of ten, and no more of them than there is room for."""
    low, high = axis.get_view_interval()
    if high < WIDE * low:
        axis.set_ticks(_ticks(low, high))
        axis.set_ticks([], minor=True)
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def _ticks(low: float, high: float) -> list[float]:
    """Return some round numbers between two positive ones."""
    if high > 5 * low:
        round_numbers = [digit * 10.0**power for power in range(-320, 308) for digit in (1, 2, 5)]
    else:
        least = (high - low) / 5
        power = 10.0 ** np.floor(np.log10(least))
        step = power * next(digit for digit in (1, 2, 2.5, 5, 10) if digit * power >= least)
        round_numbers = [step * count for count in range(int(low / step), int(high / step) + 2)]
    return [float(f"{number:.6g}") for number in round_numbers if low <= number <= high]


def comparison_pictures(comparison: Comparison) -> list[Picture]:
    """Return what can be drawn: for groups whose cases have places lines, for the others errors by method."""
    pictures = []
    for number, group in enumerate(comparison.groups):
        rows = [row for row in comparison.rows if row.case.group == group]
        places = {row.case.place for row in rows}
        if None not in places and len(places) > 1:
            pictures.append(_lines(f"values-{number + 1}", group, rows))
        else:
            pictures.append(_errors(f"errors-{number + 1}", group, rows))
    return pictures


def _lines(name: str, group: str, rows: list[Row]) -> Picture:
    """Draw the values of each method against the places of the cases (the paper's Figure 1)."""
    places = [row.case.place or 0.0 for row in rows]
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        if row.answer.estimate is not None:
            by_method.setdefault(row.answer.method, []).append(row)
    with drawing(height=3.2) as axes:
        drawn = dict.fromkeys(Kind, 0)
        for method, own in by_method.items():
            kind = own[0].answer.kind
            at, values = np.array(sorted((row.case.place or 0.0, row.answer.value) for row in own)).T
            style = DASHES[drawn[kind] % len(DASHES)]
            drawn[kind] += 1
            width = 2.0 if kind is Kind.EXACT else 1.2
            axes.plot(at, values, style, color=COLOURS[kind], linewidth=width, marker=".", markersize=3, label=method)
        axes.set_yscale("log")
        if min(places) > 0 and max(places) >= WIDE * min(places):
            axes.set_xscale("log")
        axes.set_xlabel(rows[0].case.axis)
        axes.set_ylabel("value")
        axes.set_title(group, fontsize=8, loc="left")
        _plain_numbers(axes.yaxis)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=6.5)
    kinds = "Black: exact. Orange: upper bounds. Blue: lower bounds. Grey: guesses."
    return Picture(name, f"{group}: values against {rows[0].case.axis}", kinds, figure_of(axes))


def _errors(name: str, group: str, rows: list[Row]) -> Picture:
    """Draw how many times the exact value each method says, a point for each case."""
    methods = list(dict.fromkeys(row.answer.method for row in rows if not np.isnan(row.error)))
    with drawing(height=0.7 + 0.2 * max(1, len(methods))) as axes:
        for place, method in enumerate(methods):
            own = [row for row in rows if row.answer.method == method and not np.isnan(row.error)]
            factors = [1 + row.error for row in own]
            axes.plot(factors, [place] * len(own), "o", color=COLOURS[own[0].answer.kind], alpha=0.6, markersize=4)
        axes.axvline(1.0, color=MUTED, linewidth=0.8)
        axes.set_xscale("log")
        axes.set_yticks(range(len(methods)), methods, fontsize=6.5)
        axes.invert_yaxis()
        axes.set_xlabel("times the exact value")
        axes.set_title(group, fontsize=8, loc="left")
        _plain_numbers(axes.xaxis)
    return Picture(name, f"{group}: against the exact value", "A point for each case.", figure_of(axes))
