"""Measures cost against size on both databases and draws it: `python -m benchmarks.plots [FOLDER [SIZES …]]`.

CPU of the worker's own process and, on PostgreSQL, of the server's: wall times belong to whatever else runs. The
numbers are kept beside the pictures.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.company import company
from benchmarks.cycles.changes import change_some, people_of
from benchmarks.cycles.full_cycle import child, connect, databases
from benchmarks.plots.chart import Point, chart
from benchmarks.server_usage import measured_server
from tests.builders.secret_keys import secret_key

SIZES = (1_000, 4_000, 16_000, 64_000)
USERS_IN_A_GROUP = 50
FOLDER = Path("docs/pictures")
CYCLE, INCREMENT, PUSH, PAGE = "cycle", "increment", "push", "page"
TITLES = {
    CYCLE: "A full cycle: seconds of CPU",
    INCREMENT: "An increment after 100 changes: seconds of CPU",
    PUSH: "One user pushed: milliseconds of CPU",
    PAGE: "A page of 50 people: milliseconds of CPU",
}

Series = dict[str, dict[str, list[Point]]]


def main(folder: str = str(FOLDER), *sizes: str) -> None:
    found: Series = {work: defaultdict(list) for work in TITLES}
    load = os.getloadavg()[0]
    for users in map(int, sizes or map(str, SIZES)):
        with company(users, max(4, users // USERS_IN_A_GROUP)) as ready:
            for name, url, _ in databases():
                _measure(found, name, url, ready, users)
    for work, lines in found.items():
        Path(folder, f"cost-{work}.svg").write_text(chart(TITLES[work], "people", lines))
    about = {"at": datetime.now(UTC).isoformat(timespec="minutes"), "load": [load, os.getloadavg()[0]]}
    Path(folder, "cost.json").write_text(json.dumps({**about, "lines": found}, indent=1) + "\n")


def _measure(found: Series, name: str, url: str, ready: Mapping[str, Any], users: int) -> None:
    environment = {
        "LEAVER_DATABASE_URL": url,
        "LEAVER_SECRET_KEY": secret_key("benchmarks"),
        "LEAVER_ALLOW_SIMULATOR": "1",
    }
    connection = connect(environment, ready)

    def note(work: str, line: str, cost: float) -> None:
        found[work][line].append((users, cost))
        print(f"{users:>8,} {name:<12}{TITLES[work]} ({line}): {cost:.3f}", flush=True)

    def cycle(*kind: str) -> float:
        with measured_server(url) as server:
            own: float = child(environment, "benchmarks.cycles.one_cycle", connection, *kind)["cpu_s"]
        return own + (server.cpu_s or 0.0)

    note(CYCLE, f"{name}, the first", cycle())
    note(CYCLE, f"{name}, nothing to change", cycle())
    change_some(ready["admin_url"], people_of(url))
    note(INCREMENT, name, cycle("incremental"))
    told = child(environment, "benchmarks.plots.at_size", connection)
    note(PUSH, name, told["push_ms"])
    note(PAGE, name, told["page_ms"])


if __name__ == "__main__":
    main(*sys.argv[1:])
