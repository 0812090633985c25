"""What the page of a batch shows of certified radii: the pairs of proof and attack, and the inputs at both ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lipc.ir import Floats
from lipc.jobs.stated import RADIUS
from lipc.reports.figures import (
    FIRST,
    GRID,
    MUTED,
    SECOND,
    SMALL,
    THIRD,
    WIDTH,
    Picture,
    distribution,
    drawing,
    figure_of,
    scatter,
)
from lipc.reports.page import table
from lipc.reports.single import image_shape
from lipc.reports.words import NORMS, at_least, at_most, counted, side

Records = Sequence[Mapping[str, Any]]

SHOWN_INPUTS = 4
"""Inputs of the smallest radii that are drawn, and of the largest."""


def is_radius(record: Mapping[str, Any]) -> bool:
    """Return whether a line answers how far an input may move."""
    return bool(record["query"].get("objective") == RADIUS)


def attack_distance(record: Mapping[str, Any]) -> float | None:
    """Return the distance of the nearest point of another class that was found."""
    found = record["adversarial"]
    return None if found is None else float(found["distance"])


def radii_words(records: Records) -> list[str]:
    """Return what certified radii say, a paragraph each."""
    radii = np.array([record["radius"] for record in records])
    norms = " and ".join(sorted({NORMS[record["norm"]] for record in records}))
    words = [
        f"Certified radii in {norms}: from {at_least(radii.min())} to {at_least(radii.max())}, median "
        f"{at_least(float(np.median(radii)))}. Within less than its radius no change of an input changes its class.",
    ]
    optimal = sum(record["status"] == "optimal" for record in records)
    if optimal:
        what = "the largest that exact local Lipschitz constants can prove, within the tolerance"
        words.append(f"{counted(optimal, 'is', 'are')} {what}.")
    reached = sum(record["status"] == "max_radius" for record in records)
    if reached:
        words.append(f"{counted(reached, 'reaches', 'reach')} as far as was looked.")
    cut = len(records) - optimal - reached - sum(record["status"] == "misclassified" for record in records)
    if cut:
        words.append(f"{counted(cut, 'was', 'were')} cut short by a limit: what they prove holds all the same.")
    wrong = sum(record["status"] == "misclassified" for record in records)
    if wrong:
        words.append(f"At {wrong} the class is not the only largest output at the input itself: a radius of 0.")
    pairs = _pairs(records)
    if len(pairs):
        ratio = float(np.median(pairs[:, 0] / pairs[:, 1]))
        words.append(
            f"A quick attack found a point of another class for {len(pairs)}. The proven radius is {ratio:.0%} of its "
            f"distance (median); the true one lies between the two."
        )
    trusting = sum(record["radius_kind"] == "solver" for record in records)
    rest = "All of them rest on bounds whose rounding is counted; no solver is trusted."
    some = f"{counted(trusting, 'rests', 'rest')} on a solver's tolerances, the others on no solver."
    words.append(some if trusting else rest)
    return words


def _pairs(records: Records) -> Floats:
    """Return radius and distance of the attack, shape ``(k, 2)``, where both are positive."""
    found = [(record["radius"], attack_distance(record)) for record in records]
    pairs = [(radius, far) for radius, far in found if far is not None and radius > 0]
    return np.array(pairs, np.float64).reshape(-1, 2)


def radii_pictures(records: Records, shape: tuple[int, int] | None = None) -> list[Picture]:
    """Return the pictures of certified radii; matplotlib is there.

    Parameters
    ----------
    shape
        Rows and columns of the inputs; `None`: as the model says.
    """
    if len(records) < 2:
        return []
    radii = np.array([record["radius"] for record in records], np.float64)
    seconds = np.array([record["seconds"] for record in records], np.float64)
    pictures = [share_left(records), distribution("radii", radii, "certified radius")]
    pairs = _pairs(records)
    if len(pairs) > 1:
        pictures.append(against_attack(pairs))
    pictures.append(scatter("radii-effort", "Seconds by radius", radii, seconds, "certified radius", "seconds"))
    return pictures + _ends(records, shape)


def share_left(records: Records) -> Picture:
    """Draw which share of the inputs keeps its class within each radius: what is proven, and what the attack leaves."""
    radii = np.sort([record["radius"] for record in records])
    far = [attack_distance(record) for record in records]
    fallen = np.sort([np.inf if each is None else each for each in far])
    reach = max([float(radii[-1]), *fallen[np.isfinite(fallen)].tolist()]) * 1.03 or 1.0
    left = 100 * (1 - np.arange(len(records) + 1) / len(records))

    def curve(ends: Floats) -> tuple[Floats, Floats]:
        """Return the corners: a step down at each end, and a last one at the border of the picture."""
        kept = ends[ends < reach]
        return np.array([0, *kept, reach]), np.array([*left[: len(kept) + 1], left[len(kept)]])

    with drawing() as axes:
        upper, lower = curve(fallen), curve(radii)
        at = np.union1d(upper[0], lower[0])
        proven, attacked = (heights[np.searchsorted(ends, at, side="right") - 1] for ends, heights in (lower, upper))
        axes.fill_between(at, proven, attacked, step="post", color=THIRD, alpha=0.18, linewidth=0)
        axes.step(*upper, where="post", color=SECOND, label="no attack found")
        axes.step(*lower, where="post", color=FIRST, label="proven")
        axes.set_xlabel("radius")
        axes.set_ylabel("% of the inputs")
        axes.set_ylim(0, 102)
        axes.set_xlim(0, reach)
        axes.legend(loc="upper right")
    text = "The share of inputs whose class no change up to a radius can change lies between the two lines."
    return Picture("share", "How many keep their class", text, figure_of(axes))


def against_attack(pairs: Floats) -> Picture:
    """Draw proven radii against distances of the attack; no point can lie above the diagonal.

    Parameters
    ----------
    pairs
        Radius and distance, shape ``(k, 2)``.
    """
    reach = float(pairs.max()) * 1.05
    with drawing() as axes:
        axes.plot([0, reach], [0, reach], "--", color=MUTED, linewidth=1, label="proven = attack")
        axes.plot(pairs[:, 1], pairs[:, 0], "o", color=FIRST, alpha=0.55, markersize=4, markeredgewidth=0)
        axes.set_xlim(0, reach)
        axes.set_ylim(0, reach)
        axes.set_xlabel("distance of the attack")
        axes.set_ylabel("certified radius")
        axes.legend(loc="upper left")
    ratio = float((pairs[:, 0] / pairs[:, 1]).min()), float((pairs[:, 0] / pairs[:, 1]).max())
    text = f"{len(pairs)} inputs; a radius is {ratio[0]:.0%} to {ratio[1]:.0%} of the distance of the attack."
    return Picture("attack", "Proof against attack", text, figure_of(axes))


def _ends(records: Records, shape: tuple[int, int] | None) -> list[Picture]:
    """Return pictures of the inputs of the smallest and the largest radii, where all are images of one shape."""
    found = [record for record in records if record["adversarial"] is not None and record["radius"] > 0]
    shapes = {shape or image_shape(record) for record in found}
    if len(found) < 2 * SHOWN_INPUTS or len(shapes) != 1 or None in shapes:
        return []
    (rows_columns,) = shapes
    assert rows_columns is not None
    order = sorted(found, key=lambda record: float(record["radius"]))
    return [
        _row("least", "The smallest radii", order[:SHOWN_INPUTS], rows_columns),
        _row("most", "The largest radii", order[-SHOWN_INPUTS:][::-1], rows_columns),
    ]


def _row(name: str, title: str, records: Records, shape: tuple[int, int]) -> Picture:
    """Draw inputs, and below each the point of another class."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 2.45), layout="constrained")
    axes = figure.subplots(2, len(records))
    for column, record in enumerate(records):
        center, found = record["query"]["center"], record["adversarial"]
        low, high = record["query"]["clip"] or (min(center), max(center))
        for row, values in enumerate((center, found["x"])):
            place = axes[row, column]
            place.imshow(np.reshape(values, shape), cmap="gray_r", vmin=low, vmax=high)
            place.set_xticks([])
            place.set_yticks([])
            for spine in place.spines.values():
                spine.set_edgecolor(GRID)
        axes[0, column].set_title(f"{record['id']}: class {record['label']}", fontsize=SMALL, color=MUTED)
        axes[1, column].set_title(f"{found['output']} at {at_most(found['distance'], 3)}", fontsize=SMALL, color=MUTED)
    radii = ", ".join(at_least(record["radius"]) for record in records)
    text = f"Radii {radii}. Below each: the nearest point of another class that was found, and how far it is."
    return Picture(name, title, text, figure)


def radii_table(records: Records) -> str:
    """Return a table of certified radii."""
    head = ("input", "class", "radius", "limit", "attack", "becomes", "seconds", "status")
    rows = []
    for record in records:
        found = record["adversarial"]
        rows.append(
            (
                str(record["id"]),
                str(record["label"]),
                at_least(record["radius"]),
                side(record["limit"], 4),
                "" if found is None else at_most(found["distance"]),
                "" if found is None else str(found["output"]),
                f"{record['seconds']:.2f}",
                str(record["status"]).replace("_", " "),
            )
        )
    return table(head, rows, frozenset({1, 2, 3, 4, 5, 6}))
