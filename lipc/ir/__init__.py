"""The intermediate representation: programs, builder, verifier, printer, interpreter. Imports no other room."""

from lipc.ir.builder import Builder
from lipc.ir.interpreter import Choices, evaluate, pullback, pushforward
from lipc.ir.matrix import (
    Matrix,
    add,
    as_dense,
    as_matrix,
    compose,
    entries,
    identity,
    nonzero_columns,
    scatter,
    selection,
    transpose,
)
from lipc.ir.norms import Norm
from lipc.ir.parser import parse_program
from lipc.ir.polytope import Floats, L1Ball, Polytope
from lipc.ir.printer import print_program, print_with_constants
from lipc.ir.program import (
    Affine,
    Conditional,
    Input,
    Interval,
    Kind,
    Lipschitz,
    Objective,
    Op,
    Origin,
    Program,
    Sense,
    Switch,
    Term,
)
from lipc.ir.verifier import verify

__all__ = [
    "Affine",
    "Builder",
    "Choices",
    "Conditional",
    "Floats",
    "Input",
    "Interval",
    "Kind",
    "L1Ball",
    "Lipschitz",
    "Matrix",
    "Norm",
    "Objective",
    "Op",
    "Origin",
    "Polytope",
    "Program",
    "Sense",
    "Switch",
    "Term",
    "add",
    "as_dense",
    "as_matrix",
    "compose",
    "entries",
    "evaluate",
    "identity",
    "nonzero_columns",
    "parse_program",
    "print_program",
    "print_with_constants",
    "pullback",
    "pushforward",
    "scatter",
    "selection",
    "transpose",
    "verify",
]
