"""The audit log: changes to the set-up of a tenant, written in their transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.keys import utc_now
from store.records import AuditEntry, ConnectionId, JsonValue, TenantId

NOBODY = "system"
"""The actor of changes that Leaver makes by itself."""

INSTALLATION = TenantId("installation")
"""In place of a tenant, for what concerns the installation: tokens of operators."""

_c = tables.audit_log.c


async def record(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId | None,
    actor: str,
    action: str,
    subject_id: str,
    subject_label: str,
    detail: Mapping[str, JsonValue] | None = None,
    *,
    now: datetime | None = None,
) -> None:
    """Add an entry; `detail` holds no secret and no personal data."""
    await conn.execute(
        insert(tables.audit_log).values(
            at=now or utc_now(),
            tenant_id=tenant_id,
            connection_id=connection_id,
            actor=actor,
            action=action,
            subject_id=subject_id,
            subject_label=subject_label,
            detail=dict(detail or {}),
        )
    )


async def search(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId | None = None,
    *,
    before: int | None = None,
    limit: int = 100,
) -> list[AuditEntry]:
    """Return the newest entries of one connection or of the whole tenant, below the id
    `before`.
    """
    query = select(tables.audit_log).where(_c.tenant_id == tenant_id)
    if connection_id is not None:
        query = query.where(_c.connection_id == connection_id)
    if before is not None:
        query = query.where(_c.id < before)
    rows = await conn.execute(query.order_by(_c.id.desc()).limit(limit))
    return [AuditEntry(**row) for row in rows.mappings()]
