"""Load what the store holds of a connection as values of the decision core."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import Database
from store.directory import groups, memberships, users
from store.records import (
    Connection,
    ConnectionId,
    DriftKind,
    RowSummary,
    SubjectType,
    TenantId,
    User,
)
from store.records.drift import PushConflict
from store.sync import cycles, digests, drift_reports, guard_memory, push_conflicts
from store.tenancy import mappings
from worker.reconcile.arrays.user_table import id_flags
from worker.reconcile.dependencies import RowKeys, RowsNeeded, name_holders, rows_needed
from worker.reconcile.digests import (
    RowComparison,
    is_unwritten_since,
    part_to_load,
    rematch_candidates,
)
from worker.reconcile.entitlement import Entitlement
from worker.reconcile.snapshot import Focus, Snapshot, focus_of_conflicts
from worker.reconcile.state import History, MappingVerdict, State, Totals

MOST_UNSETTLED = 0.2
"""Share of the directory above which loading everything at once is cheaper."""


async def load(db: Database, connection: Connection) -> State:
    """Load users, groups and memberships as of one moment."""
    tenant_id, connection_id = connection.tenant_id, connection.id
    async with db.reading() as conn:
        return State(
            connection_id,
            await users.load_state(conn, tenant_id, connection_id),
            await groups.load_state(conn, tenant_id, connection_id),
            await memberships.load_state(conn, tenant_id, connection_id),
            await users.has_admin_elsewhere(conn, tenant_id, connection_id),
            **await _identity_facts(conn, connection),
        )


async def load_unsettled(
    db: Database, connection: Connection, snapshot: Snapshot, entitlement: Entitlement
) -> tuple[State, Focus | None]:
    """Load what a plan of the whole connection can be decided on, and the focus for
    that plan.

    Of rows whose digests fit only the summaries are loaded. Everything is loaded, and
    the focus is None, if the reading is incomplete or many digests do not fit.
    """
    policy = connection.policy
    if entitlement.is_whole and entitlement.is_directory_listed:
        of_connection = connection.tenant_id, connection.id
        async with db.reading() as conn:
            comparison = RowComparison(snapshot, entitlement)
            async for rows in digests.stream(conn, *of_connection, SubjectType.USER):
                comparison.take(rows)
            focus = comparison.focus(await digests.load(conn, *of_connection, SubjectType.GROUP))
            unlinked = await users.load_some(conn, *of_connection, ids=focus.rows)
            focus |= rematch_candidates(snapshot, policy, unlinked.values())
            focus |= focus_of_conflicts(await push_conflicts.load(conn, *of_connection))
            if focus == Focus():
                return State(connection.id, {}, {}, {}), focus
        if len(focus.users) <= len(snapshot.users) * MOST_UNSETTLED:
            part = part_to_load(snapshot, focus)
            state = await load_part(db, connection, rows_needed(connection.id, part, policy, focus))
            # Who holds a name that another is to have is decided about as well.
            while owners := name_holders(part, state, policy) - focus.users:
                focus |= Focus(users=owners)
                part = part_to_load(snapshot, focus)
                state = await load_part(db, connection, rows_needed(connection.id, part, policy, focus))
            return await _with_agreement(db, connection, snapshot, state), focus
        return await _with_agreement(db, connection, snapshot, await load(db, connection)), None
    return await load(db, connection), None


async def _with_agreement(db: Database, connection: Connection, snapshot: Snapshot, state: State) -> State:
    """Note which loaded accounts were not written since they agreed with Entra, and the
    people whose pushed accounts were left out, for their digests fit.

    The rows are gone through once more, and forgotten: only here it is known which of a
    million are loaded. One that was written meanwhile counts as neither.
    """
    agreed: set[str] = set()
    users = snapshot.users
    settled = id_flags(users)
    async with db.reading() as conn:
        scope = conn, connection.tenant_id, connection.id, SubjectType.USER
        async for rows in digests.stream(*scope):
            for row in filter(is_unwritten_since, map(RowSummary._make, rows)):
                person = row.entra_object_id
                if row.id in state.users:
                    agreed.add(row.id)
                elif row.was_pushed and row.active and person is not None and person in users:
                    settled.add(person)
    return replace(state, settled=settled, agreed=frozenset(agreed))


async def load_part(
    db: Database,
    connection: Connection,
    needed: RowsNeeded,
    *,
    with_totals: bool = True,
    totals_up_to: int | None = None,
) -> State:
    """Load only what a focus needs, as of one moment, with the connection's totals for
    the guard: exact ones, or counted as far as they decide.

    These are the rows found by the keys, the members of its whole groups, and the
    groups in which any of these are; of other groups only the members that were found.
    """
    tenant_id, connection_id = connection.tenant_id, connection.id
    async with db.reading() as conn:
        scope = conn, tenant_id, connection_id
        people = await users.load_some(*scope, **_keys(needed.users))
        whole = await groups.load_some(*scope, **_keys(needed.whole_groups))
        members = await memberships.load_some(*scope, groups=whole, members=[*people, *whole])
        inside = {member for group in whole for member in members.get(group, ())}
        people |= await users.load_some(*scope, ids=inside - people.keys())
        others = await groups.load_some(*scope, **_keys(needed.groups))
        others |= await groups.load_some(*scope, ids=(inside | members.keys()) - people.keys() - whole.keys())
        return State(
            connection_id,
            people,
            others | whole,
            members,
            await users.has_admin_besides(conn, tenant_id, people),
            contested=await _contested(*scope) if any(map(_is_free, people.values())) else frozenset(),
            part_of=await _totals(*scope, totals_up_to) if with_totals else None,
            **await _identity_facts(conn, connection),
        )


def _is_free(row: User) -> bool:
    return row.entra_object_id is None and row.deleted_at is None


async def _contested(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> frozenset[str]:
    return await drift_reports.open_subjects(conn, tenant_id, connection_id, DriftKind.MATCH_CONFLICT)


class _IdentityFacts(TypedDict):
    directory_id: str | None
    last_read_at: datetime | None
    mapping: MappingVerdict | None
    conflicts: tuple[PushConflict, ...]


async def _identity_facts(conn: AsyncConnection, connection: Connection) -> _IdentityFacts:
    """Load what decides which person an account stands for, beside the accounts."""
    scope = conn, connection.tenant_id, connection.id
    said = await mappings.verdict(*scope)
    return {
        "directory_id": connection.entra_tenant_id,
        "last_read_at": await cycles.last_read_at(*scope),
        "mapping": _verdict(said) if said else None,
        "conflicts": await push_conflicts.load(*scope),
    }


def _verdict(said: Mapping[str, Any]) -> MappingVerdict:
    return MappingVerdict(said["names_fit"], frozenset(said["misfits"]), tuple(said["sentences"]))


async def _totals(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, most: int | None
) -> Totals:
    scope = conn, tenant_id, connection_id
    return Totals(
        await users.count_active(*scope, most),
        await groups.count(*scope, most),
        await memberships.count(*scope, most),
    )


async def load_history(db: Database, connection: Connection, now: datetime) -> History:
    """Load the guard's memory of earlier cycles."""
    async with db.reading() as conn:
        return await history_of(conn, connection, now)


class _Keys(TypedDict):
    ids: Collection[str]
    objects: Collection[str]
    names: Collection[str]
    external_ids: Collection[str]


def _keys(keys: RowKeys) -> _Keys:
    return {
        "ids": keys.ids,
        "objects": keys.objects,
        "names": keys.names,
        "external_ids": keys.external_ids,
    }


async def history_of(conn: AsyncConnection, connection: Connection, now: datetime) -> History:
    """Return the guard's memory of earlier cycles."""
    memory = await guard_memory.history(conn, connection.tenant_id, connection.id, now)
    decided = await guard_memory.load(conn, connection.tenant_id, connection.id, now)
    return History(
        waiting=decided.waiting,
        accepted=decided.accepted,
        last_good_counts=memory.last_good_counts,
        last_token_roles=memory.last_token_roles,
        last_scope_key=memory.last_scope_key,
        removals_last_24h=memory.removals_last_24h,
        credential_changed_at=memory.credential_changed_at,
        restored_at=memory.restored_at,
        last_complete_at=memory.last_complete_at,
    )
