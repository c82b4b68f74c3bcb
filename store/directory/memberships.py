"""Read memberships. They change through `store.lifecycle` only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.streaming import count_up_to, in_parts, of_tenant, rows_with
from store.keys import to_membership
from store.records import ConnectionId, GroupId, Membership, TenantId

_c = tables.memberships.c


async def of_group(
    conn: AsyncConnection,
    tenant_id: TenantId,
    group_id: GroupId,
    *,
    after: str | None = None,
    limit: int | None = None,
) -> list[Membership]:
    """Return a group's members in the order of their ids; up to `limit` of them, from
    the one after `after`.
    """
    query = select(tables.memberships).where(_c.group_id == group_id, _c.tenant_id == tenant_id)
    if after is not None:
        query = query.where(_c.member_id > after)
    rows = await conn.execute(query.order_by(_c.member_id).limit(limit))
    return [to_membership(row) for row in rows.mappings()]


async def of_member(conn: AsyncConnection, tenant_id: TenantId, member_id: str) -> list[Membership]:
    """Return the direct memberships of a user or a group, by group id."""
    query = select(tables.memberships).where(_c.member_id == member_id, _c.tenant_id == tenant_id)
    rows = await conn.execute(query.order_by(_c.group_id))
    return [to_membership(row) for row in rows.mappings()]


async def count(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, most: int | None = None
) -> int:
    """Count the memberships of a connection; up to `most`."""
    query: Select[Any] = select(literal_column("1")).select_from(tables.memberships)
    query = query.where(_c.connection_id == of_tenant(tenant_id, connection_id))
    return await count_up_to(conn, query, most)


async def load_some(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    *,
    groups: Collection[str] = (),
    members: Collection[str] = (),
) -> dict[GroupId, frozenset[str]]:
    """Return member ids by group.

    Of `groups` that is all members; of every other group, those among `members`.
    """
    found: defaultdict[GroupId, set[str]] = defaultdict(set)
    for column, values in ((_c.group_id, groups), (_c.member_id, members)):
        async for row in rows_with(conn, tenant_id, connection_id, column, values):
            found[GroupId(row["group_id"])].add(row["member_id"])
    return {group_id: frozenset(member_ids) for group_id, member_ids in found.items()}


async def load_state(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> dict[GroupId, frozenset[str]]:
    """Return the member ids of every group of the connection that has members."""
    query = select(_c.group_id, _c.member_id).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id
    )
    found: defaultdict[GroupId, list[str]] = defaultdict(list)
    async for part in in_parts(conn, query, tuple):
        for group_id, member_id in part:
            found[group_id].append(member_id)
    return {group_id: frozenset(member_ids) for group_id, member_ids in found.items()}
