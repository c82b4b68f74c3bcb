"""Receipts: what ended with a person's access, and what the vendor's app knows of it.

`store.lifecycle` writes one in the transaction that ends a period of access.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, func, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.keys import new_id, utc_now
from store.logs import events
from store.records import ConnectionId, Ending, Event, JsonValue, Origin, Receipt, TenantId, User, UserId

ACKNOWLEDGED_WITHIN = timedelta(minutes=5)
"""How long the vendor's app has, before people are told that it does not know."""
ENDED_BY_HAND = "end_sessions"
"""The action of a receipt of what a person ended, though access stays."""
_PART = 500

_c, _e = tables.receipts.c, tables.events.c
_IS_REVOCATION: ColumnElement[bool] = _e.type == literal_column("'session.revoked'")
"""Spelled out: with a parameter the index of these events would not be used."""


def _to_receipt(row: RowMapping) -> Receipt:
    fields = dict(row)
    fields["origin"], fields["ended"] = Origin(fields["origin"]), tuple(fields["ended"])
    return Receipt(**fields)


def due_at(ended: Sequence[JsonValue], at: datetime) -> datetime | None:
    """Return when the app has to know of what ended; None where nothing did."""
    return at + ACKNOWLEDGED_WITHIN if ended else None


def payload(receipt: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return what `session.revoked` tells of a receipt."""
    return {
        "receipt": receipt["id"],
        "holderNumber": receipt["holder_number"],
        "period": receipt["period"],
        "reason": receipt["reason"],
        "origin": receipt["origin"],
        "correlationId": receipt["correlation_id"],
        "ended": receipt["ended"],
    }


async def add(
    conn: AsyncConnection,
    tenant_id: TenantId,
    user: User,
    ended: Sequence[JsonValue],
    ending: Ending,
    *,
    now: datetime | None = None,
) -> None:
    """Write the receipt and the event of what a person ended by hand; access stays."""
    at = now or utc_now()
    values = {
        "id": new_id(),
        "tenant_id": tenant_id,
        "connection_id": user.connection_id,
        "user_id": user.id,
        "holder_number": user.holder_number,
        "period": user.period,
        "at": at,
        "action": ENDED_BY_HAND,
        "reason": ending.reason,
        "origin": ending.origin.value,
        "actor": ending.by,
        "correlation_id": ending.ref or new_id(),
        "ended": list(ended),
        "due_at": due_at(ended, at),
    }
    await conn.execute(insert(tables.receipts).values(values))
    place = (conn, tenant_id, user.connection_id, "session.revoked", user.id)
    await events.add(*place, payload(values), now=at)


async def list_for_user(conn: AsyncConnection, tenant_id: TenantId, user_id: UserId) -> list[Receipt]:
    """Return the receipts of an account and all its holders, the newest first."""
    query = select(tables.receipts).where(_c.tenant_id == tenant_id, _c.user_id == user_id)
    return await _read(conn, query.order_by(_c.period.desc(), _c.at.desc()))


async def unacknowledged(
    conn: AsyncConnection,
    tenant_id: TenantId,
    older_than: datetime,
    *,
    connection_id: ConnectionId | None = None,
    limit: int = 100,
) -> list[Receipt]:
    """Return receipts that the app has not acknowledged since this time, the oldest
    first.

    Those of periods in which nothing was held need no acknowledgement.
    """
    query = select(tables.receipts).where(
        _c.tenant_id == tenant_id, _c.due_at < older_than + ACKNOWLEDGED_WITHIN
    )
    if connection_id is not None:
        query = query.where(_c.connection_id == connection_id)
    return await _read(conn, query.order_by(_c.due_at).limit(limit))


async def count_unacknowledged(conn: AsyncConnection, older_than: datetime) -> int:
    """Count receipts of all tenants that the app has not acknowledged since this
    time.
    """
    query = select(func.count()).where(_c.due_at < older_than + ACKNOWLEDGED_WITHIN)
    return (await conn.execute(query)).scalar_one()


async def get(conn: AsyncConnection, tenant_id: TenantId, receipt_id: str) -> Receipt | None:
    """Return a receipt of the tenant."""
    found = await _read(conn, select(tables.receipts).where(_c.tenant_id == tenant_id, _c.id == receipt_id))
    return found[0] if found else None


async def acknowledge(
    conn: AsyncConnection, tenant_id: TenantId, receipt_id: str, by: str, *, now: datetime | None = None
) -> Receipt | None:
    """Note that the app ended what the receipt names; None for an unknown receipt.

    The first acknowledgement stays.
    """
    await _acknowledge(conn, tenant_id, by, now, _c.id == receipt_id)
    return await get(conn, tenant_id, receipt_id)


async def acknowledge_event(
    conn: AsyncConnection, tenant_id: TenantId, event: Event, by: str, *, now: datetime | None = None
) -> int:
    """Note that the app took in an event of ended access: every receipt of the person
    up to it is acknowledged. Return how many were open.
    """
    is_of_person = (_c.user_id == event.subject_id) & (_c.at <= event.at)
    return await _acknowledge(conn, tenant_id, by, now, is_of_person)


async def acknowledge_through(
    conn: AsyncConnection, tenant_id: TenantId | None, event_id: int, by: str, *, now: datetime | None = None
) -> int:
    """Note that the app acted upon every event up to this one; return how many
    receipts were open. Without a tenant those of all, for operators.
    """
    of_tenant = [] if tenant_id is None else [_c.tenant_id == tenant_id]
    oldest = (
        await conn.execute(select(func.min(_c.due_at)).where(_c.due_at.is_not(None), *of_tenant))
    ).scalar()
    done, below = 0, event_id + 1
    while oldest is not None:
        query = select(_e.id, _e.at, _e.tenant_id, _e.payload).where(_IS_REVOCATION, _e.id < below)
        if tenant_id is not None:
            query = query.where(_e.tenant_id == tenant_id)
        rows = (await conn.execute(query.order_by(_e.id.desc()).limit(_PART))).all()
        by_tenant: dict[TenantId, list[str]] = {}
        for row in rows:
            by_tenant.setdefault(row.tenant_id, []).append(str(row.payload.get("receipt")))
        for owner, ids in by_tenant.items():
            done += await _acknowledge(conn, owner, by, now, _c.id.in_(ids))
        # A transaction may draw an earlier id and end later.
        if len(rows) < _PART or rows[-1].at + ACKNOWLEDGED_WITHIN < oldest - ACKNOWLEDGED_WITHIN:
            break
        below = rows[-1].id
    return done


async def _acknowledge(
    conn: AsyncConnection, tenant_id: TenantId, by: str, now: datetime | None, which: ColumnElement[bool]
) -> int:
    """Acknowledge what is open among these; return how many the app had to know of."""
    is_first = (_c.tenant_id == tenant_id, _c.acknowledged_at.is_(None))
    values = {"acknowledged_at": now or utc_now(), "acknowledged_by": by, "due_at": None}
    due = update(tables.receipts).where(*is_first, _c.due_at.is_not(None), which).values(values)
    done = (await conn.execute(due)).rowcount
    await conn.execute(update(tables.receipts).where(*is_first, which).values(values))
    return done


async def _read(conn: AsyncConnection, query: Select[Any]) -> list[Receipt]:
    return [_to_receipt(row) for row in (await conn.execute(query)).mappings()]
