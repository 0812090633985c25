"""Options, limits and refusals of the estimators of local gradients."""

from __future__ import annotations

import time

import numpy as np
import pytest

import lipc
from lipc import Norm, Query, ball, box
from lipc.bounds.points import Inside
from lipc.bounds.unrolled import Unrolled
from lipc.estimators import zlip
from lipc.estimators.base import Kind, Limits, RefusedError
from lipc.estimators.catalogue import ESTIMATORS, print_methods
from lipc.estimators.clever import Clever, NoEndPointError, end_point
from lipc.estimators.derivatives import largest_over_cube, rows_of
from lipc.estimators.fastlip import FastLip
from lipc.estimators.jacobian_crown import JacobianCrown
from lipc.estimators.liplp import LipLp
from lipc.estimators.lipmip import LipMip
from lipc.estimators.random import Random
from lipc.estimators.recurjac import RecurJac
from lipc.estimators.seqlip import SeqLip
from lipc.estimators.tied import TiedSdp
from lipc.estimators.zlip import ZLip
from lipc.ir import Floats, Program
from tests.nets import random_network

LATE = Limits(deadline=-np.inf)
MINE = "lipmip,liplp,fastlip,recurjac,jacobian-crown,zlip,clever,random,ascent"


def program_of(widths: tuple[int, ...] = (3, 6, 6, 3), query: Query | None = None, seed: int = 3) -> Program:
    return (query or Query(box(-1.0, 1.0))).ask(lipc.from_weights(*random_network(seed, widths)).program)


def test_every_method_says_who_wrote_it_and_prints_as_it_reads() -> None:
    for method in ESTIMATORS.parse(MINE, "methods"):
        assert method.source
        assert (type(method).__doc__ or "").strip()
    text = "liplp{mode=forward,level=1,tighten},fastlip{bounds=linear},jacobian-crown{nodes=7},clever{batches=3}"
    assert print_methods(ESTIMATORS.parse(text, "methods")) == text


def test_out_of_time() -> None:
    several = program_of()
    for method in (FastLip(), RecurJac(), JacobianCrown(), ZLip()):
        with pytest.raises(RefusedError, match="time was up after 1 of 3"):
            method.estimate(several, LATE)
    with pytest.raises(RefusedError, match="time was up"):
        Clever().estimate(several, LATE)
    exact = LipMip().estimate(several, Limits())
    short = LipMip().estimate(several, LATE)
    assert short.kind is Kind.UPPER
    assert short.value >= exact.value
    assert LipLp().estimate(several, LATE).value >= exact.value
    few = Random(samples=20_000).estimate(several, LATE)
    assert few.note.startswith("time was up after 4096 points")
    assert 0 < few.value <= exact.value


def test_global_methods_out_of_time_give_what_holds_all_the_same() -> None:
    for norm in Norm:
        program = program_of((3, 8, 8, 3), Query(box(-1.0, 1.0), norm=norm))
        exact = LipMip().estimate(program, Limits())
        for method in ESTIMATORS.parse("lipsdp,geolip,seqlip{search=exact}", "methods"):
            late, best = method.estimate(program, LATE), method.estimate(program, Limits())
            assert exact.witness is not None
            assert late.value >= exact.witness.value
            assert late.value >= best.value * (1 - 1e-6), (method, norm)
            assert "time" in late.note and "time" not in best.note, (method, norm)
        assert "time was up" in SeqLip().estimate(program, LATE).note


def test_late_methods_give_every_output_its_share_of_time() -> None:
    """One output alone may not take all the time, and leave the others with what they start from."""
    program = program_of((5, 30, 30, 30, 3), Query(box(-1.0, 1.0)))
    shares: list[float] = []

    def search(sdp: TiedSdp, unrolled: Unrolled, limits: Limits) -> Floats:
        shares.append(limits.deadline - time.monotonic())
        return sdp.first(unrolled)

    largest_over_cube(rows_of(program), search, Limits(time.monotonic() + 300))
    np.testing.assert_allclose(shares, [100, 150, 300], rtol=0.05)


def test_senseless_options_are_refused() -> None:
    for method in ("jacobian-crown{nodes=-1}", "random{samples=0}", "clever{batches=1}"):
        with pytest.raises(RefusedError):
            ESTIMATORS.parse(method, "method")


def test_reverse_mode_does_not_measure_in_l_2() -> None:
    with pytest.raises(RefusedError, match="l_2"):
        LipLp(mode="reverse").estimate(program_of(query=Query(norm=Norm.L2)), Limits())


def test_a_zonotope_of_too_many_generators_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlip, "MOST_NUMBERS", 10)
    with pytest.raises(RefusedError, match="numbers, at most 10 are held"):
        ZLip().estimate(program_of(), Limits())


