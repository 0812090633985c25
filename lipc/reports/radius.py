"""The page of one certified radius: what is proven and by whom, what an attack found, and which classes are near."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lipc.reports.figures import FIRST, INK, MUTED, Picture, drawing, figure_of, has_matplotlib
from lipc.reports.page import Section, facts, in_pictures, page, paragraphs, table
from lipc.reports.radii import attack_distance
from lipc.reports.single import check_shape, file_digests, image_shape, vector
from lipc.reports.words import NORMS, at_least, at_most

MOST_CLASSES = 20
"""Drawn: those that limit most."""

ENDINGS: Mapping[str, str] = {
    "time_limit": "The time limit was reached",
    "interrupted": "The run was interrupted",
    "unproven": "The bounds do not come closer",
}


def radius_page(result: Mapping[str, Any], shape: tuple[int, int] | None = None) -> str:
    """Return the page of a certified radius.

    Parameters
    ----------
    result
        As `lipc.RadiusResult.to_dict` returns it.
    shape
        Rows and columns of an image, where the inputs are one.
    """
    drawn = radius_pictures(result, shape)
    sections = [
        Section("The answer", paragraphs(*radius_words(result))),
        Section("The question", facts(_question_rows(result)) + file_digests(result)),
    ]
    sections += in_pictures(drawn)
    sections.append(Section("The other classes", _classes(result)))
    effort = [
        ("status", str(result["status"]).replace("_", " ")),
        ("constants", f"{result['solves']} solved by {result['solver']}" if result["solves"] else "none was needed"),
        ("seconds", f"{result['time']:.2f}"),
    ]
    sections.append(Section("What it took", facts(effort)))
    more = "" if result["certified"] or result["status"] == "misclassified" else " or more"
    return page(str(result["query"]["model"]), f"Certified radius: {at_least(result['radius'])}{more}", sections)


def radius_words(result: Mapping[str, Any]) -> list[str]:
    """Return what is proven and by whom, and what an attack found."""
    label, norm = result["label"], NORMS[result["norm"]]
    if result["status"] == "misclassified":
        over = ", ".join(str(each["output"]) for each in result["classes"] if each["margin"] <= 0)
        return [f"Output {label} is not the only largest one at the input itself: {over} is not less. The radius is 0."]
    basis = (
        "by bounds whose rounding is counted; no solver is trusted."
        if result["radius_kind"] == "rigorous"
        else f"by dual bounds of {result['solver']}, right up to its tolerances."
    )
    words = [
        f"No change of the input of less than {result['radius']!r} in {norm} changes its class, {label}: proven {basis}"
    ]
    limit = "any limit" if result["limit"] is None else repr(result["limit"])
    if result["status"] == "max_radius":
        words.append("That is as far as was looked.")
    elif result["status"] == "optimal":
        words.append(f"Exact local Lipschitz constants prove no radius beyond {limit}; the two are as close as asked.")
    else:
        words.append(f"{ENDINGS[result['status']]}: exact constants may prove more, but none beyond {limit}.")
    far = attack_distance(result)
    if far is None:
        words.append("A quick attack found no point of another class.")
    else:
        words.append(
            f"A quick attack found a point of class {result['adversarial']['output']} at a distance of "
            f"{at_most(far)}: the largest change that is always harmless lies between the two."
        )
    return words


def _question_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    query = result["query"]
    rows = [
        ("network", str(query["model"])),
        ("asked", f"how far an input may move before its class can change; changes in {NORMS[query['norm']]}"),
        ("input", f"{len(query['center'])} entries"),
    ]
    if query["clip"] is not None:
        rows.append(("within", f"{query['clip'][0]:g} <= x <= {query['clip'][1]:g}"))
    if query["max_radius"] is not None:
        rows.append(("looked up to", f"{query['max_radius']:g}"))
    return rows


def _classes(result: Mapping[str, Any]) -> str:
    rows = [
        (
            str(each["output"]),
            f"{each['margin']:.6g}",
            at_least(each["radius"]),
            "" if each["limit"] is None else at_most(each["limit"]),
        )
        for each in result["classes"]
    ]
    return table(("class", "margin at the input", "proven", "at most"), rows, frozenset({0, 1, 2, 3}))


def radius_pictures(result: Mapping[str, Any], shape: tuple[int, int] | None = None) -> list[Picture]:
    """Return the pictures of a certified radius; none where matplotlib is missing."""
    if not has_matplotlib():
        return []
    center, found = np.array(result["query"]["center"], np.float64), result["adversarial"]
    check_shape(shape, len(center))
    shape = shape or image_shape(result)
    pictures = [_by_class(result)] if result["status"] != "misclassified" else []
    pictures += vector("input", f"The input: class {result['label']}", center, False, shape)
    if found is not None:
        other = np.array(found["x"], np.float64)
        pictures += vector("attack", f"The nearest found of class {found['output']}", other, False, shape)
        pictures += vector("change", "What was changed for it", other - center, True, shape)
    return pictures


def _by_class(result: Mapping[str, Any]) -> Picture:
    """Draw how far each other class is proven to be, and up to where exact constants could prove it."""
    classes = result["classes"][:MOST_CLASSES]
    places = np.arange(len(classes))
    proven = np.array([each["radius"] for each in classes])
    limits = np.array([np.nan if each["limit"] is None else each["limit"] for each in classes])
    with drawing(height=0.8 + 0.19 * len(classes)) as axes:
        axes.barh(places, proven, height=0.7, color=FIRST, label="proven")
        axes.plot(limits, places, "|", color=INK, markersize=8, label="at most provable")
        far = attack_distance(result)
        if far is not None:
            axes.axvline(far, color=MUTED, linestyle="--", linewidth=1, label="attack")
        axes.set_yticks(places, [str(each["output"]) for each in classes])
        axes.set_ylabel("class")
        axes.set_xlabel("radius")
        axes.grid(visible=False, axis="y")
        axes.invert_yaxis()
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, columnspacing=1.0, handlelength=1.4)
    rest = len(result["classes"]) - len(classes)
    text = "The smallest is the radius; of the others no more was proven than was needed."
    return Picture(
        "classes", "How far the other classes are", text + (f" {rest} are left out." if rest else ""), figure_of(axes)
    )
