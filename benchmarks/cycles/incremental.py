"""An incremental cycle after a hundred changes, in a small company and in one ten times as large.

One process runs them all, as a worker does: the first is told by itself, for it also compiles statements and mapping.

`python -m benchmarks.cycles.incremental 10000 100000` are the sizes that issue 3 names; without arguments they are a fifth.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from benchmarks.company import company
from benchmarks.cycles.changes import JOINERS, LEAVERS, MOVERS, change_some, entitled_people
from benchmarks.cycles.full_cycle import child, connect
from tests.builders.secret_keys import secret_key

USERS_IN_A_GROUP = 50
ROUNDS = 5
ROW = "{:<44}{:>9}{:>9}{:>9}"


def run(*sizes: int) -> None:
    print(f"\nIncremental cycle after {MOVERS + LEAVERS + JOINERS} changes, on SQLite")
    print(ROW.format("", "CPU s", "wall s", "first"))
    first, *others = (_measure(users) for users in sizes or (2_000, 20_000))
    for other in others:
        print(f"  the larger against the smaller: {other / first:.2f}x")


def _measure(users: int) -> float:
    """Gives the CPU seconds of an increment: the median of the rounds after the first."""
    groups = users // USERS_IN_A_GROUP
    with company(users, groups) as ready, tempfile.TemporaryDirectory() as folder:
        environment = {
            "LEAVER_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/leaver.db",
            "LEAVER_SECRET_KEY": secret_key("benchmarks"),
            "LEAVER_ALLOW_SIMULATOR": "1",
        }
        connection = connect(environment, ready)
        child(environment, "benchmarks.cycles.one_cycle", connection)
        first, *rounds = _increments(environment, connection, ready["admin_url"])
    typical: float = median(each["cpu_s"] for each in rounds)
    wall_s = median(each["wall_s"] for each in rounds)
    name = f"{users:,} users, {groups:,} groups"
    print(ROW.format(name, f"{typical:.3f}", f"{wall_s:.2f}", f"{first['cpu_s']:.2f}"))
    return typical


def _increments(environment: Mapping[str, str], connection: str, admin_url: str) -> Iterator[dict[str, Any]]:
    """Yields what increments of one process cost, each after its changes."""
    people = entitled_people(admin_url)
    command = [sys.executable, "-m", "benchmarks.cycles.one_cycle", connection, "increments"]
    of_process = {**os.environ, "LEAVER_LOG_LEVEL": "error", **environment}
    with subprocess.Popen(
        command, env=of_process, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(ROUNDS + 1):
            change_some(admin_url, people)
            process.stdin.write("go\n")
            process.stdin.flush()
            line = next(each for each in process.stdout if each.startswith("{"))  # its log goes there too
            answer: dict[str, Any] = json.loads(line)
            assert answer["changes"] >= MOVERS + LEAVERS + JOINERS, answer
            yield answer


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
