"""What a worker keeps of a large cycle: its resident memory before, after the first cycle, and after one without changes.

`python -m benchmarks.workers.memory [USERS GROUPS]`: a `leaver worker` on SQLite reads a company of 100 people, so
that all libraries are loaded, then the large one twice. Goal: at most 100 MB more than before.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.company import company
from benchmarks.cycles.full_cycle import connect
from benchmarks.push.rates import sqlite_file
from store.database import is_sqlite, sqlite_path
from tests.builders.secret_keys import secret_key

USERS, GROUPS = 60_000, 600
GOAL_MB = 100
TIMEOUT_S = 1_800.0
SETTLE_S = 3.0
ROW = "{:<44}{:>10}{:>10}"


def run(users: int = USERS, groups: int = GROUPS) -> None:
    """Prints the table."""
    print(
        f"\nMemory of a worker on SQLite; {users:,} people, {groups:,} groups; load {os.getloadavg()[0]:.1f}"
    )
    print(ROW.format("", "now MB", "peak MB"))
    with company(100, 4) as small, company(users, groups) as large, sqlite_file() as url:
        environment = {
            "LEAVER_DATABASE_URL": url,
            "LEAVER_SECRET_KEY": secret_key("benchmarks"),
            "LEAVER_ALLOW_SIMULATOR": "1",
            "LEAVER_LOG_LEVEL": "error",
        }
        first = connect(environment, small, "Small")
        command = [str(Path(sys.executable).with_name("leaver")), "worker"]
        worker = subprocess.Popen(command, env={**os.environ, **environment})
        try:
            before = _after("loaded, a cycle of 100 people", environment, url, worker, first, 1)
            second = connect(environment, large, "Large")
            left = _after("after the first large cycle", environment, url, worker, second, 1)
            again = _after("after one with nothing to change", environment, url, worker, second, 2)
        finally:
            worker.terminate()
            worker.wait()
    print(f"  kept: {left - before:.0f} MB and {again - before:.0f} MB (goal {GOAL_MB})")


def _after(
    label: str,
    environment: Mapping[str, str],
    url: str,
    worker: subprocess.Popen[bytes],
    connection: str,
    cycles: int,
) -> float:
    """Waits for so many cycles of a connection and prints what the worker holds then."""
    deadline = time.monotonic() + TIMEOUT_S
    if cycles > 1:
        asked = [str(Path(sys.executable).with_name("leaver")), "sync", connection, "--full", "--json"]
        subprocess.run(asked, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=True)
    while _ended(url, connection) < cycles:
        assert worker.poll() is None, "the worker ended"
        assert time.monotonic() < deadline, f"no {cycles} cycles in {TIMEOUT_S:.0f} s"
        time.sleep(1)
    time.sleep(SETTLE_S)
    status = dict(line.split(":", 1) for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines())
    now, peak = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    print(ROW.format(label, f"{now:.0f}", f"{peak:.0f}"), flush=True)
    return now


def _ended(url: str, connection: str) -> int:
    assert is_sqlite(url)
    query = "SELECT count(*) FROM cycles WHERE connection_id = ? AND kind <> 'incremental' AND finished_at IS NOT NULL"
    with sqlite3.connect(sqlite_path(url)) as database:
        found: int = database.execute(query, [connection]).fetchone()[0]
    return found


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
