"""Which processes run, as tests of what becomes of them ask."""

from __future__ import annotations

import subprocess


def children(pid: int) -> list[int]:
    """Return the children of a process, zombies too."""
    with subprocess.Popen(["ps", "-eo", "pid=,ppid="], stdout=subprocess.PIPE, text=True) as listing:
        listed, _ = listing.communicate()
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [child for child, parent in pairs if parent == pid and child != listing.pid]


def is_running(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and not shown.startswith("Z")
