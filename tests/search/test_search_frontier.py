"""The open nodes: their order, and which is lost at what moment."""

from __future__ import annotations

import numpy as np
import pytest

from lipc.search.frontier import Frontier
from lipc.search.nodes import Node


def node(bound: float) -> Node:
    return Node(0, np.zeros(1), np.zeros(1, np.int8), np.ones(1), bound)


def emptied(frontier: Frontier) -> list[float]:
    bounds = []
    while len(frontier):
        bounds.append(frontier.next.bound)
        frontier.pop()
    return bounds


def test_the_largest_bound_comes_first_and_of_equals_the_oldest() -> None:
    frontier, old, new = Frontier(), node(2.0), node(2.0)
    for each in (node(1.0), old, node(3.0), new):
        frontier.push(each)
    assert (len(frontier), frontier.bound) == (4, 3.0)
    frontier.pop()
    assert frontier.next is old
    frontier.pop()
    assert frontier.next is new
    assert emptied(frontier) == [2.0, 1.0]
    assert frontier.bound == -np.inf


def test_nodes_beyond_the_most_come_first_the_newest_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.search.frontier.MOST_OPEN", 2)
    frontier = Frontier()
    for bound in (5.0, 6.0, 1.0, 7.0, 2.0):
        frontier.push(node(bound))
    assert frontier.bound == 7.0
    assert emptied(frontier) == [2.0, 7.0, 1.0, 6.0, 5.0]


def test_discarded_nodes_are_gone_and_the_order_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.search.frontier.MOST_OPEN", 4)
    frontier, nodes = Frontier(), [node(bound) for bound in (4.0, 9.0, 2.0, 7.0, 1.0, 8.0)]
    for each in nodes:
        frontier.push(each)
    frontier.discard({nodes[1], nodes[4]})
    assert {each.bound for each in frontier.nodes} == {4.0, 2.0, 7.0, 8.0}
    assert emptied(frontier) == [8.0, 7.0, 4.0, 2.0]
