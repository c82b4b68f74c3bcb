"""The brakes of a connection on removals by push: whether they hold, and their release.

`store.lifecycle.access_guards` decides when one is put on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Insert, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.bulk_write import write_batch
from store.engine.prepared_statements import fetch
from store.errors import PushBraked
from store.keys import utc_now
from store.logs.journal import Journal
from store.records import Cause, ConnectionId, PushRemoval, TenantId
from store.tables.base import UtcDateTime
from store.tenancy import connections

_b = tables.push_brakes.c
_KEY = (_b.connection_id, _b.kind)
_STATE = (_b.kind, _b.braked_at, _b.reason, _b.refused, _b.counted_from)


@dataclass(frozen=True, slots=True)
class PushBrake:
    """The state of the brake on one kind of removals."""

    kind: str
    braked_at: datetime | None = None
    """Since when the push removes nothing; None: it may."""
    reason: str | None = None
    refused: int = 0
    """Requests that were refused since."""
    counted_from: datetime | None = None
    """Removals before do not count; in the future while the brake is released for a
    time.
    """

    def is_released(self, now: datetime) -> bool:
        """Return whether a person released it for a time that is not over."""
        return self.counted_from is not None and self.counted_from > now


def _inserting(dialect: Any) -> Any:
    return dialect.insert(tables.push_brakes).values(
        connection_id=bindparam("scope_connection"),
        kind=bindparam("kind"),
        tenant_id=bindparam("scope_tenant"),
        braked_at=bindparam("braked_at", type_=UtcDateTime),
        reason=bindparam("reason"),
        refused=bindparam("refused"),
        counted_from=bindparam("counted_from", type_=UtcDateTime),
    )


def _locking(dialect: Any) -> Insert:
    """Return the statement that makes the row of a brake, or locks it as it is."""
    locking: Insert = (
        _inserting(dialect)
        .on_conflict_do_update(index_elements=_KEY, set_={"refused": _b.refused})
        .returning(*_STATE)
    )
    return locking


def _noting(dialect: Any) -> Insert:
    """Return the statement that puts the brake on, unless it was released meanwhile."""
    inserting = _inserting(dialect)
    noting: Insert = inserting.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "braked_at": func.coalesce(_b.braked_at, inserting.excluded.braked_at),
            "reason": func.coalesce(_b.reason, inserting.excluded.reason),
            "refused": _b.refused + 1,
        },
        where=_b.counted_from.is_not_distinct_from(inserting.excluded.counted_from),
    ).returning(_b.refused)
    return noting


def _releasing(dialect: Any) -> Insert:
    inserting = _inserting(dialect)
    names = ("braked_at", "reason", "refused", "counted_from")
    releasing: Insert = inserting.on_conflict_do_update(
        index_elements=_KEY, set_={name: inserting.excluded[name] for name in names}
    )
    return releasing


_DIALECTS = {"sqlite": sqlite, "postgresql": postgresql}
LOCK = {name: _locking(dialect) for name, dialect in _DIALECTS.items()}
"""Returns the state of a brake, which stays so until the transaction ends."""
_NOTE = {name: _noting(dialect) for name, dialect in _DIALECTS.items()}
_RELEASE = {name: _releasing(dialect) for name, dialect in _DIALECTS.items()}
NEW = {"braked_at": None, "reason": None, "refused": 0, "counted_from": None}


async def load(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> tuple[PushBrake, ...]:
    """Return the brakes of a connection of which anything is known."""
    ours = _b.tenant_id == tenant_id, _b.connection_id == connection_id
    rows = await conn.execute(select(*_STATE).where(*ours).order_by(_b.kind))
    return tuple(PushBrake(**row) for row in rows.mappings())


async def note_refused(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    braked: PushBraked,
    cause: Cause,
    now: datetime,
) -> bool:
    """Put the brake on, or count one more refused request.

    Returns whether it was put on now: then the event `push.braked` is written as well.
    Raises `NotFound` for a connection of another tenant.
    """
    await connections.get(conn, tenant_id, connection_id)
    values = {
        "scope_tenant": tenant_id,
        "scope_connection": connection_id,
        "kind": braked.kind,
        "braked_at": now,
        "reason": braked.reason,
        "refused": 1,
        "counted_from": braked.counted_from,
    }
    noted = await fetch(conn, _NOTE[conn.dialect.name], values)
    is_new = bool(noted) and noted[0]["refused"] == 1
    if is_new:
        journal = Journal(tenant_id, connection_id, now)
        payload = {
            "kind": braked.kind,
            "reason": braked.reason,
            "origin": cause.origin.value,
            "correlationId": cause.correlation_id,
        }
        journal.add_event("push.braked", connection_id, payload)
        await write_batch(conn, journal.writes())
    return is_new


async def release(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    *,
    for_minutes: int = 0,
    now: datetime | None = None,
) -> datetime:
    """Release all brakes: removals are counted anew, from the time that is returned.

    It is now, or so many minutes later. Raises `NotFound` for a connection of another
    tenant.
    """
    await connections.get(conn, tenant_id, connection_id)
    counted_from = (now or utc_now()) + timedelta(minutes=for_minutes)
    scope = {"scope_tenant": tenant_id, "scope_connection": connection_id}
    for kind in PushRemoval:
        values = {**scope, **NEW, "kind": kind.value, "counted_from": counted_from}
        await fetch(conn, _RELEASE[conn.dialect.name], values)
    return counted_from
