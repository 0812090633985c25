"""Random programs full of what the rewriting passes look for, and exact checks that a pass keeps what they compute."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.ir import Builder, Conditional, Floats, Input, Kind, Origin, Polytope, Program, print_program
from lipc.passes.base import Pass, PassResult
from lipc.passes.bounds import Bounds
from lipc.passes.run import run_passes
from tests.ir.sample_programs import rational_values

Random = np.random.Generator
SIZE = 3


def random_program(seed: int, *, continuous: bool = True) -> Program:
    """Return a program of small vectors: equal, opposite, scaled, repeated, constant and useless parts.

    Parameters
    ----------
    continuous
        Bits are read by relus alone. Otherwise also as numbers, and by switches of other values.
    """
    rng = np.random.default_rng(seed)
    builder = Builder()
    values = [builder.input(Polytope.box(-np.ones(SIZE), np.ones(SIZE)), origin=Origin("x"))]
    for step in range(int(rng.integers(3, 9))):
        builder.origin = Origin(f"v{step}")
        values.append(random_step(builder, values, rng, continuous))
    chosen = dict.fromkeys([values[-1], values[int(rng.integers(len(values)))]])
    result = builder.affine({value: rng.integers(-2, 3, (1, SIZE)) / 2 for value in chosen}, origin=Origin("result"))
    # A program is the same program whatever stands in it; some of what stands there is unread.
    return builder.program(result)


def random_step(builder: Builder, values: list[int], rng: Random, continuous: bool) -> int:
    """Append a value of `SIZE` entries."""

    def some() -> int:
        return values[int(rng.integers(max(0, len(values) - 4), len(values)))]

    steps: list[Callable[[], int]] = [
        lambda: builder.relu(builder.affine({some(): rows(rng)}, rng.integers(-1, 2, SIZE) / 2)),
        lambda: builder.relu(builder.affine({some(): rows(rng), values[0]: csr_array(rows(rng))})),
        lambda: builder.relu(builder.relu(some())),
        lambda: builder.linear((1.0, builder.relu(some())), (1.0, builder.relu(builder.linear((-1.0, some()))))),
        lambda: opposite_pair(builder, some(), rng),
        lambda: builder.clip(some(), -0.5, 0.5),
        lambda: builder.minimum(builder.maximum(some(), builder.constant([-0.5] * SIZE)), builder.constant([0.25] * 3)),
        lambda: builder.maximum(builder.constant([0.0] * SIZE), builder.minimum(builder.constant([0.75] * 3), some())),
        lambda: builder.maximum(some(), some()),
        lambda: builder.leaky_relu(some(), 0.25),
        lambda: builder.relu(builder.constant(rng.integers(-1, 2, SIZE) / 2)),
        lambda: builder.linear((1.0, some())),
        lambda: builder.affine({some(): np.eye(SIZE)[rng.integers(SIZE, size=SIZE)]}),
    ]
    if not continuous:
        steps += [
            lambda: builder.affine({builder.conditional(builder.affine({some(): rows(rng)})): rows(rng)}, 0.25),
            lambda: switched_by_another(builder, some(), some(), rng),
        ]
    return steps[int(rng.integers(len(steps)))]()


def rows(rng: Random) -> Floats:
    """Return a matrix of which rows are equal, opposite, multiples of each other, zero, or of one coefficient."""
    matrix = rng.integers(-3, 4, (SIZE, SIZE)) / 4.0
    first, second = rng.integers(SIZE, size=2)
    if first != second:
        matrix[second] = matrix[first] * rng.choice([1.0, -1.0, 2.0, -0.25, 3.0, 0.0])
    if rng.random() < 0.3:
        matrix = np.diag(rng.choice([1.0, -1.0, 0.3, -0.7, 2.0], SIZE))
    return matrix


def opposite_pair(builder: Builder, value: int, rng: Random) -> int:
    """Append ``p relu(z) + q relu(s z)`` with a negative s of one number or of one for each entry."""
    scale = rng.choice([-1.0, -0.3, -2.0], SIZE)
    return builder.linear(
        (0.5, builder.relu(value)), (rng.integers(-2, 3, SIZE) / 2.0, builder.relu(builder.linear((scale, value))))
    )


def switched_by_another(builder: Builder, value: int, other: int, rng: Random) -> int:
    bits = builder.conditional(builder.linear((rng.choice([1.0, -1.0, -0.5], SIZE), other)))
    return builder.switch(builder.switch(value, bits), bits)


def exact_choices(program: Program, point: Floats) -> tuple[dict[int, Floats], dict[int, NDArray[np.bool_]]]:
    """Return the choices at a point in rational arithmetic, and which bits are decided: their operand is not 0."""
    values = rational_values(program, {0: point.tolist()})
    choices: dict[int, Floats] = {}
    decided: dict[int, NDArray[np.bool_]] = {}
    for value, op in enumerate(program.ops):
        if isinstance(op, Input | Conditional):
            choices[value] = np.array([float(entry) for entry in values[value]])
            operand = values[op.operand] if isinstance(op, Conditional) else [Fraction(1)] * op.size
            decided[value] = np.array([entry != 0 for entry in operand])
    return choices, decided


def check_pass(program: Program, each: Pass, points: Floats, *, continuous: bool = True) -> PassResult:
    """Run a pass and check values, choices and bounds at points of the only input, all in rational arithmetic.

    At points where a bit is undecided only continuous programs have a value to compare.
    """
    bounded = Bounds("interval").apply(program).program
    result = run_passes(bounded, [each]).steps[0].result
    for point in points:
        choices, decided = exact_choices(program, point)
        generic = all(mask.all() for mask in decided.values())
        extended = result.extend(choices)
        own, own_decided = exact_choices(result.program, extended[0])
        for value, entries in extended.items():
            assert not np.isnan(entries).any()
            assert (entries == own[value])[own_decided[value]].all(), "bits are on their side"
        for value, entries in result.recover(extended).items():
            matters = ~np.isnan(entries) & decided[value]
            assert (entries == choices[value])[matters].all(), "bits lead back"
        if continuous or generic:
            old = rational_values(program, {0: point.tolist()})
            new = rational_values(result.program, {0: extended[0].tolist()})
            assert new[result.program.result] == old[program.result]
            for value, known in result.program.bounds.items():
                for low, entry, high in zip(known.lower, new[value], known.upper, strict=True):
                    if result.program.ops[value].kind is Kind.REAL:
                        assert low <= entry <= high
    return result


def points_of(seed: int, count: int = 6) -> Floats:
    """Return points of the box, some on a grid where kinks are."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (count, SIZE))
    points[count // 2 :] = np.round(points[count // 2 :] * 4) / 4
    return points


def bit_count(program: Program) -> int:
    return sum(program.ops[value].size for value in program.find(Conditional))


def text(program: Program) -> str:
    return print_program(program)
