"""Webhook endpoints: where events are sent, and through which event that was done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import NotFound
from store.keys import new_id, utc_now
from store.logs import audit_log
from store.records import DeadLetter, TenantId, WebhookEndpoint, WebhookFormat, WebhookState

LONGEST_DELAY, LONGEST_CLAIM = timedelta(hours=5), timedelta(minutes=10)
"""More than a delivery ever waits after a failure, or claims an endpoint for."""

_c = tables.webhook_endpoints.c
_d = tables.dead_letters.c
_PUBLIC = [column for column in _c if column.name not in ("secret", "previous_secret")]


def _to_endpoint(row: RowMapping) -> WebhookEndpoint:
    fields: dict[str, Any] = dict(row)
    fields["types"], fields["state"] = tuple(fields["types"]), WebhookState(fields["state"])
    fields["control"], fields["format"] = tuple(fields["control"]), WebhookFormat(fields["format"])
    return WebhookEndpoint(**fields)


def _visible(tenant_id: TenantId | None) -> list[ColumnElement[bool]]:
    """Return the condition of what the tenant has; an operator sees every endpoint."""
    return [] if tenant_id is None else [_c.tenant_id == tenant_id]


async def create(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    url: str,
    sealed_secret: str,
    types: Sequence[str],
    position: int,
    *,
    acknowledges: bool = False,
    format_: WebhookFormat = WebhookFormat.JSON,
    state: WebhookState = WebhookState.ACTIVE,
    actor: str = audit_log.NOBODY,
    now: datetime | None = None,
) -> WebhookEndpoint:
    """Create an endpoint that receives the events after `position`."""
    endpoint_id, at = new_id(), now or utc_now()
    await conn.execute(
        insert(tables.webhook_endpoints).values(
            id=endpoint_id,
            tenant_id=tenant_id,
            url=url,
            types=list(types),
            acknowledges=acknowledges,
            format=format_.value,
            control=[],
            secret=sealed_secret,
            state=state.value,
            position=position,
            attempts=0,
            next_attempt_at=at,
            created_at=at,
            created_by=actor,
        )
    )
    made = await get(conn, tenant_id, endpoint_id)
    await record(conn, made, actor, "created", now=at)
    return made


async def record(
    conn: AsyncConnection, endpoint: WebhookEndpoint, actor: str, deed: str, *, now: datetime | None = None
) -> None:
    """Write an audit entry about an endpoint; its URL may hold a key, so it is left
    out.
    """
    owner = endpoint.tenant_id or audit_log.INSTALLATION
    types = {"types": list(endpoint.types)}
    await audit_log.record(
        conn, owner, None, actor, f"webhook.{deed}", endpoint.id, endpoint.host, {**types}, now=now
    )


async def get(conn: AsyncConnection, tenant_id: TenantId | None, endpoint_id: str) -> WebhookEndpoint:
    """Return an endpoint of the tenant, or for an operator any. Raises `NotFound`."""
    query = select(*_PUBLIC).where(_c.id == endpoint_id, *_visible(tenant_id))
    row = (await conn.execute(query)).mappings().first()
    if row is None:
        raise NotFound("no such webhook: `leaver webhook list` shows all")
    return _to_endpoint(row)


async def list_for(conn: AsyncConnection, tenant_id: TenantId | None) -> list[WebhookEndpoint]:
    """Return the endpoints of the tenant, or for an operator all, the oldest first.

    Streams of security events are listed by `store.integration.event_streams`.
    """
    query = select(*_PUBLIC).where(*_visible(tenant_id), _c.format == WebhookFormat.JSON.value)
    rows = await conn.execute(query.order_by(_c.created_at, _c.id))
    return [_to_endpoint(row) for row in rows.mappings()]


async def sealed_secrets(
    conn: AsyncConnection, tenant_id: TenantId | None, endpoint_id: str, now: datetime
) -> list[str]:
    """Return the sealed secrets to sign with: the earlier one while it overlaps."""
    query = select(_c.secret, _c.previous_secret, _c.previous_until)
    row = (await conn.execute(query.where(_c.id == endpoint_id, *_visible(tenant_id)))).first()
    if row is None:
        return []
    is_overlapping = row.previous_until is not None and row.previous_until > now
    return [row.secret, row.previous_secret] if is_overlapping else [row.secret]


async def rotate(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    endpoint_id: str,
    sealed_secret: str,
    previous_until: datetime,
) -> WebhookEndpoint:
    """Sign with a new secret, and with the earlier one too until the given time."""
    row = (_c.id == endpoint_id, *_visible(tenant_id))
    values = {"previous_secret": _c.secret, "previous_until": previous_until, "secret": sealed_secret}
    await conn.execute(update(tables.webhook_endpoints).where(*row).values(values))
    return await get(conn, tenant_id, endpoint_id)


async def replay(
    conn: AsyncConnection, tenant_id: TenantId | None, endpoint_id: str, position: int, now: datetime
) -> WebhookEndpoint:
    """Send everything after an event again; a disabled endpoint works again."""
    row = (_c.id == endpoint_id, *_visible(tenant_id))
    await conn.execute(
        update(tables.webhook_endpoints)
        .where(*row)
        .values(
            position=position,
            state=WebhookState.ACTIVE.value,
            attempts=0,
            failing_since=None,
            next_attempt_at=now,
            last_error=None,
            claimed_by=None,
            claimed_until=None,
        )
    )
    await conn.execute(
        delete(tables.dead_letters).where(
            _d.endpoint_id.in_(select(_c.id).where(*row)), _d.event_id > position
        )
    )
    return await get(conn, tenant_id, endpoint_id)


async def remove(conn: AsyncConnection, tenant_id: TenantId | None, endpoint_id: str) -> None:
    """Delete an endpoint; nothing more is sent to it."""
    row = (_c.id == endpoint_id, *_visible(tenant_id))
    await conn.execute(delete(tables.dead_letters).where(_d.endpoint_id.in_(select(_c.id).where(*row))))
    await conn.execute(delete(tables.webhook_endpoints).where(*row))


async def dead_letters(
    conn: AsyncConnection, tenant_id: TenantId | None, endpoint_id: str, limit: int = 100
) -> list[DeadLetter]:
    """Return the events that an endpoint did not take, the newest first."""
    of_tenant = [] if tenant_id is None else [_d.tenant_id == tenant_id]
    query = select(_d.event_id, _d.at, _d.why).where(_d.endpoint_id == endpoint_id, *of_tenant)
    rows = await conn.execute(query.order_by(_d.event_id.desc()).limit(limit))
    return [DeadLetter(**row) for row in rows.mappings()]


# --- for the worker ---


async def active(conn: AsyncConnection, now: datetime) -> list[WebhookEndpoint]:
    """Return the endpoints of all tenants that may be sent to now, and that no worker
    has claimed.

    A time that lies further ahead than any delay was written before the clock was set
    back: it holds nothing up.
    """
    is_due = or_(_c.attempts == 0, _c.next_attempt_at <= now, _c.next_attempt_at > now + LONGEST_DELAY)
    query = select(*_PUBLIC).where(_c.state == WebhookState.ACTIVE.value, is_due, _is_free(now))
    return [_to_endpoint(row) for row in (await conn.execute(query.order_by(_c.id))).mappings()]


def _is_free(now: datetime) -> ColumnElement[bool]:
    later = now + LONGEST_CLAIM
    return or_(_c.claimed_until.is_(None), _c.claimed_until <= now, _c.claimed_until > later)


async def claim(
    conn: AsyncConnection, endpoint: WebhookEndpoint, worker: str, now: datetime, for_s: float
) -> bool:
    """Claim an endpoint as it was read; return whether this worker has it."""
    same = (_c.id == endpoint.id, _c.position == endpoint.position, _c.state == WebhookState.ACTIVE.value)
    claimed = await conn.execute(
        update(tables.webhook_endpoints)
        .where(*same, _is_free(now))
        .values(claimed_by=worker, claimed_until=now + timedelta(seconds=for_s))
    )
    return bool(claimed.rowcount)


async def save(conn: AsyncConnection, endpoint: WebhookEndpoint, worker: str, *, release: bool) -> bool:
    """Save how far the delivery is; return False where the claim was lost."""
    values: dict[str, Any] = {
        "position": endpoint.position,
        "state": endpoint.state.value,
        "attempts": endpoint.attempts,
        "failing_since": endpoint.failing_since,
        "next_attempt_at": endpoint.next_attempt_at,
        "last_delivered_at": endpoint.last_delivered_at,
        "last_error": endpoint.last_error,
    }
    if release:
        values |= {"claimed_by": None, "claimed_until": None}
    mine = (_c.id == endpoint.id, _c.claimed_by == worker)
    saved = await conn.execute(update(tables.webhook_endpoints).where(*mine).values(**values))
    return bool(saved.rowcount)


async def add_dead_letter(
    conn: AsyncConnection, endpoint: WebhookEndpoint, event_id: int, why: str, now: datetime
) -> None:
    """Note an event that the endpoint did not take; an earlier note of it goes."""
    await conn.execute(
        delete(tables.dead_letters).where(_d.endpoint_id == endpoint.id, _d.event_id == event_id)
    )
    await conn.execute(
        insert(tables.dead_letters).values(
            endpoint_id=endpoint.id, event_id=event_id, tenant_id=endpoint.tenant_id, at=now, why=why
        )
    )
