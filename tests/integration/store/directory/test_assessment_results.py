"""What a person keeps in the vendor's app: written once, read by holder, erased only by a person's word."""

from __future__ import annotations

import pytest

from store.database import Database
from store.directory import assessment_results
from store.directory.assessment_results import ResultDetails
from store.errors import UniquenessConflict
from store.records import AssessmentResult, ChangeHolder, Connection, DeleteUser, GraphId, Origin, User
from tests.builders.store_rows import create_user, perform


async def add(
    database: Database, user: User, title: str, score: int = 90, details: ResultDetails | None = None
) -> AssessmentResult:
    return await database.write(
        lambda conn: assessment_results.add(conn, user.tenant_id, user.id, title, score, details=details)
    )


async def titles(database: Database, user: User, holder: int) -> set[str]:
    async with database.reading() as conn:
        found = await assessment_results.list_for_holder(conn, user.tenant_id, user.id, holder)
    return {result.title for result in found}


async def test_the_same_key_writes_once_and_another_result_under_it_is_refused(
    database: Database, contoso: Connection
) -> None:
    """Invariant I6: a repeated request changes nothing; issue 11: "keys reused with another body"."""
    ann = await create_user(database, contoso, "ann")
    details = ResultDetails(document={"answers": [1, 2]}, idempotency_key="attempt-1")

    first, again = [await add(database, ann, "Reading", details=details) for _ in range(2)]

    assert first == again
    assert first.document == {"answers": [1, 2]}
    with pytest.raises(UniquenessConflict):
        await add(database, ann, "Reading", 91, details)


async def test_an_erasure_takes_one_holders_results_and_leaves_its_trace(
    database: Database, contoso: Connection
) -> None:
    """W4: results belong to account and holder; the trace says how many and who, never what."""
    ann = await create_user(database, contoso, "ann")
    await add(database, ann, "Of Ann")
    await perform(database, contoso, ChangeHolder(ann.id, GraphId("entra-ben")), origin=Origin.GRAPH)
    await add(database, ann, "Of Ben")
    await perform(database, contoso, DeleteUser(ann.id))
    assert await titles(database, ann, 1) == {"Of Ann"}, "invariant I8"

    trace = await database.write(
        lambda conn: assessment_results.erase(
            conn, ann.tenant_id, ann.id, 1, actor="cli:ada", reason="Art. 17 request"
        )
    )

    assert trace is not None
    assert (trace.results, trace.holder_number) == (1, 1)
    assert await titles(database, ann, 1) == set()
    assert await titles(database, ann, 2) == {"Of Ben"}
    async with database.reading() as conn:
        assert await assessment_results.erasures(conn, ann.tenant_id, ann.id) == [trace]
