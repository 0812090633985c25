"""The SDP bound of networks with hundreds of neurons: which search for its multipliers gets where, in what time.

::

    python -m benchmarks.multipliers [WIDTHS ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from time import perf_counter

import numpy as np

import lipc
from lipc import Functional, Norm, Query
from lipc.bounds.blas import one_thread
from lipc.bounds.unrolled import Unrolled
from lipc.estimators.base import Limits
from lipc.estimators.derivatives import (
    COARSE_BARRIER,
    MOST_BY_NEWTON,
    by_size,
    largest_over_ball,
    largest_over_cube,
    rows_of,
)
from lipc.estimators.eigenvalue import by_eigenvalues
from lipc.estimators.tied import TiedSdp
from lipc.ir import Floats, Program

WIDTHS = ("10-100-100-2", "10-200-200-2", "64-200-200-200-2", "64-500-500-2")


def question(widths: str, norm: Norm) -> Program:
    """Return a network with weights uniform within 1 / sqrt(inputs), and the difference of its first two outputs."""
    rng, sizes = np.random.default_rng(0), map(int, widths.split("-"))
    weights = [rng.uniform(-1, 1, (after, before)) / np.sqrt(before) for before, after in pairwise(sizes)]
    network = lipc.from_weights(weights, [np.zeros(len(weight)) for weight in weights])
    return Query(output=Functional({0: 1.0, 1: -1.0}), norm=norm).ask(network.program)


def newton(sdp: TiedSdp, unrolled: Unrolled, limits: Limits) -> Floats:
    """Take Newton's method alone."""
    return sdp.minimize(sdp.first(unrolled), limits, COARSE_BARRIER)


def barrier(sdp: TiedSdp, unrolled: Unrolled, limits: Limits) -> Floats:
    """Take L-BFGS on the bound with a barrier alone."""
    return sdp.descend(sdp.first(unrolled), limits)


def eigenvalue(sdp: TiedSdp, unrolled: Unrolled, limits: Limits) -> Floats:
    """Take the eigenvalue form alone."""
    return by_eigenvalues(sdp, unrolled, sdp.first(unrolled), limits)


SEARCHES: dict[str, Callable[[TiedSdp, Unrolled, Limits], Floats]] = {
    "Newton": newton,
    "barrier, L-BFGS": barrier,
    "eigenvalue form": eigenvalue,
    "geolip": by_size,
}


def main() -> None:
    """Print a Markdown table."""
    print("| network | norm | rows | " + " | ".join(SEARCHES) + " |\n|---|---|---:|" + "---:|" * len(SEARCHES))
    for widths in sys.argv[1:] or WIDTHS:
        for norm in (Norm.LINF, Norm.L2):
            with one_thread():
                rows = rows_of(question(widths, norm))
                size = rows.unrolled.inputs + rows.unrolled.switches
                largest = largest_over_cube if norm is Norm.LINF else largest_over_ball
                cells = []
                for search in SEARCHES.values():
                    if search is newton and size > MOST_BY_NEWTON:
                        cells.append("-")
                        continue
                    started = perf_counter()
                    value = largest(rows, search, Limits())
                    cells.append(f"{value:.5g} ({perf_counter() - started:.1f} s)")
            print(f"| {widths} | {norm.symbol} | {size} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
