"""Cycles: runs of the worker over a connection, and the guard's memory of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.bulk_write import bind_names, insert_statement, write_batch
from store.engine.prepared_statements import fetch_tuples
from store.errors import NotFound
from store.keys import new_id, utc_now
from store.records import (
    ConnectionId,
    Cycle,
    CycleId,
    CycleKind,
    CycleStatus,
    FindingState,
    JsonValue,
    PlanId,
    TenantId,
)
from store.tenancy import connections

_c = tables.cycles.c
_INTERNAL = {"progress", "token_roles", "scope_key"}
_PUBLIC = [column for column in _c if column.name not in _INTERNAL]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running cycle is."""

    phase: str
    done: int = 0
    total: int | None = None
    detail: str = ""
    at: datetime | None = None
    rate_per_s: float | None = None
    """Of this phase; None until it is known."""
    left_s: float | None = None
    """Until this phase ends, at that rate."""


@dataclass(frozen=True, slots=True)
class CycleResult:
    """How a cycle ended, as `finish` saves it.

    The guard compares later plans with `counts`, `token_roles` and `scope_key` of a
    complete cycle.
    """

    status: CycleStatus
    complete: bool | None
    completeness: Mapping[str, JsonValue] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    drift: Mapping[str, int] = field(default_factory=dict)
    findings: Mapping[str, int] = field(default_factory=dict)
    applied: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    held_plan_id: PlanId | None = None
    error: str | None = None
    token_roles: Collection[str] | None = None
    scope_key: str | None = None
    increments_missed: int | None = None
    report_number: int | None = None


@dataclass(frozen=True, slots=True)
class NumberedReport:
    """The last report of a connection."""

    cycle_id: CycleId
    number: int


def _to_cycle(row: RowMapping) -> Cycle:
    values: dict[str, Any] = dict(row)
    values["kind"] = CycleKind(row["kind"])
    values["status"] = CycleStatus(row["status"])
    return Cycle(**values)


async def start(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    kind: CycleKind,
    *,
    cycle_id: CycleId | None = None,
    why_full: str | None = None,
    is_dry_run: bool = False,
    now: datetime | None = None,
) -> Cycle:
    """Create a running cycle; `why_full` says why it reads everything."""
    cycle = Cycle(
        id=cycle_id or CycleId(new_id()),
        tenant_id=tenant_id,
        connection_id=connection_id,
        kind=kind,
        status=CycleStatus.RUNNING,
        started_at=now or utc_now(),
        why_full=why_full,
        is_dry_run=is_dry_run,
    )
    values = {**asdict(cycle), "kind": kind.value, "status": cycle.status.value, "progress": {}}
    row = {**dict.fromkeys(_c.keys()), **values}
    await write_batch(conn, [(insert_statement(tables.cycles), [bind_names(tables.cycles, row)])])
    return cycle


async def save_progress(
    conn: AsyncConnection, tenant_id: TenantId, cycle_id: CycleId, how_far: Progress
) -> None:
    """Save how far the cycle is.

    A cycle that has ended, or that was recorded as dead meanwhile, is not changed.
    """
    body = {**asdict(how_far), "at": (how_far.at or utc_now()).isoformat()}
    await conn.execute(
        update(tables.cycles)
        .where(_c.tenant_id == tenant_id, _c.id == cycle_id, _c.finished_at.is_(None))
        .values(progress=body)
    )


async def load_progress(conn: AsyncConnection, tenant_id: TenantId, cycle_id: CycleId) -> Progress | None:
    """Return the progress saved last, or None."""
    query = select(_c.progress).where(_c.tenant_id == tenant_id, _c.id == cycle_id)
    body = (await conn.execute(query)).scalar()
    return Progress(**{**body, "at": datetime.fromisoformat(body["at"])}) if body else None


