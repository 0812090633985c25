"""Certificates in exact arithmetic: witnesses of lower bounds, and proofs that a pattern has no interior."""

from lipc.certify.refute import Conflict
from lipc.certify.regions import Region, Regions
from lipc.certify.witness import Bits, Certifier, Witness

__all__ = ["Bits", "Certifier", "Conflict", "Region", "Regions", "Witness"]
