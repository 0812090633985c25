"""Solutions of GLPK, and the report that HiGHS prints as well."""

from __future__ import annotations

from lipc.formats.styles.source import SolutionFile, Source
from lipc.formats.styles.text import Line, finite_or_none, shown

_GLPK_STATUS = {"o": "optimal", "f": "feasible", "n": "infeasible", "i": "infeasible", "u": "undefined"}
_GLPK_WORDS = {"mip": (6, 1, 3), "ipt": (6, 1, 4), "bas": (7, 2, 5)}
"""For each kind of solution: words of the line that begins it, letters of the status in it, words of an entry."""


def read_glpk(source: Source) -> SolutionFile:
    """Read ``s mip rows columns status objective``, ``i 1 3.5``, ``j 1 1``, and ``e o f``: no names."""
    start = source.single()
    head = source.text.lines[start]
    size, letters, entry_words = _GLPK_WORDS[head.words[1]]
    if len(head.words) != size or any(letter not in _GLPK_STATUS for letter in head.words[4 : 4 + letters]):
        raise source.text.error(f"{shown(head.text.strip())} is not the beginning of a solution of GLPK", head)
    rows, columns = (source.count(word, head) for word in head.words[2:4])
    # HiGHS counts the row of the objective, which glpsol leaves out when it reads a file.
    source.check_rows(rows, head, objective=True)
    source.check_columns(columns, head)
    primal = head.words[4]
    status = _GLPK_STATUS[primal]
    if head.words[1] == "bas" and head.words[4:6] == ("f", "f"):
        status = "optimal"
    solved = primal in ("o", "f")
    seen: set[int] = set()
    for line in source.text.lines[start + 1 :]:
        if line.words == ("e", "o", "f"):
            break
        if line.words[:1] not in (("i",), ("j",)) or not 3 <= len(line.words) <= entry_words + 1:
            raise source.text.error(f"{shown(line.text.strip())} is not an entry of a solution of GLPK", line)
        if solved:
            _put_glpk(source, line, rows, head.words[1] == "bas", seen)
    else:
        if solved:
            raise source.text.truncated("the line 'e o f' is missing")
    if solved and len(seen) < rows:
        missing = next(row for row in range(1, rows + 1) if row not in seen)
        raise source.text.error(f"there is no value for row {missing} of {rows}")
    objective = finite_or_none(head.words[-1]) if solved else None
    return SolutionFile("glpk", status, objective, None, source.values.complete() if solved else None)


def _put_glpk(source: Source, line: Line, rows: int, basic: bool, seen: set[int]) -> None:
    index = source.count(line.words[1], line)
    word = line.words[3 if basic and len(line.words) > 3 else 2]
    if line.words[0] == "j":
        source.values.put_at(index - 1, word, line)
        return
    if not 1 <= index <= rows:
        raise source.text.error(f"there is no row {index}: the file has {rows}", line)
    if index in seen:
        raise source.text.error(f"row {index} has a value already", line)
    seen.add(index)
    source.values.number(word, line)


_MARKS = ("*", "B", "NL", "NU", "NF", "NS")


def read_report(source: Source) -> SolutionFile:
    """Read what GLPK's ``-o`` and HiGHS's style 3 print for people: six digits; long names stand on their own line."""
    source.check_end()
    status = objective = None
    for line in source.text.lines[source.single() :]:
        if line.words[:1] == ("No.",):
            break
        if line.words[:1] == ("Status:",):
            status = " ".join(line.words[1:]).lower()
        elif line.words[:1] == ("Objective:",) and "=" in line.words[:-1]:
            objective = finite_or_none(line.words[line.words.index("=") + 1])
    # Where there is no solution, HiGHS prints no table and GLPK one of zeros.
    if status is None:
        raise source.text.truncated("the status is missing")
    if any(word in status for word in ("empty", "undefined", "infeasible", "unbounded")):
        return SolutionFile("glpk-report", status, None, None, None)
    tables = source.text.find(lambda line: line.words[:3] == ("No.", "Column", "name"))
    if not tables:
        raise source.text.truncated("the table of columns is missing")
    pending: tuple[str, ...] = ()
    for line in source.text.lines[tables[0] + 2 :]:
        if not line.words:
            break
        words = (*pending, *line.words)
        if len(words) == 2:
            pending = words
            continue
        pending = ()
        if len(words) < 3:
            raise source.text.error(f"{shown(line.text.strip())} is not a line of the table of columns", line)
        source.values.put(words[1], words[3] if words[2] in _MARKS and len(words) > 3 else words[2], line)
    else:
        raise source.text.truncated("the table of columns has no end")
    return SolutionFile("glpk-report", status, objective, None, source.values.complete())
