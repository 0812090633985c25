"""Start solutions: a good point of the network as columns of its program."""

from __future__ import annotations

from time import monotonic

import numpy as np

from lipc.bounds.points import sample
from lipc.compiler import Compiled
from lipc.ir import Floats, Sense, evaluate
from lipc.search.ascent import ascend
from lipc.solving.correspondence import Correspondence

SAMPLES = 256
"""Points of the domain among which a large value is looked for; a large gradient is searched for (`ascend`)."""


def start_columns(compiled: Compiled, seconds: float = 2.0) -> Floats | None:
    """Return a feasible solution of the program with a good value, shape ``(columns,)``.

    Parameters
    ----------
    seconds
        For the search.

    Returns
    -------
    array or None
        None if the point's columns are not all known, for instance on a kink.
    """
    objective = compiled.asked.objective
    assert objective is not None
    if objective.lipschitz is not None:
        question = objective.lipschitz
        deadline = monotonic() + seconds
        x = ascend(compiled.reduced, question.norm, deadline=deadline, output_norm=question.output_norm).x
    else:
        network_input, domain = compiled.asked.network_input()
        points = sample(domain, np.random.default_rng(0), SAMPLES)
        values = evaluate(compiled.asked, {network_input: points})[compiled.asked.result][:, 0]
        x = points[int(np.argmax(values if objective.sense is Sense.MAXIMIZE else -values))]
    return Correspondence(compiled).columns_at(x)
