"""Solutions of SCIP."""

from __future__ import annotations

from lipc.formats.styles.source import SolutionFile, Source, put_pair


def read_scip(source: Source) -> SolutionFile:
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
            put_pair(source, line, line.words[:2] if line.words[-1].startswith("(obj:") else line.words)
    return SolutionFile("scip", status, objective, None, source.values.or_zero())
