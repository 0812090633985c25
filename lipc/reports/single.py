"""The page of one result: the answer and its certificate in words, and pictures of how it came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isqrt, prod
from typing import Any

import numpy as np

from lipc.errors import QueryError
from lipc.ir import Floats
from lipc.reports.figures import (
    Picture,
    bars,
    coefficient_ranges,
    has_matplotlib,
    image,
    neurons_by_pass,
    pair_over_time,
)
from lipc.reports.page import Section, details, facts, grid, in_pictures, page, paragraphs
from lipc.reports.words import certificate, domain_words, headline, question_words, side_words

SMALLEST_IMAGE = 25
"""Inputs that are a square number are drawn as an image from here on, where nobody names a shape."""

MOST_BARS = 400
"""Inputs up to which a vector without a shape is drawn as bars."""


def result_page(result: Mapping[str, Any], shape: tuple[int, int] | None = None) -> str:
    """Return the page of a result.

    Parameters
    ----------
    result
        As `lipc.verify.read_result` returns it.
    shape
        Rows and columns of an image, where the inputs are one.
    """
    drawn = result_pictures(result, shape)
    model = str(result["query"]["model"])
    sections = [
        Section("The answer", paragraphs(*certificate(result))),
        Section("The question", facts(_question_rows(result)) + file_digests(result)),
    ]
    sections += in_pictures(drawn)
    sections.append(Section("What it took", facts(_effort_rows(result))))
    return page(model, headline(result), sections)


def result_fragment(result: Mapping[str, Any]) -> str:
    """Return what a notebook shows of a result: the answer, what is proven, and what it took."""
    return f"<h4>{escape(headline(result))}</h4>\n{paragraphs(*certificate(result))}\n" + grid(
        [*_question_rows(result), *_effort_rows(result)]
    )


def result_pictures(result: Mapping[str, Any], shape: tuple[int, int] | None = None) -> list[Picture]:
    """Return the pictures of a result; none where matplotlib is missing."""
    if not has_matplotlib():
        return []
    pictures = []
    if len(result.get("history", [])) > 1:
        pictures.append(pair_over_time(result["history"]))
    witness = result["witness"]
    if witness is not None:
        check_shape(shape, len(witness["x"]))
        x, gradient = (np.array(witness[key], np.float64) for key in ("x", "gradient"))
        found = shape or image_shape(result)
        pictures += vector("witness", "The witness x", x, False, found)
        pictures += vector("gradient", "The gradient there", gradient, True, found)
    passes = result["size"].get("passes", [])
    if passes and passes[0]["layers"]:
        pictures += [neurons_by_pass(passes), coefficient_ranges(passes)]
    return pictures


def check_shape(shape: tuple[int, int] | None, inputs: int) -> None:
    """Refuse a shape that has another number of entries than there are inputs.

    Raises
    ------
    QueryError
        If it has.
    """
    if shape is not None and prod(shape) != inputs:
        message = f"the network has {inputs} inputs, and an image of {shape[0]} x {shape[1]} has {prod(shape)}"
        raise QueryError(message, where="--image")


def image_shape(result: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the rows and columns as which the inputs are drawn: as the model has them, or a square; else `None`.

    Channels are drawn below one another.
    """
    recorded: Sequence[int] = result.get("model", {}).get("input_shape", [])
    inputs = prod(recorded)
    sides = [side for side in recorded if side != 1]
    if len(sides) in (2, 3) and inputs:
        return inputs // sides[-1], sides[-1]
    root = isqrt(inputs)
    return (root, root) if inputs >= SMALLEST_IMAGE and root * root == inputs else None


def vector(name: str, title: str, values: Floats, signed: bool, shape: tuple[int, int] | None) -> list[Picture]:
    """Return a vector as an image of a shape, or as bars; nothing where there are too many for these."""
    if shape is None:
        return [bars(name, title, values)] if len(values) <= MOST_BARS else []
    return [image(name, title, values, shape, signed=signed)]


def file_digests(result: Mapping[str, Any]) -> str:
    """Return the digests of the files of the network, folded; nothing for one that was made in memory."""
    files = result.get("model", {}).get("files", [])
    digests = facts(("", f"{file['name']}: {file['sha256']}") for file in files)
    return details("SHA-256 of the files", digests) if files else ""


def _question_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    query = result["query"]
    domain = domain_words(query) + side_words(result.get("question", {}).get("domains", []))
    return [("network", str(query["model"])), ("asked", question_words(query)), ("domain", domain)]


def _effort_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    size, time = result["size"], result["time"]
    neurons = size["neurons"]
    rows = [
        ("status", str(result["status"]).replace("_", " ")),
        ("neurons", f"{neurons['total']}: {neurons['on']} on, {neurons['off']} off, {neurons['unstable']} unstable"),
        (
            "program",
            f"{size['variables']} variables ({size['binaries']} binary), {size['rows']} rows, "
            f"{size['nonzeros']} nonzeros",
        ),
        ("nodes", f"{result['nodes']} ({result['solver']})"),
        ("seconds", ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in time.items())),
    ]
    if result["note"]:
        rows.append(("note", str(result["note"])))
    return rows
