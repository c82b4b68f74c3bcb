"""List and end the sessions of an account, and read what ended with its access."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.errors import Noun, UnknownReference
from console.admin.people.users import find_account
from console.admin.references import find_connection
from console.admin.services import Services
from console.admin.sessions.app_keys import find_app_key
from store.directory import receipts, sessions, users
from store.integration import app_keys
from store.keys import new_id, utc_now
from store.records import (
    AppKey,
    Connection,
    Ending,
    JsonValue,
    Origin,
    Receipt,
    Session,
    SessionId,
    User,
)


@dataclass(frozen=True, slots=True)
class UserSessions:
    """The sessions of an account, ended ones too, and its receipts; the newest
    first.
    """

    user: User
    sessions: Sequence[Session]
    app_keys: Sequence[AppKey]
    """What the vendor's app keeps itself, and registered."""
    receipts: Sequence[Receipt]


@dataclass(frozen=True, slots=True)
class EndedSessions:
    """How many sessions of an account were ended just now."""

    user: User
    ended: int


@requires("admin:session:read")
async def list_for_user(services: Services, actor: Actor, connection: str, user: str) -> UserSessions:
    """Return sessions and receipts of an account, a deleted one too.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        account = await find_account(conn, found, user)
        return UserSessions(
            account,
            await sessions.list_for_user(conn, found.tenant_id, account.id),
            await app_keys.list_for_user(conn, found.tenant_id, account.id),
            await receipts.list_for_user(conn, found.tenant_id, account.id),
        )


@requires("admin:session:end")
async def end(services: Services, actor: Actor, connection: str, session: str) -> Session | AppKey:
    """End one session, or what the app registered; one that has ended already stays as
    it is.

    The app hears of it, and has to acknowledge the receipt. Raises `UnknownReference`.
    """

    async def work(conn: AsyncConnection) -> Session | AppKey:
        found = await find_connection(conn, actor, connection)
        held = await _find(conn, found, session)
        account = await users.get(conn, found.tenant_id, held.user_id, connection_id=found.id)
        if await _end(conn, account, [held], _ending(actor)):
            await audit.record(conn, actor, found, "session_ended", session=held.id, account=held.user_id)
        return await _find(conn, found, session)

    return await services.db.write(work)


@requires("admin:session:end")
async def end_all(services: Services, actor: Actor, connection: str, user: str) -> EndedSessions:
    """End every session of an account, and what the app registered; its access stays.

    Raises `UnknownReference`.
    """

    async def work(conn: AsyncConnection) -> EndedSessions:
        found = await find_connection(conn, actor, connection)
        account = await find_account(conn, found, user)
        theirs = (conn, found.tenant_id, account.id)
        signed_in = await sessions.list_for_user(*theirs)
        held: list[Session | AppKey] = [*signed_in, *await app_keys.list_for_user(*theirs)]
        ended = await _end(conn, account, held, _ending(actor))
        await audit.record(conn, actor, found, "sessions_ended", account=account.id, sessions=ended)
        return EndedSessions(account, ended)

    return await services.db.write(work)


async def open_receipts(services: Services, actor: Actor, connection: str) -> Sequence[Receipt]:
    """Return receipts of a connection that the app has not acknowledged, oldest first.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        return await receipts.unacknowledged(conn, found.tenant_id, utc_now(), connection_id=found.id)


@requires("admin:session:end")
async def acknowledge(services: Services, actor: Actor, connection: str, receipt: str) -> Receipt:
    """Note that the app ended what a receipt names; the first time counts.

    Raises `UnknownReference`.
    """

    async def work(conn: AsyncConnection) -> Receipt:
        found = await find_connection(conn, actor, connection)
        known = await receipts.get(conn, found.tenant_id, receipt)
        if known is None or known.connection_id != found.id:
            raise UnknownReference(Noun.RECEIPT, receipt, connection_name=found.name)
        return await receipts.acknowledge(conn, found.tenant_id, receipt, actor.label) or known

    return await services.db.write(work)


async def _end(conn: AsyncConnection, account: User, held: Sequence[Session | AppKey], ending: Ending) -> int:
    """End what has not ended; return how many. What worked until now is a receipt."""
    now, ended = utc_now(), 0
    parts: list[JsonValue] = []
    for each in held:
        if isinstance(each, Session) and await sessions.end(
            conn, account.tenant_id, each.id, ending, now=now
        ):
            ended += 1
            if not each.is_over(now):
                parts.append(
                    {"kind": "session", "id": each.id, "purpose": each.purpose, "client": each.client}
                )
    keys = [each.id for each in held if isinstance(each, AppKey) and each.ended_at is None]
    for key in await app_keys.end(conn, account.tenant_id, keys, ending.reason, now):
        parts.append(app_keys.ended_part(key.id, key.kind, key.reference, key.label))
    if parts:
        await receipts.add(conn, account.tenant_id, account, parts, ending, now=now)
    return ended + len(keys)


def _ending(actor: Actor) -> Ending:
    return Ending("ended by an administrator", actor.label, Origin.CONSOLE, new_id())


async def _find(conn: AsyncConnection, connection: Connection, reference: str) -> Session | AppKey:
    """Return a session of an account of this connection, or what the app registered."""
    found = await sessions.get(conn, connection.tenant_id, SessionId(reference))
    if found is not None:
        try:
            await find_account(conn, connection, found.user_id)
        except UnknownReference:
            found = None
    return found or await find_app_key(conn, connection, reference)
