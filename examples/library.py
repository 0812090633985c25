"""Use lipc as a library: a network of numpy arrays, no file anywhere, and every stage by itself.

Run it with `python examples/library.py`.
"""

import io

import numpy as np

import lipc
from lipc.formats import mps_chunks
from lipc.ir import Norm
from lipc.mip import lower
from lipc.passes.bounds import Bounds
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import run_passes

# f(x) = relu(x0 + x1) - relu(x0 - x1) + x1: on the box [-1, 1]^2 its gradients are (0, 3), (1, 2), (-1, 2), (0, 1).
weights = [np.array([[1.0, 1.0], [1.0, -1.0], [0.0, 1.0], [0.0, -1.0]]), np.array([[1.0, -1.0, 1.0, -1.0]])]
network = lipc.from_weights(weights)
query = lipc.Query(lipc.box([-1, -1], [1, 1]), norm=Norm.LINF)

# All of it in one call.
result = lipc.solve(network, query)
print(f"Lipschitz constant {result.lower} (certified: {result.certified})")
print(f"  attained at x = {result.witness.x}, where the gradient is {result.witness.gradient}")

# The same, stage by stage: ask, bound, prune, differentiate, bound what is new, fuse, lower, write.
asked = query.ask(network.program)
passes = [Bounds(), PruneStable(), Jacobian(), Bounds(only_new=True), PruneStable(), Fuse(), PruneStable()]
trail = run_passes(asked, passes)
for step in trail.steps:
    print(f"  after {step.name:13} {len(step.result.program.ops):2} operations")
print(trail.program)
mip = lower(trail.program)
file = io.BytesIO()
file.writelines(mps_chunks(mip))
print(f"{mip.matrix.shape[0]} rows, {len(mip.cost)} columns, {mip.binaries} of them binary; {file.tell()} bytes of MPS")
