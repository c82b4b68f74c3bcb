"""A page of the provisioning log costs a bounded number of entries, however few of them fit."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import Database
from store.keys import utc_now
from store.logs import provisioning_log, recent_entries
from store.logs.journal import LogSubject
from store.logs.recent_entries import LogFilter
from store.records import Action, Cause, Connection, LogStatus, Origin, SubjectType

ENTRIES = 60
SUCCESS = LogFilter(hides_skipped=True)


@pytest.fixture
async def begun_at(database: Database, contoso: Connection, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Sixty entries, an hour apart; every twentieth is a success, the others were skipped."""
    monkeypatch.setattr(recent_entries, "FIRST_LOOK", 4)
    begun = utc_now() - timedelta(hours=ENTRIES)

    async def work(conn: AsyncConnection) -> None:
        for number in range(ENTRIES):
            await provisioning_log.append(
                *(conn, contoso.tenant_id, contoso.id, Cause(Origin.SCIM, "request")),
                action=Action.UPDATE,
                status=LogStatus.SUCCESS if number % 20 == 0 else LogStatus.SKIPPED,
                subject=LogSubject(SubjectType.USER, None, f"person {number}"),
                now=begun + timedelta(hours=number),
            )

    await database.write(work)
    return begun


async def _pages(
    database: Database, of: Connection, wanted: LogFilter, *, limit: int, most: int
) -> list[list[str]]:
    pages: list[list[str]] = []
    before = None
    while True:
        async with database.reading() as conn:
            page = await recent_entries.search(
                conn, of.tenant_id, of.id, wanted, before=before, limit=limit, most=most
            )
        pages.append([entry.subject_label for entry in page.entries])
        if page.next is None:
            return pages
        before = page.next


async def test_pages_together_are_all_that_fit(
    database: Database, contoso: Connection, begun_at: datetime
) -> None:
    everything = await _pages(database, contoso, LogFilter(), limit=7, most=1_000)
    assert [len(page) for page in everything] == [7] * 8 + [4]
    assert [each for page in everything for each in page] == [
        f"person {number}" for number in reversed(range(ENTRIES))
    ]
    assert await _pages(database, contoso, SUCCESS, limit=2, most=1_000) == [
        ["person 40", "person 20"],
        ["person 0"],
    ]


async def test_a_page_looks_at_no_more_than_it_may_and_the_next_goes_on(
    database: Database, contoso: Connection, begun_at: datetime
) -> None:
    pages = await _pages(database, contoso, SUCCESS, limit=50, most=16)
    assert [page for page in pages if page] == [["person 40"], ["person 20"], ["person 0"]]
    assert len(pages) > 3


async def test_what_is_older_than_wanted_is_not_looked_at(
    database: Database, contoso: Connection, begun_at: datetime
) -> None:
    late = LogFilter(since=begun_at + timedelta(hours=50), hides_skipped=True)
    assert await _pages(database, contoso, late, limit=50, most=24) == [[]]
    rest = LogFilter(since=begun_at + timedelta(hours=57))
    assert await _pages(database, contoso, rest, limit=50, most=24) == [
        ["person 59", "person 58", "person 57"]
    ]
