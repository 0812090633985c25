"""Benchmarks: `python -m benchmarks` for the reference cases, `python -m benchmarks.writers` for the file writers."""
