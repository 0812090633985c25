"""The intermediate representation: programs, builder, verifier, printer, interpreter. Imports no other room."""

from lipc.ir.builder import Builder, selection
from lipc.ir.interpreter import Choices, evaluate
from lipc.ir.polytope import Floats, Polytope
from lipc.ir.printer import print_program
from lipc.ir.program import (
    Affine,
    Conditional,
    Input,
    Interval,
    Kind,
    Lipschitz,
    Matrix,
    Norm,
    Objective,
    Op,
    Origin,
    Program,
    Sense,
    Switch,
    Term,
    entries,
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
    "entries",
    "evaluate",
    "print_program",
    "selection",
    "verify",
]
