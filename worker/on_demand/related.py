"""Read users that names tie to a subject: possible owners of its account or of its
name.

They are read in Entra as well, so that one user alone is decided as in a full cycle.
Nothing is done to the others, with one exception: an account that holds the name the
subject is to have, and whose user has another name in Entra by now, is renamed first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import structs

from store.database import Database
from store.records import Action, DriftKind, GraphId, Group, Policy, User, is_object_id, name_key
from worker.cycle.load_state import load_part
from worker.errors import Terminal
from worker.reconcile.dependencies import Lookup, missing_reads, rows_needed
from worker.reconcile.entitlement import Entitlement
from worker.reconcile.mapping.attribute_mapping import compile_mapping
from worker.reconcile.plan import Change, Finding, Plan
from worker.reconcile.snapshot import Focus, Snapshot
from worker.reconcile.state import State

if TYPE_CHECKING:
    from worker.graph.read.subject import SubjectReading

ROUNDS = 8
"""Limit of rounds; ties between users end after one or two."""


@dataclass(frozen=True, slots=True)
class RelatedUsers:
    """A user with all users that names tie to it."""

    snapshot: Snapshot
    state: State
    holders: frozenset[GraphId]
    """Users whose accounts hold a name that the user, or another holder, is to have."""


async def read_related(reading: SubjectReading, db: Database, focus: Focus, state: State) -> RelatedUsers:
    """Read and load the users tied to the focus, until none is missing.

    Raises a `GraphError` if one of them cannot be read, `Terminal` if they are tied to
    ever more others.
    """
    connection, policy = reading.connection, reading.connection.policy
    searched, asked, wider = frozenset[Lookup](), focus.users, focus
    for _ in range(ROUNDS):
        await _ask_for_groups_here(reading, wider, state)
        snapshot = reading.snapshot()
        missing = missing_reads(snapshot, state, policy, wider, searched)
        more = (missing.users | await reading.search(missing.lookups)) - asked
        if not more:
            return RelatedUsers(snapshot, state, _name_holders(snapshot, state, policy, focus.users))
        await reading.read_people(more)
        searched, asked = searched | missing.lookups, asked | more
        # A manager is read to be referred to; the manager's own manager does not matter
        # here.
        wider |= Focus(users=more - {user.manager_id for user in snapshot.users.values() if user.manager_id})
        wanted = rows_needed(connection.id, reading.snapshot(), policy, wider)
        state = await load_part(db, connection, wanted, with_totals=False)
    raise Terminal(
        "The person's names are tied to those of ever more other people, so it cannot be told alone. Run a full"
        " cycle (leaver sync CONNECTION --full): it decides everybody at once."
    )


async def _ask_for_groups_here(reading: SubjectReading, focus: Focus, state: State) -> None:
    """Ask Entra for the groups that hold the accounts here.

    A user's groups in Entra do not tell which of these groups are assigned.
    """
    rows = (row for row in state.users.values() if row.deleted_at is None)
    theirs = {row.id for row in rows if row.entra_object_id is None or row.entra_object_id in focus.users}
    ids: set[GraphId] = set()
    names: set[str] = set()
    for group in (row for row in state.groups.values() if row.deleted_at is None):
        if group.entra_object_id is not None:
            ids.update({group.entra_object_id} if state.members.get(group.id, frozenset()) & theirs else ())
        else:
            ids.update(_object_id_of(group))
            names.add(group.display_name)
    await reading.ask_groups(ids, names)


def _object_id_of(group: Group) -> Iterable[GraphId]:
    external_id = group.external_id or ""
    return [GraphId(external_id.lower())] if is_object_id(external_id) else []


def _name_holders(
    snapshot: Snapshot, state: State, policy: Policy, people: frozenset[GraphId]
) -> frozenset[GraphId]:
    """Return owners of accounts that hold the names of these users, and so on."""
    read_name = compile_mapping(policy).user_name.read
    names = {g: name_key(str(read_name(user))) for g, user in snapshot.users.items()}
    living = [row for row in state.users.values() if row.deleted_at is None and row.entra_object_id]
    known = people
    while True:
        wanted = {names[graph_id] for graph_id in known & names.keys()}
        found = frozenset(
            r.entra_object_id for r in living if r.entra_object_id and name_key(r.user_name) in wanted
        )
        if found <= known:
            return known - people
        known |= found


def restrict_to_subject(plan: Plan, others: frozenset[GraphId]) -> Plan:
    """Return the plan without changes to other users, except for the names they give
    up.
    """
    kept = plan.subset(change for change in plan.changes if _is_wanted(change, others))
    return replace(kept, findings=tuple(f for f in plan.findings if f.subject.graph_id not in others))


def _is_wanted(change: Change, others: frozenset[GraphId]) -> bool:
    if change.member is not None:
        return change.member.graph_id not in others
    if change.subject.graph_id not in others:
        return True
    gives_up_name = change.action is Action.UPDATE and "userName" in change.after
    return gives_up_name or change.action is Action.RELEASE_NAMES


def with_holders_named(plan: Plan, state: State, entitlement: Entitlement) -> Plan:
    """Return the plan with findings on refused names that name the holder and the way
    out.
    """
    return replace(
        plan, findings=tuple(_with_holders(finding, state, entitlement) for finding in plan.findings)
    )


def _with_holders(finding: Finding, state: State, entitlement: Entitlement) -> Finding:
    if finding.kind is not DriftKind.MATCH_CONFLICT or finding.candidates:
        return finding
    name = name_key(finding.subject.label)
    living = [row for row in state.users.values() if row.deleted_at is None]
    rows = [row for row in living if name_key(row.user_name) == name]
    others = [row for row in rows if row.id != finding.subject.local_id]
    if not others:
        return finding
    detail = f"{finding.detail}: {'; '.join(_describe_holder(row, entitlement) for row in others)}"
    return structs.replace(finding, detail=detail, candidates=tuple(row.id for row in others))


def _describe_holder(row: User, entitlement: Entitlement) -> str:
    who = f"the {'active' if row.active else 'inactive'} account {row.id}"
    if row.entra_object_id is None:
        return (
            f"{who}, which nobody in Entra answers to; rename or delete that account here, then provision this"
            " person again"
        )
    reason = entitlement.reason(row.entra_object_id)
    state = f"is not entitled there ({reason})" if reason else "goes by the same name there"
    return (
        f"{who}, which stands for {row.entra_object_id} in Entra, who {state}; give one of the two another"
        " userPrincipalName in Entra, or rename that account here, then provision this person again"
    )
