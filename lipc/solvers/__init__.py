"""Solvers, one class each; no other room calls a solver."""
