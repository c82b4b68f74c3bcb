"""Runs every benchmark, or those named: `python -m benchmarks [full_cycle push]`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import (
    full_cycle,
    idle,
    incremental,
    interval,
    on_demand,
    on_demand_cost,
    plan,
    push,
    reading,
    two_workers,
)

BENCHMARKS: dict[str, Callable[[], None]] = {
    "reading": reading.run,
    "full_cycle": full_cycle.run,
    "plan": plan.run,
    "incremental": incremental.run,
    "push": push.run,
    "idle": idle.run,
    "interval": interval.run,
    "on_demand": on_demand.run,
    "on_demand_cost": on_demand_cost.run,
    "two_workers": two_workers.run,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
