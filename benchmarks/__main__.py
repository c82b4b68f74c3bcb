"""Runs every benchmark, or those named: `python -m benchmarks [full_cycle push]`."""

from __future__ import annotations

import argparse
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    for name in names or BENCHMARKS:
        BENCHMARKS[name]()
