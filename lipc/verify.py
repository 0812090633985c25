"""Check a result again, without a solver: the files, the question, and the witness in exact arithmetic.

What is proven here rests on the model's front end and on rational arithmetic alone. What a solver said, or what lipc
bounded on its way, cannot be seen in a result; it is said to be so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from lipc.bounds.membership import contains
from lipc.certify import Certifier, Witness
from lipc.errors import LipcError, ResultError
from lipc.frontends import Network
from lipc.ir import Floats, Norm, Polytope
from lipc.jobs.stated import RADIUS
from lipc.models import Model, read_model
from lipc.query import Query
from lipc.record import SCHEMA, Record, model_record, numbers_of, question_of, question_record

LARGEST_RESULT = 2**30
"""Bytes of a result."""

STANDARD_INPUT = "-"


class Verdict(Enum):
    """What became of a claim."""

    PROVEN = "proven"
    TRUSTED = "trusted"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """A claim of a result, and what became of it: in words, and what the verdict rests on."""

    verdict: Verdict
    claim: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """The claims of a result in order."""

    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether no claim was found wrong."""
        return all(finding.verdict is not Verdict.WRONG for finding in self.findings)


def read_result(path: str | Path) -> Record:
    """Return what `lipc solve --json` wrote; ``-`` is standard input.

    Raises
    ------
    ResultError
        If it cannot be read, or is no result of this version of the schema.
    """
    where, data = _content(path)
    return _result(data, where)


def read_results(path: str | Path) -> tuple[str, list[Record]]:
    """Return the name of a file for people, and the results in it, each on a line of its own if they are several.

    A last line that was cut off, while a batch was writing it, is left out if there are others.

    Raises
    ------
    ResultError
        If it cannot be read, or a line is no result of this version of the schema.
    """
    where, data = _content(path)
    lines = data.split(b"\n")
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if len(filled) <= 1 or not _is_json(lines[filled[0]]):  # one result may be spread over lines
        return where, [_result(data, where)]
    if lines[-1].strip() and not _is_json(lines[-1]):
        filled.pop()
    return where, [_result(lines[number], f"{where}:{number + 1}") for number in filled]


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _content(path: str | Path) -> tuple[str, bytes]:
    """Return what a file is called in messages, and what it holds."""
    where = "standard input" if str(path) == STANDARD_INPUT else str(path)
    try:
        if str(path) == STANDARD_INPUT:
            data = sys.stdin.buffer.read(LARGEST_RESULT + 1)
        else:
            with Path(path).open("rb") as stream:
                data = stream.read(LARGEST_RESULT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ResultError(f"cannot be read: {reason}", where=where) from None
    if len(data) > LARGEST_RESULT:
        raise ResultError(f"has more than {LARGEST_RESULT} bytes", where=where)
    return where, data


def _result(data: bytes, where: str) -> Record:
    """Return the result that JSON says."""
    if not data.strip():
        raise ResultError("is empty", where=where, hint="write it by 'lipc solve --json'")
    try:
        content = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse)
    except RecursionError:
        raise ResultError("is nested too deep", where=where) from None
    except ValueError as error:
        raise ResultError(f"is not JSON: {error}", where=where, hint="write it by 'lipc solve --json'") from None
    if not isinstance(content, dict) or "schema" not in content:
        raise ResultError("is not a result", where=where, hint="write it by 'lipc solve --json'")
    if content["schema"] != SCHEMA:
        raise ResultError(f"has schema {content['schema']!r}; this version reads {SCHEMA}", where=where)
    return content


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def verify(result: Mapping[str, Any], model: Model | None = None) -> Verification:
    """Check the claims of a result.

    Parameters
    ----------
    result
        As `read_result` returns it, or `Result.to_dict`.
    model
        Read this instead of the path in the result.

    Raises
    ------
    ResultError
        If something is missing in the result, or stands there in another form.
    ModelError
        If the model cannot be read.
    QueryError
        If the question does not fit the model.
    """
    asked = result.get("query")
    if isinstance(asked, Mapping) and (asked.get("objective") == RADIUS or result.get("status") == "error"):
        failed = result.get("status") == "error"
        message = "is the record of a failed job" if failed else "is a certified radius: no single witness proves it"
        raise ResultError(message, hint="lipc verify checks what 'lipc solve --json' wrote")
    try:
        return Verification(tuple(_Check(result, model).findings()))
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ResultError(f"the result is incomplete or damaged: {type(error).__name__}: {error}") from None


