"""A report costs what changed since the one before, and reads back as the whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from msgspec import structs
from sqlalchemy import func, select

from store import tables
from store.database import Database
from store.keys import utc_now
from store.records import (
    Connection,
    CycleId,
    CycleKind,
    CycleStatus,
    DriftFinding,
    DriftKind,
    FindingState,
    Reason,
    SubjectType,
)
from store.sync import cycles, drift_reports, report_writes
from store.sync.drift_reports import FindingQuery
from tests.builders.store_rows import record_drift

NOW = utc_now()
FINDING = DriftFinding(
    kind=DriftKind.MISSED_DEPROVISION,
    reason=Reason.DISABLED,
    subject_type=SubjectType.USER,
    subject_id="a",
    subject_label="a",
    before={"active": True},
    after={"active": False},
    first_seen=NOW,
    state=FindingState.OPEN,
    evidence={"user_found": False},
)


def _of(*subjects: str) -> list[DriftFinding]:
    return [structs.replace(FINDING, subject_id=subject, subject_label=subject) for subject in subjects]


async def _ended(database: Database, contoso: Connection, minute: int, **end: Any) -> CycleId:
    """A cycle that began and ended at this minute, without a report."""
    at, me = NOW + timedelta(minutes=minute), contoso.tenant_id
    kind = CycleKind.ON_DEMAND if "complete" in end else CycleKind.FULL
    started = await database.write(lambda conn: cycles.start(conn, me, contoso.id, kind, now=at))
    result = cycles.CycleResult(CycleStatus.APPLIED, **{"complete": True, **end})
    await database.write(lambda conn: cycles.finish(conn, me, started.id, result, now=at))
    return started.id


async def _report(
    database: Database, contoso: Connection, minute: int, findings: list[DriftFinding]
) -> CycleId:
    cycle = await _ended(database, contoso, minute)
    await database.write(lambda conn: record_drift(conn, contoso.tenant_id, contoso.id, cycle, findings))
    return cycle


async def _shown(database: Database, contoso: Connection, cycle: CycleId) -> dict[str, FindingState]:
    async with database.reading() as conn:
        shown = await drift_reports.report(conn, contoso.tenant_id, contoso.id, cycle)
    assert len({each.subject_id for each in shown.findings}) == len(shown.findings)
    return {each.subject_id: each.state for each in shown.findings}


async def _rows(database: Database) -> int:
    async with database.reading() as conn:
        return int((await conn.execute(select(func.count()).select_from(tables.drift_findings))).scalar_one())


async def test_a_report_without_news_writes_no_row_and_shows_everything(
    database: Database, contoso: Connection
) -> None:
    """An increment runs every 5 minutes: thousands of open findings are not copied 288 times a day."""
    many = [f"u{number}" for number in range(50)]
    await _report(
        database, contoso, 1, [structs.replace(each, evidence={"of": each.subject_id}) for each in _of(*many)]
    )
    before = await _rows(database)
    findings = [structs.replace(each, evidence={"of": each.subject_id}) for each in _of(*many)]

    second = await _report(database, contoso, 2, findings)

    assert await _rows(database) == before == 50
    assert set(await _shown(database, contoso, second)) == set(many)


async def test_each_report_still_shows_what_was_open_then(database: Database, contoso: Connection) -> None:
    """Findings that share a row end one by one; earlier reports stay as they were."""
    first = await _report(database, contoso, 1, _of("a", "b", "c"))
    second = await _report(database, contoso, 2, _of("a", "c"))
    third = await _report(database, contoso, 3, _of("a", "c", "d"))
    open_, over = FindingState.OPEN, FindingState.RESOLVED

    assert await _shown(database, contoso, first) == {"a": open_, "b": open_, "c": open_}
    assert await _shown(database, contoso, second) == {"a": open_, "b": over, "c": open_}
    assert await _shown(database, contoso, third) == {"a": open_, "c": open_, "d": open_}


async def test_a_report_that_broke_off_is_taken_back(database: Database, contoso: Connection) -> None:
    """A report is written in several transactions; a process may end between two of them."""
    first = await _report(database, contoso, 1, _of("a", "b"))
    scope = contoso.tenant_id, contoso.id

    async def break_off(conn: Any) -> None:
        previous = await report_writes.start_report(conn, *scope)
        over = list(previous.changes([structs.replace(_of("a")[0], state=FindingState.RESOLVED)]))
        await report_writes.add(conn, *scope, CycleId("dead"), previous.number, over)
        await report_writes.end_rows(conn, *scope, previous.number, previous.ended_rows)

    await database.write(break_off)
    assert await _shown(database, contoso, first) == {"a": FindingState.OPEN, "b": FindingState.OPEN}

    second = await _report(database, contoso, 2, _of("a", "b"))

    assert await _shown(database, contoso, second) == {"a": FindingState.OPEN, "b": FindingState.OPEN}
    assert await _rows(database) == 1


async def test_a_repair_on_demand_is_in_the_last_report_and_in_no_earlier_one(
    database: Database, contoso: Connection
) -> None:
    """The numbers of the last report stay true; what an earlier one said was true then."""
    scope = contoso.tenant_id, contoso.id
    first = await _report(database, contoso, 1, _of("a", "b"))
    second = await _report(database, contoso, 2, _of("a", "b"))
    by_hand = await _ended(database, contoso, 3, complete=None)
    repaired = [structs.replace(_of("a")[0], state=FindingState.REPAIRED)]

    await database.write(lambda conn: report_writes.record_repairs(conn, *scope, by_hand, repaired))
    third = await _report(database, contoso, 4, _of("b"))

    open_, done = FindingState.OPEN, FindingState.REPAIRED
    assert await _shown(database, contoso, first) == {"a": open_, "b": open_}
    assert await _shown(database, contoso, second) == {"a": done, "b": open_}
    assert await _shown(database, contoso, by_hand) == {"a": done}
    assert await _shown(database, contoso, third) == {"b": open_}


async def test_a_page_of_a_report_holds_so_many_and_the_database_counts_the_rest(
    database: Database, contoso: Connection
) -> None:
    """Findings that share a row are walked through one by one; a page of 100,000 reads no more than itself."""
    kind, earlier = DriftKind.LOCAL_ACCOUNT, NOW - timedelta(days=2)
    others = [structs.replace(each, kind=kind, reason=None, first_seen=earlier) for each in _of("x", "y")]
    findings = [*_of("a", "b", "c", "d", "e"), *others]
    await _report(database, contoso, 1, findings)
    of = contoso.tenant_id, contoso.id

    async def walk(query: FindingQuery) -> list[str]:
        found: list[str] = []
        async with database.reading() as conn:
            while True:
                page = await drift_reports.page(conn, *of, None, query)
                found += [each.subject_id for each in page.findings]
                if page.next is None:
                    return found
                query = replace(query, after=page.next)

    assert await walk(FindingQuery(limit=2)) == ["a", "b", "c", "d", "e", "x", "y"]
    assert await walk(FindingQuery(kind=kind, limit=1)) == ["x", "y"]
    assert await walk(FindingQuery(without=frozenset({kind}), limit=3)) == [*"abcde"]
    assert await walk(FindingQuery(state=FindingState.REPAIRED)) == []
    async with database.reading() as conn:
        page = await drift_reports.page(conn, *of, None, FindingQuery(limit=1))
    assert [(each.kind, each.number, each.oldest) for each in page.counts] == [
        (DriftKind.MISSED_DEPROVISION, 5, NOW),
        (kind, 2, earlier),
    ]
    assert page.number_of(FindingState.OPEN) == 7
