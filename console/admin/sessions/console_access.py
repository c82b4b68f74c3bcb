"""Find the person behind the session cookie of a console page.

A tenant's person enters the console with the mark `admin`. A sealed account does not:
it is not known whose it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from console.admin.api_tokens import ACTIONS
from console.admin.services import Actor, ActorKind, Services
from store.directory import sessions, users
from store.keys import utc_now
from store.records import Session


@dataclass(frozen=True, slots=True)
class ConsolePerson:
    """A signed-in person: the actor of every use case that a page calls."""

    actor: Actor
    permissions: frozenset[str]
    signed_in_at: datetime

    def may(self, permission: str) -> bool:
        """Return whether the person has a permission, or all of its section."""
        section = permission.rpartition(":")[0]
        return not self.permissions.isdisjoint({permission, f"{section}:*"})


async def identify(services: Services, actor: Actor, secret: str) -> ConsolePerson | None:
    """Return the person with this secret; None where none may enter with it."""
    async with services.db.reading() as conn:
        session = await sessions.find_live(conn, secret)
        if session is None or not actor.sees(session.tenant_id):
            return None
        user = await users.get(conn, session.tenant_id, session.user_id)
    if not user.is_admin or user.sealed_at is not None:
        return None
    await _note_seen(services, session)
    person = Actor(ActorKind.WEB, f"user {user.id}", user.tenant_id)
    return ConsolePerson(person, frozenset(f"{section}:*" for section in ACTIONS), session.created_at)


async def _note_seen(services: Services, session: Session) -> None:
    """Write the last use, at most once a minute."""
    now = utc_now()
    if (now - session.last_seen_at).total_seconds() < sessions.SEEN_EVERY_S:
        return
    until = min(session.expires_at, now + timedelta(minutes=services.settings.session_idle_minutes))
    await services.db.write(
        lambda conn: sessions.note_seen(conn, session.tenant_id, {session.id: (now, until)})
    )
