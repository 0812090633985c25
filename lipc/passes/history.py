"""What each pass of a trail did to the network it began with: sizes, and the neurons of every layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipc.ir import Conditional, Floats, Program
from lipc.passes.run import Trail
from lipc.passes.statistics import Statistics


@dataclass(frozen=True)
class Layer:
    """The neurons of one conditional of the first program: always on, always off, or unstable."""

    name: str
    on: int
    off: int
    unstable: int


@dataclass(frozen=True)
class Stage:
    """A program on the way.

    Parameters
    ----------
    name
        The pass that made it; empty for the first one.
    size
        Of the program.
    layers
        The neurons of the first program, by conditional, as they are known after the pass.
    """

    name: str
    size: Statistics
    layers: tuple[Layer, ...]


def history(trail: Trail) -> tuple[Stage, ...]:
    """Return the first program of a trail and what came out of each of its passes."""
    stages = []
    for done in range(len(trail.steps) + 1):
        part = Trail(trail.start, trail.steps[:done])
        name = trail.steps[done - 1].name if done else ""
        stages.append(Stage(name, Statistics.of(part.program), _layers(part)))
    return tuple(stages)


def decided_bits(trail: Trail) -> dict[int, Floats]:
    """Return, for each conditional of a trail's first program, 0 or 1 where its last decides the bit, NaN elsewhere."""
    decided = trail.recover(_known(trail.program))
    ops = trail.start.ops
    return {value: decided.get(value, np.full(ops[value].size, np.nan)) for value in trail.start.find(Conditional)}


def _known(program: Program) -> dict[int, Floats]:
    """Return the bits that a program's bounds decide."""
    known = {}
    for value in program.find(Conditional):
        bounds = program.bounds.get(value)
        if bounds is not None:
            known[value] = np.where(bounds.lower == bounds.upper, bounds.lower, np.nan)
    return known


def _layers(trail: Trail) -> tuple[Layer, ...]:
    layers = []
    for value, bits in decided_bits(trail).items():
        on, off = int((bits == 1).sum()), int((bits == 0).sum())
        layers.append(Layer(trail.start.ops[value].origin.name, on, off, len(bits) - on - off))
    return tuple(layers)
