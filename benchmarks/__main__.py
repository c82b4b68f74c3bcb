"""Runs every benchmark, or those named: `python -m benchmarks [full_cycle push]`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import api, events, session_check
from benchmarks.cycles import full_cycle, incremental, interval, plan, reading
from benchmarks.on_demand import cost, start_delay
from benchmarks.pages import browser, server_time, streams
from benchmarks.push import rates, worst_request
from benchmarks.workers import (
    idle,
    leavers,
    many_connections,
    memory,
    revocation,
    time_to_revoke,
    two_workers,
)

BENCHMARKS: dict[str, Callable[[], None]] = {
    "reading": reading.run,
    "full_cycle": full_cycle.run,
    "plan": plan.run,
    "incremental": incremental.run,
    "push": rates.run,
    "idle": idle.run,
    "interval": interval.run,
    "on_demand": start_delay.run,
    "on_demand_cost": cost.run,
    "two_workers": two_workers.run,
    "many_connections": many_connections.run,
    "memory": memory.run,
    "worst_request": worst_request.run,
    "session_check": session_check.run,
    "revocation": revocation.run,
    "leavers": leavers.run,
    "time_to_revoke": time_to_revoke.run,
    "events": events.run,
    "pages": server_time.run,
    "pages_in_a_browser": browser.run,
    "open_streams": streams.run,
    "api": api.run,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
