"""What a person sees: progress on stderr, the answer as a table on stdout."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from lipc.cli.streams import put, say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lipc.ir import Floats
    from lipc.options import Report
    from lipc.passes.run import Trail
    from lipc.result import Result

SHOWN_ENTRIES = 6
FILE_WIDTH = 200
"""Columns where no terminal says how many there are: lines in a file or pipe should not be folded."""

FIRST_LINE_AFTER = 0.5
"""Seconds before the first line of progress: shorter runs stay silent."""

SECONDS_BETWEEN_LINES = 2.0


class ProgressLog:
    """Prints a line per report on stderr, at most every two seconds."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.started: float | None = None
        self.printed: float | None = None

    def report(self, report: Report) -> None:
        """Print a line if it is time for one."""
        now = monotonic()
        if self.started is None:
            self.started = now
        due = self.started + FIRST_LINE_AFTER if self.printed is None else self.printed + SECONDS_BETWEEN_LINES
        if self.quiet or now < due:
            return
        if self.printed is None:
            say(f"{'seconds':>8}  {'lower':>14}  {'upper':>14}  {'gap':>8}  {'nodes':>9}")
        self.printed = now
        gap = relative_gap(report.lower, report.upper)
        line = f"{report.elapsed:8.1f}  {number(report.lower):>14}  {number(report.upper):>14}  {gap:>8}"
        say(f"{line}  {report.nodes:9d}")


def relative_gap(lower: float, upper: float) -> str:
    """Return the gap as a percentage, as far as it is finite."""
    scale = max(abs(lower), abs(upper))
    if not np.isfinite(scale):
        return "-"
    return f"{100 * (upper - lower) / scale:.2f}%" if scale else "0.00%"


def number(value: float) -> str:
    """Return a number with eight digits."""
    return f"{value:.8g}"


def show_result(result: Result) -> None:
    """Print the answer for people on stdout."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _rows(result):
        table.add_row(name, Text(text))
    put_rich(Text(_headline(result), style="bold"), table)


def put_rich(*parts: RenderableType) -> None:
    """Print on stdout what rich lays out, in a file or pipe as wide as it needs."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=FILE_WIDTH)
    with console.capture() as printed:
        for part in parts:
            console.print(part)
    put("\n".join(line.rstrip() for line in printed.get().splitlines()))


def _headline(result: Result) -> str:
    from lipc.reports.words import SUBJECTS

    subject = SUBJECTS[str(result.query["objective"])]
    if result.status == "infeasible":
        return f"{subject}: none, the network has no gradient anywhere in the domain"
    if result.certified:
        return f"{subject} = {number(result.lower)}"
    return f"{subject}: between {number(result.lower)} and {number(result.upper)} ({result.status.replace('_', ' ')})"


def _rows(result: Result) -> list[tuple[str, str]]:
    from lipc.reports.words import domain_words

    query, size, time = result.query, result.size, result.time
    neurons = size.neurons
    rows = [("network", str(query["model"])), ("output", str(query["output"]))]
    if query["objective"] == "lipschitz":
        rows.append(("perturbations", str(query["norm"])))
    if "upper_factor" in query:
        factor = f"at most {query['upper_factor']:.4f} times the largest length of a gradient"
        rows.append(("upper bounds", f"of a polytope around the l_2 ball: {factor}"))
    rows += [
        ("domain", domain_words(query)),
        ("lower", f"{result.lower!r}  ({KINDS[result.lower_kind].format(solver=result.solver)})"),
        ("upper", f"{result.upper!r}  ({KINDS[result.upper_kind].format(solver=result.solver)})"),
    ]
    if result.witness is not None:
        rows.append(("witness x", vector(result.witness.x)))
        rows.append(("gradient", vector(result.witness.gradient)))
        if query["several_outputs"]:
            rows.append(("attained by", _attained_by(query, result.witness.cotangent)))
    if result.note:
        rows.append(("note", result.note))
    rows += [
        ("neurons", f"{neurons.total}: {neurons.on} always on, {neurons.off} always off, {neurons.unstable} unstable"),
        (
            "program",
            f"{size.variables} variables ({size.binaries} binary), {size.rows} rows, {size.nonzeros} nonzeros",
        ),
        ("nodes", f"{result.nodes}  ({result.solver})"),
        (
            "time",
            f"{time['total']:.2f} s: import {time['import']:.2f}, bounds {time['bounds']:.2f}, "
            f"lower {time['lower']:.2f}, solve {time['solve']:.2f}",
        ),
    ]
    return rows


KINDS = {
    "witness": "proven by the witness, exact arithmetic",
    "solver": "dual bound of {solver}",
    "rigorous": "bounds with outward rounding",
}


def _attained_by(query: dict[str, object], cotangent: Floats) -> str:
    """Return the function of the outputs that attains the value at the witness."""
    (entries,) = np.nonzero(cotangent)
    pairs = query.get("differences")
    if isinstance(pairs, list):
        first, second = pairs[int(entries[0])]
        return f"y[{first}] - y[{second}]"
    terms = [f"{'-' if cotangent[entry] < 0 else '+'} y[{entry}]" for entry in entries.tolist()]
    return " ".join(terms).removeprefix("+ ")


def show_passes(trail: Trail) -> None:
    """Print a line per pass on stderr: seconds, and sizes before and after."""
    from lipc.passes.statistics import Statistics

    columns = ("seconds", "operations", "entries", "unstable bits", "|coefficients|")
    say(f"{'pass':<18}{columns[0]:>9}" + "".join(f"{name:>20}" for name in columns[1:]))
    for step in trail.steps:
        old, new = Statistics.of(step.before), Statistics.of(step.after)
        pairs = [(old.ops, new.ops), (old.entries, new.entries), (old.unstable, new.unstable)]
        cells = [*(f"{a} -> {b}" for a, b in pairs), f"{new.smallest:.2g} .. {new.largest:.2g}"]
        say(f"{step.name:<18}{step.seconds:>9.4f}" + "".join(f"{cell:>20}" for cell in cells))


def vector(entries: Floats) -> str:
    """Return the first entries of a vector."""
    shown = ", ".join(f"{entry:.6g}" for entry in entries[:SHOWN_ENTRIES])
    return f"({shown}, ...)" if len(entries) > SHOWN_ENTRIES else f"({shown})"