class _Check:
    """The checks of one result, each of which adds findings."""

    def __init__(self, result: Mapping[str, Any], model: Model | None) -> None:
        self.result = result
        self.found: list[Finding] = []
        self.network = self._read(model)
        self.query = question_of(result["question"])
        self.lower, self.upper = _bound(result["lower"], -np.inf), _bound(result["upper"], np.inf)

    def _read(self, model: Model | None) -> Network:
        recorded = self.result["model"]
        if model is None and recorded["path"] is None:
            raise ResultError("the network of this result was made in memory", hint="say which one it is, by --model")
        chosen = recorded["path"] if model is None else model
        try:
            return read_model(chosen, drop_softmax=bool(recorded["drop_softmax"]))
        except LipcError as error:
            if model is None and not Path(str(chosen)).exists():
                message = "the model of this result is not there any more"
                raise ResultError(message, where=str(chosen), hint="say where it is, by --model") from error
            raise

    def findings(self) -> list[Finding]:
        self._files()
        self._question()
        self._pair()
        self._witness()
        self._far_side()
        return self.found

    def _add(self, verdict: Verdict, claim: str, reason: str) -> None:
        self.found.append(Finding(verdict, claim, reason))

    def _files(self) -> None:
        """Compare the files that were read now with those that were read then."""
        recorded = self.result["model"]["files"]
        now = {each["name"]: each["sha256"] for each in model_record(self.network)["files"][1:]}
        first = model_record(self.network)["files"][:1]
        if not recorded or not first:
            self._add(Verdict.TRUSTED, "the model", "it was made in memory: that it is the same one is not checked")
            return
        pairs = [(recorded[0], first[0]["sha256"])]
        pairs += [(each, now.get(each["name"])) for each in recorded[1:]]
        for then, digest in pairs:
            claim = f"the file {then['name']}"
            if then["sha256"] is None:
                self._add(Verdict.TRUSTED, claim, "its SHA-256 is not in the result")
            elif digest == then["sha256"]:
                self._add(Verdict.PROVEN, claim, "it has the SHA-256 in the result")
            else:
                self._add(Verdict.WRONG, claim, "it is another one: its SHA-256 is not the one in the result")
        for name in sorted(set(now) - {each["name"] for each in recorded}):
            self._add(Verdict.WRONG, f"the file {name}", "the model reads it, and the result does not know it")

    def _question(self) -> None:
        """For a program that asks its own question, compare; for a network, see that the question fits."""
        program, own = self.network.program, self.network.query
        if program.objective is None:
            self.domains = [piece.fitting_domain(program.network_input()[1].size) for piece in self.query.pieces()]
            return
        if own is None:
            raise ResultError("a program of several inputs has no result", where=self.network.source)
        self.network = replace(self.network, program=replace(program, objective=None))
        same = question_record(own, self.network) == question_record(self.query, self.network)
        verdict = Verdict.PROVEN if same else Verdict.WRONG
        self._add(verdict, "the question", "it is the one in the file" if same else "the program asks another one")
        self.domains = [piece.fitting_domain(program.network_input()[1].size) for piece in self.query.pieces()]

    def _pair(self) -> None:
        lower, upper = self.lower, self.upper
        if not lower <= upper:
            self._add(Verdict.WRONG, "lower <= upper", f"{lower!r} is more than {upper!r}")

    @property
    def _near(self) -> tuple[str, float, str]:
        """The side that a witness proves: its name, its value, where that is from."""
        side = "upper" if self.query.goal == "min" else "lower"
        return side, (self.upper if side == "upper" else self.lower), self.result[f"{side}_kind"]

    def _witness(self) -> None:
        """Prove the near side again at the witness."""
        side, value, kind = self._near
        recorded = self.result["witness"]
        claim = f"{side} = {value!r}"
        if self.result["status"] == "infeasible":
            self._add(Verdict.TRUSTED, "no gradient anywhere", self._solver_words())
            return
        if recorded is None:
            trivial = value == -np.inf or (self.query.goal == "lipschitz" and value <= 0)
            if self.query.goal == "min":
                trivial = value == np.inf
            if kind == "witness":
                self._add(Verdict.WRONG, claim, "the witness is missing")
            elif trivial:
                self._add(
                    Verdict.PROVEN, claim, "nothing is claimed" if np.isinf(value) else "a norm is never negative"
                )
            else:
                self._add(Verdict.WRONG, claim, "there is no witness for it")
            return
        witness = self._proven_witness(recorded)
        if witness is not None:
            self._compare(claim, value, recorded, witness)

    def _proven_witness(self, recorded: Mapping[str, Any]) -> Witness | None:
        """Return what exact arithmetic says at the point; `None` after a finding that it proves nothing."""
        point = numbers_of(recorded["x"])
        inputs = self.domains[0].size
        if len(point) != inputs:
            self._add(Verdict.WRONG, "the witness", f"it has {len(point)} entries, the network {inputs} inputs")
            return None
        domain = next((each for each in self.domains if contains(each, point)), None)
        if domain is None:
            self._add(Verdict.WRONG, "the witness", "it lies outside the domain")
            return None
        self._add(Verdict.PROVEN, "the witness lies in the domain", "exact arithmetic")
        asked = self._attained_by(numbers_of(recorded["cotangent"]))
        if asked is None:
            return None
        if self.query.goal == "lipschitz" and not self._differentiates(domain, point, asked):
            return None
        return self._at(domain, point, asked)

    def _attained_by(self, cotangent: Floats) -> Query | None:
        """Return the question of the one function that attains the value; `None` after a finding that it is none."""
        program = self.network.program
        outputs = program.ops[program.result].size
        single = outputs == 1 or self.query.functional is not None
        if single:
            return self.query
        signs = self.query.output_norm is Norm.L1
        size = self.query.entries(outputs)
        extreme = (np.abs(cotangent) == 1).all() if signs else sorted(cotangent.tolist()) == [*[0.0] * (size - 1), 1.0]
        if len(cotangent) != size or not extreme:
            message = f"it must be {'signs' if signs else 'one'} of {size} entries"
            self._add(Verdict.WRONG, "what attains the value", message)
            return None
        attaining = self.query.attained_by(cotangent, outputs)
        return replace(self.query, output=attaining, output_norm=Norm.LINF)

    def _differentiates(self, domain: Polytope, point: Floats, asked: Query) -> bool:
        if self._at(domain, point, asked) is None:
            self._add(Verdict.WRONG, "the network has a gradient at the witness", "it has a kink there")
            return False
        self._add(Verdict.PROVEN, "the network has a gradient at the witness", "exact arithmetic")
        return True

    def _at(self, domain: Polytope, point: Floats, query: Query) -> Witness | None:
        """Return what is proven at a point, of one output: of the function itself, so over its box alone."""
        asked = replace(query, domain=Polytope.box(domain.lower, domain.upper))
        return Certifier(asked.ask(self.network.program)).witness(point)

    def _compare(self, claim: str, value: float, recorded: Mapping[str, Any], witness: Witness) -> None:
        """Compare the proven value and gradient with those in the result."""
        gradient = numbers_of(recorded["gradient"])
        same = gradient.tolist() == witness.gradient.tolist()
        reason = "exact arithmetic, rounded to nearest" if same else "it is not the one at the witness"
        self._add(Verdict.PROVEN if same else Verdict.WRONG, "the gradient", reason)
        smallest = self.query.goal == "min"
        what = "the norm of the gradient at the witness" if self.query.goal == "lipschitz" else "the value there"
        for words, number in ((claim, value), (f"the value {recorded['value']!r}", float(recorded["value"]))):
            holds = number >= witness.value if smallest else number <= witness.value
            if holds and words == claim:
                self._add(Verdict.PROVEN, words, f"{what} is {witness.value!r}, by exact arithmetic")
            elif not holds:
                self._add(Verdict.WRONG, words, f"{what} is {witness.value!r}")

    def _far_side(self) -> None:
        """Say what the other side rests on; a bound from bounds alone is computed again."""
        side = "lower" if self.query.goal == "min" else "upper"
        value, kind = (self.lower if side == "lower" else self.upper), self.result[f"{side}_kind"]
        claim = f"{side} = {value!r}"
        if self.result["status"] == "infeasible":
            return
        if np.isinf(value):
            self._add(Verdict.PROVEN, claim, "nothing is claimed")
        elif kind == "solver":
            self._add(Verdict.TRUSTED, claim, self._solver_words())
        elif self._bounds_suffice(value):
            self._add(Verdict.PROVEN, claim, "bounds with outward rounding, computed again")
        else:
            words = "proven by lipc in outward-rounded arithmetic when it ran; the proof is not in the result"
            self._add(Verdict.TRUSTED, claim, words)

    def _solver_words(self) -> str:
        return f"it rests on {self.result['solver']}, within its tolerances"

    def _bounds_suffice(self, value: float) -> bool:
        """Return whether the bounds of the objective's values prove the far side."""
        from lipc.compiler import compile as compile_question

        bounds = [compile_question(self.network, piece).bound for piece in self.query.pieces()]
        return min(bounds) >= value if self.query.goal == "min" else max(bounds) <= value


def _bound(number: object, otherwise: float) -> float:
    if number is None:
        return otherwise
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"a bound is {number!r}")
    return float(number)
