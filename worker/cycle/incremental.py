"""Run the steps of an incremental cycle: a delta names the subjects to read.

Each is then read by itself and decided by the same core as in a full cycle. No mirror
of the directory is kept, and nothing is ever concluded from a delta. The subjects named
by users/delta, groups/delta, a difference in the application's assignments, or a change
made here are read in Graph and loaded from the store as a focus, together with the
users tied to them. Every doubt ends in `FullCycleRequired`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncConnection

from store.directory import groups, users
from store.logs import events
from store.records import Connection, DriftKind, GraphId, MembershipMode, Policy
from store.sync import delta_links, drift_reports, entitled_lists, push_conflicts
from worker.cycle import checkpoint as checkpoints
from worker.cycle.checkpoint import Checkpoint, CheckpointDraft, Counted, LastCheckpoint
from worker.cycle.load_state import load_part
from worker.progress import ProgressReporter
from worker.reconcile.dependencies import (
    Lookup,
    affected_subjects,
    arriving_users,
    missing_reads,
    rows_needed,
)
from worker.reconcile.guard import REPORT_MODE, deciding_total, partition
from worker.reconcile.plan import Decision, Plan, PlanPartition, Verdict
from worker.reconcile.snapshot import Evidence, Focus, Snapshot, focus_of_conflicts
from worker.reconcile.state import State, Totals
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient
    from worker.graph.read.delta import GroupsDelta, UsersDelta
    from worker.graph.read.focus import FocusReading

WORTH_IT_ALWAYS = 100
"""The number of users that may be read one by one in any directory."""
WORTH_IT = 0.2
"""Share of the users above which reading all of them is quicker."""
ROUNDS = 8
"""Limit of rounds; ties between users end after one or two."""

_NOT_ALL_HERE = frozenset(DriftKind) - {
    DriftKind.MISSED_DEPROVISION,
    DriftKind.MEMBERSHIP_EXTRA,
    DriftKind.GROUP_EXTRA,
    DriftKind.ATTRIBUTE_MISMATCH,
    DriftKind.LOCAL_ACCOUNT,
}
"""Kinds of drift that leave an entitled user without a row or a membership here."""


class FullCycleRequired(Exception):
    """Only a full cycle can tell; the message says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class ChangedSubjects:
    """The subjects to read, and what the next increment continues from."""

    focus: Focus
    checkpoint: Checkpoint
    assigned: frozenset[GraphId]
    """The users and groups that are assigned now."""
    last: LastCheckpoint
    arrived: frozenset[GraphId]
    """Who was given access by the push, a person, or on demand."""
    has_conflicts: bool
    """The push did something that is still to be looked at, or stands."""

    @property
    def is_nothing(self) -> bool:
        """Whether no row of the store can matter: nothing changed on either side."""
        return self.focus == Focus() and not self.has_conflicts

    def draft(self, counted: Counted) -> CheckpointDraft:
        is_same = self.assigned == self.last.assigned and counted.groups == self.last.before.groups
        return CheckpointDraft(self.checkpoint, self.assigned, counted, is_assigned_same=is_same)


@dataclass(frozen=True, slots=True)
class FocusData:
    """What was read and loaded for a focus: all that its plan needs."""

    focus: Focus
    snapshot: Snapshot
    state: State


def require_certain(verdict: Verdict) -> Verdict:
    """Return a verdict that has no doubts.

    Raises `FullCycleRequired` otherwise: an increment never holds and never guesses.
    """
    doubts = [reason for reason in verdict.reasons if reason != REPORT_MODE]
    if doubts:
        raise FullCycleRequired(doubts[0])
    return verdict


def partition_or_full(plan: Plan, verdict: Verdict, evidence: Mapping[str, Evidence]) -> PlanPartition:
    """Divide a plan in which every removal is confirmed.

    Raises `FullCycleRequired` if one is not.
    """
    applying = partition(plan, replace(verdict, decision=Decision.APPLY), evidence)
    if applying.dropped:
        raise FullCycleRequired(applying.dropped[0].why)
    if applying.hold:
        raise FullCycleRequired(applying.reasons[0])
    return applying if verdict.decision is Decision.APPLY else partition(plan, verdict, evidence)


