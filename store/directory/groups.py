"""Read groups. They change through `store.lifecycle` only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory import listing
from store.engine.streaming import count_up_to, of_tenant, rows_with
from store.errors import NotFound
from store.keys import search_key, to_group
from store.records import ConnectionId, Group, GroupId, TenantId, exact_key

_c = tables.groups.c


async def get(
    conn: AsyncConnection,
    tenant_id: TenantId,
    group_id: GroupId,
    *,
    connection_id: ConnectionId | None = None,
    deleted: bool = False,
) -> Group:
    """Return the tenant's group, of this connection if one is given.

    Raises `NotFound`. A deleted group is found with `deleted` only.
    """
    row = await listing.find_by_id(conn, tenant_id, tables.groups, group_id, connection_id, deleted=deleted)
    if row is None:
        raise NotFound("no such group")
    return to_group(row)


async def count(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, most: int | None = None
) -> int:
    """Count the groups of a connection that are not deleted; up to `most`."""
    query: Select[Any] = select(literal_column("1")).select_from(tables.groups)
    query = query.where(_c.connection_id == of_tenant(tenant_id, connection_id), _c.deleted_at.is_(None))
    return await count_up_to(conn, query, most)


async def load_some(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    *,
    ids: Collection[str] = (),
    objects: Collection[str] = (),
    names: Collection[str] = (),
    external_ids: Collection[str] = (),
) -> dict[GroupId, Group]:
    """Return the groups with one of these ids, object ids, displayNames or externalIds.

    Ids and object ids find deleted groups too, the other two do not. An externalId is
    looked up as given, in lower case and in upper case.
    """
    exact = map(exact_key, external_ids)
    spellings = {spelling for e in exact for spelling in (e, e.lower(), e.upper())}
    wanted = (
        (_c.id, ids, False),
        (_c.entra_object_id, objects, False),
        (_c.display_name_key, {search_key(name) for name in names}, True),
        (_c.external_id, spellings, True),
    )
    found: dict[GroupId, Group] = {}
    for column, values, alive in wanted:
        async for row in rows_with(conn, tenant_id, connection_id, column, values, alive=alive):
            found[GroupId(row["id"])] = to_group(row)
    return found


async def load_state(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> dict[GroupId, Group]:
    """Return every group of the connection for `worker.reconcile.state.State`.

    Deleted groups are included: a group that is assigned again gets its row back.
    """
    query = select(tables.groups).where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    rows = (await conn.execute(query)).mappings()
    return {group.id: group for group in map(to_group, rows)}
