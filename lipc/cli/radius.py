"""``lipc certify-radius MODEL``: how far an input may move before its class can change."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import click

from lipc.cli.completion import FILE
from lipc.cli.options import AS_JSON, DROP_SOFTMAX, FROM, QUIET
from lipc.cli.solve import SECONDS, SEED, THREADS, Finite
from lipc.cli.streams import NOT_FOUND, put, say

if TYPE_CHECKING:
    from lipc.models import SourceFormat
    from lipc.radius import RadiusReport, RadiusResult

SHOWN_CLASSES = 3

RADIUS = Finite(min=0, min_open=True)
TOLERANCE = Finite(min=1e-9, max=0.5)


@click.command("certify-radius", short_help="How far an input may move before its class can change.")
@click.argument("model", type=FILE, metavar="MODEL")
@FROM
@click.option("--center", type=FILE, metavar="FILE", required=True, help="The input: a .npy/.csv file (or one number).")
@click.option(
    "--norm",
    type=click.Choice(["linf", "l1"]),
    default="linf",
    show_default=True,
    help="What perturbations are measured in.",
)
@click.option("--label", type=click.IntRange(min=0), metavar="K", help="The class.  [default: the one at the center]")
@click.option(
    "--max-radius", type=RADIUS, metavar="R", help="Look no farther.  [default: the end of the clip, or 2^20]"
)
@click.option("--clip", nargs=2, type=float, metavar="LO HI", help="Perturbed inputs stay within LO <= x <= HI.")
@click.option(
    "--tolerance",
    type=TOLERANCE,
    metavar="T",
    default=1e-3,
    show_default=True,
    help="How close, relatively, to come to what can be proven.",
)
@DROP_SOFTMAX
@click.option("-W", "warning_words", multiple=True, metavar="WORD", help="As for 'lipc solve'.")
@click.option("--time-limit", type=SECONDS, metavar="S", help="Stop after S seconds with what is proven.")
@click.option("--threads", type=THREADS, metavar="N", default=1, show_default=True, help="For SCIP's LPs.")
@click.option("--seed", type=SEED, metavar="N", default=0, show_default=True, help="SCIP's random seed.")
@AS_JSON
@QUIET
def command(
    model: str,
    source_format: SourceFormat | None,
    center: str,
    norm: str,
    label: int | None,
    max_radius: float | None,
    clip: tuple[float, float] | None,
    tolerance: float,
    drop_softmax: bool,
    warning_words: tuple[str, ...],
    time_limit: float | None,
    threads: int,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Prove how far an input may move before its class can change.

    Within the radius the exact local Lipschitz constants of the margins leave the class no room to change. A quick
    attack bounds the true radius from the other side. The exit code is 1 where the radius is not the largest one that
    can be proven in this way.
    """
    import numpy as np

    from lipc.cli.warn import WarningFilter
    from lipc.ir import Norm
    from lipc.jobs.arrays import read_numbers
    from lipc.models import read_model
    from lipc.options import Options
    from lipc.radius import certify_radius

    shown = WarningFilter.of(warning_words)
    network = read_model(model, drop_softmax=drop_softmax, source_format=source_format)
    shown.show(network.warnings)
    point = read_numbers(center, "--center")
    if point.size == 1 and len(network.input_shape) and np.prod(network.input_shape) > 1:
        point = np.full(int(np.prod(network.input_shape)), point[0])
    result = certify_radius(
        network,
        point,
        norm=Norm(norm),
        label=label,
        max_radius=max_radius,
        clip=clip,
        tolerance=tolerance,
        options=Options(float("inf") if time_limit is None else time_limit, threads=threads, seed=seed),
        on_report=_Log(quiet).report,
    )
    put(result.to_json() if as_json else "\n".join(_lines(result)))
    return 0 if result.certified else NOT_FOUND


class _Log:
    """Prints a line per report on stderr, at most every two seconds."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.printed = monotonic()

    def report(self, report: RadiusReport) -> None:
        if self.quiet or monotonic() < self.printed + 2.0:
            return
        self.printed = monotonic()
        say(f"{report.elapsed:8.1f} s: proven {report.radius:.6g}, at most {report.limit:.6g} ({report.solves} solves)")


def _lines(result: RadiusResult) -> list[str]:
    """Return what a person sees."""
    rows = [("network", result.model), ("class", f"y[{result.label}]"), ("perturbations", result.norm.value)]
    if result.status == "misclassified":
        over = ", ".join(f"y[{each.output}]" for each in result.classes if each.margin <= 0)
        title = f"certified radius: 0, y[{result.label}] is not the largest output at the center"
        return [title, *_table([*rows, ("not less there", over)])]
    basis = f"dual bounds of {result.solver}" if result.radius_kind == "solver" else "bounds with outward rounding"
    rows.append(("radius", f"{result.radius!r}  (the class cannot change within less; {basis})"))
    if result.status == "max_radius":
        rows.append(("limit", "the largest radius looked at"))
    else:
        rows.append(("limit", f"{result.limit!r}  (exact local constants prove no more; no counterexample)"))
    found = result.adversarial
    if found is None:
        rows.append(("attack", "found no point of another class"))
    else:
        rows.append(("attack", f"y[{found.output}] is as large at a distance of {found.distance!r}  (checked exactly)"))
    for each in result.classes[:SHOWN_CLASSES]:
        limit = "no slope found" if each.limit == float("inf") else f"at most {each.limit:.6g}"
        rows.append((f"y[{each.output}]", f"margin {each.margin:.6g}, proven {each.radius:.6g}, {limit}"))
    rows.append(("time", f"{result.seconds:.2f} s, {result.solves} solves"))
    ending = "" if result.certified else f" ({result.status.replace('_', ' ')})"
    return [f"certified radius: {result.radius:.8g}{ending}", *_table(rows)]


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {text}" for name, text in rows]
