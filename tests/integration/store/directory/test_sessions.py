"""How long a session lasts, what ends it, and the receipt that says so (design.md §7, I3 and I10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from store.database import Database
from store.directory import receipts, sessions
from store.logs import events
from store.records import (
    ChangeHolder,
    Connection,
    DisableUser,
    Ending,
    GraphId,
    Origin,
    Reason,
    Receipt,
    Session,
    SessionTerms,
    User,
    UserId,
)
from store.tenancy import api_tokens
from tests.builders.store_rows import create_user, perform

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HALF_AN_HOUR = SessionTerms(idle_s=1800, issuer="https://login.example/v2.0", issuer_subject="sub-ann")


async def sign_in(
    database: Database, user: User, terms: SessionTerms | None = None, now: datetime | None = None
) -> tuple[Session, str]:
    return await database.write(
        lambda conn: sessions.start(conn, user.tenant_id, user.id, terms=terms, now=now)
    )


async def lives(database: Database, secret: str, now: datetime | None = None) -> bool:
    async with database.reading() as conn:
        return await sessions.find_live(conn, secret, now=now) is not None


async def receipts_of(database: Database, user: User) -> list[Receipt]:
    async with database.reading() as conn:
        return await receipts.list_for_user(conn, user.tenant_id, user.id)


async def test_a_session_without_use_ends_and_a_used_one_goes_on(
    database: Database, contoso: Connection
) -> None:
    """Issue 11: idle and absolute end; the last use moves the first and never the second."""
    ann = await create_user(database, contoso, "ann")
    session, secret = await sign_in(database, ann, HALF_AN_HOUR, NOW)
    assert await lives(database, secret, NOW + 29 * MINUTE)
    assert not await lives(database, secret, NOW + 31 * MINUTE)

    seen = {session.id: (NOW + 20 * MINUTE, NOW + 50 * MINUTE)}
    await database.write(lambda conn: sessions.note_seen(conn, contoso.tenant_id, seen))

    assert await lives(database, secret, NOW + 49 * MINUTE)
    assert not await lives(database, secret, NOW + 51 * MINUTE)
    forever = {session.id: (NOW + timedelta(hours=7), NOW + timedelta(hours=20))}
    await database.write(lambda conn: sessions.note_seen(conn, contoso.tenant_id, forever))
    assert not await lives(database, secret, NOW + timedelta(hours=8)), "its lifetime is over"


async def test_a_late_note_of_use_revives_no_ended_session(database: Database, contoso: Connection) -> None:
    """What was ended stays ended, and a note never moves the last use back."""
    ann = await create_user(database, contoso, "ann")
    session, secret = await sign_in(database, ann, HALF_AN_HOUR)
    await database.write(lambda conn: sessions.end(conn, contoso.tenant_id, session.id))
    later = session.last_seen_at + 10 * MINUTE

    await database.write(
        lambda conn: sessions.note_seen(conn, contoso.tenant_id, {session.id: (later, later)})
    )

    assert not await lives(database, secret)
    async with database.reading() as conn:
        [kept] = await sessions.list_for_user(conn, contoso.tenant_id, ann.id)
    assert (kept.last_seen_at, kept.revoke_reason) == (session.last_seen_at, "signed out")


async def test_the_end_of_access_leaves_a_receipt_of_what_ended_with_it(
    database: Database, contoso: Connection
) -> None:
    """Issue 11: "what was ended, when, why, by which cycle or request"."""
    ann = await create_user(database, contoso, "ann")
    session, _ = await sign_in(database, ann)
    signed_out, _ = await sign_in(database, ann)
    await database.write(lambda conn: sessions.end(conn, contoso.tenant_id, signed_out.id))
    token, _ = await database.write(
        lambda conn: api_tokens.create(conn, contoso.tenant_id, contoso.id, "own", [], user_id=ann.id)
    )

    await perform(database, contoso, DisableUser(ann.id, Reason.UNASSIGNED), origin=Origin.GRAPH)

    [receipt] = await receipts_of(database, ann)
    assert (receipt.reason, receipt.origin, receipt.correlation_id) == (
        "unassigned",
        Origin.GRAPH,
        "request-1",
    )
    assert (receipt.holder_number, receipt.period, receipt.acknowledged_at) == (1, 1, None)
    assert {(each["kind"], each["id"]) for each in receipt.ended} == {
        ("session", session.id),
        ("token", token.id),
    }
    async with database.reading() as conn:
        ended = {each.id: each for each in await sessions.list_for_user(conn, ann.tenant_id, ann.id)}
    assert ended[session.id].revoke_reason == "unassigned"
    assert ended[session.id].revoked_ref == "request-1"
    assert ended[session.id].revoked_at == receipt.at
    assert ended[signed_out.id].revoke_reason == "signed out"


async def test_a_change_of_holder_leaves_a_receipt_for_the_earlier_holder(
    database: Database, contoso: Connection
) -> None:
    """W3: every key of the earlier holder ends, and the receipt carries that holder's number."""
    ann = await create_user(database, contoso, "ann")
    await sign_in(database, ann)

    await perform(database, contoso, ChangeHolder(ann.id, GraphId("entra-ben")), origin=Origin.GRAPH)

    [receipt] = await receipts_of(database, ann)
    assert (receipt.reason, receipt.holder_number, len(receipt.ended)) == ("holder_changed", 1, 1)


