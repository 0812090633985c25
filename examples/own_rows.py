"""Add constraint rows of your own to the program before it is written, or solved.

How steep is the network where at most two of its four neurons are on? And where, besides, x0 + 2 x1 <= -1/4?
Run it with `python examples/own_rows.py`.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import lipc
from lipc.mip import Role, add_rows
from lipc.solvers.base import Task
from lipc.solvers.scip import Scip

# f(x) = 3 relu(x0 + x1) + relu(2 x0 - x1) + relu(x1 + 1/2) - relu(-x1 - 1/4) on the box [-1, 1]^2. Its gradient is
# (5, 4) with all four neurons on, (3, 4) with the first and third, (2, 0) with the second and third.
weights = [np.array([[1.0, 1.0], [2.0, -1.0], [0.0, 1.0], [0.0, -1.0]]), np.array([[3.0, 1.0, 1.0, -1.0]])]
network = lipc.from_weights(weights, [np.array([0.0, 0.0, 0.5, -0.25]), np.zeros(1)])
compiled = lipc.compile(network, lipc.Query(lipc.box([-1, -1], [1, 1])), mode="reverse")

# Blocks of columns are named after what they stand for: the input, and the bits of the neurons.
for block in compiled.mip.columns:
    print(f"  {block.name:12} {len(block.entries):2} columns, {block.role.value:5} from {block.source or 'lipc'}")
(neurons,) = (
    block.name for block in compiled.mip.columns if block.role is Role.BIT and block.name.startswith("a_relu")
)

two_on = add_rows(compiled.mip, {neurons: np.ones((1, 4))}, upper=2.0, name="at_most_two_on")
# A program of yours is solved as it stands: a pattern that your rows leave on a thin set only, such as a line, counts.
both = add_rows(two_on, {"input": [[1.0, 2.0]]}, upper=-0.25, name="halfplane")
for title, mip in [("everywhere", compiled.mip), ("at most two neurons on", two_on), ("and x0 + 2 x1 <= -1/4", both)]:
    outcome = Scip().solve(Task(mip), lambda _: None)
    print(f"{title:24} {outcome.bound:g}")

with TemporaryDirectory() as folder:
    lipc.write_model(both, Path(folder) / "constrained.mps", header=compiled.header(), facts=compiled.facts())
    rows = [line for line in (Path(folder) / "constrained.mps").read_text().splitlines() if "halfplane" in line]
    print("\n".join(rows))
