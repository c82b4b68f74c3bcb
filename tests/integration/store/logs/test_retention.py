"""What is kept for a time only goes when its time is over, and nothing that is still in use goes with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import func, select

from store import tables
from store.database import Database
from store.directory import assessment_results, sessions, users
from store.integration import app_keys
from store.integration.app_keys import NewAppKey
from store.keys import utc_now
from store.logs import events, retention
from store.logs.retention import Pruned
from store.records import (
    AppKeyKind,
    Connection,
    CycleId,
    CycleKind,
    CycleStatus,
    DriftFinding,
    DriftKind,
    FindingState,
    PlanId,
    SessionTerms,
    SubjectType,
)
from store.sync import cycles, drift_reports, guard_memory, held_plans
from store.tenancy import api_tokens
from tests.builders.store_rows import create_user, record_drift

NOW = utc_now()
LONG_AGO = NOW - timedelta(days=100)
CUTOFF = NOW - timedelta(days=90)

FINDING = DriftFinding(
    DriftKind.LOCAL_ACCOUNT, None, SubjectType.USER, "u1", "ann", {}, {}, LONG_AGO, FindingState.REPAIRED
)


async def count(database: Database, table: str) -> int:
    async with database.reading() as conn:
        return int(
            (await conn.execute(select(func.count()).select_from(getattr(tables, table)))).scalar_one()
        )


async def cycle(
    database: Database,
    contoso: Connection,
    at: datetime,
    kind: CycleKind = CycleKind.FULL,
    finding: DriftFinding = FINDING,
    **end: Any,
) -> CycleId:
    """A cycle of that time with one finding; complete, where nothing else is said."""
    me = contoso.tenant_id

    async def work(conn: Any) -> CycleId:
        started = await cycles.start(conn, me, contoso.id, kind, now=at)
        ended = cycles.CycleResult(**{"status": CycleStatus.APPLIED, "complete": True, **end})
        await cycles.finish(conn, me, started.id, ended, now=at)
        if ended.complete is not None:
            await record_drift(conn, me, contoso.id, started.id, [finding])
        return started.id

    return await database.write(work)


async def kept(database: Database, contoso: Connection) -> set[CycleId]:
    async with database.reading() as conn:
        found = await cycles.latest(conn, contoso.tenant_id, contoso.id, limit=100)
    return {each.id for each in found}


async def prune_cycles(database: Database) -> int:
    """Until nothing is left to do; gives the rows that went."""
    rows = 0
    for _ in range(20):
        done = await database.write(lambda conn: retention.prune_cycles(conn, CUTOFF))
        rows += done.rows
        if done.is_done:
            return rows
    raise AssertionError("pruning comes to no end")


@pytest.mark.parametrize(
    ("prune", "table"),
    [
        pytest.param(retention.prune_provisioning_log, "provisioning_log", id="provisioning log"),
        pytest.param(retention.prune_audit_log, "audit_log", id="audit log"),
    ],
)
async def test_what_is_older_than_its_time_goes_and_the_person_stays(
    database: Database, contoso: Connection, prune: Any, table: str
) -> None:
    """Invariant I8: history survives; what goes is what was said about it."""
    ann = await create_user(database, contoso, "ann")
    await database.write(lambda conn: assessment_results.add(conn, contoso.tenant_id, ann.id, "Reading", 97))
    await database.write(lambda conn: api_tokens.create(conn, contoso.tenant_id, contoso.id, "Entra", ()))

    async def pruned(before: datetime) -> Pruned:
        return await database.write(lambda conn: prune(conn, before))

    now = utc_now()
    assert await pruned(now - timedelta(days=1)) == Pruned(0, is_done=True)
    assert await pruned(now + timedelta(days=1)) == Pruned(1, is_done=True)
    assert await count(database, table) == 0
    async with database.reading() as conn:
        assert (await users.get(conn, contoso.tenant_id, ann.id)).active
        assert len(await assessment_results.list_for_user(conn, contoso.tenant_id, ann.id)) == 1


async def test_one_call_deletes_a_bounded_number_and_says_that_there_is_more(
    database: Database, contoso: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long log makes nobody wait: the oldest go first, a few at a time."""
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    for name in ("ann", "ben", "cy", "dan"):
        await create_user(database, contoso, name)
    tomorrow = utc_now() + timedelta(days=1)

    async def pruned() -> Pruned:
        return await database.write(lambda conn: retention.prune_events(conn, tomorrow))

    assert await pruned() == Pruned(2, is_done=False)
    async with database.reading() as conn:
        left = (await conn.execute(select(tables.events))).mappings().all()
        assert await events.pruned_through(conn) == left[0]["id"] - 1
    assert [row["payload"]["userName"] for row in left] == ["cy@contoso.example", "dan@contoso.example"]
    assert await pruned() == Pruned(1, is_done=True)
    assert await pruned() == Pruned(0, is_done=True), "the newest stays, so that no id comes twice"


