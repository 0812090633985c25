"""Points beyond kinks, against what can be computed by hand."""

import numpy as np
import pytest

from lipc.search.crossing import OVERSHOOT, crossings

LOW, HIGH = np.full(2, -1.0), np.full(2, 1.0)


def test_three_points_beyond_one_kink() -> None:
    # 3 x + y - 2 at 0: nearest in l_inf at (1/2, 1/2), in l_1 at (2/3, 0), farthest in the corner.
    found = crossings(np.zeros(2), np.array([-2.0]), np.array([[3.0, 1.0]]), LOW, HIGH)
    wanted = [[0.5, 0.5], [2 / 3, 0.0], [1.0, 1.0]]
    np.testing.assert_allclose(found, wanted, rtol=2 * OVERSHOOT)
    assert (found @ [3.0, 1.0] > 2).all()


def test_an_input_without_room_leaves_the_way_to_the_others() -> None:
    # x + y / 2 + 1 at (-0.9, 1): x has 0.1 of room downwards, y the rest.
    x = np.array([-0.9, 1.0])
    near, few, far = crossings(x, np.array([0.6]), np.array([[1.0, 0.5]]), LOW, HIGH)
    np.testing.assert_allclose(near, [-1.0, 0.0], atol=5e-3)
    np.testing.assert_allclose(few, [-1.0, 0.0], atol=5e-3)
    np.testing.assert_allclose(far, [-1.0, -1.0])


def test_a_kink_outside_the_box_is_left_alone() -> None:
    found = crossings(np.zeros(2), np.array([-5.0, 1.0]), np.array([[1.0, 1.0], [0.0, 0.0]]), LOW, HIGH)
    assert found.shape == (0, 2)


@pytest.mark.parametrize("seed", range(20))
def test_points_lie_in_the_box_and_beyond_their_kinks(seed: int) -> None:
    random = np.random.default_rng(seed)
    low, high = -random.random(5), random.random(5)
    slopes, offsets = random.normal(size=(7, 5)), random.normal(size=7) / 2
    x = low + random.random(5) * (high - low)
    values = slopes @ x + offsets
    found = crossings(x, values, slopes, low, high)
    assert ((found >= low) & (found <= high)).all()
    toward = -np.sign(values)
    farthest = np.where(toward[:, None] * slopes > 0, high, low)
    room = toward * (slopes * farthest).sum(axis=1) + toward * offsets
    reached = np.flatnonzero(room > 2 * OVERSHOOT * np.abs(values))
    points = found.reshape(3, len(reached), 5)
    beyond = toward[reached] * ((points * slopes[reached]).sum(axis=2) + offsets[reached])
    assert len(reached) >= 2 and (beyond > 0).all()
    near, few = np.abs(points[:2] - x)
    assert (near.max(axis=1) <= few.max(axis=1) + 1e-9).all()
    assert (few.sum(axis=1) <= near.sum(axis=1) + 1e-9).all()
