"""From a change in the directory to the moment when access is dead: 100 tenants of 1,000 people, every five minutes.

Real time, a real worker, simulated Entra tenants over HTTP. Every few seconds somebody is disabled, deleted, or taken
out of the group that gave access, in one directory after the other; each is read by several connections. The time is
from just before Entra is told to the time that the account has in the database.
Goal: p99 at most the interval and one cycle. Takes twenty minutes: `python -m benchmarks time_to_revoke`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.company import companies
from benchmarks.cycles.full_cycle import child, connect
from store import tables
from store.database import Database, open_database
from tests.builders.secret_keys import secret_key

TENANTS, PEOPLE, GROUPS = 100, 1_000, 20
ENTRA_TENANTS = 20
"""What Graph grants is shared by all who read one Entra tenant: here five connections each."""
INTERVAL_S = 300.0
LEAVES, BETWEEN_LEAVES_S = 120, 3.6
"""Seven minutes: every connection is read once and more."""
LONGEST_WAIT_S = 900.0
KINDS = ("disabled", "deleted", "out of the group")

_u, _c, _n = tables.users.c, tables.cycles.c, tables.connections.c


@dataclass(slots=True)
class Left:
    """Who left, where and when, and when each connection's account was dead."""

    person: str
    entra_tenant_id: str
    kind: str
    at: datetime
    delays_s: list[float] = field(default_factory=list)


def run() -> None:
    """Prints the table."""
    print(
        f"\nTime to revoke: {TENANTS} tenants of {PEOPLE:,} people, every {INTERVAL_S:.0f} s, SQLite;",
        end=" ",
    )
    print(f"load {os.getloadavg()[0]:.1f}")
    with companies(ENTRA_TENANTS, PEOPLE, GROUPS) as entra, tempfile.TemporaryDirectory() as folder:
        environment = {
            "LEAVER_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/leaver.db",
            "LEAVER_SECRET_KEY": secret_key("benchmarks"),
            "LEAVER_ALLOW_SIMULATOR": "1",
            "LEAVER_LOG_LEVEL": "error",
        }
        original = connect(environment, entra[0])
        child(
            environment,
            "benchmarks.workers.many",
            original,
            str(TENANTS - 1),
            json.dumps(entra[1:] + entra[:1]),
        )
        with _worker(environment):
            asyncio.run(_measure(environment["LEAVER_DATABASE_URL"], entra))


@contextmanager
def _worker(environment: Mapping[str, str]) -> Iterator[None]:
    command = [str(Path(sys.executable).with_name("leaver")), "worker"]
    process = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def _measure(url: str, entra: Sequence[Mapping[str, str]]) -> None:
    db = await open_database(url)
    try:
        began = time.monotonic()
        await db.write(_make_all_due)
        await _first_cycles(db)
        print(f"  first cycles of all: {time.monotonic() - began:.0f} s")
        since = datetime.now(UTC)
        leavers = await _leave(entra)
        await _all_dead(db, leavers)
        _show(leavers)
        await _show_cycles(db, since)
    finally:
        await db.close()


async def _make_all_due(conn: AsyncConnection) -> None:
    await conn.execute(update(tables.connections).values(next_due_at=datetime.now(UTC)))


async def _first_cycles(db: Database) -> None:
    """Wait until every connection was read once, and its beat has begun."""
    done = select(func.count(func.distinct(_c.connection_id))).where(_c.status == "applied")
    until = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < until:
        async with db.reading() as conn:
            if (await conn.execute(done)).scalar_one() == TENANTS:
                return
        await asyncio.sleep(1)
    raise AssertionError("the first cycles did not end in time")


async def _leave(entra: Sequence[Mapping[str, str]]) -> list[Left]:
    """Let somebody leave every few seconds, in one directory after the other."""
    people = {
        ready["admin_url"]: iter(await asyncio.to_thread(_entitled, ready["admin_url"])) for ready in entra
    }
    leavers: list[Left] = []
    for ready, kind in itertools.islice(
        zip(itertools.cycle(entra), itertools.cycle(KINDS), strict=False), LEAVES
    ):
        admin_url = ready["admin_url"]
        person = next(people[admin_url])
        at = datetime.now(UTC)
        await asyncio.to_thread(_lose, admin_url, person, kind)
        leavers.append(Left(str(person["id"]), ready["entra_tenant_id"], kind, at))
        await asyncio.sleep(BETWEEN_LEAVES_S)
    return leavers


def _entitled(admin_url: str) -> list[Mapping[str, Any]]:
    with urllib.request.urlopen(f"{admin_url}/state") as response:
        return [user for user in json.loads(response.read())["users"] if user["entitled"]]


def _lose(admin_url: str, person: Mapping[str, Any], kind: str) -> None:
    user = f"{admin_url}/users/{person['id']}"
    if kind == "disabled":
        _send("PATCH", user, {"accountEnabled": False})
    elif kind == "deleted":
        _send("DELETE", user)
    else:
        for way in person["via"]:
            if way == "direct":
                _send("DELETE", f"{admin_url}/assignments/{person['id']}")
            else:
                _send("DELETE", f"{admin_url}/groups/{way}/members/{person['id']}")


def _send(method: str, url: str, body: Mapping[str, object] | None = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    urllib.request.urlopen(request).close()


async def _all_dead(db: Database, leavers: Sequence[Left]) -> None:
    """Wait until the accounts of all who left are dead everywhere; note how long each took."""
    until = time.monotonic() + LONGEST_WAIT_S
    ids = {each.person: each for each in leavers}
    ended = select(_u.entra_object_id, _n.entra_tenant_id, _u.active, _u.deprovisioned_at).join_from(
        tables.users, tables.connections, _n.id == _u.connection_id
    )
    while time.monotonic() < until:
        async with db.reading() as conn:
            rows = (await conn.execute(ended.where(_u.entra_object_id.in_(ids)))).all()
        theirs = [row for row in rows if row.entra_tenant_id == ids[row.entra_object_id].entra_tenant_id]
        if not any(row.active for row in theirs):
            for row in theirs:
                left = ids[row.entra_object_id]
                left.delays_s.append((row.deprovisioned_at - left.at).total_seconds())
            return
        await asyncio.sleep(2)
    raise AssertionError("some accounts of people who left are still active")


def _show(leavers: Sequence[Left]) -> None:
    for kind in (*KINDS, "all"):
        times = sorted(t for each in leavers if kind in (each.kind, "all") for t in each.delays_s)
        p99 = statistics.quantiles(times, n=100)[98]
        print(
            f"  {kind:<18} {len(times):>5} accounts: p50 {statistics.median(times):.0f} s, p99 {p99:.0f} s, "
            f"max {times[-1]:.0f} s (interval {INTERVAL_S:.0f} s)"
        )


async def _show_cycles(db: Database, since: datetime) -> None:
    query = select(_c.kind, _c.status, _c.started_at, _c.finished_at).where(_c.started_at >= since)
    async with db.reading() as conn:
        rows = (await conn.execute(query.where(_c.finished_at.is_not(None)))).all()
    lasted = sorted((row.finished_at - row.started_at).total_seconds() for row in rows)
    kinds = sorted({f"{row.kind} {row.status}" for row in rows})
    print(
        f"  {len(lasted)} cycles ({', '.join(kinds)}): p50 {statistics.median(lasted):.1f} s, "
        f"p99 {statistics.quantiles(lasted, n=100)[98]:.1f} s, max {lasted[-1]:.1f} s"
    )
