"""Load and save what an incremental cycle continues from: delta links, events,
assignments, and the totals of who is entitled.

Links are taken before a full reading starts and saved in the transaction that ends the
cycle, so that no change can fall between two cycles. A change that comes up twice is
harmless: it only names a subject to read.

After an increment, users who were not read count as they did at the checkpoint; a user
who was read counts by this reading instead. So the totals rest on Graph alone, and are
the same in every mode, with drift applied, held or open.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import Database
from store.logs import events
from store.records import Connection, CycleKind, CycleStatus, GraphId
from store.sync import cycles, delta_links, entitled_lists
from store.sync.delta_links import digest_of
from worker.cycle.load_state import history_of
from worker.cycle.schedule import full_due
from worker.reconcile.entitlement import Entitlement
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING, required_graph_properties
from worker.reconcile.snapshot import Focus
from worker.reconcile.state import History
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

log = structlog.get_logger(__name__)

DELTA_LINK_LIFETIME = timedelta(days=6)
"""Graph keeps a delta token for seven days."""

MAX_RECHECK = 1_000
"""The most people, groups and rows that are left to the next increment."""

_USERS, _GROUPS, _EVENTS, _AGAIN = "users", "groups", "events", "again"
_WELL = frozenset({CycleStatus.APPLIED, CycleStatus.HELD, CycleStatus.REPORTED, CycleStatus.YIELDED})


@dataclass(frozen=True, slots=True)
class Checkpoint:
    users_link: str
    groups_link: str
    events_id: int
    """The last event of Leaver's own that was looked at."""
    context: str
    """The configuration it was taken under; see `checkpoint_context`."""
    saved_at: datetime
    digest: str
    """Digest of the assigned principals."""
    recheck: Focus = field(default_factory=Focus)
    """What was left unchanged: it changed here while Graph was read, or waits for
    another change.
    """


@dataclass(frozen=True, slots=True)
class Counted:
    """Who and what a reading counted as entitled: the next increment's totals rest on
    it.
    """

    users: Mapping[GraphId, int]
    """Entitled users, each with the number of assigned groups that hold the user."""
    groups: frozenset[GraphId]
    """Every assigned group that counts."""
    looked_at: frozenset[GraphId] | None = None
    """The users that an increment looked at; None: all were."""


@dataclass(frozen=True, slots=True)
class CheckpointDraft:
    """Delta links, event position, assigned principals and what was counted, to save
    when this cycle succeeds.
    """

    checkpoint: Checkpoint
    assigned: frozenset[GraphId]
    counted: Counted
    is_assigned_same: bool = False
    """Who is assigned, and which groups count, is as it was saved."""

    def with_recheck(self, again: Focus) -> CheckpointDraft | None:
        """Return the draft with people and rows to compare again.

        None if these are so many that a full cycle is quicker.
        """
        if _is_too_much(again):
            return None
        return replace(self, checkpoint=replace(self.checkpoint, recheck=again))


async def load(conn: AsyncConnection, connection: Connection) -> Checkpoint | None:
    """Load the last checkpoint; None if one of its parts is missing."""
    scope = conn, connection.tenant_id, connection.id
    links = await delta_links.get_all(*scope)
    users, groups, event = links.get(_USERS), links.get(_GROUPS), links.get(_EVENTS)
    digest = await delta_links.assigned_digest(*scope)
    if users is None or groups is None or event is None or digest is None:
        return None
    recheck = links.get(_AGAIN)
    again = Focus(*map(frozenset, json.loads(recheck.link))) if recheck else Focus()
    return Checkpoint(
        users.link,
        groups.link,
        int(event.link),
        users.context,
        event.saved_at,
        digest,
        again,
    )


async def save(conn: AsyncConnection, connection: Connection, draft: CheckpointDraft) -> None:
    """Save what the next increment continues from."""
    scope, checkpoint = (conn, connection.tenant_id, connection.id), draft.checkpoint
    links = {
        _USERS: checkpoint.users_link,
        _GROUPS: checkpoint.groups_link,
        _EVENTS: str(checkpoint.events_id),
        _AGAIN: _recheck_to_json(checkpoint.recheck),
    }
    await delta_links.put_all(*scope, links, context=checkpoint.context, now=checkpoint.saved_at)
    counted = draft.counted
    if not draft.is_assigned_same:
        await delta_links.put_assigned(*scope, draft.assigned, counted.groups)
    if counted.looked_at is None:
        await entitled_lists.put_all(*scope, counted.users)
    else:
        await entitled_lists.put_some(*scope, counted.users, counted.looked_at)


