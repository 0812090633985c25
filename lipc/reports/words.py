"""What a result says, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import Any

SUBJECTS = {
    "lipschitz": "local Lipschitz constant",
    "max": "maximum of the output",
    "min": "minimum of the output",
}

DUAL = {"linf": "l_1", "l1": "l_inf", "l2": "l_2"}
"""The norm of a gradient that belongs to a norm of perturbations."""

NORMS = {"linf": "l_inf", "l1": "l_1", "l2": "l_2"}


def headline(result: Mapping[str, Any]) -> str:
    """Return the answer in a line."""
    subject = SUBJECTS[result["query"]["objective"]].capitalize()
    subject = subject.replace("lipschitz", "Lipschitz")
    if result["status"] == "infeasible":
        return f"{subject}: there is none"
    if result["certified"]:
        return f"{subject} = {result['lower']:.8g}"
    return f"{subject}: {side(result['lower'])} to {side(result['upper'])}"


def side(value: float | None, digits: int = 8) -> str:
    """Return a bound with that many digits, or ``?``."""
    return "?" if value is None else f"{value:.{digits}g}"


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with what it counts."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def at_least(value: float, digits: int = 4) -> str:
    """Return a proven lower bound in few digits, rounded down: what is shown is proven, too."""
    return _rounded(value, digits, ROUND_FLOOR)


def at_most(value: float, digits: int = 4) -> str:
    """Return an upper bound in few digits, rounded up."""
    return _rounded(value, digits, ROUND_CEILING)


def _rounded(value: float, digits: int, rounding: str) -> str:
    return f"{float(Context(prec=digits, rounding=rounding).create_decimal_from_float(value)):.{digits}g}"


def certificate(result: Mapping[str, Any]) -> list[str]:
    """Return what is proven and by whom, a sentence or two for each side."""
    query = result["query"]
    if result["status"] == "infeasible":
        return ["The network has no gradient anywhere in the domain: no part of it has an interior."]
    sentences = [_side_words(result, name) for name in ("lower", "upper")]
    if result["certified"]:
        gap = f"The two sides differ by {result['gap']:.1e} of their value"
        sentences.append(f"{gap}, within what was asked: the answer is exact.")
    else:
        reasons = {"time_limit": "the time limit was reached", "interrupted": "the run was interrupted"}
        why = reasons.get(result["status"], "what the solver said does not close the pair")
        sentences.append(f"The pair is open, for {why}. It is valid all the same: the answer lies within it.")
    if query["objective"] == "lipschitz" and query["norm"] == "l2":
        factor = query.get("upper_factor", 1.0)
        sentences.append(f"The upper side is that of a polytope around the l_2 ball, up to {factor:.4f} times more.")
    return sentences


def _side_words(result: Mapping[str, Any], name: str) -> str:
    query, kind, value = result["query"], result[f"{name}_kind"], result[name]
    reach = "At least" if name == "lower" else "At most"
    if value is None:
        return f"Nothing is known of the {name} side."
    if kind == "witness":
        what = f"the gradient has {DUAL[query['norm']]} norm" if query["objective"] == "lipschitz" else "the output is"
        return f"{reach} {value!r}: at the witness x {what} {value!r}, computed in exact arithmetic and rounded safely."
    if kind == "rigorous":
        return f"{reach} {value!r}: proven by bounds whose rounding is counted; no solver is trusted."
    return f"{reach} {value!r}: the dual bound of {result['solver']}, right up to its tolerances."


def question_words(query: Mapping[str, Any]) -> str:
    """Return what was asked."""
    if query["objective"] != "lipschitz":
        return f"the {SUBJECTS[query['objective']]}, of {query['output']}"
    outputs = f"outputs: {query['output']}" if query.get("several_outputs") else f"output: {query['output']}"
    return f"the {SUBJECTS['lipschitz']}; {outputs}; perturbations in {NORMS[query['norm']]}"


def domain_words(query: Mapping[str, Any]) -> str:
    """Return where the input ranges."""
    domain = query["domain"]
    low, high = domain["lower"], domain["upper"]
    within = f"{low[0]:g} <= x <= {high[0]:g}"
    if low[0] != low[1] or high[0] != high[1]:
        within = f"within [{low[0]:g}, {high[1]:g}]"
    if domain["type"] == "union":
        return f"union of {len(domain['pieces'])} domains {within}, {domain['inputs']} inputs"
    parts = [f"box {within}"]
    if "radius" in domain:
        parts.append(f"l_1 ball of radius {domain['radius']:g}")
    if "rows" in domain:
        parts.append("a half-space" if domain["rows"] == 1 else f"{domain['rows']} half-spaces")
    return f"{' and '.join(parts)}, {domain['inputs']} inputs"


def side_words(domains: Sequence[Mapping[str, Any]]) -> str:
    """Return how far each input ranges in the only domain of a question, to stand behind the words for it.

    A small ball around an image reaches from 0 to 1 as the whole box does, if one looks at all its inputs together.
    """
    if len(domains) != 1:
        return ""
    sides = [high - low for low, high in zip(domains[0]["lower"], domains[0]["upper"], strict=True)]
    least, most = (f"{each:.6g}" for each in (min(sides), max(sides)))
    return f", each of which ranges over {least}" + ("" if least == most else f" to {most}")
