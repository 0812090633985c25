"""What a sidecar holds beside its columns, so that an answer can be checked without the model: the network itself.

The network stands there with its question, and for each of its inputs and bits which column it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipc.certify import Bits
from lipc.diagnostics import SourceText
from lipc.errors import InternalError
from lipc.formats.arrays import packed, unpacked
from lipc.formats.lir import EXTERNAL
from lipc.ir import Conditional, Floats, Input, Kind, Program, print_with_constants
from lipc.ir.parser import read_program
from lipc.mip import MixedIntegerProgram, bit_columns
from lipc.passes.run import Trail

FREE = 2
"""Codes of entries from here on are columns, and 1 minus such a code is a flipped column; 0 and 1 are decided bits."""

UNKNOWN = -(2**62)
"""The code of an entry that does not matter."""

_INPUT, _BITS, _CONSTANT = "input", "bits.", "constant."


@dataclass(frozen=True, eq=False)
class Evidence:
    """A network with its question, and how a solution of its mixed-integer program is read.

    Parameters
    ----------
    program
        The network with the question as its objective: what certificates are about.
    input
        Shape ``(n,)``: the codes of its inputs.
    bits
        By conditional, the codes of its bits.
    """

    program: Program
    input: NDArray[np.int64]
    bits: Mapping[int, NDArray[np.int64]]

    def point(self, columns: Floats) -> Floats:
        """Return the input in a solution, shape ``(n,)``; NaN where it does not matter."""
        return _decoded(self.input, columns)

    def pattern(self, columns: Floats) -> dict[int, Floats]:
        """Return the bits in a solution, by conditional; NaN for those that do not matter."""
        rounded = np.round(columns)
        return {value: _decoded(codes, rounded) for value, codes in self.bits.items()}

    @property
    def relevant(self) -> Bits:
        """For each conditional, which of its bits are columns."""
        return {value: (codes >= FREE) | ((codes < 0) & (codes != UNKNOWN)) for value, codes in self.bits.items()}


def _decoded(codes: NDArray[np.int64], columns: Floats) -> Floats:
    decoded = codes.astype(np.float64)
    flipped = (codes < 0) & (codes != UNKNOWN)
    decoded[codes == UNKNOWN] = np.nan
    decoded[codes >= FREE] = columns[codes[codes >= FREE] - FREE]
    decoded[flipped] = 1.0 - columns[1 - codes[flipped] - FREE]
    return decoded


def evidence_record(asked: Program, trail: Trail, mip: MixedIntegerProgram) -> dict[str, str] | None:
    """Return the evidence as plain values for JSON; `None` for a program that is no network of one input.

    Parameters
    ----------
    trail
        From the network to the program that was lowered.
    """
    inputs = [value for value, op in enumerate(asked.ops) if isinstance(op, Input)]
    if len(inputs) != 1 or asked.ops[inputs[0]].kind is Kind.BIT:
        return None
    places = {value: columns.astype(np.float64) + FREE for value, columns in bit_columns(mip).items()}
    recovered = trail.recover(places)
    text, constants = print_with_constants(asked.with_bounds({}), EXTERNAL)
    arrays: dict[str, NDArray[Any]] = {_CONSTANT + name: array for name, array in constants.items()}
    for value in (*inputs, *asked.find(Conditional)):
        codes = recovered.get(value, np.full(asked.ops[value].size, np.nan))
        arrays[_INPUT if value == inputs[0] else f"{_BITS}{value}"] = _encoded(codes)
    return {"text": text, "arrays": packed(arrays)}


def _encoded(codes: Floats) -> NDArray[np.int64]:
    known = ~np.isnan(codes)
    if (codes[known] != np.round(codes[known])).any():
        raise InternalError("a pass left entries of the network that are no columns of the program")
    return np.where(known, np.where(known, codes, 0.0), UNKNOWN).astype(np.int64)


def read_evidence(record: object, columns: int) -> Evidence:
    """Return the evidence of a record.

    Parameters
    ----------
    columns
        Of the mixed-integer program.

    Raises
    ------
    ValueError
        If it is none.
    SourceError
        If the text of the network is none.
    """
    if not isinstance(record, Mapping) or not all(isinstance(record.get(key), str) for key in ("text", "arrays")):
        raise ValueError("it does not hold the network")
    arrays = unpacked(record["arrays"])
    constants = {name.removeprefix(_CONSTANT): each for name, each in arrays.items() if name.startswith(_CONSTANT)}
    program = read_program(SourceText("the network in the sidecar", record["text"]), lambda _: constants)
    network_input, _ = program.network_input()
    if program.objective is None:
        raise ValueError("the network in it asks nothing")
    codes = {value: arrays.get(f"{_BITS}{value}") for value in program.find(Conditional)}
    codes[network_input] = arrays.get(_INPUT)
    checked = {value: _checked(each, program.ops[value].size, columns) for value, each in codes.items()}
    return Evidence(program, checked.pop(network_input), checked)


def _checked(codes: NDArray[Any] | None, size: int, columns: int) -> NDArray[np.int64]:
    if codes is None or codes.shape != (size,) or codes.dtype != np.int64:
        raise ValueError("what its columns stand for does not fit the network")
    known = codes[codes != UNKNOWN]
    if (np.where(known < 0, 1 - known, known) >= FREE + columns).any():
        raise ValueError("what its columns stand for does not fit the program")
    return codes
