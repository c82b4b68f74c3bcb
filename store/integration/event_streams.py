"""Streams of security events, and what their polling receivers have taken in.

A stream's delivery is the webhook endpoint with the same id: position, attempts, state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import NotFound
from store.integration import webhook_endpoints
from store.keys import new_id
from store.records import EventStream, JsonValue, TenantId, WebhookEndpoint, WebhookFormat, WebhookState

_s, _w, _a = tables.event_streams.c, tables.webhook_endpoints.c, tables.stream_acknowledgements.c


@dataclass(frozen=True, slots=True)
class StreamTerms:
    """What a receiver asked for."""

    method: str
    url: str
    """Of the receiver, for push; empty for poll."""
    sealed_authorization: str
    """The header to send with each push, sealed; an empty text sealed for none."""
    events_requested: Sequence[str]
    types: Sequence[str]
    """The types of stored events that give them."""
    description: str | None
    acknowledges: bool = False
    """What is taken of ended access, the vendor's app has ended too."""


def _visible(tenant_id: TenantId | None) -> list[ColumnElement[bool]]:
    return [] if tenant_id is None else [_s.tenant_id == tenant_id]


def _to_stream(row: RowMapping) -> EventStream:
    return EventStream(**{**row, "events_requested": tuple(row["events_requested"])})


async def create(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    terms: StreamTerms,
    issuer: str,
    audience: str,
    position: int,
    *,
    state: WebhookState,
    actor: str,
) -> EventStream:
    """Create a stream of the events after `position`."""
    endpoint = await webhook_endpoints.create(
        *(conn, tenant_id, terms.url, terms.sealed_authorization, terms.types, position),
        acknowledges=terms.acknowledges,
        format_=WebhookFormat.SECURITY_EVENTS,
        state=state,
        actor=actor,
    )
    await conn.execute(
        insert(tables.event_streams).values(
            id=endpoint.id,
            tenant_id=tenant_id,
            issuer=issuer,
            audience=audience,
            events_requested=list(terms.events_requested),
            description=terms.description,
            method=terms.method,
        )
    )
    return await get(conn, tenant_id, endpoint.id)


async def get(conn: AsyncConnection, tenant_id: TenantId | None, stream_id: str) -> EventStream:
    """Return a stream of the tenant, or for an operator any. Raises `NotFound`."""
    query = select(tables.event_streams).where(_s.id == stream_id, *_visible(tenant_id))
    row = (await conn.execute(query)).mappings().first()
    if row is None:
        raise NotFound("there is no such stream")
    return _to_stream(row)


async def list_for(conn: AsyncConnection, tenant_id: TenantId | None) -> list[EventStream]:
    """Return the streams of the tenant, or for an operator all."""
    rows = await conn.execute(select(tables.event_streams).where(*_visible(tenant_id)).order_by(_s.id))
    return [_to_stream(row) for row in rows.mappings()]


async def change(
    conn: AsyncConnection, tenant_id: TenantId | None, stream_id: str, terms: StreamTerms, state: WebhookState
) -> EventStream:
    """Store other terms; a delivery under way saves nothing any more."""
    own = (_s.id == stream_id, *_visible(tenant_id))
    await conn.execute(
        update(tables.event_streams)
        .where(*own)
        .values(
            events_requested=list(terms.events_requested), description=terms.description, method=terms.method
        )
    )
    values: dict[str, Any] = {
        "url": terms.url,
        "secret": terms.sealed_authorization,
        "types": list(terms.types),
        "acknowledges": terms.acknowledges,
        "state": state.value,
        "claimed_by": None,
        "claimed_until": None,
    }
    await conn.execute(
        update(tables.webhook_endpoints).where(_w.id.in_(select(_s.id).where(*own))).values(values)
    )
    return await get(conn, tenant_id, stream_id)


