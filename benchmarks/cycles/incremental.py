"""An incremental cycle after a hundred changes, in a small company and in one ten times as large.

`python -m benchmarks.cycles.incremental 10000 100000` are the sizes that issue 3 names; without arguments they are a fifth.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from benchmarks.company import company
from benchmarks.cycles.full_cycle import child, connect
from tests.builders.secret_keys import secret_key

USERS_IN_A_GROUP = 50
ROUNDS = 3
MOVERS, LEAVERS, JOINERS = 80, 10, 10
ROW = "{:<44}{:>9}{:>9}"

_numbers = itertools.count()


def run(*sizes: int) -> None:
    print(f"\nIncremental cycle after {MOVERS + LEAVERS + JOINERS} changes, on SQLite")
    print(ROW.format("", "CPU s", "wall s"))
    first, *others = (_measure(users) for users in sizes or (2_000, 20_000))
    for other in others:
        print(f"  the larger against the smaller: {other / first:.2f}x")


def _measure(users: int) -> float:
    """Gives the CPU seconds of an increment, the median of some rounds; the one after the first cycle warms up."""
    groups = users // USERS_IN_A_GROUP
    with company(users, groups) as ready, tempfile.TemporaryDirectory() as folder:
        environment = {
            "LEAVER_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/leaver.db",
            "LEAVER_SECRET_KEY": secret_key("benchmarks"),
            "LEAVER_ALLOW_SIMULATOR": "1",
        }
        connection = connect(environment, ready)
        child(environment, "benchmarks.cycles.one_cycle", connection)
        people = entitled_people(ready["admin_url"])
        child(environment, "benchmarks.cycles.one_cycle", connection, "incremental")
        rounds = [_round(environment, connection, ready["admin_url"], people) for _ in range(ROUNDS)]
    typical: float = median(each["cpu_s"] for each in rounds)
    shown = next(each for each in rounds if each["cpu_s"] == typical)
    name = f"{users:,} users, {groups:,} groups"
    print(ROW.format(name, f"{typical:.2f}", f"{shown['wall_s']:.2f}"))
    return typical


def _round(
    environment: Mapping[str, str], connection: str, admin_url: str, people: Iterator[Mapping[str, Any]]
) -> dict[str, Any]:
    change_some(admin_url, people)
    answer = child(environment, "benchmarks.cycles.one_cycle", connection, "incremental")
    assert answer["changes"] >= MOVERS + LEAVERS + JOINERS, answer
    return answer


def change_some(admin_url: str, people: Iterator[Mapping[str, Any]]) -> None:
    for _ in range(MOVERS):
        _send("PATCH", f"{admin_url}/users/{next(people)['id']}", {"jobTitle": f"Title {next(_numbers)}"})
    for _ in range(LEAVERS):
        _send("PATCH", f"{admin_url}/users/{next(people)['id']}", {"accountEnabled": False})
    for _ in range(JOINERS):
        name = f"new{next(_numbers)}"
        body = {"displayName": name, "userPrincipalName": f"{name}@fabrikam-demo.example"}
        new = _send("POST", f"{admin_url}/users", body)
        group = next(people)["via"][-1]
        _send("PUT", f"{admin_url}/groups/{group}/members/{new['id']}")


def entitled_people(admin_url: str) -> Iterator[Mapping[str, Any]]:
    entitled = [
        user
        for user in _send("GET", f"{admin_url}/state")["users"]
        if user["entitled"] and user["via"][-1] != "direct"
    ]
    return iter(entitled)


def _send(method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        text = response.read()
    return json.loads(text) if text else None


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