def test_many_outputs_in_l_1_are_bounded_one_by_one() -> None:
    slopes = np.arange(1.0, 14.0)[:, None]
    program = Query(output_norm=Norm.L1).ask(lipc.from_weights([slopes], [np.zeros(13)]).program)
    for method in (FastLip(), RecurJac(), JacobianCrown(nodes=5), ZLip()):
        found = method.estimate(program, Limits())
        assert found.value == pytest.approx(91.0, rel=1e-12)
        assert found.value >= 91.0
        assert "sum of the bounds" in found.note


def test_what_knows_of_the_bounding_box_only_says_so() -> None:
    program = program_of(query=Query(ball(np.zeros(3), 0.5, norm=Norm.L1)))
    for method in (FastLip(), ZLip()):
        assert method.estimate(program, Limits()).note == "over the bounding box of the domain"
    for method in (FastLip("linear"), RecurJac(), JacobianCrown()):
        assert method.estimate(program, Limits()).note == ""
    assert "not uniform" in Clever(5, 16).estimate(program, Limits()).note
    # The ball is smaller than its box, and linear bounds know it.
    boxed = program_of(query=Query(box(-0.5, 0.5)))
    assert JacobianCrown().estimate(program, Limits()).value < JacobianCrown().estimate(boxed, Limits()).value


def test_more_nodes_never_make_it_worse() -> None:
    program = program_of((2, 5, 5, 1))
    values = [JacobianCrown(nodes).estimate(program, Limits()).value for nodes in (0, 10, 50, 5000)]
    assert values == sorted(values, reverse=True)
    last = JacobianCrown(5000).estimate(program, Limits())
    assert last.kind is Kind.EXACT
    assert last.witness is not None
    assert last.witness.value <= last.value <= last.witness.value * (1 + 1e-6)
    assert last.value == pytest.approx(LipMip().estimate(program, Limits()).value, rel=2e-6)


def test_the_branch_and_bound_is_exact_where_the_constant_is_0() -> None:
    program = Query().ask(lipc.from_weights([np.zeros((2, 2)), np.ones((1, 2))], [np.ones(2), np.zeros(1)]).program)
    found = JacobianCrown(10).estimate(program, Limits())
    assert (found.kind, found.value) == (Kind.EXACT, 0.0)
    assert found.witness is not None


def test_a_fit_finds_the_end_of_a_reverse_weibull_distribution() -> None:
    rng = np.random.default_rng(5)
    values = 7.0 - 0.5 * rng.weibull(3.0, 2000)
    assert end_point(values) == pytest.approx(7.0, abs=0.05)


def test_a_fit_that_runs_off_is_told_as_such() -> None:
    # Largest values of exponential samples tend to a Gumbel distribution, which has no end.
    rng = np.random.default_rng(1)
    values = rng.exponential(size=(300, 1000)).max(axis=1)
    with pytest.raises(NoEndPointError, match="ran off to an end point"):
        end_point(values)


def test_batches_that_are_no_sample_of_a_distribution_are_told_as_such() -> None:
    with pytest.raises(NoEndPointError, match="the same in every batch"):
        end_point(np.full(10, 3.0))
    with pytest.raises(NoEndPointError, match="describes the batches"):
        end_point(np.repeat([1.0, 2.0, 5.0], 50))
    # Nearly linear networks have a few gradients only.
    found = Clever(10, 64).estimate(program_of((2, 3, 1)), Limits())
    assert found.note.startswith("no fit, but the largest gradient seen")
    assert found.value <= LipMip().estimate(program_of((2, 3, 1)), Limits()).value * (1 + 1e-12)


def test_the_same_seed_the_same_points() -> None:
    program = program_of()
    for method in (Random(50), Clever(5, 8)):
        first, again, other = (method.estimate(program, Limits(seed=seed)).value for seed in (4, 4, 5))
        assert first == again
        assert other != first


def test_the_witness_of_a_lower_bound_lies_in_the_domain() -> None:
    program = program_of(query=Query(ball(np.zeros(3), 0.5, norm=Norm.L1)))
    _, domain = program.network_input()
    for method in ESTIMATORS.parse("random,ascent", "methods"):
        witness = method.estimate(program, Limits()).witness
        assert witness is not None
        assert np.abs(witness.x).sum() <= 0.5
        assert Inside(domain).settle(witness.x) is not None


def test_fastlip_takes_milliseconds() -> None:
    program = program_of((10, 20, 30, 20, 2), Query(output="y[0] - y[1]"))
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        FastLip().estimate(program, Limits())
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.01
