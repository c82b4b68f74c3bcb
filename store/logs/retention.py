"""Delete old rows of all tenants, the oldest first and a bounded number a call.

Users are kept for ever, and their history unless the operator limits it (invariant I8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Delete,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import CycleKind, PlanStatus

AT_ONCE = 5_000
"""Rows of one table deleted by one call.

The transaction is then as short as that of a push.
"""
CYCLES_AT_ONCE = 500

_c = tables.cycles.c
_f = tables.drift_findings.c
_e = tables.events.c
_s = tables.sessions.c
_k = tables.idempotency_keys.c

CycleKey: TypeAlias = tuple[str, str]
"""Connection and cycle."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were deleted, and whether more may be due at once."""

    rows: int
    is_done: bool


async def prune_provisioning_log(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete the oldest entries from before this time."""
    return await _prune(conn, _oldest(tables.provisioning_log, older_than))


async def prune_audit_log(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete the oldest entries from before this time."""
    return await _prune(conn, _oldest(tables.audit_log, older_than))


async def prune_events(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete the oldest events from before this time, and note how far.

    A listener that paused longer has to read everything anew. The newest event stays:
    SQLite would draw the ids of deleted ones again.
    """
    newest = select(func.max(_e.id)).scalar_subquery()
    lowest = select(_e.id).order_by(_e.id).limit(AT_ONCE).subquery()
    old = (_e.id.in_(select(lowest.c.id)), _e.at < older_than, _e.id < newest)
    last = (await conn.execute(select(func.max(_e.id)).where(*old))).scalar()
    if last is None:
        return Pruned(0, is_done=True)
    pruned = await _prune(conn, delete(tables.events).where(*old))
    noted = update(tables.event_retention).values(pruned_through=last)
    if not (await conn.execute(noted)).rowcount:
        await conn.execute(insert(tables.event_retention).values(id=1, pruned_through=last))
    return pruned


async def prune_sessions(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete sessions that expired before this time, revoked ones too.

    A session that may still be live is never among them.
    """
    return await _prune(conn, _over(_s.id, _s.expires_at, older_than))


async def prune_app_keys(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete what the vendor's app registered and has ended before this time."""
    c = tables.app_keys.c
    return await _prune(conn, _over(c.id, c.ended_at, older_than))


async def prune_sign_ins(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete sign-ins that were begun and never came back."""
    c = tables.sign_ins.c
    return await _prune(conn, _over(c.state_hash, c.expires_at, older_than))


async def prune_sign_in_codes(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete codes that no app can use any more."""
    c = tables.sign_in_codes.c
    return await _prune(conn, _over(c.code_hash, c.expires_at, older_than))


async def prune_console_sessions(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete sessions of operators and setup links that expired before this time."""
    c = tables.console_sessions.c
    return await _prune(conn, _over(c.id, c.expires_at, older_than))


async def prune_access_links(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete links that were over before this time; no session of theirs is left."""
    c = tables.access_links.c
    return await _prune(conn, _over(c.id, c.expires_at, older_than))


async def prune_receipts(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete the oldest receipts from before this time; their ids grow with time."""
    return await _prune(conn, _oldest(tables.receipts, older_than))


async def prune_assessment_results(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete the oldest results recorded before this time: the operator set a limit."""
    c = tables.assessment_results.c
    lowest = select(c.id).order_by(c.id).limit(AT_ONCE)
    return await _prune(
        conn, delete(tables.assessment_results).where(c.id.in_(lowest), c.recorded_at < older_than)
    )


async def prune_idempotency_keys(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Forget requests of the admin API from before this time."""
    key = tuple_(_k.token_id, _k.key)
    old = select(_k.token_id, _k.key).where(_k.at < older_than).order_by(_k.at).limit(AT_ONCE)
    return await _prune(conn, delete(tables.idempotency_keys).where(key.in_(old)))


async def prune_cycles(conn: AsyncConnection, older_than: datetime) -> Pruned:
    """Delete the oldest cycles from before this time with their drift reports.

    Cycles in use stay, however old: the last report of a connection (its open findings
    are compared with the next), its last complete cycle (the guard compares a plan with
    it), and the cycle of a plan that waits.
    """
    old = await _unused_cycles(conn, older_than)
    if not old:
        return Pruned(0, is_done=True)
    findings = Pruned(0, is_done=True)
    for shown_by_none in (_of_on_demand(old), *(await _ended_before_kept_reports(conn, old))):
        oldest = select(_f.id).where(shown_by_none).limit(AT_ONCE)
        findings = await _prune(conn, delete(tables.drift_findings).where(_f.id.in_(oldest)))
        if not findings.is_done:
            return findings
    await conn.execute(delete(tables.cycles).where(_c.id.in_([cycle_id for _, cycle_id in old])))
    return Pruned(findings.rows + len(old), is_done=len(old) < CYCLES_AT_ONCE)


def _of_on_demand(old: Sequence[CycleKey]) -> ColumnElement[bool]:
    """Return the condition that one of these on-demand requests alone shows it."""
    return and_(tuple_(_f.connection_id, _f.cycle_id).in_(old), _f.first_report == 0)


async def _ended_before_kept_reports(
    conn: AsyncConnection, old: Sequence[CycleKey]
) -> Sequence[ColumnElement[bool]]:
    """Return, for each connection, the condition that a finding ended before the first
    of the reports that stay. A finding that is still open is shown by the last report.
    """
    of_connections = sorted({connection_id for connection_id, _ in old})
    kept = (
        select(_c.connection_id, func.min(_c.report_number).label("first"))
        .where(_c.connection_id.in_(of_connections), _c.report_number.is_not(None))
        .where(_c.id.not_in([cycle_id for _, cycle_id in old]))
        .group_by(_c.connection_id)
    )
    return [
        and_(_f.connection_id == row.connection_id, _f.first_report > 0, _f.end_report <= row.first)
        for row in await conn.execute(kept)
    ]


async def _prune(conn: AsyncConnection, statement: Delete) -> Pruned:
    rows = (await conn.execute(statement)).rowcount
    return Pruned(rows, is_done=rows < AT_ONCE)


def _over(key: Column[Any], ended_at: Column[Any], older_than: datetime) -> Delete:
    """Return the statement that deletes the rows that ended first, before this time."""
    over = select(key).where(ended_at < older_than).order_by(ended_at).limit(AT_ONCE)
    return delete(key.table).where(key.in_(over))


def _oldest(table: Table, older_than: datetime) -> Delete:
    """Return the statement that deletes the oldest rows from before this time.

    The lowest ids are the oldest rows: no index on the time is needed, and no young row
    is read.
    """
    lowest = select(table.c.id).order_by(table.c.id).limit(AT_ONCE)
    return delete(table).where(table.c.id.in_(lowest), table.c.at < older_than)


async def _unused_cycles(conn: AsyncConnection, older_than: datetime) -> Sequence[CycleKey]:
    never_reported = or_(_c.complete.is_(None), _c.kind == CycleKind.ON_DEMAND.value)
    was_overtaken = and_(_later(), or_(_c.complete.is_(False), _later(complete=True)))
    waiting = select(tables.plans.c.cycle_id).where(tables.plans.c.status == PlanStatus.HELD.value)
    query = (
        select(_c.connection_id, _c.id)
        .where(_c.started_at < older_than, _c.finished_at.is_not(None))
        .where(or_(never_reported, was_overtaken), _c.id.not_in(waiting))
        .order_by(_c.started_at)
        .limit(CYCLES_AT_ONCE)
    )
    return [(row.connection_id, row.id) for row in await conn.execute(query)]


def _later(*, complete: bool = False) -> ColumnElement[bool]:
    """Return the condition that a later cycle of the same connection has reported.

    With `complete` the guard must take that cycle as a good one.
    """
    later = tables.cycles.alias()
    conditions: list[Any] = [
        later.c.connection_id == _c.connection_id,
        later.c.started_at > _c.started_at,
        later.c.kind != CycleKind.ON_DEMAND.value,
        later.c.complete.is_not(None),
    ]
    if complete:
        conditions += [later.c.complete, later.c.held_plan_id.is_(None)]
    return exists().where(*conditions)
