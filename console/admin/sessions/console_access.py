"""Enter the console: open a link, and find the person behind a cookie.

A secret of a browser is that of an operator or of a setup link (`console_sessions`), or
of a person of a tenant (`sessions`), who enters with the mark of an admin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, ActorKind
from console.admin.permissions import GRANTS, PERMISSIONS
from console.admin.services import Services
from console.admin.sessions.errors import LinkProblem, LinkRefused
from store.access import console_sessions, links
from store.access.records import AccessLink, ConsoleSession, LinkKind, Role
from store.directory import sessions, users
from store.keys import utc_now
from store.logs import audit_log
from store.records import ConnectionId, Session, SessionPurpose, SessionTerms, UserId


@dataclass(frozen=True, slots=True)
class ConsolePerson:
    """The person behind a cookie, as an actor with permissions."""

    actor: Actor
    role: Role
    signed_in_at: datetime
    home: ConnectionId | None = None
    """The connection of a person of a tenant, or of a setup link."""
    user_id: UserId | None = None
    shown_name: str = ""
    """How the own pages name the person; the audit log names people by their id."""

    def may(self, permission: str) -> bool:
        """Return whether the person has a permission, or all of its section."""
        return self.actor.may(permission)

    @property
    def is_operator(self) -> bool:
        """Return whether the person signs in by invitations."""
        return self.user_id is None and self.role is not Role.SETUP


async def look_at(services: Services, actor: Actor, secret: str, kind: LinkKind) -> AccessLink:
    """Return a link that can be opened now; nothing is used up.

    Raises `LinkRefused`.
    """
    async with services.db.reading() as conn:
        return await _openable(conn, actor, secret, kind)


async def redeem(
    services: Services, actor: Actor, secret: str, kind: LinkKind, terms: SessionTerms
) -> tuple[AccessLink, str]:
    """Open a link once; return it with the secret of the browser's session.

    Raises `LinkRefused`.
    """

    async def work(conn: AsyncConnection) -> tuple[AccessLink, str]:
        link = await _openable(conn, actor, secret, kind)
        if not await links.use(conn, link, terms.created_from):
            raise LinkRefused(LinkProblem.USED)
        await audit_log.record(
            conn,
            link.tenant_id or audit_log.INSTALLATION,
            link.connection_id,
            actor.label,
            f"{kind.value}_link.opened",
            link.id,
            link.created_by,
            {"address": terms.created_from},
        )
        return link, await console_sessions.start(conn, link, terms)

    return await services.db.write(work)


async def identify(services: Services, actor: Actor, secret: str) -> ConsolePerson | None:
    """Return the person with this secret; None where none may enter with it."""
    async with services.db.reading() as conn:
        session = await console_sessions.find_live(conn, secret)
    if session is None:
        return await _person_of_tenant(services, actor, secret)
    if actor.tenant not in (None, session.tenant_id):
        return None
    if console_sessions.is_due(session, utc_now()):
        idle_s = None if session.role is Role.SETUP else services.settings.session_idle_minutes * 60
        await services.db.write(lambda conn: console_sessions.note_seen(conn, session, idle_s))
    return _operator(session)


async def sign_out(services: Services, actor: Actor, secret: str) -> bool:
    """End the session of a browser; return whether it was live."""

    async def work(conn: AsyncConnection) -> bool:
        opened = await console_sessions.find_live(conn, secret)
        if opened is not None and actor.tenant in (None, opened.tenant_id):
            return await console_sessions.end(conn, secret)
        session = await sessions.find_live(conn, secret)
        if session is None or not actor.sees(session.tenant_id):
            return False
        return bool(await sessions.end(conn, session.tenant_id, session.id))

    return await services.db.write(work)


async def _openable(conn: AsyncConnection, actor: Actor, secret: str, kind: LinkKind) -> AccessLink:
    link, now = await links.find_by_secret(conn, secret, kind), utc_now()
    if link is None or actor.tenant not in (None, link.tenant_id):
        raise LinkRefused(LinkProblem.UNKNOWN)
    if link.revoked_at is not None:
        raise LinkRefused(LinkProblem.REVOKED, link.revoked_at)
    if link.used_at is not None:
        raise LinkRefused(LinkProblem.USED, link.used_at)
    if link.expires_at <= now:
        raise LinkRefused(LinkProblem.OVER, link.expires_at)
    return link


def _operator(session: ConsoleSession) -> ConsolePerson:
    is_setup = session.role is Role.SETUP
    actor = Actor(
        ActorKind.WEB,
        session.name,
        session.tenant_id,
        connection=session.connection_id,
        permissions=PERMISSIONS[session.role],
        grants=GRANTS.get(session.role, frozenset()),
        # Opening the link is the proof: there is no other sign-in to ask for.
        signed_in_at=None if is_setup else session.created_at,
    )
    since = utc_now() if is_setup else session.created_at
    return ConsolePerson(actor, session.role, since, session.connection_id, shown_name=session.name)


async def _person_of_tenant(services: Services, actor: Actor, secret: str) -> ConsolePerson | None:
    """Return an admin of a tenant who signed in at the own directory.

    A session that was handed to the vendor's app opens no page: the app holds its
    secret.
    """
    async with services.db.reading() as conn:
        session = await sessions.find_live(conn, secret)
        if session is None or not actor.sees(session.tenant_id):
            return None
        if session.purpose is not SessionPurpose.CONSOLE:
            return None
        user = await users.get(conn, session.tenant_id, session.user_id)
    if not user.is_admin or user.sealed_at is not None:
        return None
    await _note_seen(services, session)
    actor = Actor(
        ActorKind.WEB,
        f"user {user.id}",
        session.tenant_id,
        permissions=PERMISSIONS[Role.ADMIN],
        signed_in_at=session.created_at,
    )
    return ConsolePerson(actor, Role.ADMIN, session.created_at, user.connection_id, user.id, user.user_name)


async def _note_seen(services: Services, session: Session) -> None:
    """Write the last use of a session, at most once a minute."""
    now = utc_now()
    if (now - session.last_seen_at).total_seconds() < sessions.SEEN_EVERY_S:
        return
    until = min(session.expires_at, now + timedelta(minutes=services.settings.session_idle_minutes))
    await services.db.write(
        lambda conn: sessions.note_seen(conn, session.tenant_id, {session.id: (now, until)})
    )
