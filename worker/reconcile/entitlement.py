"""Work out which users are entitled (assigned, enabled, not deleted, in scope) and why
not.

Direct members of assigned groups count, which is what Entra provisions; nested ones
only if the connection's policy says `transitive`, and then they are marked as such.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property

from store.records import GraphId, MembershipMode, Policy, Reason, Scope
from worker.reconcile.arrays.object_ids import (
    UnitedIds,
    count_groups,
    count_memberships,
    groups_holding,
    members_of_any,
    only_groups,
)
from worker.reconcile.arrays.user_table import id_flags, users_in_state
from worker.reconcile.completeness import gaps, is_directory_listed
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING
from worker.reconcile.mapping.scoping_filters import compile_filters
from worker.reconcile.snapshot import Snapshot

NESTED_NOTE = "nested: Entra does not provision these"

_NOBODY: frozenset[GraphId] = frozenset()


@dataclass(frozen=True)
class Entitlement:
    """The entitlement of every user in one snapshot."""

    snapshot: Snapshot
    entitled: Set[GraphId]
    assigned: Set[GraphId]
    """Users with an assignment, entitled or not; every user under `scope: all`."""
    direct: frozenset[GraphId]
    """Principals that are assigned themselves."""
    nested_only: Set[GraphId]
    """Users assigned only through a nested group."""
    members: Mapping[GraphId, frozenset[GraphId]]
    """Members of each assigned group, by the policy's kind of membership."""
    is_whole: bool
    """Everything was read, so absence is a fact."""
    is_directory_listed: bool
    undecided: Set[GraphId] = frozenset()
    """Users of unknown state: never created, changed or removed."""

    @property
    def unreadable(self) -> frozenset[GraphId]:
        """Return the assigned groups whose members are not all known."""
        return frozenset(self.snapshot.unknown_grants.keys() & self.members.keys())

    @property
    def _proves_unassigned(self) -> bool:
        """Return whether a user who is seen in no assignment has none."""
        return self.is_whole and not self.snapshot.unknown_grants

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Count entitled users, assigned groups, and memberships of entitled users.

        The guard compares these counts with those of the last good cycle.
        """
        memberships = count_memberships(self.members, self.entitled)
        return {"users": len(self.entitled), "groups": len(self.members), "memberships": memberships}

    @cached_property
    def groups_held(self) -> Mapping[GraphId, int]:
        """Return the number of assigned groups that hold each entitled user."""
        return count_groups(self.members, self.entitled)

    def reason(self, graph_id: GraphId) -> Reason | None:
        """Return why a user is not entitled.

        None for an entitled user, and if this snapshot cannot tell.
        """
        user = self.snapshot.users.get(graph_id)
        if graph_id in self.snapshot.deleted:
            return Reason.SOFT_DELETED
        if user is None:
            return self._absent(graph_id) if self.is_whole else None
        if graph_id in self.entitled or user.account_enabled is None:
            return None
        if not user.account_enabled:
            return Reason.DISABLED
        if graph_id in self.undecided:
            return None
        if graph_id in self.assigned:
            return Reason.OUT_OF_SCOPE
        return Reason.UNASSIGNED if self._proves_unassigned else None

    def _absent(self, graph_id: GraphId) -> Reason | None:
        if self.is_directory_listed or self.snapshot.is_of_subjects:
            return Reason.PURGED
        # Only assigned users were read, each alone: a user who is not among them is not
        # assigned, or deleted.
        is_proved = graph_id not in self.assigned and self._proves_unassigned
        return Reason.UNASSIGNED if is_proved else None

    def via(self, graph_id: GraphId) -> tuple[str, ...]:
        """Return how a user is assigned: `direct`, then the ids of groups, sorted."""
        groups = sorted(groups_holding(self.members, graph_id))
        return (*(("direct",) if graph_id in self.direct else ()), *groups)


def entitlement_of(snapshot: Snapshot, policy: Policy) -> Entitlement:
    """Work out the entitlement of every user of a snapshot.

    Raises `PolicyError` for scoping filters that make no sense.
    """
    direct = frozenset(row.principal_id for row in snapshot.assignments if row.principal_type)
    members = only_groups(snapshot.members, _assigned_groups(snapshot, direct))
    by_group = members_of_any(members)
    nested: Set[GraphId] = _NOBODY
    if policy.membership is MembershipMode.TRANSITIVE:
        members = {g: people | snapshot.nested_members.get(g, _NOBODY) for g, people in members.items()}
        nested = members_of_any(members) - by_group
    assigned = UnitedIds(direct, by_group, nested)
    if policy.scope is Scope.ALL:
        assigned = UnitedIds(snapshot.users.keys())
    entitled = _entitled(snapshot, assigned, policy)
    return Entitlement(
        snapshot=snapshot,
        entitled=entitled,
        assigned=assigned,
        direct=direct,
        nested_only=nested - direct if policy.scope is Scope.ASSIGNED else _NOBODY,
        members=members,
        is_whole=not gaps(snapshot, policy.scope),
        is_directory_listed=is_directory_listed(snapshot),
        undecided=_undecided(snapshot, entitled),
    )


def _undecided(snapshot: Snapshot, entitled: Set[GraphId]) -> Set[GraphId]:
    """Return users of unknown state, and those assigned by a row without a type.

    A user with access by another grant is entitled all the same.
    """
    untyped = {row.principal_id for row in snapshot.assignments if not row.principal_type}
    undecided = frozenset(users_in_state(snapshot.users, None)) | (untyped & snapshot.users.keys())
    return undecided - entitled


def scope_key(snapshot: Snapshot, policy: Policy) -> str:
    """Return a text that changes if the definition of entitlement does."""
    filters = [[[c.attribute, c.operator, c.value] for c in clauses] for clauses in policy.scoping_filters]
    user_name = (policy.mapping or DEFAULT_MAPPING).get("userName")
    parts = [snapshot.service_principal_id, policy.scope, policy.membership, filters, user_name]
    return json.dumps(parts)


def _assigned_groups(snapshot: Snapshot, assigned: frozenset[GraphId]) -> Iterator[GraphId]:
    """Yield assigned groups that were read. Entra provisions security groups only."""
    for group_id, group in snapshot.groups.items():
        is_read = group_id in assigned and group_id in snapshot.members
        if is_read and group.properties.get("securityEnabled") is not False:
            yield group_id


def _entitled(snapshot: Snapshot, assigned: UnitedIds, policy: Policy) -> Set[GraphId]:
    users = snapshot.users
    entitled = assigned.among(users_in_state(users, True)) - snapshot.deleted.keys()
    if not policy.scoping_filters:
        return entitled
    passes, passing = compile_filters(policy), id_flags(users)
    for graph_id in entitled:
        if passes(users[graph_id]):
            passing.add(graph_id)
    return passing