async def set_status(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    stream_id: str,
    state: WebhookState,
    reason: str | None,
    now: datetime,
    *,
    position: int | None = None,
) -> None:
    """Pause, disable or enable a stream; `position`: go on from there."""
    own = (_s.id == stream_id, *_visible(tenant_id))
    await conn.execute(update(tables.event_streams).where(*own).values(status_reason=reason))
    values: dict[str, Any] = {
        "state": state.value,
        "claimed_by": None,
        "claimed_until": None,
        "attempts": 0,
        "failing_since": None,
        "next_attempt_at": now,
    }
    if position is not None:
        values["position"] = position
    await conn.execute(
        update(tables.webhook_endpoints).where(_w.id.in_(select(_s.id).where(*own))).values(values)
    )


async def remove(conn: AsyncConnection, tenant_id: TenantId | None, stream_id: str) -> None:
    """Delete a stream; nothing more is sent."""
    own = (_s.id == stream_id, *_visible(tenant_id))
    await conn.execute(
        delete(tables.stream_acknowledgements).where(_a.stream_id.in_(select(_s.id).where(*own)))
    )
    deleted = await conn.execute(delete(tables.event_streams).where(*own))
    if deleted.rowcount:
        await webhook_endpoints.remove(conn, tenant_id, stream_id)


async def tell(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    stream_id: str,
    event_type: str,
    payload: Mapping[str, JsonValue],
    *,
    verified_at: datetime | None = None,
) -> None:
    """Keep an event about the stream itself until the receiver has taken it in."""
    own = (_s.id == stream_id, *_visible(tenant_id))
    query = select(_w.control).where(_w.id.in_(select(_s.id).where(*own)))
    kept = (await conn.execute(query.with_for_update())).scalar()
    if kept is None:
        return
    control = [*kept, {"id": new_id(), "type": event_type, "payload": dict(payload)}]
    await conn.execute(
        update(tables.webhook_endpoints).where(_w.id == stream_id).values(control=control[-10:])
    )
    if verified_at is not None:
        await conn.execute(update(tables.event_streams).where(*own).values(verified_at=verified_at))


# --- what a receiver has taken in ---


async def acknowledged(
    conn: AsyncConnection, tenant_id: TenantId | None, stream_id: str
) -> set[tuple[int, int]]:
    """Return events and facets after the position that were taken in already."""
    of_tenant = [] if tenant_id is None else [_a.tenant_id == tenant_id]
    query = select(_a.event_id, _a.facet).where(_a.stream_id == stream_id, *of_tenant)
    return {(row.event_id, row.facet) for row in await conn.execute(query)}


async def acknowledge(
    conn: AsyncConnection, endpoint: WebhookEndpoint, taken: Collection[tuple[int, int]]
) -> None:
    """Note what was taken in ahead of what the receiver has not taken yet."""
    if taken:
        rows = [
            {"stream_id": endpoint.id, "tenant_id": endpoint.tenant_id, "event_id": event, "facet": facet}
            for event, facet in sorted(taken)
        ]
        await conn.execute(insert(tables.stream_acknowledgements), rows)


async def go_on(conn: AsyncConnection, endpoint: WebhookEndpoint, position: int) -> None:
    """Move the position of a polled stream; what is before it is forgotten."""
    own = (_w.id == endpoint.id, _w.position < position)
    await conn.execute(update(tables.webhook_endpoints).where(*own).values(position=position))
    await conn.execute(
        delete(tables.stream_acknowledgements).where(_a.stream_id == endpoint.id, _a.event_id <= position)
    )


async def drop_control(conn: AsyncConnection, endpoint: WebhookEndpoint, taken: Collection[str]) -> None:
    """Forget events about the stream that the receiver has taken in."""
    if not taken:
        return
    query = select(_w.control).where(_w.id == endpoint.id).with_for_update()
    kept = [each for each in (await conn.execute(query)).scalar() or () if each["id"] not in taken]
    await conn.execute(update(tables.webhook_endpoints).where(_w.id == endpoint.id).values(control=kept))
