"""Use only the bounds and the pruning of lipc, inside a program that has its own use for a network.

A toy training loop watches how many neurons are unstable on the unit box, and hands the smaller network, which is the
same function there, to somebody else. No question, no mixed-integer program, no solver.
Run it with `python examples/inside_another_program.py`.
"""

import numpy as np

import lipc
from lipc.bounds import linear_bounds
from lipc.ir import Conditional, Input, Program, evaluate
from lipc.passes.bounds import Bounds
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import run_passes


def on_box(network: lipc.Network, low: float, high: float) -> Program:
    """Return the network as a program over a box, with nothing asked of it."""
    value, _ = network.program.network_input()
    ops = list(network.program.ops)
    size = ops[value].size
    ops[value] = Input(ops[value].origin, lipc.box(np.full(size, low), np.full(size, high)))
    return Program(tuple(ops), network.program.result)


random = np.random.default_rng(1)
weights = [random.normal(size=(12, 3)), random.normal(size=(12, 12)) / 4, random.normal(size=(1, 12))]
for epoch in range(4):
    biases = [np.full(12, 0.8 * epoch), np.full(12, 0.2 * epoch), np.zeros(1)]
    program = on_box(lipc.from_weights(weights, biases), -1.0, 1.0)
    bounds = linear_bounds(program)  # by value: sound lower and upper bounds of every entry
    low, high = bounds[program.result].lower[0], bounds[program.result].upper[0]
    bits = [bounds[value] for value in program.find(Conditional)]
    unstable = sum(int((each.lower < each.upper).sum()) for each in bits)
    print(f"epoch {epoch}: {unstable:2} of 24 neurons unstable, output within [{low:.3f}, {high:.3f}]")

smaller = run_passes(program, [Bounds(), PruneStable()]).program
points = random.uniform(-1.0, 1.0, (1000, 3))
before, after = (evaluate(each, {0: points})[each.result] for each in (program, smaller))
print(f"pruned: {[op.size for op in smaller.ops]} entries instead of {[op.size for op in program.ops]}")
print(f"largest difference on 1000 points: {np.abs(before - after).max():.1e}")
