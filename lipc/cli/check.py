"""``lipc check model.map.json solution.sol``: a solver's solution, checked without a solver."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from lipc.cli.completion import FILE
from lipc.cli.options import AS_JSON
from lipc.cli.solve import NOT_NEGATIVE
from lipc.cli.streams import NOT_FOUND, put

if TYPE_CHECKING:
    from lipc.checking import Check


@click.command("check", short_help="Check a solver's solution file, without a solver.")
@click.argument("model_map", type=FILE, metavar="MODEL.map.json")
@click.argument("solution", type=FILE, metavar="SOLUTION")
@click.option(
    "--tolerance",
    type=NOT_NEGATIVE,
    metavar="T",
    default=1e-6,
    show_default=True,
    help="The claim may exceed what is certified by this part of it, or of 1 if that is more.",
)
@click.option(
    "--feasibility",
    type=NOT_NEGATIVE,
    metavar="F",
    default=1e-5,
    show_default=True,
    help="By how much a row, a bound or a bit may be violated.",
)
@AS_JSON
def command(model_map: str, solution: str, tolerance: float, feasibility: float, as_json: bool) -> int:
    """Check the solution that a solver wrote for a model of lipc; SOLUTION may be '-', standard input.

    It is read as what SCIP, HiGHS, CBC, GLPK (-w) and Gurobi write, found by its content, also packed, also behind the
    solver's log. Its point and its pattern are read back through the sidecar, which holds the network: neither the
    model nor a solver is needed. What they prove is computed in exact arithmetic. The exit code is 1 where the claim
    is not confirmed.
    """
    from lipc.checking import check

    found = check(model_map, solution, tolerance=tolerance, feasibility=feasibility)
    put(found.to_json() if as_json else "\n".join(_lines(found)))
    return 0 if found.accepted else NOT_FOUND


def _lines(found: Check) -> list[str]:
    """Return what is shown of a check."""
    status = f", {found.status}" if found.status else ""
    lines = [f"solution   {found.style}{status}"]
    for words, value in (("claimed", found.claimed), ("computed", found.computed)):
        if value is not None:
            what = "what the file states" if words == "claimed" else "the program's objective at its columns"
            lines.append(f"{words:<10} {value:.12g}, {what}")
    if found.certified is not None and found.witness is not None:
        side = "a lower bound" if found.maximize else "an upper bound"
        x = ", ".join(f"{entry:.6g}" for entry in found.witness.x[:4].tolist())
        x += f", ... ({len(found.witness.x)} entries)" if len(found.witness.x) > 4 else ""
        lines.append(f"certified  {found.certified!r}, {side}, by exact arithmetic at x = ({x})")
    if found.factor > 1:
        lines.append(f"           (the program of this l_2 question states up to {found.factor:.6g} times as much)")
    lines += [f"problem    {problem}" for problem in found.problems]
    verdict = "accepted" if found.accepted else "not confirmed"
    if found.accepted and found.claimed is None and found.computed is None:
        verdict += ": it claims nothing"
    elif found.accepted and math.isfinite(found.tolerance):
        verdict += f": the claim is certified within {found.tolerance:g}"
    return [*lines, verdict]
