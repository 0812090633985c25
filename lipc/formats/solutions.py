"""Solution files of solvers: what SCIP, HiGHS, CBC, GLPK and Gurobi write, told apart by their content.

Nothing in such a file is believed: it names a point, whose worth others compute.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lipc.formats.solution_text import Line, Text, Values, data_lines, finite_or_none, number_of, shown, text_of
from lipc.ir import Floats


@dataclass(frozen=True, eq=False)
class SolutionFile:
    """A solution file as read.

    Parameters
    ----------
    style
        ``scip``, ``highs``, ``highs-table``, ``glpk``, ``glpk-report``, ``cbc``, ``gurobi``, ``gurobi-json`` or
        ``plain``.
    status
        In the words of the file, in lower case: ``optimal``, ``stopped on time``, ...; `None` if it has none.
    objective
        Of the file's program, which minimizes, as the solver claims; `None` if there is none.
    bound
        The solver's bound of the optimum; only Gurobi's JSON has one.
    values
        Shape ``(columns,)``; `None` where the file says that there is no solution, or that this is none. NaN where it
        says nothing of a column: Gurobi's ``.mst`` holds the integral ones alone.
    """

    style: str
    status: str | None
    objective: float | None
    bound: float | None
    values: Floats | None

    @property
    def rounding(self) -> float:
        """How far a printed value may be from the solver's, as a part of it: tables for people have six digits."""
        return 5e-6 if self.style in ("highs-table", "glpk-report") else 1e-12


def read_solution(
    text: str | bytes, *, columns: Sequence[str], rows: int | Sequence[int], where: str = "the solution"
) -> SolutionFile:
    """Read a solution file of any of the solvers; its format is found by its content.

    A log in front of it, as ``glpsol -w /dev/stdout`` prints, does not matter; bytes may be those of a gzip file.

    Parameters
    ----------
    columns
        The names of the program's columns, in the order of its file.
    rows
        How many rows the file has, the objective not counted; several numbers if the program may be in several files:
        an LP file has two rows for one of two sides.
    where
        What errors call the file.

    Raises
    ------
    SolutionError
        If it is no solution file, truncated, holds a value that is not finite, or is not one of this program: a name
        that is unknown or twice there, too many or too few entries. It names the line.
    """
    content = text_of(text, where)
    counts = (rows,) if isinstance(rows, int) else tuple(rows)
    for found in _STYLES:
        places = content.find(found.marks)
        if places:
            return found.read(_Source(content, places, Values(content, columns), counts))
    raise AssertionError("the last style takes everything")


@dataclass(frozen=True)
class _Source:
    """What a reader reads: the text, where its style was recognized, the columns, the numbers of rows it may have."""

    text: Text
    places: list[int]
    values: Values
    rows: tuple[int, ...]

    def single(self) -> int:
        """Return the only place where the style was recognized."""
        if len(self.places) > 1:
            raise self.text.error("here begins a second solution", self.text.lines[self.places[1]])
        return self.places[0]

    def line(self, place: int, missing: str) -> Line:
        """Return a line that must be there."""
        if place >= len(self.text.lines):
            raise self.text.truncated(missing)
        return self.text.lines[place]

    def count(self, word: str, line: Line) -> int:
        """Return a whole number."""
        if not re.fullmatch(r"\d{1,15}", word, re.ASCII):
            raise self.text.error(f"{shown(word)} is not a count", line)
        return int(word)

    def check_rows(self, count: int, line: Line, *, objective: bool = False) -> None:
        """Refuse a number of rows that is not the program's; with that of the `objective`, it may be one more."""
        if count not in self.rows and not (objective and count - 1 in self.rows):
            message = f"the file is of a program of {count} rows, this one has {' or '.join(map(str, self.rows))}"
            raise self.text.error(message, line, hint="is it the solution of another program?")

    def check_columns(self, count: int, line: Line) -> None:
        """Refuse a number of columns that is not the program's."""
        if count != len(self.values.columns):
            message = f"the file is of a program of {count} columns, this one has {len(self.values.columns)}"
            raise self.text.error(message, line, hint="is it the solution of another program?")

    def check_end(self) -> None:
        """Refuse a file whose last line is cut: half a number is a number."""
        if not self.text.complete:
            raise self.text.truncated("its last line has no end")


@dataclass(frozen=True)
class _Style:
    """A format: which lines it is known by, and what reads it."""

    marks: Callable[[Line], object]
    read: Callable[[_Source], SolutionFile]


