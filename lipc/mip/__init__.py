"""Mixed-integer programs, and the formulation that makes them from programs."""

from lipc.mip.exclude import NoGood, exclude
from lipc.mip.facets import add_facets
from lipc.mip.lower import lower
from lipc.mip.program import Block, Formulation, Indicators, MixedIntegerProgram, Namer, Role
from lipc.mip.rows import add_rows
from lipc.mip.scaling import scale
from lipc.mip.solution import bit_columns, choices_of, columns_of
from lipc.mip.tiny import absorb_tiny_coefficients

__all__ = [
    "Block",
    "Formulation",
    "Indicators",
    "MixedIntegerProgram",
    "Namer",
    "NoGood",
    "Role",
    "absorb_tiny_coefficients",
    "add_facets",
    "add_rows",
    "bit_columns",
    "choices_of",
    "columns_of",
    "exclude",
    "lower",
    "scale",
]
