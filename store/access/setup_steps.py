"""When the steps of a set-up were first seen done, and the first traces of traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import Action, ConnectionId, Origin, SubjectType, TenantId

_c = tables.setup_steps.c
_u = tables.users.c

LOOKED_AT = 2_000
"""Accounts or log entries that are looked through for the first trace of a step: a
step is noted once it was seen, so its trace is old or new.
"""


@dataclass(frozen=True, slots=True)
class SetupStepTrace:
    """A step that was seen done."""

    at: datetime
    proof: str


async def load(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> dict[str, SetupStepTrace]:
    """Return the steps that were seen done, by name."""
    query = select(_c.step, _c.at, _c.proof).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id
    )
    return {row.step: SetupStepTrace(row.at, row.proof) for row in await conn.execute(query)}


async def add(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    traces: Mapping[str, SetupStepTrace],
) -> None:
    """Keep what was seen; the first time stays."""
    connection = tables.connections.c
    own = select(connection.id).where(connection.tenant_id == tenant_id, connection.id == connection_id)
    if not traces or (await conn.execute(own)).first() is None:
        return
    rows = [
        {
            "connection_id": connection_id,
            "step": step,
            "tenant_id": tenant_id,
            "at": each.at,
            "proof": each.proof,
        }
        for step, each in sorted(traces.items())
    ]
    dialect: Any = postgresql if conn.dialect.name == "postgresql" else sqlite
    await conn.execute(dialect.insert(tables.setup_steps).on_conflict_do_nothing(), rows)


async def first_pushed_user(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> datetime | None:
    """Return when the first user was made that Entra's provisioning service wrote.

    The origin of a row does not tell: the pull takes over what it links.
    """
    oldest = (
        select(_u.created_at, _u.push_wrote_at, _u.seq)
        .where(_u.tenant_id == tenant_id, _u.connection_id == connection_id, _u.deleted_at.is_(None))
        .order_by(_u.seq)
        .limit(LOOKED_AT)
        .subquery()
    )
    query = select(oldest.c.created_at).where(oldest.c.push_wrote_at.is_not(None))
    return await _first(conn, query.order_by(oldest.c.seq))


async def first_pushed_group(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> datetime | None:
    """Return when Entra's provisioning service made the first group."""
    return await _first_logged(conn, tenant_id, connection_id, SubjectType.GROUP, (Action.CREATE,))


async def first_disable(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> datetime | None:
    """Return when Entra first took a person's access away by push."""
    endings = (Action.DISABLE, Action.DELETE)
    return await _first_logged(conn, tenant_id, connection_id, SubjectType.USER, endings)


async def _first_logged(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    subject_type: SubjectType,
    actions: Sequence[Action],
) -> datetime | None:
    """Look through the oldest entries, then through the newest: where a connection is
    pushed to late, its oldest entries are all of the pull.
    """
    log = tables.provisioning_log.c
    for order in (log.id, log.id.desc()):
        some = (
            select(log.id, log.at, log.action, log.subject_type, log.origin, log.status)
            .where(log.tenant_id == tenant_id, log.connection_id == connection_id)
            .order_by(order)
            .limit(LOOKED_AT)
            .subquery()
        )
        query = select(some.c.at).where(
            some.c.action.in_([action.value for action in actions]),
            some.c.subject_type == subject_type.value,
            some.c.origin == Origin.SCIM.value,
            some.c.status == "success",
        )
        found = await _first(conn, query.order_by(some.c.id))
        if found is not None:
            return found
    return None


async def _first(conn: AsyncConnection, query: Select[Any]) -> datetime | None:
    found: datetime | None = (await conn.execute(query.limit(1))).scalar()
    return found
