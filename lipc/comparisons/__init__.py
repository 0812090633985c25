"""Estimators held against the exact values, case by case and in the mean."""

from lipc.comparisons.run import Case, Comparison, Row, cases_of, compare

__all__ = ["Case", "Comparison", "Row", "cases_of", "compare"]
