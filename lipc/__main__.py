"""``python -m lipc``."""

from lipc.cli.main import run

run()
