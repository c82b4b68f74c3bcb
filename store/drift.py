"""Drift reports: the findings of each cycle, kept and compared over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import RowMapping, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import cycles, tables
from store.errors import NotFound
from store.records import (
    ConnectionId,
    Cycle,
    CycleId,
    DriftFinding,
    DriftKind,
    FindingState,
    Reason,
    SubjectType,
    TenantId,
)

_c = tables.drift_findings.c
_ONGOING = (FindingState.OPEN.value, FindingState.HELD.value)

Identity: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DriftReport:
    cycle_id: CycleId
    at: datetime
    complete: bool
    findings: tuple[DriftFinding, ...]


def _to_finding(row: RowMapping) -> DriftFinding:
    return DriftFinding(
        kind=DriftKind(row["kind"]),
        reason=Reason(row["reason"]) if row["reason"] else None,
        subject_type=SubjectType(row["subject_type"]),
        subject_id=row["subject_id"],
        subject_label=row["subject_label"],
        before=row["before"],
        after=row["after"],
        first_seen=row["first_seen"],
        state=FindingState(row["state"]),
        evidence=row["evidence"],
    )


def _identity(finding: DriftFinding) -> Identity:
    return finding.kind.value, finding.subject_id


async def record(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cycle_id: CycleId,
    findings: Sequence[DriftFinding],
    *,
    complete: bool = True,
) -> DriftReport:
    """Keeps the findings of a cycle.

    What the report before had open keeps its `first_seen`; what it had open and this complete cycle no longer sees is
    added as `resolved`. Recording a cycle twice replaces its findings.
    """
    await conn.execute(
        delete(tables.drift_findings).where(_c.tenant_id == tenant_id, _c.cycle_id == cycle_id)
    )
    before = {_identity(f): f for f in await _ongoing(conn, tenant_id, connection_id, cycle_id)}
    seen = {_identity(finding) for finding in findings}
    kept = [_since(finding, before.get(_identity(finding))) for finding in findings]
    for identity, finding in before.items():
        if identity not in seen:
            # An incomplete cycle did not see everything: what it missed stays as it was.
            kept.append(replace(finding, state=FindingState.RESOLVED) if complete else finding)
    if kept:
        rows = [_row(tenant_id, connection_id, cycle_id, finding) for finding in kept]
        await conn.execute(insert(tables.drift_findings), rows)
    return await report(conn, tenant_id, connection_id, cycle_id)


def _since(finding: DriftFinding, earlier: DriftFinding | None) -> DriftFinding:
    return finding if earlier is None else replace(finding, first_seen=earlier.first_seen)


async def _ongoing(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, but_for: CycleId
) -> list[DriftFinding]:
    """Gives what was open at the end of the last reported cycle before this one."""
    last = (
        select(tables.cycles.c.id)
        .where(tables.cycles.c.tenant_id == tenant_id, tables.cycles.c.connection_id == connection_id)
        .where(tables.cycles.c.id != but_for, tables.cycles.c.kind != "on_demand")
        .where(tables.cycles.c.complete.is_not(None))
        .order_by(tables.cycles.c.started_at.desc(), tables.cycles.c.id)
        .limit(1)
        .scalar_subquery()
    )
    query = select(tables.drift_findings).where(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        _c.cycle_id == last,
        _c.state.in_(_ONGOING),
    )
    return [_to_finding(row) for row in (await conn.execute(query.order_by(_c.id))).mappings()]


def _row(
    tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId, finding: DriftFinding
) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "cycle_id": cycle_id,
        "kind": finding.kind.value,
        "reason": finding.reason.value if finding.reason else None,
        "subject_type": finding.subject_type.value,
        "subject_id": finding.subject_id,
        "subject_label": finding.subject_label,
        "before": finding.before,
        "after": finding.after,
        "first_seen": finding.first_seen,
        "state": finding.state.value,
        "evidence": finding.evidence,
    }


async def report(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId | None = None
) -> DriftReport:
    """Gives the findings of a cycle, or of the last that reported; raises `NotFound` before the first."""
    cycle = await _reported(conn, tenant_id, connection_id, cycle_id)
    query = select(tables.drift_findings).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.cycle_id == cycle.id
    )
    rows = (await conn.execute(query.order_by(_c.id))).mappings()
    findings = tuple(_to_finding(row) for row in rows)
    return DriftReport(cycle.id, cycle.finished_at or cycle.started_at, bool(cycle.complete), findings)


async def _reported(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId | None
) -> Cycle:
    if cycle_id is not None:
        cycle = await cycles.get(conn, tenant_id, cycle_id)
        if cycle.connection_id == connection_id:
            return cycle
        raise NotFound("this connection has no such cycle")
    for cycle in await cycles.latest(conn, tenant_id, connection_id, finished=True):
        if cycle.complete is not None and cycle.kind != "on_demand":
            return cycle
    raise NotFound("no cycle of this connection has reported yet: `leaver sync` runs one")
