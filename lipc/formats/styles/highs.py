"""Solutions of HiGHS, but for the report that it has in common with GLPK."""

from __future__ import annotations

from lipc.formats.styles.source import SolutionFile, Source, put_pair
from lipc.formats.styles.text import finite_or_none, number_of, shown


def read_highs(source: Source) -> SolutionFile:
    """Read styles 0 and 4: sections that begin with ``#`` and a count, which is negative where zeros are left out."""
    start = source.single()
    status = None
    lines = source.text.lines
    for at in range(max(0, start - 4), start):
        if lines[at].text.strip() == "Model status":
            status = " ".join(lines[at + 1].words).lower()
    feasible = source.line(start + 1, "the primal solution is missing")
    if feasible.words == ("None",):
        return SolutionFile("highs", status, None, None, None)
    if feasible.words not in (("Feasible",), ("Infeasible",)):
        raise source.text.error(f"{shown(feasible.text.strip())} is neither Feasible, Infeasible nor None", feasible)
    objective_line = source.line(start + 2, "the objective is missing")
    if len(objective_line.words) != 2 or objective_line.words[0] != "Objective":
        raise source.text.error("here must stand 'Objective' and its value", objective_line)
    objective = finite_or_none(objective_line.words[1])
    at, sparse = _highs_columns(source, start + 3)
    if not sparse:
        _highs_rows(source, at)
    values = source.values.or_zero() if sparse else source.values.complete()
    return SolutionFile("highs", status, objective, None, values if feasible.words == ("Feasible",) else None)


def _highs_columns(source: Source, at: int) -> tuple[int, bool]:
    """Read the columns; return where the next section begins, and whether zeros are left out."""
    head = source.line(at, "the columns are missing")
    if len(head.words) != 3 or head.words[:2] != ("#", "Columns"):
        raise source.text.error("here must stand '# Columns' and their number", head)
    sparse = head.words[2].startswith("-")
    count = source.count(head.words[2].removeprefix("-"), head)
    if not sparse:
        source.check_columns(count, head)
    source.check_end()
    for position in range(at + 1, at + 1 + count):
        line = source.line(position, f"{count} columns are announced, {position - at - 1} are there")
        put_pair(source, line, line.words[:2] if sparse and len(line.words) == 3 else line.words)
    return at + 1 + count, sparse


def _highs_rows(source: Source, at: int) -> None:
    head = source.line(at, "the rows are missing")
    if len(head.words) != 3 or head.words[:2] != ("#", "Rows"):
        raise source.text.error("here must stand '# Rows' and their number", head)
    count = source.count(head.words[2], head)
    source.check_rows(count, head)
    for position in range(at + 1, at + 1 + count):
        line = source.line(position, f"{count} rows are announced, {position - at - 1} are there")
        if len(line.words) != 2:
            raise source.text.error(f"{shown(line.text.strip())} is not a name and a value", line)
        source.values.number(line.words[1], line)


_BASIC = ("BS", "LB", "UB", "FR", "FX", "NB")
_TYPES = ("Continuous", "Integer", "Semi-conts", "Semi-int")


def read_table(source: Source) -> SolutionFile:
    """Read HiGHS's style 1: a line for each column with index, [status], bounds, [value, [dual]], type and name."""
    source.check_end()
    start = source.places[0]
    status = objective = None
    at = start + 1
    while source.line(at, "the rows are missing").words != ("Rows",):
        line = source.text.lines[at]
        words = list(line.words)
        if len(words) > 2 and words[1] in _BASIC:
            del words[1]
        if len(words) > 2 and words[-2] in _TYPES:  # of a program without integral columns there are none
            del words[-2]
        if not 4 <= len(words) <= 6 or (number_of(words[-1]) is not None and words[-1] not in source.values.places):
            raise source.text.error(f"{shown(line.text.strip())} is not a line of the table of columns", line)
        if len(words) > 4:
            source.values.put(words[-1], words[3], line)
        at += 1
    source.check_columns(at - start - 1, source.text.lines[at])
    rows = at + 2
    at = rows
    while source.line(at, "the status is missing").words:
        at += 1
    source.check_rows(at - rows, source.text.lines[at])
    for line in source.text.lines[at:]:
        if line.words[:2] == ("Model", "status:"):
            status = " ".join(line.words[2:]).lower()
        elif line.words[:2] == ("Objective", "value:"):
            objective = finite_or_none(line.words[-1])
            break
    else:
        raise source.text.truncated("the objective value is missing")
    return SolutionFile(
        "highs-table", status, objective, None, source.values.complete() if source.values.lines else None
    )