async def find_changed_subjects(
    services: WorkerServices,
    connection: Connection,
    graph: GraphClient,
    reading: FocusReading,
    last: LastCheckpoint,
    events_id: int,
) -> ChangedSubjects:
    """Find the subjects that changed since the last checkpoint.

    `events_id` is the last event of Leaver's own when the cycle began. Raises
    `FullCycleRequired`, or a `GraphError` if Graph cannot be read.
    """
    from worker.graph.read import delta

    checkpoint, before = last.checkpoint, last.assigned
    context = checkpoints.checkpoint_context(
        connection, reading.service_principal_id, await graph.token_roles()
    )
    if differing := checkpoints.context_changes(checkpoint.context, context):
        raise FullCycleRequired(f"Changed since the last cycle: {', '.join(differing)}.")
    people = await delta.read_users_delta(graph, connection.policy, checkpoint.users_link)
    changed = await delta.read_groups_delta(graph, checkpoint.groups_link)
    now = services.clock()
    async with services.db.reading() as conn:
        touched = await events.touched_since(
            conn, connection.tenant_id, connection.id, checkpoint.events_id, checkpoint.saved_at
        )
        conflicts = await push_conflicts.load(conn, connection.tenant_id, connection.id)
        arrived = await users.load_some(conn, connection.tenant_id, connection.id, ids=touched.arrived_ids)
        _check_assigned(reading, before)
        await _check_lost_groups(
            conn, connection, before & ({*changed.removed} | (before - reading.assigned))
        )
    focus = _of_users(people) | _of_groups(connection.policy, changed, reading.assigned | before)
    focus |= _of_assignments(reading, before)
    focus |= await _of_renamed(services, connection, reading, changed, last)
    focus |= focus_of_conflicts(conflict for conflict in conflicts if not conflict.is_read)
    focus |= Focus(rows=touched.user_ids | touched.group_ids | touched.member_ids) | checkpoint.recheck
    following = Checkpoint(
        users_link=_link_of(people),
        groups_link=_link_of(changed),
        events_id=events_id,
        context=context,
        saved_at=now,
        digest=delta_links.digest_of(reading.assigned),
    )
    objects = frozenset(row.entra_object_id for row in arrived.values() if row.entra_object_id)
    objects |= checkpoint.recheck.users
    return ChangedSubjects(focus, following, reading.assigned, last, objects, bool(conflicts))


def _link_of(delta: UsersDelta | GroupsDelta) -> str:
    if delta.link is None:
        raise FullCycleRequired(f"The list {delta.proof.name} broke off ({delta.proof.detail}).")
    return delta.link


def _check_assigned(reading: FocusReading, before: frozenset[GraphId]) -> None:
    now = reading.assigned
    if not all(proof.finished for proof in reading.proofs):
        raise FullCycleRequired("The list of assignments broke off.")
    if len(now) * 2 < len(before) or not now:
        raise FullCycleRequired(f"{len(now)} assignments were read where there were {len(before)}.")


async def _check_lost_groups(conn: AsyncConnection, connection: Connection, lost: frozenset[GraphId]) -> None:
    """Raise `FullCycleRequired` if a group may have gone whose members nothing here
    names.

    The members of such a group are known by their rows here; those who have none, or no
    membership yet, have an open finding.
    """
    if not lost:
        return
    scope = conn, connection.tenant_id, connection.id
    groups_ = lost - (await entitled_lists.load_some(*scope, lost)).keys()
    rows = await users.load_some(*scope, objects=groups_)
    if groups_ - {row.entra_object_id for row in rows.values()} and await drift_reports.has_open(
        *scope, _NOT_ALL_HERE
    ):
        raise FullCycleRequired("An assignment ended, and not all people it concerned are here.")


def _of_users(delta: UsersDelta) -> Focus:
    return Focus(users=frozenset({*delta.changed, *delta.managers, *delta.removed}))


def _of_groups(policy: Policy, delta: GroupsDelta, ours: frozenset[GraphId]) -> Focus:
    """Return users who came into a group or left one, deleted groups, and nested groups
    that moved.
    """
    is_transitive = policy.membership is MembershipMode.TRANSITIVE
    if is_transitive and (delta.nested or delta.removed):
        raise FullCycleRequired(
            "A nested group moved, or a group was deleted: that may concern people of other groups."
        )
    lists = [held for group, held in delta.members.items() if is_transitive or group in ours]
    members = frozenset(member for held in lists for member in held)
    return Focus(members - delta.nested, frozenset({*delta.removed, *(members & delta.nested)} & ours))


