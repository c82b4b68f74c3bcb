"""What the vendor's app keeps itself ends with the person's access, and the app has to say so (issue 11)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from store.database import Database
from store.directory import receipts, users
from store.errors import AccessRefused
from store.integration import app_keys
from store.integration.app_keys import NewAppKey
from store.logs import events
from store.records import (
    AppKey,
    AppKeyKind,
    ChangeHolder,
    ChangeUser,
    Command,
    Connection,
    DisableUser,
    Ending,
    GraphId,
    User,
    UserId,
)
from tests.builders.store_rows import create_user, perform, setting

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


async def register(
    database: Database, user: User, reference: str, expires_at: datetime | None = None
) -> AppKey:
    wanted = NewAppKey(AppKeyKind.API_KEY, reference, "CI", expires_at)
    return await database.write(lambda conn: app_keys.register(conn, user.tenant_id, user.id, wanted, NOW))


@pytest.mark.parametrize("change", [DisableUser, lambda user_id: ChangeHolder(user_id, GraphId("entra-ben"))])
async def test_a_registered_key_stands_in_the_receipt_of_the_same_commit(
    database: Database, contoso: Connection, change: Callable[[UserId], Command]
) -> None:
    """Leaving and a change of holder end it; one that had run out is no news."""
    ann, ben = await create_user(database, contoso, "ann"), await create_user(database, contoso, "ben")
    kept, old = await register(database, ann, "key-1"), await register(database, ann, "key-2", NOW)
    await register(database, ben, "key-1")

    await perform(database, contoso, change(ann.id))

    async with database.reading() as conn:
        [receipt] = await receipts.list_for_user(conn, contoso.tenant_id, ann.id)
        known = await app_keys.list_for_user(conn, contoso.tenant_id, ann.id)
        [of_ben] = await app_keys.list_for_user(conn, contoso.tenant_id, ben.id)
        told = [
            each for each in await events.since(conn, contoso.tenant_id) if each.type == "session.revoked"
        ]
    expected = {"kind": "app_key", "id": kept.id, "reference": "key-1", "label": "CI"}
    assert [dict(each) for each in receipt.ended] == [expected] == told[0].payload["ended"]
    assert {each.id: each.end_reason for each in known} == {kept.id: receipt.reason, old.id: receipt.reason}
    assert {each.ended_at for each in known} == {receipt.at}
    assert of_ben.ended_at is None
    assert receipt.due_at == receipt.at + receipts.ACKNOWLEDGED_WITHIN


async def test_a_person_without_access_registers_nothing(database: Database, contoso: Connection) -> None:
    """I3: what would outlive the end of access is refused; the same reference is one key."""
    ann = await create_user(database, contoso, "ann")
    assert (await register(database, ann, "key-1")).id == (await register(database, ann, "key-1")).id
    await perform(database, contoso, DisableUser(ann.id))
    with pytest.raises(AccessRefused):
        await register(database, ann, "key-1")
    await perform(database, contoso, ChangeUser(ann.id, setting(active=True)))
    assert (await register(database, ann, "key-1")).period == 2


async def test_the_feeds_reader_acknowledges_what_it_has_read_and_no_later_receipt(
    database: Database, contoso: Connection
) -> None:
    people = [await create_user(database, contoso, name) for name in ("ann", "ben", "cy")]
    for user in people:
        await register(database, user, "key")
        await perform(database, contoso, DisableUser(user.id))
    async with database.reading() as conn:
        ids = [e.id for e in await events.since(conn, contoso.tenant_id) if e.type == "session.revoked"]

    async def acknowledge(through: int) -> int:
        return await database.write(
            lambda conn: receipts.acknowledge_through(conn, contoso.tenant_id, through, "feed")
        )

    assert (await acknowledge(ids[1]), await acknowledge(ids[1])) == (2, 0)
    async with database.reading() as conn:
        later = datetime.now(UTC) + timedelta(minutes=6)
        [waits] = await receipts.unacknowledged(conn, contoso.tenant_id, later)
        assert await receipts.count_unacknowledged(conn, later) == 1
    assert waits.user_id == people[2].id


async def test_what_a_person_ends_by_hand_has_a_receipt_too(database: Database, contoso: Connection) -> None:
    """The app's own session can only be ended by the app: it has to hear of it."""
    ann = await create_user(database, contoso, "ann")
    ending = Ending("ended by an administrator", "cli:ada")
    await database.write(lambda conn: receipts.add(conn, ann.tenant_id, ann, [{"kind": "app_key"}], ending))
    async with database.reading() as conn:
        [receipt] = await receipts.list_for_user(conn, ann.tenant_id, ann.id)
        assert (await users.get(conn, ann.tenant_id, ann.id)).active
        told = await events.since(conn, ann.tenant_id)
    assert (receipt.action, receipt.actor, told[-1].payload["receipt"]) == (
        "end_sessions",
        "cli:ada",
        receipt.id,
    )
