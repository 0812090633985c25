"""Solutions of Gurobi: text, starts, and JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from lipc.formats.styles.source import SolutionFile, Source, put_pair
from lipc.formats.styles.text import Line, data_lines, finite_or_none, shown


def _is_range_column(name: str) -> bool:
    """Whether a column is one that Gurobi makes of a row with two sides when it reads an MPS file."""
    return name.startswith("MPS_Rg")


def read_gurobi(source: Source) -> SolutionFile:
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
            put_pair(source, line, line.words)
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


def read_json(source: Source) -> SolutionFile:
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


def begins_gurobi(line: Line) -> bool:
    """Whether a line is one of those that such a file begins with."""
    words = line.words
    return words[:1] == ("#",) and words[1:3] in (("Solution", "for"), ("Objective", "value"), ("MIP", "start"))
