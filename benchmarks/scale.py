"""Large convolutional networks, compiled by the command line: ``python -m benchmarks --scale``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.convolutional import write_network

LARGE = (64, (12, 24, 24))
"""The side of the picture and the channels of each convolution: 98,304 neurons."""

QUESTIONS = (
    "--bounds interval",
    "--bounds linear",
    "--bounds interval --norm l1",
    "--bounds interval --objective max --output 0",
)


@dataclass(frozen=True)
class Measured:
    """What one compilation took and wrote; the peak is of memory, in bytes."""

    cpu: float
    wall: float
    peak: int
    entries: int
    written: int


def measure(network: Path, options: list[str], folder: Path) -> Measured:
    """Compile a network to an MPS file in a process of its own, which the file does not outlive."""
    file = folder / "model.mps"
    command = [sys.executable, "-m", "lipc", "compile", str(network), "--box", "0", "1", *options, "-o", str(file)]
    started = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    try:
        entries, inside = 0, False
        with file.open("rb") as lines:
            for line in lines:
                if not line.startswith(b" "):
                    inside = line == b"COLUMNS\n"
                entries += inside and b"'MARKER'" not in line
        entries -= 1  # the word COLUMNS
        return Measured(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024, entries, file.stat().st_size)
    finally:
        file.unlink()


def main() -> None:
    """Print a line per question."""
    print("| question | nonzeros | MB | CPU s | wall s | peak GB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        network = Path(name) / "net.onnx"
        write_network(network, *LARGE)
        for question in QUESTIONS:
            found = measure(network, question.split(), Path(name))
            print(
                f"| {question} | {found.entries / 1e6:.1f}e6 | {found.written / 1e6:.0f} | {found.cpu:.1f} "
                f"| {found.wall:.1f} | {found.peak / 1e9:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
