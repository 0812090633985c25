"""A job that asks for a certified radius: how far an input may move before its class can change."""

from __future__ import annotations

from math import prod

import numpy as np

from lipc.frontends import Network
from lipc.ir import Norm
from lipc.jobs import Job
from lipc.options import Options
from lipc.record import Record


def radius_record(job: Job, network: Network, options: Options) -> Record:
    """Return the record of a certified radius: that of `lipc.RadiusResult`.

    Raises
    ------
    LipcError
        As `lipc.certify_radius`.
    """
    from lipc.radius.search import TOLERANCE, certify_radius

    words = job.words
    point, inputs = words.point(), prod(network.input_shape)
    if point.size == 1 and inputs > 1:
        point = np.full(inputs, point[0])
    result = certify_radius(
        network,
        point,
        norm=Norm(words.norm or "linf"),
        label=words.label,
        max_radius=words.max_radius,
        clip=words.clip,
        tolerance=TOLERANCE if words.tolerance is None else words.tolerance,
        mode=job.passes.mode or "auto",
        options=options,
    )
    return result.to_dict()
