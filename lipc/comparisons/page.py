"""A comparison as one self-contained page."""

from __future__ import annotations

import numpy as np

from lipc.comparisons.pictures import comparison_pictures
from lipc.comparisons.run import Comparison
from lipc.comparisons.tables import summary
from lipc.estimators.catalogue import estimator_class
from lipc.reports.figures import has_matplotlib
from lipc.reports.page import Section, details, facts, gallery, page, paragraphs, table

EXPLANATION = (
    "Seconds of wall time and relative error against the exact value, mean and standard deviation over the cases of a "
    "column. An upper bound has an error of 0 or more, a lower bound of 0 or less; a heuristic may have either."
)


def comparison_page(comparison: Comparison) -> str:
    """Return the page."""
    head, rows = summary(comparison)
    numbers = frozenset(range(2, len(head)))
    sections = [Section("Time and error", paragraphs(EXPLANATION) + table(head, rows, numbers))]
    if has_matplotlib():
        sections.append(Section("In pictures", gallery(comparison_pictures(comparison))))
    sections.append(Section("Every answer", _answers(comparison)))
    sections.append(Section("Sources", facts(_sources(comparison))))
    cases = len({id(row.case) for row in comparison.rows})
    title = f"{len(comparison.methods)} methods on {cases} {'case' if cases == 1 else 'cases'}"
    return page("lipc compare", title, sections)


def _answers(comparison: Comparison) -> str:
    head = ("group", "case", "method", "kind", "value", "error", "seconds", "what it refers to")
    rows = []
    for row in comparison.rows:
        answer, found = row.answer, row.answer.estimate
        error = "" if np.isnan(row.error) else f"{100 * row.error:+.4g} %"
        about = answer.refusal if found is None else f"{found.norm}, {found.domain}"
        if found is not None and found.factor:
            about += f", times {found.factor}"
        value = "" if found is None else f"{answer.value:.8g}"
        seconds = f"{answer.seconds:.3f}"
        rows.append((row.case.group, row.case.name, answer.method, answer.kind.value, value, error, seconds, about))
    return details(f"{len(rows)} answers", table(head, rows, frozenset({4, 5, 6})))


def _sources(comparison: Comparison) -> list[tuple[str, str]]:
    names = dict.fromkeys(method.partition("{")[0] for method in comparison.methods)
    found = [(name, estimator_class(name)) for name in names]
    return [(name, each.source) for name, each in found if each is not None]
