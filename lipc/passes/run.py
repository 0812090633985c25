"""Run passes one after another, check each, and keep the way back."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from lipc.errors import InternalError
from lipc.ir import Choices, Floats, Program, verify
from lipc.passes.base import Pass, PassResult
from lipc.passes.validate import validate_step

VALIDATE = "LIPC_VALIDATE"
"""The environment variable that says on how many points every pass is validated where a caller does not say."""


@dataclass(frozen=True, eq=False)
class Step:
    """One pass of a pipeline that was run: what it took and what came out."""

    transformation: Pass
    before: Program
    result: PassResult
    seconds: float

    @property
    def name(self) -> str:
        """The name of the pass."""
        return self.transformation.name

    @property
    def after(self) -> Program:
        """The program that came out."""
        return self.result.program


@dataclass(frozen=True, eq=False)
class Trail:
    """The steps of a pipeline; a composition of passes is again something to recover and extend by."""

    start: Program
    steps: tuple[Step, ...] = ()

    @property
    def program(self) -> Program:
        """The program after the last step."""
        return self.steps[-1].after if self.steps else self.start

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


def run_passes(
    program: Program,
    passes: Sequence[Pass],
    *,
    verify_each: bool = True,
    validate: int | None = None,
    on_step: Callable[[Step], None] = lambda _: None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Trail:
    """Run passes one after another.

    Parameters
    ----------
    verify_each
        Verify the program after each pass; what comes out in the end is verified in any case.
    validate
        Compare the programs before and after each pass on so many points of the domain. Default: what the environment
        variable ``LIPC_VALIDATE`` says, or 0.
    on_step
        Called after each pass.
    on_stage
        Called before each pass with its name.

    Raises
    ------
    InternalError
        If a pass leaves an invalid program, or one that computes something else.
    """
    points = _points_by_default() if validate is None else validate
    steps: list[Step] = []
    current = program
    for each in passes:
        on_stage(each.name)
        started = perf_counter()
        result = each.apply(current)
        step = Step(each, current, result, perf_counter() - started)
        if verify_each or each is passes[-1]:
            _verify(each, result.program)
        if points:
            validate_step(each.name, current, result, points)
        steps.append(step)
        on_step(step)
        current = result.program
    return Trail(program, tuple(steps))


def _points_by_default() -> int:
    given = os.environ.get(VALIDATE, "")
    return int(given) if given.isdecimal() else 0


def _verify(each: Pass, program: Program) -> None:
    try:
        verify(program)
    except InternalError as error:
        raise InternalError(f"after pass '{each.name}': {error}") from error
