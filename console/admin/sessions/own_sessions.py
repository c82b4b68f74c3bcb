"""What a signed-in person may see and end: the own sessions, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor
from console.admin.services import Services
from store.directory import sessions, users
from store.keys import utc_now
from store.records import Session, SessionId, User


@dataclass(frozen=True, slots=True)
class OwnSessions:
    """A person's account, the session that asks, and all that are live."""

    user: User
    current: Session
    live: Sequence[Session]


async def show(services: Services, actor: Actor, secret: str) -> OwnSessions | None:
    """Return the live sessions of the person with this secret; None without one."""
    async with services.db.reading() as conn:
        current = await sessions.find_live(conn, secret)
        if current is None or not actor.sees(current.tenant_id):
            return None
        user = await users.get(conn, current.tenant_id, current.user_id)
        found = await sessions.list_for_user(conn, current.tenant_id, current.user_id)
    now = utc_now()
    live = [each for each in found if not each.is_over(now) and _same_access(each, current)]
    return OwnSessions(user, current, live)


async def end(services: Services, actor: Actor, secret: str, session: str | None = None) -> Session | None:
    """End the session with this secret, or another one of the same person by its id.

    None where there is nothing to end: an unknown secret, or another person's session.
    """

    async def work(conn: AsyncConnection) -> Session | None:
        current = await sessions.find_live(conn, secret)
        if current is None or not actor.sees(current.tenant_id):
            return None
        wanted = current
        if session is not None:
            found = await sessions.get(conn, current.tenant_id, SessionId(session))
            if found is None or found.user_id != current.user_id or not _same_access(found, current):
                return None
            wanted = found
        return wanted if await sessions.end(conn, current.tenant_id, wanted.id) else None

    return await services.db.write(work)


def _same_access(one: Session, other: Session) -> bool:
    """Return whether two sessions are of the same holder in the same period."""
    return (one.holder_number, one.period) == (other.holder_number, other.period)
