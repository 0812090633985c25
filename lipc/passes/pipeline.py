"""Pipelines: passes by name, with options, as a text and back; and the named ones.

``bounds{method=linear, only-new},prune-stable`` names two passes; the options are the fields of their dataclasses.
Other packages add passes through the entry point group ``lipc.passes``: the name of an entry point is the pass's, its
object the class.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from lipc.catalogue import Catalogue, print_named
from lipc.errors import QueryError
from lipc.passes.base import Pass
from lipc.passes.bounds import Bounds, Method
from lipc.passes.canonicalize import Canonicalize
from lipc.passes.cse import CommonSubexpressionElimination
from lipc.passes.fold import Fold
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.merge_duplicates import MergeDuplicates
from lipc.passes.prune_stable import PruneStable
from lipc.passes.tighten import Tighten

GROUP = "lipc.passes"

BUILT_IN = {
    "bounds": "Bounds",
    "canonicalize": "Canonicalize",
    "cse": "CommonSubexpressionElimination",
    "dce": "DeadCodeElimination",
    "fold": "Fold",
    "fuse": "Fuse",
    "jacobian": "Jacobian",
    "merge-duplicates": "MergeDuplicates",
    "prune-stable": "PruneStable",
    "scale": "Scale",
    "tighten": "Tighten",
}
"""Classes by pass; the file has the name of the pass."""

Level = Literal[0, 1, 2, 3]


def named_pipeline(level: Level, mode: Mode = "auto", method: Method = "linear") -> tuple[Pass, ...]:
    """Return the passes of ``-O0`` to ``-O3``.

    Parameters
    ----------
    level
        0: what lowering needs, the Jacobian. 1: interval bounds and pruning. 2, the default: bounds by `method`, and
        neurons that are equal up to a factor share a bit. 3: bounds are tightened by linear programs, and bits of the
        network decided by small trees of them; the Jacobian knows the SDP bound.
    mode
        How the Jacobian is written.
    method
        How values are bounded, from level 2 on.
    """
    if level == 0:
        return (Jacobian(mode),)
    cse = CommonSubexpressionElimination()
    shared = (cse, Fold(), Canonicalize(), cse, MergeDuplicates()) if level >= 2 else ()
    how = Bounds("interval" if level == 1 else method)
    reduced: tuple[Pass, ...] = (*shared, how, PruneStable())
    jacobian: tuple[Pass, ...] = (
        Jacobian(mode, "sdp" if level == 3 else "nothing"),
        Bounds(how.method, only_new=True),
        PruneStable(),
    )
    if level == 3:  # the network first, for its linear programs are smaller without the Jacobian
        reduced = (*reduced, Tighten("network"), PruneStable(), Tighten("network", method="mip"), PruneStable())
        jacobian = (*jacobian, Tighten("jacobian"), PruneStable())
    return (*reduced, *jacobian, Fuse(), PruneStable())


def pass_names() -> list[str]:
    """Return the names of all passes, those of other packages too, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def pass_class(name: str) -> type[Pass] | None:
    """Return the class of a pass; `None` if there is no such pass.

    Raises
    ------
    QueryError
        If another package registers the name, and what it registers is no pass, or cannot be imported.
    """
    if name in BUILT_IN:
        module = importlib.import_module(f"lipc.passes.{name.replace('-', '_')}")
        found: type[Pass] = getattr(module, BUILT_IN[name])
        return found
    point = next(iter(entry_points(group=GROUP, name=name)), None)
    return None if point is None else _load(point)


def _load(point: EntryPoint) -> type[Pass]:
    try:
        found = point.load()
    except Exception as error:  # whatever the other package does when it is imported
        raise QueryError(f"the pass '{point.name}' cannot be imported from {point.value}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Pass)):
        raise QueryError(f"'{point.name}', registered as a pass by {point.value}, is no class derived from Pass")
    return found


def describe_pass(name: str) -> tuple[str, str]:
    """Return how a pass is written with the defaults of its options, and the first line of its documentation."""
    return PASSES.describe(name)


def print_pipeline(passes: Iterable[Pass]) -> str:
    """Return a text that `parse_pipeline` reads back; options at their default are left out."""
    return print_named((each.name, each) for each in passes)


def parse_pipeline(text: str, name: str = "--passes") -> tuple[Pass, ...]:
    """Return the passes that a text names, in order.

    Parameters
    ----------
    text
        ``pass{option=value,flag},pass,...``; empty: no pass.
    name
        What messages call the text.

    Raises
    ------
    SourceError
        With every unknown pass, unknown option and wrong value, and their columns.
    """
    return PASSES.parse(text, name)


PASSES: Catalogue[Pass] = Catalogue(
    "pass", "passes", pass_names, pass_class, "bounds{method=linear},prune-stable,jacobian"
)