async def test_ended_sessions_are_one_event_and_none_where_none_ended(
    database: Database, contoso: Connection
) -> None:
    """Issue 11: `session.revoked` is for those who listen; a person without a session ends none."""
    ann, ben = await create_user(database, contoso, "ann"), await create_user(database, contoso, "ben")
    session, _ = await sign_in(database, ann)

    await perform(database, contoso, DisableUser(ann.id), DisableUser(ben.id))

    async with database.reading() as conn:
        found = await events.since(conn, contoso.tenant_id, 0)
    [event] = [each for each in found if each.type == "session.revoked"]
    [receipt] = await receipts_of(database, ann)
    assert (event.subject_id, event.payload["receipt"]) == (ann.id, receipt.id)
    assert session.id in str(event.payload["ended"])
    assert [each.ended for each in await receipts_of(database, ben)] == [()]


async def test_the_app_acknowledges_a_receipt_once(database: Database, contoso: Connection) -> None:
    """The first acknowledgement stays; what waits for one can be listed, ends of nothing are left out."""
    ann, ben = await create_user(database, contoso, "ann"), await create_user(database, contoso, "ben")
    await sign_in(database, ann)
    await perform(database, contoso, DisableUser(ann.id), DisableUser(ben.id))
    [receipt] = await receipts_of(database, ann)
    soon = receipt.at + MINUTE
    async with database.reading() as conn:
        assert await receipts.unacknowledged(conn, ann.tenant_id, soon) == [receipt]

    for by in ("app", "another"):
        await database.write(lambda conn, by=by: receipts.acknowledge(conn, ann.tenant_id, receipt.id, by))  # type: ignore[misc]

    [known] = await receipts_of(database, ann)
    assert known.acknowledged_by == "app"
    async with database.reading() as conn:
        assert await receipts.unacknowledged(conn, ann.tenant_id, soon) == []


async def test_the_provider_ends_what_it_names_and_nothing_else(
    database: Database, contoso: Connection
) -> None:
    """Logout names a session of the provider, or a subject; another issuer's names mean nothing."""
    ann, ben = await create_user(database, contoso, "ann"), await create_user(database, contoso, "ben")
    issuer, me = "https://login.example/v2.0", contoso.tenant_id
    secrets = {
        (name, sid): (await sign_in(database, user, _of(issuer, name, sid)))[1]
        for name, user, sid in (("ann", ann, "s1"), ("ann", ann, "s2"), ("ben", ben, "s3"))
    }

    async def end(issuer: str, **named: Any) -> int:
        return await database.write(lambda conn: sessions.end_for_issuer(conn, me, issuer, **named))

    assert await end("https://other.example", issuer_session_id="s1") == 0
    assert await end(issuer, issuer_session_id="s1", issuer_subject="ben") == 0
    assert await end(issuer) == 0
    assert await end(issuer, issuer_session_id="s1") == 1
    assert {key for key, secret in secrets.items() if await lives(database, secret)} == {
        ("ann", "s2"),
        ("ben", "s3"),
    }
    assert await end(issuer, issuer_subject="ann") == 1
    assert await lives(database, secrets["ben", "s3"])


def _of(issuer: str, subject: str, sid: str) -> SessionTerms:
    return SessionTerms(issuer=issuer, issuer_subject=subject, issuer_session_id=sid)


async def test_all_sessions_of_an_account_end_at_once(database: Database, contoso: Connection) -> None:
    """An administrator's word ends them; access stays."""
    ann = await create_user(database, contoso, "ann")
    secrets = [(await sign_in(database, ann))[1] for _ in range(3)]
    ending = Ending("ended by an administrator", "cli:ada")

    assert await database.write(lambda conn: sessions.end_for_user(conn, ann.tenant_id, ann.id, ending)) == 3

    assert [await lives(database, secret) for secret in secrets] == [False] * 3
    assert await database.write(lambda conn: sessions.start(conn, ann.tenant_id, UserId(ann.id)))
