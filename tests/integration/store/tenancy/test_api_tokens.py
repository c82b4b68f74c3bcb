"""API tokens and sessions: secrets that are shown once and found by their hash."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from store.database import Database
from store.directory import sessions
from store.errors import AccessRefused, NotFound
from store.keys import utc_now
from store.logs import audit_log
from store.records import Connection, Federation, SessionTerms, TokenId, UserId
from store.tenancy import api_tokens, connections, token_secrets, used_assertions
from tests.builders.store_rows import create_user

NOW = utc_now()


async def test_a_token_is_found_by_its_secret_and_nothing_else(
    database: Database, contoso: Connection
) -> None:
    """The secret is shown once; the database holds only its hash (invariant I9)."""
    token, secret = await database.write(
        lambda conn: api_tokens.create(
            conn,
            contoso.tenant_id,
            contoso.id,
            "Entra",
            ["admin:user:read"],
            allowed_addresses=["10.0.0.0/8"],
        )
    )

    async with database.reading() as conn:
        assert await api_tokens.find_by_secret(conn, secret) == token
        assert await api_tokens.find_by_secret(conn, token_secrets.new_secret()) is None
        stored = str((await conn.execute(text("SELECT * FROM api_tokens"))).all())
    assert secret not in stored
    assert secret.startswith(token.prefix)


@pytest.mark.parametrize(
    "secret", ["", "leaver_", "leaver_" + "a" * 36, "ghp_" + "a" * 39, "leaver_" + "ä" * 36]
)
async def test_what_we_cannot_have_made_is_nobodys(database: Database, secret: str) -> None:
    """The checksum tells a mistyped secret from an unknown one without a query."""
    assert not token_secrets.is_well_formed(secret)
    async with database.reading() as conn:
        assert await api_tokens.find_by_secret(conn, secret) is None


def test_every_secret_is_well_formed_until_one_letter_changes() -> None:
    """Six characters of checksum catch every single wrong letter."""
    secret = token_secrets.new_secret()

    assert token_secrets.is_well_formed(secret)
    for position in range(len(secret)):
        wrong = "x" if secret[position] != "x" else "y"
        assert not token_secrets.is_well_formed(secret[:position] + wrong + secret[position + 1 :])


async def test_a_token_can_be_suspended_resumed_and_revoked(database: Database, contoso: Connection) -> None:
    """A refused token is still found, so that the answer can say why it is refused."""
    me = contoso.tenant_id
    token, secret = await database.write(lambda conn: api_tokens.create(conn, me, contoso.id, "Entra", []))

    suspended = await database.write(lambda conn: api_tokens.suspend(conn, me, token.id, now=NOW))
    resumed = await database.write(lambda conn: api_tokens.resume(conn, me, token.id))
    revoked = await database.write(lambda conn: api_tokens.revoke(conn, me, token.id, now=NOW))
    again = await database.write(
        lambda conn: api_tokens.revoke(conn, me, token.id, now=NOW + timedelta(days=1))
    )

    assert (suspended.suspended_at, resumed.suspended_at) == (NOW, None)
    assert revoked.revoked_at == again.revoked_at == NOW
    async with database.reading() as conn:
        assert await api_tokens.find_by_secret(conn, secret) == revoked


async def test_rotation_lets_both_work_for_a_while(database: Database, contoso: Connection) -> None:
    """The old secret ends when the admin has had time to paste the new one into Entra."""
    me, until = contoso.tenant_id, NOW + timedelta(days=1)
    old, old_secret = await database.write(
        lambda conn: api_tokens.create(conn, me, contoso.id, "Entra", ["a"])
    )

    new, new_secret = await database.write(
        lambda conn: api_tokens.rotate(conn, me, old.id, old_ends_at=until)
    )

    async with database.reading() as conn:
        ending = await api_tokens.find_by_secret(conn, old_secret)
        assert await api_tokens.find_by_secret(conn, new_secret) == new
        assert {token.id for token in await api_tokens.list_for(conn, me, contoso.id)} == {old.id, new.id}
    assert ending is not None
    assert (ending.expires_at, ending.revoked_at) == (until, None)
    assert (new.name, new.permissions) == (old.name, old.permissions)


async def test_rotation_without_a_while_revokes_at_once(database: Database, contoso: Connection) -> None:
    """A lost token must not go on working."""
    me = contoso.tenant_id
    old, _ = await database.write(lambda conn: api_tokens.create(conn, me, contoso.id, "Entra", []))

    await database.write(lambda conn: api_tokens.rotate(conn, me, old.id, now=NOW))

    async with database.reading() as conn:
        assert (await api_tokens.get(conn, me, old.id)).revoked_at == NOW


async def test_the_last_use_is_noted(database: Database, contoso: Connection) -> None:
    """An admin sees which tokens nobody uses."""
    token, _ = await database.write(
        lambda conn: api_tokens.create(conn, contoso.tenant_id, contoso.id, "Entra", [])
    )

    await database.write(
        lambda conn: api_tokens.touch(conn, contoso.tenant_id, token.id, "192.0.2.1", now=NOW)
    )

    async with database.reading() as conn:
        used = await api_tokens.get(conn, contoso.tenant_id, token.id)
        with pytest.raises(NotFound):
            await api_tokens.get(conn, contoso.tenant_id, TokenId("none"))
    assert (used.last_used_at, used.last_used_from) == (NOW, "192.0.2.1")


async def test_every_deed_on_a_token_is_in_the_audit_log(database: Database, contoso: Connection) -> None:
    """Who made, suspended, rotated or revoked a token is asked after an incident; the secret is never in it."""
    me, until = contoso.tenant_id, NOW + timedelta(days=1)
    token, secret = await database.write(
        lambda conn: api_tokens.create(conn, me, contoso.id, "Entra", ["admin:user:*"], actor="cli:ada")
    )
    for deed in (api_tokens.suspend, api_tokens.suspend, api_tokens.resume, api_tokens.resume):
        await database.write(lambda conn, deed=deed: deed(conn, me, token.id, actor="cli:ben"))  # type: ignore[misc]
    await database.write(
        lambda conn: api_tokens.allow_addresses(conn, me, token.id, ["10.0.0.0/8"], actor="cli:ben")
    )
    await database.write(
        lambda conn: api_tokens.rotate(conn, me, token.id, old_ends_at=until, actor="cli:cleo")
    )
    for _ in range(2):
        await database.write(lambda conn: api_tokens.revoke(conn, me, token.id, actor="cli:dan"))

    async with database.reading() as conn:
        entries = await audit_log.search(conn, me, contoso.id)
        earlier = await audit_log.search(conn, me, before=entries[-2].id)
    assert [(each.actor, each.action) for each in reversed(entries)] == [
        ("cli:ada", "token.created"),
        ("cli:ben", "token.suspended"),
        ("cli:ben", "token.resumed"),
        ("cli:ben", "token.addresses_changed"),
        ("cli:cleo", "token.rotated"),
        ("cli:cleo", "token.created"),
        ("cli:dan", "token.revoked"),
    ]
    assert entries[-1].detail == {"permissions": ["admin:user:*"]}
    assert earlier == entries[-1:]
    assert secret not in str(entries)


async def test_a_token_may_stand_for_a_user_of_its_connection(
    database: Database, contoso: Connection
) -> None:
    """A twin stands for the same user; a user of another connection is none at all."""
    ann = await create_user(database, contoso, "ann")
    me = contoso.tenant_id
    other = await database.write(lambda conn: connections.create(conn, me, "Other"))
    token, _ = await database.write(
        lambda conn: api_tokens.create(conn, me, contoso.id, "Ann", [], user_id=ann.id)
    )
    twin, _ = await database.write(lambda conn: api_tokens.rotate(conn, me, token.id))

    assert token.user_id == twin.user_id == ann.id
    with pytest.raises(NotFound):
        await database.write(lambda conn: api_tokens.create(conn, me, other.id, "Ann", [], user_id=ann.id))


async def test_a_token_may_be_opened_by_assertions(database: Database, contoso: Connection) -> None:
    """Subject and audiences are kept with the token, and its twin has them too."""
    federation = Federation("subject", ("api://leaver", "leaver"))
    me = contoso.tenant_id
    token, _ = await database.write(
        lambda conn: api_tokens.create(conn, me, contoso.id, "Entra", [], federation=federation)
    )
    twin, _ = await database.write(lambda conn: api_tokens.rotate(conn, me, token.id))

    async with database.reading() as conn:
        assert (await api_tokens.get(conn, me, twin.id)).federation == token.federation == federation


async def test_an_assertion_is_spent_once_while_it_lives(database: Database, contoso: Connection) -> None:
    """RFC 7523 §3: the identifier is remembered as long as the assertion would be accepted, and no longer."""
    me, ends, other = contoso.tenant_id, NOW + timedelta(minutes=65), NOW + timedelta(minutes=66)

    async def spend(uti: str, now: datetime) -> bool:
        return await database.write(
            lambda conn: used_assertions.mark_used(conn, me, contoso.id, uti, ends, now)
        )

    assert [await spend("a", NOW), await spend("a", NOW), await spend("b", NOW)] == [True, False, True]
    at_once = await asyncio.gather(*(spend("c", NOW) for _ in range(8)))
    assert sorted(at_once) == [False] * 7 + [True]
    assert await spend("a", other)
    async with database.reading() as conn:
        assert len((await conn.execute(text("SELECT uti FROM spent_assertions"))).all()) == 1


async def test_a_session_lives_until_it_ends_or_is_ended(database: Database, contoso: Connection) -> None:
    """A session ends by time, or when the person signs out."""
    ann = await create_user(database, contoso, "ann")
    session, secret = await database.write(
        lambda conn: sessions.start(
            conn, contoso.tenant_id, ann.id, terms=SessionTerms(lifetime_s=60), now=NOW
        )
    )

    async with database.reading() as conn:
        assert await sessions.find_live(conn, secret, now=NOW + timedelta(seconds=59)) == session
        assert await sessions.find_live(conn, secret, now=NOW + timedelta(seconds=61)) is None
    await database.write(lambda conn: sessions.end(conn, contoso.tenant_id, session.id, now=NOW))
    async with database.reading() as conn:
        assert await sessions.find_live(conn, secret, now=NOW) is None


async def test_nobody_unknown_signs_in(database: Database, contoso: Connection) -> None:
    """No row, no session."""
    with pytest.raises(AccessRefused):
        await database.write(lambda conn: sessions.start(conn, contoso.tenant_id, UserId("nobody")))
