"""Where the next incremental cycle continues.

That is Graph's delta links, the position in our own events, and the principals assigned
at that time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import fetch, fetch_tuples
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


_LINKS = select(_c.name, _c.link, _c.context, _c.saved_at).where(
    _c.tenant_id == bindparam("of_tenant"), _c.connection_id == bindparam("of_connection")
)
_OF_LIST = (_a.tenant_id == bindparam("of_tenant"), _a.connection_id == bindparam("of_connection"))
_DIGEST = select(_a.digest).where(*_OF_LIST)
_ASSIGNED = select(_a.principals, _a.groups).where(*_OF_LIST)


def _in_place(statement: Any) -> Any:
    new = {name: statement.excluded[name] for name in ("link", "context", "saved_at")}
    return statement.on_conflict_do_update(index_elements=["tenant_id", "connection_id", "name"], set_=new)


_PUT: Mapping[str, Any] = {
    "sqlite": _in_place(sqlite.insert(tables.delta_links)),
    "postgresql": _in_place(postgresql.insert(tables.delta_links)),
}


async def get_all(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> dict[str, DeltaLink]:
    """Return all links of a connection by their names."""
    rows = await fetch(conn, _LINKS, {"of_tenant": tenant_id, "of_connection": connection_id})
    return {row["name"]: DeltaLink(**row) for row in rows}


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


async def put_all(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    links: Mapping[str, str],
    *,
    context: str = "",
    now: datetime | None = None,
) -> None:
    """Save links by their names in place of the earlier ones, in one statement."""
    scope = {"tenant_id": tenant_id, "connection_id": connection_id}
    saved = {"context": context, "saved_at": now or utc_now()}
    rows = [{**scope, "name": name, "link": link, **saved} for name, link in links.items()]
    await conn.execute(_PUT[conn.dialect.name], rows)


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
    rows = await fetch_tuples(conn, _DIGEST, {"of_tenant": tenant_id, "of_connection": connection_id})
    found: str | None = rows[0][0] if rows else None
    return found


@dataclass(frozen=True, slots=True)
class AssignedList:
    """The users and groups that were assigned when the links were saved."""

    principals: frozenset[GraphId]
    groups: frozenset[GraphId]
    """The assigned groups that the last reading counted: those it could read and that
    Entra provisions.
    """


async def is_assigned(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, principal_id: str
) -> bool | None:
    """Return whether a user or group was assigned itself when the links were saved;
    None where none were.

    The database looks through the list, which may be long.
    """
    is_listed = _a.principals.contains(principal_id, autoescape=True)
    query = select(is_listed).where(_a.tenant_id == tenant_id, _a.connection_id == connection_id)
    found = (await conn.execute(query)).scalar()
    return None if found is None else bool(found) and bool(principal_id)


async def assigned_list(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> AssignedList | None:
    """Return the list that was saved with the links; None where none was."""
    rows = await fetch_tuples(conn, _ASSIGNED, {"of_tenant": tenant_id, "of_connection": connection_id})
    return AssignedList(*map(_ids, rows[0])) if rows else None


async def counted_groups(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> frozenset[GraphId]:
    """Return the assigned groups that the last reading counted."""
    query = select(_a.groups).where(_a.tenant_id == tenant_id, _a.connection_id == connection_id)
    return _ids((await conn.execute(query)).scalar() or "")


def _ids(text: str) -> frozenset[GraphId]:
    return frozenset(map(GraphId, text.split()))


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
