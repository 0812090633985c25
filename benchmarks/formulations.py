"""Two formulations of one question, solved by one and the same solver as it is: `python -m benchmarks.formulations`.

The peer is LipMIP: the folder `lipmip_mps` of the reference cases holds the programs that its code builds. Neither side
gets a start solution, a cutoff or settings. Seconds are of the processor, reading included, compiling not.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import click

from benchmarks.cases import REFERENCE, Case, read_cases
from lipc.passes.pipeline import Level

SOLVERS = ("scip", "highs")
TOLERANCE = 1e-6
"""How far, relatively, our optimum may be from the known one."""

PEER_TOLERANCE = 1e-4
"""The same for LipMIP's programs, whose code widens bounds by 1e-6: up to 2e-5 was seen."""


@click.command()
@click.option("--case", "names", multiple=True, metavar="TEXT", help="Only cases whose name holds this; repeatable.")
@click.option("--norm", type=click.Choice(["linf", "l1"]), help="Only this norm.")
@click.option("--solver", "solvers", multiple=True, default=SOLVERS, type=click.Choice(SOLVERS))
@click.option("--time-limit", default=100.0, show_default=True, metavar="S", help="CPU seconds per solve.")
@click.option("--seed", default=0, show_default=True, help="Of the solver.")
@click.option("-O", "level", default=3, show_default=True, type=click.IntRange(0, 3), help="Our pipeline.")
@click.option("--known", type=click.Path(path_type=Path), help="A file of solves that are not repeated; it grows.")
@click.option("--reference", type=click.Path(path_type=Path), default=REFERENCE, help="The folder of cases.json.")
@click.option("--child", nargs=2, hidden=True)
def main(
    names: Sequence[str],
    norm: str | None,
    solvers: Sequence[str],
    time_limit: float,
    seed: int,
    level: int,
    known: Path | None,
    reference: Path,
    child: tuple[str, str] | None,
) -> None:
    """Solve both programs of each case, print a line for each, and the geometric mean of the ratios of seconds.

    A side that is not done in time counts with the limit, so the ratio is at least (or at most) what stands there; a
    case that neither side solves does not count.
    """
    if child:
        print(json.dumps(_solve(child[0], Path(child[1]), time_limit, seed)))
        return
    runs = _Runs(known, time_limit, seed)
    print("| case | norm | solver | LipMIP s | nodes | lipc s | nodes | ratio |\n|---|---|---|---|---|---|---|---|")
    ratios: dict[str, list[float]] = {solver: [] for solver in solvers}
    for case in read_cases(reference):
        peer = reference / "lipmip_mps" / f"{case.name}_{case.norm}.mps.gz"
        if (
            not peer.is_file()
            or norm not in (None, case.norm)
            or (names and not any(name in case.name for name in names))
        ):
            continue
        with tempfile.TemporaryDirectory() as folder:
            ours = Path(folder) / "model.mps"
            _compile(case, level, ours)
            for solver in solvers:
                theirs_done = runs.solve(solver, peer, f"LipMIP {case.name} {case.norm}")
                ours_done = runs.solve(solver, ours, f"lipc -O{level} {case.name} {case.norm}")
                _check(case, theirs_done, 1.0, PEER_TOLERANCE)
                _check(case, ours_done, -1.0, TOLERANCE)
                ratio = _ratio(theirs_done, ours_done, time_limit)
                if ratio is not None:
                    ratios[solver].append(ratio)
                _print_row(case, solver, theirs_done, ours_done, ratio, time_limit)
    for solver, found in [*ratios.items(), ("all", list(chain(*ratios.values())))]:
        if found:
            mean = math.exp(sum(map(math.log, found)) / len(found))
            print(f"{solver}: geometric mean of {len(found)} ratios {mean:.2f}")


def _compile(case: Case, level: int, path: Path) -> None:
    import lipc

    assert level in get_args(Level)
    compiled = lipc.compile(case.network, case.query, level=level)  # type: ignore[arg-type]
    lipc.write_model(compiled.mip, path)


class _Runs:
    """Solves in processes of their own, each once."""

    def __init__(self, known: Path | None, time_limit: float, seed: int) -> None:
        self.known, self.time_limit, self.seed = known, time_limit, seed
        lines = known.read_text(encoding="utf-8").splitlines() if known is not None and known.exists() else []
        self.done: dict[str, dict[str, Any]] = dict(map(json.loads, lines))

    def solve(self, solver: str, model: Path, label: str) -> dict[str, Any]:
        """Return the seconds, nodes, objective and whether it is proven."""
        key = f"{label} {solver} seed {self.seed} limit {self.time_limit:g}"
        if key not in self.done:
            command = [sys.executable, "-m", "benchmarks.formulations", "--child", solver, str(model)]
            command += ["--time-limit", str(self.time_limit), "--seed", str(self.seed)]
            out = subprocess.run(command, capture_output=True, text=True, check=False)
            stopped = {"solved": False, "seconds": self.time_limit, "nodes": None, "value": None}
            # The kernel ends a process that has used up its seconds; then it says nothing.
            self.done[key] = json.loads(out.stdout.splitlines()[-1]) if out.returncode == 0 else stopped
            if self.known is not None:
                with self.known.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([key, self.done[key]]) + "\n")
        return self.done[key]


def _solve(solver: str, model: Path, time_limit: float, seed: int) -> dict[str, Any]:
    """Solve a file with a solver's defaults, one thread; the limit is on CPU seconds, and the kernel keeps it."""
    before = _cpu_seconds()
    limit = math.ceil(before + time_limit)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    found = _with_scip(model, seed) if solver == "scip" else _with_highs(model, seed)
    return {**found, "seconds": _cpu_seconds() - before}


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _with_scip(path: Path, seed: int) -> dict[str, Any]:
    import pyscipopt

    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("randomization/randomseedshift", seed)
    model.readProblem(str(path))
    model.optimize()
    solved = model.getStatus() == "optimal"
    return {"solved": solved, "value": model.getPrimalbound() if solved else None, "nodes": model.getNTotalNodes()}


def _with_highs(path: Path, seed: int) -> dict[str, Any]:
    import highspy

    highs = highspy.Highs()
    highs.silent()
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("random_seed", seed)
    highs.readModel(str(path))
    highs.run()
    solved = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    info = highs.getInfo()
    return {"solved": solved, "value": info.objective_function_value if solved else None, "nodes": info.mip_node_count}


def _check(case: Case, done: dict[str, Any], sign: float, tolerance: float) -> None:
    if done["solved"] and case.exact and abs(sign * done["value"] / case.value - 1) > tolerance:
        raise click.ClickException(f"{case.name} {case.norm}: {sign * done['value']} is not {case.value}")


def _ratio(theirs: dict[str, Any], ours: dict[str, Any], time_limit: float) -> float | None:
    """Return theirs by ours; None if neither is solved."""
    if not theirs["solved"] and not ours["solved"]:
        return None
    seconds = [max(each["seconds"], 1e-3) if each["solved"] else time_limit for each in (theirs, ours)]
    return float(seconds[0] / seconds[1])


def _print_row(
    case: Case, solver: str, theirs: dict[str, Any], ours: dict[str, Any], ratio: float | None, limit: float
) -> None:
    cells = [case.name, case.norm, solver]
    for each in (theirs, ours):
        cells += [f"{each['seconds']:.2f}", str(each["nodes"])] if each["solved"] else [f"> {limit:g}", "-"]
    bound = "" if theirs["solved"] and ours["solved"] else "> " if ours["solved"] else "< "
    cells.append("-" if ratio is None else f"{bound}{ratio:.2f}")
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