async def test_a_session_goes_some_time_after_it_ran_out(database: Database, contoso: Connection) -> None:
    """A session that can still be used is never touched, however old; a revoked one goes with its time too."""
    ann = await create_user(database, contoso, "ann")
    me = contoso.tenant_id

    async def work(conn: Any) -> str:
        await sessions.start(conn, me, ann.id, now=LONG_AGO)
        revoked, _ = await sessions.start(conn, me, ann.id, now=LONG_AGO)
        await sessions.end(conn, me, revoked.id, now=LONG_AGO)
        long = timedelta(days=200).total_seconds()
        _, secret = await sessions.start(conn, me, ann.id, now=LONG_AGO, terms=SessionTerms(lifetime_s=long))
        return secret

    secret = await database.write(work)

    assert (await database.write(lambda conn: retention.prune_sessions(conn, CUTOFF))).rows == 2
    async with database.reading() as conn:
        assert await sessions.find_live(conn, secret, now=NOW)


async def test_what_the_app_registered_goes_some_time_after_it_ended(
    database: Database, contoso: Connection
) -> None:
    ann = await create_user(database, contoso, "ann")
    me = contoso.tenant_id

    async def work(conn: Any) -> None:
        for reference in ("lives", "ended"):
            key = await app_keys.register(
                conn, me, ann.id, NewAppKey(AppKeyKind.API_KEY, reference), LONG_AGO
            )
        await app_keys.end(conn, me, [key.id], "ended by the app", LONG_AGO)

    await database.write(work)
    assert (await database.write(lambda conn: retention.prune_app_keys(conn, CUTOFF))).rows == 1
    async with database.reading() as conn:
        assert [each.reference for each in await app_keys.list_for_user(conn, me, ann.id)] == ["lives"]


async def test_old_cycles_go_with_their_reports(database: Database, contoso: Connection) -> None:
    """Drift reports are kept for the time that is set, and as many cycles."""
    await cycle(database, contoso, LONG_AGO)
    await cycle(database, contoso, LONG_AGO + timedelta(hours=1), CycleKind.ON_DEMAND, complete=None)
    await cycle(database, contoso, LONG_AGO + timedelta(hours=2), status=CycleStatus.FAILED, complete=None)
    young = await cycle(database, contoso, NOW)

    # Of the old ones two had no report; the young one's finding stays.
    assert await prune_cycles(database) == 4
    assert await kept(database, contoso) == {young}
    assert await count(database, "drift_findings") == 1


async def test_a_report_larger_than_a_call_goes_piece_by_piece(
    database: Database, contoso: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first cycle finds everybody: its report is as long as the company."""
    monkeypatch.setattr(retention, "AT_ONCE", 1)
    for hour in range(3):
        await cycle(database, contoso, LONG_AGO + timedelta(hours=hour))
    young = await cycle(database, contoso, NOW)

    assert await prune_cycles(database) == 6
    assert await kept(database, contoso) == {young}
    assert await count(database, "drift_findings") == 1


async def test_a_finding_that_is_still_open_stays_when_the_cycle_that_found_it_goes(
    database: Database, contoso: Connection
) -> None:
    """The last report shows it since then; a finding that ended goes with the last report that showed it."""
    still_open = structs.replace(FINDING, state=FindingState.OPEN)
    over = structs.replace(still_open, subject_id="u2")
    await cycle(database, contoso, LONG_AGO, finding=over)
    await cycle(database, contoso, LONG_AGO + timedelta(hours=1), finding=still_open)
    young = await cycle(database, contoso, NOW, finding=still_open)

    await prune_cycles(database)

    assert await count(database, "drift_findings") == 1
    async with database.reading() as conn:
        shown = await drift_reports.report(conn, contoso.tenant_id, contoso.id)
    assert (shown.cycle_id, shown.findings) == (young, (still_open,))


async def test_the_last_report_and_the_last_good_cycle_stay_however_old(
    database: Database, contoso: Connection
) -> None:
    """Reports are compared with the last, plans with the last good cycle: a pause of a year forgets neither."""
    await cycle(database, contoso, LONG_AGO)
    good = await cycle(database, contoso, LONG_AGO + timedelta(hours=1), counts={"users": 7})
    await cycle(database, contoso, LONG_AGO + timedelta(hours=2), complete=False)
    held = await cycle(database, contoso, LONG_AGO + timedelta(hours=3), held_plan_id=PlanId("p"))

    await prune_cycles(database)

    assert await kept(database, contoso) == {good, held}
    async with database.reading() as conn:
        assert (await drift_reports.report(conn, contoso.tenant_id, contoso.id)).cycle_id == held
        memory = await guard_memory.history(conn, contoso.tenant_id, contoso.id, NOW)
    assert memory.last_good_counts == {"users": 7}


async def test_the_cycle_of_a_plan_that_waits_stays(database: Database, contoso: Connection) -> None:
    """Who decides about a held plan can still see what was found."""
    old = await cycle(database, contoso, LONG_AGO)
    await database.write(
        lambda conn: held_plans.hold(
            conn, contoso.tenant_id, contoso.id, old, "sum", "why", {}, NOW + timedelta(days=1), now=LONG_AGO
        )
    )
    young = await cycle(database, contoso, NOW)

    await prune_cycles(database)

    assert await kept(database, contoso) == {old, young}


async def test_a_cycle_that_runs_stays(database: Database, contoso: Connection) -> None:
    """Whatever the clock says."""
    running = await database.write(
        lambda conn: cycles.start(conn, contoso.tenant_id, contoso.id, CycleKind.FULL, now=LONG_AGO)
    )

    await prune_cycles(database)

    assert await kept(database, contoso) == {running.id}
