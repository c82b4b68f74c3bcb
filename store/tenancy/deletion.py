"""Delete connections and tenants: no secret of theirs works, and nothing is erased.

The rows stay, with their accounts, logs and history (invariant I8); only references to
Entra's side go: the credential, and the links of its deltas.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, TextClause, delete, exists, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory.browsing import IS_ACTIVE, IS_INACTIVE
from store.engine.streaming import count_up_to, of_tenant
from store.errors import NotFound
from store.keys import to_user, utc_now
from store.records import ConnectionId, CycleStatus, PlanStatus, TenantId, User
from store.tenancy import api_tokens

_u, _g, _s = tables.users.c, tables.groups.c, tables.sessions.c
_t, _c, _p, _y = tables.tenants.c, tables.connections.c, tables.plans.c, tables.cycles.c


@dataclass(frozen=True, slots=True)
class ConnectionCounts:
    """What belongs to a connection."""

    active: int
    """Accounts with access."""
    inactive: int
    groups: int
    sessions: int
    """Sessions that still work."""
    tokens: int
    """Tokens that were not revoked."""
    held_plans: int


async def count(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    *,
    most: int | None = None,
    now: datetime | None = None,
) -> ConnectionCounts:
    """Count what a deletion concerns; counting ends at `most`, if that is given."""
    ours = of_tenant(tenant_id, connection_id)
    people = _u.connection_id == ours
    signed_in = exists().where(_u.id == _s.user_id, people)
    t = tables.api_tokens.c

    async def number(of: ColumnElement[bool], *conditions: ColumnElement[bool] | TextClause) -> int:
        return await count_up_to(conn, select(literal(1)).where(of, *conditions), most)

    return ConnectionCounts(
        active=await number(people, IS_ACTIVE),
        inactive=await number(people, IS_INACTIVE),
        groups=await number(_g.connection_id == ours, _g.deleted_at.is_(None)),
        sessions=await number(
            _s.tenant_id == tenant_id, _s.revoked_at.is_(None), _s.expires_at > (now or utc_now()), signed_in
        ),
        tokens=await number(t.connection_id == ours, t.revoked_at.is_(None)),
        held_plans=await number(_p.connection_id == ours, _p.status == PlanStatus.HELD.value),
    )


async def next_active(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, limit: int
) -> list[User]:
    """Return accounts that still have access, the oldest first."""
    return await _users(conn, tenant_id, connection_id, limit, _u.active)


async def next_of_entra(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, limit: int
) -> list[User]:
    """Return accounts that still stand for a person in Entra, or that Entra wrote."""
    is_entras = or_(_u.entra_object_id.is_not(None), _u.origin.in_(["scim", "graph"]))
    return await _users(conn, tenant_id, connection_id, limit, is_entras)


async def _users(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    limit: int,
    condition: ColumnElement[bool],
) -> list[User]:
    query = (
        select(tables.users)
        .where(_u.tenant_id == tenant_id, _u.connection_id == connection_id, _u.deleted_at.is_(None))
        .where(condition)
        .order_by(_u.seq)
        .limit(limit)
    )
    return [to_user(row) for row in (await conn.execute(query)).mappings()]


async def end_connection(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    *,
    actor: str,
    now: datetime | None = None,
) -> None:
    """Mark a connection as deleted: tokens end, the credential goes, no plan waits.

    The caller holds its lease. Raises `NotFound` if it is deleted already.
    """
    at = now or utc_now()
    ended = (
        update(tables.connections)
        .where(_c.tenant_id == tenant_id, _c.id == connection_id, _c.deleted_at.is_(None))
        .values(deleted_at=at, credential=None, credential_expires_at=None, next_due_at=None)
    )
    if (await conn.execute(ended)).rowcount == 0:
        raise NotFound("this tenant has no such connection: `leaver connection list` shows all")
    for token in await api_tokens.list_for(conn, tenant_id, connection_id):
        await api_tokens.revoke(conn, tenant_id, token.id, actor=actor, now=at)
    await conn.execute(
        update(tables.plans)
        .where(_p.tenant_id == tenant_id, _p.connection_id == connection_id)
        .where(_p.status == PlanStatus.HELD.value)
        .values(status=PlanStatus.SUPERSEDED.value)
    )
    await conn.execute(
        update(tables.cycles)
        .where(_y.tenant_id == tenant_id, _y.connection_id == connection_id, _y.finished_at.is_(None))
        .values(finished_at=at, status=CycleStatus.FAILED.value, error="The connection was deleted.")
    )
    for table in (tables.delta_links, tables.assigned_lists, tables.push_conflicts):
        await conn.execute(
            delete(table).where(table.c.tenant_id == tenant_id, table.c.connection_id == connection_id)
        )


async def end_tenant(conn: AsyncConnection, tenant_id: TenantId, *, now: datetime | None = None) -> None:
    """Mark a tenant as deleted, whose connections are all deleted.

    Raises `NotFound` if it is deleted already.
    """
    ended = (
        update(tables.tenants)
        .where(_t.id == tenant_id, _t.deleted_at.is_(None))
        .where(~exists().where(_c.tenant_id == tenant_id, _c.deleted_at.is_(None)))
        .values(deleted_at=now or utc_now())
    )
    if (await conn.execute(ended)).rowcount == 0:
        raise NotFound("there is no such tenant, or it has connections")
