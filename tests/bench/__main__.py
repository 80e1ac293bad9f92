"""`make bench`: every figure of docs/performance.md, with machine and date.

Usage: `python -m tests.bench [PART…]`; BENCH_ROUNDS says how many rounds, 3 by default.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

PARTS = ("commits", "judging", "reading", "imports", "board", "million", "kafka")


def main() -> int:
    """Run the named parts, or all."""
    from bench.common import machine

    wanted = sys.argv[1:] or PARTS
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        print(f"unknown part: {', '.join(unknown)}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    print(f"Measured {machine()}")
    for part in wanted:
        importlib.import_module(f"bench.{part}").measure()
    return 0


if __name__ == "__main__":
    sys.exit(main())
