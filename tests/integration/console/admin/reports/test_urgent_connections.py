"""The order that the database works out is what `console.admin.reports.status` says of each connection in words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from config.settings import Settings
from console.admin.actor import Actor, ActorKind
from console.admin.reports.status import Level, status, urgent
from console.admin.services import Services
from store import tables
from store.database import Database
from store.keys import utc_now
from store.records import CycleKind, CycleStatus, Policy
from store.sync import cycles, held_plans
from store.sync.cycles import CycleResult
from store.tenancy import connections, tenants
from store.tenancy.connections import ConnectionSettings

OPERATOR = Actor(ActorKind.CLI, "olga")


@dataclass(frozen=True)
class Case:
    """A connection: how its last cycle ended, what its row says beside, what is held or braked."""

    level: Level
    last: CycleStatus | None = CycleStatus.APPLIED
    open_findings: int = 0
    hours: dict[str, float] = field(default_factory=dict)
    """Columns with times, in hours from now."""
    values: dict[str, Any] = field(default_factory=dict)
    has_credential: bool = True
    is_held: bool = False
    is_braked: bool = False


READ = {"last_complete_at": -1.0}
CASES = {
    "fine": Case(Level.OK, hours=READ),
    "no credential": Case(Level.WARNING, None, has_credential=False),
    "never ran": Case(Level.WARNING, None),
    "paused": Case(Level.WARNING, hours={**READ, "paused_at": -2}, values={"quarantine_reason": "x"}),
    "paused in quarantine": Case(Level.WARNING, hours={**READ, "paused_at": -2, "quarantined_at": -3}),
    "quarantine": Case(Level.FAILED, CycleStatus.FAILED, hours={**READ, "quarantined_at": -2}),
    "failed": Case(Level.FAILED, CycleStatus.FAILED, hours=READ),
    "incomplete": Case(
        Level.FAILED, CycleStatus.INCOMPLETE, hours=READ, values={"consecutive_incomplete": 3}
    ),
    "twice incomplete": Case(Level.OK, hours=READ, values={"consecutive_incomplete": 2}),
    "overdue": Case(Level.FAILED, hours={"last_complete_at": -48.1}),
    "nearly overdue": Case(Level.OK, hours={"last_complete_at": -47.9}),
    "overdue in its own time": Case(
        Level.FAILED, hours={"last_complete_at": -13}, values={"policy": Policy(full_every_hours=6)}
    ),
    "overdue, paused": Case(Level.WARNING, hours={"last_complete_at": -90, "paused_at": -1}),
    "expired": Case(Level.FAILED, hours={**READ, "credential_expires_at": -1}),
    "ends in a week": Case(Level.WARNING, hours={**READ, "credential_expires_at": 150}),
    "ends in a year": Case(Level.OK, hours={**READ, "credential_expires_at": 9_000}),
    "drift": Case(Level.WARNING, open_findings=3, hours=READ),
    "held": Case(Level.WARNING, hours=READ, is_held=True),
    "braked": Case(Level.FAILED, hours=READ, is_braked=True),
    "braked and held": Case(Level.FAILED, hours=READ, is_held=True, is_braked=True, open_findings=1),
}


async def _make(database: Database, name: str, case: Case, now: datetime) -> None:
    tenant = await database.write(lambda conn: tenants.create(conn, f"Tenant {name}"))
    settings = ConnectionSettings(
        sealed_credential="sealed" if case.has_credential else None,
        policy=case.values.get("policy", Policy()),
    )
    made = await database.write(lambda conn: connections.create(conn, tenant.id, name, settings))
    of = tenant.id, made.id

    async def work(conn: Any) -> None:
        cycle = await cycles.start(conn, *of, CycleKind.FULL, now=now - timedelta(hours=1))
        if case.last is not None:
            complete = None if case.last is CycleStatus.FAILED else True
            result = CycleResult(case.last, complete, findings={"open": case.open_findings})
            await cycles.finish(conn, tenant.id, cycle.id, result, now=now)
        if case.is_held:
            body: dict[str, Any] = {"changes": [{}, {}]}
            await held_plans.hold(conn, *of, cycle.id, "ab" * 32, "why", body, now + timedelta(days=1))
        if case.is_braked:
            brake = {"connection_id": made.id, "tenant_id": tenant.id, "kind": "disable", "refused": 1}
            await conn.execute(insert(tables.push_brakes).values(braked_at=now, **brake))
        times = {each: now + timedelta(hours=hours) for each, hours in case.hours.items()}
        more = {each: value for each, value in case.values.items() if each != "policy"}
        if times or more:
            row = update(tables.connections).where(tables.connections.c.id == made.id)
            await conn.execute(row.values(**times, **more))

    await database.write(work)


@pytest.fixture
async def services(database: Database, database_url: str) -> Services:
    now = utc_now()
    for name, case in CASES.items():
        await _make(database, name, case, now)
    return Services(Settings(database_url=database_url), database)


async def test_each_connection_has_the_level_of_its_worst_concern(services: Services) -> None:
    """issue 12, Operator: "all connections, worst first"; by one pass of the database, as by each one's own words."""
    page = await urgent(services, OPERATOR)
    found = {each.connection.name: each.level for each in page.connections}
    assert found == {name: case.level for name, case in CASES.items()}
    for level in Level:
        some = await urgent(services, OPERATOR, level=level)
        assert {each.level for each in some.connections} == {level}
        assert len(some.connections) == page.counts[level]
    one_by_one = await status(services, OPERATOR)
    ranks = ([(each.level, len(each.concerns)) for each in of.connections] for of in (page, one_by_one))
    assert next(ranks) == next(ranks)


async def test_pages_follow_each_other_and_a_part_of_a_name_is_found(services: Services) -> None:
    whole = [each.connection.id for each in (await urgent(services, OPERATOR)).connections]
    first = await urgent(services, OPERATOR, limit=7)
    last = await urgent(services, OPERATOR, skip=14, limit=7)
    assert [each.connection.id for each in first.connections] == whole[:7]
    assert [each.connection.id for each in last.connections] == whole[14:]
    assert (first.has_more, last.has_more) == (True, False)
    named = await urgent(services, OPERATOR, name="BRAKED and")
    assert [each.connection.name for each in named.connections] == ["braked and held"]


async def test_of_another_tenant_nothing_is_listed_or_counted(services: Services) -> None:
    """Invariant I5; and how busy the workers are is the operator's matter."""
    async with services.db.reading() as conn:
        [tenant, *_] = [each for each in await tenants.list_all(conn) if each.name == "Tenant fine"]
    seen = await urgent(services, replace(OPERATOR, tenant=tenant.id))
    assert [each.connection.name for each in seen.connections] == ["fine"]
    assert (sum(seen.counts.values()), seen.workload) == (1, None)
    page = await urgent(services, OPERATOR)
    assert page.workload is not None
    assert page.workload.due > 10
