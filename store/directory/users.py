"""Read users. They change through `store.lifecycle` only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory import listing
from store.engine.streaming import count_up_to, in_parts, of_tenant, rows_with
from store.errors import NotFound
from store.keys import search_key, to_user
from store.records import ConnectionId, TenantId, User, UserId, exact_key

_c = tables.users.c

IS_ADMIN = text("users.is_admin")
"""The condition of the index of admins, in its own words.

SQLite takes a partial index only for exactly its condition, not for `= 1`.
"""
IS_ACTIVE = text("users.deleted_at IS NULL AND users.active")
"""The condition of the index of active users, in its own words."""


async def get(
    conn: AsyncConnection,
    tenant_id: TenantId,
    user_id: UserId,
    *,
    connection_id: ConnectionId | None = None,
    deleted: bool = False,
) -> User:
    """Return the tenant's user, of this connection if one is given.

    Raises `NotFound`. A deleted user is found with `deleted` only.
    """
    row = await listing.find_by_id(conn, tenant_id, tables.users, user_id, connection_id, deleted=deleted)
    if row is None:
        raise NotFound("no such user")
    return to_user(row)


async def find_by_user_name(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, user_name: str
) -> User | None:
    """Return the user with this userName, without regard to case, or None."""
    key = search_key(user_name)
    row = await listing.find_one(conn, tenant_id, connection_id, _c.user_name_key, key)
    return None if row is None else to_user(row)


async def has_admin_elsewhere(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> bool:
    """Return whether the tenant has an active admin outside this connection.

    Then no admin of this connection is the tenant's last.
    """
    query = select(_c.id).where(
        _c.tenant_id == tenant_id,
        _c.connection_id != connection_id,
        IS_ADMIN,
        _c.active,
        _c.deleted_at.is_(None),
    )
    return (await conn.execute(query.limit(1))).first() is not None


async def count_active(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, most: int | None = None
) -> int:
    """Count the active users of a connection, by an index alone; up to `most`."""
    query: Select[Any] = select(literal_column("1")).select_from(tables.users)
    query = query.where(_c.connection_id == of_tenant(tenant_id, connection_id), IS_ACTIVE)
    return await count_up_to(conn, query, most)


async def has_admin_besides(conn: AsyncConnection, tenant_id: TenantId, user_ids: Collection[str]) -> bool:
    """Return whether the tenant has an active admin besides these users.

    Admins of every connection of the tenant count.
    """
    query = select(_c.id).where(_c.tenant_id == tenant_id, IS_ADMIN, _c.active, _c.deleted_at.is_(None))
    return any(user_id not in user_ids for user_id in (await conn.execute(query)).scalars())


async def load_some(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    *,
    ids: Collection[str] = (),
    objects: Collection[str] = (),
    names: Collection[str] = (),
    external_ids: Collection[str] = (),
) -> dict[UserId, User]:
    """Return the users, deleted ones too, with one of these ids, object ids, userNames
    or externalIds.

    An externalId is looked up as given, in lower case and in upper case.
    """
    exact = map(exact_key, external_ids)
    spellings = {spelling for e in exact for spelling in (e, e.lower(), e.upper())}
    wanted = (
        (_c.id, ids),
        (_c.entra_object_id, objects),
        (_c.user_name_key, {search_key(name) for name in names}),
        (_c.external_id, spellings),
    )
    found: dict[UserId, User] = {}
    for column, values in wanted:
        async for row in rows_with(conn, tenant_id, connection_id, column, values):
            found[UserId(row["id"])] = to_user(row)
    return found


async def load_state(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> dict[UserId, User]:
    """Return every user of the connection, deleted ones too, for
    `worker.reconcile.state.State`.
    """
    query = select(tables.users).where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    state: dict[UserId, User] = {}
    async for part in in_parts(conn, query, lambda row: to_user(row._mapping)):
        state.update((user.id, user) for user in part)
    return state