async def look_again(conn: AsyncConnection, connection: Connection, people: frozenset[GraphId]) -> None:
    """Leave people to the next increment as well."""
    checkpoint = await load(conn, connection)
    if checkpoint is None or people <= checkpoint.recheck.users:
        return
    again = checkpoint.recheck | Focus(people)
    if _is_too_much(again):
        await forget(conn, connection)
        return
    scope = conn, connection.tenant_id, connection.id
    await delta_links.put(
        *scope, _AGAIN, _recheck_to_json(again), context=checkpoint.context, now=checkpoint.saved_at
    )


def _is_too_much(recheck: Focus) -> bool:
    return len(recheck.users) + len(recheck.groups) + len(recheck.rows) > MAX_RECHECK


def _recheck_to_json(recheck: Focus) -> str:
    parts = (recheck.users, recheck.groups, recheck.rows)
    return json.dumps([sorted(part) for part in parts])


async def forget(conn: AsyncConnection, connection: Connection) -> None:
    """Drop the checkpoint: the next cycle reads everything."""
    await delta_links.drop(conn, connection.tenant_id, connection.id)


def checkpoint_context(connection: Connection, service_principal_id: str, roles: Iterable[str]) -> str:
    """Return the configuration for which a checkpoint holds.

    If any of it changed, only a full reading is right.
    """
    policy = connection.policy
    parts = {
        "mapping": dict(policy.mapping or DEFAULT_MAPPING),
        "properties": sorted(required_graph_properties(policy)),
        "scope": policy.scope,
        "membership": policy.membership,
        "scoping filters": [[[c.attribute, c.operator, c.value] for c in f] for f in policy.scoping_filters],
        "emptied attributes": policy.clear_emptied_attributes,
        "local accounts": policy.deprovision_local_accounts,
        "mode": policy.mode,
        "directory": [connection.entra_tenant_id, connection.graph_url],
        "application": [connection.app_id, connection.client_id, service_principal_id],
        "permissions": sorted(roles),
    }
    return json.dumps(parts)


def context_changes(then: str, now: str) -> tuple[str, ...]:
    """Return the names of the parts that differ between two contexts."""
    before, after = json.loads(then), json.loads(now)
    return tuple(name for name in after if before.get(name) != after[name])


@dataclass(frozen=True, slots=True)
class CountsBefore:
    """The totals at the checkpoint."""

    users: int
    memberships: int
    groups: frozenset[GraphId]
    """The assigned groups that counted."""


@dataclass(frozen=True, slots=True)
class LastCheckpoint:
    """What an increment continues from."""

    checkpoint: Checkpoint
    assigned: frozenset[GraphId]
    """The users and groups that were assigned at it."""
    before: CountsBefore


@dataclass(frozen=True, slots=True)
class CycleBasis:
    """What earlier cycles left for the next one, as of one moment before it begins."""

    kind: CycleKind
    why_full: str | None
    """Why it is not an increment."""
    events_id: int
    """The last event of Leaver's own: what follows is looked at by the cycle after."""
    last: LastCheckpoint | None
    """None unless the cycle may be an increment."""
    history: History


async def find_basis(services: WorkerServices, connection: Connection, *, is_full: bool) -> CycleBasis:
    """Return the kind of the next cycle, and what it continues from.

    The first cycle that reads everything is the initial one.
    """
    now = services.clock()
    async with services.db.reading() as conn:
        events_id = await events.last_id(conn, connection.tenant_id)
        history = await history_of(conn, connection, now)
        checkpoint = await load(conn, connection)
        reason = await _full_cycle_reason(conn, connection, checkpoint, history.last_complete_at, now)
        reason = "It was asked for." if is_full else reason
        last = None
        if checkpoint is not None and reason is None:
            last = await with_counts(conn, connection, checkpoint)
            reason = _NOTHING_LEFT if last is None else None
    if history.last_complete_at is None:
        return CycleBasis(CycleKind.INITIAL, reason, events_id, None, history)
    kind = CycleKind.FULL if reason else CycleKind.INCREMENTAL
    return CycleBasis(kind, reason, events_id, last, history)


