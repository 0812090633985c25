"""Translation validation finds passes that change what a program computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from lipc.errors import InternalError
from lipc.ir import Affine, Builder, Conditional, Norm, Origin, Polytope, Program
from lipc.passes.base import Pass, PassResult, Source, kept_whole
from lipc.passes.bounds import Bounds
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.run import VALIDATE, Step, run_passes
from tests.ir.sample_programs import dense, question
from tests.nets import random_network


def network(norm: Norm | None = Norm.LINF, outputs: int = 2) -> Program:
    return dense(random_network(3, (3, 6, 5, outputs)), norm=norm).program


@dataclass(frozen=True)
class Broken(Pass):
    """Applies a function to the program."""

    name: ClassVar[str] = "broken"
    exact: ClassVar[bool] = True
    change: Callable[[Program], PassResult]

    def apply(self, program: Program) -> PassResult:
        return self.change(program)


def last_affine(program: Program, change: Callable[[Affine], Affine]) -> Program:
    value = max(program.find(Affine))
    op = program.ops[value]
    assert isinstance(op, Affine)
    return replace(program, ops=(*program.ops[:value], change(op), *program.ops[value + 1 :]))


def biased(program: Program) -> PassResult:
    changed = last_affine(program, lambda op: replace(op, bias=op.bias + 1e-3))
    return PassResult(changed, kept_whole(program))


def weighted(program: Program) -> PassResult:
    def grown(op: Affine) -> Affine:
        return replace(op, terms=tuple(replace(term, matrix=term.matrix * 1.001) for term in op.terms))

    return PassResult(last_affine(program, grown), kept_whole(program))


def negated_bits(program: Program) -> PassResult:
    """Return the program with every pre-activation negated, and nothing else."""
    builder = Builder()
    new: dict[int, int] = {}
    for value, op in enumerate(program.ops):
        if isinstance(op, Conditional):
            minus = builder.linear((-1.0, new[op.operand]))
            new[value] = builder.conditional(minus)
        elif isinstance(op, Affine):
            new[value] = builder.affine({new[t.operand]: t.matrix for t in op.terms}, op.bias)
        else:
            renamed = replace(op, operand=new[op.operand], bit=new[op.bit]) if op.operands else op
            new[value] = builder.append(renamed)
    return PassResult(builder.program(new[program.result], program.objective), kept_whole(program, new))


def swapped_source(program: Program) -> PassResult:
    sources = kept_whole(program)
    value = min(program.find(Conditional))
    size = program.ops[value].size
    sources[value] = Source.of(value, np.roll(np.arange(size), 1), np.full(size, np.nan))
    return PassResult(program, sources)


def forgotten_input(program: Program) -> PassResult:
    sources = kept_whole(program)
    del sources[0]
    return PassResult(program, sources)


def lost_completion(program: Program) -> PassResult:
    result = Jacobian("forward").apply(program)
    return PassResult(result.program, result.sources)


def wrong_completion(program: Program) -> PassResult:
    result = Jacobian("forward").apply(program)
    v = max(value for value in result.program.find(type(program.ops[0])) if result.program.ops[value].size == 3)

    def complete(choices: dict[int, np.ndarray]) -> dict[int, np.ndarray]:  # type: ignore[type-arg]
        completed = result.complete(choices)
        return {**completed, v: -completed[v]}

    return PassResult(result.program, result.sources, complete)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (biased, "changes the result"),
        (weighted, "changes the objective"),
        (negated_bits, "bit on the wrong side"),
        (swapped_source, "wrong side|changes the"),
        (forgotten_input, "leaves the input %0 without a value"),
        (lost_completion, "without a value"),
        (wrong_completion, "changes the objective"),
    ],
)
def test_a_wrong_pass_is_found(change: Callable[[Program], PassResult], message: str) -> None:
    with pytest.raises(InternalError, match=f"'broken'.*({message})"):
        run_passes(network(), [Broken(change)], validate=8)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
def test_a_wrong_pass_is_found_after_the_jacobian(mode: Mode, norm: Norm) -> None:
    with pytest.raises(InternalError, match="changes the"):
        run_passes(network(norm), [Jacobian(mode), Broken(biased)], validate=8)


def test_a_difference_at_one_bit_of_rounding_is_none() -> None:
    def rounded(program: Program) -> PassResult:
        changed = last_affine(program, lambda op: replace(op, bias=op.bias * (1 + 2**-40)))
        return PassResult(changed, kept_whole(program))

    assert run_passes(network(), [Broken(rounded)], validate=8).steps


def test_bits_at_zero_may_be_either() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1.0], [1.0]), origin=Origin("x"))
    zero = builder.affine({x: [[0.0]]}, origin=Origin("zero"))
    result = builder.affine({builder.relu(zero): [[1.0]], x: [[1.0]]})
    program = builder.program(result, question(Norm.LINF))

    def other_bit(program: Program) -> PassResult:
        """Return the program with the pre-activation 0 negated: its bit may be 1 now."""
        result = negated_bits(program)
        (bit,) = program.find(Conditional)
        old = result.sources[bit]
        flipped = replace(old, flip=np.ones(1, bool))
        return PassResult(result.program, {**result.sources, bit: flipped})

    assert run_passes(program, [Broken(other_bit)], validate=4).steps


def test_the_environment_switches_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VALIDATE, "0")
    assert run_passes(network(), [Broken(biased)]).steps
    monkeypatch.setenv(VALIDATE, "4")
    with pytest.raises(InternalError, match="changes the result"):
        run_passes(network(), [Broken(biased)])
    assert run_passes(network(), [Broken(biased)], validate=0).steps


def test_an_unbounded_domain_has_no_points() -> None:
    program = network(None)
    (old, *rest) = program.ops
    free = replace(program, ops=(replace(old, domain=Polytope.space(3)), *rest))
    assert run_passes(free, [Broken(biased)], validate=4).steps


def test_each_pass_is_verified_or_the_last_one_only() -> None:
    def crossed(program: Program) -> PassResult:
        known = Bounds().apply(program).program.bounds[0]
        return PassResult(program.with_bounds({0: replace(known, lower=known.upper + 1)}), kept_whole(program))

    def cleared(program: Program) -> PassResult:
        return PassResult(program.with_bounds({}), kept_whole(program))

    passes = [Broken(crossed), Broken(cleared)]
    with pytest.raises(InternalError, match=r"after pass 'broken': .*contradicting"):
        run_passes(network(), passes)
    assert len(run_passes(network(), passes, verify_each=False).steps) == 2
    with pytest.raises(InternalError, match="after pass 'broken'"):
        run_passes(network(), [Broken(crossed)], verify_each=False)


def test_every_step_is_reported_in_order() -> None:
    seen: list[Step] = []
    trail = run_passes(network(), [Bounds(), Jacobian("forward")], on_step=seen.append)
    assert tuple(seen) == trail.steps
    assert [step.name for step in seen] == ["bounds", "jacobian"]
    assert seen[0].after is seen[1].before
