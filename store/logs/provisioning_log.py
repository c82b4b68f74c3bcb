"""The provisioning log: one entry for each attempted change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, bindparam, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.bulk_write import write_batch
from store.engine.prepared_statements import fetch_tuples
from store.keys import search_key, utc_now
from store.logs.journal import Journal, LogSubject
from store.records import (
    UNATTENDED,
    Action,
    Cause,
    ConnectionId,
    CycleId,
    LogEntry,
    LogStatus,
    Modified,
    Origin,
    Step,
    SubjectType,
    TenantId,
)

_c = tables.provisioning_log.c

IS_REMOVAL = text(
    "provisioning_log.status = 'success' AND provisioning_log.action IN ('disable', 'delete', 'release_names', "
    "'retire', 'change_holder', 'remove_member')"
)
"""`GUARDED` in the words of their index: with bound values SQLite would read the whole
log.
"""


IS_UNSUCCESSFUL = text("provisioning_log.status IN ('failure', 'warning')")
"""The same, of the index of what a person looks for first."""

_SUBJECTS_AT_ONCE = 500
_REMOVALS = (
    select(_c.action, _c.subject_type, func.sum(_c.amount))
    .where(_c.tenant_id == bindparam("tenant"), _c.connection_id == bindparam("connection"))
    .where(_c.at >= bindparam("since"), or_(_c.origin != Origin.GRAPH.value, _c.actor == UNATTENDED))
    .where(IS_REMOVAL)
    .group_by(_c.action, _c.subject_type)
)


@dataclass(frozen=True, slots=True)
class LogPage:
    entries: tuple[LogEntry, ...]
    """The newest first."""
    next: int | None
    """The `before` of the next page; None on the last."""


def _to_entry(row: RowMapping) -> LogEntry:
    return LogEntry(
        id=row["id"],
        at=row["at"],
        tenant_id=row["tenant_id"],
        connection_id=row["connection_id"],
        action=Action(row["action"]),
        status=LogStatus(row["status"]),
        subject_type=SubjectType(row["subject_type"]),
        subject_id=row["subject_id"],
        subject_label=row["subject_label"],
        origin=Origin(row["origin"]),
        actor=row["actor"],
        steps=tuple(Step(s["name"], LogStatus(s["status"]), s["detail"], s["data"]) for s in row["steps"]),
        modified=tuple(row["modified"]),
        correlation_id=row["correlation_id"],
    )


async def append(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cause: Cause,
    *,
    action: Action,
    status: LogStatus,
    subject: LogSubject,
    modified: Sequence[Modified] = (),
    now: datetime | None = None,
) -> None:
    """Add an entry for an attempt that changed nothing: refused, skipped or only
    planned.

    `store.lifecycle` logs its own changes and refusals.
    """
    journal = Journal(tenant_id, connection_id, now or utc_now())
    journal.add_log_entry(cause, action, status, subject, modified)
    await write_batch(conn, journal.writes())


async def search(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    connection_id: ConnectionId | None,
    *,
    user: str | None = None,
    status: LogStatus | None = None,
    action: Action | None = None,
    origin: Origin | None = None,
    entry_id: int | None = None,
    cycle_id: CycleId | str | None = None,
    since: datetime | None = None,
    before: int | None = None,
    not_below: int | None = None,
    hides_skipped: bool = False,
    limit: int = 100,
) -> LogPage:
    """Return a page of entries, the newest first.

    None in place of the connection: of every one, and in place of the tenant: of all
    tenants, for the operator.
    `user` is the id or the name (without regard to case) of a user or group; `cycle_id`
    any correlation id.
    """
    query = select(tables.provisioning_log)
    if tenant_id is not None:
        query = query.where(_c.tenant_id == tenant_id)
    if connection_id is not None:
        query = query.where(_c.connection_id == connection_id)
    if user is not None:
        query = query.where(or_(_c.subject_id == user, _c.subject_key == search_key(user)))
    if status is not None:
        query = query.where(_c.status == status.value)
    if status in (LogStatus.FAILURE, LogStatus.WARNING):
        query = query.where(IS_UNSUCCESSFUL)
    if action is not None:
        query = query.where(_c.action == action.value)
    if origin is not None:
        query = query.where(_c.origin == origin.value)
    if entry_id is not None:
        query = query.where(_c.id == entry_id)
    if hides_skipped:
        query = query.where(_c.status != LogStatus.SKIPPED.value)
    if cycle_id is not None:
        query = query.where(_c.correlation_id == cycle_id)
    if since is not None:
        query = query.where(_c.at >= since)
    if before is not None:
        query = query.where(_c.id < before)
    if not_below is not None:
        query = query.where(_c.id >= not_below)
    rows = (await conn.execute(query.order_by(_c.id.desc()).limit(limit + 1))).mappings().all()
    entries = tuple(_to_entry(row) for row in rows[:limit])
    return LogPage(entries, entries[-1].id if len(rows) > limit else None)


@dataclass(frozen=True, slots=True)
class LastPush:
    """The newest entry of Entra's push about one user or group."""

    at: datetime
    action: Action
    status: LogStatus
    detail: str
    """The last step of the entry; of a refused write the reason."""

    @property
    def has_failed(self) -> bool:
        return self.status is LogStatus.FAILURE


async def last_pushes(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, subject_ids: Sequence[str]
) -> dict[str, LastPush]:
    """Return the newest push entry of each of these users or groups that has one."""
    found: dict[str, LastPush] = {}
    for start in range(0, len(subject_ids), _SUBJECTS_AT_ONCE):
        newest = (
            select(func.max(_c.id))
            .where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
            .where(_c.origin == Origin.SCIM.value)
            .where(_c.subject_id.in_(subject_ids[start : start + _SUBJECTS_AT_ONCE]))
            .group_by(_c.subject_id)
        )
        query = select(_c.subject_id, _c.at, _c.action, _c.status, _c.steps).where(
            _c.tenant_id == tenant_id, _c.id.in_(newest)
        )
        for row in await conn.execute(query):
            detail = str(row.steps[-1]["detail"]) if row.steps else ""
            found[row.subject_id] = LastPush(row.at, Action(row.action), LogStatus(row.status), detail)
    return found


async def removals_since(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, since: datetime
) -> dict[Action, int]:
    """Count removals by push and by unattended cycles, for the guard's rolling window.

    Removals that a person decided (an approved plan, a demand) do not count: they would
    hold every leaver of the day. A user that was deleted, retired or lost its names
    counts under `disable`, because each ends access; `delete` counts groups.
    """
    scope = {"tenant": tenant_id, "connection": connection_id, "since": since}
    removals: Counter[Action] = Counter()
    for action, subject_type, amount in await fetch_tuples(conn, _REMOVALS, scope):
        ends_access = subject_type == SubjectType.USER.value and action != Action.CHANGE_HOLDER.value
        removals[Action.DISABLE if ends_access else Action(action)] += int(amount)
    return dict(removals)
