"""Solution files of solvers: what SCIP, HiGHS, CBC, GLPK and Gurobi write, told apart by their content.

Nothing in such a file is believed: it names a point, whose worth others compute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lipc.formats.styles.cbc import begins_cbc, read_cbc
from lipc.formats.styles.glpk import read_glpk, read_report
from lipc.formats.styles.gurobi import begins_gurobi, read_gurobi, read_json
from lipc.formats.styles.highs import read_highs, read_table
from lipc.formats.styles.plain import read_plain
from lipc.formats.styles.scip import read_scip
from lipc.formats.styles.source import SolutionFile, Source
from lipc.formats.styles.text import Line, Values, text_of

__all__ = ["SolutionFile", "read_solution"]


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
            return found.read(Source(content, places, Values(content, columns), counts))
    raise AssertionError("the last style takes everything")


@dataclass(frozen=True)
class _Style:
    """A format: which lines it is known by, and what reads it."""

    marks: Callable[[Line], object]
    read: Callable[[Source], SolutionFile]


_STYLES = (
    _Style(lambda line: line.number == 1 and line.text.lstrip().startswith(("{", "[")), read_json),
    _Style(lambda line: line.words[:1] == ("s",) and line.words[1:2] in (("mip",), ("bas",), ("ipt",)), read_glpk),
    _Style(lambda line: line.words == ("#", "Primal", "solution", "values"), read_highs),
    _Style(lambda line: line.words[:6] == ("Index", "Status", "Lower", "Upper", "Primal", "Dual"), read_table),
    _Style(lambda line: line.words[:1] == ("Problem:",), read_report),
    _Style(
        lambda line: line.text.startswith(("objective value:", "solution status:", "no solution available")),
        read_scip,
    ),
    _Style(begins_cbc, read_cbc),
    _Style(begins_gurobi, read_gurobi),
    _Style(lambda line: line.number == 1, read_plain),
)
"""In the order in which they are looked for."""
