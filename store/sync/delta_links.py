"""Where the next incremental cycle continues.

That is Graph's delta links, the position in our own events, and the principals assigned
at that time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.keys import utc_now
from store.records import ConnectionId, GraphId, TenantId

_c = tables.delta_links.c
_a = tables.assigned_lists.c


@dataclass(frozen=True, slots=True)
class DeltaLink:
    name: str
    """The resource: `users`, `groups`, `events` for our own events, `again` for rows to
    check once more.
    """
    link: str
    context: str
    """The request (`$select`, scope) as one string.

    A link made for another request is not followed.
    """
    saved_at: datetime


async def get_all(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> dict[str, DeltaLink]:
    """Return all links of a connection by their names."""
    query = select(_c.name, _c.link, _c.context, _c.saved_at).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id
    )
    return {row["name"]: DeltaLink(**row) for row in (await conn.execute(query)).mappings()}


async def put(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    name: str,
    link: str,
    *,
    context: str = "",
    now: datetime | None = None,
) -> None:
    """Save the link in place of the earlier one."""
    mine = (_c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.name == name)
    values = {"link": link, "context": context, "saved_at": now or utc_now()}
    changed = await conn.execute(update(tables.delta_links).where(*mine).values(**values))
    if changed.rowcount == 0:
        await conn.execute(
            insert(tables.delta_links).values(
                tenant_id=tenant_id, connection_id=connection_id, name=name, **values
            )
        )


async def drop(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, name: str | None = None
) -> None:
    """Delete one link or all links; then the next cycle reads everything."""
    statement = delete(tables.delta_links).where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    await conn.execute(statement if name is None else statement.where(_c.name == name))


def digest_of(principals: Iterable[str]) -> str:
    """Return a digest that is the same for equal lists in any order."""
    return hashlib.sha256(_SEPARATOR.join(sorted(principals)).encode()).hexdigest()


async def assigned_digest(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> str | None:
    """Return the digest of the assigned principals, or None where none was saved."""
    query = select(_a.digest).where(_a.tenant_id == tenant_id, _a.connection_id == connection_id)
    found: str | None = (await conn.execute(query)).scalar()
    return found


async def assigned(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> frozenset[GraphId]:
    """Return the users and groups that were assigned when the links were saved."""
    query = select(_a.principals).where(_a.tenant_id == tenant_id, _a.connection_id == connection_id)
    text = (await conn.execute(query)).scalar() or ""
    return frozenset(map(GraphId, text.split(_SEPARATOR))) if text else frozenset()


async def counted_groups(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> frozenset[GraphId]:
    """Return the assigned groups that the last reading counted: those it could read and
    that Entra provisions.
    """
    query = select(_a.groups).where(_a.tenant_id == tenant_id, _a.connection_id == connection_id)
    text = (await conn.execute(query)).scalar() or ""
    return frozenset(map(GraphId, text.split(_SEPARATOR))) if text else frozenset()


async def put_assigned(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    principals: Iterable[GraphId],
    groups: Iterable[GraphId] = (),
) -> None:
    """Save the assigned principals in place of the earlier list, and which groups of
    them count.

    Equal lists are not written again.
    """
    listed, counted = sorted(principals), _SEPARATOR.join(sorted(groups))
    mine = (_a.tenant_id == tenant_id, _a.connection_id == connection_id)
    query = select(_a.digest, _a.groups).where(*mine)
    before, now = (await conn.execute(query)).first(), digest_of(listed)
    if before is not None and (before.digest, before.groups) == (now, counted):
        return
    values = {"digest": now, "principals": _SEPARATOR.join(listed), "groups": counted}
    if before is None:
        scope = {"tenant_id": tenant_id, "connection_id": connection_id}
        await conn.execute(insert(tables.assigned_lists).values(**scope, **values))
    else:
        await conn.execute(update(tables.assigned_lists).where(*mine).values(**values))


_SEPARATOR = " "
