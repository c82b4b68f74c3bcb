"""Events for the vendor's app.

`store.lifecycle` writes them with the change; here they are read in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.streaming import in_parts
from store.records import ConnectionId, Event, Origin, TenantId

_c = tables.events.c

_SETTLING = timedelta(minutes=5)
_SETTLING_IDS = 1000
"""A transaction ends within this time, and within so many events of others."""

# PostgreSQL gives ids before transactions end, so an event may be committed after one
# with a greater id. Held back is what was not written before the oldest transaction
# that still runs: an event below it can still come. A writer has its transaction number
# before it draws an id (migration v0001), so none can come from below unseen. `xmin` is
# the transaction that wrote the row, age() counts back from now, and turns negative
# after 2^31 of them. SQLite has one writer at a time, and no such gap.
_SETTLED = text("age(events.xmin) NOT BETWEEN 0 AND age(pg_snapshot_xmin(pg_current_snapshot())::xid)")


def _to_event(row: RowMapping) -> Event:
    return Event(**row)


@dataclass(frozen=True, slots=True)
class Touched:
    """Rows of a connection that changed here."""

    user_ids: frozenset[str]
    group_ids: frozenset[str]
    member_ids: frozenset[str]
    """Users and groups that joined or left a group here, or were members of a deleted
    one.
    """

    def __bool__(self) -> bool:
        return bool(self.user_ids or self.group_ids or self.member_ids)


async def last_id(conn: AsyncConnection, tenant_id: TenantId) -> int:
    """Return the id of the tenant's last settled event; 0 where there is none."""
    query = select(func.max(_c.id)).where(_c.tenant_id == tenant_id)
    if conn.dialect.name == "postgresql":
        query = query.where(_SETTLED)
    return (await conn.execute(query)).scalar() or 0


async def touched_since(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, after_id: int, after: datetime
) -> Touched:
    """Return the rows that a push or a person changed after that event and that time.

    The worker's own changes (origin `graph`) are left out, except for members of a
    group it deleted: a cycle may have been cut off before it read them. Some earlier
    changes are returned again: a transaction may draw an earlier id and end later.
    """
    again = and_(_c.id > after_id - _SETTLING_IDS, _c.at > after - _SETTLING)
    query = (
        select(_c.type, _c.subject_id, _c.payload)
        .where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
        .where(_c.id > after_id - _SETTLING_IDS, or_(_c.id > after_id, again))
    )
    found: dict[str, set[str]] = {"user": set(), "group": set(), "membership": set()}
    async for part in in_parts(conn, query, tuple):
        for type_, subject_id, payload in part:
            is_ours = payload.get("origin") == Origin.GRAPH
            if not is_ours or type_ == "group.deleted":
                found["membership"].update(payload.get("memberIds", ()))
            subject = type_.partition(".")[0]
            if not is_ours and subject in ("user", "group"):
                found[subject].add(subject_id)
    return Touched(frozenset(found["user"]), frozenset(found["group"]), frozenset(found["membership"]))


async def since(
    conn: AsyncConnection, tenant_id: TenantId, after_id: int = 0, limit: int = 100
) -> list[Event]:
    """Return the tenant's events after the one with this id, the oldest first.

    A reader that continues from the last one misses none.
    """
    query = select(tables.events).where(_c.tenant_id == tenant_id, _c.id > after_id)
    if conn.dialect.name == "postgresql":
        query = query.where(_SETTLED)
    rows = await conn.execute(query.order_by(_c.id).limit(limit))
    return [_to_event(row) for row in rows.mappings()]
