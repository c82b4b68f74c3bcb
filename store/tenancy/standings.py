"""Where every connection stands: the last cycle, open drift, what is held, the last
push.

For the view over all tenants, which has to cost a few queries and not a few for each
connection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import ConnectionId, CycleId, CycleKind, CycleStatus, TenantId

_cycle, _connection, _plan = tables.cycles.c, tables.connections.c, tables.plans.c
_token, _brake = tables.api_tokens.c, tables.push_brakes.c
IS_HELD = text("plans.status = 'held'")
"""The condition of the index, in its own words."""


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
    held: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Plans, and rows in them."""
    pushed: dict[str, datetime] = field(default_factory=dict)
    braked: dict[str, datetime] = field(default_factory=dict)

    def of(self, connection_id: str) -> Standing:
        """Return what is known of one connection."""
        plans, rows = self.held.get(connection_id, (0, 0))
        return Standing(
            last=self.last.get(connection_id),
            findings=self.findings.get(connection_id),
            held_plans=plans,
            held_rows=int(rows),
            last_push_at=self.pushed.get(connection_id),
            braked_at=self.braked.get(connection_id),
        )


async def load(
    conn: AsyncConnection, tenant_id: TenantId | None, only: Collection[ConnectionId] | None = None
) -> Mapping[ConnectionId, Standing]:
    """Return the standing of the connections of one tenant, or of all (None), for the
    operator; of `only` these, where they are named.

    A connection of which nothing is known is left out.
    """

    def of(connection_id: ColumnElement[str], tenant: ColumnElement[str]) -> list[ColumnElement[bool]]:
        named: list[ColumnElement[bool]] = [] if only is None else [connection_id.in_(only)]
        return named if tenant_id is None else [*named, tenant == tenant_id]

    parts = _StandingParts()
    ours = of(_connection.id, _connection.tenant_id)
    for row in await conn.execute(_latest(_cycle.finished_at.is_not(None), ours)):
        kind, status = CycleKind(row.kind), CycleStatus(row.status)
        parts.last[row.connection_id] = LastCycle(row.id, kind, status, row.started_at, row.error)
    for row in await conn.execute(_latest(_cycle.complete.is_not(None), ours)):
        parts.findings[row.connection_id] = row.findings
    for row in await conn.execute(_held(conn.dialect.name).where(*of(_plan.connection_id, _plan.tenant_id))):
        parts.held[row.connection_id] = row.plans, row.rows or 0
    for row in await conn.execute(_LAST_PUSHES.where(*of(_token.connection_id, _token.tenant_id))):
        parts.pushed[row.connection_id] = row.at
    for row in await conn.execute(_BRAKED.where(*of(_brake.connection_id, _brake.tenant_id))):
        parts.braked[row.connection_id] = row.at
    known = parts.last.keys() | parts.findings.keys() | parts.held.keys() | parts.pushed.keys()
    known |= parts.braked.keys()
    return {ConnectionId(each): parts.of(each) for each in known}


def _latest(condition: ColumnElement[bool], ours: Sequence[ColumnElement[bool]]) -> Select[Any]:
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
    of_connections = (
        select(newest).select_from(tables.connections).where(_connection.deleted_at.is_(None), *ours)
    )
    return select(
        *(_cycle.id, _cycle.connection_id, _cycle.kind, _cycle.status),
        *(_cycle.started_at, _cycle.error, _cycle.findings),
    ).where(_cycle.id.in_(of_connections))


def _held(dialect: str) -> Select[Any]:
    """Return the waiting plans of each connection and their rows, counted by the
    database: a plan can be megabytes.
    """
    if dialect == "sqlite":
        rows = func.json_array_length(_plan.body, "$.changes")
    else:
        rows = func.jsonb_array_length(_plan.body["changes"])
    return (
        select(_plan.connection_id, func.count().label("plans"), func.sum(rows).label("rows"))
        .where(IS_HELD)
        .group_by(_plan.connection_id)
    )


_BRAKED = (
    select(_brake.connection_id, func.min(_brake.braked_at).label("at"))
    .where(_brake.braked_at.is_not(None))
    .group_by(_brake.connection_id)
)
_LAST_PUSHES = (
    select(_token.connection_id, func.max(_token.last_used_at).label("at"))
    .where(_token.last_used_at.is_not(None), _token.user_id.is_(None))
    .group_by(_token.connection_id)
)
"""When a token of each connection was used last: by Entra, for the most."""
