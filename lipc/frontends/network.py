"""What every front end returns: a program with one input, how the file names its ends, and what it asks."""

from __future__ import annotations

from dataclasses import dataclass

from lipc.diagnostics import Diagnostic
from lipc.ir import Program
from lipc.query import Query


@dataclass(frozen=True)
class Network:
    """A network read from a file or from arrays.

    Parameters
    ----------
    program
        One `Input` over all of R^n; its result is the output, flattened; no objective.
    input_shape, output_shape
        The shapes in the file, a batch dimension being 1; both ends are flattened in row-major order.
    input_name, output_name
        The names in the file.
    source
        The file, for messages.
    query
        The question that the file itself asks, if it asks one.
    warnings
        What is suspicious in the file.
    seconds
        What reading it took.
    files
        What it was read from: the file named, then those that this one loads; none for what was made in memory.
    dropped_softmax
        Whether a Softmax at the end was to be left out.
    """

    program: Program
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_name: str
    output_name: str
    source: str
    query: Query | None = None
    warnings: tuple[Diagnostic, ...] = ()
    seconds: float = 0.0
    files: tuple[str, ...] = ()
    dropped_softmax: bool = False
