"""``python -m lipc``."""

import sys

try:
    from lipc.cli.main import run
except KeyboardInterrupt:
    print("lipc: interrupted", file=sys.stderr)
    sys.exit(130)

run()