def _read_scip(source: _Source) -> SolutionFile:
    """Read ``objective value: -5.5``, then ``name value (obj:c)``; zeros are left out."""
    source.check_end()
    status = objective = None
    for at in source.places:
        line = source.text.lines[at]
        word = " ".join(line.words).lower()
        if word.startswith("solution status:"):
            status = word.removeprefix("solution status:").strip()
        elif word == "no solution available":
            return SolutionFile("scip", status or word, None, None, None)
        elif objective is None:
            objective = source.values.number(line.words[-1], line)
        else:
            raise source.text.error("here begins a second solution", line)
    if objective is None:
        raise source.text.truncated("the objective value is missing")
    for line in source.text.lines[source.places[-1] + 1 :]:
        if not line.words:
            break
        if not line.text.startswith("#"):
            _put_pair(source, line, line.words[:2] if line.words[-1].startswith("(obj:") else line.words)
    return SolutionFile("scip", status, objective, None, source.values.or_zero())


def _put_pair(source: _Source, line: Line, words: Sequence[str]) -> None:
    if len(words) != 2:
        raise source.text.error(f"{shown(line.text.strip())} is not a name and a value", line)
    source.values.put(words[0], words[1], line)


def _read_highs(source: _Source) -> SolutionFile:
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


def _highs_columns(source: _Source, at: int) -> tuple[int, bool]:
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
        _put_pair(source, line, line.words[:2] if sparse and len(line.words) == 3 else line.words)
    return at + 1 + count, sparse


def _highs_rows(source: _Source, at: int) -> None:
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


def _read_table(source: _Source) -> SolutionFile:
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


_GLPK_STATUS = {"o": "optimal", "f": "feasible", "n": "infeasible", "i": "infeasible", "u": "undefined"}
_GLPK_WORDS = {"mip": (6, 1, 3), "ipt": (6, 1, 4), "bas": (7, 2, 5)}
"""For each kind of solution: words of the line that begins it, letters of the status in it, words of an entry."""


def _read_glpk(source: _Source) -> SolutionFile:
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


def _put_glpk(source: _Source, line: Line, rows: int, basic: bool, seen: set[int]) -> None:
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


def _read_report(source: _Source) -> SolutionFile:
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


_CBC_HEAD = re.compile(r"(?P<status>\S.*?) - objective value\s+(?P<value>\S+)", re.ASCII)
_CBC_NONE = ("infeasible", "unbounded", "no integer solution", "no feasible", "abandoned")


def _read_cbc(source: _Source) -> SolutionFile:
    """Read ``Optimal - objective value -5.5``, then index, name, value, dual; ``**`` marks what is infeasible.

    With ``printingOptions all`` the rows come first, and the index begins anew; otherwise zeros are left out.
    """
    source.check_end()
    start = source.places[-1]
    head = source.text.lines[start]
    found = _CBC_HEAD.match(head.text.strip())
    assert found is not None  # this is how the style was recognized
    status = " ".join(found["status"].split()).lower()
    entries = []
    for line in data_lines(source.text.lines[start + 1 :]):
        words = line.words[1:] if line.words[0] == "**" else line.words
        if len(words) != 4:
            raise source.text.error(f"{shown(line.text.strip())} is not an entry of a solution of CBC", line)
        entries.append((source.count(words[0], line), words[1], words[2], line))
    if any(word in status for word in _CBC_NONE):
        return SolutionFile("cbc", status, None, None, None)
    restart = next((at for at in range(1, len(entries)) if entries[at][0] <= entries[at - 1][0]), None)
    if restart is not None:
        source.check_rows(restart, entries[restart][3])
        for _, _, value, line in entries[:restart]:
            source.values.number(value, line)
        entries = entries[restart:]
    for _, name, value, line in entries:
        source.values.put(name, value, line)
    values = source.values.or_zero() if restart is None else source.values.complete()
    return SolutionFile("cbc", status, finite_or_none(found["value"]), None, values)


def _is_range_column(name: str) -> bool:
    """Whether a column is one that Gurobi makes of a row with two sides when it reads an MPS file."""
    return name.startswith("MPS_Rg")


def _read_gurobi(source: _Source) -> SolutionFile:
    """Read ``# Objective value = -5.5``, then ``name value``; a start (``.mst``) may leave columns out."""
    source.check_end()
    objective = None
    start = False
    for at in source.places:
        line = source.text.lines[at]
        if line.words[1:2] == ("MIP",):
            start = True
        elif line.words[1:3] == ("Objective", "value"):
            objective = finite_or_none(line.words[-1])
    for line in data_lines(source.text.lines):
        if line.words[0] in source.values.places or not _is_range_column(line.words[0]):
            _put_pair(source, line, line.words)
    return SolutionFile("gurobi", None, objective, None, source.values.values if start else source.values.complete())


