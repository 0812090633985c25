"""The estimators by name, with options: ``lipsdp{mode=neuron},fastlip``."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from lipc.catalogue import Catalogue, print_named
from lipc.estimators.base import Estimator

BUILT_IN = {
    "lipmip": "LipMip",
    "liplp": "LipLp",
    "fastlip": "FastLip",
    "recurjac": "RecurJac",
    "jacobian-crown": "JacobianCrown",
    "zlip": "ZLip",
    "lipsdp": "LipSdp",
    "geolip": "GeoLip",
    "seqlip": "SeqLip",
    "autolip": "AutoLip",
    "naive": "Naive",
    "lipopt": "LipOpt",
    "eclipse": "Eclipse",
    "clever": "Clever",
    "random": "Random",
    "ascent": "Ascent",
}
"""Classes by method; the file has the name of the method."""


def estimator_names() -> list[str]:
    """Return the names of all methods, in the order in which tables show them."""
    return list(BUILT_IN)


def estimator_class(name: str) -> type[Estimator] | None:
    """Return the class of a method; `None` if there is no such method."""
    if name not in BUILT_IN:
        return None
    module = importlib.import_module(f"lipc.estimators.{name.replace('-', '_')}")
    found: type[Estimator] = getattr(module, BUILT_IN[name])
    return found


ESTIMATORS: Catalogue[Estimator] = Catalogue(
    "method", "methods", estimator_names, estimator_class, "lipsdp{mode=neuron},fastlip"
)


def print_methods(methods: Iterable[Estimator]) -> str:
    """Return a text that ``ESTIMATORS.parse`` reads back; options at their default are left out."""
    return print_named((each.name, each) for each in methods)