async def running(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> tuple[Cycle, Progress | None] | None:
    """Return the connection's running cycle and its progress, or None."""
    for cycle in await latest(conn, tenant_id, connection_id, limit=1, finished=False):
        return cycle, await load_progress(conn, tenant_id, cycle.id)
    return None


async def finish(
    conn: AsyncConnection,
    tenant_id: TenantId,
    cycle_id: CycleId,
    result: CycleResult,
    *,
    now: datetime | None = None,
) -> Cycle:
    """Save how a cycle ended and return it."""
    values = {field.name: getattr(result, field.name) for field in fields(result)}
    values["status"] = result.status.value
    values["token_roles"] = None if result.token_roles is None else sorted(result.token_roles)
    ending = (
        update(tables.cycles)
        .where(_c.tenant_id == tenant_id, _c.id == cycle_id)
        .values(finished_at=now or utc_now(), **values)
        .returning(*_PUBLIC)
    )
    row = (await conn.execute(ending)).mappings().first()
    if row is None:
        raise NotFound("no such cycle")
    ended = _to_cycle(row)
    if ended.kind is not CycleKind.ON_DEMAND:
        still_open = None if ended.complete is None else ended.findings.get(FindingState.OPEN.value, 0)
        place = conn, tenant_id, ended.connection_id
        await connections.note_outcome(*place, last_status=ended.status, open_findings=still_open)
    return ended


async def note_repairs(
    conn: AsyncConnection, tenant_id: TenantId, cycle_id: CycleId, repaired: Mapping[FindingState, int]
) -> None:
    """Count findings of a cycle's report, by the state they were in, as repaired."""
    cycle = await get(conn, tenant_id, cycle_id)
    counts = dict(cycle.findings)
    for state, number in repaired.items():
        counts[state.value] = counts.get(state.value, 0) - number
        counts[FindingState.REPAIRED.value] = counts.get(FindingState.REPAIRED.value, 0) + number
    await conn.execute(
        update(tables.cycles).where(_c.tenant_id == tenant_id, _c.id == cycle_id).values(findings=counts)
    )
    place = conn, tenant_id, cycle.connection_id
    await connections.note_outcome(*place, open_findings=counts.get(FindingState.OPEN.value, 0))


async def mark_read_everything(
    conn: AsyncConnection, tenant_id: TenantId, cycle_id: CycleId, kind: CycleKind, why: str
) -> Cycle:
    """Record that a cycle reads everything, and why."""
    await conn.execute(
        update(tables.cycles)
        .where(_c.tenant_id == tenant_id, _c.id == cycle_id)
        .values(kind=kind.value, why_full=why)
    )
    return await get(conn, tenant_id, cycle_id)


async def get(conn: AsyncConnection, tenant_id: TenantId, cycle_id: CycleId) -> Cycle:
    query = select(*_PUBLIC).where(_c.tenant_id == tenant_id, _c.id == cycle_id)
    row = (await conn.execute(query)).mappings().first()
    if row is None:
        raise NotFound("no such cycle")
    return _to_cycle(row)


async def latest(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    *,
    limit: int = 20,
    finished: bool | None = None,
    on_demand: bool = True,
) -> list[Cycle]:
    """Return the connection's cycles, the newest first.

    Without `on_demand` only cycles over the whole connection.
    """
    query = select(*_PUBLIC).where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    if finished is not None:
        query = query.where(_c.finished_at.is_not(None) if finished else _c.finished_at.is_(None))
    if not on_demand:
        query = query.where(_c.kind != CycleKind.ON_DEMAND.value)
    rows = await conn.execute(query.order_by(_c.started_at.desc(), _c.id).limit(limit))
    return [_to_cycle(row) for row in rows.mappings()]


async def page(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    connection_id: ConnectionId | None,
    *,
    kind: CycleKind | None = None,
    status: CycleStatus | None = None,
    before: CycleId | None = None,
    on_demand: bool = True,
    limit: int = 50,
) -> list[Cycle]:
    """Return cycles older than `before`, the newest first.

    None in place of the connection: of every one, and in place of the tenant: of all
    tenants, for the operator. Without `on_demand` only cycles over the whole
    connection.
    """
    query = select(*_PUBLIC)
    if tenant_id is not None:
        query = query.where(_c.tenant_id == tenant_id)
    if connection_id is not None:
        query = query.where(_c.connection_id == connection_id)
    if kind is not None:
        query = query.where(_c.kind == kind.value)
    if status is not None:
        query = query.where(_c.status == status.value)
    if not on_demand:
        query = query.where(_c.kind != CycleKind.ON_DEMAND.value)
    if before is not None:
        place = select(_c.started_at).where(_c.id == before).scalar_subquery()
        query = query.where(or_(_c.started_at < place, (_c.started_at == place) & (_c.id > before)))
    rows = await conn.execute(query.order_by(_c.started_at.desc(), _c.id).limit(limit))
    return [_to_cycle(row) for row in rows.mappings()]


async def last(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    *,
    reported: bool = False,
    complete: bool = False,
) -> Cycle | None:
    """Return the last cycle that was not on demand, without its completeness proof.

    `reported`: the last that came to its end and has a drift report; `complete`: the
    last that read everything it had to, and was no dry run.
    """
    query = select(*(column for column in _PUBLIC if column is not _c.completeness)).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.kind != CycleKind.ON_DEMAND.value
    )
    query = query.where(_c.complete.is_not(None)) if reported else query
    query = query.where(_c.complete, _c.is_dry_run.is_(False)) if complete else query
    row = (await conn.execute(query.order_by(_c.started_at.desc(), _c.id).limit(1))).mappings().first()
    return None if row is None else _to_cycle(row)


_LAST_STATUS = (
    select(_c.status)
    .where(_c.tenant_id == bindparam("tenant"), _c.connection_id == bindparam("connection"))
    .where(_c.kind != CycleKind.ON_DEMAND.value)
    .order_by(_c.started_at.desc(), _c.id)
    .limit(1)
)


async def last_status(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> CycleStatus | None:
    """Return the status of the last cycle that was not on demand; None before one."""
    of_connection = {"tenant": tenant_id, "connection": connection_id}
    rows = await fetch_tuples(conn, _LAST_STATUS, of_connection)
    return CycleStatus(rows[0][0]) if rows else None


_LAST_REPORT = (
    select(_c.id, _c.report_number)
    .where(_c.tenant_id == bindparam("tenant"), _c.connection_id == bindparam("connection"))
    .where(_c.report_number.is_not(None))
    .order_by(_c.report_number.desc())
    .limit(1)
)


async def last_report(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> NumberedReport | None:
    """Return the last report of the connection, or None before the first."""
    rows = await fetch_tuples(conn, _LAST_REPORT, {"tenant": tenant_id, "connection": connection_id})
    return NumberedReport(*rows[0]) if rows else None


async def last_report_number(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> int:
    """Return the number of the connection's last report; 0 before the first."""
    last_one = await last_report(conn, tenant_id, connection_id)
    return 0 if last_one is None else last_one.number


async def last_read_at(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> datetime | None:
    """Return when the last complete reading of the directory began, full or by an
    unbroken delta; None before the first.
    """
    query = select(_c.started_at).where(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        _c.complete,
        _c.kind != CycleKind.ON_DEMAND.value,
    )
    return (await conn.execute(query.order_by(_c.started_at.desc()).limit(1))).scalar_one_or_none()
