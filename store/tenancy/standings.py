"""Where every connection stands: the last cycle, open drift, what is held, the last
push.

For the view over all tenants, which has to cost a few queries and not a few for each
connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import ConnectionId, CycleId, CycleKind, CycleStatus, PlanStatus, TenantId

_cycle, _connection = tables.cycles.c, tables.connections.c


@dataclass(frozen=True, slots=True)
class LastCycle:
    """The last cycle over a whole connection that ended."""

    id: CycleId
    kind: CycleKind
    status: CycleStatus
    started_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store knows of one connection, in short."""

    last: LastCycle | None = None
    findings: Mapping[str, int] | None = None
    """Findings by state of the last report; None before the first."""
    held_plans: int = 0
    held_rows: int = 0
    last_push_at: datetime | None = None
    braked_at: datetime | None = None
    """Since when a brake holds back removals by push; None: none does."""


@dataclass(slots=True)
class _StandingParts:
    last: dict[str, LastCycle] = field(default_factory=dict)
    findings: dict[str, Mapping[str, int]] = field(default_factory=dict)
    held: dict[str, list[int]] = field(default_factory=dict)
    pushed: dict[str, datetime] = field(default_factory=dict)
    braked: dict[str, datetime] = field(default_factory=dict)


async def load(conn: AsyncConnection, tenant_id: TenantId | None) -> Mapping[ConnectionId, Standing]:
    """Return the standing of the connections of one tenant, or of all (None), for the
    operator.

    A connection of which nothing is known is left out.
    """
    parts = _StandingParts()
    for row in await conn.execute(_latest(tenant_id, _cycle.finished_at.is_not(None))):
        kind, status = CycleKind(row.kind), CycleStatus(row.status)
        parts.last[row.connection_id] = LastCycle(row.id, kind, status, row.started_at, row.error)
    for row in await conn.execute(_latest(tenant_id, _cycle.complete.is_not(None))):
        parts.findings[row.connection_id] = row.findings
    for row in await conn.execute(_held(tenant_id)):
        changes = row.body.get("changes")
        rows = len(changes) if isinstance(changes, list) else 0
        parts.held.setdefault(row.connection_id, []).append(rows)
    for row in await conn.execute(_last_pushes(tenant_id)):
        parts.pushed[row.connection_id] = row.at
    for row in await conn.execute(_braked(tenant_id)):
        parts.braked[row.connection_id] = row.at
    known = parts.last.keys() | parts.findings.keys() | parts.held.keys() | parts.pushed.keys()
    known |= parts.braked.keys()
    return {
        ConnectionId(each): Standing(
            last=parts.last.get(each),
            findings=parts.findings.get(each),
            held_plans=len(parts.held.get(each, ())),
            held_rows=sum(parts.held.get(each, ())),
            last_push_at=parts.pushed.get(each),
            braked_at=parts.braked.get(each),
        )
        for each in known
    }


def _latest(tenant_id: TenantId | None, condition: ColumnElement[bool]) -> Select[Any]:
    """Return the newest cycle of each connection that meets a condition, on-demand runs
    aside: by index, however many cycles are kept.
    """
    newest = (
        select(_cycle.id)
        .where(_cycle.connection_id == _connection.id, _cycle.kind != CycleKind.ON_DEMAND.value, condition)
        .order_by(_cycle.started_at.desc(), _cycle.id)
        .limit(1)
        .correlate(tables.connections)
        .scalar_subquery()
    )
    of_connections = select(newest).select_from(tables.connections).where(_connection.deleted_at.is_(None))
    if tenant_id is not None:
        of_connections = of_connections.where(_connection.tenant_id == tenant_id)
    return select(
        *(_cycle.id, _cycle.connection_id, _cycle.kind, _cycle.status),
        *(_cycle.started_at, _cycle.error, _cycle.findings),
    ).where(_cycle.id.in_(of_connections))


def _held(tenant_id: TenantId | None) -> Select[Any]:
    plans = tables.plans.c
    query = select(plans.connection_id, plans.body).where(plans.status == PlanStatus.HELD.value)
    return query if tenant_id is None else query.where(plans.tenant_id == tenant_id)


def _braked(tenant_id: TenantId | None) -> Select[Any]:
    brakes = tables.push_brakes.c
    query = select(brakes.connection_id, func.min(brakes.braked_at).label("at"))
    query = query.where(brakes.braked_at.is_not(None))
    query = query if tenant_id is None else query.where(brakes.tenant_id == tenant_id)
    return query.group_by(brakes.connection_id)


def _last_pushes(tenant_id: TenantId | None) -> Select[Any]:
    """Return when a token of each connection was used last: by Entra, for the most."""
    tokens = tables.api_tokens.c
    query = select(tokens.connection_id, func.max(tokens.last_used_at).label("at")).where(
        tokens.last_used_at.is_not(None), tokens.user_id.is_(None)
    )
    query = query if tenant_id is None else query.where(tokens.tenant_id == tenant_id)
    return query.group_by(tokens.connection_id)
