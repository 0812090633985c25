"""Sound bounds of every value of a program, floating-point rounding included."""

from lipc.bounds.interval import interval_bounds
from lipc.bounds.linear import linear_bounds

__all__ = ["interval_bounds", "linear_bounds"]
