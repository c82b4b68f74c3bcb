"""Runs every benchmark, or those named: `python -m benchmarks [full_cycle ...]`."""

from __future__ import annotations

import sys

from benchmarks import full_cycle

BENCHMARKS = {"full_cycle": full_cycle.run}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
