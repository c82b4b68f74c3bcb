"""The versions of a connection's attribute mapping.

The last one is the policy's `mapping`, which the worker reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.keys import utc_now
from store.logs import events
from store.records import ConnectionId, JsonValue, PlanStatus, TenantId
from store.records.connections import FIRST_MAPPING, MappingOrigin, MappingVersion
from store.sync import leases
from store.tenancy import connections

_c = tables.mapping_versions.c
_of = tables.connections.c
_u = tables.users.c
_p = tables.plans.c


@dataclass(frozen=True, slots=True)
class AddedMapping:
    """A new version of a mapping, and how many plans ended with the one of before."""

    version: MappingVersion
    ended_plans: int


def _to_version(row: RowMapping) -> MappingVersion:
    return MappingVersion(row["version"], MappingOrigin(row["origin"]), row["mapping"], row["by"], row["at"])


async def list_for(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> list[MappingVersion]:
    """Return the versions that were made, the newest first."""
    query = select(tables.mapping_versions).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id
    )
    rows = await conn.execute(query.order_by(_c.version.desc()))
    return [_to_version(row) for row in rows.mappings()]


async def add(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    mapping: Mapping[str, str] | None,
    origin: MappingOrigin,
    by: str,
    *,
    now: datetime | None = None,
) -> AddedMapping:
    """Make this mapping the connection's from now on; that it fits is not confirmed.

    What waits for a decision, or to be applied, was found by the mapping of before:
    those plans end, and so does a cycle that runs. The next cycle holds what is still
    due. Raises `NotFound`.
    """
    await leases.revoke(conn, tenant_id, connection_id)
    connection = await connections.get(conn, tenant_id, connection_id)
    latest = next(iter(await list_for(conn, tenant_id, connection_id)), FIRST_MAPPING)
    version = MappingVersion(
        latest.version + 1, origin, None if mapping is None else dict(mapping), by, now or utc_now()
    )
    await conn.execute(
        insert(tables.mapping_versions).values(
            tenant_id=tenant_id,
            connection_id=connection_id,
            version=version.version,
            origin=version.origin.value,
            mapping=version.mapping,
            by=by,
            at=version.at,
        )
    )
    policy = replace(connection.policy, mapping=version.mapping, mapping_confirmed=False)
    await connections.set_policy(conn, tenant_id, connection_id, policy)
    await _forget_agreement(conn, tenant_id, connection_id)
    ended_plans = await _supersede_plans(conn, tenant_id, connection_id)
    told: dict[str, JsonValue] = {"version": version.version, "origin": origin.value, "by": by}
    await events.add(
        conn, tenant_id, connection_id, "connection.mapping_changed", connection_id, told, now=version.at
    )
    return AddedMapping(version, ended_plans)


async def _forget_agreement(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> None:
    """Forget on what both sides agreed: that was under another mapping."""
    of_connection = (_u.tenant_id == tenant_id, _u.connection_id == connection_id)
    agreed = {"agreed": None, "agreed_user_name": None, "agreed_external_id": None}
    await conn.execute(update(tables.users).where(*of_connection).values(agreed))


async def _supersede_plans(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> int:
    """End the plans that wait for a decision, or to be applied; return their number."""
    waiting = (
        _p.tenant_id == tenant_id,
        _p.connection_id == connection_id,
        _p.status.in_([PlanStatus.HELD.value, PlanStatus.APPROVED.value]),
    )
    ended = await conn.execute(
        update(tables.plans).where(*waiting).values(status=PlanStatus.SUPERSEDED.value)
    )
    return ended.rowcount


async def verdict(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> dict[str, Any] | None:
    """Return what the last full reading said of the mapping; None before the first."""
    query = select(_of.mapping_verdict).where(_of.tenant_id == tenant_id, _of.id == connection_id)
    found: dict[str, Any] | None = (await conn.execute(query)).scalar_one_or_none()
    return found


async def note_verdict(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, verdict: Mapping[str, Any]
) -> None:
    """Keep what a full reading said of the mapping, for the increments after it."""
    row = (_of.tenant_id == tenant_id, _of.id == connection_id)
    await conn.execute(update(tables.connections).where(*row).values(mapping_verdict=dict(verdict)))
