"""What every part of the planning looks at: the inputs of a plan, worked through once."""

from __future__ import annotations

import uuid
from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property

from store.records import ConnectionId, CycleKind, GraphId, Group, Policy, SubjectType, User
from worker.reconcile.mapping import CompiledMapping, compile_mapping
from worker.reconcile.plan import Subject
from worker.reconcile.scope import Entitlement, entitlement
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import State


@dataclass(frozen=True)
class Facts:
    snapshot: Snapshot
    state: State
    policy: Policy
    mapping: CompiledMapping
    standing: Entitlement
    reference: str | None = None
    """The subject on demand, by Graph id or by ours."""

    @cached_property
    def user_names(self) -> frozenset[str]:
        """Every userName that the mapping gives somebody entitled, in lower case."""
        users = self.snapshot.users
        given = (self.mapping.user_name.read(users[graph_id]) for graph_id in self.standing.entitled)
        return frozenset(name.lower() for name in given if isinstance(name, str))

    @cached_property
    def nicknames(self) -> frozenset[str]:
        """Every mailNickname of somebody entitled, in lower case."""
        users = self.snapshot.users
        held = (users[graph_id].properties.get("mailNickname") for graph_id in self.standing.entitled)
        return frozenset(name.lower() for name in held if isinstance(name, str))

    def is_known(self, row: User, graph_id: GraphId | None) -> bool:
        """Tells whether the snapshot speaks of a person: one subject's reading is silent about all others."""
        if self.snapshot.kind is not CycleKind.ON_DEMAND or self.reference in (row.id, graph_id):
            return True
        return graph_id in self.snapshot.users or graph_id in self.snapshot.deleted

    def is_younger(self, row: User | Group) -> bool:
        """A push touched the row after reading began: the snapshot may not know of it yet (invariant I7)."""
        return row.last_modified > self.snapshot.taken_at


def facts_of(snapshot: Snapshot, state: State, policy: Policy, reference: str | None = None) -> Facts:
    """Works through the inputs; raises `PolicyError` for a mapping or a filter that makes no sense."""
    return Facts(snapshot, state, policy, compile_mapping(policy), entitlement(snapshot, policy), reference)


def planned_id(connection_id: ConnectionId, graph_id: GraphId, taken: Container[str]) -> str:
    """Gives the id a new row gets: always the same for the same Entra object, unless that id was used up."""
    for attempt in range(100):
        name = f"{connection_id}/{graph_id}" + (f"/{attempt}" if attempt else "")
        new = str(uuid.uuid5(_NAMESPACE, name))
        if new not in taken:
            return new
    raise AssertionError(f"a hundred rows for one Entra object: {graph_id}")


def user_subject(row: User, graph_id: GraphId | None) -> Subject:
    return Subject(SubjectType.USER, graph_id, row.id, row.user_name)


def group_subject(row: Group, graph_id: GraphId | None) -> Subject:
    return Subject(SubjectType.GROUP, graph_id, row.id, row.display_name)


_NAMESPACE = uuid.UUID("6f6c9a52-5e0b-4d2b-9a3c-0d4c7b1f7f5e")
