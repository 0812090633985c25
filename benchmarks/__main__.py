"""Time lipc on the reference cases, each in a process of its own: `python -m benchmarks --help`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.cases import REFERENCE, Case, read_cases

PERFORMANCE = Path(__file__).resolve().parents[1] / "PERFORMANCE.md"
BEGIN, END = "<!-- reference cases: begin -->", "<!-- reference cases: end -->"
COLUMNS = ("case", "norm", "mode", "status", "value", "error", "nodes", "import", "bounds", "write", "lower", "solve")


@click.command()
@click.option("--case", "names", multiple=True, metavar="TEXT", help="Only cases whose name holds this; repeatable.")
@click.option("--norm", type=click.Choice(["linf", "l1"]), help="Only this norm.")
@click.option("--mode", "modes", multiple=True, default=["auto"], type=click.Choice(["auto", "reverse", "forward"]))
@click.option("--time-limit", default=100.0, show_default=True, metavar="S", help="Per case.")
@click.option("--seed", default=0, show_default=True, help="Of the solver.")
@click.option("--write", is_flag=True, help="Put the table into PERFORMANCE.md.")
@click.option("--reference", type=click.Path(path_type=Path), default=REFERENCE, help="The folder of cases.json.")
@click.option("--scale", is_flag=True, help="Compile a network of 98,304 neurons instead.")
@click.option("--child", nargs=3, hidden=True)
def main(
    names: Sequence[str],
    norm: str | None,
    modes: Sequence[str],
    time_limit: float,
    seed: int,
    write: bool,
    reference: Path,
    scale: bool,
    child: tuple[str, str, str] | None,
) -> None:
    """Solve the reference cases and print seconds by stage, whole-process wall and CPU seconds, and the peer's."""
    if scale:
        from benchmarks.scale import main as compile_large

        compile_large()
        return
    if not (reference / "cases.json").is_file():
        raise click.ClickException(f"no cases.json in {reference}; name its folder with --reference")
    cases = list(read_cases(reference))
    if child:
        _child(next(case for case in cases if (case.name, case.norm) == child[:2]), child[2], time_limit, seed)
        return
    chosen = [
        case for case in cases if (not names or any(name in case.name for name in names)) and norm in (None, case.norm)
    ]
    header = [*COLUMNS, "wall", "cpu", "LipMIP cpu", "ratio"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    print("\n".join(lines))
    for case in chosen:
        for mode in modes:
            lines.append(_row(case, mode, time_limit, seed, reference))
            print(lines[-1], flush=True)
    if write:
        _write(lines, time_limit)


def _row(case: Case, mode: str, time_limit: float, seed: int, reference: Path) -> str:
    """Run one case in a process of its own and return its line of the table."""
    command = [sys.executable, "-m", "benchmarks", "--child", case.name, case.norm, mode]
    command += ["--time-limit", str(time_limit), "--seed", str(seed), "--reference", str(reference)]
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    result = json.loads(done.stdout)
    value = f"{result['lower']:.8g}"
    if result["gap"] > 1e-6:
        value += f" .. {result['upper']:.6g}"
    error = f"{abs(result['lower'] / case.value - 1):.0e}" if case.exact else "-"
    seconds = [f"{result['time'][stage]:.2f}" for stage in ("import", "bounds", "write", "lower", "solve")]
    peer = "-" if case.peer_seconds is None else f"{case.peer_seconds:.2f}"
    ratio = "-" if case.peer_seconds is None or result["status"] != "optimal" else f"{case.peer_seconds / cpu:.2f}"
    cells = [case.name, case.norm, mode, result["status"], value, error, str(result["nodes"]), *seconds]
    return "| " + " | ".join([*cells, f"{wall:.2f}", f"{cpu:.2f}", peer, ratio]) + " |"


def _child(case: Case, mode: str, time_limit: float, seed: int) -> None:
    """Compile, write and solve one case; print the result with the seconds of each stage."""
    import lipc

    compiled = lipc.compile(case.network, case.query, mode=mode)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        lipc.write_model(compiled.mip, Path(folder) / "model.mps", facts=compiled.facts())
        written = time.perf_counter() - started
    result = lipc.solve(compiled, options=lipc.Options(time_limit=time_limit, seed=seed)).to_dict()
    assert isinstance(result["time"], dict)
    result["time"]["write"] = written
    print(json.dumps(result))


def _write(lines: list[str], time_limit: float) -> None:
    """Replace the table of reference cases in PERFORMANCE.md."""
    text = PERFORMANCE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    note = f"One thread, time limit {time_limit:g} s, seconds of one run each; {machine}."
    PERFORMANCE.write_text("\n".join([head + BEGIN, "", note, "", *lines, "", END + tail]), encoding="utf-8")


if __name__ == "__main__":
    main()
