"""What the store holds of one tenant at one moment, and what a listener knows who has read every event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import structs
from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.database import Database
from store.directory import groups, memberships, users
from store.logs import events
from store.logs.event_types import DIRECTORY_EVENTS, family
from store.records import Connection, Event, Group, GroupId, User, UserId
from store.tables.base import UtcDateTime

_log = tables.provisioning_log.c


@dataclass(frozen=True, slots=True)
class Picture:
    users: Mapping[UserId, User]
    groups: Mapping[GroupId, Group]
    members: Mapping[GroupId, frozenset[str]]
    signed_in: frozenset[str]
    """Users with a session that nobody revoked."""
    results: Mapping[str, str]
    """Assessment result -> user."""
    entries: Sequence[RowMapping]
    """New in the provisioning log since the picture before, the oldest first."""
    events: Sequence[Event]
    """New since the picture before, the oldest first."""

    @property
    def live(self) -> list[User]:
        """Users who are not deleted, by name."""
        rows = [row for row in self.users.values() if row.deleted_at is None]
        return sorted(rows, key=lambda row: row.user_name)

    @property
    def live_groups(self) -> list[Group]:
        rows = [row for row in self.groups.values() if row.deleted_at is None]
        return sorted(rows, key=lambda row: row.display_name)


def without_notes(picture: Picture) -> Mapping[UserId, User]:
    """The rows as they are but for when a holder was last seen: a note is no change (`store.sync.holder_notes`)."""
    return {key: structs.replace(row, holder_seen_at=None) for key, row in picture.users.items()}


@dataclass(slots=True)
class Listener:
    """Follows the events of a tenant, as the vendor's app does, and takes pictures beside."""

    db: Database
    connection: Connection
    seen_event: int = 0
    seen_entry: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    """How many events each user or group had."""
    access: dict[str, bool] = field(default_factory=dict)
    """Whether a user is active, by the last event."""
    members: dict[str, set[str]] = field(default_factory=dict)

    async def look(self) -> Picture:
        tenant_id, connection_id = self.connection.tenant_id, self.connection.id
        async with self.db.reading() as conn:
            picture = Picture(
                await users.load_state(conn, tenant_id, connection_id),
                await groups.load_state(conn, tenant_id, connection_id),
                {
                    g: frozenset(m)
                    for g, m in (await memberships.load_state(conn, tenant_id, connection_id)).items()
                },
                await _signed_in(conn, tenant_id),
                await _results(conn, tenant_id),
                await self._entries(conn),
                await self._events(conn),
            )
        for event in picture.events:
            self._follow(event)
        return picture

    async def _entries(self, conn: AsyncConnection) -> Sequence[RowMapping]:
        query = select(tables.provisioning_log).where(
            _log.tenant_id == self.connection.tenant_id, _log.id > self.seen_entry
        )
        rows = (await conn.execute(query.order_by(_log.id))).mappings().all()
        self.seen_entry = rows[-1]["id"] if rows else self.seen_entry
        return rows

    async def _events(self, conn: AsyncConnection) -> Sequence[Event]:
        found = await events.since(conn, self.connection.tenant_id, self.seen_event, limit=100_000)
        self.seen_event = found[-1].id if found else self.seen_event
        return [event for event in found if family(event.type) in DIRECTORY_EVENTS]

    def _follow(self, event: Event) -> None:
        if event.type.startswith("session."):
            return
        self.versions[event.subject_id] += 1
        kind, _, what = event.type.partition(".")
        if kind == "user":
            self.access[event.subject_id] = event.payload["active"] is True
        elif kind == "membership":
            ids = event.payload["memberIds"]
            assert isinstance(ids, Sequence)
            held = self.members.setdefault(event.subject_id, set())
            (held.update if what == "added" else held.difference_update)(map(str, ids))
        elif what == "deleted":
            self.members.pop(event.subject_id, None)


async def _signed_in(conn: AsyncConnection, tenant_id: str) -> frozenset[str]:
    column = tables.sessions.c
    query = select(column.user_id).where(column.tenant_id == tenant_id, column.revoked_at.is_(None))
    return frozenset((await conn.execute(query)).scalars())


async def _results(conn: AsyncConnection, tenant_id: str) -> Mapping[str, str]:
    column = tables.assessment_results.c
    query = select(column.id, column.user_id).where(column.tenant_id == tenant_id)
    return {row.id: row.user_id for row in await conn.execute(query)}


async def fingerprint(db: Database, tenant_id: str) -> Mapping[str, Sequence[object]]:
    """Every row of a tenant in every table, times aside: the same while others are worked on."""
    rows: dict[str, Sequence[object]] = {}
    async with db.reading() as conn:
        for name, table in tables.Base.metadata.tables.items():
            if "tenant_id" not in table.c:
                continue
            columns = [column for column in table.c if not isinstance(column.type, UtcDateTime)]
            query = select(*columns).where(table.c.tenant_id == tenant_id).order_by(*table.primary_key)
            rows[name] = [tuple(map(repr, row)) for row in await conn.execute(query)]
    return rows
