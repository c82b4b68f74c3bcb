"""Events for the vendor's app.

`store.lifecycle` writes them with the change; here they are read in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, RowMapping, bindparam, func, insert, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import fetch, fetch_tuples
from store.keys import utc_now
from store.logs.event_types import EVENT_TYPES, family
from store.records import ConnectionId, Event, JsonValue, Origin, TenantId, UserId

_c = tables.events.c

_SETTLING = timedelta(minutes=5)
_SETTLING_IDS = 1000
"""A transaction ends within this time, and within so many events of others."""

# On PostgreSQL: written before the oldest transaction that still runs. An event with a
# lower id may still come from a younger one, so the position of a cycle goes back by
# `_SETTLING`; readers of the feed use `store.logs.settled_events`. `xmin` is the
# transaction that wrote the row, age() counts back from now, and turns negative after
# 2^31 of them.
_SETTLED = text("age(events.xmin) NOT BETWEEN 0 AND age(pg_snapshot_xmin(pg_current_snapshot())::xid)")


_LAST = select(func.max(_c.id)).where(_c.tenant_id == bindparam("of_tenant"))
_LAST_SETTLED = _LAST.where(_SETTLED)
_EVENTS_AT_ONCE = 5_000
_ARRIVALS = ("user.provisioned", "user.reactivated")
_TOUCHED = (
    select(_c.id, _c.type, _c.subject_id, _c.payload)
    .where(_c.tenant_id == bindparam("of_tenant"), _c.connection_id == bindparam("of_connection"))
    .where(_c.id > bindparam("last_id"), or_(_c.id > bindparam("after_id"), _c.at > bindparam("after")))
    .order_by(_c.id)
    .limit(_EVENTS_AT_ONCE)
)


def _to_event(row: RowMapping) -> Event:
    return Event(**row)


@dataclass(frozen=True, slots=True)
class Touched:
    """Rows of a connection that changed here."""

    user_ids: frozenset[str]
    arrived_ids: frozenset[UserId]
    """Those of the users who were given access."""
    group_ids: frozenset[str]
    member_ids: frozenset[str]
    """Users and groups that joined or left a group here, or were members of a deleted
    one.
    """

    def __bool__(self) -> bool:
        return bool(self.user_ids or self.group_ids or self.member_ids)


async def last_id(conn: AsyncConnection, tenant_id: TenantId) -> int:
    """Return the id of the tenant's last settled event; 0 where there is none."""
    query = _LAST_SETTLED if conn.dialect.name == "postgresql" else _LAST
    [row] = await fetch_tuples(conn, query, {"of_tenant": tenant_id})
    return row[0] or 0


async def touched_since(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, after_id: int, after: datetime
) -> Touched:
    """Return the rows that a push or a person changed after that event and that time.

    The worker's own changes (origin `graph`) are left out, except for members of a
    group it deleted: a cycle may have been cut off before it read them. Some earlier
    changes are returned again: a transaction may draw an earlier id and end later.
    """
    scope = {"of_tenant": tenant_id, "of_connection": connection_id}
    values = {**scope, "after_id": after_id, "after": after - _SETTLING, "last_id": after_id - _SETTLING_IDS}
    found: dict[str, set[str]] = {"user": set(), "group": set(), "membership": set()}
    arrived: set[UserId] = set()
    is_more = True
    while is_more:
        rows = await fetch(conn, _TOUCHED, values, gives_way=True)
        is_more = len(rows) == _EVENTS_AT_ONCE
        for row in rows:
            type_, subject_id, payload = row["type"], row["subject_id"], row["payload"]
            values["last_id"] = row["id"]
            is_ours = payload.get("origin") == Origin.GRAPH
            if not is_ours or type_ == "group.deleted":
                found["membership"].update(payload.get("memberIds", ()))
            if not is_ours and family(type_) in found and family(type_) != "membership":
                found[family(type_)].add(subject_id)
            if not is_ours and type_ in _ARRIVALS:
                arrived.add(UserId(subject_id))
    return Touched(
        frozenset(found["user"]),
        frozenset(arrived),
        frozenset(found["group"]),
        frozenset(found["membership"]),
    )


async def since(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    after_id: int = 0,
    limit: int = 100,
    *,
    through: int | None = None,
    types: Sequence[str] = (),
) -> list[Event]:
    """Return events after the one with this id, the oldest first; without a tenant
    those of all, for operators.

    A reader that continues from the last one misses none, if it reads no further than
    `through` (`store.logs.settled_events`). `types` holds types and families.
    """
    query = select(tables.events).where(_c.id > after_id)
    if tenant_id is not None:
        query = query.where(_c.tenant_id == tenant_id)
    if through is not None:
        query = query.where(_c.id <= through)
    if types:
        query = query.where(or_(*(_is_of_type(each) for each in types)))
    rows = await conn.execute(query.order_by(_c.id).limit(limit))
    return [_to_event(row) for row in rows.mappings()]


def _is_of_type(wanted: str) -> ColumnElement[bool]:
    """Match one type, or all of a family (`user`, `user.*`)."""
    if "." in wanted and not wanted.endswith(".*"):
        return _c.type == wanted
    return _c.type.startswith(f"{family(wanted)}.", autoescape=True)


async def add(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    event_type: str,
    subject_id: str,
    payload: Mapping[str, JsonValue],
    *,
    now: datetime | None = None,
) -> None:
    """Write an event in the transaction of what it tells.

    `store.lifecycle` writes those about users and groups with its journal.
    """
    assert event_type in EVENT_TYPES, event_type
    await conn.execute(
        insert(tables.events).values(
            at=now or utc_now(),
            tenant_id=tenant_id,
            connection_id=connection_id,
            type=event_type,
            subject_id=subject_id,
            payload=dict(payload),
        )
    )


async def pruned_through(conn: AsyncConnection) -> int:
    """Return the id of the newest event that retention deleted; 0 before any."""
    query = select(tables.event_retention.c.pruned_through)
    return (await conn.execute(query)).scalar() or 0
