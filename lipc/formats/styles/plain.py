"""Lines of a name and a value."""

from __future__ import annotations

from lipc.formats.styles.source import SolutionFile, Source, put_pair
from lipc.formats.styles.text import data_lines, number_of, shown


def read_plain(source: Source) -> SolutionFile:
    """Read lines of a name and a value, for every column."""
    found = False
    for line in data_lines(source.text.lines):
        if not found and (len(line.words) != 2 or number_of(line.words[1]) is None):
            hint = "lipc reads what SCIP, HiGHS, CBC, GLPK -w and Gurobi write, and lines of a name and a value"
            raise source.text.error(f"{shown(line.text.strip())} begins no solution file", line, hint)
        found = True
        put_pair(source, line, line.words)
    if not found:
        raise source.text.error("the file holds comments only")
    return SolutionFile("plain", None, None, None, source.values.complete())
