"""Properties in VNN-LIB 1.0: what they say about the inputs is the domain of a question.

A property lists conditions on inputs X_0, X_1, .. and outputs Y_0, Y_1, .. of a network, as SMT-LIB assertions.
Numbers are read exactly, and the bounds and coefficients that come of them are rounded to the nearest double. What is
said about outputs is ignored, with a warning. 6,000 bounds take 0.2 s.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lipc.diagnostics import Diagnostic, SourceText, did_you_mean
from lipc.errors import ModelError, QueryError
from lipc.frontends.network import Network
from lipc.frontends.vnnlib_forms import Atom, Form, Messages, PlacedError, read_forms
from lipc.frontends.vnnlib_formulas import VARIABLE, Alternatives, Conjunction, Direction, Formulas, Row, split
from lipc.ir import Floats, Polytope

LARGEST_TEXT = 2**26
"""Bytes of a file, unpacked: more than the largest properties of the competitions, of 150,528 inputs, have."""
MOST_NUMBERS = 2**24
"""Inputs times domains."""

DECLARATIONS = ("declare-const", "declare-fun")
WITHOUT_EFFECT = ("set-logic", "set-info", "set-option", "check-sat", "get-model", "exit")
COMMANDS = (*DECLARATIONS, "assert", *WITHOUT_EFFECT)
NEWER = ("vnnlib-version", "declare-network", "declare-input", "declare-output", "declare-hidden")


@dataclass(frozen=True, eq=False)
class InputProperty:
    """What a property says about the inputs of a network.

    Parameters
    ----------
    domain
        Where the inputs range: what `Query` takes. Several polytopes stand for their union.
    inputs, outputs
        How many are declared.
    source
        The file, for messages.
    warnings
        What is ignored or suspicious in it.
    """

    domain: Polytope | tuple[Polytope, ...]
    inputs: int
    outputs: int
    source: str
    warnings: tuple[Diagnostic, ...] = ()

    def check_fits(self, network: Network) -> None:
        """Check that a network has as many inputs and outputs as are declared; no output may be declared at all.

        Raises
        ------
        QueryError
            If it has not.
        """
        program = network.program
        sizes = {
            "inputs": (self.inputs, program.network_input()[1].size),
            "outputs": (self.outputs, program.ops[program.result].size),
        }
        for kind, (declared, size) in sizes.items():
            if declared != size and (kind == "inputs" or declared):
                message = f"the property declares {declared} {kind}, but the network has {size}"
                raise QueryError(message, where=self.source, hint="take the network that it was written for")


def read_vnnlib(path: str | Path) -> InputProperty:
    """Return the property in a VNN-LIB file, which may be compressed by gzip.

    Raises
    ------
    ModelError
        If the file cannot be read; a `SourceError` if its text is wrong.
    """
    try:
        content = _content(Path(path))
        if len(content) > LARGEST_TEXT:
            raise ModelError(f"has more than {LARGEST_TEXT} bytes", where=str(path))
        text = content.decode("utf-8-sig")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ModelError(f"is broken or cut off: {error}", where=str(path)) from error
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ModelError("is not a text in UTF-8", where=str(path)) from error
    except ValueError as error:  # a path with a NUL character
        raise ModelError(f"cannot be read: {error}", where=repr(str(path))) from error
    return parse_vnnlib(text, str(path))


def _content(path: Path) -> bytes:
    """Return what is in a file, unpacked, up to the first byte that is too many."""
    with path.open("rb") as file:
        content = file.read(LARGEST_TEXT + 1)
    if content[:2] != b"\x1f\x8b":
        return content
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacked:
        return unpacked.read(LARGEST_TEXT + 1)


def parse_vnnlib(text: str, name: str = "<text>") -> InputProperty:
    """Return the property that a text is; `name` is what messages call it.

    Raises
    ------
    SourceError
        With all errors that were found, and their places.
    """
    messages = Messages(SourceText(name, text))
    declared, parts, last = _read_commands(messages)
    inputs, outputs = (_count(letter, declared, messages) for letter in "XY")
    if not inputs:
        messages.error(last, "no input is declared", "declare each: (declare-const X_0 Real)")
    messages.stop_if_wrong()
    try:
        common, alternatives = split(last, parts)
        if len(alternatives) * inputs > MOST_NUMBERS:
            raise PlacedError(last, f"{len(alternatives)} domains of {inputs} inputs are too large")
    except PlacedError as mistake:
        messages.mistake(mistake)
        messages.stop_if_wrong()
    domains = _domains(inputs, common, alternatives, messages, declared)
    return InputProperty(domains[0] if len(domains) == 1 else domains, inputs, outputs, name, messages.warnings)


# --- commands ---


def _read_commands(messages: Messages) -> tuple[dict[str, Atom], list[Alternatives], Form]:
    """Return where each name is declared, what each assertion says about the inputs, and the last command."""
    declared: dict[str, Atom] = {}
    formulas = Formulas(declared, messages)
    parts: list[Alternatives] = []
    form = Form([], 0, 1)
    for form in read_forms(messages, (*DECLARATIONS, "assert")):
        try:
            command = _command(form, messages)
            if command in DECLARATIONS:
                _declare(form, declared, messages)
            elif command == "assert":
                if len(form.items) != 2:
                    raise PlacedError(form, f"'assert' takes one condition, not {len(form.items) - 1}")
                parts.append(formulas.read(form.items[1]))
        except PlacedError as mistake:
            messages.mistake(mistake)
    return declared, parts, form


def _command(form: Form, messages: Messages) -> str:
    head = form.items[0] if form.items else form
    if isinstance(head, Form):
        raise PlacedError(form, "a command is missing behind this '('", f"known: {', '.join(COMMANDS)}")
    if head.text in NEWER:
        raise PlacedError(head, f"'{head.text}' belongs to VNN-LIB 2.0", "write the property in VNN-LIB 1.0")
    if head.text not in COMMANDS:
        hint = did_you_mean(head.text, COMMANDS) or f"known: {', '.join(COMMANDS)}"
        raise PlacedError(head, f"unknown command {messages.quote(head)}", hint)
    return head.text


def _declare(form: Form, declared: dict[str, Atom], messages: Messages) -> None:
    """Note a declaration, ``(declare-const X_0 Real)`` or ``(declare-fun X_0 () Real)``."""
    command, *rest = form.items
    as_function = isinstance(command, Atom) and command.text == "declare-fun"
    if as_function and len(rest) == 3 and isinstance(rest[1], Form) and not rest[1].items:
        del rest[1]
    match rest:
        case [Atom() as name, Atom() as kind]:
            pass
        case _:
            example = "(declare-fun X_0 () Real)" if as_function else "(declare-const X_0 Real)"
            raise PlacedError(form, "this declares no number", f"write {example}")
    if not VARIABLE.fullmatch(name.text):
        raise PlacedError(
            name, f"{messages.quote(name)} is neither an input nor an output", "they are X_0, .. and Y_0, .."
        )
    if name.text in declared:
        raise PlacedError(name, f"'{name.text}' is declared twice, first in line {messages.line(declared[name.text])}")
    declared[name.text] = name
    if kind.text != "Real":
        raise PlacedError(kind, f"'{name.text}' must be of type Real, not {messages.quote(kind)}")


def _count(letter: str, declared: Mapping[str, Atom], messages: Messages) -> int:
    """Return how many inputs or outputs are declared; their numbers must have no gap."""
    names = [name for name in declared if name[0] == letter]
    for number in range(len(names)):
        if f"{letter}_{number}" not in declared:
            beyond = next(name for name in names if int(name[2:]) > number)
            message = f"'{beyond}' is declared, but '{letter}_{number}' is not"
            messages.error(declared[beyond], message, f"declare {letter}_0, {letter}_1, .. without a gap")
            break
    return len(names)


# --- domains ---


class Limits(NamedTuple):
    """How far a direction reaches, and the rows that say so; `None` where none does."""

    lower: Fraction | None = None
    lower_row: Row | None = None
    upper: Fraction | None = None
    upper_row: Row | None = None


Region = dict[Direction, Limits]


class _EmptyError(Exception):
    """There is no point: why, and the row that excludes the last one."""

    def __init__(self, message: str, row: Row) -> None:
        super().__init__(message)
        self.message, self.row = message, row


def _domains(
    inputs: int,
    common: Conjunction,
    alternatives: Alternatives,
    messages: Messages,
    declared: Mapping[str, Atom],
) -> tuple[Polytope, ...]:
    """Return the polytope of each alternative that holds a point, each once."""
    try:
        region = _tightened({}, common, messages)
    except _EmptyError as empty:
        messages.error(empty.row.place, f"the domain is empty: {empty.message}")
        messages.stop_if_wrong()
    lower, upper = _open_box(inputs), _open_box(inputs)
    _set_bounds(lower, upper, region)
    found: dict[tuple[bytes, ...], Polytope] = {}
    empty_ones: list[_EmptyError] = []
    missing = np.zeros((2, inputs), np.int64)
    for alternative in alternatives:
        try:
            own = _tightened(region, alternative, messages)
            low, high = lower.copy(), upper.copy()
            _set_bounds(low, high, own)
            missing += np.isnan([low, high])
            domain = _polytope(low, high, {**region, **own}, messages)
            found.setdefault(_identity(domain), domain)
        except _EmptyError as empty:
            empty_ones.append(empty)
    _check_bounded(missing, len(alternatives) - len(empty_ones), declared, messages)
    _report_empty(empty_ones, bool(found), messages)
    return tuple(found.values())


def _tightened(region: Region, rows: Conjunction, messages: Messages) -> Region:
    """Return the limits that rows change in a region."""
    changed: Region = {}
    for row in rows:
        if not row.direction:
            raise _EmptyError(f"{messages.quote(row.place)} never holds", row)
        limits = changed.get(row.direction) or region.get(row.direction) or Limits()
        if row.lower is not None and (limits.lower is None or row.lower > limits.lower):
            limits = limits._replace(lower=row.lower, lower_row=row)
        if row.upper is not None and (limits.upper is None or row.upper < limits.upper):
            limits = limits._replace(upper=row.upper, upper_row=row)
        changed[row.direction] = limits
        if limits.lower is not None and limits.upper is not None and limits.lower > limits.upper:
            other = limits.upper_row if limits.lower_row is row else limits.lower_row
            assert other is not None
            where = f"{messages.quote(other.place)} in line {messages.line(other.place)}"
            raise _EmptyError(f"{messages.quote(row.place)} contradicts {where}", row)
    return changed


def _open_box(inputs: int) -> Floats:
    """Return bounds of which none is known yet: NaN."""
    return np.full(inputs, np.nan)


def _set_bounds(lower: Floats, upper: Floats, region: Region) -> None:
    for direction, limits in region.items():
        if len(direction) == 1:
            entry = direction[0][0]
            if limits.lower is not None:
                lower[entry] = float(limits.lower)
            if limits.upper is not None:
                upper[entry] = float(limits.upper)


def _polytope(lower: Floats, upper: Floats, region: Region, messages: Messages) -> Polytope:
    """Return the polytope of a box and the directions of several inputs."""
    rows = [(direction, limits) for direction, limits in region.items() if len(direction) > 1]
    box = Polytope.box(lower, upper)
    if not rows:
        return box
    entries = [entry for direction, _ in rows for entry, _ in direction]
    factors = [float(factor) for direction, _ in rows for _, factor in direction]
    pointers = np.cumsum([0, *(len(direction) for direction, _ in rows)])
    matrix = csr_array((factors, entries, pointers), shape=(len(rows), len(lower)))
    low = np.array([-np.inf if limits.lower is None else float(limits.lower) for _, limits in rows])
    high = np.array([np.inf if limits.upper is None else float(limits.upper) for _, limits in rows])
    _check_reached(lower, upper, matrix, low, high, rows, messages)
    return box.with_rows(matrix, low, high)


def _check_reached(
    lower: Floats,
    upper: Floats,
    matrix: csr_array,
    row_lower: Floats,
    row_upper: Floats,
    rows: Sequence[tuple[Direction, Limits]],
    messages: Messages,
) -> None:
    """Check that each row holds somewhere in the box; what looks as if it did not is decided exactly."""
    positive, negative = matrix.maximum(0.0), matrix.minimum(0.0)
    with np.errstate(all="ignore"):
        least, most = positive @ lower + negative @ upper, positive @ upper + negative @ lower
        slack = 1e-9 * (abs(matrix) @ np.maximum(abs(lower), abs(upper)) + 1.0)
        doubtful = np.flatnonzero((least > row_upper - slack) | (most < row_lower + slack))
    for position in doubtful.tolist():
        direction, limits = rows[position]
        ends = [[factor * Fraction(float(bound[entry])) for bound in (lower, upper)] for entry, factor in direction]
        for row, excluded in (
            (limits.upper_row, limits.upper is not None and sum(map(min, ends)) > limits.upper),
            (limits.lower_row, limits.lower is not None and sum(map(max, ends)) < limits.lower),
        ):
            if row is not None and excluded:
                raise _EmptyError(f"{messages.quote(row.place)} holds nowhere between the bounds of its inputs", row)


def _check_bounded(missing: NDArray[np.int64], count: int, declared: Mapping[str, Atom], messages: Messages) -> None:
    """Raise an error that names every input that lacks a bound in one of `count` alternatives."""
    for entry in np.flatnonzero(missing.any(axis=0)):
        lacking = [kind for kind, number in zip(("lower", "upper"), missing[:, entry], strict=True) if number]
        where = f" in {missing[:, entry].max()} of {count} alternatives" if count > 1 else ""
        name = f"X_{entry}"
        example = f"(assert ({'>=' if lacking == ['lower'] else '<='} {name} 1))"
        message = f"{name} has no {' and no '.join(lacking)} bound{where}"
        messages.error(declared[name], message, f"every input needs both: add one like {example}")
    messages.stop_if_wrong()


def _report_empty(empty_ones: Sequence[_EmptyError], some_left: bool, messages: Messages) -> None:
    """Warn of alternatives that are left out, or raise an error if none is left."""
    for empty in empty_ones:
        if some_left:
            message = f"this alternative is empty and left out: {empty.message}"
            messages.warn("empty-piece", empty.row.place, message)
        else:
            messages.error(empty.row.place, f"the domain is empty: {empty.message}")
    messages.stop_if_wrong()


def _identity(domain: Polytope) -> tuple[bytes, ...]:
    """Return what two equal domains have in common."""
    rows = domain.rows
    arrays = (domain.lower, domain.upper, rows.indptr, rows.indices, rows.data, domain.row_lower, domain.row_upper)
    return tuple(np.ascontiguousarray(array).tobytes() for array in arrays)
