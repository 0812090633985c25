"""Where entries of the old program are found in the new one: there, back, and composed."""

from __future__ import annotations

import numpy as np
import pytest

from lipc.ir import Builder, Floats, Polytope, Program
from lipc.passes.base import PassResult, Source
from lipc.passes.run import Step, Trail


def bits_of_three_and_two() -> Program:
    """Return a program with conditionals of three and two bits, the values 1 and 3."""
    builder = Builder()
    x = builder.input(Polytope.box(-np.ones(3), np.ones(3)))
    builder.conditional(x)
    builder.conditional(builder.select(x, [0, 1]))
    return builder.program(x)


def scattered() -> Source:
    """Return the source of seven bits: some in value 1, some in value 3, two flipped, a constant, and one unknown."""
    return Source(
        values=np.array([3, 1, 1, 3, -1, -1, 1]),
        take=np.array([1, 0, 2, 0, -1, -1, 0]),
        constant=np.array([np.nan, np.nan, np.nan, np.nan, 1.0, np.nan, np.nan]),
        flip=np.array([True, False, False, False, False, False, True]),
    )


def same(left: Floats, right: list[float]) -> None:
    np.testing.assert_array_equal(left, right)


def test_recovering_from_several_values() -> None:
    nan = np.nan
    choices = {1: np.array([0.0, nan, 1.0]), 3: np.array([0.0, 1.0])}
    same(scattered().recover(choices), [0, 0, 1, 0, 1, nan, 1])
    same(scattered().recover({3: choices[3]}), [0, nan, nan, 0, 1, nan, nan])
    same(scattered().recover({}), [nan, nan, nan, nan, 1, nan, nan])


def test_extending_to_several_values() -> None:
    new: dict[int, Floats] = {}
    scattered().extend(np.array([0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0]), new, bits_of_three_and_two())
    assert new.keys() == {1, 3}
    same(new[1], [0, np.nan, 1])
    same(new[3], [0, 1])


def test_what_is_known_first_stays_and_what_is_unknown_says_nothing() -> None:
    program = bits_of_three_and_two()
    first, second = Source.whole(1, 3), Source.whole(1, 3, np.array([True, True, False]))
    result = PassResult(program, {0: first, 5: second})
    same(result.extend({0: np.array([1.0, np.nan, np.nan]), 5: np.array([1.0, 1.0, 0.0])})[1], [1, 0, 0])
    assert result.extend({7: np.ones(3)}) == {}
    assert PassResult(program, {0: Source.of(-1, np.full(2, -1), np.zeros(2))}).extend({0: np.ones(2)}) == {}


@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
def test_flips_compose(flips: tuple[bool, bool]) -> None:
    program = bits_of_three_and_two()
    once, twice = (PassResult(program, {1: Source.whole(1, 3, np.full(3, flip))}) for flip in flips)
    trail = Trail(program, (Step("one", program, once, 0.0), Step("two", program, twice, 0.0)))
    bits = np.array([0.0, 1.0, 1.0])
    turned = 1.0 - bits if flips[0] != flips[1] else bits
    same(trail.extend({1: bits})[1], turned.tolist())
    same(trail.recover({1: turned})[1], bits.tolist())
    # Codes of columns go through flips too, and come out as 1 minus the code: twice, as they were.
    codes = np.array([2.0, 7.0, 0.0])
    same(trail.recover({1: codes})[1], (1.0 - codes if flips[0] != flips[1] else codes).tolist())
