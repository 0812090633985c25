"""Several methods on one question: each timed alone, a refusal told as one, the answers held against each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic, perf_counter

import numpy as np

from lipc.compiler import ask
from lipc.errors import InternalError, QueryError
from lipc.estimators.base import Estimate, Estimator, Kind, Limits, RefusedError, question_of
from lipc.estimators.catalogue import ESTIMATORS, estimator_names, print_methods
from lipc.frontends import Network
from lipc.ir import Program
from lipc.models import Model, read_model
from lipc.query import Query

UPPER, LOWER = (Kind.EXACT, Kind.UPPER), (Kind.EXACT, Kind.LOWER)


@dataclass(frozen=True, eq=False)
class Estimated:
    """What a method said of a question.

    Parameters
    ----------
    method
        Its name, with the options that are not at their default.
    source
        The paper.
    kind
        What the number is.
    estimate
        The number and what it refers to; `None` where the method refused.
    seconds
        Wall time of the method alone; the network had been read.
    refusal
        Why it refused; else empty.
    """

    method: str
    source: str
    kind: Kind
    estimate: Estimate | None
    seconds: float
    refusal: str = ""

    @property
    def value(self) -> float:
        """The number; NaN where the method refused."""
        return float("nan") if self.estimate is None else self.estimate.value

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON; a number that is not finite becomes `None`."""
        found = self.estimate
        return {
            "method": self.method,
            "kind": self.kind.value,
            "value": self.value if np.isfinite(self.value) else None,
            "norm": found and found.norm,
            "domain": found and found.domain,
            "factor": found.factor if found else "",
            "seconds": round(self.seconds, 6),
            "witness": found and found.witness and found.witness.to_dict(),
            "source": self.source,
            "note": found.note if found else "",
            "refusal": self.refusal,
        }

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(self.to_dict(), allow_nan=False)


def estimate(
    model: Model,
    query: Query | None = None,
    *,
    methods: str | Sequence[str | Estimator] | None = None,
    time_limit: float = float("inf"),
    seed: int = 0,
    drop_softmax: bool = False,
    on_estimate: Callable[[Estimated], None] = lambda _: None,
) -> tuple[Estimated, ...]:
    """Bound or estimate a local Lipschitz constant by methods of the literature.

    Parameters
    ----------
    model
        As for `lipc.compile`.
    query
        The question; default: what the file asks, else the constant over the box [0, 1]. Over several domains a number
        is the largest of theirs.
    methods
        Names with options (``lipsdp{mode=neuron},fastlip``), or estimators; default: all, as they are.
    time_limit
        Seconds for each method.
    seed
        Of random points.
    on_estimate
        Called with each answer when it is there.

    Returns
    -------
    tuple of Estimated
        In the order of the methods.

    Raises
    ------
    ModelError, QueryError
        If the model cannot be read, the question does not fit, or a method is unknown.
    InternalError
        If two proven numbers contradict each other.
    """
    chosen = tuple(_chosen(methods))
    network = read_model(model, drop_softmax=drop_softmax)
    programs = programs_of(network, query)
    answers = []
    for method in chosen:
        answers.append(_answer(method, programs, time_limit, seed))
        on_estimate(answers[-1])
    _check(answers)
    return tuple(answers)


def _chosen(methods: str | Sequence[str | Estimator] | None) -> Iterator[Estimator]:
    if methods is None:
        methods = estimator_names()
    for each in [methods] if isinstance(methods, str) else methods:
        if isinstance(each, Estimator):
            yield each
        else:
            yield from ESTIMATORS.parse(each, "--method")


def programs_of(network: Network, query: Query | None) -> list[Program]:
    """Return the question asked over each of its domains.

    Raises
    ------
    QueryError
        If it is no question for estimators, or does not fit the network.
    """
    question = query if query is not None else network.query
    pieces = question.pieces() if question is not None else (None,)
    programs = [ask(network, piece)[1] for piece in pieces]
    for program in programs:
        try:
            question_of(program)
            program.network_input()
        except ValueError:
            raise QueryError("an estimate is of a network with one input", where=network.source) from None
    return programs


def _answer(method: Estimator, programs: Sequence[Program], time_limit: float, seed: int) -> Estimated:
    """Return what a method says of the union of the domains."""
    name, started = print_methods([method]), perf_counter()
    deadline = monotonic() + time_limit
    found: list[Estimate] = []
    try:
        for done, program in enumerate(programs):
            now = monotonic()
            share = now + (deadline - now) / (len(programs) - done)
            found.append(method.estimate(program, Limits(share, seed)))
    except RefusedError as error:
        return Estimated(name, method.source, method.kind, None, perf_counter() - started, str(error))
    largest = max(found, key=lambda each: each.value)
    # An upper bound of one domain is all that is known of the union, though others were solved.
    kinds = {each.kind or method.kind for each in found}
    kind = method.kind if kinds == {method.kind} else (kinds - {method.kind}).pop()
    notes = dict.fromkeys(each.note for each in found if each.note)
    return Estimated(name, method.source, kind, replace(largest, note="; ".join(notes)), perf_counter() - started)


def _check(answers: Sequence[Estimated]) -> None:
    """Stop at a contradiction: one of the two would be a bug.

    Raises
    ------
    InternalError
        If an upper bound is below a lower one.
    """
    proven = [each for each in answers if each.estimate is not None]
    uppers = [each for each in proven if each.kind in UPPER]
    # The lower side of an exact value is its witness.
    lowers = [(each, _proven_lower(each)) for each in proven if each.kind in LOWER]
    for upper in uppers:
        for lower, value in lowers:
            if upper.value < value:
                message = f"{upper.method} says at most {upper.value!r}, {lower.method} at least {value!r}"
                raise InternalError(message)


def _proven_lower(answer: Estimated) -> float:
    witness = answer.estimate.witness if answer.estimate is not None else None
    return witness.value if witness is not None else -np.inf
