"""Record how the cycles of a connection end, and tell when it stops working or
works again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from store.logs import events
from store.records import Connection, ConnectionId, JsonValue, TenantId
from store.tenancy import connections

FAILURES_BEFORE_QUARANTINE = 3
LONGEST_BACK_OFF = timedelta(hours=24)


async def note_success(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    next_due_at: datetime,
    now: datetime,
    *,
    people: int | None = None,
    incomplete: str | None = None,
    proved_at: datetime | None = None,
) -> Connection:
    """Record that a cycle ran and found so many people entitled.

    Earlier failures are cleared, and quarantine ends. `incomplete` says why its reading
    proved no absence; such cycles are counted until one is complete. Since `proved_at`
    those with access are proved entitled; None: not all are.
    """
    values: dict[str, object] = {
        "consecutive_incomplete": 0,
        "incomplete_reason": None,
        "last_complete_at": now,
    }
    before = await connections.get(conn, tenant_id, connection_id)
    if incomplete is not None:
        values = {
            "consecutive_incomplete": before.consecutive_incomplete + 1,
            "incomplete_reason": incomplete,
        }
    values |= {
        "consecutive_failures": 0,
        "quarantined_at": None,
        "quarantine_reason": None,
        "last_cycle_at": now,
        "next_due_at": next_due_at,
        "people": people,
        "proved_at": proved_at,
    }
    return await _save(conn, before, values, now)


async def note_failure(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    reason: str,
    now: datetime,
    *,
    quarantine: bool = False,
) -> Connection:
    """Record that a cycle failed, and put the next one off.

    The delay is the interval, doubled with each failure, at most 24 hours. Quarantine
    begins with the third failure in a row, or at once with `quarantine` (a person has
    to act).
    """
    connection = await connections.get(conn, tenant_id, connection_id)
    failures = connection.consecutive_failures + 1
    back_off = timedelta(minutes=connection.interval_minutes) * 2 ** min(failures - 1, 10)
    values: dict[str, object] = {
        "consecutive_failures": failures,
        "next_due_at": now + min(back_off, LONGEST_BACK_OFF),
        "last_cycle_at": now,
    }
    if quarantine or failures >= FAILURES_BEFORE_QUARANTINE:
        values["quarantined_at"] = connection.quarantined_at or now
        values["quarantine_reason"] = reason
    return await _save(conn, connection, values, now)


async def _save(
    conn: AsyncConnection, before: Connection, values: Mapping[str, object], now: datetime
) -> Connection:
    after = await connections.change(conn, before.tenant_id, before.id, values)
    await tell(conn, before, after, now)
    return after


async def tell(conn: AsyncConnection, before: Connection, after: Connection, now: datetime) -> None:
    """Write an event where the connection stopped or began to work."""
    if _ails(before) == _ails(after):
        return
    event_type = "connection.unhealthy" if _ails(after) else "connection.recovered"
    why = after.quarantine_reason or after.incomplete_reason
    payload: dict[str, JsonValue] = {"state": _ails(after) or "active", "reason": why}
    await events.add(conn, after.tenant_id, after.id, event_type, after.id, payload, now=now)


def _ails(connection: Connection) -> str | None:
    """Return what a person has to act upon; None where it works."""
    if connection.quarantined_at is not None:
        return "quarantined"
    return "incomplete" if connection.is_never_complete else None
