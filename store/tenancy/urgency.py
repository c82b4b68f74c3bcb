"""How urgently connections want a person, by their rows alone; and what the workers do.

Ten thousand of them cost one pass of the database and a page.

`console.admin.reports.status` says the same of one connection, in words; a test
compares both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Float, Integer, Select, and_, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import ConnectionId, CycleStatus, TenantId
from store.records.connections import INCOMPLETE_BEFORE_ALARM, READINGS_MISSED
from store.tenancy.credential_expiry import FURTHEST_WARNING
from store.tenancy.standings import IS_HELD

_c, _t, _l = tables.connections.c, tables.tenants.c, tables.leases.c


@dataclass(frozen=True, slots=True)
class RankedConnection:
    """A connection in the order of urgency."""

    id: ConnectionId
    tenant: str
    """The slug of the tenant."""


@dataclass(frozen=True, slots=True)
class RankedPage:
    """A page of connections, the most urgent first."""

    ranked: Sequence[RankedConnection]
    counts: Mapping[int, int] = field(default_factory=dict)
    """Connections by level, those of other pages and levels too."""
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class RankFilter:
    """Which connections are wanted; None filters nothing."""

    level: int | None = None
    name: str | None = None
    """A part of TENANT/NAME, without regard to case."""
    connection_id: ConnectionId | None = None


async def ranked(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    now: datetime,
    wanted: RankFilter | None = None,
    *,
    skip: int = 0,
    limit: int = 100,
) -> RankedPage:
    """Return a page of the connections of one tenant, or of all (None), for the
    operator.
    """
    wanted = wanted or RankFilter()
    query = _counted(conn.dialect.name, tenant_id, now, wanted)
    # Every connection in short, once: counts and order both come of it.
    rows = [(_level(row), row) for row in (await conn.execute(query)).all()]
    counts = Counter(level for level, _ in rows)
    found = [(level, row) for level, row in rows if wanted.level in (None, level)]
    found.sort(key=lambda each: (-each[0], -(each[1].failing + each[1].waiting), each[1].slug, each[1].name))
    shown = [RankedConnection(ConnectionId(row.id), row.slug) for _, row in found[skip : skip + limit]]
    return RankedPage(shown, counts, len(found) > skip + limit)


def _level(row: Any) -> int:
    return 2 if row.failing else 1 if row.waiting else 0


def _counted(dialect: str, tenant_id: TenantId | None, now: datetime, wanted: RankFilter) -> Select[Any]:
    """Return each connection with the number of its reasons."""
    failing, waiting = (
        sum((_as_number(each) for each in reasons), start=cast(0, Integer))
        for reasons in (_failing(dialect, now), _waiting(now))
    )
    query = (
        select(_c.id, _c.name, _t.slug, failing.label("failing"), waiting.label("waiting"))
        .join_from(tables.connections, tables.tenants, _t.id == _c.tenant_id)
        .where(_c.deleted_at.is_(None))
    )
    if tenant_id is not None:
        query = query.where(_c.tenant_id == tenant_id)
    if wanted.connection_id is not None:
        query = query.where(_c.id == wanted.connection_id)
    if wanted.name:
        whole = func.lower(_t.slug + "/" + _c.name)
        query = query.where(whole.contains(wanted.name.lower(), autoescape=True))
    return query


def _as_number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _failing(dialect: str, now: datetime) -> list[ColumnElement[bool]]:
    """Return what makes a connection fail until a person acts."""
    works, has_credential = _c.paused_at.is_(None), _c.credential.is_not(None)
    is_free = _c.quarantined_at.is_(None)
    is_read = and_(works, has_credential, _c.last_status.is_not(None))
    brakes = tables.push_brakes.c
    return [
        and_(works, _c.quarantined_at.is_not(None)),
        and_(works, is_free, _c.consecutive_incomplete >= INCOMPLETE_BEFORE_ALARM),
        and_(has_credential, _c.credential_expires_at <= now),
        and_(is_read, is_free, _c.last_status == CycleStatus.FAILED.value),
        and_(is_read, _hours_since_reading(dialect, now) > READINGS_MISSED * _full_every_hours()),
        _c.id.in_(select(brakes.connection_id).where(brakes.braked_at.is_not(None))),
    ]


def _waiting(now: datetime) -> list[ColumnElement[bool]]:
    """Return what waits for a person, or will soon."""
    works, has_credential = _c.paused_at.is_(None), _c.credential.is_not(None)
    ends = _c.credential_expires_at
    return [
        _c.paused_at.is_not(None),
        _c.credential.is_(None),
        and_(has_credential, ends > now, ends <= now + FURTHEST_WARNING),
        and_(works, has_credential, _c.last_status.is_(None)),
        _c.id.in_(select(tables.plans.c.connection_id).where(IS_HELD)),
        _c.open_findings > 0,
    ]


def _full_every_hours() -> ColumnElement[int]:
    hours: ColumnElement[int] = _c.policy["full_every_hours"].as_integer()
    return hours


def _hours_since_reading(dialect: str, now: datetime) -> ColumnElement[float]:
    since = func.coalesce(_c.last_complete_at, _c.created_at)
    if dialect == "sqlite":
        days = func.julianday(now.isoformat()) - func.julianday(since)
        return days * 24.0
    hours: ColumnElement[float] = cast(func.extract("epoch", now - since) / 3600, Float)
    return hours


@dataclass(frozen=True, slots=True)
class BusyHolder:
    """A process that works on connections."""

    holder: str
    connections: int


@dataclass(frozen=True, slots=True)
class DueConnections:
    """Connections whose cycle is due and has not begun."""

    number: int
    oldest_at: datetime | None


async def busy_holders(conn: AsyncConnection, now: datetime) -> Sequence[BusyHolder]:
    """Return the processes that hold leases now, the busiest first."""
    query = select(_l.holder, func.count().label("number")).where(_l.until > now, _l.holder != "")
    rows = await conn.execute(query.group_by(_l.holder).order_by(func.count().desc(), _l.holder))
    return [BusyHolder(row.holder, row.number) for row in rows]


async def due(conn: AsyncConnection, now: datetime) -> DueConnections:
    """Count connections of every tenant that wait for a worker, as `connections.due`
    lists them.
    """
    query = select(func.count(), func.min(_c.next_due_at)).where(
        _c.paused_at.is_(None),
        _c.next_due_at <= now,
        _c.credential.is_not(None),
        _c.deleted_at.is_(None),
    )
    number, oldest_at = (await conn.execute(query)).one()
    return DueConnections(number, oldest_at)
