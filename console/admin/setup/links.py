"""Links that a vendor sends to a customer: to set a connection up, to see its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.errors import Noun, UnknownReference
from console.admin.references import find_connection
from console.admin.services import Services
from console.admin.sessions.errors import InvalidFrameAncestor, LinkProblem, LinkRefused
from store.access import links
from store.access.links import LinkTarget
from store.access.records import AccessLink, LinkKind
from store.keys import utc_now
from store.records import Connection

LONGEST_ORIGIN = 200


@dataclass(frozen=True, slots=True)
class CreatedLink:
    """A new link with its secret, which cannot be read again."""

    connection: Connection
    link: AccessLink
    secret: str


@dataclass(frozen=True, slots=True)
class OpenedStatus:
    """What a status link shows, and the actor who reads it."""

    link: AccessLink
    actor: Actor
    at: datetime


@requires("admin:connection:create", recent=True)
async def create_setup_link(services: Services, actor: Actor, connection: str) -> CreatedLink:
    """Make a link by which a customer's admin connects the directory, without an
    account.

    It is opened once, and its session ends with it after 3 days. Raises
    `UnknownReference`.
    """
    return await _create(services, actor, connection, LinkTarget(LinkKind.SETUP))


@requires("admin:connection:create", recent=True)
async def create_status_link(
    services: Services,
    actor: Actor,
    connection: str,
    frame_ancestors: Sequence[str] = (),
    *,
    may_sync: bool = False,
) -> CreatedLink:
    """Make a link to a page that shows the state of a connection, for a year.

    `frame_ancestors` are the origins that may show it in a frame. Raises
    `InvalidFrameAncestor`, `UnknownReference`.
    """
    origins = tuple(_check_origin(each, services) for each in frame_ancestors)
    target = LinkTarget(LinkKind.STATUS, frame_ancestors=origins, may_sync=may_sync)
    return await _create(services, actor, connection, target)


@requires("admin:connection:read")
async def list_for(services: Services, actor: Actor, connection: str, kind: LinkKind) -> Sequence[AccessLink]:
    """Return the links of a connection, the newest first. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        return await links.list_for(conn, found.tenant_id, found.id, kind)


@requires("admin:connection:create")
async def revoke(services: Services, actor: Actor, connection: str, link: str) -> AccessLink:
    """End a link and the session that it opened. Raises `UnknownReference`."""

    async def work(conn: AsyncConnection) -> AccessLink:
        found = await find_connection(conn, actor, connection)
        known = [
            each
            for kind in (LinkKind.SETUP, LinkKind.STATUS)
            for each in await links.list_for(conn, found.tenant_id, found.id, kind)
            if each.id == link
        ]
        if not known:
            raise UnknownReference(Noun.LINK, link, connection_name=found.name)
        if await links.revoke(conn, found.tenant_id, link):
            await audit.record(conn, actor, found, f"{known[0].kind.value}_link_revoked", link=link)
        return known[0]

    return await services.db.write(work)


async def open_status(services: Services, actor: Actor, secret: str) -> OpenedStatus:
    """Return what a status link may show. Raises `LinkRefused`."""
    async with services.db.reading() as conn:
        link = await links.find_by_secret(conn, secret, LinkKind.STATUS)
    now = utc_now()
    if link is None or actor.tenant not in (None, link.tenant_id):
        raise LinkRefused(LinkProblem.UNKNOWN)
    if not link.is_open(now):
        raise LinkRefused(LinkProblem.REVOKED if link.revoked_at else LinkProblem.OVER)
    allowed = {"admin:connection:read", "admin:sync:read", "admin:report:read"}
    reader = Actor(
        actor.kind,
        f"status link {link.id[-8:]}",
        link.tenant_id,
        connection=link.connection_id,
        permissions=frozenset(allowed | ({"admin:sync:run"} if link.may_sync else set())),
    )
    return OpenedStatus(link, reader, now)


async def _create(services: Services, actor: Actor, connection: str, target: LinkTarget) -> CreatedLink:
    async def work(conn: AsyncConnection) -> CreatedLink:
        found = await find_connection(conn, actor, connection)
        aimed = LinkTarget(
            target.kind, found.id, frame_ancestors=target.frame_ancestors, may_sync=target.may_sync
        )
        link, secret = await links.create(conn, found.tenant_id, aimed, actor=actor.label)
        await audit.record(conn, actor, found, f"{target.kind.value}_link_created", link=link.id)
        return CreatedLink(found, link, secret)

    return await services.db.write(work)


def _check_origin(text: str, services: Services) -> str:
    """Return the origin as a Content-Security-Policy names it."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise InvalidFrameAncestor(text) from None
    is_local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
    is_safe = parts.scheme == "https" or (is_local and services.settings.allow_simulator)
    host = parts.hostname or ""
    is_plain = host.isascii() and all(each.isalnum() or each in "-." for each in host)
    more = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if not is_safe or not host or not is_plain or more or len(text) > LONGEST_ORIGIN:
        raise InvalidFrameAncestor(text)
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")
