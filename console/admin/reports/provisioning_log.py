"""Read the provisioning log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor
from console.admin.errors import Noun, UnknownReference
from console.admin.references import connection_names, find_connection
from console.admin.reports.log_steps import explained
from console.admin.services import Services
from store.directory import groups, users
from store.logs import provisioning_log, recent_entries
from store.logs.provisioning_log import LogPage
from store.logs.recent_entries import LogFilter
from store.records import Action, Connection, ConnectionId, DriftFinding, LogEntry, LogStatus, Origin
from store.sync import drift_reports


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which entries of the provisioning log are wanted; None filters nothing."""

    user: str | None = None
    """The userName, displayName or id of a user or group."""
    status: LogStatus | None = None
    correlation: str | None = None
    """Entra's ActivityId, an X-Request-Id, or the id of a cycle."""
    before: int | None = None
    """The `next` of the page before."""
    limit: int = 50
    action: Action | None = None
    origin: Origin | None = None
    since: datetime | None = None
    hides_skipped: bool = False
    looks_at_most: int | None = None
    """So many entries are looked at for a page, which may be short then; None: all."""

    @property
    def is_filtered(self) -> bool:
        """Return whether entries can be missing because of this query."""
        return any(each is not None for each in (self.user, self.status, self.correlation, self.before))


@dataclass(frozen=True, slots=True)
class LogList(LogPage):
    """A page of the provisioning log."""

    names: Mapping[ConnectionId, str] | None = None
    """TENANT/NAME of each connection; None where only one was asked for."""


async def log(
    services: Services, actor: Actor, connection: str | None, query: LogQuery | None = None
) -> LogList:
    """Return a page of the provisioning log of a connection, or of all that the actor
    can see, the newest entry first.

    Entries of cycles have the five steps of *Provision on demand*, and name their
    finding.
    """
    query = query or LogQuery()
    async with services.db.reading() as conn:
        found = None if connection is None else await find_connection(conn, actor, connection)
        names = await connection_names(conn, actor) if found is None else None
        page = await _bounded(conn, found, query) or await provisioning_log.search(
            conn,
            found.tenant_id if found else actor.tenant,
            found.id if found else None,
            user=query.user,
            status=query.status,
            cycle_id=query.correlation,
            before=query.before,
            limit=query.limit,
            action=query.action,
            origin=query.origin,
            since=query.since,
            hides_skipped=query.hides_skipped,
        )
        entries = [entry for part in _by_connection(page.entries) for entry in await _explained(conn, part)]
    entries.sort(key=lambda entry: entry.id, reverse=True)
    return LogList(tuple(entries), page.next, names)


async def _bounded(conn: AsyncConnection, found: Connection | None, query: LogQuery) -> LogPage | None:
    """Look through the newest entries; None where an index leads to those that are
    wanted, or all may be read.
    """
    is_indexed = query.user or query.correlation or query.status in (LogStatus.FAILURE, LogStatus.WARNING)
    if found is None or query.looks_at_most is None or is_indexed:
        return None
    wanted = LogFilter(query.status, query.action, query.origin, query.since, query.hides_skipped)
    return await recent_entries.search(
        *(conn, found.tenant_id, found.id, wanted),
        before=query.before,
        limit=query.limit,
        most=query.looks_at_most,
    )


async def entry(services: Services, actor: Actor, connection: str, entry_id: int) -> LogEntry:
    """Return one entry, explained. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        page = await provisioning_log.search(conn, found.tenant_id, found.id, entry_id=entry_id, limit=1)
        if not page.entries:
            raise UnknownReference(Noun.LOG_ENTRY, str(entry_id), connection_name=found.name)
        [explained_entry] = await _explained(conn, page.entries)
    return explained_entry


def _by_connection(entries: Sequence[LogEntry]) -> Iterable[Sequence[LogEntry]]:
    parts: dict[ConnectionId, list[LogEntry]] = {}
    for entry in entries:
        parts.setdefault(entry.connection_id, []).append(entry)
    return parts.values()


async def _explained(conn: AsyncConnection, entries: Sequence[LogEntry]) -> tuple[LogEntry, ...]:
    """Explain entries of one connection."""
    of_graph = [entry for entry in entries if entry.origin is Origin.GRAPH]
    if not of_graph:
        return tuple(entries)
    scope = conn, of_graph[0].tenant_id, of_graph[0].connection_id
    ids = {entry.subject_id for entry in of_graph if entry.subject_id}
    rows = [*(await users.load_some(*scope, ids=ids)).values()]
    objects: dict[str, str] = {row.id: row.entra_object_id or row.id for row in rows}
    for group in (await groups.load_some(*scope, ids=ids)).values():
        objects[group.id] = group.entra_object_id or group.id
    cycle_ids = {entry.correlation_id for entry in of_graph}
    found = await drift_reports.of_subjects(*scope, cycle_ids, {*ids, *objects.values()})
    return tuple(_explain(entry, objects, found) for entry in entries)


def _explain(
    entry: LogEntry,
    objects: Mapping[str, str],
    found: Mapping[tuple[str, str], Sequence[DriftFinding]],
) -> LogEntry:
    object_id = objects.get(entry.subject_id or "")
    known = found.get((entry.correlation_id, object_id or entry.subject_id or ""), ())
    of_action = [each for each in known if each.evidence.get("action") == entry.action.value]
    return explained(entry, object_id, of_action[0] if of_action else None)