def _of_assignments(reading: FocusReading, before: frozenset[GraphId]) -> Focus:
    now = reading.assigned
    came = now - before
    groups = came & reading.assigned_groups.keys()
    # Of a lost assignment only the id is known: a group that is read as a user is not
    # found, which is harmless.
    return Focus((came - groups) | (before - now), groups | (before - now))


async def _of_renamed(
    services: WorkerServices,
    connection: Connection,
    reading: FocusReading,
    delta: GroupsDelta,
    last: LastCheckpoint,
) -> Focus:
    """Return assigned groups whose name here is another, or which are no security
    groups now or were none.
    """
    ours = {g: group for g, group in delta.changed.items() if g in reading.assigned_groups}
    if not ours:
        return Focus()
    async with services.db.reading() as conn:
        rows = await groups.load_some(conn, connection.tenant_id, connection.id, objects=ours)
    named = {row.entra_object_id: row.display_name for row in rows.values() if row.deleted_at is None}
    renamed = (g for g, group in ours.items() if named.get(g) != group.display_name)
    unsecured = (g for g, group in ours.items() if group.properties.get("securityEnabled") is False)
    return Focus(groups=frozenset({*renamed, *unsecured, *(ours.keys() - last.before.groups)}))


async def read_focus(
    services: WorkerServices,
    connection: Connection,
    reading: FocusReading,
    changed: ChangedSubjects,
    report_progress: ProgressReporter,
) -> FocusData:
    """Read and load the focus and the users tied to it, until nothing is missing.

    Raises `FullCycleRequired` if the focus grows too large or does not end, and a
    `GraphError` if Graph cannot be read.
    """
    if changed.is_nothing:
        return await _nothing_to_read(connection, reading)
    policy, limit = connection.policy, max(WORTH_IT_ALWAYS, int(changed.last.before.users * WORTH_IT))
    focus, more = Focus(), changed.focus
    compared: frozenset[Lookup] = frozenset()
    reported: frozenset[GraphId] = frozenset()
    for _ in range(ROUNDS):
        if len((focus | more).users) > limit:
            raise FullCycleRequired(f"More than {limit} people would have to be read one by one.")
        await reading.read(Focus(more.users - focus.users, more.groups - focus.groups))
        focus |= more
        report_progress("users", len(focus.users), None)
        snapshot = await reading.snapshot()
        state = await load_part(
            services.db,
            connection,
            rows_needed(connection.id, snapshot, policy, focus),
            totals_up_to=deciding_total(policy.ceilings, len(snapshot.users)),
        )
        missing = missing_reads(snapshot, state, policy, focus, compared)
        arriving = arriving_users(snapshot, state, policy, changed.arrived) - reported
        found = await reading.find(missing.lookups)
        compared, reported = compared | missing.lookups, reported | arriving
        more = focus | Focus(missing.users | found, missing.groups, missing.rows)
        more |= affected_subjects(snapshot, state, focus) | Focus(await reading.reports_of(arriving))
        if more == focus:
            return FocusData(focus, await _with_canary(reading, snapshot), state)
    raise FullCycleRequired("The people who changed are tied to ever more others.")


async def _nothing_to_read(connection: Connection, reading: FocusReading) -> FocusData:
    """Return an empty focus: its plan is empty, and no ceiling asks for totals."""
    snapshot = await _with_canary(reading, await reading.snapshot())
    return FocusData(Focus(), snapshot, State(connection.id, {}, {}, {}, part_of=Totals(0, 0, 0)))


async def _with_canary(reading: FocusReading, snapshot: Snapshot) -> Snapshot:
    proof = replace(snapshot.completeness, canary_read=await reading.read_canary())
    return replace(snapshot, completeness=proof)


def ids_compared(data: FocusData) -> frozenset[str]:
    """Return all ids under which findings file the compared subjects: Entra's and the
    rows'.
    """
    focus = data.focus
    users = (row.id for row in data.state.users.values() if focus.has_user(row.entra_object_id, row.id))
    groups_ = (row.id for row in data.state.groups.values() if focus.has_group(row.entra_object_id, row.id))
    return frozenset({*focus.users, *focus.groups, *focus.rows, *users, *groups_})