_GUROBI_STATUS = {
    2: "optimal",
    3: "infeasible",
    4: "infeasible or unbounded",
    5: "unbounded",
    6: "cutoff",
    7: "iteration limit",
    8: "node limit",
    9: "time limit",
    10: "solution limit",
    11: "interrupted",
    12: "numeric",
    13: "suboptimal",
    15: "user objective limit",
    16: "work limit",
    17: "memory limit",
}
_GUROBI_INFINITY = 1e100


def _read_json(source: _Source) -> SolutionFile:
    """Read Gurobi's JSON: ``SolutionInfo``, and ``Vars`` without the zeros."""
    text, line = source.text, source.text.lines[0]
    try:
        content = json.loads("\n".join(each.text for each in text.lines))
    except RecursionError:
        raise text.error("the JSON is nested too deep", line) from None
    except json.JSONDecodeError as error:
        cut = error.pos >= sum(len(each.text) + 1 for each in text.lines) - 2
        message = f"the {'file is truncated: its ' if cut else ''}JSON is broken: {error.msg}"
        raise text.error(message, text.lines[error.lineno - 1]) from None
    except ValueError as error:
        raise text.error(f"the JSON is broken: {error}", line) from None
    info = content.get("SolutionInfo") if isinstance(content, dict) else None
    if not isinstance(info, dict):
        raise text.error("the JSON holds no 'SolutionInfo', as Gurobi's solutions do", line)
    status = info.get("Status")
    words = _GUROBI_STATUS.get(status, f"status {status}") if isinstance(status, int) else None
    objective, bound = (_json_number(info.get(key)) for key in ("ObjVal", "ObjBound"))
    result = SolutionFile("gurobi-json", words, objective, bound, None)
    variables = content.get("Vars")
    if variables is None and not info.get("SolCount"):
        return result
    if not isinstance(variables, list):
        raise text.error("the JSON announces a solution and holds no 'Vars'", line)
    for item in variables:
        name, value = (item.get("VarName"), item.get("X", 0.0)) if isinstance(item, dict) else (None, None)
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, int | float):
            raise text.error(f"{shown(str(item))} in 'Vars' has no name or no number", line)
        if name in source.values.places or not _is_range_column(name):
            source.values.put(name, repr(value), line)
    return replace(result, values=source.values.or_zero())


def _json_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _GUROBI_INFINITY:
        return None
    return float(value)


def _read_plain(source: _Source) -> SolutionFile:
    """Read lines of a name and a value, for every column."""
    found = False
    for line in data_lines(source.text.lines):
        if not found and (len(line.words) != 2 or number_of(line.words[1]) is None):
            hint = "lipc reads what SCIP, HiGHS, CBC, GLPK -w and Gurobi write, and lines of a name and a value"
            raise source.text.error(f"{shown(line.text.strip())} begins no solution file", line, hint)
        found = True
        _put_pair(source, line, line.words)
    if not found:
        raise source.text.error("the file holds comments only")
    return SolutionFile("plain", None, None, None, source.values.complete())


def _is_gurobi(line: Line) -> bool:
    words = line.words
    return words[:1] == ("#",) and words[1:3] in (("Solution", "for"), ("Objective", "value"), ("MIP", "start"))


_STYLES = (
    _Style(lambda line: line.number == 1 and line.text.lstrip().startswith(("{", "[")), _read_json),
    _Style(lambda line: line.words[:1] == ("s",) and line.words[1:2] in (("mip",), ("bas",), ("ipt",)), _read_glpk),
    _Style(lambda line: line.words == ("#", "Primal", "solution", "values"), _read_highs),
    _Style(lambda line: line.words[:6] == ("Index", "Status", "Lower", "Upper", "Primal", "Dual"), _read_table),
    _Style(lambda line: line.words[:1] == ("Problem:",), _read_report),
    _Style(
        lambda line: line.text.startswith(("objective value:", "solution status:", "no solution available")),
        _read_scip,
    ),
    _Style(lambda line: _CBC_HEAD.fullmatch(line.text.strip()), _read_cbc),
    _Style(_is_gurobi, _read_gurobi),
    _Style(lambda line: line.number == 1, _read_plain),
)
"""In the order in which they are looked for."""
