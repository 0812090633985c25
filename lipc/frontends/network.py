"""What every front end returns: a program with one input and no question yet, and how the file names its ends."""

from __future__ import annotations

from dataclasses import dataclass

from lipc.ir import Program


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
    """

    program: Program
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_name: str
    output_name: str
    source: str
