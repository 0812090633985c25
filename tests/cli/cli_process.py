"""How tests start the command line in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "lipc", *map(str, args)]
