"""Links whose secret opens one thing, kept as a hash."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.access.records import AccessLink, LinkKind
from store.directory.sessions import hash_secret
from store.keys import new_id, utc_now
from store.logs import audit_log
from store.records import ConnectionId, TenantId

LIFETIME = {
    LinkKind.SIGN_IN: timedelta(minutes=15),
    LinkKind.SETUP: timedelta(days=3),
    LinkKind.STATUS: timedelta(days=365),
}
_c = tables.access_links.c
_PUBLIC = [column for column in _c if column.name != "secret_hash"]


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """What a link opens."""

    kind: LinkKind
    connection_id: ConnectionId | None = None
    operator_id: str | None = None
    frame_ancestors: Sequence[str] = ()
    may_sync: bool = False


def _to_link(row: RowMapping) -> AccessLink:
    return AccessLink(
        **{**row, "kind": LinkKind(row["kind"]), "frame_ancestors": tuple(row["frame_ancestors"])}
    )


async def create(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    target: LinkTarget,
    *,
    actor: str = audit_log.NOBODY,
    now: datetime | None = None,
) -> tuple[AccessLink, str]:
    """Create a link and return it with its secret of 256 bits, which is not kept."""
    secret, at = secrets.token_urlsafe(32), now or utc_now()
    link = AccessLink(
        new_id(),
        target.kind,
        tenant_id,
        target.connection_id,
        target.operator_id,
        at,
        actor,
        at + LIFETIME[target.kind],
        tuple(target.frame_ancestors),
        target.may_sync,
    )
    await conn.execute(
        insert(tables.access_links).values(
            id=link.id,
            kind=link.kind.value,
            secret_hash=hash_secret(secret),
            tenant_id=tenant_id,
            connection_id=link.connection_id,
            operator_id=link.operator_id,
            frame_ancestors=list(link.frame_ancestors),
            may_sync=link.may_sync,
            created_at=at,
            created_by=actor,
            expires_at=link.expires_at,
        )
    )
    return link, secret


async def find_by_secret(conn: AsyncConnection, secret: str, kind: LinkKind) -> AccessLink | None:
    """Return the link of this kind with this secret, one that is over too."""
    query = select(*_PUBLIC).where(_c.secret_hash == hash_secret(secret), _c.kind == kind.value)
    row = (await conn.execute(query)).mappings().first()
    return None if row is None else _to_link(row)


async def use(
    conn: AsyncConnection, link: AccessLink, address: str | None, *, now: datetime | None = None
) -> bool:
    """Use a link; False where it was used already, revoked, or is over."""
    at = now or utc_now()
    still_open = (_c.id == link.id, _c.used_at.is_(None), _c.revoked_at.is_(None), _c.expires_at > at)
    used = update(tables.access_links).where(*still_open).values(used_at=at, used_from=address)
    return (await conn.execute(used)).rowcount == 1


async def list_for(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, kind: LinkKind
) -> list[AccessLink]:
    """Return the links of a connection, the newest first."""
    query = select(*_PUBLIC).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.kind == kind.value
    )
    rows = await conn.execute(query.order_by(_c.id.desc()))
    return [_to_link(row) for row in rows.mappings()]


async def revoke(
    conn: AsyncConnection, tenant_id: TenantId, link_id: str, *, now: datetime | None = None
) -> bool:
    """End a link and the sessions it opened; False where it had ended."""
    at = now or utc_now()
    which = (_c.tenant_id == tenant_id, _c.id == link_id, _c.revoked_at.is_(None))
    return bool(
        (await conn.execute(update(tables.access_links).where(*which).values(revoked_at=at))).rowcount
    )
