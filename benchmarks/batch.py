"""``python -m benchmarks.batch``: many questions by `lipc batch` and by a shell loop of `lipc solve`, side by side.

Questions: balls of radius 0.02 around 200 images near examples/digit_one.csv, the network of examples/digits.onnx.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter

import numpy as np

EXAMPLES = Path(__file__).parents[1] / "examples"
LIPC = f"{sys.executable} -m lipc"


def points(count: int) -> np.ndarray:
    """Return images near the one of the examples, shape ``(count, 64)``."""
    image = np.loadtxt(EXAMPLES / "digit_one.csv", delimiter=",").reshape(-1)
    noise = np.random.default_rng(0).uniform(-0.02, 0.02, (count, image.size))
    return np.clip(image + noise, 0, 1)


def measured(command: str, folder: str) -> tuple[float, float]:
    """Return the wall and CPU seconds of a shell command."""
    before, begun = getrusage(RUSAGE_CHILDREN), perf_counter()
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(EXAMPLES.parent)}
    subprocess.run(["bash", "-c", command], cwd=folder, env=environment, check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return perf_counter() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="of questions")
    parser.add_argument("--loop", type=int, default=50, help="of them in the shell loops, which are slow")
    count, loop = (each for _, each in sorted(vars(parser.parse_args()).items()))
    images = points(count)
    question = f"{EXAMPLES / 'digits.onnx'} --radius 0.02 --clip 0 1 -q"
    print("| how | jobs | seconds | per second | CPU seconds per job |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/x.npy", images)
        for number, image in enumerate(images[:loop]):
            np.save(f"{folder}/{number}.npy", image)
        one = f"{LIPC} solve {question} --json --center $i.npy"
        batch = f"{LIPC} batch --model {question} --points x.npy"
        ways = [
            ("shell loop of `lipc solve`", loop, f"for i in $(seq 0 {loop - 1}); do {one}; done > loop.jsonl"),
            ("the same, two at a time", loop, f"seq 0 {loop - 1} | xargs -P 2 -I@ sh -c 'i=@; {one}' > two.jsonl"),
            ("`lipc batch --jobs 1`", count, f"{batch} --jobs 1 --out one.jsonl"),
            ("`lipc batch --jobs 2`", count, f"{batch} --jobs 2 --out both.jsonl"),
        ]
        for name, jobs, command in ways:
            seconds, cpu = measured(command, folder)
            print(f"| {name} | {jobs} | {seconds:.1f} | {jobs / seconds:.2f} | {cpu / jobs:.3f} |", flush=True)


if __name__ == "__main__":
    main()