_NOTHING_LEFT = "No earlier cycle left anything to continue from."


async def with_counts(
    conn: AsyncConnection, connection: Connection, checkpoint: Checkpoint
) -> LastCheckpoint | None:
    """Return a checkpoint with what was counted at it; None if that was not saved."""
    scope = conn, connection.tenant_id, connection.id
    totals, listed = await entitled_lists.totals(*scope), await delta_links.assigned_list(*scope)
    if totals is None or listed is None:
        return None
    before = CountsBefore(totals.users, totals.memberships, listed.groups)
    return LastCheckpoint(checkpoint, listed.principals, before)


async def _full_cycle_reason(
    conn: AsyncConnection,
    connection: Connection,
    checkpoint: Checkpoint | None,
    last_full_at: datetime | None,
    now: datetime,
) -> str | None:
    """Return why the next cycle has to read everything, in a sentence; None: it may be
    incremental.
    """
    last = await cycles.last_status(conn, connection.tenant_id, connection.id)
    if last is not None and last not in _WELL:
        return f"The last cycle ended as {last.value}."
    if checkpoint is None or last_full_at is None:
        return _NOTHING_LEFT
    if full_due(connection, last_full_at) <= now:
        return f"Everything is read anew every {connection.policy.full_every_hours} h."
    if now - checkpoint.saved_at > DELTA_LINK_LIFETIME:
        return f"The delta links are older than {DELTA_LINK_LIFETIME.days} days."
    return None


@dataclass(frozen=True, slots=True)
class DeltaStart:
    """Delta links taken before a reading starts, so that no change is missed
    after it.
    """

    users: str
    groups: str
    at: datetime


async def take_links(
    services: WorkerServices, connection: Connection, graph: GraphClient
) -> DeltaStart | None:
    """Take new delta links.

    None if Graph gives no delta: the next cycle is full too.
    """
    from worker.graph.errors import GraphError
    from worker.graph.read.delta import groups_link, users_link

    at = services.clock()
    try:
        return DeltaStart(await users_link(graph, connection.policy), await groups_link(graph), at)
    except GraphError as error:
        log.warning("delta.no_links", error=type(error).__name__)
        return None


def draft_checkpoint(
    connection: Connection, links: DeltaStart | None, entitlement: Entitlement, events_id: int
) -> CheckpointDraft | None:
    """Return the checkpoint of a full cycle, once its reading is known."""
    if links is None:
        return None
    snapshot = entitlement.snapshot
    assigned = frozenset(row.principal_id for row in snapshot.assignments)
    roles = snapshot.completeness.token_roles
    context = checkpoint_context(connection, snapshot.service_principal_id, roles)
    checkpoint = Checkpoint(links.users, links.groups, events_id, context, links.at, digest_of(assigned))
    counted = Counted(entitlement.groups_held, frozenset(entitlement.members))
    return CheckpointDraft(checkpoint, assigned, counted)


async def count_entitled(
    db: Database, connection: Connection, before: CountsBefore, focus: Focus, reading: Entitlement
) -> tuple[dict[str, int], Counted]:
    """Return the counts after an increment, and who of those who were read counts."""
    read = focus.users | reading.snapshot.users.keys() | reading.snapshot.deleted.keys()
    ours = frozenset(reading.members)
    # Only of a group that was read whole is it known that Entra provisions it.
    groups = (ours & focus.groups) | ((ours & before.groups) - focus.groups)
    held = Counter(member for group in groups for member in reading.members[group])
    now = {user: held[user] for user in reading.entitled & read}
    then: Mapping[GraphId, int] = {}
    if read:
        async with db.reading() as conn:
            then = await entitled_lists.load_some(conn, connection.tenant_id, connection.id, read)
    counts = {
        "users": before.users - len(then) + len(now),
        "groups": len(groups),
        "memberships": before.memberships - sum(then.values()) + sum(now.values()),
    }
    return counts, Counted(now, groups, read)
