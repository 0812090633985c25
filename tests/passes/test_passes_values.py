"""Every pass keeps the value of the program at every point, and choices go there and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from spread import spread

from lipc.errors import InternalError
from lipc.ir import Affine, Builder, Conditional, Floats, Input, Norm, Origin, Polytope, Program, evaluate
from lipc.passes.base import Pass, PassResult, kept_whole
from lipc.passes.bounds import Bounds
from lipc.passes.dce import DeadCodeElimination
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import Trail, run_passes
from tests.ir.sample_programs import Sample, dense, gradients, max_pool, mixed, residual
from tests.nets import KINDS, random_network

SAMPLES: dict[str, Sample] = {
    "dense": dense(random_network(0, [3, 7, 6, 1])),
    "dense, small box": dense(random_network(1, [4, 8, 8, 2]), 0.4, 0.6),
    "one layer": dense(random_network(1, [3, 2])),
    "residual": residual(1),
    "residual, three outputs": residual(2, outputs=3),
    "max pool": max_pool(3),
    "max pool, two outputs": max_pool(4, outputs=2),
    "mixed": mixed(5),
    **{kind: dense(random_network(6, [2, 6, 4, 1], kind)) for kind in KINDS},
}
PIPELINES: dict[str, list[Pass]] = {
    "dce": [DeadCodeElimination()],
    "fuse": [Fuse()],
    "interval": [Bounds("interval")],
    "linear": [Bounds()],
    "prune without bounds": [PruneStable()],
    "prune": [Bounds("interval"), PruneStable()],
    "prune, fuse": [Bounds(), PruneStable(), Fuse()],
    "all": [Fuse(), Bounds(), PruneStable(), Fuse(), Bounds(), PruneStable(), DeadCodeElimination()],
}


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]


def at(program: Program, choices: Mapping[int, Floats]) -> Floats:
    return evaluate(program, choices)[program.result][0]


def interior(sample: Sample, count: int, seed: int = 7) -> Floats:
    """Return points where ties are improbable."""
    share = np.random.default_rng(seed).uniform(0.001, 0.999, (count, sample.domain.size))
    return sample.domain.lower + share * (sample.domain.upper - sample.domain.lower)


@pytest.mark.parametrize("name", PIPELINES)
def test_the_value_is_kept(sample: Sample, name: str) -> None:
    trail = run_passes(sample.program, PIPELINES[name])
    points = np.vstack([sample.points(40), interior(sample, 40)])
    (new_input,) = trail.program.find(Input)
    new = evaluate(trail.program, {new_input: points})[trail.program.result]
    np.testing.assert_allclose(new, sample.function(points), rtol=1e-12, atol=1e-12)


def all_choices(program: Program, point: Floats) -> dict[int, Floats]:
    values = evaluate(program, {next(program.find(Input)): point})
    return {value: values[value][0] for value, op in enumerate(program.ops) if isinstance(op, Input | Conditional)}


@pytest.mark.parametrize("name", PIPELINES)
def test_choices_there_and_back(sample: Sample, name: str) -> None:
    trail = run_passes(sample.program, PIPELINES[name])
    for point in interior(sample, 5):
        old = all_choices(sample.program, point)
        new = trail.extend(old)
        for value, entries in new.items():
            assert isinstance(trail.program.ops[value], Input | Conditional)
            assert entries.shape == (trail.program.ops[value].size,)
            assert np.isfinite(entries).all()
        # The new program makes the same bits of its own.
        own = all_choices(trail.program, new[next(trail.program.find(Input))])
        for value in trail.program.find(Conditional):
            np.testing.assert_array_equal(new[value], own[value])
        back = trail.recover(new)
        for value, entries in back.items():
            matters = ~np.isnan(entries)
            np.testing.assert_array_equal(entries[matters], old[value][matters])
        np.testing.assert_array_equal(back[0], point)
        # What does not matter does not matter: any bits there give the same value.
        filled = {value: np.where(np.isnan(entries), 1.0, entries) for value, entries in back.items()}
        np.testing.assert_allclose(at(sample.program, filled), sample.function(point[None, :])[0], atol=1e-12)


@pytest.mark.parametrize(("mode", "norm"), spread(["reverse", "forward"], [Norm.LINF, Norm.L1], every=3))
def test_the_whole_pipeline_at_points_is_the_norm_of_the_gradient(sample: Sample, mode: Mode, norm: Norm) -> None:
    assert sample.program.objective is not None and sample.program.objective.lipschitz is not None
    objective = replace(sample.program.objective, lipschitz=replace(sample.program.objective.lipschitz, norm=norm))
    program = replace(sample.program, objective=objective)
    first = run_passes(program, [Fuse(), Bounds(), PruneStable(), Fuse()])
    second = run_passes(first.program, [Jacobian(mode), Bounds(), PruneStable(), Fuse()])
    points = interior(sample, 12)
    rows = gradients(sample, points)
    sizes = np.abs(rows).sum(axis=2) if norm is Norm.LINF else np.abs(rows).max(axis=2)
    for point, size in zip(points, sizes.max(axis=1), strict=True):
        choices = second.extend(first.extend({0: point}))
        assert at(second.program, choices)[0] == pytest.approx(size, abs=1e-6)
        recovered = first.recover(second.recover(choices))
        np.testing.assert_array_equal(recovered[0], point)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_each_step_keeps_the_value_of_the_jacobian_at_any_choice(sample: Sample, mode: Mode) -> None:
    # Not only at best choices of v and c: the new program is the same function of everything that is free.
    rng = np.random.default_rng(3)
    program = run_passes(sample.program, [Jacobian(mode)]).program
    bounds = Bounds("interval").apply(program).program
    for passes in ([Fuse()], [Bounds(), PruneStable()], [Bounds("interval"), PruneStable(), Fuse()]):
        trail = run_passes(program, passes)
        for point in interior(sample, 4):
            choices = {0: point}
            for value in program.find(Input):
                if value:
                    choices[value] = random_choice(program.ops[value], rng)
            # Bits of signs that bounds decide may be the other way round only where it does not matter.
            new = trail.extend({**choices, **bits_within(bounds, choices)})
            free = {value: new[value] for value in trail.program.find(Input)}
            np.testing.assert_allclose(at(trail.program, free), at(program, choices), atol=1e-11)


def random_choice(op: object, rng: np.random.Generator) -> Floats:
    assert isinstance(op, Input)
    size = op.size
    if op.domain.is_bounded_box:
        return rng.uniform(op.domain.lower, op.domain.upper)
    return np.eye(size)[rng.integers(size)]


def bits_within(program: Program, choices: dict[int, Floats]) -> dict[int, Floats]:
    values = evaluate(program, choices)
    return {value: values[value][0] for value in program.find(Conditional)}


def test_dead_code_goes_and_inputs_stay() -> None:
    builder = Builder()
    x = builder.input(Polytope.box([-1, -1], [1, 1]), origin=Origin("x"))
    unread = builder.input(Polytope.box([0], [1]), origin=Origin("unread"))
    dead = builder.relu(builder.affine({x: np.eye(2), unread: np.ones((2, 1))}, origin=Origin("dead")))
    live = builder.relu(builder.affine({x: np.eye(2)}, origin=Origin("live")))
    result = builder.affine({live: np.ones((1, 2))}, origin=Origin("result"))
    builder.affine({dead: np.ones((1, 2)), result: np.ones((1, 1))}, origin=Origin("after the result"))
    bounded = Bounds("interval").apply(builder.program(result)).program
    done = DeadCodeElimination().apply(bounded)
    names = [op.origin.name for op in done.program.ops if not isinstance(op, Conditional) and op.origin.name != "value"]
    assert names == ["x", "unread", "live", "result"]
    assert set(done.sources) == {x, unread, live - 1}
    for value, known in done.program.bounds.items():
        if done.program.ops[value].origin.name == "live":
            np.testing.assert_allclose(known.lower, [-1, -1])
    assert len(done.program.bounds) == len(done.program.ops) == 6
    assert done.extend({x: np.ones(2), unread: np.zeros(1), dead - 1: np.ones(2)}).keys() == {0, 1}


def test_passes_of_a_trail_compose() -> None:
    sample = SAMPLES["dense, small box"]
    passes = PIPELINES["all"]
    trail = run_passes(sample.program, passes)
    assert [step.name for step in trail.steps] == [each.name for each in passes]
    assert trail.start is sample.program
    for before, after in zip(trail.steps, trail.steps[1:], strict=False):
        assert after.before is before.result.program
    choices = all_choices(sample.program, interior(sample, 1)[0])
    step_by_step: Mapping[int, Floats] = choices
    for step in trail.steps:
        step_by_step = step.result.extend(step_by_step)
    extended = trail.extend(choices)
    assert extended.keys() == step_by_step.keys()
    for value, entries in extended.items():
        np.testing.assert_array_equal(entries, step_by_step[value])
    for step in reversed(trail.steps):
        step_by_step = step.result.recover(step_by_step)
    recovered = trail.recover(extended)
    assert recovered.keys() == step_by_step.keys()
    for value, entries in recovered.items():
        np.testing.assert_array_equal(entries, step_by_step[value])
    assert trail.seconds("bounds", "fuse") == sum(s.seconds for s in trail.steps if s.name in ("bounds", "fuse"))
    assert 0 <= trail.seconds("prune-stable") <= trail.seconds("prune-stable", "bounds", "fuse", "dce")


def test_a_trail_without_steps() -> None:
    program = SAMPLES["dense"].program
    trail = Trail(program)
    assert trail.program is program
    choices = {0: np.zeros(3)}
    assert trail.extend(choices) == choices
    assert trail.recover(choices) == choices


@dataclass(frozen=True)
class Breaks(Pass):
    """Leaves a program that is not valid."""

    name: ClassVar[str] = "breaks"

    def apply(self, program: Program) -> PassResult:
        ops = (*program.ops[:-1], replace(program.ops[-1], bias=np.array([np.nan])))
        return PassResult(replace(program, ops=ops), kept_whole(program, {}))


def test_a_pass_that_breaks_the_program_is_caught() -> None:
    program = SAMPLES["dense"].program
    assert isinstance(program.ops[-1], Affine)
    with pytest.raises(InternalError, match="finite float64 bias"):
        run_passes(program, [Breaks(), Fuse()])


def test_names_are_unique() -> None:
    passes: Sequence[type[Pass]] = (DeadCodeElimination, Fuse, Bounds, PruneStable, Jacobian)
    assert [each.name for each in passes] == ["dce", "fuse", "bounds", "prune-stable", "jacobian"]
