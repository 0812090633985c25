"""Solutions of CBC."""

from __future__ import annotations

import re

from lipc.formats.styles.source import SolutionFile, Source
from lipc.formats.styles.text import Line, data_lines, finite_or_none, shown

_HEAD = re.compile(r"(?P<status>\S.*?) - objective value\s+(?P<value>\S+)", re.ASCII)
_NONE = ("infeasible", "unbounded", "no integer solution", "no feasible", "abandoned")


def read_cbc(source: Source) -> SolutionFile:
    """Read ``Optimal - objective value -5.5``, then index, name, value, dual; ``**`` marks what is infeasible.

    With ``printingOptions all`` the rows come first, and the index begins anew; otherwise zeros are left out.
    """
    source.check_end()
    start = source.places[-1]
    head = source.text.lines[start]
    found = _HEAD.match(head.text.strip())
    assert found is not None  # this is how the style was recognized
    status = " ".join(found["status"].split()).lower()
    entries = []
    for line in data_lines(source.text.lines[start + 1 :]):
        words = line.words[1:] if line.words[0] == "**" else line.words
        if len(words) != 4:
            raise source.text.error(f"{shown(line.text.strip())} is not an entry of a solution of CBC", line)
        entries.append((source.count(words[0], line), words[1], words[2], line))
    if any(word in status for word in _NONE):
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


def begins_cbc(line: Line) -> bool:
    """Whether a line is the first one of such a file."""
    return _HEAD.fullmatch(line.text.strip()) is not None
