"""The search on the SDP bound, whole: against the enumeration of all regions, at every report, and cut short."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import lipc
from lipc import Norm, Options, Result
from lipc.driver import Report
from lipc.ir import Program
from lipc.search.ascent import Found
from tests.test_random_networks import Question, check, draw, program_of, truth

Start = Callable[..., Found]
OWN = "branch and bound on the SDP bound"


def worst_start(program: Program, *_: object, **__: object) -> Found:
    """Return a corner, so that the search has to find its own witnesses."""
    domain = program.network_input()[1]
    return Found(domain.clip(domain.lower), 0.0)


def lipschitz_question(seed: int) -> Question:
    """Return a random question that the search answers: every activation, defect, domain and output."""
    return draw(seed)._replace(goal="lipschitz", norm=(Norm.LINF, Norm.L1)[seed // 2 % 2])


def check_reports(reports: list[Report], result: Result, exact: float) -> None:
    """Every pair on the way is right, and none is wider than the one before."""
    noise = 1e-11 * (1 + abs(exact))
    lower, upper = -np.inf, np.inf
    for report in reports:
        assert report.lower - noise <= exact <= report.upper + noise
        assert report.lower >= lower
        assert report.upper <= upper
        lower, upper = report.lower, report.upper
    assert result.lower >= lower
    assert result.upper <= upper


def ask_and_compare(seed: int) -> bool:
    """Search for the answer of a random question and compare; return whether the enumeration could be trusted."""
    asked = lipschitz_question(seed)
    try:
        answer = truth(asked)
    except ValueError:  # integer coefficients may leave a domain without an interior
        return False
    if answer.thin:
        return False
    reports: list[Report] = []
    options = Options(search="bab", seed=seed)
    level = seed // 2 % 4
    result = lipc.solve(program_of(asked), asked.query(), level=level, options=options, on_report=reports.append)
    check(asked, result, answer.value)
    check_reports(reports, result, answer.value)
    assert (result.lower_kind, result.upper_kind, result.solver) == ("witness", "rigorous", OWN)
    return True


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_random_questions(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if first % 20:
        monkeypatch.setattr("lipc.witnesses.ascend", worst_start)
    trusted = sum(ask_and_compare(seed) for seed in range(first, first + 10))
    assert trusted >= 8


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 20))
def test_many_random_questions(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if first % 40:
        monkeypatch.setattr("lipc.witnesses.ascend", worst_start)
    trusted = sum(ask_and_compare(seed) for seed in range(first, first + 20))
    assert trusted >= 16
