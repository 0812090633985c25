"""Run passes one after another, and keep the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from lipc.ir import Choices, Floats, Program, verify
from lipc.passes.base import Pass, PassResult


@dataclass(frozen=True, eq=False)
class Step:
    """One pass of a pipeline that was run: what it took and what came out."""

    name: str
    before: Program
    result: PassResult
    seconds: float


@dataclass(frozen=True, eq=False)
class Trail:
    """The steps of a pipeline; a composition of passes is again something to recover and extend by."""

    start: Program
    steps: tuple[Step, ...] = ()

    @property
    def program(self) -> Program:
        """The program after the last step."""
        return self.steps[-1].result.program if self.steps else self.start

    def recover(self, choices: Choices) -> dict[int, Floats]:
        """Return choices of the first program from those of the last."""
        for step in reversed(self.steps):
            choices = step.result.recover(choices)
        return dict(choices)

    def extend(self, choices: Choices) -> dict[int, Floats]:
        """Return choices of the last program from those of the first."""
        for step in self.steps:
            choices = step.result.extend(choices)
        return dict(choices)

    def seconds(self, *names: str) -> float:
        """Return the time spent in passes of these names."""
        return sum(step.seconds for step in self.steps if step.name in names)


def run_passes(program: Program, passes: Sequence[Pass]) -> Trail:
    """Run passes one after another, verifying the program after each.

    Raises
    ------
    InternalError
        If a pass leaves an invalid program.
    """
    steps: list[Step] = []
    current = program
    for each in passes:
        started = perf_counter()
        result = each.apply(current)
        verify(result.program)
        steps.append(Step(each.name, current, result, perf_counter() - started))
        current = result.program
    return Trail(program, tuple(steps))
