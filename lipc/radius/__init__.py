"""Certified radii: how far each input may move before another class wins."""

from lipc.radius.result import ClassRadius, RadiusReport, RadiusResult
from lipc.radius.search import certify_radius

__all__ = ["ClassRadius", "RadiusReport", "RadiusResult", "certify_radius"]
